//! The paper's claims, each with a statistic, an interval and a verdict.

mod attributes;
mod by_image;
mod pruning;
mod transformation;

use anyhow::Result;
use foresee_analysis::{Interval, Verdict, crossed_bootstrap};
use foresee_report::frame;

use crate::run::Run;

/// Resamples of a bootstrap, and permutations of a test.
pub const RESAMPLES: usize = 2000;
pub const LEVEL: f64 = 0.95;
/// A gain below this, in percentage points, is none that anyone would care for.
pub const MARGIN: f64 = 0.25;

/// One line of `tables/claims`.
pub struct Claim {
    pub claim: String,
    pub variant: String,
    pub statistic: String,
    pub interval: Interval,
    /// The estimate of each seed alone.
    pub seeds: Vec<f64>,
    pub verdict: Verdict,
    pub why: String,
}

impl Claim {
    pub fn new(claim: &str, statistic: &str, interval: Interval, seeds: Vec<f64>, verdict: Verdict, why: String) -> Self {
        Self { claim: claim.into(), variant: String::new(), statistic: statistic.into(), interval, seeds, verdict, why }
    }

    pub fn not_testable(claim: &str, why: &str) -> Self {
        let nothing = Interval { estimate: f64::NAN, low: f64::NAN, high: f64::NAN };
        Self::new(claim, "–", nothing, vec![], Verdict::NotTestable, why.into())
    }

    pub fn of(mut self, variant: &str) -> Self {
        self.variant = variant.into();
        self
    }
}

/// All claims for the runs of one variant, which differ by their seed. A statistic that fails is told in its claim's line.
pub fn of_variant(variant: &str, runs: &[&Run]) -> Vec<Claim> {
    let mut claims = vec![or_told("accuracy is at the level of the baselines", accuracy(runs))];
    claims.extend(pruning::claims(runs));
    claims.extend(transformation::claims(runs));
    claims.extend(attributes::claims(runs));
    claims.into_iter().map(|claim| claim.of(variant)).collect()
}

/// A claim whose statistic could not be computed is listed with the reason.
fn or_told(text: &str, claim: Result<Claim>) -> Claim {
    claim.unwrap_or_else(|e| Claim::not_testable(text, &format!("{e:#}")))
}

/// Smallest, mean and largest over seeds, where images cannot be drawn anew.
fn over_seeds(seeds: &[f64]) -> Interval {
    let fold = |f: fn(f64, f64) -> f64| seeds.iter().copied().reduce(f).unwrap_or(f64::NAN);
    Interval { estimate: seeds.iter().sum::<f64>() / seeds.len() as f64, low: fold(f64::min), high: fold(f64::max) }
}

/// Mean over seeds and images of values `[seed][image]`, with seeds and images drawn anew; and the mean of each seed.
fn over_seeds_and_images(values: &[Vec<f64>], level: f64) -> Result<(Interval, Vec<f64>)> {
    let images = values.first().map_or(0, Vec::len);
    anyhow::ensure!(values.iter().all(|of| of.len() == images), "the runs were judged on different images");
    let interval = crossed_bootstrap([values.len(), images], RESAMPLES, level, 0, |seeds, drawn| {
        seeds.iter().map(|&s| drawn.iter().map(|&i| values[s][i]).sum::<f64>()).sum::<f64>() / (seeds.len() * drawn.len()) as f64
    })?;
    Ok((interval, values.iter().map(|of| of.iter().sum::<f64>() / images as f64).collect()))
}

fn accuracy(runs: &[&Run]) -> Result<Claim> {
    let each =
        |name: &str| -> Result<Vec<f64>> { runs.iter().map(|run| Ok(frame::numbers(&run.read_csv("data/accuracy.csv")?, name)?[0])).collect() };
    let gains: Vec<f64> = each("accuracy")?.iter().zip(each("majority_accuracy")?).map(|(a, m)| 100. * (a - m)).collect();
    let (data, limit) = (&runs[0].manifest.data, runs[0].manifest.config.train.limit);
    let trained = if limit > 0 { limit.min(data.train) } else { data.train };
    let why = format!(
        "trained on {trained} {}, the paper on 182,637; it reports 90.72 % beside 81.13 to 91.07 % of its baselines (cited)",
        data.kind_in_words()
    );
    let statistic = "accuracy above the majority's [points], range over seeds";
    Ok(Claim::new("accuracy is at the level of the baselines", statistic, over_seeds(&gains), gains, Verdict::NotTestable, why))
}
