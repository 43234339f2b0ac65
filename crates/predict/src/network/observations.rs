//! What a network does under all operations, image by image.

use foresee_stats::Matrix;

use super::pruning::PrunedOutputs;
use crate::definition::Change;
use crate::error::{Error, Result};

/// What a network does under all operations of a study on some images.
pub struct Observations {
    pub(super) images: usize,
    /// Attributes.
    pub(super) outputs: usize,
    pub(super) pruned: Option<Pruned>,
    pub(super) transformed: Option<Vec<Change>>,
    pub(super) noise: Option<OfNoise>,
}

/// Outputs under pruning.
pub(super) struct Pruned {
    pub one: PrunedOutputs,
    pub one_with_partner: PrunedOutputs,
    pub many: PrunedOutputs,
}

/// Changes by noise.
pub(super) struct OfNoise {
    pub probe: Vec<Change>,
    pub draws: Vec<Change>,
}

impl Observations {
    /// All tables [images, attributes], in an order that the study decides.
    fn tables(&self) -> impl Iterator<Item = &Matrix> {
        let pruned = self.pruned.iter();
        let pruned = pruned.flat_map(|of| [&of.one, &of.one_with_partner, &of.many]);
        let noise = self.noise.iter().flat_map(|of| of.probe.iter().chain(&of.draws));
        let changes = self.transformed.iter().flatten().chain(noise);
        pruned.flat_map(PrunedOutputs::tables).chain(changes.map(|change| &change.by_item))
    }

    fn tables_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let pruned = self.pruned.iter_mut();
        let pruned = pruned.flat_map(|of| [&mut of.one, &mut of.one_with_partner, &mut of.many]);
        let noise = self.noise.iter_mut().flat_map(|of| of.probe.iter_mut().chain(&mut of.draws));
        let changes = self.transformed.iter_mut().flatten().chain(noise);
        pruned.flat_map(PrunedOutputs::tables_mut).chain(changes.map(|change| &mut change.by_item))
    }

    /// All numbers that were observed, to be sent to another process.
    pub fn to_values(&self) -> Vec<f64> {
        let rows = |table| (0..Matrix::rows(table)).flat_map(|image| table.row(image));
        self.tables().flat_map(rows).copied().collect()
    }

    /// How many of them are of one image.
    pub fn values_of_image(&self) -> usize {
        self.outputs * self.tables().count()
    }

    /// Puts together what the same study observed on several lists of images: `parts` are the
    /// [`to_values`](Self::to_values) of each list, one list behind the other. What was observed
    /// here is replaced.
    ///
    /// # Errors
    /// If a part's length does not fit.
    pub fn replace(&mut self, parts: &[Vec<f64>]) -> Result<()> {
        let (outputs, tables) = (self.outputs, self.tables().count());
        let in_image = self.values_of_image().max(1);
        if let Some(part) = parts.iter().find(|part| !part.len().is_multiple_of(in_image)) {
            return Err(Error::Shape {
                what: "what was observed on some images".into(),
                expected: format!("{tables} tables of {outputs} columns"),
                got: format!("{} values", part.len()),
            });
        }
        for (at, table) in self.tables_mut().enumerate() {
            let of_part = |part: &Vec<f64>| {
                let length = part.len() / tables;
                let rows = part[at * length..(at + 1) * length].chunks_exact(outputs);
                rows.map(<[f64]>::to_vec).collect::<Vec<_>>()
            };
            *table = Matrix::from_rows(&parts.iter().flat_map(of_part).collect::<Vec<_>>());
        }
        self.images = parts.iter().map(|part| part.len() / in_image).sum();
        Ok(())
    }
}
