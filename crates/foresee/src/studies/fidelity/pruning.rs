//! Figure 7 over seeds: a panel for each variant.

use foresee_perturb::{PruneRule, Takeover};
use foresee_report::{Band, Curve, Figure, LineStyle, Panel, Source, Style, curves};
use foresee_stats::{mean, range};

use super::Group;
use super::by_image::PruningByImage;
use super::claim::Way;
use crate::artifacts::PruningOverSeeds;
use crate::error::Result;

/// How a way of pruning is drawn.
struct Line {
    way: Way,
    name: &'static str,
    colour: usize,
    style: LineStyle,
}

const fn line(
    rule: PruneRule,
    takeover: Takeover,
    name: &'static str,
    colour: usize,
    style: LineStyle,
) -> Line {
    Line { way: (rule, takeover), name, colour, style }
}

const LINES: [Line; 6] = [
    line(
        PruneRule::Random,
        Takeover::Nothing,
        "random (band: all orders and seeds)",
        6,
        LineStyle::Solid,
    ),
    line(PruneRule::Lower, Takeover::Nothing, "lower norm goes", 0, LineStyle::Solid),
    line(PruneRule::Higher, Takeover::Nothing, "higher norm goes", 1, LineStyle::Dashed),
    line(PruneRule::Lower, Takeover::Partner, "lower, partner takes over", 3, LineStyle::Dotted),
    line(PruneRule::Random, Takeover::LeastSquares, "random, least squares", 4, LineStyle::Dashed),
    line(PruneRule::Lower, Takeover::LeastSquares, "lower, least squares", 2, LineStyle::Solid),
];

/// The curves that a variant's runs measured: means over seeds and orders.
pub(crate) fn points(group: &Group) -> Result<Vec<PruningOverSeeds>> {
    let tables = group.runs.iter().map(PruningByImage::read).collect::<Result<Vec<_>>>()?;
    let mut points = vec![];
    for Line { way, .. } in &LINES {
        for pruned in shown_counts(&tables[0]) {
            let orders = tables.iter().flat_map(|table| table.orders(*way, pruned));
            let each: Vec<f64> = orders.map(mean).collect();
            if each.is_empty() {
                continue;
            }
            let (lowest, highest) = range(&each);
            points.push(PruningOverSeeds {
                variant: group.variant.clone(),
                rule: way.0,
                takeover: way.1,
                pruned,
                accuracy_percent: mean(&each),
                lowest,
                highest,
            });
        }
    }
    Ok(points)
}

/// Without the point at which a single channel is left, beside which nothing else would be visible.
fn shown_counts(table: &PruningByImage) -> Vec<usize> {
    let mut counts = table.counts();
    if counts.len() > 2 {
        counts.pop();
    }
    counts
}

/// A panel for each variant, with its title.
pub(crate) fn figure(
    points: &[PruningOverSeeds],
    titles: &[(String, String)],
    source: &Source,
) -> Result<Figure> {
    let panel = |(variant, title): &(String, String)| Panel {
        title: title.clone(),
        x: "pruned channels".into(),
        y: "accuracy [%]".into(),
        curves: LINES.iter().filter_map(|line| curve(points, variant, line)).collect(),
        levels: vec![],
    };
    let panels: Vec<Panel> = titles.iter().map(panel).collect();
    Ok(curves("pruning_over_seeds", &panels, source, &Style::default())?)
}

fn curve(points: &[PruningOverSeeds], variant: &str, line: &Line) -> Option<Curve> {
    let own = |p: &&PruningOverSeeds| p.variant == variant && (p.rule, p.takeover) == line.way;
    let own: Vec<&PruningOverSeeds> = points.iter().filter(own).collect();
    let random = line.way.0 == PruneRule::Random;
    (!own.is_empty()).then(|| Curve {
        name: line.name.into(),
        points: own.iter().map(|p| (p.pruned as f64, p.accuracy_percent)).collect(),
        spread: own.iter().map(|p| (p.lowest, p.highest)).collect(),
        band: if random { Band::Filled } else { Band::Bars },
        colour: line.colour,
        style: line.style,
    })
}
