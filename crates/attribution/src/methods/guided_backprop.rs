//! Guided backpropagation (Springenberg et al., 2015).

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::layers::{Layer, Layers, ReluGradient, find_by};

/// Guided backpropagation (Springenberg et al., 2015): the gradient, of which each ReLU lets only
/// the positive part through on the way back, so that only paths count along which every unit
/// speaks for the output. At a leaky ReLU the gradient is multiplied by its slope first. Of x's
/// shape.
///
/// The method must see the ReLUs, hence [`Layers`]; masks ([`Layers::gate`]) pass the plain
/// gradient.
///
/// # Errors
/// If the model has no layer [`Layers::leaky_relu`], or one put in by [`Layers::other`], whose
/// ReLUs would stay unseen; if the input does not fit a layer, or there is no such output.
pub fn guided_backprop(layers: &Layers, x: &Tensor, target: usize) -> Result<Tensor> {
    let is_relu = |layer: &Layer| matches!(layer, Layer::LeakyRelu { .. });
    check(
        find_by(&layers.sequence, &|named| is_relu(&named.layer)).is_some(),
        "layers",
        format!("{:?}", layers.names()),
        "with at least one ReLU, put in by `leaky_relu`",
    )?;
    let may_hide = |layer: &Layer| matches!(layer, Layer::Other { may_have_relus: true, .. });
    if let Some(named) = find_by(&layers.sequence, &|named| may_hide(&named.layer)) {
        return Err(Error::Layer {
            method: "guided backpropagation",
            layer: named.name.clone(),
            reason: "it would not see ReLUs in there: build it of layers, or, if it has none, put \
                     it in by `other_without_relu`"
                .into(),
        });
    }
    layers.check_others(x, target)?;
    layers.backward(x, target, ReluGradient::Guided)
}
