//! Is the network as accurate as the paper's baselines?

use foresee_stats::{Verdict, mean, mean_over_seeds};

use super::super::claim::{Claim, ClaimKind, Evidence};
use crate::artifacts::Accuracy;
use crate::error::Result;
use crate::provenance::first_of;
use crate::run::Run;

/// Accuracy above that of the majority class, in points, of each run.
fn gains(runs: &[&Run]) -> Result<Vec<f64>> {
    let gain = |run: &&Run| -> Result<f64> {
        let accuracy = run.read_one::<Accuracy>()?;
        Ok(100. * (accuracy.accuracy - accuracy.majority_accuracy))
    };
    runs.iter().map(gain).collect()
}

/// The mean of [`gains`].
pub(super) fn mean_gain(runs: &[&Run]) -> Result<f64> {
    Ok(mean(&gains(runs)?))
}

pub(super) fn claim(variant: &str, runs: &[&Run]) -> Claim {
    Claim::new(ClaimKind::Accuracy, variant, test(runs))
}

fn test(runs: &[&Run]) -> Result<Evidence> {
    let gains = gains(runs)?;
    let manifest = &runs[0].manifest;
    let trained = first_of(manifest.data.train, manifest.config.train.limit);
    Ok(Evidence {
        statistic: "accuracy above the majority's [points]".into(),
        interval: mean_over_seeds(&gains),
        seeds: gains,
        verdict: Verdict::NotTestable,
        remark: format!(
            "trained on {trained} {}, the paper on 182,637; it reports 90.72 % beside 81.13 to \
             91.07 % of its baselines (cited)",
            manifest.data.title()
        ),
    })
}
