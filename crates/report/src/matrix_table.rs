//! A matrix with named rows and columns.

use crate::cell::Cell;
use crate::error::{Error, Result};
use crate::frame::{self, DataFrame};

/// A matrix with named rows and columns.
///
/// ```
/// use foresee_report::{MatrixTable, frame};
///
/// let matrix = MatrixTable {
///     corner: "attribute".into(),
///     row_names: vec!["Smiling".into(), "Male".into()],
///     column_names: vec!["c0".into(), "c1".into()],
///     rows: vec![vec![0.5, 0.25], vec![1., 0.]],
/// };
/// let csv = frame::csv_text(&matrix.to_frame()?)?;
/// assert_eq!(csv, "attribute,c0,c1\nSmiling,0.5,0.25\nMale,1.0,0.0\n");
/// assert_eq!(MatrixTable::from_frame(&frame::parse_csv(&csv)?, "attribute")?, matrix);
/// # Ok::<(), foresee_report::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixTable {
    /// The name of the column that holds the rows' names.
    pub corner: String,
    /// The rows' names.
    pub row_names: Vec<String>,
    /// The columns' names.
    pub column_names: Vec<String>,
    /// The entries, row by row.
    pub rows: Vec<Vec<f64>>,
}

impl MatrixTable {
    /// The rows' names as a column, then a column for each of the matrix.
    ///
    /// # Errors
    /// If the names are not as many as rows and columns, or if two columns have the same name.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let width = self.column_names.len();
        if let Some(row) = self.rows.iter().find(|row| row.len() != width) {
            let entries = row.len();
            return Err(Error::Shape(format!("a row has {entries} entries for {width} columns")));
        }
        let mut columns = vec![String::column(&self.corner, self.row_names.iter())];
        for (at, name) in self.column_names.iter().enumerate() {
            columns.push(f64::column(name, self.rows.iter().map(|row| &row[at])));
        }
        Ok(DataFrame::new(self.row_names.len(), columns)?)
    }

    /// Reads a matrix whose rows' names are in the column `corner`; all others are the matrix's.
    ///
    /// # Errors
    /// If there is no such column, or if an entry is no number.
    pub fn from_frame(frame: &DataFrame, corner: &str) -> Result<Self> {
        let row_names: Vec<String> = frame::values(frame, corner)?;
        let names = frame::column_names(frame).into_iter();
        let column_names: Vec<String> =
            names.filter(|name| *name != corner).map(String::from).collect();
        let mut rows = vec![Vec::with_capacity(column_names.len()); row_names.len()];
        for name in &column_names {
            for (row, value) in rows.iter_mut().zip(frame::values(frame, name)?) {
                row.push(value);
            }
        }
        Ok(Self { corner: corner.into(), row_names, column_names, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: Vec<Vec<f64>>) -> MatrixTable {
        let names = |names: [&str; 2]| names.map(String::from).to_vec();
        MatrixTable {
            corner: "row".into(),
            row_names: names(["a", "b"]),
            column_names: names(["c", "d"]),
            rows,
        }
    }

    #[test]
    fn names_and_entries_must_agree() {
        for rows in [vec![vec![1., 2.]], vec![vec![1., 2.], vec![3.]], vec![vec![1., 2., 3.]; 2]] {
            assert!(matrix(rows).to_frame().is_err());
        }
    }

    #[test]
    fn what_is_missing_is_nan() -> Result<()> {
        let frame = frame::parse_csv("row,c,d\na,1,\nb,0.1,1e-7\n")?;
        let read = MatrixTable::from_frame(&frame, "row")?;
        assert!(read.rows[0][1].is_nan());
        assert_eq!(read.rows[1], [0.1, 1e-7]);
        let error = MatrixTable::from_frame(&frame, "corner").expect_err("another corner");
        assert_eq!(error.to_string(), "there is no column `corner`");
        Ok(())
    }
}
