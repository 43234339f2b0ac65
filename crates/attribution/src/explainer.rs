//! Every [method](crate::Method) in the same form: a map of pixels.

mod maps;

use std::collections::HashMap;

use candle_core::Tensor;

use crate::methods::Composite;

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
    /// The maps of [permutation regions](crate::Method::PermutationRegions) for attributes by their
    /// numbers, [1, H, W] ([`RegionImportance::maps`](crate::RegionImportance::maps)).
    pub region_maps: HashMap<usize, Tensor>,
    /// Images [R, C, H, W] that [gradient SHAP](crate::Method::GradientShap) and [expected
    /// gradients](crate::Method::ExpectedGradients) start from; the other methods do without.
    pub references: Option<Tensor>,
    /// The node or value that the [CAM family](crate::Method::is_cam) looks at; the [last with
    /// spatial extent](crate::GraphModel::last_spatial) if none is named.
    pub cam_node: Option<String>,
    /// The node or value that is the network's own [attention map](crate::Method::Attention);
    /// [`ATTENTION`](crate::ATTENTION) if none is named.
    pub attention_node: Option<String>,
    /// The rules of [LRP](crate::Method::Lrp); `None`: [`Composite::epsilon_plus`] with biases that
    /// take no relevance.
    pub composite: Option<Composite>,
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
