//! Resized images in one file, so that later epochs and runs need not decode them again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::error::{Result, writing};
use crate::positioned::{read_exact_at, write_all_at};

/// Length of a record's checksum, which comes before its pixels.
const CHECKSUM: usize = 8;

/// Pixels of the centred squares of all faces at one size, in a file that is named after the faces and the size.
///
/// Any number of threads and processes may read and write it at once: all write the same pixels to the same places, and a record that is not whole, because its process was
/// killed or the disk was full, is not believed.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    pixels: usize,
}

impl Cache {
    pub(crate) fn open(folder: &Path, key: &str, faces: usize, image_size: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(writing(folder))?;
        let path = folder.join(format!("celeba-{image_size}px-{:016x}.pixels", hash(key.as_bytes())));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(writing(&path))?;
        let pixels = 3 * image_size * image_size;
        // On most file systems what was not written takes no room.
        file.set_len((faces * (CHECKSUM + pixels)) as u64).map_err(writing(&path))?;
        Ok(Self { path, file, pixels })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn place(&self, face: usize) -> u64 {
        (face * (CHECKSUM + self.pixels)) as u64
    }

    /// The pixels of a face, if they are there.
    pub(crate) fn get(&self, face: usize) -> Option<Vec<u8>> {
        let mut record = vec![0; CHECKSUM + self.pixels];
        read_exact_at(&self.file, &mut record, self.place(face)).ok()?;
        let pixels = record.split_off(CHECKSUM);
        (record == checksum(&pixels)).then_some(pixels)
    }

    /// Where the disk is full, an image is not kept, which costs time and nothing else.
    pub(crate) fn put(&self, face: usize, pixels: &[u8]) {
        let record = [&checksum(pixels)[..], pixels].concat();
        let _ = write_all_at(&self.file, &record, self.place(face));
    }
}

/// Never zero, which is what an empty place holds.
fn checksum(pixels: &[u8]) -> [u8; CHECKSUM] {
    (hash(pixels) | 1).to_le_bytes()
}

/// FNV-1a over words of 8 bytes: fast, and enough against accidents.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash: u64, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}
