//! The image files of a folder and of the folders in it.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::formats::is_image_name;

/// Folders inside of each other in which images are searched.
const MAX_DEPTH: usize = 8;

/// The image files of a folder and of the folders in it, without hidden ones.
///
/// ```
/// use foresee_celeba::{ImageFiles, synthetic};
///
/// let folder = tempfile::tempdir()?;
/// synthetic::write(folder.path(), 2, 7, |_| ())?;
/// let found = ImageFiles::below(folder.path())?;
/// assert_eq!(found.files[1].0, "img_align_celeba/000002.jpg");
/// assert_eq!(found.files[1].1, folder.path().join("img_align_celeba/000002.jpg"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFiles {
    /// Their names below the folder, with `/` between folders, and their paths, in the order of the
    /// names.
    pub files: Vec<(String, PathBuf)>,
    /// How many other files there are: their names end like no image's, or they are no files but
    /// pipes, devices or links that lead nowhere.
    pub others: usize,
}

impl ImageFiles {
    /// Searches a folder, 8 folders deep.
    ///
    /// # Errors
    /// If a folder cannot be read, lies deeper, or a name is not UTF-8.
    pub fn below(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        found.add(folder, (folder, ""), 0)?;
        found.files.sort();
        Ok(found)
    }

    fn add(&mut self, root: &Path, (folder, prefix): (&Path, &str), depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let root = root.file_name().unwrap_or(root.as_os_str()).display();
            let reason = format!(
                "lies more than {MAX_DEPTH} folders below `{root}`; a link may lead in a circle"
            );
            return Err(Error::Inconsistent { path: folder.into(), reason });
        }
        for (name, path) in entries(folder)? {
            let name = format!("{prefix}{name}");
            if path.is_dir() {
                self.add(root, (&path, &format!("{name}/")), depth + 1)?;
            } else if is_image_name(&name) && path.is_file() {
                self.files.push((name, path));
            } else {
                self.others += 1;
            }
        }
        Ok(())
    }
}

/// The names and paths in a folder, sorted, without hidden ones.
pub(crate) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let reading = |error| Error::Read { path: folder.into(), error };
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let reason = "has a name that is not UTF-8; rename it".into();
            return Err(Error::Inconsistent { path, reason });
        };
        if !name.starts_with('.') {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}
