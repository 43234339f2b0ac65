//! Attribution methods on the paper's network, as `foresee-attribution` offers them and as Captum
//! does.

use anyhow::Result;
use candle_core::{Error, Tensor};
use foresee_attribution::{
    Composite, GradCam, IntegratedGradients, Layers, SmoothGrad, Split, Target, grad_cam,
    input_x_gradient, integrated_gradients, lrp, sensitivity, smooth_grad,
};
use foresee_model::Network;

use crate::attribute::layers_of;

/// The output that is explained.
const ATTRIBUTE: usize = 20;
/// Points of integrated gradients and noisy copies of SmoothGrad, here and in python/peer.py.
const STEPS: usize = 10;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explanation {
    Sensitivity,
    InputXGradient,
    SmoothGrad,
    IntegratedGradients,
    GradCam,
    Lrp,
}

impl Explanation {
    pub const ALL: [Self; 6] = [
        Self::Sensitivity,
        Self::InputXGradient,
        Self::SmoothGrad,
        Self::IntegratedGradients,
        Self::GradCam,
        Self::Lrp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::InputXGradient => "input-x-gradient",
            Self::SmoothGrad => "smooth-grad",
            Self::IntegratedGradients => "integrated-gradients",
            Self::GradCam => "grad-cam",
            Self::Lrp => "lrp",
        }
    }

    /// Images at once: fewer where each is seen many times.
    pub fn batch(self) -> usize {
        match self {
            Self::SmoothGrad | Self::IntegratedGradients => 2,
            _ => 8,
        }
    }

    /// Captum's LRP has no rule for a product of mask and feature.
    pub fn in_captum(self) -> bool {
        self != Self::Lrp
    }
}

/// A network that is explained, as a whole and as layers.
pub struct Explainer {
    network: Network,
    layers: Layers,
    batch: usize,
}

impl Explainer {
    pub fn new(network: Network, batch: usize) -> Result<Self> {
        let layers = layers_of(&network)?.batch(batch);
        Ok(Self { network: network.frozen(), layers, batch })
    }

    pub fn explain(&self, explanation: Explanation, x: &Tensor) -> Result<Tensor> {
        let forward = |x: &Tensor| Ok(self.network.forward(x).map_err(Error::wrap)?.logits);
        let target = Target::new(forward, ATTRIBUTE).batch(self.batch);
        Ok(match explanation {
            Explanation::Sensitivity => sensitivity(&target, x)?,
            Explanation::InputXGradient => input_x_gradient(&target, x)?,
            Explanation::SmoothGrad => {
                let options = SmoothGrad { samples: STEPS, ..SmoothGrad::default() };
                smooth_grad(|x| target.gradient(x), x, &options)?
            }
            Explanation::IntegratedGradients => {
                let options =
                    IntegratedGradients { steps: STEPS, ..IntegratedGradients::default() };
                integrated_gradients(&target, x, None, &options)?.attribution
            }
            Explanation::GradCam => {
                let split = Split::new(
                    |x: &Tensor| self.network.extractor().forward(x).map_err(Error::wrap),
                    |z: &Tensor| Ok(self.network.forward_features(z).map_err(Error::wrap)?.logits),
                );
                grad_cam(
                    &split,
                    x,
                    ATTRIBUTE,
                    &GradCam { batch: Some(self.batch), ..GradCam::default() },
                )?
            }
            Explanation::Lrp => {
                lrp(&self.layers, x, ATTRIBUTE, &Composite::epsilon_plus())?.attribution
            }
        })
    }
}
