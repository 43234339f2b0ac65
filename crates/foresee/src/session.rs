//! What the stages of a run share: its faces, its network and the device, each opened once.

use std::sync::OnceLock;

use candle_core::Device;
use foresee_celeba::{CelebA, Crop, Normalisation, Preprocessing};
use foresee_model::{ModelCard, Network};

use crate::error::Result;
use crate::faces;
use crate::run::Run;

/// The file of the trained network in a run's folder.
pub(crate) const MODEL: &str = "model.safetensors";

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
        let (network, card) = Network::load(&run.path(MODEL), &self.device)?;
        let preprocessing = preprocessing(&card);
        let trained = Trained { network: network.frozen(), card, preprocessing };
        Ok(self.trained.get_or_init(|| trained))
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
