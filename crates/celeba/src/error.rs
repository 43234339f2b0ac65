use std::path::{Path, PathBuf};

use crate::split::Split;

/// What can go wrong with a data set. Each message names the place and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder or file that CelebA needs is not there.
    #[error(
        "{path} does not exist: CelebA is img_align_celeba/ (or img_align_celeba.zip), \
         list_attr_celeba.txt and list_eval_partition.txt, Kaggle's CSVs, or parquet shards",
        path = .0.display()
    )]
    Missing(PathBuf),
    /// A line of an annotation file cannot be right.
    #[error(
        "{path}, line {line}: {reason}; correct it, or take the file as it was distributed",
        path = .path.display(),
        reason = printable(reason)
    )]
    Line {
        /// The annotation file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The files of a folder contradict each other.
    #[error("{path}: {reason}", path = .path.display(), reason = printable(reason))]
    Inconsistent {
        /// The file or folder.
        path: PathBuf,
        /// The contradiction and what to do about it.
        reason: String,
    },
    /// An image is missing, empty, truncated or no image.
    #[error(
        "image {path}: {reason}; download it again, or leave it out",
        path = .path.display(),
        reason = printable(reason)
    )]
    Image {
        /// The image file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes of an image are empty, truncated or no image.
    #[error("{reason}", reason = printable(reason))]
    ImageBytes {
        /// What is wrong with it, to follow its name.
        reason: String,
    },
    /// An option of batches has a value that it cannot have.
    #[error("BatchOptions::{option} is {value}, but must be {expected}")]
    Option {
        /// The field.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// An image is asked for that the data set does not have.
    #[error("there is no image {image}: the data set has {images}, counted from 0")]
    NoImage {
        /// The index.
        image: usize,
        /// Images of the data set.
        images: usize,
    },
    /// A cache was made for other images, or another crop or size.
    #[error(
        "{path} holds images of another data set, crop or size: make a cache for what is read \
         (`cache` of this data set, with the crop and the size of the batches)",
        path = .path.display()
    )]
    OtherCache {
        /// The cache's file.
        path: PathBuf,
    },
    /// A split has no images.
    #[error(
        "{path}: no image belongs to the split `{split}`; in list_eval_partition and in a list of \
         your own, 0 or train, 1 or val and 2 or test name the splits",
        path = .path.display(),
        split = .split.id()
    )]
    EmptySplit {
        /// The data set's folder, or the list of splits that it was given.
        path: PathBuf,
        /// The split.
        split: Split,
    },
    /// A name is not one of the 40 attributes.
    #[error(
        "there is no attribute `{name}`; CelebA's are named like Mouth_Slightly_Open{suggestion}",
        suggestion = suggestion(*nearest)
    )]
    UnknownAttribute {
        /// The unknown name.
        name: String,
        /// The attribute that has most in common with it, if any has something.
        nearest: Option<&'static str>,
    },
    /// A table lacks the row of an image.
    #[error(
        "a table of {rows} rows has none for image {image}: give one with a row for each image of \
         the data set, in its order"
    )]
    Rows {
        /// The table's rows.
        rows: usize,
        /// The image's index in its data set.
        image: usize,
    },
    /// A dataset cannot be downloaded from the Hugging Face hub.
    #[error("dataset {name}: {reason}")]
    Hub {
        /// The dataset's name.
        name: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// Reading failed.
    #[error("{path}: {error}{advice}", path = .path.display(), advice = advice(error))]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// Writing failed.
    #[error("writing {path}: {error}{advice}", path = .path.display(), advice = advice(error))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// Candle could not make the tensors of a batch.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Characters of a reason that are shown, since a reason can quote a file.
const MAX_REASON: usize = 1000;

/// A reason without control characters, which a terminal would obey, and not longer than
/// [`MAX_REASON`].
fn printable(reason: &str) -> String {
    let short: String = reason
        .chars()
        .take(MAX_REASON)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    if reason.chars().nth(MAX_REASON).is_some() { short + "…" } else { short }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// What to do about an error of the operating system, for the kinds where that is known.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "; change its permissions, or run as the user to whom it belongs"
        }
        std::io::ErrorKind::NotADirectory => {
            "; give the folder that CelebA's files are in, or img_align_celeba.zip"
        }
        std::io::ErrorKind::AlreadyExists => "; name a folder",
        std::io::ErrorKind::StorageFull
        | std::io::ErrorKind::QuotaExceeded
        | std::io::ErrorKind::ReadOnlyFilesystem => "; free some space, or choose another folder",
        _ => "",
    }
}

/// Adds the path to an error of reading; "not found" becomes [`Error::Missing`].
pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Missing(path.into()),
        _ => Error::Read { path: path.into(), error },
    }
}

/// Adds the path to an error of writing.
pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| Error::Write { path: path.into(), error }
}
