//! How opening and reading a data set grow with its faces.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use foresee::memory::{peak_memory, reset_peak_memory};
use foresee_celeba::{BatchOptions, CelebA, Epoch, Split, SplitRule, repeat, synthetic};
use foresee_report::record;
use indicatif::ProgressBar;

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
    let of_size = |faces: usize| {
        repeat(folder.path(), &drawn, faces)?;
        bar.inc(1);
        of_set(folder.path(), faces)
    };
    let rows = sizes.into_iter().map(of_size).collect();
    bar.finish_and_clear();
    rows
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
        epoch: Some(Epoch::new(0, 0)),
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
