//! Infidelity, max-sensitivity and the randomisation of weights, on some of the scored faces.

use anyhow::Context;
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
use crate::stages::shared::{Sent, SharedItems};

/// A face and an attribute that it has.
#[derive(Clone, Copy)]
pub(super) struct Pair {
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

/// Faces on which methods are checked.
pub(super) struct Checking<'a> {
    subject: &'a Subject<'a>,
    explainer: &'a Explainer,
    methods: &'a [Method],
    pairs: Vec<Pair>,
    /// Networks with more and more random layers; none if there is no pair.
    cascade: Vec<(String, GraphModel)>,
}

impl<'a> Checking<'a> {
    /// On faces that have the attributes, as many as the settings say.
    pub fn new(
        subject: &'a Subject<'a>,
        explainer: &'a Explainer,
        attributes: &[usize],
        methods: &'a [Method],
    ) -> Result<Self> {
        let pairs = pairs(subject, attributes);
        let cascade = if pairs.is_empty() { vec![] } else { subject.randomised()? };
        Ok(Self { subject, explainer, methods, pairs, cascade })
    }

    /// Writes the checks of all pairs, which ranks have computed; nothing if no face is to be
    /// checked.
    pub fn write(&self, outputs: &mut Outputs, sent: Sent<Self>, ranks: &World) -> Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let (mut checks, mut steps) = (vec![], vec![]);
        for (pair, by_method) in self.by_item(sent, ranks)? {
            for (&method, found) in self.methods.iter().zip(by_method) {
                checks.push(check_row(self.subject, pair, method, &found));
                steps.extend(step_rows(self.subject, pair, method, &found, &self.cascade));
            }
        }
        outputs.write(&checks)?;
        outputs.write(&steps)
    }

    fn of_pair(&self, pair: Pair) -> Result<Vec<MethodChecks>> {
        let Self { subject, explainer, cascade, .. } = self;
        let checked = Checked::new(subject, pair)?;
        // A method uses few cores.
        let methods = self.methods.par_iter();
        let each = methods.map(|&method| check(subject, explainer, cascade, &checked, method));
        each.collect()
    }
}

/// A pair comes to the checks of each method.
impl SharedItems for Checking<'_> {
    type Item = Pair;
    type Found = Vec<MethodChecks>;

    fn items(&self) -> &[Pair] {
        &self.pairs
    }

    fn compute(&self, pairs: &[Pair]) -> Result<Vec<Self::Found>> {
        if pairs.is_empty() {
            return Ok(vec![]);
        }
        let progress = Progress::new("checking attributions", Unit::Pairs, pairs.len(), 0);
        let mut all = vec![];
        for &pair in pairs {
            all.push(self.of_pair(pair)?);
            progress.add(1, || ATTRIBUTES[pair.attribute].into());
        }
        Ok(all)
    }
}

/// The first face of each attribute, then the second of each, and so on.
fn pairs(subject: &Subject, attributes: &[usize]) -> Vec<Pair> {
    let shown: Vec<Vec<usize>> = attributes.iter().map(|&k| subject.faces_with(k)).collect();
    let most = shown.iter().map(Vec::len).max().unwrap_or(0);
    let turn = |i: usize| {
        let each = shown.iter().zip(attributes);
        each.filter_map(move |(faces, &k)| faces.get(i).map(|&face| (face, k)))
    };
    let chosen = (0..most).flat_map(turn).take(subject.settings().checks).enumerate();
    chosen.map(|(number, (face, attribute))| Pair { attribute, face, number }).collect()
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

/// A method that has a single map for all faces has none of randomised networks.
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
