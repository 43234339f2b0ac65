//! All annotations as a polars frame.

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use crate::annotations::{BOX, LANDMARKS};
use crate::attributes::ATTRIBUTES;
use crate::dataset::CelebA;
use crate::error::{Error, Result};

impl CelebA {
    /// A row for each face: `image`, `split` (train, val, test, or nothing), the 40 attributes as
    /// booleans, and, where their files are there, `identity`, the ten landmarks and the four
    /// numbers of the box.
    ///
    /// # Errors
    /// If one of these files is there and wrong.
    pub fn frame(&self) -> Result<DataFrame> {
        let faces = 0..self.len();
        let names: Vec<&str> = faces.clone().map(|face| self.name(face)).collect();
        let splits: Vec<Option<&str>> = faces
            .clone()
            .map(|face| ["train", "val", "test"].get(usize::from(self.part(face))).copied())
            .collect();
        let mut columns = vec![series("image", names), series("split", splits)];
        columns.extend(ATTRIBUTES.iter().enumerate().map(|(k, name)| {
            series(name, faces.clone().map(|face| self.labels(face).has(k)).collect::<Vec<bool>>())
        }));
        columns.extend(there(self.identities())?.map(|people| series("identity", people)));
        columns
            .extend(there(self.landmarks())?.iter().flat_map(|points| numbers(&LANDMARKS, points)));
        columns.extend(there(self.boxes())?.iter().flat_map(|boxes| numbers(&BOX, boxes)));
        DataFrame::new(self.len(), columns)
            .map_err(|e| Error::Inconsistent { path: self.root().into(), reason: e.to_string() })
    }
}

/// Annotations that may be missing, but not wrong.
fn there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(rows) => Ok(Some(rows)),
        Err(Error::Missing(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

fn series<T>(name: &str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(name.into(), values).into()
}

fn numbers<'a, const N: usize>(
    names: &'a [&'a str; N],
    rows: &'a [[i32; N]],
) -> impl Iterator<Item = Column> + 'a {
    names
        .iter()
        .enumerate()
        .map(|(at, name)| series(name, rows.iter().map(|row| row[at]).collect::<Vec<i32>>()))
}
