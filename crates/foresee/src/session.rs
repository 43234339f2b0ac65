//! What the stages of a run share: its faces, its network and the device, each opened once.

use std::path::Path;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use foresee_celeba::{ATTRIBUTES, Batch, CelebA, Crop, Normalisation, Preprocessing};
use foresee_model::{ModelCard, Network};

pub(crate) use crate::config::crop_of_card;
use crate::config::{Config, SystemName};
use crate::error::{Result, input};
use crate::faces;
use crate::run::Run;
pub(crate) use crate::run::{FACE_TRACER, MODEL, NETWORK};

/// What images go through before a network sees them that is trained with these settings.
pub(crate) fn images_of(config: &Config) -> Preprocessing {
    let config = &config.data;
    let normalisation = Normalisation::default();
    Preprocessing { crop: config.crop, image_size: config.image_size, normalisation }
}

/// Makes sure that the network of a run is the paper's, which most commands are for.
pub(crate) fn check_is_paper(run: &Run) -> Result<()> {
    let system = run.manifest.config.system.name;
    match system {
        SystemName::Paper => Ok(()),
        _ => Err(input(format!(
            "the run in {} is of {}: this is for the paper's network{}",
            run.folder().display(),
            system.title(),
            match system {
                SystemName::Facetracer => "",
                _ => "; `predict`, `prune` and `explain` take its network.onnx with --model",
            }
        ))),
    }
}

/// The faces, the network and the device of a run. Faces and network are opened when a stage first
/// needs them.
pub(crate) struct Session {
    /// What stages compute on.
    pub device: Device,
    data: OnceLock<CelebA>,
    trained: OnceLock<Trained>,
}

/// A trained network, to be evaluated, and what its images go through before it sees them.
pub(crate) struct Trained {
    pub network: Network,
    pub card: ModelCard,
    pub preprocessing: Preprocessing,
}

impl Session {
    pub fn new(device: Device) -> Self {
        Self { device, data: OnceLock::new(), trained: OnceLock::new() }
    }

    /// With the faces that are open already.
    pub fn with_data(device: Device, data: CelebA) -> Self {
        Self { device, data: data.into(), trained: OnceLock::new() }
    }

    /// The run's faces, which are compared with those that it was made with.
    pub fn data(&self, run: &Run) -> Result<&CelebA> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let manifest = &run.manifest;
        let data = faces::reopen(&manifest.data, run.folder(), manifest.config.data.split)?;
        Ok(self.data.get_or_init(|| data))
    }

    /// The run's trained network.
    pub fn trained(&self, run: &Run) -> Result<&Trained> {
        if let Some(trained) = self.trained.get() {
            return Ok(trained);
        }
        check_is_paper(run)?;
        let (network, card) = Network::load(&run.own_model()?, &self.device)?;
        let preprocessing = preprocessing(&card);
        let trained = Trained { network: network.frozen(), card, preprocessing };
        Ok(self.trained.get_or_init(|| trained))
    }
}

/// A network of CelebA's 40 attributes, and its card.
pub(crate) fn load_model(path: &Path, device: &Device) -> Result<(Network, ModelCard)> {
    let (network, card) = Network::load(path, device)?;
    match card.attributes == ATTRIBUTES {
        true => Ok((network, card)),
        false => Err(input(format!(
            "{} predicts other attributes than CelebA's 40, in their order",
            path.display()
        ))),
    }
}

/// What a model's images go through before it sees them.
pub(crate) fn preprocessing(card: &ModelCard) -> Preprocessing {
    let crop = match card.crop {
        foresee_model::Crop::Square => Crop::Square,
        foresee_model::Crop::Whole => Crop::Whole,
    };
    let normalisation = Normalisation { mean: card.mean, deviation: card.deviation };
    Preprocessing { crop, image_size: card.image_size, normalisation }
}

/// Makes sure that the logits of a batch are finite: what is not a number is neither yes nor no.
pub(crate) fn check_finite(logits: &Tensor, data: &CelebA, batch: &Batch) -> Result<()> {
    let sum = (logits.detach() * 0.)?.sum_all()?.to_dtype(DType::F32)?;
    if sum.to_scalar::<f32>()? == 0. {
        return Ok(());
    }
    Err(input(format!(
        "the network's answers to {} or an image near it are not finite: its weights, or the mean \
         and deviation of its card, overflow",
        data.name(batch.faces[0])
    )))
}
