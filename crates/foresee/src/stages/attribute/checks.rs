//! Infidelity, max-sensitivity and the randomisation of weights, on some of the scored faces.

use anyhow::{Context, ensure};
use candle_core::Tensor;
use foresee_attribution::{
    Explainer, GraphModel, MaxSensitivity, Method, MethodChecks, Occlusions, check_method,
};
use foresee_celeba::ATTRIBUTES;
use rayon::prelude::*;

use super::subject::Subject;
use crate::artifacts::{AttributionCheck, RandomisedStep};
use crate::error::Result;
use crate::progress::{Progress, Unit};
use crate::ranks::World;
use crate::run::Outputs;
use crate::stages::shared;

/// Numbers of a check, without those of the randomised networks.
const NUMBERS: usize = 3;

/// A face and an attribute that it has.
#[derive(Clone, Copy)]
struct Pair {
    attribute: usize,
    face: usize,
    /// Its place among all that are checked.
    number: usize,
}

/// What all methods on a pair share.
struct Checked {
    pair: Pair,
    x: Tensor,
    occlusions: Occlusions,
}

/// The checks of this rank's pairs: for each pair and method three numbers, and one for each
/// network that is randomised.
pub(super) fn collect(
    subject: &Subject,
    explainer: &Explainer,
    methods: &[Method],
    ranks: &World,
) -> Result<Vec<f64>> {
    let own = shared::own_of(pairs(subject)?, ranks);
    if own.is_empty() {
        return Ok(vec![]);
    }
    let cascade = subject.randomised()?;
    let progress = Progress::new("checking attributions", Unit::Pairs, own.len(), 0);
    let mut all = vec![];
    for pair in own {
        let checked = Checked::new(subject, pair)?;
        // A method uses few cores.
        let each =
            methods.par_iter().map(|&method| check(subject, explainer, &cascade, &checked, method));
        for found in each.collect::<Result<Vec<_>>>()? {
            let MethodChecks { infidelity, infidelity_of_zeros, max_sensitivity, cascade } = found;
            all.extend([infidelity, infidelity_of_zeros, max_sensitivity]);
            all.extend(cascade);
        }
        progress.add(1, || ATTRIBUTES[pair.attribute].into());
    }
    Ok(all)
}

/// Writes the checks of all pairs, which ranks have collected; nothing if no face is to be checked.
pub(super) fn write(
    outputs: &mut Outputs,
    subject: &Subject,
    methods: &[Method],
    numbers: &[f64],
) -> Result<()> {
    let pairs = pairs(subject)?;
    if pairs.is_empty() {
        return Ok(());
    }
    let layers: Vec<String> = subject.randomised()?.into_iter().map(|(layer, _)| layer).collect();
    let each = pairs.iter().flat_map(|pair| methods.iter().map(move |&method| (pair, method)));
    let (mut checks, mut steps) = (vec![], vec![]);
    let networks = |method: &Method| if method.is_local() { layers.len() } else { 0 };
    let of_pair: usize = methods.iter().map(|method| NUMBERS + networks(method)).sum();
    ensure!(numbers.len() == pairs.len() * of_pair, "ranks sent other checks than were asked for");
    let mut numbers = numbers.iter().copied();
    for (pair, method) in each {
        let of_method: Vec<f64> = numbers.by_ref().take(NUMBERS).collect();
        checks.push(check_row(subject, pair, method, &of_method));
        // A method that has one map for all faces has none of randomised networks.
        let of_networks: Vec<f64> = numbers.by_ref().take(networks(&method)).collect();
        steps.extend(step_rows(subject, pair, method, &of_networks, &layers));
    }
    outputs.write(&checks)?;
    outputs.write(&steps)
}

/// The first face of each attribute, then the second of each, and so on.
fn pairs(subject: &Subject) -> Result<Vec<Pair>> {
    let attributes = subject.run.manifest.config.measure.attribute_indices()?;
    let shown: Vec<Vec<usize>> = attributes.iter().map(|&k| subject.faces_with(k)).collect();
    let most = shown.iter().map(Vec::len).max().unwrap_or(0);
    let turn = |i: usize| {
        let each = shown.iter().zip(&attributes);
        each.filter_map(move |(faces, &k)| faces.get(i).map(|&face| (face, k)))
    };
    let chosen = (0..most).flat_map(turn).take(subject.settings().checks).enumerate();
    Ok(chosen.map(|(number, (face, attribute))| Pair { attribute, face, number }).collect())
}

impl Checked {
    fn new(subject: &Subject, pair: Pair) -> Result<Self> {
        let images = &subject.trained.preprocessing;
        let mut batches = subject.data.batches_in_order(&[pair.face], images, 1);
        let batch = batches.next().context("a face makes a batch")??;
        let x = batch.images.to_device(&subject.session.device)?;
        let target = subject.model.target(pair.attribute);
        let occlusions = Occlusions::new(&target, &x, subject.seed, pair.number as u64)?;
        Ok(Self { pair, x, occlusions })
    }
}

fn check(
    subject: &Subject,
    explainer: &Explainer,
    cascade: &[(String, GraphModel)],
    checked: &Checked,
    method: Method,
) -> Result<MethodChecks> {
    let Checked { pair, x, occlusions } = checked;
    let explain = |model: &GraphModel, x: &Tensor| {
        explainer.maps(method, model, x, &[pair.face], pair.attribute)
    };
    let options = MaxSensitivity {
        samples: subject.settings().neighbours,
        seed: subject.seed,
        ..MaxSensitivity::default()
    };
    let local = method.is_local();
    let original = &subject.model;
    Ok(check_method(explain, original, cascade, x, occlusions, &options, local)?)
}

fn check_row(subject: &Subject, pair: &Pair, method: Method, numbers: &[f64]) -> AttributionCheck {
    AttributionCheck {
        method,
        attribute: ATTRIBUTES[pair.attribute].into(),
        image: subject.data.name(pair.face).into(),
        infidelity: numbers[0],
        infidelity_of_zeros: numbers[1],
        max_sensitivity: numbers[2],
    }
}

fn step_rows(
    subject: &Subject,
    pair: &Pair,
    method: Method,
    numbers: &[f64],
    layers: &[String],
) -> Vec<RandomisedStep> {
    let row = |(i, (rho, layer)): (usize, (&f64, &String))| RandomisedStep {
        method,
        attribute: ATTRIBUTES[pair.attribute].into(),
        image: subject.data.name(pair.face).into(),
        step: i + 1,
        also_random: layer.clone(),
        rank_correlation: *rho,
    };
    numbers.iter().zip(layers).enumerate().map(row).collect()
}
