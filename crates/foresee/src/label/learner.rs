//! The thread that learns from the answers and chooses the next faces.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{Device, Tensor};
use foresee_active::{Model, Pool, Settings, choose};
use foresee_model::Network;

use super::labeller::{Labeller, Learned};
use crate::config::Config;
use crate::error::Result;
use crate::studies::learn::{Examples, Paper, train};

/// Faces that are chosen at once, as a multiple of those after which it learns again: a person may
/// answer while it learns.
const AHEAD: usize = 4;

/// Learns whenever there are enough new answers, until it is stopped.
pub fn learn(labeller: &Labeller) {
    loop {
        let mut state = labeller.state();
        loop {
            if state.stopped {
                return;
            }
            let examples = labeller.examples(&state, false).len();
            if examples >= state.tried + labeller.every {
                state.tried = examples;
                break;
            }
            state = labeller.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.is_learning = true;
        drop(state);
        let result = catch_unwind(AssertUnwindSafe(|| round(labeller)))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the training has failed: see the log")));
        let mut state = labeller.state();
        state.is_learning = false;
        match result {
            Ok((learned, queue)) => {
                state.learned = Some(learned);
                state.queue = queue;
                state.problem = None;
            }
            Err(_) if state.stopped => return,
            Err(e) => {
                tracing::error!("{e:#}");
                // It tries again when there are more answers.
                state.problem = Some(format!("{e:#}"));
            }
        }
    }
}

/// Trains on what is answered, from scratch, and chooses faces.
fn round(labeller: &Labeller) -> Result<(Learned, Vec<usize>)> {
    let (examples, held_out, unlabelled) = {
        let state = labeller.state();
        (
            labeller.examples(&state, false),
            labeller.examples(&state, true),
            labeller.unlabelled(&state),
        )
    };
    let config = with_attributes(labeller);
    let paper = Paper {
        network: fit(labeller, &config, &examples)?,
        data: &labeller.data,
        config: &config,
        device: &Device::Cpu,
    };
    let labelled: Vec<usize> = examples.iter().map(|(face, _)| *face).collect();
    let pool = Pool { unlabelled: &unlabelled, labelled: &labelled };
    let settings = Settings { seed: labeller.seed + examples.len() as u64, ..Default::default() };
    let queue = choose(&paper, pool, labeller.strategy, AHEAD * labeller.every, settings)?;
    let accuracy = match held_out.is_empty() {
        true => None,
        false => Some(accuracy(&paper, &held_out)?),
    };
    let learned = Learned { faces: examples.len(), accuracy, held_out: held_out.len() };
    Ok((learned, queue))
}

/// The settings of a network that answers the questions that are asked.
fn with_attributes(labeller: &Labeller) -> Config {
    let mut config = labeller.config.clone();
    config.model.attributes = labeller.attributes.len();
    config
}

fn fit(labeller: &Labeller, config: &Config, examples: &[(usize, Vec<bool>)]) -> Result<Network> {
    let faces: Vec<usize> = examples.iter().map(|(face, _)| *face).collect();
    let known: HashMap<usize, &Vec<bool>> =
        examples.iter().map(|(face, labels)| (*face, labels)).collect();
    let labels = |faces: &[usize], _: Tensor| -> Result<Tensor> {
        let each = faces.iter().flat_map(|face| known[face].iter());
        let values: Vec<f32> = each.map(|&yes| f32::from(u8::from(yes))).collect();
        Ok(Tensor::from_vec(values, (faces.len(), labeller.attributes.len()), &Device::Cpu)?)
    };
    let step = |_: usize| match labeller.state().stopped {
        true => Err(anyhow::anyhow!("stopped")),
        false => Ok(()),
    };
    let examples = Examples { data: &labeller.data, faces: &faces, labels: &labels, weight: None };
    train(&examples, config, labeller.seed, &Device::Cpu, &step)
}

/// The share of the answers about the hold-out that the network gives.
fn accuracy(paper: &Paper, held_out: &[(usize, Vec<bool>)]) -> Result<f64> {
    let faces: Vec<usize> = held_out.iter().map(|(face, _)| *face).collect();
    let answers = paper.answers(&faces).map_err(foresee_active::Error::Model)?;
    let mut right = 0;
    let mut all = 0;
    for (row, (_, labels)) in held_out.iter().enumerate() {
        let given = answers.probabilities.row(row).iter().zip(labels);
        right += given.filter(|(p, yes)| (**p > 0.5) == **yes).count();
        all += labels.len();
    }
    Ok(right as f64 / all as f64)
}
