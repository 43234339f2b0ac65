//! The methods, each as a map of pixels.

use std::collections::HashMap;

use candle_core::Tensor;
use clap::ValueEnum;
use foresee_attribution::{
    Composite, Error, GradCam, IntegratedGradients, Interpolation, Layers, Lime, LimeResult,
    MaskWeights, Reduce, Result, SmoothGrad, grad_cam, grad_cam_plus_plus, grid_segments,
    guided_backprop, guided_grad_cam, input_x_gradient, integrated_gradients, lime, lrp, per_pixel,
    sensitivity, smooth_grad,
};
use foresee_report::Reading;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::global;
use super::network::FEATURES;
use crate::config;
use crate::run::Run;

/// A way to say which pixels an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
}

impl Method {
    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// Those that a run's network and settings allow.
    pub fn possible(run: &Run) -> Vec<Self> {
        let attention = run.manifest.config.model.attention;
        let possible = |method: &Self| match method {
            Self::Masks | Self::MeanMask => attention,
            Self::Cam => !attention,
            Self::PermutationRegions => global::permutes(run),
            _ => true,
        };
        Self::value_variants().iter().copied().filter(possible).collect()
    }

    /// Why a run may not have it.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Masks | Self::MeanMask => "the network has no masks (model.attention = false)",
            Self::Cam => {
                "CAM needs average pooling and a linear readout behind the features, and this network has masks there"
            }
            Self::PermutationRegions => {
                "attribute.permutation_images is 0, or there are fewer than two test faces"
            }
            _ => "not possible",
        }
    }

    /// Whether it explains a face, and not the network over all faces.
    pub fn is_local(self) -> bool {
        self != Self::PermutationRegions
    }
}

/// A method's name as papers write it.
pub fn title(name: &str) -> String {
    let written = match name {
        "input-x-gradient" => "input × gradient",
        "smooth-grad" => "SmoothGrad",
        "guided-backprop" => "guided backprop.",
        "grad-cam" => "Grad-CAM",
        "grad-cam-plus-plus" => "Grad-CAM++",
        "guided-grad-cam" => "guided Grad-CAM",
        "cam" => "CAM",
        "lrp" => "LRP",
        "lime" => "LIME",
        "permutation-regions" => "permuted regions",
        other => return other.replace('-', " "),
    };
    written.into()
}

/// How a method's values are to be read.
pub fn reading(name: &str) -> Reading {
    match Method::from_str(name, false) {
        Ok(
            Method::Sensitivity
            | Method::SmoothGrad
            | Method::GradCam
            | Method::GradCamPlusPlus
            | Method::MeanMask
            | Method::Chance,
        ) => Reading::Unsigned,
        Ok(Method::PermutationRegions) => Reading::Global,
        _ => Reading::Signed,
    }
}

/// The settings of all methods.
pub struct Explainer {
    settings: config::Attribute,
    seed: u64,
    /// [`Method::PermutationRegions`] of each attribute, [1, H, W].
    regions: HashMap<usize, Tensor>,
}

impl Explainer {
    pub fn new(run: &Run, regions: HashMap<usize, Tensor>) -> Self {
        Self { settings: run.manifest.config.attribute.clone(), seed: run.manifest.seed, regions }
    }

    /// LIME of images x for attribute k.
    pub fn lime(&self, layers: &Layers, x: &Tensor, k: usize) -> Result<LimeResult> {
        let (_, _, h, w) = x.dims4()?;
        let cells = grid_segments(h, w, self.settings.grid.min(h), self.settings.grid.min(w))?;
        lime(
            &layers.target(k),
            x,
            &cells,
            None,
            &Lime { samples: self.settings.lime_samples, seed: self.seed, ..Lime::default() },
        )
    }

    /// Maps [B, H, W] for attribute k of images x and the numbers of their faces, which decide
    /// nothing but random numbers.
    pub fn maps(
        &self,
        method: Method,
        layers: &Layers,
        (x, faces): (&Tensor, &[usize]),
        k: usize,
    ) -> Result<Tensor> {
        let target = layers.target(k);
        let (cam, steps) = (GradCam::default(), self.settings.steps);
        let sum = |attribution: &Tensor| per_pixel(attribution, Reduce::Sum);
        let map = match method {
            Method::Sensitivity => per_pixel(&sensitivity(&target, x)?, Reduce::Norm)?,
            Method::InputXGradient => sum(&input_x_gradient(&target, x)?)?,
            Method::SmoothGrad => {
                let options =
                    SmoothGrad { samples: steps, seed: self.seed, ..SmoothGrad::default() };
                per_pixel(&smooth_grad(|x| target.gradient(x), x, &options)?, Reduce::Norm)?
            }
            Method::IntegratedGradients => {
                let options = IntegratedGradients { steps, ..IntegratedGradients::default() };
                sum(&integrated_gradients(&target, x, None, &options)?.attribution)?
            }
            Method::GuidedBackprop => sum(&guided_backprop(layers, x, k)?)?,
            Method::GradCam => grad_cam(&layers.at(FEATURES)?, x, k, &cam)?,
            Method::GradCamPlusPlus => grad_cam_plus_plus(&layers.at(FEATURES)?, x, k, &cam)?,
            Method::GuidedGradCam => {
                sum(&guided_grad_cam(layers, FEATURES, x, k, Interpolation::default())?)?
            }
            Method::Cam => layers.cam(FEATURES, x, k)?,
            Method::Lrp => sum(&lrp(layers, x, k, &Composite::epsilon_plus())?.attribution)?,
            Method::Lime => self.lime(layers, x, k)?.attribution.narrow(1, 0, 1)?.squeeze(1)?,
            Method::PermutationRegions => {
                let map = self.regions.get(&k).ok_or(Error::Degenerate(
                    "permutation importance was not computed for this attribute",
                ))?;
                let (b, _, h, w) = x.dims4()?;
                map.broadcast_as((b, h, w))?.contiguous()?
            }
            Method::Masks => layers.mask_map(x, k, MaskWeights::Contribution)?,
            Method::MeanMask => layers.mask_map(x, k, MaskWeights::Mean)?,
            Method::Chance => {
                let (b, _, h, w) = x.dims4()?;
                let of_face = |&face: &usize| {
                    let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                    rng.set_stream((face as u64) << 8 | k as u64);
                    (0..h * w).map(move |_| rng.random())
                };
                Tensor::from_vec(
                    faces.iter().flat_map(of_face).collect::<Vec<f32>>(),
                    (b, h, w),
                    x.device(),
                )?
            }
        };
        Ok(map.detach())
    }
}
