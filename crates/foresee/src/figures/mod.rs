//! The figures of a run, one file each, from its data files alone.

mod attributions;
mod fig4;
mod fig5;
mod fig6;
mod fig7;
mod fig8;
mod predictability;
mod pruning_curves;
mod pruning_takeover;
mod regression;
mod training;

use foresee_report::{Architecture, Figure, architecture};

pub(crate) use self::attributions::attributions;
pub(crate) use self::predictability::predictability;
pub(crate) use self::regression::regression;
use crate::error::Result;
use crate::provenance::source;
use crate::run::Run;

/// Figures 1 to 8, the course of the training, and pruning with takeover.
pub(crate) fn of_the_paper(run: &Run, network: &Architecture) -> Result<Vec<Figure>> {
    let mut figures = vec![
        architecture("fig2_architecture", network, &source(run, ""))?,
        training::training(run)?,
        fig4::attention_masks(run)?,
        fig5::mean_masks(run)?,
        fig6::channel_correlation(run)?,
        fig7::channel_pruning(run)?,
        fig8::mask_transformation(run)?,
    ];
    if run.manifest.config.prune.takeover {
        figures.push(pruning_takeover::takeover(run)?);
    }
    Ok(figures)
}
