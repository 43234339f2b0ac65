//! Accuracy over the number of pruned channels, as Figure 7 and the figure of takeovers draw it.

use foresee_perturb::{PruneRule, Takeover};
use foresee_report::{Curve, Figure, Level, LineStyle, Panel};
use foresee_stats::{mean, range};

use super::Request;
use crate::artifacts::{PruningCurves, PruningPoint};
use crate::error::Result;
use crate::provenance::test_faces;
use crate::run::Run;

/// All points, and the numbers of pruned channels among them.
pub(super) struct Points {
    all: Vec<PruningPoint>,
    counts: Vec<usize>,
}

impl Points {
    pub fn read(run: &Run) -> Result<Self> {
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
    pub fn line(
        &self,
        name: &str,
        way: (PruneRule, Takeover),
        colour: usize,
        style: LineStyle,
    ) -> Curve {
        let counts = || self.counts.iter().copied();
        let points = counts().map(|count| (count as f64, mean(&self.at(way, count)))).collect();
        let mut line = Curve::new(name, points, colour, style);
        if way.0 == PruneRule::Random {
            let orders = self.at(way, self.counts[0]).len();
            if orders > 1 {
                line.name = format!("{name}, mean and range ({orders} orders)");
                line.spread = counts().map(|count| range(&self.at(way, count))).collect();
            } else {
                line.name = format!("{name}, one order");
            }
        }
        line
    }

    pub fn figure(&self, request: &Request, name: &str, lines: Vec<Curve>) -> Result<Figure> {
        let first = self.all.first();
        // The same for every point.
        let majority = first.map_or(f64::NAN, |point| 100. * point.majority_accuracy);
        let errors = self.all.iter().map(|point| 100. * point.standard_error);
        let error = errors.filter(|error| error.is_finite()).reduce(f64::max);
        let title =
            error.map(|error| format!("standard error over the faces: at most {error:.2} points"));
        let channels = request.run.manifest.config.model.channels;
        let panel = Panel {
            title: title.unwrap_or_default(),
            x: format!("pruned channels (of {channels})"),
            y: "accuracy [%]".into(),
            curves: lines,
            levels: vec![Level { name: "majority-class baseline".into(), y: majority }],
        };
        let source = request.source(&test_faces(first.map(|point| point.images)));
        request.curves(name, vec![panel], &source)
    }
}
