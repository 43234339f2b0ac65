//! Semantic channel pruning against chance and against other rules, and what a takeover changes.

use anyhow::Context;
use foresee_perturb::{PruneRule, Takeover};
use foresee_stats::{
    CurveDifference, Interval, LEVEL, Line, MARGIN, Verdict, mean, mean_over_seeds_and_images,
    range, straightness,
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
    let at_count = |&count: &usize| differences(tables, ours, theirs, count);
    let curve = CurveDifference::new(&counts.iter().map(at_count).collect::<Result<Vec<_>>>()?)?;
    let seeds = match tables {
        [_] => vec![curve.interval.estimate],
        _ => curve.seeds.clone(),
    };
    let points = counts.iter().zip(&curve.points).map(|(count, point)| {
        let certain = if point.excludes_zero() { "*" } else { "" };
        format!("{count}: {:+.1}{certain}", point.estimate)
    });
    let mut remark = format!(
        "intervals above 0 at {} and below 0 at {} of {} points (95 % for all points together); by \
         number of pruned channels (* interval without 0): {}",
        curve.points_above(),
        curve.points_below(),
        curve.points.len(),
        points.collect::<Vec<_>>().join(", ")
    );
    if theirs.0 == PruneRule::Random {
        remark.push_str(&orders_beaten(tables, ours, theirs, &counts));
    }
    if let [table] = tables {
        remark.push_str(match table.orders(theirs, counts[0]).len() {
            0 | 1 => "; one training: intervals over its test images, not over trainings",
            _ => {
                "; one training: intervals over its test images and random orders, not over \
                 trainings"
            }
        });
    }
    Ok(Evidence {
        statistic: "mean difference of the curves [points]".into(),
        verdict: Verdict::of_curve(&curve.interval, &seeds, MARGIN, &curve.points),
        interval: curve.interval,
        seeds,
        remark,
    })
}

/// Accuracy of one way less that of another, by image: of each training, or of each random order of
/// the only one, so that the interval knows how much the orders differ.
fn differences(
    tables: &[PruningByImage],
    ours: Way,
    theirs: Way,
    count: usize,
) -> Result<Vec<Vec<f64>>> {
    let less = |ours: &[f64], theirs: &[f64]| ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    if let [table] = tables {
        let (own, others) = (table.orders(ours, count), table.orders(theirs, count));
        if others.len() > 1 && !own.is_empty() {
            let pairs = own.iter().cycle().zip(&others);
            return Ok(pairs.map(|(own, other)| less(own, other)).collect());
        }
    }
    let of_training =
        |table: &PruningByImage| Ok(less(&table.point(ours, count)?, &table.point(theirs, count)?));
    tables.iter().map(of_training).collect()
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
    let x: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    let of_orders = tables.iter().flat_map(|table| order_curves(table, &counts));
    let of_orders: Vec<Vec<Vec<f64>>> = of_orders.collect();
    let single = of_orders.iter().map(|curve| Line::fit(&x, &means(curve)).r_squared);
    let (lowest, highest) = range(&single.collect::<Vec<_>>());
    let curve = |table: &PruningByImage| -> Result<Vec<Vec<f64>>> {
        counts.iter().map(|&count| table.point(RANDOM, count)).collect()
    };
    // The orders of a single training are its replicates.
    let curves = match tables {
        [_] => of_orders,
        _ => tables.iter().map(curve).collect::<Result<Vec<_>>>()?,
    };
    let last = counts.last().copied().unwrap_or(0);
    let half = (HALF * (last + 1) as f64) as usize;
    let found = straightness(&x, &curves, half as f64)?;
    // A single training decides nothing.
    let lines = if tables.len() == 1 { &found.seeds[..1] } else { &found.seeds };
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
        verdict: Verdict::of_straightness(lines, &found.r_squared, &found.first_part),
        interval: found.r_squared,
        seeds: match tables {
            [_] => vec![found.r_squared.estimate],
            _ => found.seeds.iter().map(|line| line.r_squared).collect(),
        },
        remark: format!(
            "of the mean over random orders; of single orders {lowest:.2} to {highest:.2}; up to \
             {half} channels {first_part}; slope {:.3} points a channel; mean curve: {}",
            found.slope,
            points.collect::<Vec<_>>().join(", ")
        ),
    })
}

/// Accuracy of each image along the curve of each random order: `[order][point][image]`.
fn order_curves(table: &PruningByImage, counts: &[usize]) -> Vec<Vec<Vec<f64>>> {
    let orders = counts.first().map_or(0, |&count| table.orders(RANDOM, count).len());
    let point = |order: usize, &count: &usize| {
        table.orders(RANDOM, count).get(order).map_or(vec![], |images| images.to_vec())
    };
    let curve = |order| counts.iter().map(|count| point(order, count)).collect();
    (0..orders).map(curve).collect()
}

fn means(curve: &[Vec<f64>]) -> Vec<f64> {
    curve.iter().map(|images| mean(images)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A training with 0, 8 and 16 of some channels pruned, and random orders that differ by how
    /// much they lose per channel.
    fn training(losses: &[f64]) -> PruningByImage {
        let curve = |loss: f64| [0, 8, 16].map(|pruned| [90. - loss * pruned as f64; 2]);
        let own = [[90., 90.], [84., 86.], [70., 72.]];
        let mut points = vec![];
        for (pruned, images) in [0, 8, 16].iter().zip(&own) {
            points.push((LOWER, None, *pruned, &images[..]));
        }
        let curves: Vec<[[f64; 2]; 3]> = losses.iter().map(|&loss| curve(loss)).collect();
        for (seed, curve) in (0..).zip(&curves) {
            for (pruned, images) in [0, 8, 16].iter().zip(curve) {
                points.push((RANDOM, Some(seed), *pruned, &images[..]));
            }
        }
        PruningByImage::of(&points)
    }

    #[test]
    fn the_orders_of_one_training_are_its_replicates() {
        let one = [training(&[1., 2.])];
        assert_eq!(differences(&one, LOWER, RANDOM, 8).unwrap(), [[2., 4.], [10., 12.]]);
        // Of two trainings each has the mean over its orders, and one order has no spread.
        let two = [training(&[1., 2.]), training(&[1., 1.])];
        assert_eq!(differences(&two, LOWER, RANDOM, 8).unwrap(), [[6., 8.], [2., 4.]]);
        let single = [training(&[1.])];
        assert_eq!(differences(&single, LOWER, RANDOM, 8).unwrap(), [[2., 4.]]);
        assert!(differences(&[training(&[])], LOWER, RANDOM, 8).is_err());
    }

    #[test]
    fn one_training_decides_nothing_and_its_interval_knows_its_orders() {
        let width = |losses: &[f64]| {
            let found = better(&[training(losses)], [LOWER, RANDOM]).unwrap();
            assert_eq!((found.verdict, found.seeds.len()), (Verdict::NotDecided, 1));
            found.interval.high - found.interval.low
        };
        assert!(width(&[1., 1.2, 1.4]) > 2. * width(&[1.2, 1.2, 1.2]));
        let found = linear(&[training(&[1., 2.])]).unwrap();
        assert_eq!((found.verdict, found.seeds.len()), (Verdict::NotDecided, 1));
        assert!(found.remark.contains("of single orders 1.00 to 1.00"), "{}", found.remark);
    }
}
