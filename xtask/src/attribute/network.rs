//! The trained network in the forms that methods need, and copies with layers drawn anew.

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_attribution::{Layers, attention_network, pooling_network};
use foresee_celeba::Preprocessing;
use foresee_model::Network;

use crate::run::Run;
use crate::{faces, train};

/// The activation that the CAM family looks at: the features z.
pub const FEATURES: &str = "extractor.3.relu";
/// Inputs through layers at once: they keep every activation.
const BATCH: usize = 8;
/// From the output back: what is randomised first.
const FROM_THE_OUTPUT: [&str; 6] = [
    "heads.readout.",
    "heads.mask.",
    "extractor.3.",
    "extractor.2.",
    "extractor.1.",
    "extractor.0.",
];

pub struct Explained {
    pub network: Network,
    pub layers: Layers,
    pub preprocessing: Preprocessing,
    pub device: Device,
}

impl Explained {
    pub fn load(run: &Run, device: &Device) -> Result<Self> {
        let (network, card) = train::load(&run.folder, device)?;
        Ok(Self {
            layers: layers_of(&network)?,
            preprocessing: faces::preprocessing(&card),
            device: device.clone(),
            network,
        })
    }

    /// The cascade of the sanity check: the readout as a new network has it, then also the masks,
    /// then also each block of the extractor.
    pub fn randomised(&self, seed: u64) -> Result<Vec<(String, Layers)>> {
        let new = Network::new(self.network.config().clone(), seed, &self.device)?;
        let masks = self.network.config().attention;
        let stages =
            FROM_THE_OUTPUT.iter().enumerate().filter(|(_, name)| masks || **name != "heads.mask.");
        stages
            .map(|(i, name)| {
                Ok((
                    name.trim_end_matches('.').to_owned(),
                    layers(&self.network, &new, FROM_THE_OUTPUT.len() - 1 - i)?,
                ))
            })
            .collect()
    }
}

/// A network as layers.
pub fn layers_of(network: &Network) -> Result<Layers> {
    layers(network, network, FROM_THE_OUTPUT.len())
}

/// Layers of two networks: the `kept` ones that are farthest from the output of the first, the
/// others of the second.
fn layers(first: &Network, second: &Network, kept: usize) -> Result<Layers> {
    let from_second = &FROM_THE_OUTPUT[..FROM_THE_OUTPUT.len() - kept];
    let tensors =
        first.tensors().into_iter().zip(second.tensors()).map(|((name, own), (_, other))| {
            let of =
                if from_second.iter().any(|start| name.starts_with(start)) { other } else { own };
            (name, of.as_detached_tensor())
        });
    let tensors: Vec<(String, Tensor)> = tensors.collect();
    let dilations: Vec<usize> =
        first.extractor().plan().iter().map(|&(_, _, dilation)| dilation).collect();
    let layers = if first.config().attention {
        attention_network(tensors, &dilations)?
    } else {
        pooling_network(tensors, &dilations)?
    };
    Ok(layers.batch(BATCH))
}
