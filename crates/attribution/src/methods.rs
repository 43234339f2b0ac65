//! The attribution methods, one file each, and the lists of them: all, and those that the study
//! compares.

mod attribute_importance;
mod attribute_surrogates;
mod cam;
mod chance;
mod deep_lift;
mod eigen_cam;
mod expected_gradients;
mod feature_ablation;
mod grad_cam;
mod grad_cam_plus_plus;
mod gradient_shap;
mod hires_cam;
mod input_x_gradient;
mod integrated_gradients;
mod kernel_shap;
mod label_importance;
mod layer_cam;
mod lime;
mod lrp;
mod masks;
mod occlusion;
mod partial_dependence;
mod permutation_importance;
mod region_importance;
mod rise;
mod score_cam;
mod sensitivity;
mod shapley_sampling;
mod smooth_grad;
mod surrogate;
mod tcav;
mod xgrad_cam;

pub use attribute_importance::{attribute_importances, log_losses};
pub use attribute_surrogates::{AttributeSurrogate, SurrogateInputs, attribute_surrogates};
pub use cam::cam;
pub use chance::chance;
pub use deep_lift::{DeepLift, DeepLiftResult, DeepLiftRule};
pub use eigen_cam::eigen_cam;
pub use expected_gradients::{
    ExpectedGradients, expected_gradients, expected_gradients_with_draws,
};
pub use feature_ablation::feature_ablation;
pub use grad_cam::{GradCam, grad_cam};
pub use grad_cam_plus_plus::grad_cam_plus_plus;
pub use gradient_shap::{GradientShap, GradientShapDraw, gradient_shap, gradient_shap_with_draws};
pub use hires_cam::hires_cam;
pub use input_x_gradient::input_x_gradient;
pub use integrated_gradients::{
    IntegratedGradients, IntegratedGradientsResult, Quadrature, integrated_gradients,
};
pub use kernel_shap::{
    Coalition, KernelShap, KernelShapResult, kernel_shap, kernel_shap_with_coalitions,
};
pub use label_importance::label_importances;
pub use layer_cam::layer_cam;
pub use lime::{Distance, Lime, LimeResult, lime, lime_with_perturbations};
pub use lrp::{Bias, Composite, LayerSum, Relevance, Rule};
pub use masks::{MaskWeights, mask_map};
pub use occlusion::{Occlusion, occlusion};
pub use partial_dependence::{PartialDependence, partial_dependence, quantile_grid};
pub use permutation_importance::{
    Importance, Permutation, most_important, permutation_importance, permutation_importances,
};
pub use region_importance::{RegionImportance, region_importances, region_parts};
pub use rise::{Rise, rise, rise_with_masks};
pub use score_cam::score_cam;
pub use sensitivity::sensitivity;
pub use shapley_sampling::{
    ShapleySampling, ShapleySamplingResult, shapley_sampling, shapley_sampling_with_permutations,
};
pub(crate) use smooth_grad::deviations;
pub use smooth_grad::{NoiseLevel, SmoothGrad, Statistic, smooth_grad, smooth_grad_with_noise};
pub use surrogate::{
    Fidelity, MIN_SURROGATE_ROWS, Surrogate, SurrogateKind, SurrogateModel, SurrogateOptions, Tree,
    global_surrogate,
};
pub use tcav::{
    ConceptVector, Tcav, TcavResult, TcavRun, TcavScore, TcavTest, tcav, tcav_with_vectors,
};
pub use xgrad_cam::xgrad_cam;

/// A way to say which pixels an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Method {
    /// Eq. 1: the norm of the gradient at each pixel.
    Sensitivity,
    /// Input times gradient.
    InputXGradient,
    /// The norm of the gradient's mean over noisy copies (Smilkov et al., 2017).
    SmoothGrad,
    /// Integrated gradients from grey (Sundararajan et al., 2017).
    IntegratedGradients,
    /// Guided backpropagation (Springenberg et al., 2015).
    GuidedBackprop,
    /// Grad-CAM (Selvaraju et al., 2017).
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al., 2018).
    GradCamPlusPlus,
    /// Guided backpropagation times Grad-CAM.
    GuidedGradCam,
    /// CAM (Zhou et al., 2016), for networks without masks only.
    Cam,
    /// Eq. 2: layer-wise relevance propagation, z⁺ for convolutions and ε for the readout.
    Lrp,
    /// LIME (Ribeiro et al., 2016): a linear model of the cells of a grid that are kept or made
    /// grey.
    Lime,
    /// Permutation importance of the cells of a grid, over many faces: the same map for every face.
    PermutationRegions,
    /// The paper's masks: Σ_c w_c·M_c·z_c, what each pixel adds to the logit.
    Masks,
    /// The mean of the paper's masks.
    MeanMask,
    /// The control: random numbers, others for each face and attribute.
    Chance,
    /// Occlusion (Zeiler & Fergus, 2014) by squares that overlap by half.
    Occlusion,
    /// What making each cell of a grid grey takes from the output.
    FeatureAblation,
    /// Gradient SHAP (Lundberg & Lee, 2017) of noisy copies, from faces.
    GradientShap,
    /// Expected gradients (Erion et al., 2021) from faces.
    ExpectedGradients,
    /// Kernel SHAP (Lundberg & Lee, 2017) of the cells of a grid.
    KernelShap,
    /// Shapley values of the cells of a grid by permutations (Castro et al., 2009).
    ShapleySampling,
    /// RISE (Petsiuk et al., 2018).
    Rise,
    /// DeepLIFT (Shrikumar et al., 2017) by the rescale rule, from grey.
    DeepLift,
    /// LayerCAM (Jiang et al., 2021).
    LayerCam,
    /// HiResCAM (Draelos & Carin, 2020).
    HiresCam,
    /// XGrad-CAM (Fu et al., 2020).
    XgradCam,
    /// Score-CAM (Wang et al., 2020): one evaluation of the network for each channel.
    ScoreCam,
    /// Eigen-CAM (Muhammad & Yeasin, 2020): the same map for every attribute.
    EigenCam,
    /// The network's own attention map, such as an Attention Branch Network's (Fukui et al., 2019).
    /// Maps for each attribute can fall below 0, where they count as 0.
    Attention,
}

/// How the values of a method's map are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Above 0 for the attribute, below 0 against it.
    Signed,
    /// From 0: how much a pixel counts, not for what.
    Unsigned,
    /// One map for all images; how much a pixel counts, and below 0 nothing but chance.
    Global,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 29] = [
        Self::Sensitivity,
        Self::InputXGradient,
        Self::SmoothGrad,
        Self::IntegratedGradients,
        Self::GuidedBackprop,
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::GuidedGradCam,
        Self::Cam,
        Self::Lrp,
        Self::Lime,
        Self::PermutationRegions,
        Self::Masks,
        Self::MeanMask,
        Self::Chance,
        Self::Occlusion,
        Self::FeatureAblation,
        Self::GradientShap,
        Self::ExpectedGradients,
        Self::KernelShap,
        Self::ShapleySampling,
        Self::Rise,
        Self::DeepLift,
        Self::LayerCam,
        Self::HiresCam,
        Self::XgradCam,
        Self::ScoreCam,
        Self::EigenCam,
        Self::Attention,
    ];

    /// The methods that the study compares, in the order of tables and figures.
    pub const STUDY: &[Self] = &[
        Self::Sensitivity,
        Self::InputXGradient,
        Self::SmoothGrad,
        Self::IntegratedGradients,
        Self::GuidedBackprop,
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::GuidedGradCam,
        Self::Cam,
        Self::Lrp,
        Self::Lime,
        Self::PermutationRegions,
        Self::Masks,
        Self::MeanMask,
        Self::Chance,
    ];

    /// As in files and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::InputXGradient => "input-x-gradient",
            Self::SmoothGrad => "smooth-grad",
            Self::IntegratedGradients => "integrated-gradients",
            Self::GuidedBackprop => "guided-backprop",
            Self::GradCam => "grad-cam",
            Self::GradCamPlusPlus => "grad-cam-plus-plus",
            Self::GuidedGradCam => "guided-grad-cam",
            Self::Cam => "cam",
            Self::Lrp => "lrp",
            Self::Lime => "lime",
            Self::PermutationRegions => "permutation-regions",
            Self::Masks => "masks",
            Self::MeanMask => "mean-mask",
            Self::Chance => "chance",
            Self::Occlusion => "occlusion",
            Self::FeatureAblation => "feature-ablation",
            Self::GradientShap => "gradient-shap",
            Self::ExpectedGradients => "expected-gradients",
            Self::KernelShap => "kernel-shap",
            Self::ShapleySampling => "shapley-sampling",
            Self::Rise => "rise",
            Self::DeepLift => "deep-lift",
            Self::LayerCam => "layer-cam",
            Self::HiresCam => "hires-cam",
            Self::XgradCam => "xgrad-cam",
            Self::ScoreCam => "score-cam",
            Self::EigenCam => "eigen-cam",
            Self::Attention => "attention",
        }
    }

    /// The method of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.id() == id)
    }

    /// The name as papers write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::InputXGradient => "input × gradient",
            Self::SmoothGrad => "SmoothGrad",
            Self::IntegratedGradients => "integrated gradients",
            Self::GuidedBackprop => "guided backprop.",
            Self::GradCam => "Grad-CAM",
            Self::GradCamPlusPlus => "Grad-CAM++",
            Self::GuidedGradCam => "guided Grad-CAM",
            Self::Cam => "CAM",
            Self::Lrp => "LRP",
            Self::Lime => "LIME",
            Self::PermutationRegions => "permuted regions",
            Self::Masks => "masks",
            Self::MeanMask => "mean mask",
            Self::Chance => "chance",
            Self::Occlusion => "occlusion",
            Self::FeatureAblation => "feature ablation",
            Self::GradientShap => "gradient SHAP",
            Self::ExpectedGradients => "expected gradients",
            Self::KernelShap => "Kernel SHAP",
            Self::ShapleySampling => "Shapley sampling",
            Self::Rise => "RISE",
            Self::DeepLift => "DeepLIFT",
            Self::LayerCam => "LayerCAM",
            Self::HiresCam => "HiResCAM",
            Self::XgradCam => "XGrad-CAM",
            Self::ScoreCam => "Score-CAM",
            Self::EigenCam => "Eigen-CAM",
            Self::Attention => "attention map",
        }
    }

    /// Whether it runs the network many times for one map: tens to thousands of passes.
    pub fn runs_many_passes(self) -> bool {
        matches!(
            self,
            Self::SmoothGrad
                | Self::IntegratedGradients
                | Self::Lime
                | Self::PermutationRegions
                | Self::Occlusion
                | Self::FeatureAblation
                | Self::GradientShap
                | Self::ExpectedGradients
                | Self::KernelShap
                | Self::ShapleySampling
                | Self::Rise
                | Self::ScoreCam
        )
    }

    /// How its map is to be read.
    pub fn reading(self) -> Reading {
        match self {
            Self::Sensitivity
            | Self::SmoothGrad
            | Self::GradCam
            | Self::GradCamPlusPlus
            | Self::MeanMask
            | Self::Chance
            | Self::LayerCam
            | Self::HiresCam
            | Self::XgradCam
            | Self::ScoreCam
            | Self::EigenCam
            | Self::Attention => Reading::Unsigned,
            Self::PermutationRegions => Reading::Global,
            Self::InputXGradient
            | Self::IntegratedGradients
            | Self::GuidedBackprop
            | Self::GuidedGradCam
            | Self::Cam
            | Self::Lrp
            | Self::Lime
            | Self::Masks => Reading::Signed,
            Self::Occlusion
            | Self::FeatureAblation
            | Self::GradientShap
            | Self::ExpectedGradients
            | Self::KernelShap
            | Self::ShapleySampling
            | Self::Rise
            | Self::DeepLift => Reading::Signed,
        }
    }

    /// Whether it explains one image; [`PermutationRegions`](Self::PermutationRegions) explains the
    /// model over all images.
    pub fn is_local(self) -> bool {
        self != Self::PermutationRegions
    }

    /// Whether its maps need [`Explainer::references`](field@crate::Explainer::references).
    pub fn needs_references(self) -> bool {
        matches!(self, Self::GradientShap | Self::ExpectedGradients)
    }

    /// Whether it weights the channels of a value in the network, which
    /// [`Explainer::cam_node`](field@crate::Explainer::cam_node) can name: the CAM family.
    pub fn is_cam(self) -> bool {
        matches!(
            self,
            Self::Cam
                | Self::GradCam
                | Self::GradCamPlusPlus
                | Self::GuidedGradCam
                | Self::LayerCam
                | Self::HiresCam
                | Self::XgradCam
                | Self::ScoreCam
                | Self::EigenCam
        )
    }

    /// All methods for the paper's network with or without `masks`, and with or without permutation
    /// importance of `regions`.
    pub fn available(masks: bool, regions: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|method| method.is_available(masks, regions)).collect()
    }

    /// Those of [`available`](Self::available) that the study compares.
    pub fn studied(masks: bool, regions: bool) -> Vec<Self> {
        Self::STUDY.iter().copied().filter(|method| method.is_available(masks, regions)).collect()
    }

    fn is_available(self, masks: bool, regions: bool) -> bool {
        match self {
            Self::Masks | Self::MeanMask => masks,
            Self::Cam => !masks,
            Self::PermutationRegions => regions,
            // The paper's network has none but its masks.
            Self::Attention => false,
            Self::Sensitivity
            | Self::InputXGradient
            | Self::SmoothGrad
            | Self::IntegratedGradients
            | Self::GuidedBackprop
            | Self::GradCam
            | Self::GradCamPlusPlus
            | Self::GuidedGradCam
            | Self::Lrp
            | Self::Lime
            | Self::Chance
            | Self::Occlusion
            | Self::FeatureAblation
            | Self::GradientShap
            | Self::ExpectedGradients
            | Self::KernelShap
            | Self::ShapleySampling
            | Self::Rise
            | Self::DeepLift
            | Self::LayerCam
            | Self::HiresCam
            | Self::XgradCam
            | Self::ScoreCam
            | Self::EigenCam => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_their_methods() {
        for method in Method::ALL {
            assert_eq!(Method::from_id(method.id()), Some(method));
        }
        assert_eq!(Method::from_id("region"), None);
    }

    #[test]
    fn a_network_has_masks_or_cam() {
        let with_masks = Method::studied(true, false);
        assert!(with_masks.contains(&Method::Masks) && !with_masks.contains(&Method::Cam));
        assert!(!with_masks.contains(&Method::PermutationRegions));
        let without = Method::studied(false, true);
        assert!(without.contains(&Method::Cam) && !without.contains(&Method::MeanMask));
        assert_eq!((with_masks.len(), without.len()), (13, 13));
    }

    #[test]
    fn the_study_comes_first() {
        assert_eq!(Method::STUDY.last(), Some(&Method::Chance));
        let asked = Method::available(true, false);
        assert_eq!(asked[..13], Method::studied(true, false));
        assert!(asked.contains(&Method::Occlusion) && !asked.contains(&Method::Cam));
    }

    #[cfg(feature = "clap")]
    #[test]
    fn the_command_lines_names_are_the_ids() {
        use clap::ValueEnum;
        assert_eq!(Method::value_variants(), Method::ALL);
        for method in Method::ALL {
            let value = method.to_possible_value().expect("no variant is skipped");
            assert_eq!(value.get_name(), method.id());
        }
    }
}
