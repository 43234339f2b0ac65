//! Figure 7: accuracy over the number of pruned channels.

use foresee_perturb::PruneRule::{FilterNorm, Higher, Lower, Random};
use foresee_perturb::Takeover::Nothing;
use foresee_report::Figure;
use foresee_report::LineStyle::{Dashed, Dotted, Solid};

use super::pruning_curves::Points;
use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Artifact, PruningCurves};
use crate::error::Result;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig7_channel_pruning",
    caption: "Figure 7: accuracy over the number of pruned channels.",
    caption_of_chosen: None,
    data: &[PruningCurves::PATH],
    takes: Takes::Nothing,
    needs: None,
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let points = Points::read(request.run)?;
    let lines = vec![
        points.line("random", (Random, Nothing), 6, Solid),
        points.line("semantic, lower norm goes", (Lower, Nothing), 0, Solid),
        points.line("semantic, higher norm goes", (Higher, Nothing), 1, Dashed),
        points.line("lowest filter norm first", (FilterNorm, Nothing), 2, Dotted),
    ];
    points.figure(request, name, lines)
}
