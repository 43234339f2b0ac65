//! What do masks cost? The same network with and without them.

use anyhow::Result;
use foresee_analysis::{SEEDS_NEEDED, Verdict};

use super::by_image::ByImage;
use super::{Claim, LEVEL, MARGIN, over_seeds_and_images};
use crate::run::Run;

pub const TEXT: &str =
    "masks cost no accuracy (against average pooling, the baseline that is trained alike)";

/// Accuracy with masks less that without, by image, of networks of the same seeds.
pub fn cost(runs: &[&Run], plain: &[&Run]) -> Result<Claim> {
    let whole = |run: &Run| -> Result<Vec<f64>> {
        ByImage::read(run, "data/channel_pruning_by_image.csv")?.point("lower", "nothing", 0)
    };
    let pairs = runs.iter().filter_map(|run| {
        Some((run, plain.iter().find(|other| other.manifest.seed == run.manifest.seed)?))
    });
    let differences = pairs.map(|(with, without)| {
        Ok(whole(with)?.iter().zip(whole(without)?).map(|(a, b)| a - b).collect())
    });
    let (interval, seeds) =
        over_seeds_and_images(&differences.collect::<Result<Vec<Vec<f64>>>>()?, LEVEL)?;
    let verdict = match interval {
        _ if seeds.len() < SEEDS_NEEDED => Verdict::NotDecided,
        i if i.low > -MARGIN => Verdict::Holds,
        i if i.high < 0. => Verdict::DoesNotHold,
        _ => Verdict::NotDecided,
    };
    let why = format!(
        "it holds if no more than {MARGIN} points can be lost; of the images that pruning is judged on"
    );
    Ok(Claim::new(
        TEXT,
        "accuracy with masks less that without [points]",
        interval,
        seeds,
        verdict,
        why,
    ))
}
