//! Figure 7: accuracy over the number of pruned channels.

use foresee_perturb::PruneRule::{FilterNorm, Higher, Lower, Random};
use foresee_perturb::Takeover::Nothing;
use foresee_report::Figure;
use foresee_report::LineStyle::{Dashed, Dotted, Solid};

use super::pruning_curves::Points;
use crate::error::Result;
use crate::run::Run;

pub(super) fn channel_pruning(run: &Run) -> Result<Figure> {
    let points = Points::read(run)?;
    let lines = vec![
        points.line("random", (Random, Nothing), 6, Solid),
        points.line("semantic, lower norm goes", (Lower, Nothing), 0, Solid),
        points.line("semantic, higher norm goes", (Higher, Nothing), 1, Dashed),
        points.line("lowest filter norm first", (FilterNorm, Nothing), 2, Dotted),
    ];
    points.figure(run, "fig7_channel_pruning", lines)
}
