//! A system whose weights are variables.

use std::cell::RefCell;

use candle_core::{DType, Device, Tensor, Var};
use foresee_graph::{Graph, TrainingPass, ValueId};

use crate::draw::dropout_mask;
use crate::error::{Result, check};
use crate::layers::{Built, Dropout};
use crate::machines::{BIAS, Machines, WEIGHT};
use crate::system::System;

/// Share of the batch's moments in the running ones after a step: PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// A system that can be trained: a graph whose weights are variables, with its loss. A
/// [`Trainer`](foresee_model::Trainer) trains it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_baselines::{Baseline, Depth, ResNetConfig, System};
/// use foresee_model::{TrainConfig, Trainer};
///
/// let config = ResNetConfig { depth: Depth::D18, width: 4, attributes: 2, ..Default::default() };
/// let network = Baseline::new(System::ResNet(config), 7, &Device::Cpu)?;
/// let mut trainer = Trainer::new(network, TrainConfig { epochs: 1, ..Default::default() }, 10)?;
///
/// let images = Tensor::randn(0f32, 1., (4, 3, 16, 16), &Device::Cpu)?;
/// let labels = Tensor::new(&[[1f32, 0.], [0., 0.], [1., 1.], [0., 1.]], &Device::Cpu)?;
/// let step = trainer.step(&images, &labels)?;
/// assert!(step.loss.is_finite());
///
/// // The graph has the weights as they are now.
/// let logits = trainer.trained().graph().forward(&[images])?.remove(0);
/// assert_eq!(logits.dims(), [4, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Baseline {
    system: System,
    /// Of the initial weights and of dropout.
    seed: u64,
    graph: Graph,
    /// In the order of their values.
    weights: Vec<Weight>,
    dropout: Vec<Dropout>,
    /// Values through which no gradient flows back.
    stopped: Vec<ValueId>,
    /// What linear support vector machines answer from.
    features: Option<ValueId>,
}

/// A weight of the graph.
#[derive(Debug)]
struct Weight {
    value: ValueId,
    name: String,
    var: Var,
}

impl Baseline {
    /// A system with initial weights, which depend on the seed alone, as the masks of dropout do.
    ///
    /// # Errors
    /// If a setting is impossible.
    pub fn new(system: System, seed: u64, device: &Device) -> Result<Self> {
        let built = system.build(seed, device)?;
        Self::of_graph(system, seed, built)
    }

    /// Makes variables of the graph's weights, which from then on are the graph's.
    fn of_graph(system: System, seed: u64, built: Built) -> Result<Self> {
        let Built { mut graph, variables, dropout, stopped, features } = built;
        let mut weights = Vec::with_capacity(variables.len());
        for value in variables {
            let Some(tensor) = graph.weight(value) else { continue };
            let var = Var::from_tensor(&tensor.detach())?;
            weights.push(Weight { value, name: graph.value(value).name.clone(), var });
        }
        for Weight { value, var, .. } in &weights {
            graph = graph.with_weight(*value, var.as_detached_tensor())?;
        }
        Ok(Self { system, seed, graph, weights, dropout, stopped, features })
    }

    /// The system and its settings.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The network as a graph in evaluation mode, for evaluation, pruning and explanation. Its
    /// weights are those of this moment, and go on changing when the network is trained; they are
    /// constants to gradients.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Answers [B, K] in evaluation mode: those above 0 say yes.
    ///
    /// # Errors
    /// If the images do not fit the network.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let given = self.given(images)?;
        Ok(self.graph.evaluate(&given, &self.graph.outputs()[..1])?.remove(0))
    }

    /// Whether linear support vector machines answer, which [`fit_machines`](Self::fit_machines)
    /// trains when the network is trained.
    pub fn has_machines(&self) -> bool {
        self.features.is_some()
    }

    /// The features [N, D] from which linear support vector machines answer, in evaluation mode;
    /// `None` where there are none.
    ///
    /// # Errors
    /// If the images do not fit the network.
    pub fn features(&self, images: &Tensor) -> Result<Option<Tensor>> {
        let Some(features) = self.features else { return Ok(None) };
        let found = self.graph.evaluate(&self.given(images)?, &[features])?.remove(0);
        Ok(Some(found.detach()))
    }

    /// Trains the linear support vector machines on [`features`](Self::features) [N, D] of N images
    /// and the labels of each, and puts them into `svm.weight` and `svm.bias`: from then on the
    /// answers are their decisions, whose signs are the attributes'. They are no log-odds.
    /// `progress` is told, from any thread, how many more of the K machines are trained. The result
    /// does not depend on the number of threads.
    ///
    /// # Errors
    /// If the network has no machines, there are fewer than 10 images, or an image has another
    /// number of labels than the network has answers.
    pub fn fit_machines(
        &self,
        features: &Tensor,
        labels: &[Vec<bool>],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<()> {
        let attributes = self.system.attributes();
        let expected = format!("{attributes}");
        let fits = labels.iter().all(|row| row.len() == attributes);
        check("the labels of an image", "another number", fits, expected)?;
        let machines = Machines::train(features, labels, progress)?;
        for (name, values) in [(WEIGHT, machines.weight), (BIAS, machines.bias)] {
            let found = self.weights.iter().find(|weight| weight.name == name);
            let var = found.map(|weight| &weight.var);
            let expected = "the system answers by support vector machines";
            check("machines", "none", var.is_some(), expected)?;
            if let Some(var) = var {
                let tensor = Tensor::from_vec(values, var.shape(), var.device())?;
                var.set(&tensor.to_dtype(var.dtype())?)?;
            }
        }
        Ok(())
    }

    /// All tensors by name, running moments among them.
    pub fn tensors(&self) -> Vec<(String, &Var)> {
        self.weights.iter().map(|weight| (weight.name.clone(), &weight.var)).collect()
    }

    /// Takes over the tensors of another network that this one has too, by name and shape: from a
    /// network that learned something else, all but its answers. Gives back how many these are.
    ///
    /// # Errors
    /// If candle fails.
    pub fn take_over(&self, other: &Self) -> Result<usize> {
        let mut taken = 0;
        for weight in &self.weights {
            let same = |of: &&Weight| of.name == weight.name && of.var.dims() == weight.var.dims();
            if let Some(found) = other.weights.iter().find(same) {
                weight.var.set(&found.var.as_detached_tensor())?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// The tensors that training changes by gradient, by name: all but the running moments.
    pub fn trainable(&self) -> Vec<(String, &Var)> {
        let is_trained = |(name, _): &(String, &Var)| !name.contains("running_");
        self.tensors().into_iter().filter(is_trained).collect()
    }

    /// The same network in memory of its own.
    pub(crate) fn deep_copy(&self) -> Result<Self> {
        let variables = self.weights.iter().map(|weight| weight.value).collect();
        let dropout = self.dropout.clone();
        let stopped = self.stopped.clone();
        let graph = self.graph.clone();
        let built = Built { graph, variables, dropout, stopped, features: self.features };
        Self::of_graph(self.system.clone(), self.seed, built)
    }

    /// The graph's input, in the type of the weights.
    fn given(&self, images: &Tensor) -> Result<Vec<(ValueId, Tensor)>> {
        let dtype = self.weights.first().map_or(DType::F32, |weight| weight.var.dtype());
        Ok(self.graph.given(&[images.to_dtype(dtype)?])?)
    }

    /// The graph's outputs in training mode.
    pub(crate) fn forward_train(&self, images: &Tensor, step: usize) -> Result<TrainingPass> {
        let dropped = self.dropout.iter().map(|dropout| dropout.value);
        let changed: Vec<ValueId> = dropped.chain(self.stopped.iter().copied()).collect();
        let change = |value: ValueId, x: &Tensor| match self.stopped.contains(&value) {
            true => Ok(x.detach()),
            false => self.drop(value, x, step),
        };
        Ok(self.graph.evaluate_training(
            &self.given_with_weights(images)?,
            self.graph.outputs(),
            &changed,
            &change,
        )?)
    }

    /// The name of the first value, in the order of the computation, that is not finite in training
    /// mode; `None` if all are.
    pub(crate) fn first_not_finite(&self, images: &Tensor) -> Result<Option<String>> {
        let first = RefCell::new(None);
        let see = |value: ValueId, x: &Tensor| {
            let finite = is_finite(x).map_err(candle_core::Error::wrap)?;
            if !finite && first.borrow().is_none() {
                first.replace(Some(self.graph.value(value).name.clone()));
            }
            Ok(x.clone())
        };
        let all: Vec<ValueId> = self.graph.values().map(|(value, _)| value).collect();
        let given = self.given_with_weights(images)?;
        self.graph.evaluate_training(&given, self.graph.outputs(), &all, &see)?;
        Ok(first.into_inner())
    }

    fn given_with_weights(&self, images: &Tensor) -> Result<Vec<(ValueId, Tensor)>> {
        let mut given = self.given(images)?;
        let weights = self.weights.iter();
        given.extend(weights.map(|weight| (weight.value, weight.var.as_tensor().clone())));
        Ok(given)
    }

    /// A value after dropout.
    fn drop(&self, value: ValueId, x: &Tensor, step: usize) -> foresee_graph::Result<Tensor> {
        let layers = self.dropout.iter().enumerate();
        let Some((layer, dropout)) = layers.into_iter().find(|(_, of)| of.value == value) else {
            return Ok(x.clone());
        };
        let mask = dropout_mask(self.seed, step, layer, dropout.probability, x)?;
        Ok((x * mask)?)
    }

    /// Moves the running moments towards a batch's, with the unbiased variance, as PyTorch does.
    pub(crate) fn update_running(&self, pass: &TrainingPass) -> Result<()> {
        for (node, moments) in &pass.moments {
            let node = self.graph.node(*node);
            let n = moments.count as f64;
            self.move_towards(node.input(3), &moments.mean)?;
            // Of one value the variance is 0.
            self.move_towards(node.input(4), &(&moments.variance * (n / (n - 1.).max(1.)))?)?;
        }
        Ok(())
    }

    fn move_towards(&self, running: Option<ValueId>, batch: &Tensor) -> Result<()> {
        let place = |value| self.weights.binary_search_by_key(&value, |weight| weight.value).ok();
        if let Some(place) = running.and_then(place) {
            let var = &self.weights[place].var;
            let kept = (var.as_detached_tensor() * (1. - MOMENTUM))?;
            var.set(&(kept + (batch * MOMENTUM)?)?)?;
        }
        Ok(())
    }
}

/// Whether all values are finite; integers are.
pub(crate) fn is_finite(x: &Tensor) -> Result<bool> {
    if !x.dtype().is_float() {
        return Ok(true);
    }
    // x·0 is NaN for what is not finite, and no sum of it overflows.
    let zero = (x.detach() * 0.)?.sum_all()?.to_dtype(DType::F32)?;
    Ok(zero.to_scalar::<f32>()? == 0.)
}
