//! The paper's network as a model that faces are chosen with.

use candle_core::{Device, Tensor};
use foresee_active::{Answers, AnyError, Model, Table};
use foresee_celeba::CelebA;
use foresee_model::{Network, Trainer};
use foresee_stats::sigmoid;

use crate::config::Config;
use crate::error::Result;
use crate::session::images_of;
use crate::stages::train::{Batching, batch_options};

/// Faces that go through the network at once.
const BATCH: usize = 64;

/// A network and the faces that it is asked about.
pub(crate) struct Paper<'a> {
    pub network: Network,
    pub data: &'a CelebA,
    pub config: &'a Config,
    pub device: &'a Device,
}

impl Model for Paper<'_> {
    /// Probabilities of all attributes, and the last feature map's mean over the pixels. The last
    /// layer of each attribute reads these features under its own masks; what strategies compare
    /// is what all attributes share, before the masks.
    fn answers(&self, items: &[usize]) -> std::result::Result<Answers, AnyError> {
        let network = self.network.frozen();
        let images = images_of(self.config);
        let (mut p, mut x): (Vec<f32>, Vec<f32>) = (vec![], vec![]);
        for batch in self.data.batches_in_order(items, &images, BATCH) {
            let z = network.extractor().forward(&batch?.images.to_device(self.device)?)?;
            let logits = network.forward_features(&z)?.logits.flatten_all()?.to_vec1::<f32>()?;
            p.extend(logits.into_iter().map(|logit| sigmoid(f64::from(logit)) as f32));
            x.extend(z.mean((2, 3))?.flatten_all()?.to_vec1::<f32>()?);
        }
        let config = network.config();
        Ok(Answers {
            probabilities: Table::new(config.attributes, p)?,
            features: Table::new(config.channels, x)?,
        })
    }
}

/// Faces to train on, some perhaps more than once.
pub(crate) struct Examples<'a> {
    pub data: &'a CelebA,
    pub faces: &'a [usize],
    /// The label of every attribute of some faces, [B, K].
    pub labels: &'a dyn Fn(&[usize], Tensor) -> Result<Tensor>,
    /// What a face counts; none if all count alike.
    pub weight: Option<&'a dyn Fn(usize) -> f32>,
}

/// A network trained from scratch. `step` is told how many images each step took, and may end it.
pub(crate) fn train(
    examples: &Examples,
    config: &Config,
    seed: u64,
    device: &Device,
    step: &dyn Fn(usize) -> Result<()>,
) -> Result<Network> {
    let faces = examples.faces.len();
    let Batching { batches, .. } = Batching::new(config, faces);
    let network = Network::new(config.model.clone(), seed, device)?;
    let mut trainer = Trainer::new(network, config.train.trainer.clone(), batches)?;
    while !trainer.is_done() {
        let options = batch_options(config, seed, faces, trainer.position());
        for batch in examples.data.batches(examples.faces, &options) {
            let batch = batch?;
            let images = batch.images.to_device(device)?;
            let labels = (examples.labels)(&batch.faces, batch.labels)?.to_device(device)?;
            let weights = examples
                .weight
                .map(|weight| batch.faces.iter().map(|&face| weight(face)).collect::<Vec<_>>());
            trainer.step_weighted(&images, &labels, weights.as_deref())?;
            step(batch.faces.len())?;
        }
    }
    Ok(trainer.trained().clone())
}
