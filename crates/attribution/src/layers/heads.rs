//! The paper's heads as layers.

use candle_core::Tensor;
use foresee_graph::Op;
use foresee_kernels::Rows;

use super::shapes::Size;
use super::{Layers, check_weights, with_bias};
use crate::error::{Error, Result};

impl Layers {
    /// Eq. 9's masks: z [B, C, H, W] → M^k ⊗ z for every attribute k, [B, K, C, H, W], with M^k =
    /// sigmoid(conv_k(z)); weight [K·C, C, n, n] with n odd, row k·C + c, and bias `[K·C]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, or the name is taken.
    pub fn gate(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        let (k, c) = match *weight.dims() {
            [rows, c, n, m] if c > 0 && rows % c == 0 && n == m && n % 2 == 1 => (rows / c, c),
            _ => {
                let expected = "[K·C, C, n, n] with n odd";
                return Err(named(Error::shape("the masks' weight", weight.dims(), expected)));
            }
        };
        check_weights(weight, "the masks' weight", 4, "", Some(bias)).map_err(named)?;
        self.flow.images(name, Some(c), weight.dims())?;
        let mut gives = vec![Size::Is(k)];
        gives.extend(Size::image(Some(c)));
        let op = Op::AttentionMasks(Rows::all(k, c));
        self.push(name, op, &with_bias(weight, Some(bias)), &Size::image(Some(c)), gives)
    }

    /// One logit per attribute: [B, K, C] → w_k·p_k + b_k, [B, K]; weight [K, C], bias `[K]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, or the name is taken.
    pub fn readout(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        check_weights(weight, "the readout's weight", 2, "[K, C]", Some(bias))
            .map_err(|error| error.in_layer(name))?;
        let (k, c) = weight.dims2()?;
        self.flow.attributes(name, [k, c])?;
        let needs = [Size::Is(k), Size::Is(c)];
        self.push(name, Op::Readout, &with_bias(weight, Some(bias)), &needs, vec![Size::Is(k)])
    }
}
