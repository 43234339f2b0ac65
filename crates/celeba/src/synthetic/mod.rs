//! Drawn faces with CelebA's 40 attributes, for machines without CelebA and for studies that need
//! to know where an attribute is.
//!
//! Attributes occur as often, and together as often, as in CelebA (a Gaussian copula from
//! `data/celeba/attribute_*.csv`); each is visible in the drawing. Pose, light, background, skin,
//! hair and clothes vary and say nothing about the attributes. A face is decided by the seed and
//! its number alone.

mod appearance;
mod canvas;
mod features;
mod hair;
mod head;
mod population;
mod scene;

use std::path::Path;

use jpeg_encoder::{ColorType, Encoder};
use rayon::prelude::*;

use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result, at, writing};
use appearance::Appearance;
use population::Population;

/// Width of a drawn face, as of CelebA's aligned images.
pub const WIDTH: usize = 178;
/// Height of a drawn face, as of CelebA's aligned images.
pub const HEIGHT: usize = 218;

/// The file that marks a folder of drawn faces.
const MARKER: &str = "SYNTHETIC.txt";

/// Faces are drawn into a folder beside their final place, whose name begins so; a drawing that is
/// killed leaves it.
pub const UNFINISHED: &str = ".faces-";

/// Draws the faces of one seed.
pub struct Generator {
    seed: u64,
    population: Population,
}

impl Generator {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, population: Population::celeba() }
    }

    /// The attributes of a face of the population. Attributes that exclude each other in a drawing
    /// (hair colours, straight and wavy, bald and any of these) are thinned out to one of them.
    pub fn labels(&self, face: u64) -> Labels {
        self.population.draw(self.seed, face)
    }

    /// Draws a face with any attributes: RGB, row by row, [`WIDTH`]×[`HEIGHT`]. What is not an
    /// attribute (pose, light, …) depends on the number only.
    pub fn render(&self, face: u64, labels: Labels) -> Vec<u8> {
        scene::render(&Appearance::draw(self.seed, face), labels)
    }

    /// The pixels, [`WIDTH`]×[`HEIGHT`], at which the drawing of this face differs between having
    /// an attribute and not having it, all else being equal: where the attribute is.
    pub fn region(&self, face: u64, labels: Labels, attribute: usize) -> Vec<bool> {
        let [on, off] =
            [true, false].map(|present| self.render(face, labels.with(attribute, present)));
        let differs = |(a, b): (&[u8], &[u8])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 12);
        on.chunks_exact(3).zip(off.chunks_exact(3)).map(differs).collect()
    }
}

/// Draws `count` faces and writes them to `folder` in CelebA's layout: 80 % train, 10 % val, 10 %
/// test, in order. `progress` is told the number of faces drawn since it was last called. The
/// folder appears only when it is complete.
///
/// # Errors
/// If the folder exists already or cannot be written.
pub fn write(
    folder: &Path,
    count: usize,
    seed: u64,
    progress: impl Fn(usize) + Sync,
) -> Result<()> {
    if folder.exists() && std::fs::read_dir(folder).map_err(at(folder))?.next().is_some() {
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
    let staging = staging.keep();
    std::fs::rename(&staging, folder).map_err(writing(folder))
}

fn write_into(
    folder: &Path,
    count: usize,
    seed: u64,
    progress: impl Fn(usize) + Sync,
) -> Result<()> {
    let generator = Generator::new(seed);
    let images = folder.join("img_align_celeba");
    std::fs::create_dir(&images).map_err(writing(&images))?;
    let name = |face: usize| format!("{:06}.jpg", face + 1);
    let labels: Vec<Labels> = (0..count as u64).map(|face| generator.labels(face)).collect();
    labels.par_iter().enumerate().try_for_each(|(face, &labels)| {
        let path = images.join(name(face));
        let rgb = generator.render(face as u64, labels);
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90)
            .encode(&rgb, WIDTH as u16, HEIGHT as u16, ColorType::Rgb)
            .map_err(|e| Error::Image { path: path.clone(), reason: e.to_string() })?;
        std::fs::write(&path, jpeg).map_err(writing(&path))?;
        progress(1);
        Ok::<(), Error>(())
    })?;
    let rows: String = labels
        .iter()
        .enumerate()
        .map(|(face, labels)| {
            let values: String =
                labels.iter().map(|present| if present { "  1" } else { " -1" }).collect();
            format!("{}{values}\n", name(face))
        })
        .collect();
    let put = |file: &str, text: String| {
        std::fs::write(folder.join(file), text).map_err(writing(&folder.join(file)))
    };
    put("list_attr_celeba.txt", format!("{count}\n{} \n{rows}", ATTRIBUTES.join(" ")))?;
    let part = |face: usize| {
        if face < count * 8 / 10 { 0 } else { 1 + usize::from(face >= count * 9 / 10) }
    };
    put(
        "list_eval_partition.txt",
        (0..count).map(|face| format!("{} {}\n", name(face), part(face))).collect(),
    )?;
    put(MARKER, marker(count, seed))
}

fn marker(count: usize, seed: u64) -> String {
    format!(
        "{count} faces drawn by foresee-celeba {}, seed {seed}. These are not photographs.\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether `folder` holds what [`write()`] of this version writes for this count and seed.
pub fn holds(folder: &Path, count: usize, seed: u64) -> bool {
    std::fs::read_to_string(folder.join(MARKER)).is_ok_and(|text| text == marker(count, seed))
}

/// Whether `folder` holds faces drawn by any version, count and seed.
pub fn drawn(folder: &Path) -> bool {
    folder.join(MARKER).exists()
}
