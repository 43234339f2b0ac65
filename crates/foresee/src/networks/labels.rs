//! What is on the images: a class each, or a yes or no for each output.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_report::DataFrame;
use foresee_report::frame;
use foresee_stats::Matrix;

use super::classes::Classes;
use super::images::ImageList;
use crate::error::{Result, input};
use crate::hash::sha256;

/// The column of the images' names, and those of their classes.
const IMAGE: &str = "image";
const CLASS: [&str; 2] = ["label", "class"];

/// What is on each image of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Labels {
    /// One of the classes, for networks whose greatest output is the answer.
    Classes(Vec<usize>),
    /// A yes or no for each output, for networks whose outputs above 0 are a yes.
    Attributes(Vec<Vec<bool>>),
}

impl Labels {
    /// Reads a CSV file: `image,label` with a class by its name or its number from 0; or `image`
    /// and a column of 0 and 1 for each output. Rows of other images are left out.
    ///
    /// # Errors
    /// If the file cannot be read, a row or a column does not fit, or an image has no row.
    pub fn read(path: &Path, images: &ImageList, classes: &Classes) -> Result<Self> {
        let failed = |reason: String| input(format!("--labels {}: {reason}", path.display()));
        let frame = frame::read_csv(path).map_err(|e| failed(e.to_string()))?;
        let rows = rows_of(&frame, images).map_err(failed)?;
        let columns = frame::column_names(&frame);
        match CLASS.into_iter().find(|column| columns.contains(column)) {
            Some(column) => of_classes(&frame, column, &rows, classes).map_err(failed),
            None => of_attributes(&frame, &rows, classes).map_err(failed),
        }
    }

    /// The folder that an image lies in is its class. Without names of classes, the folders are the
    /// classes, in the order of their names.
    ///
    /// # Errors
    /// If an image lies in no folder, or the folders are not the classes.
    pub fn of_folders(images: &ImageList, classes: &Classes) -> Result<Self> {
        let failed = |reason: String| {
            input(format!("--labels folders: {}: {reason}", images.source().display()))
        };
        let folder = |image: usize| {
            let (folder, _) = images.name(image).split_once('/')?;
            Some(folder)
        };
        let folders = (0..images.len()).map(|image| {
            folder(image).ok_or_else(|| failed(format!("{} is in no folder", images.name(image))))
        });
        let folders: Vec<&str> = folders.collect::<Result<_>>()?;
        if classes.are_named() {
            let found = folders.iter().map(|name| classes.find(name).map_err(failed));
            return Ok(Self::Classes(found.collect::<Result<_>>()?));
        }
        let mut names = folders.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != classes.len() {
            return Err(failed(format!(
                "has {} folders, but the network has {} outputs; name the outputs with --classes",
                names.len(),
                classes.len()
            )));
        }
        let place = |name: &&str| names.binary_search(name).unwrap_or_default();
        Ok(Self::Classes(folders.iter().map(place).collect()))
    }

    /// Classes `[B]` or labels [B, K] of some images.
    ///
    /// # Errors
    /// If candle fails.
    pub fn tensor(&self, images: &[usize]) -> Result<Tensor> {
        Ok(match self {
            Self::Classes(classes) => {
                let classes: Vec<u32> = images.iter().map(|&i| classes[i] as u32).collect();
                Tensor::from_vec(classes, images.len(), &Device::Cpu)?
            }
            Self::Attributes(rows) => {
                let of_image = |&i: &usize| rows[i].iter().map(|&is| f32::from(u8::from(is)));
                let values: Vec<f32> = images.iter().flat_map(of_image).collect();
                let outputs = values.len() / images.len().max(1);
                Tensor::from_vec(values, (images.len(), outputs), &Device::Cpu)?
            }
        })
    }

    /// Whether outputs are answered yes or no each.
    pub fn are_attributes(&self) -> bool {
        matches!(self, Self::Attributes(_))
    }

    /// The accuracy of answers [images, K] to all images. Of equal answers the first counts.
    pub fn accuracy(&self, answers: &Matrix) -> f64 {
        let share = |right: usize, all: usize| right as f64 / all.max(1) as f64;
        let rows = 0..answers.rows();
        match self {
            Self::Classes(classes) => {
                let right = rows.filter(|&i| greatest(answers.row(i)) == classes[i]).count();
                share(right, answers.rows())
            }
            Self::Attributes(labels) => {
                let of_row = |i: usize| {
                    let pairs = answers.row(i).iter().zip(&labels[i]);
                    pairs.filter(|(answer, is)| (**answer > 0.) == **is).count()
                };
                share(rows.map(of_row).sum(), answers.rows() * answers.columns())
            }
        }
    }

    /// The accuracy of always answering what most of these images have.
    pub fn majority_accuracy(&self) -> f64 {
        let share = |count: usize, all: usize| count as f64 / all.max(1) as f64;
        match self {
            Self::Classes(classes) => {
                let mut counts = BTreeMap::new();
                classes.iter().for_each(|class| *counts.entry(class).or_insert(0) += 1);
                share(counts.into_values().max().unwrap_or(0), classes.len())
            }
            Self::Attributes(rows) => {
                let outputs = rows.first().map_or(0, Vec::len);
                let most = |k: usize| {
                    let with = rows.iter().filter(|row| row[k]).count();
                    share(with.max(rows.len() - with), rows.len())
                };
                (0..outputs).map(most).sum::<f64>() / outputs.max(1) as f64
            }
        }
    }

    /// SHA-256 of the labels.
    pub fn sha256(&self) -> String {
        sha256(format!("{self:?}").as_bytes())
    }
}

/// The place of the greatest value; of equal ones the first.
pub(crate) fn greatest(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

/// The row of each image.
fn rows_of(frame: &DataFrame, images: &ImageList) -> std::result::Result<Vec<usize>, String> {
    let names: Vec<String> = frame::values(frame, IMAGE).map_err(|e| e.to_string())?;
    let mut rows = BTreeMap::new();
    for (row, name) in names.iter().enumerate() {
        if let Some(first) = rows.insert(name.as_str(), row) {
            return Err(format!("`{name}` is in rows {} and {}", first + 1, row + 1));
        }
    }
    let row = |image: usize| {
        let name = images.name(image);
        rows.get(name).copied().ok_or_else(|| {
            let (rows, all) = (names.len(), images.len());
            format!("has no row for the image {name} ({rows} rows, {all} images)")
        })
    };
    (0..images.len()).map(row).collect()
}

fn of_classes(
    frame: &DataFrame,
    column: &str,
    rows: &[usize],
    classes: &Classes,
) -> std::result::Result<Labels, String> {
    let labels: Vec<String> = frame::values(frame, column).map_err(|e| e.to_string())?;
    let class = |&row: &usize| {
        classes.find(&labels[row]).map_err(|reason| format!("row {}: {reason}", row + 1))
    };
    Ok(Labels::Classes(rows.iter().map(class).collect::<std::result::Result<_, _>>()?))
}

fn of_attributes(
    frame: &DataFrame,
    rows: &[usize],
    classes: &Classes,
) -> std::result::Result<Labels, String> {
    let mut columns = frame::column_names(frame);
    columns.retain(|column| *column != IMAGE);
    if columns.len() != classes.len() {
        return Err(format!(
            "has neither a column `label` nor one column for each of the network's {} outputs, \
             but the columns {}",
            classes.len(),
            columns.join(", ")
        ));
    }
    if classes.are_named() {
        if let Some(missing) = classes.names().iter().find(|name| !columns.contains(&name.as_str()))
        {
            return Err(format!("has no column `{missing}`, which --classes names"));
        }
        columns = classes.names().iter().map(String::as_str).collect();
    }
    let column = |name: &&str| {
        frame::values_with(frame, name, "0 or 1", yes_or_no).map_err(|e| e.to_string())
    };
    let columns = columns.iter().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
    let of_row = |&row: &usize| columns.iter().map(|column| column[row]).collect();
    Ok(Labels::Attributes(rows.iter().map(of_row).collect()))
}

/// Also -1 and 1, as in CelebA.
fn yes_or_no(text: Option<&str>) -> Option<bool> {
    match text?.trim() {
        "1" | "true" | "True" => Some(true),
        "0" | "-1" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(folder: &Path, names: &[&str]) -> Result<ImageList> {
        for name in names {
            let path = folder.join("images").join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(path, "")?;
        }
        ImageList::open(&folder.join("images"))
    }

    #[test]
    fn classes_by_name_or_number() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let images = images(folder.path(), &["a.png", "b.png"])?;
        let path = folder.path().join("labels.csv");
        let classes = Classes::named(vec!["cat".into(), "dog".into()]).map_err(input)?;
        let read = |text: &str| -> Result<Labels> {
            std::fs::write(&path, text)?;
            Labels::read(&path, &images, &classes)
        };
        let labels = read("label,image\ndog,b.png\n0,a.png\ncat,other.png\n")?;
        assert_eq!(labels, Labels::Classes(vec![0, 1]));
        assert_eq!(labels.tensor(&[1, 0])?.to_vec1::<u32>()?, [1, 0]);
        assert_eq!(labels.majority_accuracy(), 0.5);
        // The first is right; the second says 0, as the first of two that are equal.
        let answers = Matrix::from_rows(&[vec![2., 1.], vec![3., 3.]]);
        assert_eq!(labels.accuracy(&answers), 0.5);

        for (text, reason) in [
            ("image,label\na.png,cat\n", "no row for the image b.png (1 rows, 2 images)"),
            ("image,label\na.png,cow\nb.png,cat\n", "row 1: there is no output `cow`"),
            ("image,label\na.png,0\na.png,1\n", "`a.png` is in rows 1 and 2"),
            ("image,x,y,z\na.png,0,1,1\nb.png,0,0,0\n", "each of the network's 2 outputs"),
            ("image,cat,cow\na.png,0,1\nb.png,0,0\n", "has no column `dog`"),
            ("image,cat,dog\na.png,0,2\nb.png,0,0\n", "`2` is not a valid 0 or 1"),
            ("name,label\na.png,0\n", "no column `image`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("labels.csv"), "{reason}: {error}");
        }
        Ok(())
    }

    #[test]
    fn yes_and_no_in_the_order_of_the_outputs() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let images = images(folder.path(), &["a.png", "b.png"])?;
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, "image,dog,cat\na.png,1,0\nb.png,-1,0\n")?;
        let classes = Classes::named(vec!["cat".into(), "dog".into()]).map_err(input)?;
        let labels = Labels::read(&path, &images, &classes)?;
        let rows = vec![vec![false, true], vec![false, false]];
        assert_eq!(labels, Labels::Attributes(rows));
        assert_eq!(labels.tensor(&[0])?.to_vec2::<f32>()?, [[0., 1.]]);
        // cat: never; dog: half.
        assert_eq!(labels.majority_accuracy(), 0.75);
        let answers = Matrix::from_rows(&[vec![-1., 1.], vec![1., -1.]]);
        assert_eq!(labels.accuracy(&answers), 0.75);
        let numbered = Labels::read(&path, &images, &Classes::numbered(2))?;
        assert_eq!(numbered.tensor(&[0])?.to_vec2::<f32>()?, [[1., 0.]]);
        Ok(())
    }

    #[test]
    fn folders_are_classes() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let images = images(folder.path(), &["dog/1.png", "cat/2.png"])?;
        let labels = Labels::of_folders(&images, &Classes::numbered(2))?;
        assert_eq!(labels, Labels::Classes(vec![0, 1]));
        let named = Classes::named(vec!["dog".into(), "cat".into()]).map_err(input)?;
        assert_eq!(Labels::of_folders(&images, &named)?, Labels::Classes(vec![1, 0]));
        let error = Labels::of_folders(&images, &Classes::numbered(3)).unwrap_err().to_string();
        assert!(error.contains("has 2 folders, but the network has 3 outputs"), "{error}");
        Ok(())
    }
}
