//! A folder of synthetic faces in CelebA's layout.

use std::path::Path;

use jpeg_encoder::{ColorType, Encoder};
use rayon::prelude::*;

use super::generator::Generator;
use super::{HEIGHT, WIDTH};
use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result, reading, writing};
use crate::layout::{ATTRIBUTE_FILE, IMAGES, PARTITION_FILE};
use crate::split::Split;

/// The file that marks a folder of synthetic faces.
const MARKER: &str = "SYNTHETIC.txt";
/// Quality of the images' JPEG files, 0 to 100.
const JPEG_QUALITY: u8 = 90;

/// How the name of a folder begins that [`write()`] has not finished. It lies beside the final
/// folder; a process that is killed leaves it.
pub const UNFINISHED: &str = ".faces-";

/// Draws `count` faces and writes them to `folder` in CelebA's layout: 80 % train, 10 % val, 10 %
/// test, in order. `progress` receives the number of faces that were drawn since it was last
/// called. The folder appears only when it is complete.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use foresee_celeba::synthetic::{is_synthetic, write};
///
/// let parent = tempfile::tempdir()?;
/// let folder = parent.path().join("faces");
/// let drawn = AtomicUsize::new(0);
/// write(&folder, 5, 7, |faces| {
///     drawn.fetch_add(faces, Ordering::Relaxed);
/// })?;
/// assert_eq!(drawn.into_inner(), 5);
/// assert!(is_synthetic(&folder) && folder.join("list_attr_celeba.txt").exists());
/// // It writes over nothing.
/// assert!(write(&folder, 5, 7, |_| ()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something already or cannot be written.
pub fn write(
    folder: &Path,
    count: usize,
    seed: u64,
    progress: impl Fn(usize) + Sync,
) -> Result<()> {
    if folder.exists() && std::fs::read_dir(folder).map_err(reading(folder))?.next().is_some() {
        return Err(Error::Inconsistent {
            path: folder.into(),
            reason: "is not empty; name a new folder".into(),
        });
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(writing(parent))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let staging = builder.tempdir_in(parent).map_err(writing(parent))?;
    write_into(staging.path(), count, seed, progress)?;
    if folder.exists() {
        std::fs::remove_dir(folder).map_err(writing(folder))?;
    }
    std::fs::rename(staging.keep(), folder).map_err(writing(folder))
}

fn write_into(
    folder: &Path,
    count: usize,
    seed: u64,
    progress: impl Fn(usize) + Sync,
) -> Result<()> {
    let generator = Generator::new(seed);
    let labels: Vec<Labels> = (0..count as u64).map(|face| generator.labels(face)).collect();
    let images = folder.join(IMAGES);
    std::fs::create_dir(&images).map_err(writing(&images))?;
    labels.par_iter().enumerate().try_for_each(|(face, &labels)| {
        write_image(&images.join(name(face)), &generator.render(face as u64, labels))?;
        progress(1);
        Ok::<(), Error>(())
    })?;
    let partition: String =
        (0..count).map(|face| format!("{} {}\n", name(face), split(face, count) as u8)).collect();
    for (file, text) in [
        (format!("{ATTRIBUTE_FILE}.txt"), attribute_table(&labels)),
        (format!("{PARTITION_FILE}.txt"), partition),
        (MARKER.to_owned(), marker(count, seed)),
    ] {
        let path = folder.join(file);
        std::fs::write(&path, text).map_err(writing(&path))?;
    }
    Ok(())
}

fn name(face: usize) -> String {
    format!("{:06}.jpg", face + 1)
}

fn write_image(path: &Path, rgb: &[u8]) -> Result<()> {
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, JPEG_QUALITY)
        .encode(rgb, WIDTH as u16, HEIGHT as u16, ColorType::Rgb)
        .map_err(|e| Error::Image { path: path.into(), reason: e.to_string() })?;
    std::fs::write(path, jpeg).map_err(writing(path))
}

/// The text of `list_attr_celeba.txt`.
fn attribute_table(labels: &[Labels]) -> String {
    let mut table = format!("{}\n{} \n", labels.len(), ATTRIBUTES.join(" "));
    for (face, labels) in labels.iter().enumerate() {
        let values: String =
            labels.iter().map(|present| if present { "  1" } else { " -1" }).collect();
        table.push_str(&format!("{}{values}\n", name(face)));
    }
    table
}

/// How many of so many faces [`write()`] puts in train, val and test.
///
/// ```
/// use foresee_celeba::synthetic::split_sizes;
///
/// assert_eq!(split_sizes(10), [8, 1, 1]);
/// assert_eq!(split_sizes(25), [20, 2, 3]);
/// ```
pub fn split_sizes(count: usize) -> [usize; 3] {
    let (train, train_and_val) = (count * 8 / 10, count * 9 / 10);
    [train, train_and_val - train, count - train_and_val]
}

fn split(face: usize, count: usize) -> Split {
    let [train, val, _] = split_sizes(count);
    if face < train {
        Split::Train
    } else if face < train + val {
        Split::Val
    } else {
        Split::Test
    }
}

/// What stands before the seed in the marker.
const SEED: &str = ", seed ";

fn marker(count: usize, seed: u64) -> String {
    format!(
        "{count} faces drawn by foresee-celeba {}{SEED}{seed}. These are not photographs.\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether `folder` holds what [`write()`] of this version writes for this count and seed.
pub fn is_up_to_date(folder: &Path, count: usize, seed: u64) -> bool {
    std::fs::read_to_string(folder.join(MARKER)).is_ok_and(|text| text == marker(count, seed))
}

/// The seed of the faces in a folder, if they are synthetic.
pub(crate) fn seed(folder: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(folder.join(MARKER)).ok()?;
    text.split_once(SEED)?.1.split_once('.')?.0.parse().ok()
}

/// Whether `folder` holds synthetic faces, of any version, count and seed.
pub fn is_synthetic(folder: &Path) -> bool {
    folder.join(MARKER).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_knows_its_count_and_seed() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(!is_synthetic(folder.path()));
        std::fs::write(folder.path().join(MARKER), marker(5, 7))?;
        assert!(is_synthetic(folder.path()) && is_up_to_date(folder.path(), 5, 7));
        assert_eq!(seed(folder.path()), Some(7));
        assert!(!is_up_to_date(folder.path(), 6, 7) && !is_up_to_date(folder.path(), 5, 8));
        Ok(())
    }

    #[test]
    fn the_first_eight_of_ten_faces_are_training_faces() {
        let splits: String = (0..10).map(|face| (split(face, 10) as u8).to_string()).collect();
        assert_eq!(splits, "0000000012");
    }
}
