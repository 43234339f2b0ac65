use std::path::PathBuf;

/// What can go wrong while something is drawn, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A table lacks a column, or it is of another type.
    #[error("the table has no column `{column}` of {kind}: {reason}")]
    Column {
        /// The column's name.
        column: String,
        /// What it should hold.
        kind: &'static str,
        /// What is there.
        reason: String,
    },
    /// A figure could not be drawn.
    #[error("drawing {figure}: {reason}")]
    Drawing {
        /// Which figure.
        figure: String,
        /// Why.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
