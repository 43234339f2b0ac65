//! Datasets of the Hugging Face hub, in builds with the feature `hub`.

use std::path::PathBuf;

use crate::error::Result;

/// Downloads a dataset, with a progress bar; its folder.
#[cfg(feature = "hub")]
pub(super) fn fetch(name: &str) -> Result<PathBuf> {
    use indicatif::{ProgressBar, ProgressStyle};

    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "fetching {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
    )?);
    let shown = bar.clone();
    let folder = foresee_celeba::hub::fetch(name, move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(folder)
}

/// Refuses, with the way to build a program that can.
#[cfg(not(feature = "hub"))]
pub(super) fn fetch(name: &str) -> Result<PathBuf> {
    Err(crate::error::input(format!(
        "{name}: this build cannot download; build it with `{} …`, or download the dataset's \
         parquet files and give their folder to --celeba",
        crate::program::build_with("hub")
    )))
}
