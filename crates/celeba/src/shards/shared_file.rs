//! A file that many threads read at the same time. The parquet library's own reader for files
//! shares one position between all of them.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::checksum::hash;
use crate::error::{Result, reading};
use crate::offset_io::{read_at, read_exact_at};

/// Bytes at the end of a file that its fingerprint covers.
const FINGERPRINT_BYTES: u64 = 1 << 16;

/// An open file. A clone reads the same file.
#[derive(Clone)]
pub(super) struct SharedFile(Arc<Inner>);

struct Inner {
    file: File,
    length: u64,
}

impl SharedFile {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(reading(path))?;
        let length = file.metadata().map_err(reading(path))?.len();
        Ok(Self(Arc::new(Inner { file, length })))
    }

    /// Hash of the file's length and of its end, which holds the positions and sizes of all pages.
    pub fn fingerprint(&self) -> io::Result<u64> {
        let Inner { file, length } = &*self.0;
        let mut end = vec![0; (*length).min(FINGERPRINT_BYTES) as usize];
        let start = length - end.len() as u64;
        read_exact_at(file, &mut end, start)?;
        end.extend(length.to_le_bytes());
        Ok(hash(&end))
    }
}

/// Reads from a position on.
pub(super) struct Cursor {
    file: SharedFile,
    position: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file.0.file, buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Cursor { file: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.length) {
            return Err(ParquetError::EOF("a page lies beyond the end of the file".into()));
        }
        let mut buffer = vec![0; length];
        read_exact_at(&self.0.file, &mut buffer, start)?;
        Ok(buffer.into())
    }
}
