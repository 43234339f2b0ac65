//! Building [`Layers`] one after the other. What does not fit is refused here, by the layer's name.

use std::sync::Arc;

use candle_core::Tensor;
use foresee_kernels::Rows;

use super::Layers;
use super::layer::{Layer, NamedLayer, find, find_by};
use super::ops::Conv2d;
use super::shapes::check_layers;
use crate::error::{Error, Result, check};
use crate::tensors::{check_float, check_like};

/// Batch norm in evaluation mode; all tensors `[C]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// γ.
    pub weight: Tensor,
    /// β.
    pub bias: Tensor,
    /// Running mean.
    pub mean: Tensor,
    /// Running variance.
    pub variance: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Layers {
    fn push(mut self, name: &str, layer: Layer) -> Result<Self> {
        let is_new = find(&self.sequence, name).is_none();
        check(is_new, "name", name, "a name that no other layer has")?;
        self.sequence.push(NamedLayer { name: name.into(), layer });
        check_layers(&self.sequence)?;
        // What is known of the layers before is not known of these.
        self.checks = self.checks.renewed();
        Ok(self)
    }

    /// Convolution: weight [O, I, n, m], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, an option is 0, or the name is
    /// taken.
    pub fn conv2d(
        self,
        name: &str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2d,
    ) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        check(options.stride >= 1, "stride", options.stride, "a number from 1").map_err(named)?;
        check(options.dilation >= 1, "dilation", options.dilation, "a number from 1")
            .map_err(named)?;
        check_rank("the convolution's weight", weight, 4, "[O, I, n, m]").map_err(named)?;
        let bias = bias_or_zero(weight, bias).map_err(named)?;
        self.push(name, Layer::Conv2d { weight: weight.detach().contiguous()?, bias, options })
    }

    /// Linear layer: weight [O, I], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, or the name is taken.
    pub fn linear(self, name: &str, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        check_rank("the linear layer's weight", weight, 2, "[O, I]").map_err(named)?;
        let bias = bias_or_zero(weight, bias).map_err(named)?;
        self.push(name, Layer::Linear { weight: weight.detach().contiguous()?, bias })
    }

    /// Batch norm, merged into the convolution or linear layer before it: it becomes no layer of
    /// its own.
    ///
    /// # Errors
    /// If there is no such layer before it (the error names the layer that is there), or the shapes
    /// do not fit.
    pub fn batch_norm(mut self, name: &str, norm: &BatchNorm) -> Result<Self> {
        let unsupported = |before: &str| Error::Layer {
            method: "merging batch norm",
            layer: name.into(),
            reason: format!(
                "it follows {before}, and only a convolution or a linear layer can take it up; put \
                 other norms in by `other`"
            ),
        };
        let previous = self.sequence.last_mut().ok_or_else(|| unsupported("no layer"))?;
        let (Layer::Conv2d { weight, bias, .. } | Layer::Linear { weight, bias }) =
            &mut previous.layer
        else {
            return Err(unsupported(&previous.name));
        };
        merge(weight, bias, norm).map_err(|error| error.in_layer(name))?;
        Ok(self)
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// If the name is taken.
    pub fn relu(self, name: &str) -> Result<Self> {
        self.leaky_relu(name, 0.)
    }

    /// max(x, 0) + slope·min(x, 0); slope 0 is the [`relu`](Self::relu).
    ///
    /// # Errors
    /// If the slope is not in [0, 1] or the name is taken.
    pub fn leaky_relu(self, name: &str, slope: f64) -> Result<Self> {
        check((0. ..=1.).contains(&slope), "slope", slope, "a number from 0 to 1")?;
        self.push(name, Layer::LeakyRelu { slope })
    }

    /// Mean of size×size windows side by side; pixels at the right and the bottom that fill no
    /// window are left out.
    ///
    /// # Errors
    /// If the size is 0 or the name is taken.
    pub fn average_pool(self, name: &str, size: usize) -> Result<Self> {
        check(size >= 1, "size", size, "a number from 1")?;
        self.push(name, Layer::AveragePool { size })
    }

    /// Maximum of size×size windows, placed as in [`average_pool`](Self::average_pool).
    ///
    /// # Errors
    /// If the size is 0 or the name is taken.
    pub fn max_pool(self, name: &str, size: usize) -> Result<Self> {
        check(size >= 1, "size", size, "a number from 1")?;
        self.push(name, Layer::MaxPool { size })
    }

    /// Mean over the last two dimensions.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn global_average_pool(self, name: &str) -> Result<Self> {
        self.push(name, Layer::GlobalAveragePool)
    }

    /// [B, ...] → [B, n].
    ///
    /// # Errors
    /// If the name is taken.
    pub fn flatten(self, name: &str) -> Result<Self> {
        self.push(name, Layer::Flatten)
    }

    /// Eq. 9's masks: z [B, C, H, W] → M^k ⊗ z for every attribute k, [B, K, C, H, W], with M^k =
    /// sigmoid(conv_k(z)); weight [K·C, C, n, n] with n odd, row k·C + c, and bias `[K·C]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the name is taken.
    pub fn gate(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (k, c) = gate_dims(weight).map_err(|error| error.in_layer(name))?;
        self.gate_of_rows(name, weight, bias, &Rows::all(k, c))
    }

    /// [`gate`](Self::gate) in which only these rows have masks: those of the others are 0,
    /// whatever their weights.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_attribution::Layers;
    /// use foresee_kernels::Rows;
    ///
    /// // One attribute and two channels of one pixel, with masks sigmoid(0) = 1/2.
    /// let weight = Tensor::zeros((2, 2, 1, 1), candle_core::DType::F64, &Device::Cpu)?;
    /// let bias = Tensor::new(&[0f64, 0.], &Device::Cpu)?;
    /// let rows = Rows::new(2, vec![vec![1]])?;
    /// let layers = Layers::new().gate_of_rows("masks", &weight, &bias, &rows)?;
    /// let z = Tensor::new(&[3f64, 5.], &Device::Cpu)?.reshape((1, 2, 1, 1))?;
    /// let gated = layers.forward(&z)?.flatten_all()?.to_vec1::<f64>()?;
    /// assert_eq!(gated, [0., 2.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`gate`](Self::gate), or if the rows are of other attributes or channels.
    pub fn gate_of_rows(
        self,
        name: &str,
        weight: &Tensor,
        bias: &Tensor,
        rows: &Rows,
    ) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        let (k, c) = gate_dims(weight).map_err(named)?;
        let found = (rows.attributes(), rows.channels());
        check(found == (k, c), "rows", format!("{found:?}"), "of the weight's K and C")
            .map_err(named)?;
        let bias = bias_or_zero(weight, Some(bias)).map_err(named)?;
        let weight = weight.detach().contiguous()?;
        self.push(name, Layer::Gate { weight, bias, rows: rows.clone() })
    }

    /// One logit per attribute: [B, K, C] → w_k·p_k + b_k, [B, K]; weight [K, C], bias `[K]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the name is taken.
    pub fn readout(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        check_rank("the readout's weight", weight, 2, "[K, C]").map_err(named)?;
        let bias = bias_or_zero(weight, Some(bias)).map_err(named)?;
        self.push(name, Layer::Readout { weight: weight.detach().contiguous()?, bias })
    }

    /// x + branch(x).
    ///
    /// # Errors
    /// If the name, or one inside of the branch, is taken, or the branch does not give the shape
    /// that it takes.
    pub fn residual(self, name: &str, branch: Layers) -> Result<Self> {
        let taken = find_by(&branch.sequence, &|inner| {
            inner.name == name || find(&self.sequence, &inner.name).is_some()
        });
        check(
            taken.is_none(),
            "name",
            taken.map_or("", |inner| &inner.name),
            "a name that no other layer has, inside of branches or outside",
        )?;
        self.push(name, Layer::Residual(branch.sequence))
    }

    /// Any other differentiable function of x. Gradients go through it, and are compared with the
    /// model's differences first (see [`Target`](crate::Target)); LRP, DeepLIFT and guided
    /// backpropagation do not, and their errors have this name.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn other(
        self,
        name: &str,
        function: impl Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Self> {
        self.push(name, Layer::Other { function: Arc::new(function), may_have_relus: true })
    }

    /// [`other`](Self::other) of a function that has no ReLU inside: guided backpropagation passes
    /// its plain gradient.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn other_without_relu(
        self,
        name: &str,
        function: impl Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Self> {
        self.push(name, Layer::Other { function: Arc::new(function), may_have_relus: false })
    }
}

/// K and C of the masks' weight [K·C, C, n, n].
fn gate_dims(weight: &Tensor) -> Result<(usize, usize)> {
    match *weight.dims() {
        [rows, c, n, m] if c > 0 && rows % c == 0 && n == m && n % 2 == 1 => Ok((rows / c, c)),
        _ => {
            let expected = "[K·C, C, n, n] with n odd";
            Err(Error::shape("the masks' weight", weight.dims(), expected))
        }
    }
}

fn check_rank(
    what: &'static str,
    weight: &Tensor,
    rank: usize,
    expected: &'static str,
) -> Result<()> {
    match weight.rank() == rank {
        true => Ok(()),
        false => Err(Error::shape(what, weight.dims(), expected)),
    }
}

/// The weight and bias of a convolution or linear layer with the norm behind it.
fn merge(weight: &mut Tensor, bias: &mut Tensor, norm: &BatchNorm) -> Result<()> {
    for t in [&norm.weight, &norm.bias, &norm.mean, &norm.variance] {
        check_like("the batch norm", t, weight)?;
        if t.dims() != bias.dims() {
            let expected = format!("{:?}, as of the layer before,", bias.dims());
            return Err(Error::shape("the batch norm", t.dims(), expected));
        }
    }
    let scale = (norm.weight.detach() / (norm.variance.detach() + norm.epsilon)?.sqrt()?)?;
    let mut rows = vec![1; weight.rank()];
    rows[0] = scale.elem_count();
    *bias = ((&*bias - norm.mean.detach())? * &scale)?.broadcast_add(&norm.bias.detach())?;
    *weight = weight.broadcast_mul(&scale.reshape(rows)?)?;
    Ok(())
}

fn bias_or_zero(weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    check_float("the weight", weight)?;
    if let Some(bias) = bias {
        check_like("the bias", bias, weight)?;
    }
    let outputs = weight.dims()[0];
    match bias {
        None => Ok(Tensor::zeros(outputs, weight.dtype(), weight.device())?),
        Some(bias) if bias.dims() == [outputs] => Ok(bias.detach()),
        Some(bias) => Err(Error::shape("the bias", bias.dims(), format!("[{outputs}]"))),
    }
}
