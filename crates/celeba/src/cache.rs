//! Resized images in one file, so that later epochs and runs need not decode them again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::checksum::hash;
use crate::error::{Result, writing};
use crate::offset_io::{read_exact_at, write_all_at};

/// Bytes of a record's checksum, which comes before its pixels.
const CHECKSUM_BYTES: usize = 8;

/// The cropped and resized pixels of all faces, in one file whose name depends on the faces, the
/// crop and the size.
///
/// Any number of threads and processes may read and write the file at the same time, because all of
/// them write the same pixels to the same places. Each record has a checksum; damaged and
/// incomplete records are ignored.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    /// Bytes of a face's pixels.
    pixels: usize,
    /// Whether a write failed, after which no more records are written.
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
        // On most file systems the parts that were never written take no space.
        file.set_len((faces * (CHECKSUM_BYTES + pixels)) as u64).map_err(writing(&path))?;
        Ok(Self { path, file, pixels, full: AtomicBool::new(false) })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn offset(&self, face: usize) -> u64 {
        (face * (CHECKSUM_BYTES + self.pixels)) as u64
    }

    /// The pixels of a face, if the file holds them.
    pub(crate) fn get(&self, face: usize) -> Option<Vec<u8>> {
        let mut record = vec![0; CHECKSUM_BYTES + self.pixels];
        read_exact_at(&self.file, &mut record, self.offset(face)).ok()?;
        let pixels = record.split_off(CHECKSUM_BYTES);
        (record == checksum(&pixels)).then_some(pixels)
    }

    /// Writes the pixels of a face. If that fails, as on a full disk, this warns once and the cache
    /// is no longer written: images are then decoded again, which costs only time.
    pub(crate) fn put(&self, face: usize, pixels: &[u8]) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let record = [&checksum(pixels)[..], pixels].concat();
        if let Err(e) = write_all_at(&self.file, &record, self.offset(face))
            && !self.full.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "{}: {e}; no more images are added to this cache and the others are decoded each \
                 time: free some space, or name another folder",
                self.path.display()
            );
        }
    }
}

/// Never zero, so that an empty record is not valid.
fn checksum(pixels: &[u8]) -> [u8; CHECKSUM_BYTES] {
    (hash(pixels) | 1).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_keeps_what_it_has() {
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
