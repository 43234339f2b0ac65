//! The explainer's maps of a model.

use candle_core::Tensor;

use super::{Explainer, Explanation};
use crate::error::{Error, Result, check};
use crate::graph::{ATTENTION, GraphModel};
use crate::maps::{Interpolation, Reduce, per_pixel};
use crate::methods::{
    Bias, Composite, DeepLift, ExpectedGradients, GradCam, GradientShap, IntegratedGradients,
    IntegratedGradientsResult, KernelShap, Lime, LimeResult, MaskWeights, Method, NoiseLevel,
    Occlusion, Rise, ShapleySampling, SmoothGrad, Statistic, chance, deviations, eigen_cam,
    expected_gradients, feature_ablation, grad_cam, grad_cam_plus_plus, gradient_shap, hires_cam,
    input_x_gradient, integrated_gradients, kernel_shap, layer_cam, lime, occlusion, rise,
    score_cam, sensitivity, shapley_sampling, smooth_grad_with_noise, xgrad_cam,
};
use crate::noise::gaussian;
use crate::segments::grid_segments;

impl Explainer {
    /// Maps [B, H, W] of images x [B, C, H, W] for output `output` of the model. The CAM family
    /// looks at [`Explainer::cam_node`]; its maps have that value's size. `images` are the
    /// numbers of the images in their data set. With the seed they decide an image's random
    /// numbers, whatever the batch that it is in; RISE has the same masks for all images.
    ///
    /// # Errors
    /// If the model or the settings do not allow the method, or x does not fit the model: CAM needs
    /// global average pooling and one linear layer at the end, the masks the paper's heads, guided
    /// backpropagation a ReLU or its like.
    pub fn maps(
        &self,
        method: Method,
        model: &GraphModel,
        x: &Tensor,
        images: &[usize],
        output: usize,
    ) -> Result<Tensor> {
        let target = model.target(output);
        let sum = |attribution: &Tensor| per_pixel(attribution, Reduce::Sum);
        let cam = GradCam::default();
        let place = || match &self.cam_node {
            Some(name) => model.find(name),
            None => model.last_spatial(x),
        };
        let split = || model.split_at_value(place()?);
        let map = match method {
            Method::Sensitivity => per_pixel(&sensitivity(&target, x)?, Reduce::Norm)?,
            Method::InputXGradient => sum(&input_x_gradient(&target, x)?)?,
            Method::SmoothGrad => {
                let noise = self.noise(x, images)?;
                let explain = |x: &Tensor| target.gradient(x);
                let found = smooth_grad_with_noise(explain, x, noise, Statistic::Mean)?;
                per_pixel(&found, Reduce::Norm)?
            }
            Method::IntegratedGradients => {
                sum(&self.integrated_gradients(model, x, output)?.attribution)?
            }
            Method::GuidedBackprop => sum(&model.guided_backprop(x, output)?)?,
            Method::GradCam => grad_cam(&split()?, x, output, &cam)?,
            Method::GradCamPlusPlus => grad_cam_plus_plus(&split()?, x, output, &cam)?,
            Method::GuidedGradCam => {
                let place = &model.graph().value(place()?).name;
                sum(&model.guided_grad_cam(place, x, output, Interpolation::default())?)?
            }
            Method::Cam => model.cam_at(place()?, x, output)?,
            Method::Lrp => {
                let usual = Composite { bias: Bias::Ignore, ..Composite::epsilon_plus() };
                let composite = self.composite.as_ref().unwrap_or(&usual);
                sum(&model.lrp(x, output, composite)?.attribution)?
            }
            Method::Lime => first_channel(&self.lime(model, x, images, output)?.attribution)?,
            Method::PermutationRegions => self.region_map(x, output)?,
            Method::Masks => model.mask_map(x, output, MaskWeights::Contribution)?,
            Method::MeanMask => model.mask_map(x, output, MaskWeights::Mean)?,
            Method::Chance => chance(x, images, output, self.seed)?,
            Method::Occlusion => {
                first_channel(&occlusion(&target, x, None, &self.window_of_a_cell(x)?)?)?
            }
            Method::FeatureAblation => {
                first_channel(&feature_ablation(&target, x, &self.cells(x)?, None)?)?
            }
            Method::GradientShap => by_image(x, images, |_, x, image| {
                let noise = NoiseLevel::OfRange(0.15);
                let options =
                    GradientShap { samples: self.steps, noise, seed: self.seed_of(image) };
                sum(&gradient_shap(&target, x, self.references()?, &options)?)
            })?,
            Method::ExpectedGradients => by_image(x, images, |_, x, image| {
                let options = ExpectedGradients { samples: self.steps, seed: self.seed_of(image) };
                sum(&expected_gradients(&target, x, self.references()?, &options)?)
            })?,
            Method::KernelShap => {
                by_image(x, images, |_, x, image| self.kernel_shap(model, x, image, output))?
            }
            Method::ShapleySampling => {
                by_image(x, images, |_, x, image| self.shapley_sampling(model, x, image, output))?
            }
            Method::Rise => {
                let options = Rise {
                    masks: self.lime_samples,
                    cells: self.grid,
                    centred: true,
                    seed: self.seed,
                    ..Rise::default()
                };
                rise(&target, x, None, &options)?
            }
            Method::DeepLift => {
                sum(&model.deep_lift(x, output, None, &DeepLift::default())?.attribution)?
            }
            Method::LayerCam => layer_cam(&split()?, x, output, &cam)?,
            Method::HiresCam => hires_cam(&split()?, x, output, &cam)?,
            Method::XgradCam => xgrad_cam(&split()?, x, output, &cam)?,
            Method::ScoreCam => score_cam(&split()?, x, output, &cam)?,
            Method::EigenCam => eigen_cam(&split()?, x, &cam)?,
            Method::Attention => {
                let name = self.attention_node.as_deref().unwrap_or(ATTENTION);
                model.attention_map(name, x, output)?
            }
        };
        Ok(map.detach())
    }

    /// The cells of the grid as segments [H, W].
    fn cells(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        grid_segments(h, w, self.grid.min(h), self.grid.min(w))
    }

    fn cell_count(&self, x: &Tensor) -> Result<usize> {
        let (_, _, h, w) = x.dims4()?;
        Ok(self.grid.min(h) * self.grid.min(w))
    }

    /// The seed of an image's draws, whatever the batch that it is in.
    fn seed_of(&self, image: usize) -> u64 {
        // The golden ratio's bits set numbers that are near each other apart.
        self.seed ^ (image as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// All channels of a square as large as a cell, in steps of half of it.
    fn window_of_a_cell(&self, x: &Tensor) -> Result<Occlusion> {
        let (_, c, h, w) = x.dims4()?;
        let side = h.min(w).div_ceil(self.grid.max(1)).max(1);
        let step = side.div_ceil(2);
        Ok(Occlusion { window: vec![c, side, side], strides: vec![c, step, step] })
    }

    fn references(&self) -> Result<&Tensor> {
        self.references.as_ref().ok_or(Error::Degenerate(
            "gradient SHAP and expected gradients need images to start from: set \
             `Explainer::references`",
        ))
    }

    fn kernel_shap(
        &self,
        model: &GraphModel,
        x: &Tensor,
        image: usize,
        output: usize,
    ) -> Result<Tensor> {
        let cells = self.cells(x)?;
        let samples = self.lime_samples.max(4 * self.cell_count(x)?);
        let options = KernelShap { samples, seed: self.seed_of(image) };
        let found = kernel_shap(&model.target(output), x, &cells, None, &options)?;
        first_channel(&found.attribution)
    }

    fn shapley_sampling(
        &self,
        model: &GraphModel,
        x: &Tensor,
        image: usize,
        output: usize,
    ) -> Result<Tensor> {
        let cells = self.cells(x)?;
        let permutations = (self.lime_samples / self.cell_count(x)?.max(1)).max(2);
        let options = ShapleySampling { permutations, seed: self.seed_of(image) };
        let found = shapley_sampling(&model.target(output), x, &cells, None, &options)?;
        first_channel(&found.attribution)
    }

    /// [`maps`](Self::maps), with the fit of LIME's models and the gap of integrated gradients.
    ///
    /// # Errors
    /// As for [`maps`](Self::maps).
    pub fn explain(
        &self,
        method: Method,
        model: &GraphModel,
        x: &Tensor,
        images: &[usize],
        output: usize,
    ) -> Result<Explanation> {
        let none = vec![f64::NAN; x.dim(0)?];
        Ok(match method {
            Method::Lime => {
                let lime = self.lime(model, x, images, output)?;
                Explanation {
                    maps: first_channel(&lime.attribution)?,
                    local_r2: lime.fits.iter().map(|fit| fit.r2).collect(),
                    completeness_gap: none,
                }
            }
            Method::IntegratedGradients => {
                let found = self.integrated_gradients(model, x, output)?;
                Explanation {
                    maps: per_pixel(&found.attribution, Reduce::Sum)?.detach(),
                    local_r2: none,
                    completeness_gap: found.gap,
                }
            }
            _ => Explanation {
                maps: self.maps(method, model, x, images, output)?,
                local_r2: none.clone(),
                completeness_gap: none,
            },
        })
    }

    /// A gap is told, however large: few `steps` are for a quick look.
    fn integrated_gradients(
        &self,
        model: &GraphModel,
        x: &Tensor,
        output: usize,
    ) -> Result<IntegratedGradientsResult> {
        let options = IntegratedGradients {
            steps: self.steps,
            max_gap: f64::INFINITY,
            ..IntegratedGradients::default()
        };
        integrated_gradients(&model.target(output), x, None, &options)
    }

    /// The noise of SmoothGrad's copies of images x [B, C, H, W], that of
    /// [`SmoothGrad::default`].
    fn noise(&self, x: &Tensor, images: &[usize]) -> Result<impl Iterator<Item = Result<Tensor>>> {
        let deviations = deviations(x, SmoothGrad::default().noise)?;
        let noise = move |sample| {
            by_image(x, images, |at, x, image| {
                gaussian(x, self.seed_of(image), sample, |_| deviations[at])
            })
        };
        Ok((0..self.steps).map(noise))
    }

    /// LIME of images x [B, C, H, W] with these numbers for output `output`, with segments that
    /// become 0.
    ///
    /// # Errors
    /// As for [`lime`](crate::lime()), and if there is no number for each image.
    pub fn lime(
        &self,
        model: &GraphModel,
        x: &Tensor,
        images: &[usize],
        output: usize,
    ) -> Result<LimeResult> {
        let (cells, target) = (self.cells(x)?, model.target(output));
        let mut fits = vec![];
        let attribution = by_image(x, images, |_, x, image| {
            let samples = self.lime_samples;
            let options = Lime { samples, seed: self.seed_of(image), ..Lime::default() };
            let found = lime(&target, x, &cells, None, &options)?;
            fits.extend(found.fits);
            Ok(found.attribution)
        })?;
        Ok(LimeResult { attribution, fits })
    }

    fn region_map(&self, x: &Tensor, output: usize) -> Result<Tensor> {
        let map = self.region_maps.get(&output).ok_or(Error::Degenerate(
            "permutation importance was not computed for this attribute",
        ))?;
        let (b, _, h, w) = x.dims4()?;
        Ok(map.broadcast_as((b, h, w))?.contiguous()?)
    }
}

/// Joins what `of` makes of each image: it is given its place in the batch, the image
/// [1, C, H, W] and its number.
fn by_image(
    x: &Tensor,
    images: &[usize],
    mut of: impl FnMut(usize, &Tensor, usize) -> Result<Tensor>,
) -> Result<Tensor> {
    check(images.len() == x.dim(0)?, "images", images.len(), "one number for each image")?;
    let each = images.iter().enumerate().map(|(at, &image)| of(at, &x.narrow(0, at, 1)?, image));
    Ok(Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 0)?)
}

/// All channels of a segment have the same weight.
fn first_channel(attribution: &Tensor) -> Result<Tensor> {
    Ok(attribution.narrow(1, 0, 1)?.squeeze(1)?)
}
