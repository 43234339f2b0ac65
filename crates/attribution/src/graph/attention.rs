//! A network's own attention map.

use candle_core::Tensor;

use super::GraphModel;
use crate::error::{Error, Result};
use crate::tensors::in_batches;

/// The name of the value that an Attention Branch Network of foresee-baselines has for its map.
pub const ATTENTION: &str = "attention";

impl GraphModel {
    /// The map that the network itself weights its features with for output `target`, [B, H, W]:
    /// the value of this name, or what the node of this name gives. A value [B, 1, H, W] is one map
    /// for all outputs (Fukui et al., 2019, for classes of images), a value [B, K, H, W] has one
    /// for each of the K outputs (the same, for attributes), which can be of any sign.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_attribution::{Conv2d, Layers};
    ///
    /// // A map of twice the pixels, whose mean is the output.
    /// let two = Tensor::new(&[[[[2f32]]]], &Device::Cpu)?;
    /// let layers = Layers::new().conv2d("attention", &two, None, Conv2d::default())?;
    /// let model = layers.global_average_pool("pool")?.model()?;
    /// let x = Tensor::new(&[[[[1f32, 3.]]]], &Device::Cpu)?;
    /// let map = model.attention_map("attention", &x, 0)?;
    /// assert_eq!(map.to_vec3::<f32>()?, [[[2., 6.]]]);
    /// # Ok::<(), foresee_attribution::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such value, or it is no map; if there is no such output, or x does not fit.
    pub fn attention_map(&self, name: &str, x: &Tensor, target: usize) -> Result<Tensor> {
        let value = self.find(name)?;
        in_batches(x, self.batch, |x| {
            let given = [(self.input, x.detach())];
            let values = self.graph.evaluate(&given, &[value, self.output])?;
            let [map, outputs] = &values[..] else { unreachable!("two values were asked for") };
            let (_, outputs) = outputs.dims2()?;
            if target >= outputs {
                return Err(Error::Target { target, shape: vec![x.dim(0)?, outputs] });
            }
            match *map.dims() {
                [_, 1, _, _] => Ok(map.detach().squeeze(1)?),
                [_, maps, _, _] if maps == outputs => {
                    Ok(map.detach().narrow(1, target, 1)?.squeeze(1)?.contiguous()?)
                }
                ref shape => Err(Error::Layer {
                    method: "the attention map",
                    layer: name.into(),
                    reason: format!(
                        "its shape is {shape:?}, and a map is [B, 1, H, W] or [B, {outputs}, H, W]"
                    ),
                }),
            }
        })
    }
}
