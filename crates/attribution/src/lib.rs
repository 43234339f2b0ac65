#![doc = include_str!("../README.md")]

mod activations;
mod baseline;
mod cascade;
mod error;
mod explainer;
mod gradient_check;
mod graph;
mod layers;
mod maps;
mod methods;
mod metrics;
mod network;
mod noise;
mod parts;
mod precision;
mod segments;
mod superpixels;
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
pub use graph::{ATTENTION, GraphModel, SplitGraph};
pub use layers::{BatchNorm, Conv2d, LayerKind, Layers, Weights};
pub use maps::{Interpolation, Reduce, per_pixel, resize};
pub use methods::{
    AttributeSurrogate, Bias, Composite, ConceptVector, Distance, Fidelity, GradCam, Importance,
    IntegratedGradients, IntegratedGradientsResult, LayerSum, Lime, LimeResult, MIN_SURROGATE_ROWS,
    MaskWeights, Method, NoiseLevel, PartialDependence, Permutation, Quadrature, Reading,
    RegionImportance, Relevance, Rule, SmoothGrad, Statistic, Surrogate, SurrogateInputs,
    SurrogateKind, SurrogateModel, SurrogateOptions, Tcav, TcavResult, TcavRun, TcavScore,
    TcavTest, Tree, attribute_importances, attribute_surrogates, cam, chance, eigen_cam,
    global_surrogate, grad_cam, grad_cam_plus_plus, hires_cam, input_x_gradient,
    integrated_gradients, label_importances, layer_cam, lime, lime_with_perturbations, log_losses,
    mask_map, most_important, partial_dependence, permutation_importance, permutation_importances,
    quantile_grid, region_importances, region_parts, score_cam, sensitivity, smooth_grad,
    smooth_grad_with_noise, tcav, tcav_with_vectors, xgrad_cam,
};
// By perturbation, by references, and by differences from a baseline.
pub use methods::{
    Coalition, DeepLift, DeepLiftResult, DeepLiftRule, ExpectedGradients, GradientShap,
    GradientShapDraw, KernelShap, KernelShapResult, Occlusion, Rise, ShapleySampling,
    ShapleySamplingResult, expected_gradients, expected_gradients_with_draws, feature_ablation,
    gradient_shap, gradient_shap_with_draws, kernel_shap, kernel_shap_with_coalitions, occlusion,
    rise, rise_with_masks, shapley_sampling, shapley_sampling_with_permutations,
};
pub use metrics::{
    CascadeStep, Curve, Infidelity, Localisation, LogitSimilarity, MaxSensitivity, MethodChecks,
    Occlusions, Pointing, Road, RoadCurves, Scaling, ScoredImages, Scores, SensitivityN,
    check_method, complexity, deletion, infidelity, infidelity_from_changes,
    infidelity_with_perturbations, insertion, irof, linear_imputation, localisation,
    max_sensitivity, max_sensitivity_with_perturbations, pointing_game, random_logit,
    random_logit_with_others, randomisation_check, rank_correlation, road, road_with_noise, score,
    selectivity, sensitivity_n, sensitivity_n_with_subsets, sparseness, structural_similarity,
};
pub use network::{FEATURES, network_model};
pub use parts::{Part, PartKind};
pub use segments::grid_segments;
pub use superpixels::{Slic, slic};
pub use tap::{Tap, TappedModel};
pub use target::Target;
