//! Infidelity, max-sensitivity and the randomisation of weights, on some of the scored faces.

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_attribution::{
    Layers, MaxSensitivity, Scaling, infidelity_of_changes, max_sensitivity, randomisation_check,
};
use foresee_celeba::{ATTRIBUTES, CelebA, attribute_index};
use foresee_report::frame::df;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::method::{Explainer, Method};
use super::network::Explained;
use super::scores::faces_with;
use crate::faces;
use crate::progress::Progress;
use crate::run::Run;

/// A line for each method on each of these faces.
pub const CHECKS: &str = "data/attribution_checks.csv";
/// A line for each of these and each step of the cascade.
pub const CASCADE: &str = "data/attribution_randomisation.csv";

/// Squares that infidelity takes away, of a quarter of the face's side.
const SQUARES: usize = 40;
/// The weights that replace trained ones are those of a new network with the run's seed and this.
const NEW_WEIGHTS: u64 = 1;

/// A face, an attribute that it has, and what all methods on it share.
struct Pair {
    x: Tensor,
    k: usize,
    face: usize,
    image: String,
    /// Squares, and what making each grey takes from the logit.
    changes: Vec<(Tensor, f64)>,
}

impl Pair {
    /// Infidelity (Yeh et al., 2019) of a map [1, 1, H, W], scaled by the number from 0 that fits
    /// best, under the removal of squares: how far the map's sum over a square is from what the
    /// square's removal takes from the logit.
    fn infidelity(&self, map: &Tensor) -> Result<f64> {
        let changes =
            self.changes.iter().map(|(square, change)| Ok((square.clone(), vec![*change])));
        Ok(infidelity_of_changes(map, changes, Scaling::BestFromZero)?[0])
    }
}

struct Checked {
    pair: usize,
    method: Method,
    infidelity: f64,
    max_sensitivity: f64,
    /// Rank correlation with the trained network's map after each step of the cascade.
    cascade: Vec<f64>,
}

/// The files written; none if no face is to be checked.
pub fn write(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    explainer: &Explainer,
    methods: &[Method],
) -> Result<Vec<String>> {
    if run.manifest.config.attribute.checks == 0 {
        return Ok(vec![]);
    }
    let pairs = pairs(run, data, explained)?;
    if pairs.is_empty() {
        return Ok(vec![]);
    }
    let cascade = explained.randomised(run.manifest.seed.wrapping_add(NEW_WEIGHTS))?;
    let mut progress = Progress::new("checking attributions", pairs.len(), 0);
    let mut all = vec![];
    for (at, pair) in pairs.iter().enumerate() {
        // Layers use one core each.
        let each = methods
            .par_iter()
            .map(|&method| checked(run, explained, explainer, &cascade, (at, pair), method));
        all.extend(each.collect::<Result<Vec<_>>>()?);
        progress.add(1, || ATTRIBUTES[pair.k].into());
    }
    let of = |checked: &Checked| &pairs[checked.pair];
    let zeros = all
        .iter()
        .map(|c| of(c).infidelity(&Tensor::zeros_like(&of(c).changes[0].0)?))
        .collect::<Result<Vec<_>>>()?;
    let table = df!(
        "method" => all.iter().map(|c| c.method.name()).collect::<Vec<_>>(),
        "attribute" => all.iter().map(|c| ATTRIBUTES[of(c).k]).collect::<Vec<_>>(),
        "image" => all.iter().map(|c| of(c).image.clone()).collect::<Vec<_>>(),
        "infidelity" => all.iter().map(|c| c.infidelity).collect::<Vec<_>>(),
        "infidelity_of_zeros" => zeros,
        "max_sensitivity" => all.iter().map(|c| c.max_sensitivity).collect::<Vec<_>>(),
    )?;
    run.write_csv(CHECKS, table)?;
    let steps: Vec<(&Checked, usize)> =
        all.iter().flat_map(|c| (0..c.cascade.len()).map(move |step| (c, step))).collect();
    let table = df!(
        "method" => steps.iter().map(|(c, _)| c.method.name()).collect::<Vec<_>>(),
        "attribute" => steps.iter().map(|(c, _)| ATTRIBUTES[of(c).k]).collect::<Vec<_>>(),
        "image" => steps.iter().map(|(c, _)| of(c).image.clone()).collect::<Vec<_>>(),
        "step" => steps.iter().map(|(_, step)| *step as i64 + 1).collect::<Vec<_>>(),
        "also_random" => steps.iter().map(|(_, step)| cascade[*step].0.clone()).collect::<Vec<_>>(),
        "rank_correlation" => steps.iter().map(|(c, step)| c.cascade[*step]).collect::<Vec<_>>(),
    )?;
    run.write_csv(CASCADE, table)?;
    Ok([CHECKS, CASCADE].map(String::from).to_vec())
}

/// The first face of each attribute, then the second of each, and so on.
fn pairs(run: &Run, data: &CelebA, explained: &Explained) -> Result<Vec<Pair>> {
    let config = &run.manifest.config;
    let names = config
        .measure
        .attributes
        .iter()
        .map(|name| Ok(attribute_index(name)?))
        .collect::<Result<Vec<usize>>>()?;
    let shown = names.iter().map(|&k| faces_with(run, data, k)).collect::<Result<Vec<_>>>()?;
    let most = shown.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..most).flat_map(|i| {
        shown.iter().zip(&names).filter_map(move |(faces, &k)| faces.get(i).map(|&face| (face, k)))
    });
    let mut pairs = vec![];
    for (face, k) in turns.take(config.attribute.checks) {
        let Some(batch) = faces::in_order(data, &[face], &explained.preprocessing, 1).next() else {
            continue;
        };
        let x = batch?.images.to_device(&explained.device)?;
        let squares = squares(
            explained.preprocessing.image_size,
            run.manifest.seed,
            pairs.len() as u64,
            &explained.device,
        )?;
        let changes =
            changes(&explained.layers.target(k).values(&without(&x, &squares)?)?.to_vec1::<f32>()?);
        pairs.push(Pair {
            x,
            k,
            face,
            image: data.name(face).into(),
            changes: squares.into_iter().zip(changes).collect(),
        });
    }
    Ok(pairs)
}

/// 1 inside of a square at a random place, [1, 1, S, S].
fn squares(size: usize, seed: u64, stream: u64, device: &Device) -> Result<Vec<Tensor>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let side = (size / 4).max(1);
    let square = |(top, left): (usize, usize)| {
        let inside = |at: usize| {
            (top..top + side).contains(&(at / size)) && (left..left + side).contains(&(at % size))
        };
        Ok(Tensor::from_iter(
            (0..size * size).map(|at| if inside(at) { 1f32 } else { 0. }),
            device,
        )?
        .reshape((1, 1, size, size))?)
    };
    (0..SQUARES)
        .map(|_| square((rng.random_range(0..=size - side), rng.random_range(0..=size - side))))
        .collect()
}

/// The face x as it is, and without each square.
fn without(x: &Tensor, squares: &[Tensor]) -> Result<Tensor> {
    let rest = squares.iter().map(|square| Ok(x.broadcast_mul(&(1. - square)?)?));
    Ok(Tensor::cat(&std::iter::once(Ok(x.clone())).chain(rest).collect::<Result<Vec<_>>>()?, 0)?)
}

/// The first value less each of the others.
fn changes(values: &[f32]) -> Vec<f64> {
    values[1..].iter().map(|value| f64::from(values[0]) - f64::from(*value)).collect()
}

fn checked(
    run: &Run,
    explained: &Explained,
    explainer: &Explainer,
    cascade: &[(String, Layers)],
    (at, pair): (usize, &Pair),
    method: Method,
) -> Result<Checked> {
    let explain =
        |layers: &Layers, x: &Tensor| explainer.maps(method, layers, (x, &[pair.face]), pair.k);
    let map = explain(&explained.layers, &pair.x)?.unsqueeze(1)?;
    let infidelity = pair.infidelity(&map)?;
    if !method.is_local() {
        return Ok(Checked {
            pair: at,
            method,
            infidelity,
            max_sensitivity: f64::NAN,
            cascade: vec![],
        });
    }
    let options = MaxSensitivity {
        samples: run.manifest.config.attribute.neighbours,
        seed: run.manifest.seed,
        ..MaxSensitivity::default()
    };
    let max_sensitivity = max_sensitivity(|x| explain(&explained.layers, x), &pair.x, &options)?[0];
    let stages =
        randomisation_check(explain, &explained.layers, cascade.iter().cloned(), &pair.x, true)?;
    let cascade = stages.iter().map(|stage| stage.correlations[0].unwrap_or(f64::NAN)).collect();
    Ok(Checked { pair: at, method, infidelity, max_sensitivity, cascade })
}
