//! What the explainer asks of a model.

use candle_core::Tensor;
use foresee_graph::ValueId;

use crate::activations::Activations;
use crate::error::Result;
use crate::graph::{GraphModel, SplitGraph};
use crate::layers::{Layers, SplitLayers};
use crate::maps::Interpolation;
use crate::methods::{
    Composite, DeepLift, DeepLiftResult, MaskWeights, Relevance, deep_lift, guided_backprop,
    guided_grad_cam, lrp,
};
use crate::network::FEATURES;
use crate::target::Target;

/// A model whose inside is known.
pub(super) trait Explained {
    /// The model cut where the CAM family looks.
    type Split<'a>: Activations
    where
        Self: 'a;

    /// Where the CAM family looks.
    type Place;

    fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone>;

    /// Where the CAM family looks, for images x.
    fn place(&self, x: &Tensor) -> Result<Self::Place>;

    fn split(&self, place: &Self::Place) -> Result<Self::Split<'_>>;

    fn cam(&self, place: &Self::Place, x: &Tensor, target: usize) -> Result<Tensor>;

    fn guided_backprop(&self, x: &Tensor, target: usize) -> Result<Tensor>;

    fn lrp(&self, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance>;

    fn deep_lift(&self, x: &Tensor, target: usize) -> Result<DeepLiftResult>;

    fn mask_map(&self, x: &Tensor, target: usize, weights: MaskWeights) -> Result<Tensor>;

    fn guided_grad_cam(&self, x: &Tensor, target: usize) -> Result<Tensor>;
}

impl Explained for Layers {
    type Split<'a> = SplitLayers<'a>;
    type Place = ();

    fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone> {
        self.target(index)
    }

    fn place(&self, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn split(&self, (): &()) -> Result<SplitLayers<'_>> {
        self.split_at(FEATURES)
    }

    fn cam(&self, (): &(), x: &Tensor, target: usize) -> Result<Tensor> {
        self.cam(FEATURES, x, target)
    }

    fn guided_backprop(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        guided_backprop(self, x, target)
    }

    fn guided_grad_cam(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        guided_grad_cam(self, FEATURES, x, target, Interpolation::default())
    }

    fn lrp(&self, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
        lrp(self, x, target, composite)
    }

    fn deep_lift(&self, x: &Tensor, target: usize) -> Result<DeepLiftResult> {
        deep_lift(self, x, target, None, &DeepLift::default())
    }

    fn mask_map(&self, x: &Tensor, target: usize, weights: MaskWeights) -> Result<Tensor> {
        self.mask_map(x, target, weights)
    }
}

impl Explained for GraphModel {
    type Split<'a> = SplitGraph<'a>;
    type Place = ValueId;

    fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone> {
        self.target(index)
    }

    fn place(&self, x: &Tensor) -> Result<ValueId> {
        self.last_spatial(x)
    }

    fn split(&self, place: &ValueId) -> Result<SplitGraph<'_>> {
        self.split_at_value(*place)
    }

    fn cam(&self, place: &ValueId, x: &Tensor, target: usize) -> Result<Tensor> {
        self.cam_at(*place, x, target)
    }

    fn guided_backprop(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        self.guided_backprop(x, target)
    }

    fn guided_grad_cam(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        let name = &self.graph().value(self.place(x)?).name;
        self.guided_grad_cam(name, x, target, Interpolation::default())
    }

    fn lrp(&self, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
        self.lrp(x, target, composite)
    }

    fn deep_lift(&self, x: &Tensor, target: usize) -> Result<DeepLiftResult> {
        self.deep_lift(x, target, None, &DeepLift::default())
    }

    fn mask_map(&self, x: &Tensor, target: usize, weights: MaskWeights) -> Result<Tensor> {
        self.mask_map(x, target, weights)
    }
}
