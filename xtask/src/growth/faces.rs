//! How opening and reading a data set grow with its faces.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use foresee::memory::{peak_memory, reset_peak_memory};
use foresee_celeba::{ATTRIBUTES, BatchOptions, CelebA, Split, SplitRule, synthetic};
use foresee_report::record;
use indicatif::ProgressBar;

use super::steps::MICRO_BATCH;

/// Drawn faces, whose image files all faces share.
const DRAWN: usize = 256;
/// Faces that are read, in random order, for the time of one.
const READ: usize = 2048;
/// Pixels of a side that they are read at.
pub const PIXELS: usize = 64;

record! {
    /// A data set of so many faces.
    pub struct Faces {
        pub faces: usize,
        /// Of its lists, with the look for each image file; measured.
        pub open_seconds: f64,
        /// Of reading, decoding and resizing one face on all cores; measured on 2,048 of them.
        pub read_seconds: f64,
        /// The process's peak while both were measured.
        pub memory_bytes: u64,
        /// Of reading all faces once; reckoned from the time of one.
        pub reckoned_read_hours: f64,
        /// Of the steps of an epoch of all faces at 64 pixels; reckoned from the time of one.
        pub reckoned_step_hours: f64,
    }
}

/// Data sets of 1/25 of the faces to all of them. Steps are reckoned later.
pub fn measure(most: usize) -> Result<Vec<Faces>> {
    let folder = tempfile::tempdir()?;
    let drawn = folder.path().join("drawn");
    synthetic::write(&drawn, DRAWN, 0, |_| ())?;
    let drawn = CelebA::open(&drawn, SplitRule::Official)?;
    let sizes = [25, 10, 5, 2, 1].map(|part| (most / part).max(DRAWN));
    let bar = ProgressBar::new(sizes.len() as u64);
    let mut there = 0;
    let mut of_size = |faces: usize| {
        grow(folder.path(), &drawn, there..faces)?;
        there = there.max(faces);
        bar.inc(1);
        of_set(folder.path(), faces)
    };
    let rows = sizes.into_iter().map(&mut of_size).collect();
    bar.finish_and_clear();
    rows
}

impl Faces {
    /// Reckons the steps from the time of one of 8 images.
    pub fn reckon_steps(&mut self, micro_batch: f64) {
        let seconds = micro_batch / MICRO_BATCH as f64;
        self.reckoned_step_hours = self.faces as f64 * seconds / 3600.;
    }
}

/// Adds faces to a folder in CelebA's layout, whose images are links to those of drawn ones.
fn grow(folder: &Path, drawn: &CelebA, faces: std::ops::Range<usize>) -> Result<()> {
    let images = folder.join("img_align_celeba");
    std::fs::create_dir_all(&images)?;
    let name = |face: usize| format!("{:06}.jpg", face + 1);
    for face in faces.clone() {
        let of = drawn.image_path(face % DRAWN);
        std::fs::hard_link(of, images.join(name(face))).context("linking an image")?;
    }
    let mut table = format!("{}\n{}\n", faces.end, ATTRIBUTES.join(" "));
    let mut partition = String::new();
    for face in 0..faces.end {
        let has = drawn.labels(face % DRAWN).iter().map(|has| if has { " 1" } else { " -1" });
        table.push_str(&format!("{}{}\n", name(face), has.collect::<String>()));
        partition.push_str(&format!("{} 0\n", name(face)));
    }
    std::fs::write(folder.join("list_attr_celeba.txt"), table)?;
    Ok(std::fs::write(folder.join("list_eval_partition.txt"), partition)?)
}

fn of_set(folder: &Path, faces: usize) -> Result<Faces> {
    reset_peak_memory();
    let start = Instant::now();
    let data = CelebA::open(folder, SplitRule::Official)?;
    let train = data.split(Split::Train)?;
    let open_seconds = start.elapsed().as_secs_f64();
    let options = BatchOptions {
        image_size: PIXELS,
        batch_size: 128,
        shuffle: Some((0, 0)),
        ..Default::default()
    };
    let start = Instant::now();
    let mut read = 0;
    for batch in data.batches(&train, &options).take(READ / options.batch_size) {
        read += batch?.faces.len();
    }
    let read_seconds = start.elapsed().as_secs_f64() / read as f64;
    Ok(Faces {
        faces,
        open_seconds,
        read_seconds,
        memory_bytes: peak_memory().unwrap_or_default(),
        reckoned_read_hours: faces as f64 * read_seconds / 3600.,
        reckoned_step_hours: f64::NAN,
    })
}
