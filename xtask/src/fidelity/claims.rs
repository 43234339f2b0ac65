//! The paper's claims, each with a statistic, an interval and a verdict.

mod attributes;
mod by_image;
mod masks;
mod pruning;
mod transformation;

pub use by_image::ByImage;

use anyhow::Result;
use foresee_analysis::{Interval, Verdict, crossed_interval, student_interval};
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
    pub fn new(
        claim: &str,
        statistic: &str,
        interval: Interval,
        seeds: Vec<f64>,
        verdict: Verdict,
        why: String,
    ) -> Self {
        Self {
            claim: claim.into(),
            variant: String::new(),
            statistic: statistic.into(),
            interval,
            seeds,
            verdict,
            why,
        }
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

/// All claims for the runs of one variant, which differ by their seed; `plain` are those of the
/// same network without masks, if the study has them. A statistic that fails is told in its claim's
/// line.
pub fn of_variant(variant: &str, runs: &[&Run], plain: Option<&[&Run]>) -> Vec<Claim> {
    let mut claims = vec![or_told("accuracy is at the level of the baselines", accuracy(runs))];
    claims.extend(plain.map(|plain| or_told(masks::TEXT, masks::cost(runs, plain))));
    claims.extend(pruning::claims(runs));
    claims.extend(transformation::claims(runs));
    claims.extend(attributes::claims(runs));
    claims.into_iter().map(|claim| claim.of(variant)).collect()
}

/// A claim whose statistic could not be computed is listed with the reason.
fn or_told(text: &str, claim: Result<Claim>) -> Claim {
    claim.unwrap_or_else(|e| Claim::not_testable(text, &format!("{e:#}")))
}

/// Mean over seeds with Student's interval, where images cannot be drawn anew. Of one seed there is
/// none.
fn over_seeds(seeds: &[f64]) -> Interval {
    let mean = seeds.iter().sum::<f64>() / seeds.len() as f64;
    student_interval(seeds, LEVEL).unwrap_or(Interval {
        estimate: mean,
        low: f64::NAN,
        high: f64::NAN,
    })
}

/// Mean over seeds and images of values `[seed][image]`, and the mean of each seed.
fn over_seeds_and_images(values: &[Vec<f64>], level: f64) -> Result<(Interval, Vec<f64>)> {
    let images = values.first().map_or(0, Vec::len);
    anyhow::ensure!(
        values.iter().all(|of| of.len() == images),
        "the runs were judged on different images"
    );
    let interval =
        crossed_interval([values.len(), images], RESAMPLES, level, 0, |seeds, drawn| {
            seeds.iter().map(|&s| drawn.iter().map(|&i| values[s][i]).sum::<f64>()).sum::<f64>()
                / (seeds.len() * drawn.len()) as f64
        })?;
    Ok((interval, values.iter().map(|of| of.iter().sum::<f64>() / images as f64).collect()))
}

/// Accuracy above that of always answering with the majority, in points, of each run.
fn gains(runs: &[&Run]) -> Result<Vec<f64>> {
    let each = |name: &str| -> Result<Vec<f64>> {
        runs.iter()
            .map(|run| Ok(frame::numbers(&run.read_csv("data/accuracy.csv")?, name)?[0]))
            .collect()
    };
    Ok(each("accuracy")?
        .iter()
        .zip(each("majority_accuracy")?)
        .map(|(a, m)| 100. * (a - m))
        .collect())
}

/// The mean of these.
pub fn above_majority(runs: &[&Run]) -> Result<f64> {
    Ok(over_seeds(&gains(runs)?).estimate)
}

fn accuracy(runs: &[&Run]) -> Result<Claim> {
    let gains = gains(runs)?;
    let (data, limit) = (&runs[0].manifest.data, runs[0].manifest.config.train.limit);
    let trained = if limit > 0 { limit.min(data.train) } else { data.train };
    let why = format!(
        "trained on {trained} {}, the paper on 182,637; it reports 90.72 % beside 81.13 to 91.07 % of its baselines (cited)",
        data.kind_in_words()
    );
    let statistic = "accuracy above the majority's [points]";
    Ok(Claim::new(
        "accuracy is at the level of the baselines",
        statistic,
        over_seeds(&gains),
        gains,
        Verdict::NotTestable,
        why,
    ))
}
