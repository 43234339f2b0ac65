//! Permutation importance of the cells of a grid, as a map of pixels.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::attribute_importance::attribute_importances;
use super::permutation_importance::{Importance, Permutation};
use crate::error::{Error, Result};
use crate::parts::Part;
use crate::segments::grid_segments;

/// Permutation importance of the cells of a grid.
#[derive(Debug, Clone, Default)]
pub struct RegionImportance {
    /// For each attribute, in the order that was asked for, the importance of each cell, row by
    /// row.
    pub importances: Vec<Vec<Importance>>,
    /// For each attribute by its number, the increase of the log loss as a map [1, H, W] in `f32`.
    pub maps: HashMap<usize, Tensor>,
}

/// The cells of a `grid` × `grid` (at most one cell a pixel) over images x [N, C, H, W], to be
/// permuted; row by row.
///
/// # Errors
/// If x has another shape, or the grid is 0.
pub fn region_parts(x: &Tensor, grid: usize) -> Result<Vec<Part>> {
    let (h, w) = pixels(x)?;
    Part::grid(&x.dims()[1..], grid.min(h), grid.min(w))
}

impl RegionImportance {
    /// Of the importances of [`region_parts`], for each of these attributes in their order.
    ///
    /// # Errors
    /// As for [`region_parts`], or if an attribute has another number of cells.
    pub fn new(
        importances: Vec<Vec<Importance>>,
        x: &Tensor,
        attributes: &[usize],
        grid: usize,
    ) -> Result<Self> {
        let (h, w) = pixels(x)?;
        let (rows, columns) = (grid.min(h), grid.min(w));
        if let Some(of) = importances.iter().find(|of| of.len() != rows * columns) {
            return Err(Error::shape("the cells", &[of.len()], format!("{rows} × {columns}")));
        }
        let cells = grid_segments(h, w, rows, columns)?;
        let maps = attributes
            .iter()
            .zip(&importances)
            .map(|(&attribute, cell)| Ok((attribute, increase_map(cell, &cells, x.device())?)))
            .collect::<Result<_>>()?;
        Ok(Self { importances, maps })
    }
}

/// [`attribute_importances`] of the cells of a `grid` × `grid` (at most one cell a pixel) over
/// images x [N, C, H, W].
///
/// # Errors
/// As for [`attribute_importances`], or if the grid is 0.
pub fn region_importances(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    x: &Tensor,
    labels: &Tensor,
    attributes: &[usize],
    grid: usize,
    options: &Permutation,
    progress: impl FnMut(&Part),
) -> Result<RegionImportance> {
    let parts = region_parts(x, grid)?;
    let importances =
        attribute_importances(model, x, labels, &parts, attributes, options, progress)?;
    RegionImportance::new(importances, x, attributes, grid)
}

/// The height and width of images.
fn pixels(x: &Tensor) -> Result<(usize, usize)> {
    match x.dims() {
        &[_, _, h, w] => Ok((h, w)),
        other => Err(Error::shape("the images", other, "[N, C, H, W]")),
    }
}

/// The increase of each pixel's cell, [1, H, W].
fn increase_map(importances: &[Importance], cells: &Tensor, device: &Device) -> Result<Tensor> {
    let (h, w) = cells.dims2()?;
    let increases: Vec<f32> = importances.iter().map(|of| of.increase() as f32).collect();
    let cells: Vec<u32> = cells.flatten_all()?.to_vec1()?;
    let values = cells.iter().map(|&cell| increases[cell as usize]);
    Ok(Tensor::from_iter(values, device)?.reshape((1, h, w))?)
}
