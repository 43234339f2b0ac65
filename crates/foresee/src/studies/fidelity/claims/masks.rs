//! What do masks cost? The same network with and without them.

use foresee_perturb::{PruneRule, Takeover};
use foresee_stats::{LEVEL, MARGIN, Verdict, mean_over_seeds_and_images};

use super::super::by_image::PruningByImage;
use super::super::claim::{Claim, ClaimKind, Evidence};
use crate::error::Result;
use crate::run::Run;

pub(super) fn claim(variant: &str, runs: &[&Run], without: &[Run]) -> Claim {
    Claim::new(ClaimKind::MaskCost, variant, test(runs, without))
}

/// Accuracy with masks less that without, by image, of networks of the same seeds.
fn test(runs: &[&Run], without: &[Run]) -> Result<Evidence> {
    let partner = |run: &Run| without.iter().find(|o| o.manifest.seed == run.manifest.seed);
    let pairs = runs.iter().filter_map(|run| Some((*run, partner(run)?)));
    let differences = pairs.map(|(with, without)| {
        let pairs = unpruned(with)?.into_iter().zip(unpruned(without)?);
        Ok(pairs.map(|(a, b)| a - b).collect())
    });
    let differences = differences.collect::<Result<Vec<Vec<f64>>>>()?;
    let means = mean_over_seeds_and_images(&differences, LEVEL)?;
    Ok(Evidence {
        statistic: "accuracy with masks less that without [points]".into(),
        verdict: Verdict::of_cost(&means.interval, &means.seeds, MARGIN),
        interval: means.interval,
        seeds: means.seeds,
        remark: format!(
            "it holds if no more than {MARGIN} points can be lost; of the images that pruning is \
             judged on"
        ),
    })
}

/// Accuracy of each image with nothing pruned.
fn unpruned(run: &Run) -> Result<Vec<f64>> {
    PruningByImage::read(run)?.point((PruneRule::Lower, Takeover::Nothing), 0)
}
