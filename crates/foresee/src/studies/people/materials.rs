//! The items of a study: what people are shown, and what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use foresee_people::{Items, Matrix};
use foresee_report::record;

use super::choices::Shown;
use super::design::Design;
use super::rows::read_rows;
use crate::artifacts::Row;
use crate::error::{Result, input};
use crate::hash::{file_sha256, sha256};

record! {
    /// An attribute of an item.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct ItemRow {
        /// The item: those that count come first, face by face; then those for practice.
        pub item: usize,
        /// 1 for practice.
        pub practice: usize,
        /// The face's number in the data.
        pub face: usize,
        /// The place of the operation in the design.
        pub operation: usize,
        /// The attribute.
        pub attribute: String,
        /// The probability before, in percent.
        pub before: f64,
        /// The probability after, in percent.
        pub after: f64,
        /// What the contributions of this face forecast that it will be.
        pub by_contribution: f64,
        /// What the gradients forecast; missing for operations that do not only prune.
        pub by_first_order: f64,
    }
}

impl Row for ItemRow {
    const PATH: &'static str = "data/items.csv";
}

record! {
    /// A picture that is shown with an item.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct PictureRow {
        /// The item.
        pub item: usize,
        /// The arm; `face` for the face itself, which everybody sees.
        pub arm: String,
        /// The item that it really belongs to.
        pub of_item: usize,
        /// Its file in the study's folder.
        pub file: String,
    }
}

impl Row for PictureRow {
    const PATH: &'static str = "data/pictures.csv";
}

/// The name of the faces' pictures in the column `arm`.
pub(super) const FACE: &str = "face";

/// One item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OneItem {
    pub operation: usize,
    /// Of each attribute that is asked for, in percent.
    pub before: Vec<f64>,
    pub after: Vec<f64>,
    pub by_contribution: Vec<f64>,
    pub by_first_order: Vec<f64>,
}

/// The items of a study with their pictures.
pub struct Materials {
    /// Those that count, then those for practice.
    pub(super) items: Vec<OneItem>,
    /// By item and arm.
    pictures: BTreeMap<(usize, String), String>,
    /// Files' contents.
    files: BTreeMap<String, Vec<u8>>,
}

impl Materials {
    /// Reads the materials of the study in a folder.
    ///
    /// # Errors
    /// If a file is missing, or is not the one that the design was made with.
    pub fn read(study: &Path, design: &Design) -> Result<Self> {
        let made = [ItemRow::PATH, PictureRow::PATH];
        if design.materials_sha256.len() != made.len() {
            return Err(input("design.toml: materials_sha256 has two hashes"));
        }
        for (file, hash) in made.iter().zip(&design.materials_sha256) {
            if file_sha256(&study.join(file))? != *hash {
                return Err(input(format!(
                    "{}: {file} is not the one that the design was made with",
                    study.display()
                )));
            }
        }
        let rows = read_rows::<ItemRow>(study)?;
        let pictures = read_rows::<PictureRow>(study)?;
        let mut files = BTreeMap::new();
        for picture in &pictures {
            if !files.contains_key(&picture.file) {
                let path = study.join(&picture.file);
                let bytes = std::fs::read(&path)
                    .map_err(|e| input(format!("{} cannot be read: {e}", path.display())))?;
                files.insert(picture.file.clone(), bytes);
            }
        }
        check(&rows, &pictures, design)?;
        let by_item = |picture: PictureRow| ((picture.item, picture.arm), picture.file);
        Ok(Self {
            items: items(&rows, design),
            pictures: pictures.into_iter().map(by_item).collect(),
            files,
        })
    }

    /// The picture of an item, if there is one.
    pub(super) fn picture(&self, item: usize, arm: &str) -> Option<&[u8]> {
        let file = self.pictures.get(&(item, arm.to_owned()))?;
        self.files.get(file).map(Vec::as_slice)
    }

    /// By how much each attribute changes in the items that count, in percentage points.
    pub(super) fn observed(&self, design: &Design) -> Items {
        let operations = design.choices.operations.len();
        Items {
            observed: self.changes(design, |item| &item.after),
            faces: (0..design.choices.faces * operations).map(|item| item / operations).collect(),
            least_change: design.choices.least_change,
        }
    }

    /// By how much something says that each attribute changes, in the items that count.
    pub(super) fn changes<'a>(
        &'a self,
        design: &Design,
        of: impl Fn(&'a OneItem) -> &'a Vec<f64>,
    ) -> Matrix {
        let counted = design.choices.faces * design.choices.operations.len();
        let change = |item: &'a OneItem| {
            of(item).iter().zip(&item.before).map(|(after, before)| after - before).collect()
        };
        Matrix::from_rows(&self.items[..counted].iter().map(change).collect::<Vec<_>>())
    }
}

/// Where a picture is kept: under the hash of what it holds.
pub(super) fn picture_file(bytes: &[u8]) -> String {
    format!("materials/{}.png", &sha256(bytes)[..16])
}

/// Makes sure that the design is still of these items.
fn check(rows: &[ItemRow], pictures: &[PictureRow], design: &Design) -> Result<()> {
    let operations = design.choices.operations.len();
    let counted = design.choices.faces * operations;
    let asked = &design.asked_attributes;
    let expected = |(i, row): (usize, &ItemRow)| {
        let item = i / asked.len();
        let (face, operation) = match item.checked_sub(counted) {
            None => (design.test_faces[item / operations], item % operations),
            Some(place) => (*design.practice_faces.get(place)?, place % operations),
        };
        let practice = usize::from(item >= counted);
        let found = (row.item, row.practice, row.face, row.operation, &row.attribute);
        (found == (item, practice, face, operation, &asked[i % asked.len()])).then_some(())
    };
    let items = counted + design.choices.practice;
    let shown: BTreeSet<(usize, &str)> = pictures.iter().map(|p| (p.item, &*p.arm)).collect();
    let has_all = |arm: &str| (0..items).all(|item| shown.contains(&(item, arm)));
    let arms = design.choices.arms.iter().filter(|arm| arm.shown != Shown::Nothing);
    let fits = rows.len() == items * asked.len()
        && rows.iter().enumerate().all(|row| expected(row).is_some())
        && has_all(FACE)
        && arms.map(ToString::to_string).all(|arm| has_all(&arm));
    match fits {
        true => Ok(()),
        false => Err(input(
            "design.toml names other faces, attributes, operations or arms than the items were \
             made for: put it back, or make a new study",
        )),
    }
}

fn items(rows: &[ItemRow], design: &Design) -> Vec<OneItem> {
    let asked = design.asked_attributes.len();
    let of_item = |rows: &[ItemRow]| {
        let column = |of: fn(&ItemRow) -> f64| rows.iter().map(of).collect::<Vec<_>>();
        OneItem {
            operation: rows[0].operation,
            before: column(|row| row.before),
            after: column(|row| row.after),
            by_contribution: column(|row| row.by_contribution),
            by_first_order: column(|row| row.by_first_order),
        }
    };
    rows.chunks_exact(asked).map(of_item).collect()
}
