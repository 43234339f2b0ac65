//! All annotations as a polars data frame.

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use crate::annotations::{BOX, LANDMARKS};
use crate::attributes::ATTRIBUTES;
use crate::dataset::CelebA;
use crate::error::{Error, Result};
use crate::split::Split;

impl CelebA {
    /// A row for each face: `image`, `split` (train, val, test or null), the 40 attributes as
    /// booleans, and, if their files are there, `identity`, the ten landmarks and the four numbers
    /// of the bounding box.
    ///
    /// # Errors
    /// If one of these files is there but malformed.
    pub fn data_frame(&self) -> Result<DataFrame> {
        let faces = 0..self.len();
        let names: Vec<&str> = faces.clone().map(|face| self.name(face)).collect();
        let splits: Vec<Option<&str>> =
            faces.clone().map(|face| self.partition(face).map(Split::id)).collect();
        let mut columns = vec![column("image", names), column("split", splits)];
        columns.extend(ATTRIBUTES.iter().enumerate().map(|(k, name)| {
            column(name, faces.clone().map(|face| self.labels(face).has(k)).collect::<Vec<bool>>())
        }));
        if let Some(people) = unless_missing(self.identities())? {
            columns.push(column("identity", people));
        }
        if let Some(landmarks) = unless_missing(self.landmarks())? {
            columns.extend(pixel_columns(&LANDMARKS, &landmarks));
        }
        if let Some(boxes) = unless_missing(self.boxes())? {
            columns.extend(pixel_columns(&BOX, &boxes));
        }
        DataFrame::new(self.len(), columns)
            .map_err(|e| Error::Inconsistent { path: self.root().into(), reason: e.to_string() })
    }
}

/// Optional annotations may be missing, but not malformed.
fn unless_missing<T>(rows: Result<T>) -> Result<Option<T>> {
    match rows {
        Ok(rows) => Ok(Some(rows)),
        Err(Error::Missing(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

fn column<T>(name: &str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(name.into(), values).into()
}

fn pixel_columns<'a, const N: usize>(
    names: &'a [&'a str; N],
    rows: &'a [[i32; N]],
) -> impl Iterator<Item = Column> + 'a {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| column(name, rows.iter().map(|row| row[i]).collect::<Vec<i32>>()))
}
