use std::path::{Path, PathBuf};

/// What can go wrong with a data set. Each message says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file that CelebA needs is not there.
    #[error("{path} does not exist: CelebA is img_align_celeba/ (or img_align_celeba.zip), list_attr_celeba.txt and list_eval_partition.txt, Kaggle's CSVs, or parquet shards", path = .0.display())]
    Missing(PathBuf),
    /// A line of an annotation file cannot be right.
    #[error("{path}, line {line}: {reason}; correct it, or take the file as it was distributed", path = .path.display(), reason = plain(reason))]
    Line {
        /// The annotation file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The files of a folder contradict each other.
    #[error("{path}: {reason}", path = .path.display(), reason = plain(reason))]
    Inconsistent {
        /// The file or folder.
        path: PathBuf,
        /// The contradiction and what to do about it.
        reason: String,
    },
    /// An image is missing, empty, truncated or no image.
    #[error("image {path}: {reason}; get it again, or leave it out", path = .path.display(), reason = plain(reason))]
    Image {
        /// The image file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A split without images was asked for.
    #[error("{path}: no image belongs to the split `{split}`; see list_eval_partition.txt (0 = train, 1 = val, 2 = test)", path = .path.display())]
    EmptySplit {
        /// The data set's folder.
        path: PathBuf,
        /// The split's name.
        split: &'static str,
    },
    /// An attribute's name that is none of the 40.
    #[error("there is no attribute `{0}`; CelebA's are named like Mouth_Slightly_Open{suggestion}", suggestion = crate::attributes::suggestion(.0))]
    UnknownAttribute(String),
    /// A dataset of the hub cannot be had.
    #[error("dataset {name}: {reason}")]
    Hub {
        /// The dataset's name.
        name: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// Reading failed.
    #[error("{path}: {error}{advice}", path = .path.display(), advice = advice(error))]
    Io {
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
    /// An error of candle while a batch was made.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A reason can quote a file: no more than this of it is shown, and nothing that a terminal would
/// obey.
const LONGEST: usize = 1000;

fn plain(reason: &str) -> String {
    let short: String =
        reason.chars().take(LONGEST).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if reason.chars().nth(LONGEST).is_some() { short + "…" } else { short }
}

/// What to do about an error of the system, where that can be told.
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

/// Adds the path to an I/O error; "not found" becomes [`Error::Missing`].
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Missing(path.into()),
        _ => Error::Io { path: path.into(), error },
    }
}

/// Adds the path to an error of writing.
pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| Error::Write { path: path.into(), error }
}
