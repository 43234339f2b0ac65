#![doc = include_str!("../README.md")]

mod backward;
mod blur;
mod cam;
mod deletion;
mod dependence;
mod error;
mod fidelity;
mod integrated;
mod layers;
mod lime;
mod lrp;
mod masks;
mod network;
mod parts;
mod permutation;
mod pointing;
mod randomisation;
mod regression;
mod sensitivity;
mod smooth_grad;
mod surrogate;
mod target;
mod tree;

pub use backward::{At, guided_backprop};
pub use blur::blur;
pub use cam::{
    Activations, GradCam, Interpolation, Split, cam, grad_cam, grad_cam_plus_plus, guided_grad_cam,
    resize,
};
pub use deletion::{Curve, deletion, insertion};
pub use dependence::{Dependence, partial_dependence, quantile_grid};
pub use error::{Error, Result};
pub use fidelity::{
    Infidelity, MaxSensitivity, Scaling, infidelity, infidelity_of_changes, infidelity_under,
    max_sensitivity, max_sensitivity_under,
};
pub use integrated::{Integrated, IntegratedGradients, Quadrature, integrated_gradients};
pub use layers::{BatchNorm, Conv2d, Layers};
pub use lime::{Distance, Lime, LimeResult, lime, lime_under};
pub use lrp::{Bias, Composite, LayerSum, Relevance, Rule, lrp};
pub use masks::{MaskWeights, mask_map};
pub use network::{attention_network, pooling_network};
pub use parts::{Part, grid_segments};
pub use permutation::{Importance, Permutation, permutation_importance, permutation_importances};
pub use pointing::{Pointing, pointing_game};
pub use randomisation::{Stage, randomisation_check, rank_correlation};
pub use regression::{Fit, Penalty};
pub use sensitivity::{Reduce, input_x_gradient, per_pixel, sensitivity};
pub use smooth_grad::{Deviation, SmoothGrad, Statistic, smooth_grad, smooth_grad_under};
pub use surrogate::{
    Fidelity, Surrogate, SurrogateKind, SurrogateModel, SurrogateOptions, global_surrogate,
};
pub use target::Target;
pub use tree::Tree;
