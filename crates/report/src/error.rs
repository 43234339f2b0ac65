use std::path::PathBuf;

/// What can go wrong while something is drawn, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be written. The message names the path.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// A file could not be read, or it is no CSV.
    #[error("{path}: {reason}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A table lacks a column.
    #[error("there is no column `{column}`")]
    NoColumn {
        /// The column's name.
        column: String,
    },
    /// A cell holds something else than its column should.
    #[error("column `{column}`, row {row}: `{text}` is not a valid {kind}")]
    Cell {
        /// The column's name.
        column: String,
        /// The row, counted from 1 below the names of the columns.
        row: usize,
        /// The cell's text.
        text: String,
        /// What it should be.
        kind: &'static str,
    },
    /// The rows and columns of a table do not fit together.
    #[error("{0}")]
    Shape(String),
    /// An error of polars.
    #[error(transparent)]
    Polars(#[from] polars::prelude::PolarsError),
    /// A style is not possible.
    #[error("{0}")]
    Style(String),
    /// A font cannot be used.
    #[error("font {name}: {reason}")]
    Font {
        /// The name that was asked for.
        name: String,
        /// Why.
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

impl Error {
    pub(crate) fn font(name: &str, reason: String) -> Self {
        Self::Font { name: name.into(), reason }
    }
}
