//! What is explained: the trained network as a graph, and the faces that it is explained on.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use foresee_attribution::{Explainer, GraphModel, Method, network_model, randomised_cascade};
use foresee_celeba::synthetic::Generator;
use foresee_celeba::{CelebA, Split};
use foresee_graph::{Graph, attention_network};
use foresee_kernels::Rows;
use foresee_model::Network;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Attribute;
use crate::error::Result;
use crate::faces;
use crate::run::Run;
use crate::session::{Session, Trained};

/// The seed of the weights that replace trained ones is the run's and this.
const NEW_WEIGHTS: u64 = 1;

/// The network under explanation, its faces and the settings.
pub(crate) struct Subject<'a> {
    pub run: &'a Run,
    pub session: &'a Session,
    pub trained: &'a Trained,
    pub data: &'a CelebA,
    pub model: GraphModel,
    pub seed: u64,
    /// Test faces in an order that the seed decides.
    pub test: Vec<usize>,
    /// What drew the faces, if they are drawn.
    generator: Option<Generator>,
}

impl<'a> Subject<'a> {
    pub fn new(run: &'a Run, session: &'a Session) -> Result<Self> {
        let trained = session.trained(run)?;
        let data = session.data(run)?;
        let seed = run.manifest.seed;
        let mut test = data.split(Split::Test)?;
        test.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let model = model_of(&trained.network)?;
        let generator = data.generator();
        Ok(Self { run, session, trained, data, model, seed, test, generator })
    }

    pub fn settings(&self) -> &'a Attribute {
        &self.run.manifest.config.attribute
    }

    pub fn image_size(&self) -> usize {
        self.trained.preprocessing.image_size
    }

    /// The settings of all methods.
    pub fn explainer(&self, region_maps: HashMap<usize, Tensor>) -> Explainer {
        let settings = self.settings();
        Explainer {
            steps: settings.steps,
            grid: settings.grid,
            lime_samples: settings.lime_samples,
            seed: self.seed,
            region_maps,
            references: None,
            cam_node: None,
            attention_node: None,
            composite: None,
        }
    }

    /// The images that some methods start from, as many test faces as the settings have steps;
    /// `None` if no method is such a one.
    pub fn references(&self, methods: &[Method]) -> Result<Option<Tensor>> {
        match methods.iter().any(|method| method.needs_references()) {
            true => Ok(Some(self.test_images(self.settings().steps)?.0)),
            false => Ok(None),
        }
    }

    /// The first test faces that have an attribute, as many as the settings say.
    pub fn faces_with(&self, attribute: usize) -> Vec<usize> {
        let with = self.test.iter().copied();
        let with = with.filter(|&face| self.data.labels(face).has(attribute));
        with.take(self.settings().images).collect()
    }

    /// Images and labels of the first test faces, [N, 3, H, W] and [N, K].
    pub fn test_images(&self, count: usize) -> Result<(Tensor, Tensor)> {
        let test = faces::first(self.test.clone(), count);
        let batch = self
            .data
            .batches_in_order(&test, &self.trained.preprocessing, test.len().max(1))
            .next()
            .ok_or_else(|| anyhow::anyhow!("no test face"))??;
        let device = &self.session.device;
        let labels = batch.labels.to_dtype(DType::F32)?.to_device(device)?;
        Ok((batch.images.to_device(device)?, labels))
    }

    /// 1 where an attribute is on a face, pixel by pixel as the network sees it; known of drawn
    /// faces only.
    pub fn region(&self, face: usize, attribute: usize) -> Option<Vec<f32>> {
        let labels = self.data.labels(face);
        let crop = self.trained.preprocessing.crop;
        let shares = self.generator.as_ref()?.region_shares(
            face as u64,
            labels,
            attribute,
            crop,
            self.image_size(),
        );
        Some(shares.into_iter().map(|share| if share >= 0.5 { 1. } else { 0. }).collect())
    }

    /// The network with more and more layers as a new network has them, from the readout back.
    pub fn randomised(&self) -> Result<Vec<(String, GraphModel)>> {
        let network = &self.trained.network;
        let seed = self.seed.wrapping_add(NEW_WEIGHTS);
        let new = Network::new(network.config().clone(), seed, &self.session.device)?;
        let (dilations, rows) = (dilations(network), rows(network));
        let cascade = randomised_cascade(tensors(network), tensors(&new), &dilations, rows)?;
        // A readout that is not trained is much the same in a new network.
        let fixed = usize::from(!network.config().readout.is_trained());
        Ok(cascade.into_iter().skip(fixed).collect())
    }
}

/// A network as a graph that attribution methods can cut and walk back.
///
/// # Errors
/// If a tensor is missing, which of a network does not happen.
pub fn model_of(network: &Network) -> Result<GraphModel> {
    Ok(network_model(tensors(network), &dilations(network), rows(network))?)
}

/// The same with its batch norms as they are, and for any number of images.
pub(crate) fn graph_of(network: &Network) -> Result<Graph> {
    Ok(attention_network(tensors(network), &dilations(network), rows(network))?)
}

/// The rows that have masks, if the network has any.
fn rows(network: &Network) -> Option<&Rows> {
    network.config().attention.then(|| network.heads().rows())
}

fn tensors(network: &Network) -> Vec<(String, Tensor)> {
    let all = network.tensors().into_iter();
    all.map(|(name, var)| (name, var.as_detached_tensor())).collect()
}

fn dilations(network: &Network) -> Vec<usize> {
    network.extractor().plan().iter().map(|&(_, _, dilation)| dilation).collect()
}
