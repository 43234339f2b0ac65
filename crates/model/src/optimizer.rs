//! AdamW whose state can be saved and restored (candle's own cannot).

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::error::Result;
use crate::ops::{self, AdamWStep};

/// Settings that do not change during training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment. Default 0.9.
    pub beta1: f64,
    /// Decay of the second moment. Default 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay, for tensors of more than one dimension. Default 0.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0. }
    }
}

struct Slot {
    name: String,
    var: Var,
    first: Tensor,
    second: Tensor,
}

/// AdamW (Loshchilov & Hutter, 2019) as in PyTorch: v ← v - lr·wd·v, then v ← v - lr·m̂/(√ŝ + ε).
pub struct AdamW {
    config: AdamWConfig,
    steps: usize,
    slots: Vec<Slot>,
}

impl AdamW {
    /// Optimises these variables; their names are those of the saved state.
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
                    var: var.clone(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { config, steps: 0, slots })
    }

    /// One step. Variables without a gradient stay as they are.
    ///
    /// # Errors
    /// If candle fails.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        self.steps += 1;
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            let weight_decay = if slot.var.rank() > 1 { weight_decay } else { 0. };
            let step = AdamWStep {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay,
                number: self.steps,
            };
            ops::adamw_step(
                &slot.var,
                &gradient.detach(),
                &mut slot.first,
                &mut slot.second,
                &step,
            )?;
        }
        Ok(())
    }

    /// Names of a variable's state: `optimizer.first.<variable>`, `optimizer.second.<variable>`.
    pub(crate) fn names(variable: &str) -> [String; 2] {
        ["first", "second"].map(|moment| format!("optimizer.{moment}.{variable}"))
    }

    /// The state by name: `optimizer.first.<variable>`, `optimizer.second.<variable>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |slot: &Slot| {
            let [first, second] = Self::names(&slot.name);
            [(first, slot.first.clone()), (second, slot.second.clone())]
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Puts a saved state back, with the number of steps it had made. Returns the name of the first
    /// tensor that is missing or of another shape.
    pub fn restore(
        &mut self,
        steps: usize,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), String> {
        for slot in &mut self.slots {
            for (kind, moment) in [("first", &mut slot.first), ("second", &mut slot.second)] {
                let name = format!("optimizer.{kind}.{}", slot.name);
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
