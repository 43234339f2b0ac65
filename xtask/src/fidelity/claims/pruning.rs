//! Semantic channel pruning against chance and against other rules, and what a takeover changes.

use anyhow::{Context, Result};
use foresee_analysis::{Interval, Line, Verdict, crossed_bootstrap};

use super::by_image::ByImage;
use super::{Claim, LEVEL, MARGIN, RESAMPLES, or_told, over_seeds_and_images};
use crate::run::Run;

const PLAIN: &str = "nothing";
/// Share of the channels that the target names, and what it allows to lose, in percentage points.
const HALF: f64 = 0.5;
const ALLOWED: f64 = 1.;

/// A curve: a rule that orders the channels, and what takes over.
type Which = (&'static str, &'static str);

/// (ours, theirs, the claim that ours is higher)
const AGAINST: [(Which, Which, &str); 10] = [
    (("lower", PLAIN), ("random", PLAIN), "semantic pruning, lower norm goes, selects better than chance"),
    (("higher", PLAIN), ("random", PLAIN), "semantic pruning, higher norm goes, selects better than chance"),
    (("lower", PLAIN), ("l1", PLAIN), "semantic pruning (lower) selects better than plain pruning by filter norm"),
    (("lower", PLAIN), ("readout", PLAIN), "semantic pruning (lower) selects better than plain pruning by readout norm"),
    (("lower", "partner"), ("lower", PLAIN), "beyond the paper: the partner's takeover repairs semantic pruning (lower)"),
    (("lower", "least_squares"), ("lower", PLAIN), "beyond the paper: least squares repair semantic pruning (lower)"),
    (("lower", "least_squares"), ("random", PLAIN), "beyond the paper: semantic pruning (lower) with least squares beats random pruning without"),
    (("lower", "partner"), ("random", "partner"), "beyond the paper: with the partner taking over, lower selects better than chance"),
    (("lower", "least_squares"), ("random", "least_squares"), "beyond the paper: with least squares, lower selects better than chance"),
    (
        ("lower", "least_squares"),
        ("lasso", "least_squares"),
        "beyond the paper: with least squares, lower selects better than the lasso (after He et al., 2017)",
    ),
];

pub fn claims(runs: &[&Run]) -> Vec<Claim> {
    let linear_text = "random pruning degrades accuracy linearly";
    let tables = match runs.iter().map(|run| ByImage::read(run, "data/channel_pruning_by_image.csv")).collect::<Result<Vec<_>>>() {
        Ok(tables) => tables,
        Err(e) => return vec![Claim::not_testable(linear_text, &format!("{e:#}"))],
    };
    let mut claims = vec![or_told(linear_text, linear(&tables, linear_text))];
    claims.extend(AGAINST.map(|(ours, theirs, text)| or_told(text, better(&tables, ours, theirs, text))));
    let text = "beyond the paper: with least squares, half of the channels (lower) cost at most 1 point";
    claims.push(or_told(text, half(&tables, runs[0].manifest.config.model.channels, text)));
    claims
}

/// One curve above another, as a whole and point by point.
fn better(tables: &[ByImage], (rule, takeover): Which, (other, other_takeover): Which, text: &str) -> Result<Claim> {
    let counts: Vec<usize> = tables[0].counts().into_iter().filter(|&c| c > 0).collect();
    // [count][seed][image]
    let differences = counts
        .iter()
        .map(|&count| {
            let of_seed = |table: &ByImage| -> Result<Vec<f64>> {
                let (ours, theirs) = (table.point(rule, takeover, count)?, table.point(other, other_takeover, count)?);
                Ok(ours.iter().zip(theirs).map(|(a, b)| a - b).collect())
            };
            tables.iter().map(of_seed).collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    let mean_of_counts: Vec<Vec<f64>> = (0..tables.len())
        .map(|s| (0..differences[0][s].len()).map(|i| differences.iter().map(|of| of[s][i]).sum::<f64>() / counts.len() as f64).collect())
        .collect();
    let (interval, seeds) = over_seeds_and_images(&mean_of_counts, LEVEL)?;
    // All points together are as sure as the whole (Bonferroni).
    let level = 1. - (1. - LEVEL) / counts.len() as f64;
    let points = differences.iter().map(|of| Ok(over_seeds_and_images(of, level)?.0)).collect::<Result<Vec<Interval>>>()?;
    let verdict = Verdict::of_curve(&interval, &seeds, MARGIN, &points);
    let (better, worse) = (points.iter().filter(|p| p.low > 0.).count(), points.iter().filter(|p| p.high < 0.).count());
    let by_count: Vec<String> = counts.iter().zip(&points).map(|(count, p)| format!("{count}: {:+.1}{}", p.estimate, sure(p))).collect();
    let why = format!(
        "certainly better at {better} and worse at {worse} of {} points; by number of pruned channels (* certain): {}",
        points.len(),
        by_count.join(", ")
    );
    Ok(Claim::new(text, "mean difference of the curves [points]", interval, seeds, verdict, why))
}

fn sure(point: &Interval) -> &'static str {
    if point.low > 0. || point.high < 0. { "*" } else { "" }
}

/// What half of the channels cost with least squares.
fn half(tables: &[ByImage], channels: usize, text: &str) -> Result<Claim> {
    let counts = tables[0].counts();
    let nearest = counts.iter().copied().min_by_key(|&c| c.abs_diff((HALF * channels as f64) as usize)).context("no point was measured")?;
    let lost = |table: &ByImage| -> Result<Vec<f64>> {
        let (whole, left) = (table.point("lower", PLAIN, 0)?, table.point("lower", "least_squares", nearest)?);
        Ok(whole.iter().zip(left).map(|(a, b)| a - b).collect())
    };
    let losses = tables.iter().map(lost).collect::<Result<Vec<_>>>()?;
    let (interval, seeds) = over_seeds_and_images(&losses, LEVEL)?;
    let verdict = match Verdict::up_to(&seeds, ALLOWED) {
        Verdict::Holds if interval.high > ALLOWED => Verdict::NotDecided,
        verdict => verdict,
    };
    Ok(Claim::new(text, "accuracy lost [points]", interval, seeds, verdict, format!("{nearest} of {channels} channels pruned")))
}

/// A straight line through the mean random curve.
fn linear(tables: &[ByImage], text: &str) -> Result<Claim> {
    let counts = tables[0].counts();
    let x: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    // [seed][count][image]
    let points: Vec<Vec<Vec<f64>>> =
        tables.iter().map(|t| counts.iter().map(|&c| t.point("random", PLAIN, c)).collect::<Result<_>>()).collect::<Result<_>>()?;
    let curve = |seeds: &[usize], images: &[usize]| -> Vec<f64> {
        let sum = |j: usize| seeds.iter().map(|&s| images.iter().map(|&i| points[s][j][i]).sum::<f64>()).sum::<f64>();
        (0..counts.len()).map(|j| sum(j) / (seeds.len() * images.len()) as f64).collect()
    };
    let images: Vec<usize> = (0..points[0][0].len()).collect();
    let interval =
        crossed_bootstrap([points.len(), images.len()], RESAMPLES, LEVEL, 0, |seeds, drawn| Line::fit(&x, &curve(seeds, drawn)).r_squared)?;
    let lines: Vec<Line> = (0..points.len()).map(|s| Line::fit(&x, &curve(&[s], &images))).collect();
    let verdict = match interval {
        _ if lines.len() < foresee_analysis::SEEDS_NEEDED => Verdict::NotDecided,
        _ if lines.iter().any(|line| line.slope >= 0.) => Verdict::DoesNotHold,
        i if i.low >= 0.95 => Verdict::Holds,
        i if i.high < 0.9 => Verdict::DoesNotHold,
        i if i.estimate >= 0.9 => Verdict::InPart,
        _ => Verdict::NotDecided,
    };
    let mean = curve(&(0..points.len()).collect::<Vec<_>>(), &images);
    let why = format!(
        "slope {:.3} points a channel; mean curve: {}",
        Line::fit(&x, &mean).slope,
        counts.iter().zip(mean).map(|(c, v)| format!("{c}: {v:.1}")).collect::<Vec<_>>().join(", ")
    );
    let statistic = "R² of a straight line (holds from 0.95, does not below 0.9)";
    Ok(Claim::new(text, statistic, interval, lines.iter().map(|line| line.r_squared).collect(), verdict, why))
}
