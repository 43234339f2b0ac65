//! AdamW with a state that can be saved and restored, unlike that of candle-nn.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use foresee_kernels::{AdamWStep, adamw_step};

use crate::error::Result;

/// Settings that do not change during training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment. Default 0.9.
    pub beta1: f64,
    /// Decay of the second moment. Default 0.999.
    pub beta2: f64,
    /// ε, added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay, for tensors of more than one dimension. Default 0.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0. }
    }
}

/// A variable with its moments.
struct Slot {
    name: String,
    var: Var,
    first: Tensor,
    second: Tensor,
    weight_decay: f64,
}

/// AdamW (Loshchilov & Hutter, 2019) as in PyTorch: v ← v - lr·wd·v, then v ← v - lr·m̂/(√ŝ + ε).
///
/// ```
/// use candle_core::{Device, Var};
/// use foresee_model::{AdamW, AdamWConfig};
///
/// let v = Var::new(&[1f32], &Device::Cpu)?;
/// let mut optimizer = AdamW::new(vec![("v".into(), &v)], AdamWConfig::default())?;
/// let gradients = v.sqr()?.sum_all()?.backward()?;
/// optimizer.step(&gradients, 0.1)?;
/// // The first step goes by the learning rate against the gradient.
/// assert!((v.to_vec1::<f32>()?[0] - 0.9).abs() < 1e-5);
/// # Ok::<(), foresee_model::Error>(())
/// ```
pub struct AdamW {
    config: AdamWConfig,
    steps: usize,
    slots: Vec<Slot>,
}

impl AdamW {
    /// An optimizer of these variables, whose names are also those of the saved state.
    ///
    /// # Errors
    /// If candle fails.
    pub fn new(variables: Vec<(String, &Var)>, config: AdamWConfig) -> Result<Self> {
        let slots = variables
            .into_iter()
            .map(|(name, var)| {
                Ok(Slot {
                    name,
                    first: var.zeros_like()?.detach(),
                    second: var.zeros_like()?.detach(),
                    weight_decay: if var.rank() > 1 { config.weight_decay } else { 0. },
                    var: var.clone(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { config, steps: 0, slots })
    }

    /// Decays the variable of this name by so much more. If there is none, nothing changes.
    pub fn decay_more(&mut self, name: &str, weight_decay: f64) {
        let named = self.slots.iter_mut().filter(|slot| slot.name == name);
        named.for_each(|slot| slot.weight_decay += weight_decay);
    }

    /// One step. Variables without a gradient stay as they are.
    ///
    /// # Errors
    /// If candle fails.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        let AdamWConfig { beta1, beta2, epsilon, .. } = self.config;
        self.steps += 1;
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            let step = AdamWStep {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay: slot.weight_decay,
                number: self.steps,
            };
            let Slot { var, first, second, .. } = slot;
            adamw_step(var, &gradient.detach(), first, second, &step)?;
        }
        Ok(())
    }

    /// Names of a variable's state: `optimizer.first.<variable>`, `optimizer.second.<variable>`.
    pub(crate) fn state_names(variable: &str) -> [String; 2] {
        ["first", "second"].map(|moment| format!("optimizer.{moment}.{variable}"))
    }

    /// The moments by name: `optimizer.first.<variable>`, `optimizer.second.<variable>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |slot: &Slot| {
            let [first, second] = Self::state_names(&slot.name);
            [(first, slot.first.clone()), (second, slot.second.clone())]
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Restores a saved state and the number of steps that it had made.
    ///
    /// # Errors
    /// The name of the first tensor that is missing or has another shape.
    pub fn restore(
        &mut self,
        steps: usize,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), String> {
        for slot in &mut self.slots {
            let names = Self::state_names(&slot.name);
            for (name, moment) in names.into_iter().zip([&mut slot.first, &mut slot.second]) {
                match state.get(&name) {
                    Some(tensor) if tensor.dims() == slot.var.dims() => *moment = tensor.clone(),
                    _ => return Err(name),
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}
