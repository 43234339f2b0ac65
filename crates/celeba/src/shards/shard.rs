//! One shard: a parquet file with an image and its annotations in each row.

use std::path::Path;

use super::columns::{ADVICE, MAX_GROUP_BYTES, ParquetFile};
use crate::annotations::checked_name;
use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result};
use crate::split::Split;

/// An open shard.
pub(super) struct Shard {
    pub file: ParquetFile,
    /// The column of the images' bytes.
    images: usize,
}

/// The annotations of a row group.
pub(super) struct Annotations {
    /// `None` where a row has no path.
    pub names: Vec<Option<String>>,
    pub labels: Vec<Labels>,
    /// The first label that is 0, in words, if there is one.
    pub zero: Option<String>,
    /// Whether a label is -1.
    pub has_minus_one: bool,
    /// `None` if the shard has no column of identities.
    pub identities: Option<Vec<u32>>,
}

impl Shard {
    pub fn open(path: &Path) -> Result<Self> {
        let file = ParquetFile::open(path)?;
        let meaning = "a struct of the images' bytes and path";
        let images = file.find_required("image.bytes", "image", meaning)?;
        Ok(Self { file, images })
    }

    /// The split that the name of the shard or of its folder begins with.
    pub fn split(&self) -> Result<Split> {
        let path = &self.file.path;
        let names = [path.file_name(), path.parent().and_then(Path::file_name)];
        let split = names.into_iter().flatten().find_map(|name| {
            let name = name.to_string_lossy().to_lowercase();
            match name.split(|c: char| !c.is_ascii_alphabetic()).next() {
                Some("train") => Some(Split::Train),
                Some("val" | "valid" | "validation") => Some(Split::Val),
                Some("test") => Some(Split::Test),
                _ => None,
            }
        });
        split.ok_or_else(|| {
            let reason = "belongs to no split: its name, or its folder's, begins with train, \
                          valid, validation or test: rename it";
            self.file.error(reason.into())
        })
    }

    /// Bytes of the images of a row group.
    pub fn image_bytes(&self, group: usize) -> Result<usize> {
        let bytes = self.file.decompressed_size(group, self.images);
        if bytes > MAX_GROUP_BYTES {
            return Err(self.file.error(format!(
                "row group {group} holds {bytes} bytes of images; write the shards with smaller \
                 row groups"
            )));
        }
        Ok(bytes)
    }

    /// The images of a row group. An error says what is wrong with them.
    pub fn images(&self, group: usize) -> std::result::Result<Vec<Option<Vec<u8>>>, String> {
        self.file.bytes(group, self.images)
    }

    pub fn annotations(&self, group: usize) -> Result<Annotations> {
        let names = self.names(group)?;
        let identities = self.identities(group)?;
        let mut annotations = Annotations {
            names,
            labels: vec![Labels::default(); self.file.rows(group)],
            zero: None,
            has_minus_one: false,
            identities,
        };
        for (k, attribute) in ATTRIBUTES.into_iter().enumerate() {
            self.read_labels(group, k, attribute, &mut annotations)?;
        }
        Ok(annotations)
    }

    fn column_error(&self, column: &str) -> impl Fn(String) -> Error + '_ {
        let column = column.to_owned();
        move |reason| self.file.error(format!("column {column}: {reason}"))
    }

    fn names(&self, group: usize) -> Result<Vec<Option<String>>> {
        let Some(column) = self.file.find("image.path") else {
            return Ok(vec![None; self.file.rows(group)]);
        };
        let paths = self.file.bytes(group, column).map_err(self.column_error("image.path"))?;
        let name = |bytes: Vec<u8>| -> Option<String> {
            let path = String::from_utf8(bytes).ok()?;
            let name = Path::new(&path).file_name()?.to_str()?;
            checked_name(name).ok().map(str::to_owned)
        };
        Ok(paths.into_iter().map(|bytes| bytes.and_then(name)).collect())
    }

    fn identities(&self, group: usize) -> Result<Option<Vec<u32>>> {
        let Some(column) = self.file.find("celeb_id") else { return Ok(None) };
        let error = self.column_error("celeb_id");
        let numbers = self.file.numbers(group, column).map_err(&error)?;
        let person = |(row, v): (usize, i64)| {
            u32::try_from(v).ok().filter(|&person| person > 0).ok_or_else(|| {
                let place = format!("row {row} of row group {group}");
                error(format!("{place} holds {v}, which is no number of a person, from 1"))
            })
        };
        numbers.into_iter().enumerate().map(person).collect::<Result<_>>().map(Some)
    }

    /// Reads the labels of attribute k, which are 1 and 0, or 1 and -1.
    fn read_labels(
        &self,
        group: usize,
        k: usize,
        attribute: &str,
        annotations: &mut Annotations,
    ) -> Result<()> {
        let column = self.file.find_required(attribute, attribute, "one of the 40 attributes")?;
        let error = self.column_error(attribute);
        let values = self.file.numbers(group, column).map_err(&error)?;
        for (row, value) in values.into_iter().enumerate() {
            match value {
                1 => annotations.labels[row] = annotations.labels[row].with(k, true),
                -1 => annotations.has_minus_one = true,
                0 => {
                    annotations.zero.get_or_insert_with(|| {
                        format!("column {attribute}: row {row} of row group {group} holds 0")
                    });
                }
                other => {
                    return Err(error(format!(
                        "row {row} of row group {group} holds {other}, which is neither 1 nor -1; \
                         {ADVICE}"
                    )));
                }
            }
        }
        Ok(())
    }
}
