//! Attribution methods on the paper's network, as `foresee-attribution` offers them and as Captum
//! does.

use anyhow::{Result, bail};
use candle_core::{Error, Tensor};
use foresee_attribution::{
    Composite, GradCam, GraphModel, IntegratedGradients, Method, SmoothGrad, SplitModel, Target,
    grad_cam, input_x_gradient, integrated_gradients, sensitivity, smooth_grad,
};
use foresee_model::Network;

use foresee::model_of;

/// The output that is explained.
const ATTRIBUTE: usize = 20;
/// Points of integrated gradients and noisy copies of SmoothGrad, here and in python/peer.py.
const STEPS: usize = 10;

/// The methods that are measured.
pub const METHODS: [Method; 6] = [
    Method::Sensitivity,
    Method::InputXGradient,
    Method::SmoothGrad,
    Method::IntegratedGradients,
    Method::GradCam,
    Method::Lrp,
];

/// Images at once: fewer where each is explained many times.
pub fn batch(method: Method) -> usize {
    match method {
        Method::SmoothGrad | Method::IntegratedGradients => 2,
        _ => 8,
    }
}

/// A network that is explained, as a whole and as a graph.
pub struct Explainer {
    network: Network,
    model: GraphModel,
    batch: usize,
}

impl Explainer {
    pub fn new(network: Network, batch: usize) -> Result<Self> {
        let model = model_of(&network)?.batch(batch);
        Ok(Self { network: network.frozen(), model, batch })
    }

    pub fn explain(&self, method: Method, x: &Tensor) -> Result<Tensor> {
        let forward = |x: &Tensor| Ok(self.network.forward(x).map_err(Error::wrap)?.logits);
        let target = Target::new(forward, ATTRIBUTE).batch(self.batch);
        Ok(match method {
            Method::Sensitivity => sensitivity(&target, x)?,
            Method::InputXGradient => input_x_gradient(&target, x)?,
            Method::SmoothGrad => {
                let options = SmoothGrad { samples: STEPS, ..SmoothGrad::default() };
                smooth_grad(|x| target.gradient(x), x, &options)?
            }
            Method::IntegratedGradients => {
                let options =
                    IntegratedGradients { steps: STEPS, ..IntegratedGradients::default() };
                integrated_gradients(&target, x, None, &options)?.attribution
            }
            Method::GradCam => {
                let split = SplitModel::new(
                    |x: &Tensor| self.network.extractor().forward(x).map_err(Error::wrap),
                    |z: &Tensor| Ok(self.network.forward_features(z).map_err(Error::wrap)?.logits),
                );
                let options = GradCam { batch: Some(self.batch), ..GradCam::default() };
                grad_cam(&split, x, ATTRIBUTE, &options)?
            }
            Method::Lrp => self.model.lrp(x, ATTRIBUTE, &Composite::epsilon_plus())?.attribution,
            other => bail!("{} is not measured", other.id()),
        })
    }
}
