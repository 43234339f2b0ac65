//! Where things are: the forms in which CelebA is found on disk.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, at};

/// The folders in which CelebA's authors distribute its parts.
const PARTS: [&str; 4] = ["", "Anno", "Eval", "Img"];

/// Where the images are.
#[derive(Debug, Clone)]
pub(crate) enum ImagesAt {
    /// JPEG or PNG files in a folder.
    Folder(PathBuf),
    /// An archive that is not unpacked.
    Zip(PathBuf),
}

/// What belongs to one CelebA.
#[derive(Debug, Clone)]
pub(crate) enum Places {
    /// Text files or CSVs beside images.
    Files { form: &'static str, root: PathBuf, attributes: PathBuf, images: ImagesAt },
    /// Shards with images and attributes in them.
    Parquet { root: PathBuf, shards: Vec<PathBuf> },
}

/// Recognises the form of what lies at `path`.
pub(crate) fn find(path: &Path) -> Result<Places> {
    let zip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) && path.is_file();
    if zip {
        let root = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Beside the archive, or where the authors' folder Img lies.
        for root in [Some(root), root.parent()].into_iter().flatten() {
            if let Some(attributes) = file(root, "list_attr_celeba") {
                return Ok(Places::Files {
                    form: "archive beside annotations",
                    root: root.into(),
                    attributes,
                    images: ImagesAt::Zip(path.into()),
                });
            }
        }
        return Err(Error::Missing(root.join("list_attr_celeba.txt")));
    }
    // A folder that cannot be read says why here, not that it is empty.
    std::fs::read_dir(path).map_err(at(path))?;
    for (root, inside) in [(path.to_path_buf(), false), (path.join("celeba"), true)] {
        if let Some(attributes) = file(&root, "list_attr_celeba") {
            let images = images(&root)?;
            let form = match (&images, inside, attributes.extension().is_some_and(|e| e == "csv")) {
                (ImagesAt::Zip(_), _, _) => "archive beside annotations",
                (_, true, _) => "torchvision's folder",
                (_, _, true) => "Kaggle's folder",
                _ => "folder as distributed",
            };
            return Ok(Places::Files { form, root, attributes, images });
        }
    }
    let shards = shards(path)?;
    match shards.is_empty() {
        false => Ok(Places::Parquet { root: path.into(), shards }),
        true => Err(Error::Missing(path.join("list_attr_celeba.txt"))),
    }
}

/// An annotation file in any of its places and forms.
pub(crate) fn file(root: &Path, stem: &str) -> Option<PathBuf> {
    let names = PARTS
        .iter()
        .flat_map(|part| ["txt", "csv"].map(|end| root.join(part).join(format!("{stem}.{end}"))));
    names.into_iter().find(|path| path.is_file())
}

fn images(root: &Path) -> Result<ImagesAt> {
    let name = "img_align_celeba";
    for part in PARTS {
        let folder = root.join(part).join(name);
        // Kaggle's archive unpacks into a folder of the same name.
        if let Some(folder) = [folder.join(name), folder].into_iter().find(|folder| folder.is_dir())
        {
            return Ok(ImagesAt::Folder(folder));
        }
        let archive = root.join(part).join(format!("{name}.zip"));
        if archive.is_file() {
            return Ok(ImagesAt::Zip(archive));
        }
    }
    Err(Error::Missing(root.join(name)))
}

/// Parquet files of a folder and of folders in it, by name.
fn shards(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path.is_dir() {
                if depth < 2 {
                    folders.push((path, depth + 1));
                }
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
