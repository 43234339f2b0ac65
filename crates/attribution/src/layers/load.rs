//! [`Layers`] with the weights of a PyTorch model.

use std::collections::BTreeSet;

use candle_core::Tensor;

use super::weights::Weights;
use super::{BatchNorm, Conv2d, Layers};
use crate::error::{Error, Result};

/// What a layer of [`Layers::load`] is. Its name in the list is that of the PyTorch module, and its
/// tensors are `NAME.weight` and so on.
///
/// `nn.Dropout` and `nn.Identity` do nothing in evaluation mode: leave them out.
#[derive(Debug, Clone)]
pub enum LayerKind {
    /// `nn.Conv2d` without groups: `NAME.weight` and, if it is there, `NAME.bias`.
    Conv2d(Conv2d),
    /// `nn.Linear`: `NAME.weight` and, if it is there, `NAME.bias`.
    Linear,
    /// `nn.BatchNorm2d` or `nn.BatchNorm1d` in evaluation mode: `NAME.running_mean` and
    /// `NAME.running_var`, and, if they are there, `NAME.weight` and `NAME.bias`.
    BatchNorm {
        /// Added to the variance. A state dict does not have it; PyTorch's default is 1e-5.
        epsilon: f64,
    },
    /// `nn.ReLU`.
    Relu,
    /// `nn.LeakyReLU`.
    LeakyRelu {
        /// PyTorch's default is 0.01.
        slope: f64,
    },
    /// `nn.MaxPool2d(size)`: windows side by side, without padding.
    MaxPool {
        /// Pixels a side.
        size: usize,
    },
    /// `nn.AvgPool2d(size)`: windows side by side, without padding.
    AveragePool {
        /// Pixels a side.
        size: usize,
    },
    /// `nn.AdaptiveAvgPool2d(1)` and `nn.Flatten()` behind it: [B, C, H, W] → [B, C].
    GlobalAveragePool,
    /// `nn.Flatten()`.
    Flatten,
    /// x + branch(x). The names of its layers are whole ones, such as `layer1.0.conv1`.
    Residual(Vec<(String, LayerKind)>),
}

impl LayerKind {
    /// [`Residual`](Self::Residual) of a branch that is listed as the layers of [`Layers::load`].
    pub fn residual<N: Into<String>>(branch: impl IntoIterator<Item = (N, LayerKind)>) -> Self {
        let named = |(name, kind): (N, LayerKind)| -> (String, LayerKind) { (name.into(), kind) };
        Self::Residual(branch.into_iter().map(named).collect())
    }
}

impl Layers {
    /// The layers of a PyTorch model, as `nn.Sequential(OrderedDict([...]))` lists them, with its
    /// weights. Every tensor must be used, as by `load_state_dict` (`num_batches_tracked` need not
    /// be); [`load_with_unused`](Self::load_with_unused) goes on without.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_attribution::{Conv2d, LayerKind, Layers, Weights};
    ///
    /// let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    /// // Or `Weights::from_safetensors("model.safetensors", &Device::Cpu)?`.
    /// let weights = Weights::from(HashMap::from([
    ///     ("features.0.weight".to_owned(), zeros(&[8, 3, 3, 3])?),
    ///     ("features.0.bias".to_owned(), zeros(&[8])?),
    ///     ("fc.weight".to_owned(), zeros(&[10, 8])?),
    /// ]));
    /// let model = Layers::load(
    ///     &weights,
    ///     [
    ///         ("features.0", LayerKind::Conv2d(Conv2d { padding: 1, ..Conv2d::default() })),
    ///         ("features.1", LayerKind::Relu),
    ///         ("avgpool", LayerKind::GlobalAveragePool),
    ///         ("fc", LayerKind::Linear),
    ///     ],
    /// )?
    /// .model()?;
    /// assert_eq!(model.forward(&zeros(&[2, 3, 32, 32])?)?.dims(), [2, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a tensor is missing (with the names most like it), does not fit its layer, or is used by
    /// no layer; if a layer does not fit the one before it. All name the layer.
    pub fn load<N: Into<String>>(
        weights: &Weights<'_>,
        layers: impl IntoIterator<Item = (N, LayerKind)>,
    ) -> Result<Self> {
        let (layers, names) = Self::load_with_unused(weights, layers)?;
        match names.is_empty() {
            true => Ok(layers),
            false => Err(Error::UnusedWeights { names }),
        }
    }

    /// [`load`](Self::load), and the names of the tensors that no layer uses; none of a
    /// `VarBuilder`, which does not list its names.
    ///
    /// # Errors
    /// As for [`load`](Self::load), except that tensors may be left.
    pub fn load_with_unused<N: Into<String>>(
        weights: &Weights<'_>,
        layers: impl IntoIterator<Item = (N, LayerKind)>,
    ) -> Result<(Self, Vec<String>)> {
        let mut loader = Loader { weights, used: BTreeSet::new() };
        let named = layers.into_iter().map(|(name, kind)| -> (String, _) { (name.into(), kind) });
        let loaded = loader.append_all(Layers::new(), named)?;
        let is_unused =
            |name: &String| !loader.used.contains(name) && !name.ends_with("num_batches_tracked");
        Ok((loaded, weights.names().into_iter().filter(is_unused).collect()))
    }
}

struct Loader<'w, 'a> {
    weights: &'w Weights<'a>,
    used: BTreeSet<String>,
}

impl Loader<'_, '_> {
    fn append_all(
        &mut self,
        layers: Layers,
        more: impl IntoIterator<Item = (String, LayerKind)>,
    ) -> Result<Layers> {
        more.into_iter().try_fold(layers, |layers, (name, kind)| self.append(layers, &name, kind))
    }

    fn append(&mut self, layers: Layers, name: &str, kind: LayerKind) -> Result<Layers> {
        match kind {
            LayerKind::Conv2d(options) => {
                let weight = self.needed(name, "weight")?;
                layers.conv2d(name, &weight, self.optional(name, "bias")?.as_ref(), options)
            }
            LayerKind::Linear => {
                let weight = self.needed(name, "weight")?;
                layers.linear(name, &weight, self.optional(name, "bias")?.as_ref())
            }
            LayerKind::BatchNorm { epsilon } => {
                layers.batch_norm(name, &self.batch_norm(name, epsilon)?)
            }
            LayerKind::Relu => layers.relu(name),
            LayerKind::LeakyRelu { slope } => layers.leaky_relu(name, slope),
            LayerKind::MaxPool { size } => layers.max_pool(name, size),
            LayerKind::AveragePool { size } => layers.average_pool(name, size),
            LayerKind::GlobalAveragePool => layers.global_average_pool(name),
            LayerKind::Flatten => layers.flatten(name),
            LayerKind::Residual(branch) => {
                layers.residual(name, |layers| self.append_all(layers, branch))
            }
        }
    }

    /// Without weight and bias (`affine=False`) they are 1 and 0.
    fn batch_norm(&mut self, name: &str, epsilon: f64) -> Result<BatchNorm> {
        let mean = self.needed(name, "running_mean")?;
        let variance = self.needed(name, "running_var")?;
        let weight = match self.optional(name, "weight")? {
            Some(weight) => weight,
            None => variance.ones_like()?,
        };
        let bias = match self.optional(name, "bias")? {
            Some(bias) => bias,
            None => mean.zeros_like()?,
        };
        Ok(BatchNorm { weight, bias, mean, variance, epsilon })
    }

    fn optional(&mut self, layer: &str, part: &str) -> Result<Option<Tensor>> {
        let name = format!("{layer}.{part}");
        let found = self.weights.get(&name).map_err(|error| error.in_layer(layer))?;
        if found.is_some() {
            self.used.insert(name);
        }
        Ok(found)
    }

    fn needed(&mut self, layer: &str, part: &str) -> Result<Tensor> {
        let weights = self.weights;
        self.optional(layer, part)?.ok_or_else(|| {
            let name = format!("{layer}.{part}");
            Error::NoWeight { layer: layer.into(), nearest: weights.nearest(&name), name }
        })
    }
}
