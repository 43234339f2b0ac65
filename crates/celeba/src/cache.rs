//! Resized images in one file, so that later epochs and runs need not decode them again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Result, writing};
use crate::positioned::{read_exact_at, write_all_at};

/// Length of a record's checksum, which comes before its pixels.
const CHECKSUM: usize = 8;

/// Pixels of the centred squares of all faces at one size, in a file that is named after the faces
/// and the size.
///
/// Any number of threads and processes may read and write it at once: all write the same pixels to
/// the same places, and a record that is not whole, because its process was killed or the disk was
/// full, is not believed.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    pixels: usize,
    /// Nothing is added any more.
    full: AtomicBool,
}

impl Cache {
    pub(crate) fn open(folder: &Path, key: &str, faces: usize, image_size: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(writing(folder))?;
        let path =
            folder.join(format!("celeba-{image_size}px-{:016x}.pixels", hash(key.as_bytes())));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(writing(&path))?;
        let pixels = 3 * image_size * image_size;
        // On most file systems what was not written takes no room.
        file.set_len((faces * (CHECKSUM + pixels)) as u64).map_err(writing(&path))?;
        Ok(Self { path, file, pixels, full: AtomicBool::new(false) })
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

    /// Where the disk is full, images are no longer kept, which is told once; it costs time and
    /// nothing else.
    pub(crate) fn put(&self, face: usize, pixels: &[u8]) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let record = [&checksum(pixels)[..], pixels].concat();
        if let Err(e) = write_all_at(&self.file, &record, self.place(face))
            && !self.full.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "{}: {e}; no more images are added to this cache and the others are decoded each time: free some space, or name another folder",
                self.path.display()
            );
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(folder.path(), "key", 3, 2).unwrap();
        cache.put(1, &[7; 12]);
        // Writes fail as on a full disk.
        cache.file = File::open(&cache.path).unwrap();
        cache.put(2, &[9; 12]);
        assert!(cache.full.load(Ordering::Relaxed));
        assert_eq!((cache.get(0), cache.get(1), cache.get(2)), (None, Some(vec![7; 12]), None));
    }
}
