//! Figure 5: mean masks.

use foresee_celeba::display_name;
use foresee_report::{CellGrid, Figure, cell_grids};

use crate::artifacts::MeanMasks;
use crate::error::Result;
use crate::provenance::{measured_training_faces, source};
use crate::run::Run;

pub(super) fn mean_masks(run: &Run) -> Result<Figure> {
    let masks = run.read::<MeanMasks>()?.0;
    let rows = masks.row_names.iter().zip(masks.rows);
    let grids: Vec<CellGrid> =
        rows.map(|(name, values)| CellGrid { title: display_name(name), values }).collect();
    let source = source(run, &measured_training_faces(run));
    Ok(cell_grids("fig5_mean_masks", &grids, "mean of the mask", &source)?)
}
