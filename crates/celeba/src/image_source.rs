//! Where the bytes of images come from: a folder, a zip archive or parquet shards.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::archive::Archive;
use crate::error::{Error, Result, reading};
use crate::formats;
use crate::shards::Shards;

/// A source of images. Faces are counted from 0 in the order of the annotations; `names` are their
/// file names in the same order.
#[derive(Debug, Clone)]
pub(crate) enum ImageSource {
    Folder(Arc<Path>),
    Zip(Arc<Archive>),
    Parquet(Arc<Shards>),
}

impl ImageSource {
    /// Where a face's image is: a file, or a place in an archive or a shard, for messages.
    pub fn path(&self, face: usize, names: &[String]) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(&names[face]),
            Self::Zip(archive) => archive.path().join(&names[face]),
            Self::Parquet(shards) => shards.path(face),
        }
    }

    /// The bytes of a face's image file.
    pub fn read(&self, face: usize, names: &[String]) -> Result<Vec<u8>> {
        let error = |reason: String| Error::Image { path: self.path(face, names), reason };
        match self {
            Self::Folder(folder) => {
                formats::read_file(&folder.join(&names[face])).map_err(|e| match e {
                    Error::Missing(_) => {
                        error("is listed in the annotations but does not exist".into())
                    }
                    e => e,
                })
            }
            Self::Zip(archive) => archive.read(face).map_err(error),
            Self::Parquet(shards) => shards.read(face).map_err(error),
        }
    }

    /// A number that another image most likely does not have, without reading the image: its
    /// length in a folder, its checksum in an archive, its shard's fingerprint in a shard.
    pub fn fingerprint(&self, face: usize, names: &[String]) -> u64 {
        match self {
            Self::Folder(folder) => {
                std::fs::metadata(folder.join(&names[face])).map_or(0, |m| m.len())
            }
            Self::Zip(archive) => archive.checksum(face),
            Self::Parquet(shards) => shards.fingerprint(face),
        }
    }

    /// When a face's image file was changed last; `None` in an archive or a shard.
    pub fn modified(&self, face: usize, names: &[String]) -> Option<SystemTime> {
        match self {
            Self::Folder(folder) => {
                std::fs::metadata(folder.join(&names[face])).and_then(|m| m.modified()).ok()
            }
            _ => None,
        }
    }

    /// The faces whose images are missing.
    pub fn missing(&self, names: &[String]) -> Result<Vec<usize>> {
        let faces = 0..names.len();
        Ok(match self {
            Self::Folder(folder) => {
                let present: HashSet<OsString> = file_names(folder)?.into_iter().collect();
                // Where upper and lower case are the same, the system finds more than is listed.
                let is_there =
                    |name: &str| present.contains(OsStr::new(name)) || folder.join(name).is_file();
                faces.filter(|&face| !is_there(&names[face])).collect()
            }
            Self::Zip(archive) => faces.filter(|&face| !archive.contains(face)).collect(),
            Self::Parquet(_) => vec![],
        })
    }

    /// The sorted names of images that no row of the annotations lists.
    pub fn unlisted(&self, names: &[String]) -> Result<Vec<String>> {
        let present: Vec<String> = match self {
            Self::Folder(folder) => file_names(folder)?
                .into_iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
            Self::Zip(archive) => archive.file_names()?,
            Self::Parquet(_) => return Ok(vec![]),
        };
        let listed: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut unlisted: Vec<String> = present
            .into_iter()
            .filter(|name| formats::is_image_name(name) && !name.starts_with('.'))
            .filter(|name| !listed.contains(name.as_str()))
            .collect();
        unlisted.sort();
        Ok(unlisted)
    }

    /// Groups of faces that are read together, in windows that fit in memory, or `None` where any
    /// order of reading is as fast. `shuffle` decides the order of the groups.
    pub fn windows(&self, shuffle: impl FnMut(&mut [usize])) -> Option<Vec<Vec<Range<usize>>>> {
        match self {
            Self::Parquet(shards) => Some(shards.windows(shuffle)),
            _ => None,
        }
    }
}

fn file_names(folder: &Path) -> Result<Vec<OsString>> {
    std::fs::read_dir(folder)
        .map_err(reading(folder))?
        .map(|entry| entry.map(|e| e.file_name()).map_err(reading(folder)))
        .collect()
}
