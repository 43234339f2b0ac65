//! The attribution methods for ONNX networks, as options name them.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use foresee_attribution::Method;

/// A method that any network may allow: the paper's masks, and maps of faces alone, are left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ModelMethod(pub Method);

/// What each does, for `--help`. The mean colour is that of --mean.
const METHODS: [(Method, &str); 26] = [
    (Method::Sensitivity, "The norm of the gradient at each pixel"),
    (Method::InputXGradient, "Input times gradient"),
    (
        Method::SmoothGrad,
        "The norm of the gradient's mean over noisy copies (Smilkov et al., 2017)",
    ),
    (
        Method::IntegratedGradients,
        "Integrated gradients from the mean colour (Sundararajan et al., 2017)",
    ),
    (Method::GradientShap, "Gradient SHAP from other images (Lundberg & Lee, 2017)"),
    (Method::ExpectedGradients, "Expected gradients from other images (Erion et al., 2021)"),
    (Method::GuidedBackprop, "Guided backpropagation (Springenberg et al., 2015)"),
    (Method::DeepLift, "DeepLIFT's rescale rule, from the mean colour (Shrikumar et al., 2017)"),
    (Method::Lrp, "Layer-wise relevance propagation (Bach et al., 2015); --lrp chooses rules"),
    (Method::Cam, "CAM (Zhou et al., 2016), for networks that end in a pool and a linear layer"),
    (Method::GradCam, "Grad-CAM (Selvaraju et al., 2017)"),
    (Method::GradCamPlusPlus, "Grad-CAM++ (Chattopadhay et al., 2018)"),
    (Method::GuidedGradCam, "Guided backpropagation times Grad-CAM"),
    (Method::LayerCam, "LayerCAM (Jiang et al., 2021)"),
    (Method::HiresCam, "HiResCAM (Draelos & Carin, 2020)"),
    (Method::XgradCam, "XGrad-CAM (Fu et al., 2020)"),
    (Method::ScoreCam, "Score-CAM (Wang et al., 2020): one evaluation for each channel"),
    (Method::EigenCam, "Eigen-CAM (Muhammad & Yeasin, 2020): the same map for every output"),
    (
        Method::Attention,
        "The attention map that the network has itself: an ABN's, or --attention-node",
    ),
    (Method::Occlusion, "Occlusion by squares that overlap by half (Zeiler & Fergus, 2014)"),
    (Method::FeatureAblation, "What each cell of a grid adds to the output over the mean colour"),
    (Method::Lime, "LIME (Ribeiro et al., 2016): a linear model of the cells of a grid"),
    (Method::KernelShap, "Kernel SHAP of the cells of a grid (Lundberg & Lee, 2017)"),
    (Method::ShapleySampling, "Shapley values of cells by permutations (Castro et al., 2009)"),
    (Method::Rise, "RISE (Petsiuk et al., 2018)"),
    (Method::Chance, "The control: random numbers"),
];

static VALUES: [ModelMethod; METHODS.len()] = {
    let mut values = [ModelMethod(Method::Chance); METHODS.len()];
    let mut at = 0;
    while at < METHODS.len() {
        values[at] = ModelMethod(METHODS[at].0);
        at += 1;
    }
    values
};

impl ValueEnum for ModelMethod {
    fn value_variants<'a>() -> &'a [Self] {
        &VALUES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (method, help) = METHODS.iter().find(|(method, _)| *method == self.0)?;
        Some(PossibleValue::new(method.id()).help(*help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abn_of_ours_has_its_map_where_the_method_looks() {
        assert_eq!(foresee_attribution::ATTENTION, foresee_baselines::ATTENTION);
    }

    #[test]
    fn no_method_is_forgotten() {
        // The masks of the paper's heads, and maps of regions that all faces share.
        let of_faces = [Method::PermutationRegions, Method::Masks, Method::MeanMask];
        let offered = METHODS.map(|(method, _)| method);
        for method in Method::ALL {
            let places = offered.iter().chain(&of_faces).filter(|other| **other == method);
            assert_eq!(places.count(), 1, "{}", method.id());
        }
        assert_eq!(offered.len() + of_faces.len(), Method::ALL.len());
    }
}
