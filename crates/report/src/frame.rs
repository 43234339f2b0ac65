//! Tables as polars data frames, which are kept as CSV files. [`record!`](crate::record!) gives
//! their columns types.

use std::collections::HashSet;
use std::path::Path;

use foresee_files::write_atomic;
pub use polars::df;
use polars::prelude::{
    AnyValue, CsvReadOptions, CsvWriter, NamedFrom, SerReader, SerWriter, Series,
};
pub use polars::prelude::{Column, DataFrame, PolarsError};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::cell::Cell;
use crate::error::{Error, Result};

/// A column of this name.
pub fn column<T, P: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, P>,
{
    Series::new(name.into(), values).into()
}

/// A frame as CSV text: the names of the columns, then the rows. An empty cell is one without a
/// value; empty text is `""`.
///
/// # Errors
/// If polars fails.
pub fn csv_text(frame: &DataFrame) -> Result<String> {
    let mut bytes = vec![];
    CsvWriter::new(&mut bytes).finish(&mut frame.clone())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A frame as plain text for a terminal: columns are aligned, and numbers have four digits.
///
/// ```
/// use foresee_report::frame::{column, text};
/// use foresee_report::DataFrame;
///
/// let columns = vec![column("ranks", [2u64, 16]), column("hours", [2.95678, 0.39])];
/// let frame = DataFrame::new_infer_height(columns).map_err(foresee_report::Error::from)?;
/// assert_eq!(text(&frame)?, "ranks  hours\n    2  2.957\n   16   0.39\n");
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If polars fails.
pub fn text(frame: &DataFrame) -> Result<String> {
    let csv = csv_text(frame)?;
    let rows: Vec<Vec<String>> =
        csv.lines().map(|row| row.split(',').map(short).collect()).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..frame.width()).filter_map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    Ok(rows.iter().map(line).collect())
}

/// Text; a number with a point in four digits.
fn short(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(value) if cell.contains(['.', 'e']) && value != 0. => {
            let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{value:.digits$}");
            text.parse::<f64>().map_or(text, |value| value.to_string())
        }
        _ => cell.into(),
    }
}

/// Writes a frame as CSV; makes the folder if needed.
///
/// # Errors
/// If the file cannot be written.
pub fn write_csv(path: &Path, frame: &DataFrame) -> Result<()> {
    Ok(write_atomic(path, csv_text(frame)?.as_bytes())?)
}

/// Reads a CSV file. Every column holds text until [`values`] reads it.
///
/// # Errors
/// If the file is missing or no CSV.
pub fn read_csv(path: &Path) -> Result<DataFrame> {
    let failed = |reason: String| Error::Read { path: path.into(), reason };
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    parse(bytes).map_err(|e| failed(e.to_string()))
}

/// Reads CSV text, as [`read_csv`] does.
///
/// # Errors
/// If it is no CSV.
pub fn parse_csv(text: &str) -> Result<DataFrame> {
    Ok(parse(text.as_bytes().to_vec())?)
}

fn parse(bytes: Vec<u8>) -> std::result::Result<DataFrame, PolarsError> {
    // polars fills a row that is cut off; this reader tells it.
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
    let mut row = csv::ByteRecord::new();
    let failed = |e: csv::Error| PolarsError::ComputeError(e.to_string().into());
    if rows.read_byte_record(&mut row).map_err(failed)? {
        check_names(&row)?;
    }
    while rows.read_byte_record(&mut row).map_err(failed)? {}
    // Types are not guessed: "007" is a name, and a column of seeds may be empty.
    let options = CsvReadOptions::default().with_infer_schema_length(Some(0));
    options.into_reader_with_file_handle(std::io::Cursor::new(bytes)).finish()
}

/// Refuses a header with a name twice: polars would rename the second.
fn check_names(header: &csv::ByteRecord) -> std::result::Result<(), PolarsError> {
    let mut seen = HashSet::new();
    // Spreadsheets leave empty columns at the end.
    let mut names = header.iter().filter(|name| !name.is_empty());
    match names.find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => {
            let name = String::from_utf8_lossy(name);
            Err(PolarsError::Duplicate(format!("column `{name}` is there twice").into()))
        }
    }
}

/// The names of the columns, in order.
pub fn column_names(frame: &DataFrame) -> Vec<&str> {
    frame.get_column_names().into_iter().map(|name| name.as_str()).collect()
}

/// The values of a column of a frame that was read.
///
/// ```
/// use foresee_report::frame;
///
/// let table = frame::parse_csv("pruned,accuracy\n0,0.9\n32,\n")?;
/// assert_eq!(frame::values::<usize>(&table, "pruned")?, [0, 32]);
/// // A number that is missing reads as NaN.
/// let accuracy: Vec<f64> = frame::values(&table, "accuracy")?;
/// assert!(accuracy[0] == 0.9 && accuracy[1].is_nan());
/// let error = frame::values::<usize>(&table, "accuracy").unwrap_err().to_string();
/// assert_eq!(error, "column `accuracy`, row 1: `0.9` is not a valid whole number");
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If there is no such column, or if a cell holds something else.
pub fn values<T: Cell>(frame: &DataFrame, name: &str) -> Result<Vec<T>> {
    values_with(frame, name, T::KIND, T::parse)
}

/// The values of a column, each read by `parse` from a cell's text, which is `None` where a value
/// is missing. `kind` is what error messages call them: "number".
///
/// # Errors
/// If there is no such column, or if `parse` gives `None`.
pub fn values_with<T>(
    frame: &DataFrame,
    name: &str,
    kind: &'static str,
    parse: impl Fn(Option<&str>) -> Option<T>,
) -> Result<Vec<T>> {
    let column = frame.column(name).map_err(|_| Error::NoColumn { column: name.into() })?;
    let value = |(row, text): (usize, Option<&str>)| {
        parse(text).ok_or_else(|| Error::Cell {
            column: name.into(),
            row: row + 1,
            text: text.unwrap_or_default().into(),
            kind,
        })
    };
    column.str()?.iter().enumerate().map(value).collect()
}

/// The rows of a frame for serde: a list with an object for each row, whose fields are the columns
/// in their order. Numbers are as exact as the frame's; an empty cell is null, and so is in JSON a
/// number that is not finite.
///
/// ```
/// use foresee_report::frame::{Rows, df};
///
/// let data = df!("name" => ["a", "b"], "share" => [0.1, f64::NAN], "seed" => [Some(7u64), None])?;
/// let json = serde_json::to_string(&Rows(data))?;
/// let expected = r#"[{"name":"a","share":0.1,"seed":7},{"name":"b","share":null,"seed":null}]"#;
/// assert_eq!(json, expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rows(pub DataFrame);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.height()))?;
        for at in 0..self.0.height() {
            rows.serialize_element(&Row { frame: &self.0, at })?;
        }
        rows.end()
    }
}

/// One row of a frame.
struct Row<'a> {
    frame: &'a DataFrame,
    at: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let columns = self.frame.columns();
        let mut row = serializer.serialize_map(Some(columns.len()))?;
        for column in columns {
            let name = column.name().as_str();
            row.serialize_key(name)?;
            match column.get(self.at).map_err(S::Error::custom)? {
                AnyValue::Null => row.serialize_value(&())?,
                AnyValue::Boolean(value) => row.serialize_value(&value)?,
                AnyValue::UInt32(value) => row.serialize_value(&value)?,
                AnyValue::UInt64(value) => row.serialize_value(&value)?,
                AnyValue::Int32(value) => row.serialize_value(&value)?,
                AnyValue::Int64(value) => row.serialize_value(&value)?,
                AnyValue::Float32(value) => row.serialize_value(&value)?,
                AnyValue::Float64(value) => row.serialize_value(&value)?,
                AnyValue::String(value) => row.serialize_value(value)?,
                AnyValue::StringOwned(value) => row.serialize_value(value.as_str())?,
                other => {
                    let kind = other.dtype();
                    return Err(S::Error::custom(format!("column `{name}` holds {kind:?}")));
                }
            }
        }
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() -> Result<()> {
        let csv = "name,note\n007,\n1e3,\"\"\n";
        let frame = parse_csv(csv)?;
        assert_eq!(values::<String>(&frame, "name")?, ["007", "1e3"]);
        assert_eq!(values::<String>(&frame, "note")?, ["", ""]);
        assert_eq!(column_names(&frame), ["name", "note"]);
        Ok(())
    }

    #[test]
    fn a_row_that_is_cut_off_is_told() {
        let error = parse_csv("a,b\n1,x\n2").unwrap_err().to_string();
        assert!(error.contains("2") && error.contains("fields"), "{error}");
    }

    #[test]
    fn errors_name_the_cell() -> Result<()> {
        let error = parse_csv("a,b,a\n1,x,2\n").unwrap_err().to_string();
        assert!(error.contains("column `a` is there twice"), "{error}");
        assert!(parse_csv("a,b,,\n1,x,,\n").is_ok());
        let frame = parse_csv("a,b\n1,x\n2,y\n")?;
        let message = |e: Error| e.to_string();
        let missing = values::<f64>(&frame, "c").map_err(message);
        assert_eq!(missing, Err("there is no column `c`".into()));
        let wrong = values::<f64>(&frame, "b").map_err(message);
        assert_eq!(wrong, Err("column `b`, row 1: `x` is not a valid number".into()));
        Ok(())
    }
}
