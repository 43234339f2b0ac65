#![doc = include_str!("../README.md")]

mod activations;
mod baseline;
mod cascade;
mod error;
mod explainer;
mod gradient_check;
mod layers;
mod maps;
mod methods;
mod metrics;
mod network;
mod noise;
mod parts;
mod tap;
mod target;
mod tensors;

pub use activations::{Activations, SplitModel};
pub use baseline::blur;
pub use cascade::randomised_cascade;
pub use error::{Error, Result};
pub use explainer::{Explainer, Explanation};
pub use foresee_stats::{Fit, Penalty};
pub use gradient_check::ModelChecks;
pub use layers::{BatchNorm, Conv2d, LayerKind, Layers, SplitLayers, Weights};
pub use maps::{Interpolation, Reduce, per_pixel, resize};
pub use methods::{
    AttributeSurrogate, Bias, Composite, Distance, Fidelity, GradCam, Importance,
    IntegratedGradients, IntegratedGradientsResult, LayerSum, Lime, LimeResult, MIN_SURROGATE_ROWS,
    MaskWeights, Method, NoiseLevel, PartialDependence, Permutation, Quadrature, Reading,
    RegionImportance, Relevance, Rule, SmoothGrad, Statistic, Surrogate, SurrogateInputs,
    SurrogateKind, SurrogateModel, SurrogateOptions, Tree, attribute_importances,
    attribute_surrogates, cam, chance, global_surrogate, grad_cam, grad_cam_plus_plus,
    guided_backprop, guided_grad_cam, input_x_gradient, integrated_gradients, label_importances,
    lime, lime_with_perturbations, log_losses, lrp, mask_map, most_important, partial_dependence,
    permutation_importance, permutation_importances, quantile_grid, region_importances,
    sensitivity, smooth_grad, smooth_grad_with_noise,
};
pub use metrics::{
    CascadeStep, Curve, Infidelity, MaxSensitivity, MethodChecks, Occlusions, Pointing, Scaling,
    Scores, check_method, deletion, infidelity, infidelity_from_changes,
    infidelity_with_perturbations, insertion, max_sensitivity, max_sensitivity_with_perturbations,
    pointing_game, randomisation_check, rank_correlation, score,
};
pub use network::{FEATURES, attention_network, network_layers, pooling_network};
pub use parts::{Part, PartKind, grid_segments};
pub use tap::{Tap, TappedModel};
pub use target::Target;
