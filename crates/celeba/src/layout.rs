//! The forms in which CelebA lies on a disk, and where its files are in each of them.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, reading};

/// Names of the annotation files, without `.txt` or `.csv`.
pub(crate) const ATTRIBUTE_FILE: &str = "list_attr_celeba";
pub(crate) const PARTITION_FILE: &str = "list_eval_partition";
pub(crate) const IDENTITY_FILE: &str = "identity_CelebA";
pub(crate) const LANDMARK_FILE: &str = "list_landmarks_align_celeba";
pub(crate) const UNCROPPED_LANDMARK_FILE: &str = "list_landmarks_celeba";
pub(crate) const BOX_FILE: &str = "list_bbox_celeba";
/// Name of the folder of images, and of their archive without `.zip`.
pub(crate) const IMAGES: &str = "img_align_celeba";

/// The folders in which CelebA's authors distribute its files; "" is the root itself.
const AUTHORS_FOLDERS: [&str; 4] = ["", "Anno", "Eval", "Img"];
/// Folders below the given one in which parquet files are searched.
const SHARD_DEPTH: usize = 2;

/// The forms in which CelebA is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The folder as the authors distribute it.
    Distributed,
    /// The annotation files with `img_align_celeba.zip`, which is not unpacked.
    Archive,
    /// torchvision's root, which holds the folder `celeba`.
    Torchvision,
    /// Kaggle's CSV files.
    Kaggle,
    /// Hugging Face's parquet shards.
    Parquet,
}

impl Layout {
    /// The form in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Distributed => "folder as distributed",
            Self::Archive => "archive beside annotations",
            Self::Torchvision => "torchvision's folder",
            Self::Kaggle => "Kaggle's folder",
            Self::Parquet => "parquet shards",
        }
    }
}

/// Where the images are.
#[derive(Debug, Clone)]
pub(crate) enum ImageLocation {
    /// Image files in a folder.
    Folder(PathBuf),
    /// A zip archive.
    Zip(PathBuf),
}

/// Where the files of one CelebA are.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    /// Annotation files and images.
    Annotated { layout: Layout, root: PathBuf, attributes: PathBuf, images: ImageLocation },
    /// Shards that hold images and attributes.
    Parquet { root: PathBuf, shards: Vec<PathBuf> },
}

/// Finds CelebA's files at `path` and recognises their form.
pub(crate) fn find(path: &Path) -> Result<Files> {
    if has_extension(path, "zip") && path.is_file() {
        return find_beside_archive(path);
    }
    // An error here says why a folder cannot be read. The searches below would only say that
    // nothing is in it.
    std::fs::read_dir(path).map_err(reading(path))?;
    for (root, torchvision) in [(path.to_path_buf(), false), (path.join("celeba"), true)] {
        if let Some(attributes) = annotation_file(&root, ATTRIBUTE_FILE) {
            let images = find_images(&root)?;
            let layout = match &images {
                ImageLocation::Zip(_) => Layout::Archive,
                _ if torchvision => Layout::Torchvision,
                _ if has_extension(&attributes, "csv") => Layout::Kaggle,
                _ => Layout::Distributed,
            };
            return Ok(Files::Annotated { layout, root, attributes, images });
        }
    }
    let shards = find_shards(path)?;
    if shards.is_empty() {
        return Err(Error::Missing(path.join(format!("{ATTRIBUTE_FILE}.txt"))));
    }
    Ok(Files::Parquet { root: path.into(), shards })
}

/// The annotation files of an archive are in its own folder, or in the folder above it if the
/// archive lies in the authors' folder `Img`.
fn find_beside_archive(archive: &Path) -> Result<Files> {
    let folder = archive.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for root in [Some(folder), folder.parent()].into_iter().flatten() {
        if let Some(attributes) = annotation_file(root, ATTRIBUTE_FILE) {
            return Ok(Files::Annotated {
                layout: Layout::Archive,
                root: root.into(),
                attributes,
                images: ImageLocation::Zip(archive.into()),
            });
        }
    }
    Err(Error::Missing(folder.join(format!("{ATTRIBUTE_FILE}.txt"))))
}

/// An annotation file, in any of the authors' folders, as text or CSV.
pub(crate) fn annotation_file(root: &Path, name: &str) -> Option<PathBuf> {
    let candidates = AUTHORS_FOLDERS.iter().flat_map(|folder| {
        ["txt", "csv"].map(|extension| root.join(folder).join(format!("{name}.{extension}")))
    });
    candidates.into_iter().find(|path| path.is_file())
}

/// The archives of images that lie in the root or in the authors' folder `Img`.
pub(crate) fn archives(root: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "Img"]
        .map(|folder| root.join(folder).join(format!("{IMAGES}.zip")))
        .into_iter()
        .filter(|path| path.is_file())
}

fn find_images(root: &Path) -> Result<ImageLocation> {
    for folder in AUTHORS_FOLDERS {
        let images = root.join(folder).join(IMAGES);
        // Kaggle's archive unpacks into a folder of the same name.
        let nested = images.join(IMAGES);
        if let Some(folder) = [nested, images].into_iter().find(|folder| folder.is_dir()) {
            return Ok(ImageLocation::Folder(folder));
        }
        let archive = root.join(folder).join(format!("{IMAGES}.zip"));
        if archive.is_file() {
            return Ok(ImageLocation::Zip(archive));
        }
    }
    Err(Error::Missing(root.join(IMAGES)))
}

/// The parquet files of a folder and of the folders in it, sorted by path.
fn find_shards(root: &Path) -> Result<Vec<PathBuf>> {
    let mut shards = vec![];
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(reading(&folder))? {
            let path = entry.map_err(reading(&folder))?.path();
            // Operating systems and editors leave hidden files.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if depth < SHARD_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if path.extension().is_some_and(|e| e == "parquet") {
                shards.push(path);
            }
        }
    }
    shards.sort();
    Ok(shards)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}
