//! Which files are images: those of folders, or of a list.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use foresee_celeba::ImageFiles;
use foresee_report::DataFrame;
use foresee_report::frame;

use crate::error::{Result, input};

/// What the column of a list is called.
const COLUMNS: [&str; 4] = ["image", "path", "file", "filename"];

/// An image file.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Its path below the folder, or as the list has it.
    pub name: String,
    pub path: PathBuf,
}

/// Those of a folder and of the folders in it, in the order of their names.
///
/// # Errors
/// If a folder cannot be read, lies too deep, or a name is not UTF-8.
pub(super) fn of_folder(root: &Path) -> Result<Vec<Image>> {
    let found = ImageFiles::below(root).map_err(|e| input(format!("--images {e}")))?;
    if found.others > 0 {
        tracing::warn!(
            "{}: {} files are left out: they are not named like JPEG or PNG files, or are no \
             files",
            root.display(),
            found.others
        );
    }
    Ok(found.files.into_iter().map(|(name, path)| Image { name, path }).collect())
}

/// The column of a table that names images, and its cells.
///
/// # Errors
/// If there is none, or a cell is empty.
pub(super) fn image_column(
    frame: &DataFrame,
) -> std::result::Result<(&'static str, Vec<String>), String> {
    let columns = frame::column_names(frame);
    let column = COLUMNS
        .into_iter()
        .find(|column| columns.contains(column))
        .ok_or_else(|| format!("has no column `image` (its columns: {})", columns.join(", ")))?;
    let names: Vec<String> = frame::values_with(frame, column, "name of an image", |text| {
        Some(text.unwrap_or_default().trim().to_owned())
    })
    .map_err(|e| e.to_string())?;
    match names.iter().position(String::is_empty) {
        Some(row) => Err(format!("row {}: the column `{column}` is empty", row + 1)),
        None => Ok((column, names)),
    }
}

/// Those that a CSV file names; their paths begin at the folder of that file.
///
/// # Errors
/// If it has no column of images, an image twice, or one that is not there.
pub(super) fn of_list(list: &Path) -> std::result::Result<Vec<Image>, String> {
    let frame = frame::read_csv(list).map_err(|e| e.to_string())?;
    let (_, names) = image_column(&frame)?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let mut rows = BTreeMap::new();
    let mut images = vec![];
    for (row, name) in (1..).zip(names) {
        let path = folder.join(&name);
        if !path.is_file() {
            return Err(format!("row {row}: {} is no file", path.display()));
        }
        let parts = path.components().filter(|part| *part != Component::CurDir);
        if let Some(first) = rows.insert(parts.collect::<PathBuf>(), row) {
            return Err(format!("`{name}` is in rows {first} and {row}"));
        }
        images.push(Image { name, path });
    }
    Ok(images)
}
