//! Every method of [`Method`] in the same form: a map of pixels.

mod explained;
mod of_model;

use std::collections::HashMap;

use candle_core::Tensor;

use crate::error::Result;
use crate::graph::GraphModel;
use crate::layers::Layers;
use crate::methods::{LimeResult, Method};

/// The settings of all methods.
#[derive(Debug, Clone)]
pub struct Explainer {
    /// Noisy copies of SmoothGrad and gradient SHAP, points on the path of integrated gradients,
    /// and points of expected gradients; from 1.
    pub steps: usize,
    /// LIME's segments are the cells of a grid with so many rows and columns, at most one cell a
    /// pixel; from 1. So are those of the other methods of segments. RISE's masks are enlarged from
    /// such a grid, and occlusion covers squares of a cell's size in steps of half of it.
    pub grid: usize,
    /// Perturbed samples of LIME for each image, from 2; also masks of RISE, coalitions of Kernel
    /// SHAP (at least four for each segment, fewer decide nothing), and for Shapley sampling the
    /// evaluations from which the number of permutations follows (at least two).
    pub lime_samples: usize,
    /// Decides all random numbers.
    pub seed: u64,
    /// The maps of [`Method::PermutationRegions`] for attributes by their numbers, [1, H, W]
    /// ([`RegionImportance::maps`](crate::RegionImportance::maps)).
    pub region_maps: HashMap<usize, Tensor>,
    /// Images [R, C, H, W] that [`Method::GradientShap`] and [`Method::ExpectedGradients`] start
    /// from; the other methods do without.
    pub references: Option<Tensor>,
}

/// A method's maps of a batch.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// [B, H, W].
    pub maps: Tensor,
    /// R² of LIME's linear model around each image; NaN for all other methods.
    pub local_r2: Vec<f64>,
    /// [`IntegratedGradientsResult::gap`](crate::IntegratedGradientsResult::gap) of each image; NaN
    /// for all other methods.
    pub completeness_gap: Vec<f64>,
}

impl Explainer {
    /// Maps [B, H, W] of images x [B, C, H, W] for output `attribute` of the model. The CAM family
    /// looks at the layer [`FEATURES`](crate::FEATURES); its maps have that layer's size. `images`
    /// are the numbers of the images in their data set: they decide the random numbers of
    /// [`Method::Chance`], of the two kinds of gradients from references, of Kernel SHAP and of
    /// Shapley sampling. Those of SmoothGrad, LIME and RISE are decided by the place in the batch.
    ///
    /// # Errors
    /// If the model or the settings do not allow the method, or x does not fit the model.
    pub fn maps(
        &self,
        method: Method,
        layers: &Layers,
        x: &Tensor,
        images: &[usize],
        attribute: usize,
    ) -> Result<Tensor> {
        self.maps_of(method, layers, x, images, attribute)
    }

    /// [`maps`](Self::maps) of a graph. The CAM family looks at
    /// [`GraphModel::last_spatial`]; its maps have that value's size.
    ///
    /// # Errors
    /// As for [`maps`](Self::maps). CAM needs global average pooling and one linear layer at the
    /// end, the masks the paper's heads, guided backpropagation a ReLU or its like.
    pub fn maps_of_graph(
        &self,
        method: Method,
        model: &GraphModel,
        x: &Tensor,
        images: &[usize],
        output: usize,
    ) -> Result<Tensor> {
        self.maps_of(method, model, x, images, output)
    }

    /// [`maps`](Self::maps), with the fit of LIME's models and the gap of integrated gradients.
    ///
    /// # Errors
    /// As for [`maps`](Self::maps).
    pub fn explain(
        &self,
        method: Method,
        layers: &Layers,
        x: &Tensor,
        images: &[usize],
        attribute: usize,
    ) -> Result<Explanation> {
        self.explain_model(method, layers, x, images, attribute)
    }

    /// [`explain`](Self::explain) of a graph.
    ///
    /// # Errors
    /// As for [`maps_of_graph`](Self::maps_of_graph).
    pub fn explain_graph(
        &self,
        method: Method,
        model: &GraphModel,
        x: &Tensor,
        images: &[usize],
        output: usize,
    ) -> Result<Explanation> {
        self.explain_model(method, model, x, images, output)
    }

    /// LIME of images x [B, C, H, W] for output `attribute`, with segments that become 0.
    ///
    /// # Errors
    /// As for [`lime`](crate::lime()).
    pub fn lime(&self, layers: &Layers, x: &Tensor, attribute: usize) -> Result<LimeResult> {
        self.lime_of(layers, x, attribute)
    }
}
