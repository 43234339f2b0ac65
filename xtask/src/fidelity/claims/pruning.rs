//! Semantic channel pruning against chance and against other rules, and what a takeover changes.

use anyhow::{Context, Result};
use foresee_analysis::{Interval, Line, SEEDS_NEEDED, Verdict, crossed_interval};

use super::by_image::ByImage;
use super::{Claim, LEVEL, MARGIN, RESAMPLES, or_told, over_seeds_and_images};
use crate::run::Run;

const PLAIN: &str = "nothing";
/// Share of the channels that the target names, and what it allows to lose, in percentage points.
const HALF: f64 = 0.5;
const ALLOWED: f64 = 1.;
/// R² from which a curve is called a straight line, and below which it certainly is none.
const LINEAR: f64 = 0.95;
const BENT: f64 = 0.9;

/// A curve: a rule that orders the channels, and what takes over.
type Which = (&'static str, &'static str);

/// (ours, theirs, the claim that ours is higher)
const AGAINST: [(Which, Which, &str); 10] = [
    (
        ("lower", PLAIN),
        ("random", PLAIN),
        "semantic pruning, lower norm goes, selects better than chance",
    ),
    (
        ("higher", PLAIN),
        ("random", PLAIN),
        "semantic pruning, higher norm goes, selects better than chance",
    ),
    (
        ("lower", PLAIN),
        ("l1", PLAIN),
        "semantic pruning (lower) selects better than plain pruning by filter norm",
    ),
    (
        ("lower", PLAIN),
        ("readout", PLAIN),
        "semantic pruning (lower) selects better than plain pruning by readout norm",
    ),
    (
        ("lower", "partner"),
        ("lower", PLAIN),
        "beyond the paper: the partner's takeover repairs semantic pruning (lower)",
    ),
    (
        ("lower", "least_squares"),
        ("lower", PLAIN),
        "beyond the paper: least squares repair semantic pruning (lower)",
    ),
    (
        ("lower", "least_squares"),
        ("random", PLAIN),
        "beyond the paper: semantic pruning (lower) with least squares beats random pruning without",
    ),
    (
        ("lower", "partner"),
        ("random", "partner"),
        "beyond the paper: with the partner taking over, lower selects better than chance",
    ),
    (
        ("lower", "least_squares"),
        ("random", "least_squares"),
        "beyond the paper: with least squares, lower selects better than chance",
    ),
    (
        ("lower", "least_squares"),
        ("lasso", "least_squares"),
        "beyond the paper: with least squares, lower selects better than the lasso (after He et al., 2017)",
    ),
];

pub fn claims(runs: &[&Run]) -> Vec<Claim> {
    let linear_text = "random pruning degrades accuracy linearly";
    let tables = match runs
        .iter()
        .map(|run| ByImage::read(run, "data/channel_pruning_by_image.csv"))
        .collect::<Result<Vec<_>>>()
    {
        Ok(tables) => tables,
        Err(e) => return vec![Claim::not_testable(linear_text, &format!("{e:#}"))],
    };
    let mut claims = vec![or_told(linear_text, linear(&tables, linear_text))];
    claims.extend(
        AGAINST.map(|(ours, theirs, text)| or_told(text, better(&tables, ours, theirs, text))),
    );
    let text =
        "beyond the paper: with least squares, half of the channels (lower) cost at most 1 point";
    claims.push(or_told(text, half(&tables, runs[0].manifest.config.model.channels, text)));
    claims
}

/// The points of the curves that are compared: not the first, at which nothing is pruned, nor one
/// at which a single channel is left.
fn compared(tables: &[ByImage]) -> Vec<usize> {
    let counts = tables[0].counts();
    let last = counts.last().copied().unwrap_or(0);
    counts.into_iter().filter(|&count| count > 0 && count < last).collect()
}

/// One curve above another, as a whole and point by point.
fn better(
    tables: &[ByImage],
    (rule, takeover): Which,
    (other, other_takeover): Which,
    text: &str,
) -> Result<Claim> {
    let counts = compared(tables);
    anyhow::ensure!(
        !counts.is_empty(),
        "the curves have no point between nothing pruned and a single channel left"
    );
    // [count][seed][image]
    let differences = counts
        .iter()
        .map(|&count| {
            let of_seed = |table: &ByImage| -> Result<Vec<f64>> {
                let (ours, theirs) = (
                    table.point(rule, takeover, count)?,
                    table.point(other, other_takeover, count)?,
                );
                Ok(ours.iter().zip(theirs).map(|(a, b)| a - b).collect())
            };
            tables.iter().map(of_seed).collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    let mean_of_counts: Vec<Vec<f64>> = (0..tables.len())
        .map(|s| {
            (0..differences[0][s].len())
                .map(|i| differences.iter().map(|of| of[s][i]).sum::<f64>() / counts.len() as f64)
                .collect()
        })
        .collect();
    let (interval, seeds) = over_seeds_and_images(&mean_of_counts, LEVEL)?;
    // All points together are as sure as the whole (Bonferroni).
    let level = 1. - (1. - LEVEL) / counts.len() as f64;
    let points = differences
        .iter()
        .map(|of| Ok(over_seeds_and_images(of, level)?.0))
        .collect::<Result<Vec<Interval>>>()?;
    let verdict = Verdict::of_curve(&interval, &seeds, MARGIN, &points);
    let (better, worse) = (
        points.iter().filter(|p| p.low > 0.).count(),
        points.iter().filter(|p| p.high < 0.).count(),
    );
    let by_count: Vec<String> = counts
        .iter()
        .zip(&points)
        .map(|(count, p)| format!("{count}: {:+.1}{}", p.estimate, sure(p)))
        .collect();
    let why = format!(
        "certainly better at {better} and worse at {worse} of {} points; by number of pruned channels (* certain): {}{}",
        points.len(),
        by_count.join(", "),
        if other == "random" {
            orders_beaten(tables, (rule, takeover), other_takeover, &counts)
        } else {
            String::new()
        }
    );
    Ok(Claim::new(text, "mean difference of the curves [points]", interval, seeds, verdict, why))
}

/// At how many points of how many seeds a curve is above every random order.
fn orders_beaten(
    tables: &[ByImage],
    (rule, takeover): Which,
    other_takeover: &str,
    counts: &[usize],
) -> String {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let above = |table: &ByImage, count: usize| {
        let ours = table.point(rule, takeover, count).map_or(f64::NAN, |own| mean(&own));
        table.orders("random", other_takeover, count).into_iter().all(|order| ours > mean(order))
    };
    let orders =
        counts.first().map_or(0, |&count| tables[0].orders("random", other_takeover, count).len());
    let beaten = tables
        .iter()
        .flat_map(|table| counts.iter().filter(move |&&count| above(table, count)))
        .count();
    format!(
        "; above each of {orders} random orders at {beaten} of {} points of all seeds",
        tables.len() * counts.len()
    )
}

fn sure(point: &Interval) -> &'static str {
    if point.low > 0. || point.high < 0. { "*" } else { "" }
}

/// What half of the channels cost with least squares.
fn half(tables: &[ByImage], channels: usize, text: &str) -> Result<Claim> {
    let counts = tables[0].counts();
    let nearest = counts
        .iter()
        .copied()
        .min_by_key(|&c| c.abs_diff((HALF * channels as f64) as usize))
        .context("no point was measured")?;
    let lost = |table: &ByImage| -> Result<Vec<f64>> {
        let (whole, left) =
            (table.point("lower", PLAIN, 0)?, table.point("lower", "least_squares", nearest)?);
        Ok(whole.iter().zip(left).map(|(a, b)| a - b).collect())
    };
    let losses = tables.iter().map(lost).collect::<Result<Vec<_>>>()?;
    let (interval, seeds) = over_seeds_and_images(&losses, LEVEL)?;
    let verdict = match Verdict::up_to(&seeds, ALLOWED) {
        Verdict::Holds if interval.high > ALLOWED => Verdict::NotDecided,
        verdict => verdict,
    };
    Ok(Claim::new(
        text,
        "accuracy lost [points]",
        interval,
        seeds,
        verdict,
        format!("{nearest} of {channels} channels pruned"),
    ))
}

/// A straight line through the mean random curve, and through its first half alone.
fn linear(tables: &[ByImage], text: &str) -> Result<Claim> {
    let counts = tables[0].counts();
    // [seed][count][image]
    let points: Vec<Vec<Vec<f64>>> = tables
        .iter()
        .map(|t| counts.iter().map(|&c| t.point("random", PLAIN, c)).collect::<Result<_>>())
        .collect::<Result<_>>()?;
    let images = points[0][0].len();
    let curve = |seeds: &[usize], drawn: &[usize]| -> Vec<f64> {
        let sum = |j: usize| {
            seeds.iter().map(|&s| drawn.iter().map(|&i| points[s][j][i]).sum::<f64>()).sum::<f64>()
        };
        (0..counts.len()).map(|j| sum(j) / (seeds.len() * drawn.len()) as f64).collect()
    };
    let line = |up_to: usize, seeds: &[usize], drawn: &[usize]| {
        let (x, y): (Vec<f64>, Vec<f64>) = counts
            .iter()
            .map(|&c| c as f64)
            .zip(curve(seeds, drawn))
            .filter(|(x, _)| *x <= up_to as f64)
            .unzip();
        Line::fit(&x, &y)
    };
    let r_squared = |up_to: usize| -> Result<Interval> {
        let i = crossed_interval([points.len(), images], RESAMPLES, LEVEL, 0, |seeds, drawn| {
            line(up_to, seeds, drawn).r_squared
        })?;
        Ok(Interval { low: i.low.max(0.), high: i.high.min(1.), ..i })
    };
    let (all, every): (Vec<usize>, Vec<usize>) =
        ((0..points.len()).collect(), (0..images).collect());
    let last = counts.last().copied().unwrap_or(0);
    let half = (HALF * (last + 1) as f64) as usize;
    let (whole, first_half) = (r_squared(last)?, r_squared(half)?);
    let each: Vec<Line> = all.iter().map(|&s| line(last, &[s], &every)).collect();
    let verdict = match () {
        () if each.len() < SEEDS_NEEDED => Verdict::NotDecided,
        () if each.iter().any(|line| line.slope >= 0.) => Verdict::DoesNotHold,
        () if whole.low >= LINEAR => Verdict::Holds,
        () if first_half.low >= LINEAR => Verdict::InPart,
        () if whole.high < BENT => Verdict::DoesNotHold,
        () => Verdict::NotDecided,
    };
    let why = format!(
        "up to {half} channels {:.2} ({:.2} to {:.2}); slope {:.3} points a channel; mean curve: {}",
        first_half.estimate,
        first_half.low,
        first_half.high,
        line(last, &all, &every).slope,
        counts
            .iter()
            .zip(curve(&all, &every))
            .map(|(c, v)| format!("{c}: {v:.1}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let statistic = "R² of a straight line (holds from 0.95, in part if up to half of the channels, does not below 0.9)";
    Ok(Claim::new(
        text,
        statistic,
        whole,
        each.iter().map(|line| line.r_squared).collect(),
        verdict,
        why,
    ))
}
