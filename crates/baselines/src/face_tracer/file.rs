//! A FaceTracer in a file of the safetensors format.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::search::Choice;
use super::{FaceTracer, FaceTracerConfig, Machine};
use crate::error::{Error, Result};
use crate::svm::Svm;

/// The only metadata key.
const KEY: &str = "foresee";

/// What is no tensor.
#[derive(Serialize, Deserialize)]
struct Card {
    config: FaceTracerConfig,
    machines: Vec<MachineCard>,
}

#[derive(Serialize, Deserialize)]
struct MachineCard {
    choice: Choice,
    gamma: f32,
    offset: f64,
}

fn names(number: usize) -> [String; 2] {
    ["vectors", "alphas"].map(|part| format!("{number}.{part}"))
}

impl FaceTracer {
    /// The bytes of a file: for attribute k the support vectors `k.vectors` [N, D] and their
    /// weights `k.alphas` `[N]`, and all else as JSON in its metadata.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = vec![];
        for (number, machine) in self.machines.iter().enumerate() {
            if machine.vectors.is_empty() {
                continue;
            }
            let shape = (machine.vectors.len(), machine.vectors[0].len());
            let [vectors, alphas] = names(number);
            let values: Vec<f64> = machine.svm.vectors.iter().map(|(_, alpha)| *alpha).collect();
            let cpu = &Device::Cpu;
            tensors.push((vectors, Tensor::from_vec(machine.vectors.concat(), shape, cpu)?));
            tensors.push((alphas, Tensor::from_vec(values, shape.0, cpu)?));
        }
        let card = |machine: &Machine| MachineCard {
            choice: machine.choice.clone(),
            gamma: machine.gamma,
            offset: machine.svm.offset,
        };
        let machines = self.machines.iter().map(card).collect();
        let text = serde_json::to_string(&Card { config: self.config.clone(), machines });
        let text = text.map_err(candle_core::Error::wrap)?;
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        let bytes = safetensors::serialize(tensors, Some(metadata));
        Ok(bytes.map_err(candle_core::Error::wrap)?)
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn load(path: &Path) -> Result<Self> {
        let refused = |reason: String| Error::File { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| refused(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let text = text.ok_or_else(|| refused("is not a FaceTracer's file".into()))?;
        let Card { config, machines } =
            serde_json::from_str(text).map_err(|e| refused(e.to_string()))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| refused(e.to_string()))?;
        let planes = config.blank().map_err(|e| refused(e.to_string()))?;
        let machine = |(number, card): (usize, MachineCard)| {
            let [vectors, alphas] = names(number).map(|name| tensors.get(&name));
            let (vectors, alphas) = match (vectors, alphas) {
                (Some(vectors), Some(alphas)) => {
                    (vectors.to_vec2::<f32>()?, alphas.to_vec1::<f64>()?)
                }
                (None, None) => (vec![], vec![]),
                _ => return Err(refused(format!("machine {number} lacks one of its tensors"))),
            };
            let widths = card.choice.features.iter().map(|f| f.of(&planes, config.rows()).len());
            let width: usize = widths.sum();
            let fits = vectors.len() == alphas.len()
                && vectors.iter().all(|vector| vector.len() == width)
                && card.choice.scales.len() == card.choice.features.len();
            let numbers = [f64::from(card.gamma), card.offset].into_iter().chain(alphas.clone());
            let is_finite = numbers.into_iter().all(f64::is_finite)
                && vectors.iter().flatten().all(|value| value.is_finite())
                && card.choice.scales.iter().all(|scale| scale.is_finite() && *scale > 0.);
            if !fits || !is_finite {
                return Err(refused(format!("machine {number} is damaged: its parts do not fit")));
            }
            let svm =
                Svm { vectors: alphas.into_iter().enumerate().collect(), offset: card.offset };
            Ok(Machine { choice: card.choice, gamma: card.gamma, vectors, svm })
        };
        let machines = machines.into_iter().enumerate().map(machine).collect::<Result<_>>()?;
        Ok(Self { config, machines })
    }
}
