//! Figure 5: mean masks.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_report::{CellGrid, Figure, cell_grids};

use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Artifact, MeanMasks};
use crate::error::Result;
use crate::provenance::measured_training_faces;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig5_mean_masks",
    caption: "Figure 5: mean of each channel's mask by attribute. Deeper is higher.",
    caption_of_chosen: None,
    data: &[MeanMasks::PATH],
    takes: Takes::Attributes,
    needs: None,
    is_in: always,
    draw,
};

/// A panel for each attribute, or for those that are asked for in their order.
fn draw(request: &Request, name: &str) -> Result<Figure> {
    let masks = request.run.read::<MeanMasks>()?.0;
    let mut attributes = request.settings.attribute_indices()?;
    if attributes.is_empty() {
        attributes = (0..ATTRIBUTES.len()).collect();
    }
    let rows: Vec<(String, Vec<f64>)> = masks.row_names.into_iter().zip(masks.rows).collect();
    let of = |k: &usize| rows.iter().find(|(name, _)| name == ATTRIBUTES[*k]);
    let grids: Vec<CellGrid> = attributes
        .iter()
        .filter_map(of)
        .map(|(name, values)| CellGrid { title: display_name(name), values: values.clone() })
        .collect();
    let source = request.source(&measured_training_faces(request.run));
    Ok(cell_grids(name, &grids, "mean of the mask", &source, &request.style)?)
}
