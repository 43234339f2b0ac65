//! Beyond the paper: Figure 7 with kept channels that take over.

use foresee_perturb::PruneRule::{Lasso, Lower, Random};
use foresee_perturb::Takeover::{LeastSquares, Nothing, Partner};
use foresee_report::Figure;
use foresee_report::LineStyle::{Dashed, Dotted, Solid};

use super::pruning_curves::Points;
use super::{Drawing, Request, Takes};
use crate::artifacts::{Artifact, PruningCurves};
use crate::error::Result;

pub(super) const DRAWING: Drawing = Drawing {
    name: "channel_pruning_takeover",
    caption: "Accuracy over the number of pruned channels when kept channels take over the role \
              of pruned ones. A range over more orders is wider.",
    caption_of_chosen: None,
    data: &[PruningCurves::PATH],
    takes: Takes::Nothing,
    needs: None,
    is_in: |run| run.manifest.config.prune.takeover,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let points = Points::read(request.run)?;
    let least_squares = "semantic (lower), all kept take over (least squares)";
    let lasso = "lasso selection, least squares (after He et al., 2017)";
    // A colour for each order; solid: nothing takes over, as in Figure 7.
    let lines = vec![
        points.line("random, nothing takes over", (Random, Nothing), 6, Solid),
        points.line("random, all kept take over", (Random, LeastSquares), 3, Dashed),
        points.line("semantic (lower), nothing takes over", (Lower, Nothing), 0, Solid),
        points.line("semantic (lower), its partner takes over", (Lower, Partner), 0, Dotted),
        points.line(least_squares, (Lower, LeastSquares), 0, Dashed),
        points.line(lasso, (Lasso, LeastSquares), 4, Dashed),
    ];
    points.figure(request, name, lines)
}
