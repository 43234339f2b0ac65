//! Images in a zip archive that is not unpacked: an index in memory, and reads at a place that any
//! thread can make.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result, at};
use crate::positioned::read_exact_at;

/// An image larger than this is refused before it is read.
const LARGEST: u64 = 64 << 20;

/// Where an image lies in the archive.
#[derive(Debug, Clone, Copy)]
struct Entry {
    header: u64,
    packed: u64,
    size: u64,
    checksum: u32,
    deflated: bool,
}

/// An open archive, and the entry of each image that was asked for.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    file: File,
    /// `None` for an image that is not in the archive.
    entries: Vec<Option<Entry>>,
}

impl Archive {
    /// Opens an archive of these images, in whatever folders inside it.
    pub fn open<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let file = File::open(path).map_err(at(path))?;
        let found = index(path, &file)?;
        Ok(Self {
            path: path.into(),
            entries: names.map(|name| found.get(name).copied()).collect(),
            file,
        })
    }

    /// Whether an image is in the archive.
    pub fn has(&self, image: usize) -> bool {
        self.entries[image].is_some()
    }

    /// The file names of all images in the archive.
    pub fn all(&self) -> Result<Vec<String>> {
        Ok(index(&self.path, &self.file)?.into_keys().collect())
    }

    /// The archive's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checksum of an image, as the archive's index tells it.
    pub fn checksum(&self, image: usize) -> u64 {
        self.entries[image].map_or(0, |entry| entry.checksum.into())
    }

    /// Unpacks an image; says what is wrong with it.
    pub fn read(&self, image: usize) -> std::result::Result<Vec<u8>, String> {
        let entry = self.entries[image]
            .as_ref()
            .ok_or("is listed in the annotations but is not in the archive")?;
        let damaged = |what: &str| format!("is damaged in the archive: {what}");
        let mut header = [0; 30];
        read_exact_at(&self.file, &mut header, entry.header)
            .map_err(|e| damaged(&e.to_string()))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged("no header is where its index says"));
        }
        let mut packed = vec![0; entry.packed as usize];
        let start =
            entry.header + 30 + u64::from(number(&header, 26)) + u64::from(number(&header, 28));
        read_exact_at(&self.file, &mut packed, start).map_err(|e| damaged(&e.to_string()))?;
        let bytes = if entry.deflated {
            let mut out = Vec::with_capacity(entry.size as usize + 1);
            match Decompress::new(false).decompress_vec(&packed, &mut out, FlushDecompress::Finish)
            {
                Ok(Status::StreamEnd) => out,
                _ => return Err(damaged("it does not unpack")),
            }
        } else {
            packed
        };
        let mut checksum = Crc::new();
        checksum.update(&bytes);
        match bytes.len() as u64 == entry.size && checksum.sum() == entry.checksum {
            true => Ok(bytes),
            false => Err(damaged("its checksum is wrong")),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// All images of an archive by file name.
fn index(path: &Path, file: &File) -> Result<HashMap<String, Entry>> {
    let wrong = |reason: String| Error::Inconsistent { path: path.into(), reason };
    let again = "download the archive again, or unpack it by hand";
    let length = file.metadata().map_err(at(path))?.len();
    let archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| wrong(format!("is no whole zip archive ({e}); {again}")))?;
    let metadata = archive.metadata();
    if metadata.has_duplicate_names() {
        return Err(wrong("holds a name that is there twice; this is not CelebA's archive".into()));
    }
    let mut last = 0;
    let mut found = HashMap::with_capacity(metadata.len());
    for i in 0..metadata.len() {
        let entry =
            metadata.entry(i).map_err(|e| wrong(format!("its index is damaged ({e}); {again}")))?;
        last = last.max(entry.central_header_start());
        let name = entry
            .name()
            .map_err(|e| wrong(format!("holds a name that cannot be read ({e}); {again}")))?;
        let inside = !name.contains(|c: char| c == '\\' || c == ':' || c.is_control())
            && Path::new(&*name).components().all(|c| matches!(c, Component::Normal(_)));
        if !inside {
            return Err(wrong(format!(
                "holds `{name}`, which lies outside the archive's folder; this is not CelebA's archive"
            )));
        }
        let own = Path::new(&*name)
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        // What macOS adds to archives.
        if entry.is_dir() || name.starts_with("__MACOSX/") || own.starts_with("._") {
            continue;
        }
        if entry.encrypted() {
            return Err(wrong(format!(
                "`{name}` is encrypted; unpack the archive with its password"
            )));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                return Err(wrong(format!(
                    "`{name}` is packed by {other:?}, which is not supported; unpack the archive by hand"
                )));
            }
        };
        let (header, packed, size) = (entry.header_start(), entry.compressed_size(), entry.size());
        let unpacks = if deflated { size / 1032 <= packed } else { size == packed };
        if size > LARGEST
            || packed > LARGEST
            || !unpacks
            || header.checked_add(packed).is_none_or(|end| end > length)
        {
            return Err(wrong(format!("`{name}` has an impossible size; {again}")));
        }
        if found
            .insert(own, Entry { header, packed, size, checksum: entry.crc32(), deflated })
            .is_some()
        {
            return Err(wrong(format!("`{name}` is there twice")));
        }
    }
    // Archives of more than 65,535 files that were made without ZIP64 count only the rest of a
    // division by 65,536.
    match !metadata.is_empty() && another_follows(file, last).map_err(at(path))? {
        true => Err(wrong("holds more files than it says; unpack it by hand".into())),
        false => Ok(found),
    }
}

/// Whether the index goes on after this header in it.
fn another_follows(file: &File, header: u64) -> std::io::Result<bool> {
    let (mut bytes, mut next) = ([0; 46], [0; 4]);
    read_exact_at(file, &mut bytes, header)?;
    let length = [28, 30, 32].map(|at| u64::from(number(&bytes, at))).iter().sum::<u64>();
    read_exact_at(file, &mut next, header + 46 + length)?;
    Ok(next == *b"PK\x01\x02")
}
