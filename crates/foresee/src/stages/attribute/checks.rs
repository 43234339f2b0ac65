//! Infidelity, max-sensitivity and the randomisation of weights, on some of the scored faces.

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
use crate::run::Outputs;

/// A face, an attribute that it has, and what all methods on it share.
struct Pair {
    x: Tensor,
    attribute: usize,
    face: usize,
    occlusions: Occlusions,
}

/// Writes nothing if no face is to be checked.
pub(super) fn write(
    outputs: &mut Outputs,
    subject: &Subject,
    explainer: &Explainer,
    methods: &[Method],
) -> Result<()> {
    if subject.settings().checks == 0 {
        return Ok(());
    }
    let pairs = pairs(subject)?;
    if pairs.is_empty() {
        return Ok(());
    }
    let cascade = subject.randomised()?;
    let progress = Progress::new("checking attributions", Unit::Pairs, pairs.len(), 0);
    let mut checks = vec![];
    let mut steps = vec![];
    for pair in &pairs {
        // A method uses few cores.
        let each = methods
            .par_iter()
            .map(|&method| Ok((method, check(subject, explainer, &cascade, pair, method)?)));
        for (method, found) in each.collect::<Result<Vec<_>>>()? {
            checks.push(check_row(subject, pair, method, &found));
            steps.extend(step_rows(subject, pair, method, &found, &cascade));
        }
        progress.add(1, || ATTRIBUTES[pair.attribute].into());
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
    let chosen = (0..most).flat_map(turn).take(subject.settings().checks);
    let mut pairs = vec![];
    for (face, attribute) in chosen {
        let images = &subject.trained.preprocessing;
        let Some(batch) = subject.data.batches_in_order(&[face], images, 1).next() else {
            continue;
        };
        let x = batch?.images.to_device(&subject.session.device)?;
        let target = subject.model.target(attribute);
        let occlusions = Occlusions::new(&target, &x, subject.seed, pairs.len() as u64)?;
        pairs.push(Pair { x, attribute, face, occlusions });
    }
    Ok(pairs)
}

fn check(
    subject: &Subject,
    explainer: &Explainer,
    cascade: &[(String, GraphModel)],
    pair: &Pair,
    method: Method,
) -> Result<MethodChecks> {
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
    Ok(check_method(explain, original, cascade, &pair.x, &pair.occlusions, &options, local)?)
}

fn check_row(
    subject: &Subject,
    pair: &Pair,
    method: Method,
    found: &MethodChecks,
) -> AttributionCheck {
    AttributionCheck {
        method,
        attribute: ATTRIBUTES[pair.attribute].into(),
        image: subject.data.name(pair.face).into(),
        infidelity: found.infidelity,
        infidelity_of_zeros: found.infidelity_of_zeros,
        max_sensitivity: found.max_sensitivity,
    }
}

fn step_rows(
    subject: &Subject,
    pair: &Pair,
    method: Method,
    found: &MethodChecks,
    cascade: &[(String, GraphModel)],
) -> Vec<RandomisedStep> {
    let row = |(i, (rho, (layer, _))): (usize, (&f64, &(String, GraphModel)))| RandomisedStep {
        method,
        attribute: ATTRIBUTES[pair.attribute].into(),
        image: subject.data.name(pair.face).into(),
        step: i + 1,
        also_random: layer.clone(),
        rank_correlation: *rho,
    };
    found.cascade.iter().zip(cascade).enumerate().map(row).collect()
}
