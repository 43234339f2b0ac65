//! Planes of pixels as rows of a CSV file.

use crate::cell::Cell;
use crate::error::{Error, Result};
use crate::frame::{self, DataFrame};
use crate::record::Record;

/// Planes of pixels, such as masks or the colours of images. The table has a row for each row of
/// pixels: its place `y`, the columns of its plane's label, then the values `x0`, `x1`, … with four
/// digits after the decimal point.
///
/// ```
/// use foresee_report::{PlaneTable, frame, record};
///
/// record! {
///     /// What a mask is of.
///     #[derive(Debug, PartialEq)]
///     pub struct MaskLabel {
///         /// File name of the face.
///         pub face: String,
///         /// The channel.
///         pub channel: usize,
///     }
/// }
///
/// let mut masks = PlaneTable::new(2);
/// masks.push(MaskLabel { face: "7.jpg".into(), channel: 12 }, &[0., 1., 0.25, 0.33333]);
/// let csv = frame::csv_text(&masks.to_frame()?)?;
/// assert_eq!(csv, "y,face,channel,x0,x1\n0,7.jpg,12,0.0,1.0\n1,7.jpg,12,0.25,0.3333\n");
/// assert_eq!(PlaneTable::from_frame(&frame::parse_csv(&csv)?)?, masks);
/// # Ok::<(), foresee_report::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PlaneTable<L> {
    /// How many pixels a row has.
    pub width: usize,
    /// The planes.
    pub planes: Vec<Plane<L>>,
}

/// A plane of pixels with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane<L> {
    /// What the plane shows.
    pub label: L,
    /// The values, row by row.
    pub values: Vec<f64>,
}

impl<L> PlaneTable<L> {
    /// A table without planes; each will be so many pixels wide.
    pub fn new(width: usize) -> Self {
        Self { width, planes: vec![] }
    }

    /// Adds a plane, whose values are given row by row and rounded to four digits after the decimal
    /// point.
    pub fn push(&mut self, label: L, values: &[f32]) {
        let rounded = values.iter().map(|&value| (f64::from(value) * 1e4).round() / 1e4);
        self.planes.push(Plane { label, values: rounded.collect() });
    }
}

impl<L: Record> PlaneTable<L> {
    /// The columns `y`, those of the labels, then `x0`, `x1`, ….
    ///
    /// # Errors
    /// If a plane is no whole number of rows, or if a label has one of the other columns.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let width = self.width.max(1);
        if let Some(plane) = self.planes.iter().find(|p| !p.values.len().is_multiple_of(width)) {
            let pixels = plane.values.len();
            return Err(Error::Shape(format!("a plane of {pixels} pixels has no rows of {width}")));
        }
        let rows = self.planes.iter().flat_map(|plane| {
            let rows = plane.values.chunks_exact(width).enumerate();
            rows.map(move |(y, values)| (y, &plane.label, values))
        });
        let rows: Vec<(usize, &L, &[f64])> = rows.collect();
        let labels: Vec<&L> = rows.iter().map(|(_, label, _)| *label).collect();
        let mut columns = vec![usize::column("y", rows.iter().map(|(y, ..)| y))];
        columns.extend(L::columns(&labels));
        for x in 0..self.width {
            let values = rows.iter().map(|(.., values)| &values[x]);
            columns.push(f64::column(&format!("x{x}"), values));
        }
        Ok(DataFrame::new(rows.len(), columns)?)
    }

    /// Reads planes; each begins with y = 0 and has the label of its first row.
    ///
    /// # Errors
    /// If a column is missing, if a cell does not hold its column's type, or if a row of pixels is
    /// missing.
    pub fn from_frame(frame: &DataFrame) -> Result<Self> {
        let is_pixel = |name: &&str| {
            name.strip_prefix('x').is_some_and(|x| x.parse::<usize>().is_ok())
                && !L::COLUMNS.contains(name)
        };
        let width = frame::column_names(frame).into_iter().filter(is_pixel).count();
        let columns = (0..width)
            .map(|x| frame::values(frame, &format!("x{x}")))
            .collect::<Result<Vec<Vec<f64>>>>()?;
        let mut table = Self::new(width);
        let mut next = 0;
        let places = frame::values::<usize>(frame, "y")?;
        for (row, (label, y)) in L::from_frame(frame)?.into_iter().zip(places).enumerate() {
            if y == 0 {
                table.planes.push(Plane { label, values: vec![] });
            } else if y != next {
                let row = row + 1;
                return Err(Error::Shape(format!("row {row} has y = {y}, not {next}")));
            }
            next = y + 1;
            if let Some(plane) = table.planes.last_mut() {
                plane.values.extend(columns.iter().map(|column| column[row]));
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::record! {
        #[derive(Debug, Clone, PartialEq)]
        struct Label {
            xylophone: i64,
            x: String,
        }
    }

    fn label(xylophone: i64) -> Label {
        Label { xylophone, x: "é, \"".into() }
    }

    #[test]
    fn planes_may_have_different_heights() -> Result<()> {
        let mut table = PlaneTable::new(3);
        table.push(label(-1), &[0., 1., 2., 3., 4., 5.]);
        table.push(label(0), &[0.00004, 0.00006, -1.5]);
        let csv = frame::csv_text(&table.to_frame()?)?;
        assert_eq!(
            csv,
            "y,xylophone,x,x0,x1,x2\n\
             0,-1,\"é, \"\"\",0.0,1.0,2.0\n\
             1,-1,\"é, \"\"\",3.0,4.0,5.0\n\
             0,0,\"é, \"\"\",0.0,0.0001,-1.5\n"
        );
        assert_eq!(PlaneTable::from_frame(&frame::parse_csv(&csv)?)?, table);
        Ok(())
    }

    #[test]
    fn a_missing_row_of_pixels_is_an_error() -> Result<()> {
        for (text, expected) in [
            ("y,xylophone,x,x0\n1,0,a,0.5\n", "row 1 has y = 1, not 0"),
            ("y,xylophone,x,x0\n0,0,a,0.5\n2,0,a,0.5\n", "row 2 has y = 2, not 1"),
            ("y,xylophone,x,x1\n0,0,a,0.5\n", "there is no column `x0`"),
        ] {
            let error = PlaneTable::<Label>::from_frame(&frame::parse_csv(text)?).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        let mut table = PlaneTable::new(3);
        table.push(label(0), &[0.; 4]);
        assert!(table.to_frame().is_err());
        Ok(())
    }
}
