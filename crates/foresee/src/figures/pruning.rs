//! Figure 7: accuracy over the number of pruned channels; and the same with takeovers, beyond the
//! paper.

use foresee_perturb::{PruneRule, Takeover};
use foresee_report::LineStyle::{self, Dashed, Dotted, Solid};
use foresee_report::{Curve, Figure, Level, Panel, curves};
use foresee_stats::{mean, range};

use crate::artifacts::{PruningCurves, PruningPoint};
use crate::error::Result;
use crate::provenance::{source, test_faces};
use crate::run::Run;

use PruneRule::{FilterNorm, Higher, Lasso, Lower, Random};
use Takeover::{LeastSquares, Nothing, Partner};

/// Figure 7, as in the paper.
pub(super) fn fig7(run: &Run) -> Result<Figure> {
    let points = Points::read(run)?;
    let lines = vec![
        points.line("random", (Random, Nothing), 6, Solid),
        points.line("semantic, lower norm goes", (Lower, Nothing), 0, Solid),
        points.line("semantic, higher norm goes", (Higher, Nothing), 1, Dashed),
        points.line("lowest filter norm first", (FilterNorm, Nothing), 2, Dotted),
    ];
    points.figure(run, "fig7_channel_pruning", lines)
}

/// Kept channels take over.
pub(super) fn takeover(run: &Run) -> Result<Figure> {
    let points = Points::read(run)?;
    let least_squares = "semantic (lower), all kept take over (least squares)";
    let lasso = "lasso selection, least squares (after He et al., 2017)";
    let lines = vec![
        points.line("random, nothing takes over", (Random, Nothing), 6, Solid),
        points.line("semantic (lower), nothing takes over", (Lower, Nothing), 0, Dotted),
        points.line("semantic (lower), its partner takes over", (Lower, Partner), 0, Dashed),
        points.line(least_squares, (Lower, LeastSquares), 0, Solid),
        points.line(lasso, (Lasso, LeastSquares), 1, Dashed),
        points.line("random, all kept take over", (Random, LeastSquares), 2, Solid),
    ];
    points.figure(run, "channel_pruning_takeover", lines)
}

/// All points, and the numbers of pruned channels among them.
struct Points {
    all: Vec<PruningPoint>,
    counts: Vec<usize>,
}

impl Points {
    fn read(run: &Run) -> Result<Self> {
        let curves: PruningCurves = run.read()?;
        let all: Vec<PruningPoint> = curves.points.into_iter().map(|(point, _)| point).collect();
        let mut counts: Vec<usize> = all.iter().map(|point| point.pruned).collect();
        counts.sort_unstable();
        counts.dedup();
        Ok(Self { all, counts })
    }

    /// Accuracies in percent at a number of pruned channels, one for each order.
    fn at(&self, (rule, takeover): (PruneRule, Takeover), count: usize) -> Vec<f64> {
        let here = |p: &&PruningPoint| (p.rule, p.takeover, p.pruned) == (rule, takeover, count);
        self.all.iter().filter(here).map(|p| 100. * p.accuracy).collect()
    }

    /// The mean over orders, and for random orders their range.
    fn line(
        &self,
        name: &str,
        way: (PruneRule, Takeover),
        colour: usize,
        style: LineStyle,
    ) -> Curve {
        let counts = || self.counts.iter().copied();
        let points = counts().map(|count| (count as f64, mean(&self.at(way, count)))).collect();
        let mut line = Curve::new(name, points, colour, style);
        if way.0 == Random {
            let orders = self.at(way, self.counts[0]).len();
            line.name = format!("{name}, mean and range ({orders} orders)");
            line.spread = counts().map(|count| range(&self.at(way, count))).collect();
        }
        line
    }

    fn figure(&self, run: &Run, name: &str, lines: Vec<Curve>) -> Result<Figure> {
        let first = self.all.first();
        // The same for every point.
        let majority = first.map_or(f64::NAN, |point| 100. * point.majority_accuracy);
        let panel = Panel {
            title: String::new(),
            x: "pruned channels".into(),
            y: "accuracy [%]".into(),
            curves: lines,
            levels: vec![Level { name: "always the majority".into(), y: majority }],
        };
        let source = source(run, &test_faces(first.map(|point| point.images)));
        Ok(curves(name, &[panel], &source)?)
    }
}
