//! Permutation importance of attributes as inputs of another model: what do the other labels say
//! about a label?

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_attribution::{
    Importance, Part, Permutation, SurrogateKind, SurrogateModel, SurrogateOptions,
    global_surrogate,
};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use rayon::prelude::*;

use super::global::{LEAST, importances, options};
use crate::faces;
use crate::run::Run;

/// Training faces whose labels models of labels are fitted to, at most.
const LABELLED: usize = 20_000;

/// The importance of other attributes as inputs of a model of each of these: its label by a sum of
/// the other 39 (the lasso's, fitted again by least squares) on training faces, cut to a
/// probability from 0.01 to 0.99; the other labels of test faces are permuted. None if there are
/// too few faces.
pub fn importance(run: &Run, data: &CelebA, attributes: &[usize]) -> Result<Vec<Vec<Importance>>> {
    let rows = |faces: &[usize]| -> Result<Tensor> {
        let labels = faces.iter().flat_map(|&face| {
            data.labels(face).iter().map(|has| f64::from(u8::from(has))).collect::<Vec<_>>()
        });
        Ok(Tensor::from_iter(labels, &Device::Cpu)?.reshape((faces.len(), ATTRIBUTES.len()))?)
    };
    let (train, test) = (
        rows(&faces::limited(data.split(Split::Train)?, LABELLED))?,
        rows(&data.split(Split::Test)?)?,
    );
    if train.dim(0)? < LEAST || test.dim(0)? < 2 {
        return Ok(vec![]);
    }
    let kind = SurrogateKind::Sparse { columns: ATTRIBUTES.len() };
    let models = attributes.par_iter().map(|&k| {
        let own = Tensor::from_iter(
            (0..ATTRIBUTES.len()).map(|j| f64::from(u8::from(j != k))),
            &Device::Cpu,
        )?;
        let options =
            SurrogateOptions { kind, seed: run.manifest.seed, ..SurrogateOptions::default() };
        let model = global_surrogate(
            &train.broadcast_mul(&own)?,
            &train.narrow(1, k, 1)?.squeeze(1)?,
            &options,
        )?
        .model;
        Ok(if let SurrogateModel::Sparse(fit) = model {
            (fit.weights, fit.intercept)
        } else {
            (vec![0.; ATTRIBUTES.len()], 0.)
        })
    });
    let (weights, intercepts): (Vec<Vec<f64>>, Vec<f64>) =
        models.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let (weights, intercepts) =
        (Tensor::new(weights, &Device::Cpu)?.t()?, Tensor::new(intercepts, &Device::Cpu)?);
    let logits = |x: &Tensor| {
        let p = x.matmul(&weights)?.broadcast_add(&intercepts)?.clamp(0.01, 0.99)?;
        (&p / (1. - &p)?)?.log()
    };
    let parts = ATTRIBUTES
        .iter()
        .enumerate()
        .map(|(j, name)| Ok(Part::index(*name, &[ATTRIBUTES.len()], j)?))
        .collect::<Result<Vec<_>>>()?;
    let options = Permutation { batch: test.dim(0)?, ..options(run) };
    let columns: Vec<u32> = attributes.iter().map(|&k| k as u32).collect();
    let labels = test.index_select(&Tensor::new(columns, &Device::Cpu)?, 1)?;
    let mut found = importances(
        logits,
        &test,
        &labels,
        &parts,
        &(0..attributes.len()).collect::<Vec<_>>(),
        options,
    )?;
    found.iter_mut().zip(attributes).for_each(|(of, &k)| drop(of.remove(k)));
    Ok(found)
}
