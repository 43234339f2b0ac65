//! AdamW whose state can be saved and restored (candle's own cannot).

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::error::Result;

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
            .map(|(name, var)| Ok(Slot { name, first: var.zeros_like()?.detach(), second: var.zeros_like()?.detach(), var: var.clone() }))
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
        let correct1 = 1. - beta1.powi(self.steps as i32);
        let correct2 = 1. - beta2.powi(self.steps as i32);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            let gradient = gradient.detach();
            slot.first = ((&slot.first * beta1)? + (&gradient * (1. - beta1))?)?;
            slot.second = ((&slot.second * beta2)? + (gradient.sqr()? * (1. - beta2))?)?;
            let direction = ((&slot.first / correct1)? / ((&slot.second / correct2)?.sqrt()? + epsilon)?)?;
            let decay = if slot.var.rank() > 1 { learning_rate * weight_decay } else { 0. };
            slot.var.set(&((slot.var.as_detached_tensor() * (1. - decay))? - (direction * learning_rate)?)?)?;
        }
        Ok(())
    }

    /// The state by name: `optimizer.first.<variable>`, `optimizer.second.<variable>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |slot: &Slot| {
            [(format!("optimizer.first.{}", slot.name), slot.first.clone()), (format!("optimizer.second.{}", slot.name), slot.second.clone())]
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Puts a saved state back, with the number of steps it had made. Returns the name of the first tensor that is missing or of another shape.
    pub fn restore(&mut self, steps: usize, state: &HashMap<String, Tensor>) -> std::result::Result<(), String> {
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
