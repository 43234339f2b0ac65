//! Columns of one parquet file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::SerializedPageReader;

use super::shared_file::SharedFile;
use crate::error::{Error, Result, reading};

/// A row group larger than this is refused, because it would not fit in memory.
pub(super) const MAX_GROUP_BYTES: usize = 1 << 30;
/// Rows of a row group at most.
const MAX_ROWS: i64 = 1 << 20;
/// What to do with a dataset of other columns or values.
pub(super) const ADVICE: &str =
    "take a dataset with CelebA's columns, such as tpremoli/CelebA-attrs";

/// An open parquet file. A column is its index among the leaves of the schema.
pub(super) struct ParquetFile {
    pub path: PathBuf,
    /// A number that another file most likely does not have.
    pub fingerprint: u64,
    file: SharedFile,
    metadata: ParquetMetaData,
}

impl ParquetFile {
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |reason: String| Error::Inconsistent {
            path: path.into(),
            reason: format!("is not a complete parquet file ({reason}); download it again"),
        };
        let file = SharedFile::open(path)?;
        let metadata =
            guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file)).map_err(damaged)?;
        for (number, group) in metadata.row_groups().iter().enumerate() {
            let rows = group.num_rows();
            if !(0..=MAX_ROWS).contains(&rows)
                || group.columns().iter().any(|column| {
                    // Lists, which are not read, have other numbers of values.
                    column.column_descr().max_rep_level() == 0 && column.num_values() != rows
                })
            {
                return Err(damaged(format!(
                    "row group {number} tells {rows} rows, which its columns do not have"
                )));
            }
        }
        let fingerprint = file.fingerprint().map_err(reading(path))?;
        Ok(Self { path: path.into(), fingerprint, file, metadata })
    }

    pub fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    pub fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or_default()
    }

    /// Bytes of a column in a row group when it is decompressed.
    pub fn decompressed_size(&self, group: usize, column: usize) -> usize {
        let size = self.metadata.row_group(group).column(column).uncompressed_size();
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// A column by its path. Case does not matter, and a space may stand for an underscore.
    pub fn find(&self, path: &str) -> Option<usize> {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        columns.iter().position(|c| c.path().string().replace(' ', "_").eq_ignore_ascii_case(path))
    }

    /// A column that must be there; `meaning` says what it would hold.
    pub fn find_required(&self, path: &str, name: &str, meaning: &str) -> Result<usize> {
        self.find(path).ok_or_else(|| {
            let columns = self.metadata.file_metadata().schema_descr().columns();
            let known: Vec<String> = columns.iter().map(|c| c.path().string()).collect();
            self.error(format!(
                "has no column `{name}` ({meaning}); its columns are {}; {ADVICE}",
                known.join(", ")
            ))
        })
    }

    /// An error of this file.
    pub fn error(&self, reason: String) -> Error {
        Error::Inconsistent { path: self.path.clone(), reason }
    }

    fn reader(&self, group: usize, column: usize) -> parquet::errors::Result<ColumnReader> {
        let group = self.metadata.row_group(group);
        let column = group.column(column);
        let file = Arc::new(self.file.clone());
        let rows = usize::try_from(group.num_rows())?;
        let pages = SerializedPageReader::new(file, column, rows, None)?;
        Ok(get_column_reader(column.column_descr_ptr(), Box::new(pages)))
    }

    /// A column of numbers or booleans, of which none may be missing. An error says what is wrong
    /// with the column.
    pub fn numbers(&self, group: usize, column: usize) -> std::result::Result<Vec<i64>, String> {
        let rows = self.rows(group);
        let mut levels = vec![];
        macro_rules! read_all {
            ($reader:expr, $convert:expr) => {{
                let mut values = Vec::new();
                // One more than there should be, so that surplus values are noticed.
                $reader.read_records(rows + 1, Some(&mut levels), None, &mut values)?;
                values.into_iter().map($convert).collect::<Vec<i64>>()
            }};
        }
        let values = guarded(|| {
            Ok(match self.reader(group, column)? {
                ColumnReader::BoolColumnReader(mut reader) => read_all!(reader, i64::from),
                ColumnReader::Int32ColumnReader(mut reader) => read_all!(reader, i64::from),
                ColumnReader::Int64ColumnReader(mut reader) => read_all!(reader, |v| v),
                _ => {
                    return Err(ParquetError::General(format!(
                        "is of a type that is neither true or false nor a whole number; {ADVICE}"
                    )));
                }
            })
        })?;
        if values.len() != rows {
            return Err(format!(
                "has {} values in a row group of {rows} rows; download the file again, or fill in \
                 what is missing",
                values.len()
            ));
        }
        Ok(values)
    }

    /// A column of texts or bytes; `None` where a value is missing. An error says what is wrong
    /// with the column.
    pub fn bytes(
        &self,
        group: usize,
        column: usize,
    ) -> std::result::Result<Vec<Option<Vec<u8>>>, String> {
        let rows = self.rows(group);
        guarded(|| {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.reader(group, column)?
            else {
                return Err(ParquetError::General("does not hold bytes".into()));
            };
            let descriptor = self.metadata.row_group(group).column(column).column_descr();
            let present = descriptor.max_def_level();
            let mut out: Vec<Option<Vec<u8>>> = vec![];
            let mut total = 0;
            loop {
                // Few at a time: each value keeps its page in memory until it is copied.
                let mut levels: Vec<i16> = vec![];
                let mut values: Vec<ByteArray> = vec![];
                let (records, _, _) =
                    reader.read_records(64, Some(&mut levels), None, &mut values)?;
                if records == 0 || out.len() > rows {
                    break;
                }
                total += values.iter().map(|v| v.data().len()).sum::<usize>();
                if total > MAX_GROUP_BYTES {
                    return Err(ParquetError::General(format!(
                        "holds more than {MAX_GROUP_BYTES} bytes in a row group of {rows} rows"
                    )));
                }
                let mut values = values.into_iter().map(|v| v.data().to_vec());
                if levels.is_empty() {
                    out.extend(values.map(Some));
                } else {
                    let value = |level| if level == present { values.next() } else { None };
                    out.extend(levels.into_iter().map(value));
                }
            }
            if out.len() != rows {
                return Err(ParquetError::General(format!(
                    "has {} values in a row group of {rows} rows",
                    out.len()
                )));
            }
            Ok(out)
        })
    }
}

/// Turns panics of the parquet library, which damaged pages cause, into errors. The program's panic
/// hook still sees them.
fn guarded<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> std::result::Result<T, String> {
    let result =
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| "a page is damaged".to_owned())?;
    result.map_err(|e| match e {
        ParquetError::General(reason) => reason,
        e => e.to_string(),
    })
}
