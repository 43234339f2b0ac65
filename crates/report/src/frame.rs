//! The numbers behind figures and tables: polars frames as CSV files.

use std::io::Write;
use std::path::Path;

pub use polars::df;
use polars::prelude::{
    Column, CsvReadOptions, CsvWriter, DataType, NamedFrom, SerReader, SerWriter, Series,
};
pub use polars::prelude::{DataFrame, PolarsError};

use crate::error::{Error, Result};

/// A column of this name.
pub fn column<T, P: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, P>,
{
    Series::new(name.into(), values).into()
}

/// Writes a frame as CSV, beside its place and then renamed; makes the folder if needed.
///
/// # Errors
/// If the file cannot be written.
pub fn write_csv(path: &Path, mut frame: DataFrame) -> Result<()> {
    let mut bytes = vec![];
    CsvWriter::new(&mut bytes).finish(&mut frame).map_err(|e| file(path, e))?;
    write_whole(path, &bytes)
}

/// Reads a CSV file.
///
/// # Errors
/// If the file is missing or no CSV.
pub fn read_csv(path: &Path) -> Result<DataFrame> {
    let bytes = std::fs::read(path).map_err(|e| file(path, e))?;
    parse(bytes).map_err(|e| file(path, e))
}

/// Reads CSV text.
///
/// # Errors
/// If it is no CSV.
pub fn parse_csv(text: &str) -> Result<DataFrame> {
    parse(text.as_bytes().to_vec()).map_err(|e| file(Path::new("embedded table"), e))
}

fn parse(bytes: Vec<u8>) -> std::result::Result<DataFrame, PolarsError> {
    let options = CsvReadOptions::default().with_infer_schema_length(None);
    options.into_reader_with_file_handle(std::io::Cursor::new(bytes)).finish()
}

/// A column as numbers; what is missing is NaN.
///
/// # Errors
/// If there is no such column, or it holds something else.
pub fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    let wrong = |e: PolarsError| Error::Column {
        column: name.into(),
        kind: "numbers",
        reason: e.to_string(),
    };
    let column =
        frame.column(name).map_err(wrong)?.strict_cast(&DataType::Float64).map_err(wrong)?;
    Ok(column.f64().map_err(wrong)?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// A column as text.
///
/// # Errors
/// If there is no such column.
pub fn texts(frame: &DataFrame, name: &str) -> Result<Vec<String>> {
    let wrong =
        |e: PolarsError| Error::Column { column: name.into(), kind: "text", reason: e.to_string() };
    let column = frame.column(name).map_err(wrong)?.cast(&DataType::String).map_err(wrong)?;
    Ok(column.str().map_err(wrong)?.iter().map(|v| v.unwrap_or_default().to_owned()).collect())
}

/// All columns after the first `skip` as rows of numbers: a matrix with named rows.
///
/// # Errors
/// If a column holds something else.
pub fn rows(frame: &DataFrame, skip: usize) -> Result<Vec<Vec<f64>>> {
    let names: Vec<String> =
        frame.get_column_names().iter().skip(skip).map(|name| name.to_string()).collect();
    let columns = names.iter().map(|name| numbers(frame, name)).collect::<Result<Vec<_>>>()?;
    Ok((0..frame.height()).map(|r| columns.iter().map(|column| column[r]).collect()).collect())
}

fn file(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::File { path: path.into(), reason: reason.to_string() }
}

/// Writes a file beside its place, then renames it: it is there whole or not at all. Makes the
/// folder if needed.
///
/// # Errors
/// If the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| file(folder, e))?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut staging = builder.tempfile_in(folder).map_err(|e| file(folder, e))?;
    staging.write_all(bytes).map_err(|e| file(path, e))?;
    staging.as_file().sync_all().map_err(|e| file(path, e))?;
    staging.persist(path).map_err(|e| file(path, e.error))?;
    // So that a power failure does not take the new name back. Not every file system can.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
