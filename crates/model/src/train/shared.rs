//! The pass of a step on a batch that ranks share. The batch is cut into micro-batches of a fixed
//! size; what each adds to the gradients is added up in one fixed tree over them. So the bits
//! depend on the size of a micro-batch, and not on who computed which.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};

use super::of_heads::{OfHeads, loss_of_part};
use super::perturb::Perturbation;
use super::shared_batch::SharedBatch;
use super::state::State;
use super::trainable::{Batch, SharedPass};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::network::Network;

/// Numbers of [`numbers`].
const NUMBERS: usize = 4;

/// What a micro-batch adds to the batch's numbers: its classification and its sparsity, the labels
/// that were predicted correctly, and the sum over the images of the mean of their masks.
fn numbers(of_heads: &OfHeads, labels: &Tensor) -> Result<Tensor> {
    let OfHeads { output, loss, .. } = of_heads;
    let correct = output.logits.gt(0f64)?.eq(&labels.gt(0.5f64)?)?;
    let correct = correct.to_dtype(DType::F32)?.sum_all()?;
    let masks = (output.mask_means.mean_all()? * labels.dim(0)? as f64)?;
    let all: [&Tensor; NUMBERS] = [&loss.classification, &loss.sparsity, &correct, &masks];
    Ok(Tensor::stack(&all.map(Tensor::detach), 0)?)
}

/// A micro-batch of this rank behind its heads.
struct Part {
    /// [`numbers`] of it.
    numbers: Tensor,
    gradients: GradStore,
}

/// The pass of the paper's network. `batch` are the images of this rank.
pub(super) fn pass(
    network: &Network,
    state: &mut State,
    batch: &Batch,
    shared: &SharedBatch,
    config: &TrainConfig,
    step: usize,
) -> Result<SharedPass> {
    check_share(batch, shared)?;
    let (_, _, h, w) = batch.images.dims4()?;
    let micro_batches = shared.own_rows();
    let channels = network.config().channels;
    let (source, numbers) = (state.source(), shared.images());
    let perturbation = Perturbation::draw(config, source, step, numbers, batch.images, channels)?;
    let noisy = perturbation.images(batch.images)?;
    let images = micro_batches.iter().map(|rows| rows_of(&noisy, rows));
    let images = images.collect::<Result<Vec<_>>>()?;
    let (z, tape) =
        network.extractor().forward_shared(&images, &shared.sizes(), [h, w], shared.shares())?;
    let images_of_all = shared.images_of_all();
    let device = batch.images.device();
    let sum = |shape: &[usize], parts: Vec<Tensor>| sum_of_parts(shape, &parts, shared, device);
    let awake = state.look(network, &z.iter().collect::<Vec<_>>(), step, images_of_all, sum)?;
    let (mut parts, mut of_features) = (vec![], vec![]);
    for ((z, images), rows) in z.into_iter().zip(&images).zip(micro_batches) {
        let labels = rows_of(batch.labels, &rows)?;
        let perturbation = perturbation.of(&rows.clone().map(|i| i as u32).collect::<Vec<_>>())?;
        let weights = batch.weights.map(|weights| &weights[rows]);
        let batch = Batch { images, labels: &labels, weights };
        let (part, of_z) = part(network, state, z, &batch, &perturbation, images_of_all, config)?;
        parts.push(part);
        of_features.push(of_z);
    }
    let of_extractor = network.extractor().backward_shared(tape, of_features, shared.shares())?;
    for (part, gradients) in parts.iter_mut().zip(of_extractor.of_micro_batches) {
        for (var, gradient) in gradients {
            part.gradients.insert(var, gradient);
        }
    }
    let of_batch = of_extractor.of_batch;
    add_up(network, &parts, of_batch, shared, awake)
}

/// The heads' pass on features z [B, H, W, C] of a micro-batch, and the gradient of z.
fn part(
    network: &Network,
    state: &State,
    z: Tensor,
    batch: &Batch,
    perturbation: &Perturbation,
    images: usize,
    config: &TrainConfig,
) -> Result<(Part, Tensor)> {
    let z = Var::from_tensor(&z)?;
    let loss = loss_of_part(batch, images, config);
    let share = z.dim(0)? as f64 / images as f64;
    let sleep = state.sleep.as_ref();
    let of_heads = OfHeads::new(network.heads(), sleep, &z, perturbation, &loss)?
        .decorrelated(&z, config.decorrelate * share)?;
    let mut gradients = of_heads.with_gradients.backward()?;
    let of_z = gradients.remove(&z).map_or_else(|| z.zeros_like(), Ok)?.detach();
    Ok((Part { numbers: numbers(&of_heads, batch.labels)?, gradients }, of_z))
}

/// Adds up the micro-batches of all ranks.
fn add_up(
    network: &Network,
    parts: &[Part],
    of_batch: Vec<(&Var, Tensor)>,
    shared: &SharedBatch,
    awake: Option<usize>,
) -> Result<SharedPass> {
    let is_of_batch = |var: &Var| of_batch.iter().any(|(other, _)| other.id() == var.id());
    let trainable = network.trainable().into_iter();
    let summed: Vec<&Var> = trainable.map(|(_, var)| var).filter(|var| !is_of_batch(var)).collect();
    let length = NUMBERS + summed.iter().map(|var| var.elem_count()).sum::<usize>();
    let flat = parts.iter().map(|part| flatten(part, &summed)).collect::<Result<Vec<_>>>()?;
    let sum = shared.shares().sum(length, flat)?;
    let (numbers, mut rest) = sum.split_at(NUMBERS);
    // The only way to an empty store.
    let mut gradients = Tensor::new(0f32, &Device::Cpu)?.backward()?;
    for var in summed {
        let (values, others) = rest.split_at(var.elem_count());
        gradients.insert(var, Tensor::from_slice(values, var.shape(), var.device())?);
        rest = others;
    }
    for (var, gradient) in of_batch {
        gradients.insert(var, gradient);
    }
    let [classification, sparsity, correct, masks] = [0, 1, 2, 3].map(|i| numbers[i]);
    let images = shared.images_of_all() as f32;
    Ok(SharedPass {
        loss: classification + sparsity,
        classification,
        sparsity,
        accuracy: correct / (images * network.config().attributes as f32),
        mask_mean: masks / images,
        gradients,
        awake,
    })
}

/// A micro-batch's numbers and gradients, one behind the other: they are read from a GPU at once.
fn flatten(part: &Part, vars: &[&Var]) -> Result<Vec<f32>> {
    let gradient = |var: &&Var| match part.gradients.get(var) {
        Some(gradient) => gradient.detach().flatten_all(),
        None => Tensor::zeros(var.elem_count(), DType::F32, var.device()),
    };
    let mut flat = vec![part.numbers.clone()];
    flat.extend(vars.iter().map(gradient).collect::<CandleResult<Vec<_>>>()?);
    Ok(Tensor::cat(&flat, 0)?.to_vec1()?)
}

/// Adds up tensors of a shape, one for each micro-batch of this rank, over all ranks.
fn sum_of_parts(
    shape: &[usize],
    parts: &[Tensor],
    shared: &SharedBatch,
    device: &Device,
) -> Result<Tensor> {
    let values = |x: &Tensor| Ok(x.flatten_all()?.to_vec1::<f32>()?);
    let values = parts.iter().map(values).collect::<Result<Vec<_>>>()?;
    let sum = shared.shares().sum(shape.iter().product(), values)?;
    Ok(Tensor::from_slice(&sum, shape, device)?)
}

/// Refuses tensors that are not this rank's share of the batch.
fn check_share(batch: &Batch, shared: &SharedBatch) -> Result<()> {
    let (found, expected) = (batch.images.dim(0)?, shared.images().len());
    match found == expected && batch.labels.dim(0)? == found {
        true => Ok(()),
        false => Err(Error::Share { found, expected }),
    }
}

fn rows_of(x: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    Ok(x.narrow(0, rows.start, rows.len())?)
}
