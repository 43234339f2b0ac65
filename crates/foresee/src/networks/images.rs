//! The images that a network is given: those of a folder, of a list, or one.

use std::path::{Path, PathBuf};

use foresee_celeba::is_image_name;
use foresee_report::frame;
use rayon::prelude::*;

use crate::error::{Result, input};
use crate::hash::{file_sha256, sha256};

/// Folders inside of each other in which images are searched.
const MAX_DEPTH: usize = 8;
/// What the column of a list is called.
const COLUMNS: [&str; 4] = ["image", "path", "file", "filename"];

/// Images in their order.
#[derive(Debug, Clone)]
pub(crate) struct ImageList {
    /// The folder, the list, or the image.
    source: PathBuf,
    images: Vec<Image>,
}

/// An image file.
#[derive(Debug, Clone)]
struct Image {
    /// Its path below the folder, or as the list has it.
    name: String,
    path: PathBuf,
}

impl ImageList {
    /// The images of a folder and of the folders in it, in the order of their names; those of a CSV
    /// file with a column `image`, whose paths begin at the folder of that file; or one image.
    ///
    /// # Errors
    /// If there is no such place, or no image in it.
    pub fn open(source: &Path) -> Result<Self> {
        let images = match (source.is_dir(), source.is_file()) {
            (true, _) => of_folder(source)?,
            (_, true) if is_image_name(&source.to_string_lossy()) => vec![Image {
                name: source.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                path: source.into(),
            }],
            (_, true) => of_list(source)?,
            _ => {
                let reason = "does not exist; name a folder of JPEG or PNG files, a CSV with a \
                              column `image`, or an image";
                return Err(input(format!("--images {}: {reason}", source.display())));
            }
        };
        match images.is_empty() {
            true => Err(input(format!("--images {}: holds no JPEG or PNG file", source.display()))),
            false => Ok(Self { source: source.into(), images }),
        }
    }

    /// So many of the images, or all for 0: those that come first in [`spread`](Self::spread).
    #[must_use]
    pub fn some(mut self, limit: usize) -> Self {
        if limit > 0 && limit < self.len() {
            let mut chosen = self.spread();
            chosen.truncate(limit);
            chosen.sort_unstable();
            self.images = chosen.into_iter().map(|image| self.images[image].clone()).collect();
        }
        self
    }

    /// All images in an order that a hash of each one's name decides: its beginning has some of
    /// every part of a folder, such as of every class.
    pub fn spread(&self) -> Vec<usize> {
        let mut order: Vec<(String, usize)> =
            (0..self.len()).map(|image| (sha256(self.name(image).as_bytes()), image)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, image)| image).collect()
    }

    /// Only the images of these names, in this order; all if there are none.
    ///
    /// # Errors
    /// If a name is not among them.
    pub fn named(mut self, names: &[String]) -> Result<Self> {
        if names.is_empty() {
            return Ok(self);
        }
        let find = |name: &String| {
            let found = self.images.iter().find(|image| image.name == *name).cloned();
            found.ok_or_else(|| {
                let (source, first) = (self.source.display(), &self.images[0].name);
                input(format!("--image {name}: not in {source}, whose names are like {first}"))
            })
        };
        self.images = names.iter().map(find).collect::<Result<_>>()?;
        Ok(self)
    }

    /// Where they are from.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// What an image is called.
    pub fn name(&self, image: usize) -> &str {
        &self.images[image].name
    }

    /// An image's file.
    pub fn path(&self, image: usize) -> &Path {
        &self.images[image].path
    }

    /// SHA-256 of what an image's file holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn sha256_of(&self, image: usize) -> Result<String> {
        let Image { name, path } = &self.images[image];
        file_sha256(path)
            .map_err(|e| input(format!("--images {}: {name}: {e:#}", self.source.display())))
    }

    /// SHA-256 of all names and of what the files hold.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let line = |image: usize| -> Result<String> {
            Ok(format!("{} {}\n", self.sha256_of(image)?, self.name(image)))
        };
        let lines: Vec<String> =
            (0..self.len()).into_par_iter().map(line).collect::<Result<_>>()?;
        Ok(sha256(lines.concat().as_bytes()))
    }
}

fn of_folder(root: &Path) -> Result<Vec<Image>> {
    let mut found = Found::default();
    found.add(root, "", 0)?;
    if found.others > 0 {
        tracing::warn!(
            "{}: {} files are left out, since their names end like no JPEG or PNG file",
            root.display(),
            found.others
        );
    }
    found.images.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found.images)
}

/// What was found so far in a folder.
#[derive(Default)]
struct Found {
    images: Vec<Image>,
    /// Files that are no images.
    others: usize,
}

impl Found {
    fn add(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let reason = format!("more than {MAX_DEPTH} folders deep; does a link lead back?");
            return Err(input(format!("--images {}: {reason}", folder.display())));
        }
        let failed = |e: std::io::Error| input(format!("--images {}: {e}", folder.display()));
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{name}");
            if path.is_dir() {
                self.add(&path, &format!("{name}/"), depth + 1)?;
            } else if is_image_name(&name) {
                self.images.push(Image { name, path });
            } else {
                self.others += 1;
            }
        }
        Ok(())
    }
}

fn of_list(list: &Path) -> Result<Vec<Image>> {
    let failed = |reason: String| input(format!("--images {}: {reason}", list.display()));
    let frame = frame::read_csv(list).map_err(|e| failed(e.to_string()))?;
    let names = frame::column_names(&frame);
    let column = COLUMNS.into_iter().find(|column| names.contains(column)).ok_or_else(|| {
        failed(format!("has no column `image` (its columns: {})", names.join(", ")))
    })?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let names: Vec<String> = frame::values(&frame, column).map_err(|e| failed(e.to_string()))?;
    let image = |name: String| Image { path: folder.join(&name), name };
    Ok(names.into_iter().map(image).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lists_and_images_are_told_apart() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("cats"))?;
        for name in ["b.png", "a.JPG", "cats/1.jpeg", "notes.txt", ".hidden.png"] {
            std::fs::write(at(name), name)?;
        }
        let all = ImageList::open(folder.path())?;
        let names = |list: &ImageList| -> Vec<String> {
            (0..list.len()).map(|image| list.name(image).to_owned()).collect()
        };
        assert_eq!(names(&all), ["a.JPG", "b.png", "cats/1.jpeg"]);
        // Fewer are among more of them, in the order of the names.
        let (one, two) = (all.clone().some(1), all.clone().some(2));
        assert!((one.len(), two.len()) == (1, 2) && names(&two).is_sorted());
        assert!(names(&two).contains(&names(&one)[0]));
        assert_eq!(names(&all.clone().some(0)), names(&all));
        assert_eq!(names(&all.clone().named(&["b.png".into()])?), ["b.png"]);
        let unknown = all.clone().named(&["c.png".into()]).unwrap_err().to_string();
        assert!(unknown.contains("--image c.png") && unknown.contains("a.JPG"), "{unknown}");

        std::fs::write(at("list.csv"), "label,image\n0,cats/1.jpeg\n1,b.png\n")?;
        let listed = ImageList::open(&at("list.csv"))?;
        assert_eq!(names(&listed), ["cats/1.jpeg", "b.png"]);
        assert_eq!(listed.path(1), at("b.png"));
        assert_eq!(names(&ImageList::open(&at("b.png"))?), ["b.png"]);

        let before = all.sha256()?;
        std::fs::write(at("b.png"), "other")?;
        assert_ne!(before, all.sha256()?);
        Ok(())
    }

    #[test]
    fn what_holds_no_image_is_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let refused = |path: &Path| ImageList::open(path).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("no JPEG or PNG"));
        assert!(refused(&folder.path().join("none")).contains("does not exist"));
        let list = folder.path().join("list.csv");
        std::fs::write(&list, "name,label\na,1\n")?;
        assert!(refused(&list).contains("no column `image` (its columns: name, label)"));
        Ok(())
    }
}
