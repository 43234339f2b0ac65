//! Images in a zip archive, which is not unpacked. The index is in memory, and any thread can read
//! an image.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result, reading};
use crate::formats::is_image_name;
use crate::offset_io::read_exact_at;

/// An image larger than this is refused before it is read.
const MAX_IMAGE_BYTES: u64 = 64 << 20;
/// Deflate compresses 1032:1 at best.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Where an image is in the archive.
#[derive(Debug, Clone, Copy)]
struct Entry {
    header_offset: u64,
    compressed_size: u64,
    size: u64,
    crc32: u32,
    deflated: bool,
}

/// An open archive, and the entries of the images that the annotations list.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    file: File,
    /// `None` for an image that is not in the archive.
    entries: Vec<Option<Entry>>,
}

impl Archive {
    /// Opens an archive of these images, in any folders inside of it.
    pub fn open<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let file = File::open(path).map_err(reading(path))?;
        let found = index(path, &file)?;
        Ok(Self {
            path: path.into(),
            entries: names.map(|name| found.get(name).copied()).collect(),
            file,
        })
    }

    /// Whether an image is in the archive.
    pub fn contains(&self, image: usize) -> bool {
        self.entries[image].is_some()
    }

    /// The file names of all images in the archive.
    pub fn file_names(&self) -> Result<Vec<String>> {
        Ok(index(&self.path, &self.file)?.into_keys().collect())
    }

    /// The archive's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The CRC-32 of an image in the archive's index, or 0 for an image that is missing.
    pub fn checksum(&self, image: usize) -> u64 {
        self.entries[image].map_or(0, |entry| entry.crc32.into())
    }

    /// The bytes of an image. An error says what is wrong with it.
    pub fn read(&self, image: usize) -> std::result::Result<Vec<u8>, String> {
        let entry = self.entries[image]
            .as_ref()
            .ok_or("is listed in the annotations but is not in the archive")?;
        let damaged = |reason: &str| format!("is damaged in the archive: {reason}");
        let mut header = [0; 30];
        read_exact_at(&self.file, &mut header, entry.header_offset)
            .map_err(|e| damaged(&e.to_string()))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged("no header is where its index says"));
        }
        let name_and_extra = u64::from(read_u16(&header, 26)) + u64::from(read_u16(&header, 28));
        let mut data = vec![0; entry.compressed_size as usize];
        read_exact_at(&self.file, &mut data, entry.header_offset + 30 + name_and_extra)
            .map_err(|e| damaged(&e.to_string()))?;
        if entry.deflated {
            data = inflate(&data, entry.size).ok_or_else(|| damaged("it does not unpack"))?;
        }
        let mut crc32 = Crc::new();
        crc32.update(&data);
        if data.len() as u64 != entry.size || crc32.sum() != entry.crc32 {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(data)
    }
}

fn inflate(data: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(size as usize + 1);
    match Decompress::new(false).decompress_vec(data, &mut out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => Some(out),
        _ => None,
    }
}

fn read_u16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

/// What to do about a damaged archive.
const ADVICE: &str = "download the archive again, or unpack it by hand";

/// The entries of all images of an archive, by file name.
fn index(path: &Path, file: &File) -> Result<HashMap<String, Entry>> {
    let error = |reason: String| Error::Inconsistent { path: path.into(), reason };
    let length = file.metadata().map_err(reading(path))?.len();
    let archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| error(format!("is not a complete zip archive ({e}); {ADVICE}")))?;
    let metadata = archive.metadata();
    if metadata.has_duplicate_names() {
        return Err(error("holds a name that is there twice; this is not CelebA's archive".into()));
    }
    let mut last_header = 0;
    let mut entries = HashMap::with_capacity(metadata.len());
    for i in 0..metadata.len() {
        let entry = metadata
            .entry(i)
            .map_err(|e| error(format!("its index is damaged ({e}); {ADVICE}")))?;
        last_header = last_header.max(entry.central_header_start());
        let name = entry
            .name()
            .map_err(|e| error(format!("holds a name that cannot be read ({e}); {ADVICE}")))?;
        // Operating systems and editors add other files to archives.
        if entry.is_dir() || name.starts_with("__MACOSX/") || !is_image_name(&name) {
            continue;
        }
        let file_name = checked_file_name(&name).map_err(error)?;
        if file_name.starts_with("._") {
            continue;
        }
        if entry.encrypted() {
            return Err(error(format!(
                "`{name}` is encrypted; unpack the archive with its password"
            )));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                return Err(error(format!(
                    "`{name}` is packed by {other:?}, which is not supported; unpack the archive \
                     by hand"
                )));
            }
        };
        let entry = Entry {
            header_offset: entry.header_start(),
            compressed_size: entry.compressed_size(),
            size: entry.size(),
            crc32: entry.crc32(),
            deflated,
        };
        if !entry.is_possible(length) {
            return Err(error(format!("`{name}` has an impossible size; {ADVICE}")));
        }
        if entries.insert(file_name, entry).is_some() {
            return Err(error(format!("`{name}` is there twice")));
        }
    }
    // Archives of more than 65,535 files that were made without ZIP64 count them modulo 65,536.
    if !metadata.is_empty() && header_follows(file, last_header).map_err(reading(path))? {
        return Err(error("holds more files than it says; unpack it by hand".into()));
    }
    Ok(entries)
}

impl Entry {
    /// Whether the sizes agree with each other and with the archive's length.
    fn is_possible(&self, archive_length: u64) -> bool {
        let ratio = if self.deflated {
            self.size / MAX_DEFLATE_RATIO <= self.compressed_size
        } else {
            self.size == self.compressed_size
        };
        let end = self.header_offset.checked_add(self.compressed_size);
        ratio
            && self.size <= MAX_IMAGE_BYTES
            && self.compressed_size <= MAX_IMAGE_BYTES
            && end.is_some_and(|end| end <= archive_length)
    }
}

/// The last part of an entry's path, which must lie inside of the archive's folder. Some programs
/// for Windows write `\` between the parts.
fn checked_file_name(name: &str) -> std::result::Result<String, String> {
    let with_slashes = name.replace('\\', "/");
    let path = Path::new(&with_slashes);
    let inside = !name.contains(|c: char| c == ':' || c.is_control())
        && path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!(
            "holds `{name}`, which lies outside the archive's folder; this is not CelebA's archive"
        ));
    }
    Ok(path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default())
}

/// Whether another header follows this one in the archive's index.
fn header_follows(file: &File, header_offset: u64) -> std::io::Result<bool> {
    let mut header = [0; 46];
    read_exact_at(file, &mut header, header_offset)?;
    let variable: u64 =
        [28, 30, 32].map(|offset| u64::from(read_u16(&header, offset))).iter().sum();
    let mut next = [0; 4];
    read_exact_at(file, &mut next, header_offset + 46 + variable)?;
    Ok(next == *b"PK\x01\x02")
}
