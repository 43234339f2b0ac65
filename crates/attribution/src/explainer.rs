//! Every method of [`Method`] in the same form: a map of pixels.

use std::collections::HashMap;

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::layers::Layers;
use crate::maps::{Interpolation, Reduce, per_pixel};
use crate::methods::{
    Bias, Composite, GradCam, IntegratedGradients, IntegratedGradientsResult, Lime, LimeResult,
    MaskWeights, Method, SmoothGrad, chance, eigen_cam, grad_cam, grad_cam_plus_plus,
    guided_backprop, guided_grad_cam, hires_cam, input_x_gradient, integrated_gradients, layer_cam,
    lime, lrp, score_cam, sensitivity, smooth_grad, xgrad_cam,
};
use crate::methods::{
    DeepLift, ExpectedGradients, GradientShap, KernelShap, NoiseLevel, Occlusion, Rise,
    ShapleySampling, deep_lift, expected_gradients, feature_ablation, gradient_shap, kernel_shap,
    occlusion, rise, shapley_sampling,
};
use crate::network::FEATURES;
use crate::segments::grid_segments;

/// The settings of all methods.
#[derive(Debug, Clone)]
pub struct Explainer {
    /// Noisy copies of SmoothGrad and gradient SHAP, points on the path of integrated gradients,
    /// and points of expected gradients; from 1.
    pub steps: usize,
    /// LIME's segments are the cells of a grid with so many rows and columns, at most one cell a
    /// pixel; from 1. So are those of the other methods of segments. RISE's masks are enlarged from
    /// such a grid, and occlusion covers squares of a cell's size in steps of half of it.
    pub grid: usize,
    /// Perturbed samples of LIME for each image, from 2; also masks of RISE, coalitions of Kernel
    /// SHAP (at least four for each segment, fewer decide nothing), and for Shapley sampling the
    /// evaluations from which the number of permutations follows (at least two).
    pub lime_samples: usize,
    /// Decides all random numbers.
    pub seed: u64,
    /// The maps of [`Method::PermutationRegions`] for attributes by their numbers, [1, H, W]
    /// ([`RegionImportance::maps`](crate::RegionImportance::maps)).
    pub region_maps: HashMap<usize, Tensor>,
    /// Images [R, C, H, W] that [`Method::GradientShap`] and [`Method::ExpectedGradients`] start
    /// from; the other methods do without.
    pub references: Option<Tensor>,
}

/// A method's maps of a batch.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// [B, H, W].
    pub maps: Tensor,
    /// R² of LIME's linear model around each image; NaN for all other methods.
    pub local_r2: Vec<f64>,
    /// [`IntegratedGradientsResult::gap`] of each image; NaN for all other methods.
    pub completeness_gap: Vec<f64>,
}

impl Explainer {
    /// Maps [B, H, W] of images x [B, C, H, W] for output `attribute` of the model. The CAM family
    /// looks at the layer [`FEATURES`]; its maps have that layer's size. `images` are the numbers
    /// of the images in their data set: they decide the random numbers of [`Method::Chance`], of
    /// the two kinds of gradients from references, of Kernel SHAP and of Shapley sampling. Those of
    /// SmoothGrad, LIME and RISE are decided by the place in the batch.
    ///
    /// # Errors
    /// If the model or the settings do not allow the method, or x does not fit the model.
    pub fn maps(
        &self,
        method: Method,
        layers: &Layers,
        x: &Tensor,
        images: &[usize],
        attribute: usize,
    ) -> Result<Tensor> {
        let target = layers.target(attribute);
        let sum = |attribution: &Tensor| per_pixel(attribution, Reduce::Sum);
        let cam = GradCam::default();
        let map = match method {
            Method::Sensitivity => per_pixel(&sensitivity(&target, x)?, Reduce::Norm)?,
            Method::InputXGradient => sum(&input_x_gradient(&target, x)?)?,
            Method::SmoothGrad => {
                let options =
                    SmoothGrad { samples: self.steps, seed: self.seed, ..SmoothGrad::default() };
                per_pixel(&smooth_grad(|x| target.gradient(x), x, &options)?, Reduce::Norm)?
            }
            Method::IntegratedGradients => {
                sum(&self.integrated_gradients(layers, x, attribute)?.attribution)?
            }
            Method::GuidedBackprop => sum(&guided_backprop(layers, x, attribute)?)?,
            Method::GradCam => grad_cam(&layers.split_at(FEATURES)?, x, attribute, &cam)?,
            Method::GradCamPlusPlus => {
                grad_cam_plus_plus(&layers.split_at(FEATURES)?, x, attribute, &cam)?
            }
            Method::GuidedGradCam => {
                let nearest = Interpolation::default();
                sum(&guided_grad_cam(layers, FEATURES, x, attribute, nearest)?)?
            }
            Method::Cam => layers.cam(FEATURES, x, attribute)?,
            Method::Lrp => {
                let composite = Composite { bias: Bias::Ignore, ..Composite::epsilon_plus() };
                sum(&lrp(layers, x, attribute, &composite)?.attribution)?
            }
            Method::Lime => first_channel(&self.lime(layers, x, attribute)?.attribution)?,
            Method::PermutationRegions => self.region_map(x, attribute)?,
            Method::Masks => layers.mask_map(x, attribute, MaskWeights::Contribution)?,
            Method::MeanMask => layers.mask_map(x, attribute, MaskWeights::Mean)?,
            Method::Chance => chance(x, images, attribute, self.seed)?,
            Method::Occlusion => {
                first_channel(&occlusion(&target, x, None, &self.window_of_a_cell(x)?)?)?
            }
            Method::FeatureAblation => {
                first_channel(&feature_ablation(&target, x, &self.cells(x)?, None)?)?
            }
            Method::GradientShap => by_image(x, images, |x, image| {
                let noise = NoiseLevel::OfRange(0.15);
                let options =
                    GradientShap { samples: self.steps, noise, seed: self.seed_of(image) };
                sum(&gradient_shap(&target, x, self.references()?, &options)?)
            })?,
            Method::ExpectedGradients => by_image(x, images, |x, image| {
                let options = ExpectedGradients { samples: self.steps, seed: self.seed_of(image) };
                sum(&expected_gradients(&target, x, self.references()?, &options)?)
            })?,
            Method::KernelShap => {
                by_image(x, images, |x, image| self.kernel_shap(layers, x, image, attribute))?
            }
            Method::ShapleySampling => {
                by_image(x, images, |x, image| self.shapley_sampling(layers, x, image, attribute))?
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
                sum(&deep_lift(layers, x, attribute, None, &DeepLift::default())?.attribution)?
            }
            Method::LayerCam => layer_cam(&layers.split_at(FEATURES)?, x, attribute, &cam)?,
            Method::HiresCam => hires_cam(&layers.split_at(FEATURES)?, x, attribute, &cam)?,
            Method::XgradCam => xgrad_cam(&layers.split_at(FEATURES)?, x, attribute, &cam)?,
            Method::ScoreCam => score_cam(&layers.split_at(FEATURES)?, x, attribute, &cam)?,
            Method::EigenCam => eigen_cam(&layers.split_at(FEATURES)?, x, &cam)?,
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
        layers: &Layers,
        x: &Tensor,
        image: usize,
        attribute: usize,
    ) -> Result<Tensor> {
        let cells = self.cells(x)?;
        let samples = self.lime_samples.max(4 * self.cell_count(x)?);
        let options = KernelShap { samples, seed: self.seed_of(image) };
        let found = kernel_shap(&layers.target(attribute), x, &cells, None, &options)?;
        first_channel(&found.attribution)
    }

    fn shapley_sampling(
        &self,
        layers: &Layers,
        x: &Tensor,
        image: usize,
        attribute: usize,
    ) -> Result<Tensor> {
        let cells = self.cells(x)?;
        let permutations = (self.lime_samples / self.cell_count(x)?.max(1)).max(2);
        let options = ShapleySampling { permutations, seed: self.seed_of(image) };
        let found = shapley_sampling(&layers.target(attribute), x, &cells, None, &options)?;
        first_channel(&found.attribution)
    }

    /// [`maps`](Self::maps), with the fit of LIME's models and the gap of integrated gradients.
    ///
    /// # Errors
    /// As for [`maps`](Self::maps).
    pub fn explain(
        &self,
        method: Method,
        layers: &Layers,
        x: &Tensor,
        images: &[usize],
        attribute: usize,
    ) -> Result<Explanation> {
        let none = vec![f64::NAN; x.dim(0)?];
        Ok(match method {
            Method::Lime => {
                let lime = self.lime(layers, x, attribute)?;
                Explanation {
                    maps: first_channel(&lime.attribution)?,
                    local_r2: lime.fits.iter().map(|fit| fit.r2).collect(),
                    completeness_gap: none,
                }
            }
            Method::IntegratedGradients => {
                let found = self.integrated_gradients(layers, x, attribute)?;
                Explanation {
                    maps: per_pixel(&found.attribution, Reduce::Sum)?.detach(),
                    local_r2: none,
                    completeness_gap: found.gap,
                }
            }
            _ => Explanation {
                maps: self.maps(method, layers, x, images, attribute)?,
                local_r2: none.clone(),
                completeness_gap: none,
            },
        })
    }

    /// A gap is told, however large: few `steps` are for a quick look.
    fn integrated_gradients(
        &self,
        layers: &Layers,
        x: &Tensor,
        attribute: usize,
    ) -> Result<IntegratedGradientsResult> {
        let options = IntegratedGradients {
            steps: self.steps,
            max_gap: f64::INFINITY,
            ..IntegratedGradients::default()
        };
        integrated_gradients(&layers.target(attribute), x, None, &options)
    }

    /// LIME of images x [B, C, H, W] for output `attribute`, with segments that become 0.
    ///
    /// # Errors
    /// As for [`lime`](crate::lime()).
    pub fn lime(&self, layers: &Layers, x: &Tensor, attribute: usize) -> Result<LimeResult> {
        let cells = self.cells(x)?;
        let options = Lime { samples: self.lime_samples, seed: self.seed, ..Lime::default() };
        lime(&layers.target(attribute), x, &cells, None, &options)
    }

    fn region_map(&self, x: &Tensor, attribute: usize) -> Result<Tensor> {
        let map = self.region_maps.get(&attribute).ok_or(Error::Degenerate(
            "permutation importance was not computed for this attribute",
        ))?;
        let (b, _, h, w) = x.dims4()?;
        Ok(map.broadcast_as((b, h, w))?.contiguous()?)
    }
}

/// Maps [B, H, W] of a method that is given one image [1, C, H, W] and its number at a time.
fn by_image(
    x: &Tensor,
    images: &[usize],
    map: impl Fn(&Tensor, usize) -> Result<Tensor>,
) -> Result<Tensor> {
    check(images.len() == x.dim(0)?, "images", images.len(), "one number for each image")?;
    let maps = images.iter().enumerate().map(|(at, &image)| map(&x.narrow(0, at, 1)?, image));
    Ok(Tensor::cat(&maps.collect::<Result<Vec<_>>>()?, 0)?)
}

/// All channels of a segment have the same weight.
fn first_channel(attribution: &Tensor) -> Result<Tensor> {
    Ok(attribution.narrow(1, 0, 1)?.squeeze(1)?)
}
