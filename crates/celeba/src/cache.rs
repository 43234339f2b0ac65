//! Resized images in one file, so that later epochs and runs need not decode them again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::checksum::hash;
use crate::error::{Error, Result, writing};
use crate::offset_io::{read_exact_at, write_all_at};
use crate::preprocessing::Crop;

/// Bytes of a record's checksum, which comes first.
const CHECKSUM_BYTES: usize = 8;
/// Bytes of the original image's width and height, which come before its pixels.
const SIZE_BYTES: usize = 8;

/// What a cache holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contents {
    /// Names of the images, in their order.
    pub names: Arc<[String]>,
    /// Where the first of them is.
    pub first: Option<PathBuf>,
    /// What is seen of them.
    pub crop: Crop,
    /// Their height and width.
    pub image_size: usize,
}

/// The cropped and resized pixels of all faces, in one file whose name depends on the faces, the
/// crop and the size.
///
/// Any number of threads and processes may read and write the file at the same time, because all of
/// them write the same pixels to the same places. Each record has a checksum; damaged and
/// incomplete records are ignored. A record also has the size of the original image, so that what
/// is seen of it is known without decoding it.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    holds: Contents,
    /// Bytes of a record.
    record: usize,
    /// Whether a write failed, after which no more records are written.
    full: AtomicBool,
}

impl Cache {
    /// `key` is another for other images, crops and sizes.
    pub(crate) fn open(folder: &Path, key: &str, holds: Contents) -> Result<Self> {
        let (faces, image_size) = (holds.names.len(), holds.image_size);
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
        let record = CHECKSUM_BYTES + SIZE_BYTES + 3 * image_size * image_size;
        // On most file systems the parts that were never written take no space.
        file.set_len((faces * record) as u64).map_err(writing(&path))?;
        Ok(Self { path, file, holds, record, full: AtomicBool::new(false) })
    }

    /// Makes sure that it holds these images.
    ///
    /// # Errors
    /// [`Error::OtherCache`] if not.
    pub(crate) fn check(&self, needed: &Contents) -> Result<()> {
        match self.holds == *needed {
            true => Ok(()),
            false => Err(Error::OtherCache { path: self.path.clone() }),
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn offset(&self, face: usize) -> u64 {
        (face * self.record) as u64
    }

    /// The pixels of a face, and the width and height of its original image, if the file holds
    /// them.
    pub(crate) fn get(&self, face: usize) -> Option<(Vec<u8>, (usize, usize))> {
        let mut record = vec![0; self.record];
        read_exact_at(&self.file, &mut record, self.offset(face)).ok()?;
        let mut rest = record.split_off(CHECKSUM_BYTES);
        if record != checksum(&rest) {
            return None;
        }
        let pixels = rest.split_off(SIZE_BYTES);
        let (width, height) = rest.split_first_chunk::<4>()?;
        let height = height.first_chunk::<4>()?;
        let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        Some((pixels, (number(width)?, number(height)?)))
    }

    /// Writes the pixels of a face and the size of its original image. If that fails, as on a full
    /// disk, this warns once and the cache is no longer written: images are then decoded again,
    /// which costs only time.
    pub(crate) fn put(&self, face: usize, pixels: &[u8], (width, height): (usize, usize)) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        // No decoder makes an image of 2³² pixels a side.
        let size = [width, height].map(|side| (side as u32).to_le_bytes()).concat();
        let rest = [&size[..], pixels].concat();
        let record = [&checksum(&rest)[..], &rest].concat();
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
fn checksum(rest: &[u8]) -> [u8; CHECKSUM_BYTES] {
    (hash(rest) | 1).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c"].map(String::from).to_vec().into();
        let holds = Contents { names, first: None, crop: Crop::Square, image_size: 2 };
        let mut cache = Cache::open(folder.path(), "key", holds).unwrap();
        cache.put(1, &[7; 12], (300, 5));
        // Writes fail as on a full disk.
        cache.file = File::open(&cache.path).unwrap();
        cache.put(2, &[9; 12], (4, 4));
        assert!(cache.full.load(Ordering::Relaxed));
        let kept = Some((vec![7; 12], (300, 5)));
        assert_eq!((cache.get(0), cache.get(1), cache.get(2)), (None, kept, None));
    }
}
