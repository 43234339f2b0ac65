//! What explains the network over many faces: permutation importance, partial dependence, and
//! surrogates.

use anyhow::Context;
use candle_core::{Device, Tensor};
use foresee_attribution::{
    AttributeSurrogate, Importance, MIN_SURROGATE_ROWS, Method, Part, PartKind, Permutation,
    RegionImportance, Target, attribute_importances, attribute_surrogates, label_importances,
    most_important, partial_dependence, quantile_grid, region_importances,
};
use foresee_celeba::{ATTRIBUTES, Split};

use super::asked::Asked;
use super::subject::Subject;
use crate::artifacts::{DependencePoint, PermutedPart, PermutedParts, SurrogateRow};
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::run::{Outputs, Run};

/// Inputs at once through the whole network.
const BATCH: usize = 16;
/// Values that a channel is set to.
const GRID: usize = 5;
/// Training faces whose labels models of labels are fitted to, at most.
const LABELLED: usize = 20_000;

/// Whether the settings ask for permutations, and there are faces to permute.
pub(super) fn permutes(run: &Run) -> bool {
    run.manifest.config.attribute.permutation_images > 0 && run.manifest.data.test >= 2
}

/// Permutation importance of the cells of a grid, if it is among the methods.
pub(super) fn regions(
    subject: &Subject,
    attributes: &[usize],
    methods: &[Method],
) -> Result<RegionImportance> {
    if !methods.contains(&Method::PermutationRegions) {
        return Ok(RegionImportance::default());
    }
    let (x, labels) = subject.test_images(subject.settings().permutation_images)?;
    let grid = subject.settings().grid.min(subject.image_size());
    let progress = Progress::new("permuting cells", Unit::Cells, grid * grid, 0);
    let asked = Asked::new(&subject.trained.network, attributes)?;
    let (labels, columns) = (asked.labels(&labels)?, asked.columns());
    let model = |x: &Tensor| asked.logits(x);
    let step = |part: &Part| progress.add(1, || part.name.clone());
    let options = options(subject);
    let found = region_importances(model, &x, &labels, &columns, grid, &options, step)?;
    let maps = found.maps.into_iter().map(|(column, map)| (attributes[column], map)).collect();
    Ok(RegionImportance { importances: found.importances, maps })
}

/// Writes what the settings ask for.
pub(super) fn write(
    outputs: &mut Outputs,
    subject: &Subject,
    attributes: &[usize],
    regions: &RegionImportance,
) -> Result<()> {
    if permutes(subject.run) {
        let (x, labels) = subject.test_images(subject.settings().permutation_images)?;
        let z = features(subject, &x)?;
        let channels = channels(subject, attributes, &z, &labels)?;
        let of_labels = other_labels(subject, attributes)?;
        let all = [
            (PartKind::Region, &regions.importances),
            (PartKind::Channel, &channels),
            (PartKind::Attribute, &of_labels),
        ];
        outputs.write(&permuted_parts(attributes, &all))?;
        outputs.write(&dependence(subject, attributes, &z, &channels)?)?;
    }
    if subject.settings().surrogate_images == 0 {
        return Ok(());
    }
    if subject.run.manifest.data.test < MIN_SURROGATE_ROWS {
        tracing::info!(
            "attribute: surrogates are left out: they need {MIN_SURROGATE_ROWS} test faces"
        );
        return Ok(());
    }
    outputs.write(&surrogates(subject, attributes)?)
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

/// The importance of channels of the features, for each attribute.
fn channels(
    subject: &Subject,
    attributes: &[usize],
    z: &Tensor,
    labels: &Tensor,
) -> Result<Vec<Vec<Importance>>> {
    let parts = Part::channels(&z.dims()[1..], subject.settings().channels)?;
    let progress = Progress::new("permuting channels", Unit::Channels, parts.len(), 0);
    let asked = Asked::new(&subject.trained.network, attributes)?;
    let (labels, columns) = (asked.labels(labels)?, asked.columns());
    let model = |z: &Tensor| asked.logits_of_features(z);
    let step = |part: &Part| progress.add(1, || part.name.clone());
    let options = options(subject);
    Ok(attribute_importances(model, z, &labels, &parts, &columns, &options, step)?)
}

/// The importance of each other attribute's label for a model of an attribute's label.
fn other_labels(subject: &Subject, attributes: &[usize]) -> Result<Vec<Vec<Importance>>> {
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

fn permuted_parts(
    attributes: &[usize],
    all: &[(PartKind, &Vec<Vec<Importance>>)],
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

/// ICE on each attribute's most important channel: a line for each face and value.
fn dependence(
    subject: &Subject,
    attributes: &[usize],
    z: &Tensor,
    channels: &[Vec<Importance>],
) -> Result<Vec<DependencePoint>> {
    let mut rows = vec![];
    for (&attribute, importances) in attributes.iter().zip(channels) {
        let most = most_important(importances).context("no channel was permuted")?;
        let name = importances[most].part.clone();
        let parts = Part::channels(&z.dims()[1..], subject.settings().channels)?;
        let part = &parts[most];
        let alone = Asked::new(&subject.trained.network, &[attribute])?;
        let target = Target::new(|z: &Tensor| alone.logits_of_features(z), 0).batch(BATCH);
        let grid = quantile_grid(z, part, GRID)?;
        let found = partial_dependence(&target, z, part, &grid)?;
        let mean = found.mean();
        let deviation = found.centred().standard_deviation();
        for (face, curve) in found.curves.iter().enumerate() {
            rows.extend(curve.iter().enumerate().map(|(at, &logit)| DependencePoint {
                attribute: ATTRIBUTES[attribute].into(),
                channel: name.clone(),
                face,
                value: found.grid[at],
                logit,
                mean_logit: mean[at],
                deviation_of_change: deviation[at],
            }));
        }
    }
    Ok(rows)
}

/// Sparse linear models and trees of each attribute's mean masks, if the network has masks, and of
/// the features' means, that say its logit.
fn surrogates(subject: &Subject, attributes: &[usize]) -> Result<Vec<SurrogateRow>> {
    let test = faces::first(subject.test.clone(), subject.settings().surrogate_images);
    let asked = Asked::new(&subject.trained.network, attributes)?;
    let mut masks = vec![];
    let mut means = vec![];
    let mut logits = vec![];
    for batch in subject.data.batches_in_order(&test, &subject.trained.preprocessing, BATCH) {
        let images = batch?.images.to_device(&subject.session.device)?;
        let z = subject.trained.network.extractor().forward(&images)?;
        let output = asked.output_of_features(&z)?;
        logits.push(output.logits.detach());
        means.push(z.mean((2, 3))?.detach());
        if subject.trained.network.config().attention {
            masks.push(output.mask_means.contiguous()?.detach());
        }
    }
    let masks = if masks.is_empty() { None } else { Some(Tensor::cat(&masks, 0)?) };
    let means = Tensor::cat(&means, 0)?;
    let logits = Tensor::cat(&logits, 0)?;
    let columns = asked.columns();
    let found = attribute_surrogates(masks.as_ref(), &means, &logits, &columns, subject.seed)?;
    Ok(found.iter().map(|found| surrogate_row(attributes[found.attribute], found)).collect())
}

/// The attribute's number is that of the whole network; the surrogate's own is its column's.
fn surrogate_row(attribute: usize, found: &AttributeSurrogate) -> SurrogateRow {
    let surrogate = &found.surrogate;
    SurrogateRow {
        attribute: ATTRIBUTES[attribute].into(),
        inputs: found.inputs,
        surrogate: found.kind,
        r2_fitted: surrogate.fitted.r2,
        r2_held_out: surrogate.held_out.r2,
        agreement_held_out: surrogate.held_out.agreement,
        faces_fitted: surrogate.fitted.rows as f64,
        faces_held_out: surrogate.held_out.rows as f64,
        model: surrogate.model.to_string(),
    }
}
