//! Semantic channel pruning against chance and against other rules, and what a takeover changes.

use anyhow::Context;
use foresee_perturb::{PruneRule, Takeover};
use foresee_stats::{
    CurveDifference, Interval, LEVEL, MARGIN, Verdict, mean, mean_over_seeds_and_images,
    straightness,
};

use super::super::by_image::PruningByImage;
use super::super::claim::{Claim, ClaimKind, Evidence, PruningClaim, Way};
use crate::error::Result;
use crate::run::Run;

/// Share of the channels that the target names, and what it allows to lose, in percentage points.
const HALF: f64 = 0.5;
const ALLOWED: f64 = 1.;

const LOWER: Way = (PruneRule::Lower, Takeover::Nothing);
const LOWER_LEAST_SQUARES: Way = (PruneRule::Lower, Takeover::LeastSquares);
const RANDOM: Way = (PruneRule::Random, Takeover::Nothing);

pub(super) fn claims(variant: &str, runs: &[&Run]) -> Vec<Claim> {
    let tables = runs.iter().map(|run| PruningByImage::read(run)).collect::<Result<Vec<_>>>();
    let tables = match tables {
        Ok(tables) => tables,
        Err(e) => return vec![Claim::new(ClaimKind::RandomIsLinear, variant, Err(e))],
    };
    let channels = runs[0].manifest.config.model.channels;
    let mut claims = vec![Claim::new(ClaimKind::RandomIsLinear, variant, linear(&tables))];
    let compared = |claim: PruningClaim| {
        Claim::new(ClaimKind::Pruning(claim), variant, better(&tables, claim.ways()))
    };
    claims.extend(PruningClaim::ALL.map(compared));
    claims.push(Claim::new(ClaimKind::HalfOfTheChannels, variant, half(&tables, channels)));
    claims
}

/// The points of the curves that are compared: not the first, at which nothing is pruned, nor one
/// at which a single channel is left.
fn compared_counts(tables: &[PruningByImage]) -> Vec<usize> {
    let counts = tables[0].counts();
    let last = counts.last().copied().unwrap_or(0);
    counts.into_iter().filter(|&count| count > 0 && count < last).collect()
}

/// One curve above another, as a whole and point by point.
fn better(tables: &[PruningByImage], [ours, theirs]: [Way; 2]) -> Result<Evidence> {
    let counts = compared_counts(tables);
    anyhow::ensure!(
        !counts.is_empty(),
        "the curves have no point between nothing pruned and a single channel left"
    );
    let at_count = |&count: &usize| -> Result<Vec<Vec<f64>>> {
        tables.iter().map(|table| difference(table, ours, theirs, count)).collect()
    };
    let differences = counts.iter().map(at_count).collect::<Result<Vec<_>>>()?;
    let curve = CurveDifference::new(&differences)?;
    let points = counts.iter().zip(&curve.points).map(|(count, point)| {
        let certain = if point.excludes_zero() { "*" } else { "" };
        format!("{count}: {:+.1}{certain}", point.estimate)
    });
    let mut remark = format!(
        "certainly better at {} and worse at {} of {} points; by number of pruned channels (* \
         certain): {}",
        curve.points_above(),
        curve.points_below(),
        curve.points.len(),
        points.collect::<Vec<_>>().join(", ")
    );
    if theirs.0 == PruneRule::Random {
        remark.push_str(&orders_beaten(tables, ours, theirs, &counts));
    }
    Ok(Evidence {
        statistic: "mean difference of the curves [points]".into(),
        verdict: Verdict::of_curve(&curve.interval, &curve.seeds, MARGIN, &curve.points),
        interval: curve.interval,
        seeds: curve.seeds,
        remark,
    })
}

/// Accuracy of one way less that of another, by image.
fn difference(table: &PruningByImage, ours: Way, theirs: Way, count: usize) -> Result<Vec<f64>> {
    let pairs = table.point(ours, count)?.into_iter().zip(table.point(theirs, count)?);
    Ok(pairs.map(|(a, b)| a - b).collect())
}

/// At how many points of how many seeds a curve is above every random order.
fn orders_beaten(tables: &[PruningByImage], ours: Way, theirs: Way, counts: &[usize]) -> String {
    let above = |table: &PruningByImage, count: usize| {
        let own = table.point(ours, count).map_or(f64::NAN, |own| mean(&own));
        table.orders(theirs, count).into_iter().all(|order| own > mean(order))
    };
    let orders = counts.first().map_or(0, |&count| tables[0].orders(theirs, count).len());
    let points = tables.iter().flat_map(|table| counts.iter().map(move |&count| (table, count)));
    let beaten = points.filter(|(table, count)| above(table, *count)).count();
    let all = tables.len() * counts.len();
    format!("; above each of {orders} random orders at {beaten} of {all} points of all seeds")
}

/// What half of the channels cost with least squares.
fn half(tables: &[PruningByImage], channels: usize) -> Result<Evidence> {
    let wanted = (HALF * channels as f64) as usize;
    let counts = tables[0].counts();
    let nearest = counts.iter().copied().min_by_key(|&c| c.abs_diff(wanted));
    let nearest = nearest.context("no point was measured")?;
    let lost = |table: &PruningByImage| -> Result<Vec<f64>> {
        let pruned = table.point(LOWER_LEAST_SQUARES, nearest)?;
        Ok(table.point(LOWER, 0)?.iter().zip(pruned).map(|(a, b)| a - b).collect())
    };
    let losses = tables.iter().map(lost).collect::<Result<Vec<_>>>()?;
    let means = mean_over_seeds_and_images(&losses, LEVEL)?;
    Ok(Evidence {
        statistic: "accuracy lost [points]".into(),
        verdict: Verdict::of_limit(&means.interval, &means.seeds, ALLOWED),
        interval: means.interval,
        seeds: means.seeds,
        remark: format!("{nearest} of {channels} channels pruned"),
    })
}

/// A straight line through the mean random curve, and through its first half alone.
fn linear(tables: &[PruningByImage]) -> Result<Evidence> {
    let counts = tables[0].counts();
    let curve = |table: &PruningByImage| -> Result<Vec<Vec<f64>>> {
        counts.iter().map(|&count| table.point(RANDOM, count)).collect()
    };
    let curves = tables.iter().map(curve).collect::<Result<Vec<_>>>()?;
    let x: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    let last = counts.last().copied().unwrap_or(0);
    let half = (HALF * (last + 1) as f64) as usize;
    let found = straightness(&x, &curves, half as f64)?;
    let Interval { estimate, low, high, .. } = found.first_part;
    let first_part = match estimate.is_nan() {
        true => "has too few points".into(),
        false => format!("{estimate:.2} ({low:.2} to {high:.2})"),
    };
    let points = counts.iter().zip(&found.mean_curve).map(|(c, v)| format!("{c}: {v:.1}"));
    Ok(Evidence {
        statistic: "R² of a straight line (holds from 0.95, in part if up to half of the \
                    channels, does not below 0.9)"
            .into(),
        verdict: Verdict::of_straightness(&found.seeds, &found.r_squared, &found.first_part),
        interval: found.r_squared,
        seeds: found.seeds.iter().map(|line| line.r_squared).collect(),
        remark: format!(
            "up to {half} channels {first_part}; slope {:.3} points a \
             channel; mean curve: {}",
            found.slope,
            points.collect::<Vec<_>>().join(", ")
        ),
    })
}
