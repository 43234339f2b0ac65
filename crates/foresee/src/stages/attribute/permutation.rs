//! Permutation importance, among test faces, of the cells of a grid, of channels and of other
//! attributes' labels.

use candle_core::{Device, Tensor};
use foresee_attribution::{
    Importance, Method, Part, PartKind, Permutation, RegionImportance, attribute_importances,
    label_importances, region_parts,
};
use foresee_celeba::{ATTRIBUTES, Split};

use super::asked::Asked;
use super::subject::Subject;
use crate::artifacts::{PermutedPart, PermutedParts};
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::ranks::{self, World};
use crate::run::Run;
use crate::stages::shared::{Sent, SharedItems};

/// Inputs at once through the whole network.
const BATCH: usize = 16;
/// Training faces whose labels models of labels are fitted to, at most.
const LABELLED: usize = 20_000;

/// Whether the settings ask for permutations, and there are faces to permute.
pub(super) fn permutes(run: &Run) -> bool {
    run.manifest.config.attribute.permutation_images > 0 && run.manifest.data.test >= 2
}

/// Parts of the network's inputs, or of its features, that are permuted among test faces.
pub(super) struct Permuted {
    kind: PartKind,
    parts: Vec<Part>,
    asked: Asked,
    /// Images, or features.
    pub x: Tensor,
    labels: Tensor,
    options: Permutation,
}

impl Permuted {
    /// The cells of a grid, if their importance is among the methods.
    pub fn regions(
        subject: &Subject,
        attributes: &[usize],
        methods: &[Method],
    ) -> Result<Option<Self>> {
        if !methods.contains(&Method::PermutationRegions) {
            return Ok(None);
        }
        let (x, labels) = subject.test_images(subject.settings().permutation_images)?;
        let parts = region_parts(&x, subject.settings().grid)?;
        Self::new(subject, attributes, PartKind::Region, parts, x, &labels).map(Some)
    }

    /// Channels of the features, if the settings ask for permutations.
    pub fn channels(subject: &Subject, attributes: &[usize]) -> Result<Option<Self>> {
        if !permutes(subject.run) {
            return Ok(None);
        }
        let (x, labels) = subject.test_images(subject.settings().permutation_images)?;
        let z = features(subject, &x)?;
        let parts = Part::channels(&z.dims()[1..], subject.settings().channels)?;
        Self::new(subject, attributes, PartKind::Channel, parts, z, &labels).map(Some)
    }

    fn new(
        subject: &Subject,
        attributes: &[usize],
        kind: PartKind,
        parts: Vec<Part>,
        x: Tensor,
        labels: &Tensor,
    ) -> Result<Self> {
        let asked = Asked::new(&subject.trained.network, attributes)?;
        let labels = asked.labels(labels)?;
        Ok(Self { kind, parts, asked, x, labels, options: options(subject) })
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// For each attribute, the importance of each part, from what all ranks computed.
    pub fn importances(&self, sent: Sent<Self>, ranks: &World) -> Result<Vec<Vec<Importance>>> {
        let mut by_attribute = vec![vec![]; self.asked.columns().len()];
        for (_, found) in self.by_item(sent, ranks)? {
            for (importances, importance) in by_attribute.iter_mut().zip(found) {
                importances.push(importance);
            }
        }
        Ok(by_attribute)
    }

    /// The importance of cells also as maps.
    pub fn region_importance(
        &self,
        subject: &Subject,
        attributes: &[usize],
        sent: Sent<Self>,
        ranks: &World,
    ) -> Result<RegionImportance> {
        let importances = self.importances(sent, ranks)?;
        Ok(RegionImportance::new(importances, &self.x, attributes, subject.settings().grid)?)
    }

    fn progress(&self, parts: usize) -> Progress {
        match self.kind {
            PartKind::Region => Progress::new("permuting cells", Unit::Cells, parts, 0),
            _ => Progress::new("permuting channels", Unit::Channels, parts, 0),
        }
    }
}

/// A part comes to its importance to each attribute.
impl SharedItems for Permuted {
    type Item = Part;
    type Found = Vec<Importance>;

    fn items(&self) -> &[Part] {
        &self.parts
    }

    fn compute(&self, parts: &[Part]) -> Result<Vec<Self::Found>> {
        if parts.is_empty() {
            return Ok(vec![]);
        }
        let progress = self.progress(parts.len());
        let model = |x: &Tensor| match self.kind {
            PartKind::Region => self.asked.logits(x),
            _ => self.asked.logits_of_features(x),
        };
        let step = |part: &Part| progress.add(1, || part.name.clone());
        let Self { asked, x, labels, options, .. } = self;
        let by_attribute =
            attribute_importances(model, x, labels, parts, &asked.columns(), options, step)?;
        let of_part = |part: usize| by_attribute.iter().map(|all| all[part].clone()).collect();
        Ok((0..parts.len()).map(of_part).collect())
    }
}

/// Permutation importance of the cells of a grid, computed by this rank alone; empty if it is not
/// among the methods.
pub(super) fn regions_alone(
    subject: &Subject,
    attributes: &[usize],
    methods: &[Method],
) -> Result<RegionImportance> {
    let Some(cells) = Permuted::regions(subject, attributes, methods)? else {
        return Ok(RegionImportance::default());
    };
    let alone = ranks::alone();
    cells.region_importance(subject, attributes, vec![cells.compute_own(&alone)?], &alone)
}

fn options(subject: &Subject) -> Permutation {
    Permutation { repeats: subject.settings().repeats, batch: BATCH, seed: subject.seed }
}

fn features(subject: &Subject, x: &Tensor) -> Result<Tensor> {
    let n = x.dim(0)?;
    let extractor = subject.trained.network.extractor();
    let of_batch = |start: usize| {
        let x = x.narrow(0, start, BATCH.min(n - start))?;
        Ok(extractor.forward(&x)?.detach())
    };
    let all = (0..n).step_by(BATCH).map(of_batch).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&all, 0)?)
}

/// The importance of each other attribute's label for a model of an attribute's label.
pub(super) fn other_labels(
    subject: &Subject,
    attributes: &[usize],
) -> Result<Vec<Vec<Importance>>> {
    let data = subject.data;
    let rows = |faces: &[usize]| -> Result<Tensor> {
        let labels = faces.iter().flat_map(|&face| {
            let labels = data.labels(face);
            labels.iter().map(|has| f64::from(u8::from(has))).collect::<Vec<_>>()
        });
        let all = Tensor::from_iter(labels, &Device::Cpu)?;
        Ok(all.reshape((faces.len(), ATTRIBUTES.len()))?)
    };
    let train = rows(&faces::first(data.split(Split::Train)?, LABELLED))?;
    let test = rows(&data.split(Split::Test)?)?;
    let progress = Progress::new("permuting labels", Unit::Labels, ATTRIBUTES.len(), 0);
    let step = |part: &Part| progress.add(1, || part.name.clone());
    Ok(label_importances(&train, &test, &ATTRIBUTES, attributes, &options(subject), step)?)
}

/// The file of all parts: kinds, and for each attribute the importance of each part.
pub(super) fn permuted_parts(
    attributes: &[usize],
    all: &[(PartKind, &[Vec<Importance>])],
) -> PermutedParts {
    let row = |kind: PartKind, attribute: usize, importance: &Importance| {
        let part = PermutedPart {
            kind,
            attribute: ATTRIBUTES[attribute].into(),
            part: importance.part.clone(),
            log_loss: importance.error,
            increase: importance.increase(),
            deviation: importance.standard_deviation(),
        };
        (part, importance.permuted.clone())
    };
    let mut rows = vec![];
    for (kind, of) in all {
        for (parts, &attribute) in of.iter().zip(attributes) {
            rows.extend(parts.iter().map(|importance| row(*kind, attribute, importance)));
        }
    }
    PermutedParts(rows)
}
