//! The images that a network is given: those of a folder, of a list, or one.

use std::path::{Path, PathBuf};

use foresee_celeba::{Framing, is_image_name};
use rayon::prelude::*;

use super::image_files::{Image, of_folder, of_list};
use crate::error::{Result, input};
use crate::hash::{file_sha256, sha256};

/// Images in their order.
#[derive(Debug, Clone)]
pub(crate) struct ImageList {
    /// The folder, the list, or the image.
    source: PathBuf,
    images: Vec<Image>,
}

/// Whether a file is a picture of a kind that is not read, by its name.
fn is_other_picture(path: &Path) -> bool {
    const ENDINGS: [&str; 7] = ["bmp", "gif", "webp", "tif", "tiff", "heic", "avif"];
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ENDINGS.contains(&ending.as_str())
}

impl ImageList {
    /// The images of a folder and of the folders in it, in the order of their names; those of a CSV
    /// file with a column `image`, whose paths begin at the folder of that file; or one image.
    ///
    /// # Errors
    /// If there is no such place, no image in it, or a list has an image twice or one that is not
    /// there.
    pub fn open(source: &Path) -> Result<Self> {
        let images = match (source.is_dir(), source.is_file()) {
            (true, _) => of_folder(source)?,
            (_, true) if is_image_name(&source.to_string_lossy()) => vec![Image {
                name: source.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                path: source.into(),
            }],
            (_, true) if is_other_picture(source) => {
                let reason = "is neither a JPEG nor a PNG file; convert it";
                return Err(input(format!("--images {}: {reason}", source.display())));
            }
            (_, true) => of_list(source)
                .map_err(|reason| input(format!("--images {}: {reason}", source.display())))?,
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
    pub fn limited_to(mut self, limit: usize) -> Self {
        if limit > 0 && limit < self.len() {
            let mut chosen = self.spread();
            chosen.truncate(limit);
            chosen.sort_unstable();
            self.images = chosen.into_iter().map(|image| self.images[image].clone()).collect();
        }
        self
    }

    /// All images in an order that a hash of each one's name decides: its beginning is spread over
    /// the folder.
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

    /// The name of the folder that an image lies in, if its name says one.
    pub fn folder(&self, image: usize) -> Option<&str> {
        let (folders, _) = self.name(image).rsplit_once('/')?;
        folders.rsplit('/').next().filter(|folder| !matches!(*folder, "" | "." | ".."))
    }

    /// A number that decides what is random about an image: from its name, so that it is the same
    /// in every list.
    pub fn number(&self, image: usize) -> usize {
        let digits = &sha256(self.name(image).as_bytes())[..8];
        usize::from_str_radix(digits, 16).unwrap_or_default()
    }

    /// Makes sure that all images can be read, before hours of work.
    ///
    /// # Errors
    /// If one cannot.
    pub fn check(&self, framing: &Framing) -> Result<()> {
        self.images.par_iter().try_for_each(|Image { path, .. }| {
            framing.read(path)?;
            Ok(())
        })
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
        let (one, two) = (all.clone().limited_to(1), all.clone().limited_to(2));
        assert!((one.len(), two.len()) == (1, 2) && names(&two).is_sorted());
        assert!(names(&two).contains(&names(&one)[0]));
        assert_eq!(names(&all.clone().limited_to(0)), names(&all));
        assert_eq!(names(&all.clone().named(&["b.png".into()])?), ["b.png"]);
        let unknown = all.clone().named(&["c.png".into()]).unwrap_err().to_string();
        assert!(unknown.contains("--image c.png") && unknown.contains("a.JPG"), "{unknown}");

        std::fs::write(at("list.csv"), "label,image\n0,cats/1.jpeg\n1,b.png\n")?;
        let listed = ImageList::open(&at("list.csv"))?;
        assert_eq!(names(&listed), ["cats/1.jpeg", "b.png"]);
        assert_eq!(listed.path(1), at("b.png"));
        assert_eq!((listed.folder(0), listed.folder(1)), (Some("cats"), None));
        // An image has one number in all lists.
        assert_eq!((all.number(1), all.number(2)), (listed.number(1), listed.number(0)));
        assert_ne!(all.number(0), all.number(1));
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
        std::fs::write(folder.path().join("a.png"), "")?;
        for (text, reason) in [
            ("name,label\na,1\n", "no column `image` (its columns: name, label)"),
            ("image,label\na.png,1\n,2\n", "row 2: the column `image` is empty"),
            ("image\na.png\nnope.png\n", "nope.png is no file"),
            ("image\na.png\n./a.png\n", "`./a.png` is in rows 1 and 2"),
        ] {
            std::fs::write(&list, text)?;
            let error = refused(&list);
            assert!(error.contains(reason) && error.contains("list.csv"), "{reason}: {error}");
        }
        Ok(())
    }
}
