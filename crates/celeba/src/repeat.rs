//! A large data set of few images, for measurements where there is no large one.

use std::path::Path;

use crate::attributes::ATTRIBUTES;
use crate::dataset::CelebA;
use crate::error::{Result, writing};
use crate::layout::{ATTRIBUTE_FILE, IMAGES, PARTITION_FILE};

/// Makes a folder in CelebA's layout with so many names, or adds names to one that this made. They
/// have the images and labels of a few faces in turn, as links to them, and are all for training.
///
/// ```
/// use foresee_celeba::{CelebA, Split, SplitRule, repeat, synthetic};
///
/// let folder = tempfile::tempdir()?;
/// let (few, many) = (folder.path().join("few"), folder.path().join("many"));
/// synthetic::write(&few, 3, 0, |_| ())?;
/// let few = CelebA::open(&few, SplitRule::Official)?;
/// for faces in [4, 7] {
///     repeat(&many, &few, faces)?;
///     let many = CelebA::open(&many, SplitRule::Official)?;
///     assert_eq!(many.split(Split::Train)?.len(), faces);
///     assert_eq!(many.labels(3), few.labels(0));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the few faces are not files in a folder, or the new folder cannot be written.
pub fn repeat(folder: &Path, few: &CelebA, faces: usize) -> Result<()> {
    let images = folder.join(IMAGES);
    std::fs::create_dir_all(&images).map_err(writing(&images))?;
    let mut table = format!("{faces}\n{}\n", ATTRIBUTES.join(" "));
    let mut partition = String::new();
    for face in 0..faces {
        let name = format!("{:06}.jpg", face + 1);
        let image = images.join(&name);
        if !image.exists() {
            std::fs::hard_link(few.image_path(face % few.len()), &image)
                .map_err(writing(&image))?;
        }
        let has = few.labels(face % few.len()).iter();
        let has: String = has.map(|has| if has { " 1" } else { " -1" }).collect();
        table.push_str(&format!("{name}{has}\n"));
        partition.push_str(&format!("{name} 0\n"));
    }
    for (file, text) in [(ATTRIBUTE_FILE, table), (PARTITION_FILE, partition)] {
        let path = folder.join(format!("{file}.txt"));
        std::fs::write(&path, text).map_err(writing(&path))?;
    }
    Ok(())
}
