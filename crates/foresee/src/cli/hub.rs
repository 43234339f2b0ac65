//! Datasets of the Hugging Face hub, in builds with the feature `hub`.

use std::path::PathBuf;

use crate::error::Result;

/// Downloads a dataset, with a progress bar; its folder.
#[cfg(feature = "hub")]
pub(super) fn fetch(name: &str) -> Result<PathBuf> {
    use crate::progress::{Progress, Unit};

    let progress = Progress::new("fetching", Unit::Bytes, 0, 0);
    Ok(foresee_celeba::hub::fetch(name, move |done, all| progress.set(done, all))?)
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
