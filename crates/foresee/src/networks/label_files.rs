//! Where labels are from: the columns of a CSV file, or the folders that images lie in.

use std::collections::BTreeMap;
use std::path::Path;

use foresee_report::DataFrame;
use foresee_report::frame;

use super::classes::Classes;
use super::image_files::image_column;
use super::images::ImageList;
use super::labels::Labels;
use crate::error::{Result, input};

/// The columns of classes.
const CLASS: [&str; 2] = ["label", "class"];
/// Classes shown in the log.
const SHOWN: usize = 8;

type Found<T> = std::result::Result<T, String>;

/// Reads a CSV file: `image,label` with a class by its name or its number from 0; or `image` and a
/// column of 0 and 1 for each output, by its name, or in their order if outputs have no names. A
/// network with one output also has `image,label` with 0 and 1. Rows of other images are left out.
///
/// # Errors
/// If the file cannot be read, a row or a column does not fit, or an image has no row.
pub(super) fn read(path: &Path, images: &ImageList, classes: &Classes) -> Result<Labels> {
    let failed = |reason: String| input(format!("--labels {}: {reason}", path.display()));
    let frame = frame::read_csv(path).map_err(|e| failed(e.to_string()))?;
    of_frame(&frame, images, classes).map_err(failed)
}

fn of_frame(frame: &DataFrame, images: &ImageList, classes: &Classes) -> Found<Labels> {
    let (image, names) = image_column(frame)?;
    let rows = rows_of(&names, images)?;
    let mut columns = frame::column_names(frame);
    columns.retain(|column| *column != image);
    let outputs: Vec<&str> = classes.names().iter().map(String::as_str).collect();
    let is_there = |name: &&&str| columns.contains(name);
    let there = if classes.are_named() { outputs.iter().filter(is_there).count() } else { 0 };
    let class = CLASS.into_iter().find(|column| columns.contains(column));
    match class {
        _ if there == classes.len() => of_attributes(frame, &rows, &outputs),
        Some(column) if classes.len() == 1 => of_attributes(frame, &rows, &[column]),
        Some(column) => of_classes(frame, column, &rows, classes),
        None if there > 0 => {
            let missing = outputs.iter().find(|name| !columns.contains(name)).unwrap_or(&"");
            let names = if classes.are_given() { "--classes" } else { "the network's file" };
            Err(format!("has no column `{missing}`, which {names} names"))
        }
        None if !classes.are_given() && columns.len() == classes.len() => {
            let shown =
                columns.iter().zip(0..).take(SHOWN).map(|(name, k)| format!("{name} = {k}"));
            tracing::info!(
                "labels: columns are outputs in their order: {} (--classes names the outputs)",
                shown.collect::<Vec<_>>().join(", ")
            );
            of_attributes(frame, &rows, &columns)
        }
        None => Err(format!(
            "has neither a column `label` nor one column for each of the network's {} outputs, \
             but the columns {}{}",
            classes.len(),
            columns.join(", "),
            if classes.are_given() { "" } else { "; --classes says which of them are outputs" }
        )),
    }
}

/// The folder that an image lies in is its class. Without names of classes, the folders of all
/// images are the classes, in the order of their names, and name the outputs. Returns the labels of
/// the chosen images and the names of the outputs.
///
/// A network with one output takes two folders: the second in the order of the names is its yes.
///
/// # Errors
/// If an image lies in no folder, or the folders are not the classes.
pub(super) fn of_folders(
    all: &ImageList,
    chosen: &ImageList,
    classes: Classes,
) -> Result<(Labels, Classes)> {
    let failed =
        |reason: String| input(format!("--labels folders: {}: {reason}", all.source().display()));
    let folders_of = |images: &ImageList| -> Result<Vec<String>> {
        let folder = |image: usize| {
            let folder = images.folder(image).map(ToOwned::to_owned);
            folder.ok_or_else(|| failed(format!("{} is in no folder", images.name(image))))
        };
        (0..images.len()).map(folder).collect()
    };
    let (mut names, folders) = (folders_of(all)?, folders_of(chosen)?);
    names.sort_unstable();
    names.dedup();
    let is_binary = classes.len() == 1;
    let fits = classes.are_given() || (classes.are_named() && classes.find_all(&names).is_ok());
    let classes = match (fits, is_binary) {
        (_, true) if names.len() == 2 => classes,
        (true, false) => classes,
        (false, false) if names.len() == classes.len() => {
            Classes::named(names.clone()).map_err(failed)?
        }
        _ => {
            return Err(failed(format!(
                "has {} folders, but the network has {} outputs; name the outputs with --classes",
                names.len(),
                classes.len()
            )));
        }
    };
    let place: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    if is_binary {
        tracing::info!(
            "labels: images in `{}` are negatives (no), those in `{}` positives (yes)",
            names[0],
            names[1]
        );
        let rows = folders.iter().map(|folder| vec![place[folder.as_str()] == 1]).collect();
        return Ok((Labels::Attributes(rows), classes));
    }
    let found = classes.find_all(&names).map_err(failed)?;
    let shown = names.iter().zip(&found).take(SHOWN).map(|(name, k)| format!("{name} = {k}"));
    tracing::info!("labels: folders are outputs: {}", shown.collect::<Vec<_>>().join(", "));
    let labels = folders.iter().map(|folder| found[place[folder.as_str()]]).collect();
    Ok((Labels::Classes(labels), classes))
}

/// The row of each image.
fn rows_of(names: &[String], images: &ImageList) -> Found<Vec<usize>> {
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

fn of_classes(frame: &DataFrame, column: &str, rows: &[usize], classes: &Classes) -> Found<Labels> {
    let labels: Vec<String> = frame::values(frame, column).map_err(|e| e.to_string())?;
    let found = classes.find_all(&labels)?;
    Ok(Labels::Classes(rows.iter().map(|&row| found[row]).collect()))
}

fn of_attributes(frame: &DataFrame, rows: &[usize], columns: &[&str]) -> Found<Labels> {
    let column = |name: &&str| {
        frame::values_with(frame, name, "0 or 1", yes_or_no).map_err(|e| e.to_string())
    };
    let columns = columns.iter().map(column).collect::<Found<Vec<_>>>()?;
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
        let labels_of = |text: &str, classes: &Classes| -> Result<Labels> {
            std::fs::write(&path, text)?;
            read(&path, &images, classes)
        };
        let read = |text: &str| labels_of(text, &classes);
        let is_dog = Labels::Classes(vec![0, 1]);
        assert_eq!(read("label,image\ndog,b.png\ncat,a.png\ncat,other.png\n")?, is_dog);
        assert_eq!(read("class,path\n1,b.png\n0,a.png\n")?, is_dog);

        for (text, reason) in [
            ("image,label\na.png,cat\n", "no row for the image b.png (1 rows, 2 images)"),
            ("image,label\na.png,cow\nb.png,cat\n", "row 1: there is no output `cow`"),
            ("image,label\na.png,0\nb.png,cat\n", "some classes are names"),
            ("image,label\na.png,0\na.png,1\n", "`a.png` is in rows 1 and 2"),
            ("image,x,y,z\na.png,0,1,1\nb.png,0,0,0\n", "each of the network's 2 outputs"),
            ("image,cat,cow\na.png,0,1\nb.png,0,0\n", "has no column `dog`"),
            ("image,cat,dog\na.png,0,2\nb.png,0,0\n", "`2` is not a valid 0 or 1"),
            ("name,label\na.png,0\n", "no column `image`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("labels.csv"), "{reason}: {error}");
        }
        // One output: a yes or a no.
        let one = labels_of("image,label\na.png,0\nb.png,1\n", &Classes::numbered(1))?;
        assert_eq!(one, Labels::Attributes(vec![vec![false], vec![true]]));
        Ok(())
    }

    #[test]
    fn yes_and_no_in_the_order_of_the_outputs() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let images = images(folder.path(), &["a.png", "b.png"])?;
        let path = folder.path().join("labels.csv");
        let text = "image,split,label,cat\na.png,val,1,0\nb.png,val,-1,0\n";
        std::fs::write(&path, text)?;
        // An output may be called as the column of classes is; other columns are left out.
        let classes = Classes::named(vec!["cat".into(), "label".into()]).map_err(input)?;
        let rows = vec![vec![false, true], vec![false, false]];
        assert_eq!(read(&path, &images, &classes)?, Labels::Attributes(rows));
        std::fs::write(&path, "image,dog,cat\na.png,1,0\nb.png,-1,0\n")?;
        let rows = vec![vec![true, false], vec![false, false]];
        assert_eq!(read(&path, &images, &Classes::numbered(2))?, Labels::Attributes(rows));
        let refusal = read(&path, &images, &Classes::numbered(1)).unwrap_err().to_string();
        assert!(refusal.contains("--classes says which"), "{refusal}");
        Ok(())
    }

    #[test]
    fn folders_are_classes() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let all = images(folder.path(), &["val/dog/1.png", "val/cat/2.png"])?;
        let dog = all.clone().named(&["val/dog/1.png".into()])?;
        // The folders of all images are the classes, also where few are chosen.
        let (labels, classes) = of_folders(&all, &dog, Classes::numbered(2))?;
        assert_eq!((labels, classes.name(0)), (Labels::Classes(vec![1]), "cat"));
        let named = Classes::named(["dog", "cow", "cat"].map(String::from).to_vec());
        let (labels, _) = of_folders(&all, &all, named.map_err(input)?)?;
        assert_eq!(labels, Labels::Classes(vec![2, 0]));
        let (labels, _) = of_folders(&all, &all, Classes::numbered(1))?;
        assert_eq!(labels, Labels::Attributes(vec![vec![false], vec![true]]));
        let error = of_folders(&all, &dog, Classes::numbered(3)).unwrap_err().to_string();
        assert!(error.contains("has 2 folders, but the network has 3 outputs"), "{error}");
        Ok(())
    }
}
