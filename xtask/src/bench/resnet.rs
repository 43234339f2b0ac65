//! ResNets with drawn weights as graphs, and what is measured of them.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use foresee_attribution::{GradCam, GraphModel, grad_cam};
use foresee_baselines::{Depth, ResNetConfig, Stem};

/// Pixels of a side, and images at once.
pub const SIZE: usize = 224;
pub const BATCH: usize = 8;

/// What is measured of which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// ResNet-18, its logits.
    Forward,
    /// ResNet-18, its logits and the gradient of one of them with respect to the images.
    Gradient,
    /// ResNet-50, Grad-CAM at the last layer with pixels: the whole network is computed.
    GradCam,
}

impl Pass {
    pub const ALL: [Self; 3] = [Self::Forward, Self::Gradient, Self::GradCam];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "resnet18-forward",
            Self::Gradient => "resnet18-gradient",
            Self::GradCam => "resnet50-grad-cam",
        }
    }
}

/// A network and its images.
pub struct ResNet {
    model: GraphModel,
    images: Tensor,
    pass: Pass,
}

impl ResNet {
    pub fn new(pass: Pass, device: &Device) -> Result<Self> {
        let images = Tensor::randn(0f32, 1., (BATCH, 3, SIZE, SIZE), device)?;
        let depth = if pass == Pass::GradCam { Depth::D50 } else { Depth::D18 };
        let config = ResNetConfig { depth, stem: Stem::Large, width: 64, attributes: 1000 };
        let graph = config.graph(0, device)?;
        let output = graph.outputs()[0];
        Ok(Self { model: GraphModel::new(graph, output)?.batch(BATCH), images, pass })
    }

    /// Multiplications and additions of one round in units of 10⁹; a gradient costs as much as the
    /// forward pass.
    pub fn gflop(&self) -> Result<f64> {
        let graph = self.model.graph();
        let macs = graph.cost(&graph.shapes(BATCH, &[SIZE, SIZE])?).macs as f64;
        let passes = if self.pass == Pass::Gradient { 2. } else { 1. };
        Ok(2e-9 * macs * passes)
    }

    /// One round.
    pub fn run(&self) -> Result<()> {
        match self.pass {
            Pass::Forward => drop(self.model.forward(&self.images)?),
            Pass::Gradient => {
                let images = Var::from_tensor(&self.images)?;
                let logits = self.model.forward(&images)?;
                let gradients = logits.narrow(1, 0, 1)?.sum_all()?.backward()?;
                gradients.get(&images).context("no gradient of the images")?;
            }
            Pass::GradCam => {
                let layer = self.model.last_spatial(&self.images)?;
                let split = self.model.split_at_value(layer)?;
                grad_cam(&split, &self.images, 0, &GradCam::default())?;
            }
        }
        Ok(())
    }
}
