//! What explains the network over many faces: permutation importance, partial dependence, and
//! surrogates.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::{DType, Error as CandleError, Tensor};
use foresee_attribution::{
    Dependence, Importance, Part, Permutation, Surrogate, SurrogateKind, SurrogateModel,
    SurrogateOptions, Target, Tree, global_surrogate, grid_segments, partial_dependence,
    permutation_importances, quantile_grid,
};
use foresee_celeba::{ATTRIBUTES, CelebA, attribute_index};
use foresee_report::frame::{self, DataFrame, df};
use rayon::prelude::*;

use super::labels;
use super::network::Explained;
use super::shuffled_test_faces;
use crate::faces;
use crate::progress::Progress;
use crate::run::Run;

pub const PERMUTATION: &str = "data/attribution_permutation.csv";
pub const DEPENDENCE: &str = "data/attribution_dependence.csv";
pub const SURROGATE: &str = "data/attribution_surrogate.csv";

/// Inputs at once through the whole network.
const BATCH: usize = 16;
/// Values that a channel is set to.
const GRID: usize = 5;
/// Columns of the sparse surrogate, and the other's depth.
const SPARSE: usize = 8;
const DEPTH: usize = 3;
/// Faces that surrogates and models of labels need.
pub const LEAST: usize = 10;

/// Permutation importance of the cells of a grid: for each attribute, in the order of the names.
#[derive(Default)]
pub struct Regions {
    pub importance: Vec<Vec<Importance>>,
    /// The increase of the error as a map [1, H, W].
    pub maps: HashMap<usize, Tensor>,
}

/// Some test faces: images and labels, [N, 3, H, W] and [N, K].
fn some_faces(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    count: usize,
) -> Result<(Tensor, Tensor)> {
    let faces = faces::limited(shuffled_test_faces(run, data)?, count);
    let batch = faces::in_order(data, &faces, &explained.preprocessing, faces.len().max(1))
        .next()
        .context("no test face")??;
    Ok((
        batch.images.to_device(&explained.device)?,
        batch.labels.to_dtype(DType::F32)?.to_device(&explained.device)?,
    ))
}

pub fn options(run: &Run) -> Permutation {
    Permutation {
        repeats: run.manifest.config.attribute.repeats,
        batch: BATCH,
        seed: run.manifest.seed,
    }
}

/// The mean log loss of each attribute, -log p of what is true.
fn log_losses(
    logits: &Tensor,
    labels: &Tensor,
    attributes: &[usize],
) -> foresee_attribution::Result<Vec<f64>> {
    let (logits, labels) = (logits.to_dtype(DType::F64)?, labels.to_dtype(DType::F64)?);
    // log(1 + exp(-|z|)) + max(z, 0) - y·z.
    let soft = ((logits.abs()?.neg()?.exp()? + 1.)?.log()? + logits.relu()?)?;
    let means = (soft - (labels * logits)?)?.mean(0)?.to_vec1::<f64>()?;
    Ok(attributes.iter().map(|&k| means[k]).collect())
}

/// Whether the settings ask for permutations, and there are faces to permute.
pub fn permutes(run: &Run) -> bool {
    run.manifest.config.attribute.permutation_images > 0 && run.manifest.data.test >= 2
}

/// The cells' importance for attributes of these names, if it is `wanted`.
pub fn regions(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    names: &[String],
    wanted: bool,
) -> Result<Regions> {
    if !wanted {
        return Ok(Regions::default());
    }
    let (attributes, settings) = (indices(names)?, &run.manifest.config.attribute);
    let (x, labels) = some_faces(run, data, explained, settings.permutation_images)?;
    let size = explained.preprocessing.image_size;
    let grid = settings.grid.min(size);
    let parts = Part::grid(&x.dims()[1..], grid, grid)?;
    let importance = importances(
        |x| Ok(explained.network.forward(x).map_err(CandleError::wrap)?.logits),
        &x,
        &labels,
        &parts,
        &attributes,
        options(run),
    )?;
    let cells: Vec<u32> = grid_segments(size, size, grid, grid)?.flatten_all()?.to_vec1()?;
    let map = |of: &[Importance]| -> Result<Tensor> {
        let values = cells.iter().map(|&cell| of[cell as usize].increase() as f32);
        Ok(Tensor::from_iter(values, &explained.device)?.reshape((1, size, size))?)
    };
    let maps = attributes
        .iter()
        .zip(&importance)
        .map(|(&k, of)| Ok((k, map(of)?)))
        .collect::<Result<_>>()?;
    Ok(Regions { importance, maps })
}

/// For each attribute, the importance of each part.
pub fn importances(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    x: &Tensor,
    labels: &Tensor,
    parts: &[Part],
    attributes: &[usize],
    options: Permutation,
) -> Result<Vec<Vec<Importance>>> {
    let mut progress = Progress::new("permuting", parts.len(), 0);
    let mut by_attribute = vec![vec![]; attributes.len()];
    for part in parts {
        let found = permutation_importances(
            &model,
            |logits| log_losses(logits, labels, attributes),
            x,
            std::slice::from_ref(part),
            &options,
        )?;
        by_attribute
            .iter_mut()
            .zip(found.into_iter().flatten())
            .for_each(|(of, importance)| of.push(importance));
        progress.add(1, || part.name.clone());
    }
    Ok(by_attribute)
}

/// Writes what the settings ask for; the files.
pub fn write(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    regions: &Regions,
) -> Result<Vec<String>> {
    let (settings, names) =
        (&run.manifest.config.attribute, &run.manifest.config.measure.attributes);
    let mut made = vec![];
    if permutes(run) {
        let (x, labels) = some_faces(run, data, explained, settings.permutation_images)?;
        let z = features(explained, &x)?;
        let channels = channels(run, explained, &z, &labels)?;
        let labels = labels::importance(run, data, &indices(names)?)?;
        write_permutation(
            run,
            &[
                ("region (row, column)", &regions.importance),
                ("channel", &channels),
                ("attribute", &labels),
            ],
        )?;
        write_dependence(run, explained, &z, &channels)?;
        made.extend([PERMUTATION, DEPENDENCE].map(String::from));
    }
    if settings.surrogate_images > 0 && run.manifest.data.test < LEAST {
        tracing::info!("attribute: surrogates are left out: they need {LEAST} test faces");
    } else if settings.surrogate_images > 0 {
        write_surrogates(run, data, explained, &indices(names)?)?;
        made.push(SURROGATE.into());
    }
    Ok(made)
}

fn indices(names: &[String]) -> Result<Vec<usize>> {
    names.iter().map(|name| Ok(attribute_index(name)?)).collect()
}

fn features(explained: &Explained, x: &Tensor) -> Result<Tensor> {
    let n = x.dim(0)?;
    let some = |start: usize| {
        Ok(explained
            .network
            .extractor()
            .forward(&x.narrow(0, start, BATCH.min(n - start))?)?
            .detach())
    };
    Ok(Tensor::cat(&(0..n).step_by(BATCH).map(some).collect::<Result<Vec<_>>>()?, 0)?)
}

/// The importance of channels of the features, for each attribute.
fn channels(
    run: &Run,
    explained: &Explained,
    z: &Tensor,
    labels: &Tensor,
) -> Result<Vec<Vec<Importance>>> {
    let (all, config) = (z.dim(1)?, &run.manifest.config);
    let count =
        if config.attribute.channels == 0 { all } else { config.attribute.channels.min(all) };
    let part =
        |i: usize| Ok(Part::index((i * all / count).to_string(), &z.dims()[1..], i * all / count)?);
    let parts = (0..count).map(part).collect::<Result<Vec<_>>>()?;
    let model =
        |z: &Tensor| Ok(explained.network.forward_features(z).map_err(CandleError::wrap)?.logits);
    importances(model, z, labels, &parts, &indices(&config.measure.attributes)?, options(run))
}

fn write_permutation(run: &Run, all: &[(&str, &Vec<Vec<Importance>>)]) -> Result<()> {
    let names = &run.manifest.config.measure.attributes;
    let rows: Vec<(&str, &String, &Importance)> = all
        .iter()
        .flat_map(|(kind, of)| {
            of.iter()
                .zip(names)
                .flat_map(move |(parts, name)| parts.iter().map(move |part| (*kind, name, part)))
        })
        .collect();
    let mut table = df!(
        "kind" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        "attribute" => rows.iter().map(|r| r.1.as_str()).collect::<Vec<_>>(),
        "part" => rows.iter().map(|r| r.2.part.as_str()).collect::<Vec<_>>(),
        "log_loss" => rows.iter().map(|r| r.2.error).collect::<Vec<_>>(),
        "increase" => rows.iter().map(|r| r.2.increase()).collect::<Vec<_>>(),
        "deviation" => rows.iter().map(|r| r.2.deviation()).collect::<Vec<_>>(),
    )?;
    for repeat in 0..run.manifest.config.attribute.repeats {
        let column: Vec<f64> = rows.iter().map(|r| r.2.permuted[repeat]).collect();
        table.with_column(frame::column(&format!("permuted_{repeat}"), column))?;
    }
    run.write_csv(PERMUTATION, table)
}

/// ICE of each attribute's most important channel: a line for each face and value.
fn write_dependence(
    run: &Run,
    explained: &Explained,
    z: &Tensor,
    channels: &[Vec<Importance>],
) -> Result<()> {
    let names = &run.manifest.config.measure.attributes;
    let mut curves: Vec<(&String, Dependence)> = vec![];
    for (name, of) in names.iter().zip(channels) {
        let k = attribute_index(name)?;
        let most = of
            .iter()
            .max_by(|a, b| a.increase().total_cmp(&b.increase()))
            .context("no channel was permuted")?;
        let part = Part::index(most.part.clone(), &z.dims()[1..], most.part.parse()?)?;
        let model = |z: &Tensor| {
            Ok(explained.network.forward_features(z).map_err(CandleError::wrap)?.logits)
        };
        let target = Target::new(model, k).batch(BATCH);
        curves
            .push((name, partial_dependence(&target, z, &part, &quantile_grid(z, &part, GRID)?)?));
    }
    let rows: Vec<(&String, &Dependence, usize, usize)> = curves
        .iter()
        .flat_map(|(name, d)| {
            (0..d.curves.len())
                .flat_map(move |face| (0..d.grid.len()).map(move |at| (*name, d, face, at)))
        })
        .collect();
    let table = df!(
        "attribute" => rows.iter().map(|r| r.0.as_str()).collect::<Vec<_>>(),
        "channel" => rows.iter().map(|r| r.1.part.as_str()).collect::<Vec<_>>(),
        "face" => rows.iter().map(|r| r.2 as i64).collect::<Vec<_>>(),
        "value" => rows.iter().map(|r| r.1.grid[r.3]).collect::<Vec<_>>(),
        "logit" => rows.iter().map(|r| r.1.curves[r.2][r.3]).collect::<Vec<_>>(),
        "mean_logit" => rows.iter().map(|r| r.1.mean()[r.3]).collect::<Vec<_>>(),
        "deviation_of_change" => rows.iter().map(|r| r.1.centred().deviation()[r.3]).collect::<Vec<_>>(),
    )?;
    run.write_csv(DEPENDENCE, table)
}

/// Sparse linear models and trees of each attribute's mean masks, if the network has masks, and of
/// the features' means, that say its logit: the control to what masks say is what the features say
/// without them.
fn write_surrogates(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    attributes: &[usize],
) -> Result<()> {
    let faces = faces::limited(
        shuffled_test_faces(run, data)?,
        run.manifest.config.attribute.surrogate_images,
    );
    let (mut masks, mut means, mut logits) = (vec![vec![]; attributes.len()], vec![], vec![]);
    for batch in faces::in_order(data, &faces, &explained.preprocessing, BATCH) {
        let z =
            explained.network.extractor().forward(&batch?.images.to_device(&explained.device)?)?;
        let output = explained.network.forward_features(&z)?;
        logits.push(output.logits.detach());
        means.push(z.mean((2, 3))?.detach());
        if explained.network.config().attention {
            for (of, &k) in masks.iter_mut().zip(attributes) {
                of.push(output.mask_means.narrow(1, k, 1)?.squeeze(1)?.detach());
            }
        }
    }
    let logits = Tensor::cat(&logits, 0)?;
    let kinds = [
        ("sparse linear", SurrogateKind::Sparse { columns: SPARSE }),
        ("tree", SurrogateKind::Tree { depth: DEPTH, least: 5 }),
    ];
    let inputs = |masks| {
        [("mean masks", masks), ("mean features", &means)]
            .into_iter()
            .filter(|(_, batches)| !batches.is_empty())
    };
    let fits = masks
        .iter()
        .zip(attributes)
        .flat_map(|(masks, &k)| inputs(masks).flat_map(move |of| kinds.map(|kind| (k, of, kind))));
    let fits: Vec<_> = fits.collect();
    let fitted = fits.par_iter().map(|&(k, (inputs, batches), (kind_name, kind))| {
        let (x, y) = (Tensor::cat(batches, 0)?, logits.narrow(1, k, 1)?.squeeze(1)?.contiguous()?);
        let options =
            SurrogateOptions { kind, seed: run.manifest.seed, ..SurrogateOptions::default() };
        Ok(Fitted {
            attribute: ATTRIBUTES[k],
            inputs,
            kind: kind_name,
            surrogate: global_surrogate(&x, &y, &options)?,
        })
    });
    run.write_csv(SURROGATE, surrogate_frame(&fitted.collect::<Result<Vec<_>>>()?)?)
}

/// A line of the file of surrogates.
struct Fitted {
    attribute: &'static str,
    inputs: &'static str,
    kind: &'static str,
    surrogate: Surrogate,
}

fn surrogate_frame(rows: &[Fitted]) -> Result<DataFrame> {
    let number =
        |value: fn(&Surrogate) -> f64| rows.iter().map(|r| value(&r.surrogate)).collect::<Vec<_>>();
    Ok(df!(
        "attribute" => rows.iter().map(|r| r.attribute).collect::<Vec<_>>(),
        "inputs" => rows.iter().map(|r| r.inputs).collect::<Vec<_>>(),
        "surrogate" => rows.iter().map(|r| r.kind).collect::<Vec<_>>(),
        "r2_fitted" => number(|s| s.fitted.r2),
        "r2_held_out" => number(|s| s.held_out.r2),
        "agreement_held_out" => number(|s| s.held_out.agreement),
        "faces_fitted" => number(|s| s.fitted.rows as f64),
        "faces_held_out" => number(|s| s.held_out.rows as f64),
        "model" => rows.iter().map(|r| in_words(&r.surrogate.model)).collect::<Vec<_>>(),
    )?)
}

/// What a surrogate computes, c12 being channel 12's input.
fn in_words(model: &SurrogateModel) -> String {
    match model {
        SurrogateModel::Sparse(fit) => {
            let mut used: Vec<(usize, f64)> =
                fit.weights.iter().copied().enumerate().filter(|(_, w)| *w != 0.).collect();
            used.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            let terms: Vec<String> = used.iter().map(|(c, w)| format!(" {w:+.3} c{c}")).collect();
            format!("{:.3}{}", fit.intercept, terms.concat())
        }
        SurrogateModel::Tree(tree) => branch(tree),
    }
}

fn branch(tree: &Tree) -> String {
    match tree {
        Tree::Leaf { value, .. } => format!("{value:.3}"),
        Tree::Split { column, threshold, below, above } => {
            format!("(c{column} ≤ {threshold:.4}? {} : {})", branch(below), branch(above))
        }
    }
}
