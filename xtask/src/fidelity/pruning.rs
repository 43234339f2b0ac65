//! Figure 7 over seeds: a panel for each variant.

use anyhow::Result;
use foresee_report::frame::{DataFrame, df};
use foresee_report::{Band, Curve, Figure, Panel, Source, curves};

use super::claims::ByImage;
use crate::run::Run;

/// Rule, what takes over, the name in the legend, colour, line.
const CURVES: [(&str, &str, &str, usize, usize); 6] = [
    ("random", "nothing", "random (band: all orders and seeds)", 6, 0),
    ("lower", "nothing", "lower norm goes", 0, 0),
    ("higher", "nothing", "higher norm goes", 1, 1),
    ("lower", "partner", "lower, partner takes over", 3, 2),
    ("random", "least_squares", "random, least squares", 4, 1),
    ("lower", "least_squares", "lower, least squares", 2, 0),
];

/// A point of a curve.
pub struct Point {
    variant: String,
    curve: usize,
    pruned: usize,
    /// Mean over seeds and orders.
    mean: f64,
    /// The lowest and the highest of them.
    range: (f64, f64),
}

/// The curves that a variant's runs measured; none if they did not keep every image's answers.
pub fn points(variant: &str, runs: &[&Run]) -> Result<Vec<Point>> {
    let tables = runs
        .iter()
        .map(|run| ByImage::read(run, "data/channel_pruning_by_image.csv"))
        .collect::<Result<Vec<_>>>()?;
    let mut points = vec![];
    for (curve, (rule, takeover, ..)) in CURVES.iter().enumerate() {
        for pruned in shown(&tables[0]) {
            let orders = tables.iter().flat_map(|table| table.orders(rule, takeover, pruned));
            let each: Vec<f64> =
                orders.map(|right| right.iter().sum::<f64>() / right.len() as f64).collect();
            if !each.is_empty() {
                let range = each
                    .iter()
                    .fold((f64::NAN, f64::NAN), |(low, high), &v| (v.min(low), v.max(high)));
                points.push(Point {
                    variant: variant.into(),
                    curve,
                    pruned,
                    mean: each.iter().sum::<f64>() / each.len() as f64,
                    range,
                });
            }
        }
    }
    Ok(points)
}

/// Without the point at which a single channel is left, beside which nothing else would be seen.
fn shown(table: &ByImage) -> Vec<usize> {
    let mut counts = table.counts();
    if counts.len() > 2 {
        counts.pop();
    }
    counts
}

pub fn frame(points: &[Point]) -> Result<DataFrame> {
    Ok(df!(
        "variant" => points.iter().map(|p| p.variant.as_str()).collect::<Vec<_>>(),
        "rule" => points.iter().map(|p| CURVES[p.curve].0).collect::<Vec<_>>(),
        "takeover" => points.iter().map(|p| CURVES[p.curve].1).collect::<Vec<_>>(),
        "pruned" => points.iter().map(|p| p.pruned as i64).collect::<Vec<_>>(),
        "accuracy_percent" => points.iter().map(|p| p.mean).collect::<Vec<_>>(),
        "lowest" => points.iter().map(|p| p.range.0).collect::<Vec<_>>(),
        "highest" => points.iter().map(|p| p.range.1).collect::<Vec<_>>(),
    )?)
}

pub fn figure(points: &[Point], titles: &[(&str, String)], source: &Source) -> Result<Figure> {
    let panel = |(variant, title): &(&str, String)| Panel {
        title: title.clone(),
        x: "pruned channels".into(),
        y: "accuracy [%]".into(),
        curves: (0..CURVES.len()).filter_map(|curve| curve_of(points, variant, curve)).collect(),
        levels: vec![],
    };
    Ok(curves("pruning_over_seeds", &titles.iter().map(panel).collect::<Vec<_>>(), source)?)
}

fn curve_of(points: &[Point], variant: &str, curve: usize) -> Option<Curve> {
    let own: Vec<&Point> =
        points.iter().filter(|p| p.variant == variant && p.curve == curve).collect();
    let (rule, _, name, colour, dash) = CURVES[curve];
    (!own.is_empty()).then(|| Curve {
        name: name.into(),
        points: own.iter().map(|p| (p.pruned as f64, p.mean)).collect(),
        spread: own.iter().map(|p| p.range).collect(),
        band: if rule == "random" { Band::Filled } else { Band::Bars },
        colour,
        dash,
    })
}
