//! The network as a candle user would compose it, without any kernel of this project: what they are
//! compared with.

use anyhow::Result;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, Conv2dConfig, Module, ModuleT, Optimizer, VarBuilder, VarMap,
};

pub struct Stock {
    blocks: Vec<(Conv2d, BatchNorm)>,
    mask: Conv2d,
    readout: Tensor,
    bias: Tensor,
    optimizer: AdamW,
    attributes: usize,
}

impl Stock {
    pub fn new(attributes: usize, channels: usize, device: &Device) -> Result<Self> {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, device);
        let plan = [(3, 32, 1), (32, 64, 2), (64, 64, 3), (64, channels, 2)];
        let mut blocks = vec![];
        for (i, (inputs, outputs, dilation)) in plan.into_iter().enumerate() {
            let config = Conv2dConfig { padding: dilation, dilation, ..Default::default() };
            let vb = vb.pp(i);
            let conv = candle_nn::conv2d(inputs, outputs, 3, config, vb.pp("conv"))?;
            blocks.push((conv, candle_nn::batch_norm(outputs, 1e-5, vb.pp("bn"))?));
        }
        let rows = attributes * channels;
        let mask = candle_nn::conv2d(channels, rows, 1, Default::default(), vb.pp("mask"))?;
        let uniform = candle_nn::init::DEFAULT_KAIMING_UNIFORM;
        let readout = vb.get_with_hints((attributes, channels), "readout", uniform)?;
        let bias = vb.get_with_hints(attributes, "bias", candle_nn::init::ZERO)?;
        let optimizer = AdamW::new_lr(variables.all_vars(), 1e-3)?;
        Ok(Self { blocks, mask, readout, bias, optimizer, attributes })
    }

    fn forward(&self, images: &Tensor, train: bool) -> Result<(Tensor, Tensor)> {
        let mut z = images.clone();
        for (conv, norm) in &self.blocks {
            z = candle_nn::ops::leaky_relu(&norm.forward_t(&conv.forward(&z)?, train)?, 0.01)?;
        }
        let (b, c, h, w) = z.dims4()?;
        let shape = (b, self.attributes, c, h, w);
        let masks = candle_nn::ops::sigmoid(&self.mask.forward(&z)?)?.reshape(shape)?;
        let pooled = masks.broadcast_mul(&z.unsqueeze(1)?)?.mean(D::Minus1)?.mean(D::Minus1)?;
        let logits =
            pooled.broadcast_mul(&self.readout)?.sum(D::Minus1)?.broadcast_add(&self.bias)?;
        Ok((logits, masks.sum_all()?))
    }

    pub fn infer(&self, images: &Tensor) -> Result<()> {
        self.forward(images, false)?;
        Ok(())
    }

    pub fn train(&mut self, images: &Tensor, labels: &Tensor) -> Result<()> {
        let (logits, norm) = self.forward(images, true)?;
        let classification = candle_nn::loss::binary_cross_entropy_with_logit(&logits, labels)?;
        let loss = ((classification * self.attributes as f64)?
            + (norm * (1e-5 / images.dim(0)? as f64))?)?;
        Ok(self.optimizer.backward_step(&loss)?)
    }
}
