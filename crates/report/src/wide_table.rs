//! Records with further columns whose names are known at run time only.

use crate::cell::Cell;
use crate::error::{Error, Result};
use crate::frame::{self, DataFrame};
use crate::record::Record;

/// Rows of a record's columns, followed by further columns of one type, such as one for each
/// attribute.
///
/// ```
/// use foresee_report::{WideTable, frame, record};
///
/// record! {
///     /// A point of Figure 7.
///     pub struct PruningPoint {
///         /// How many channels were pruned.
///         pub pruned: usize,
///     }
/// }
///
/// let mut table = WideTable::new(["Smiling", "Male"]);
/// table.rows.push((PruningPoint { pruned: 32 }, vec![0.9, 0.8]));
/// let csv = frame::csv_text(&table.to_frame()?)?;
/// assert_eq!(csv, "pruned,Smiling,Male\n32,0.9,0.8\n");
/// let read: WideTable<PruningPoint> = WideTable::from_frame(&frame::parse_csv(&csv)?)?;
/// assert_eq!(read.column("Male"), Some(vec![0.8]));
/// # Ok::<(), foresee_report::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WideTable<R, T = f64> {
    /// The names of the further columns.
    pub names: Vec<String>,
    /// Each row's record, and its cells in the further columns.
    pub rows: Vec<(R, Vec<T>)>,
}

impl<R, T> WideTable<R, T> {
    /// A table without rows.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), rows: vec![] }
    }
}

impl<R: Record, T: Cell + Clone> WideTable<R, T> {
    /// The cells of one of the further columns.
    pub fn column(&self, name: &str) -> Option<Vec<T>> {
        let at = self.names.iter().position(|other| other == name)?;
        self.rows.iter().map(|(_, cells)| cells.get(at).cloned()).collect()
    }

    /// The record's columns, then the further ones.
    ///
    /// # Errors
    /// If a row has not a cell for each name, or two columns have the same name.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let further = self.names.len();
        if let Some((_, cells)) = self.rows.iter().find(|row| row.1.len() != further) {
            let cells = cells.len();
            return Err(Error::Shape(format!("a row has {cells} cells for {further} columns")));
        }
        let records: Vec<&R> = self.rows.iter().map(|(record, _)| record).collect();
        let mut columns = R::columns(&records);
        for (at, name) in self.names.iter().enumerate() {
            columns.push(T::column(name, self.rows.iter().map(|row| &row.1[at])));
        }
        Ok(DataFrame::new(self.rows.len(), columns)?)
    }

    /// Reads a table. All columns that are not the record's are further columns.
    ///
    /// # Errors
    /// If a column of the record is missing, or if a cell does not hold its column's type.
    pub fn from_frame(frame: &DataFrame) -> Result<Self> {
        let names = frame::column_names(frame);
        let mut table = Self::new(names.into_iter().filter(|name| !R::COLUMNS.contains(name)));
        let mut columns = vec![];
        for name in &table.names {
            columns.push(frame::values::<T>(frame, name)?.into_iter());
        }
        for record in R::from_frame(frame)? {
            let cells = columns.iter_mut().filter_map(Iterator::next).collect();
            table.rows.push((record, cells));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::record! {
        #[derive(Debug, Clone, PartialEq)]
        struct Image {
            image: String,
        }
    }

    #[test]
    fn all_further_columns_are_read_in_their_order() -> Result<()> {
        let read = frame::parse_csv("b,image,a\n1,7.jpg,2\n3,8.jpg,4\n")?;
        let table = WideTable::<Image, i64>::from_frame(&read)?;
        assert_eq!(table.names, ["b", "a"]);
        assert_eq!(table.rows[1], (Image { image: "8.jpg".into() }, vec![3, 4]));
        let csv = frame::csv_text(&table.to_frame()?)?;
        assert_eq!(csv, "image,b,a\n7.jpg,1,2\n8.jpg,3,4\n");
        assert_eq!(table.column("c"), None);
        Ok(())
    }

    #[test]
    fn a_row_has_a_cell_for_each_name() {
        let mut table = WideTable::new(["a", "b"]);
        table.rows.push((Image { image: "7.jpg".into() }, vec![1.]));
        let error = table.to_frame().expect_err("a cell is missing").to_string();
        assert_eq!(error, "a row has 1 cells for 2 columns");
    }
}
