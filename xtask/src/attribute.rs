//! Stage `attribute`: the attribution methods that the paper reviews beside its own masks, on the same faces, and how good each is.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use clap::{Args, ValueEnum};
use foresee_attribution::{
    Composite, GradCam, IntegratedGradients, Layers, MaskWeights, Reduce, SmoothGrad, attention_network, deletion, grad_cam, grad_cam_plus_plus,
    guided_backprop, input_x_gradient, insertion, integrated_gradients, lrp, per_pixel, pointing_game, sensitivity, smooth_grad,
};
use foresee_celeba::synthetic::Generator;
use foresee_celeba::{ATTRIBUTES, CelebA, Split, attribute_index};
use foresee_model::Network;
use foresee_report::frame::df;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::device::device;
use crate::error::input;
use crate::measure::{Grid, shown_faces, write_faces};
use crate::output::print;
use crate::progress::Progress;
use crate::run::Run;
use crate::{RunArgs, faces, figures, train};

pub const SCORES: &str = "data/attribution_scores.csv";
pub const MAPS: &str = "data/attribution_maps.csv";
pub const FACES: &str = "data/attribution_faces.csv";

/// The activation that Grad-CAM looks at: the features z.
const FEATURES: &str = "extractor.3.relu";
/// Table 1.
const DILATIONS: [usize; 4] = [1, 2, 3, 2];

#[derive(Args)]
pub struct AttributeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Draw these methods only, into figures/attribution_chosen; can be given several times.
    #[arg(long, value_enum)]
    method: Vec<Method>,
    /// Draw these attributes instead of the run's, such as Smiling; can be given several times.
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// Draw this test image instead of the one of the comparison, such as 000123.jpg.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

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
    /// Eq. 2: layer-wise relevance propagation, z⁺ for convolutions and ε for the readout.
    Lrp,
    /// The paper's masks: Σ_c w_c·M_c·z_c, what each pixel adds to the logit.
    Masks,
    /// The mean of the paper's masks.
    MeanMask,
    /// The control: random numbers.
    Chance,
}

impl Method {
    /// As on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// Maps [B, H, W] of images x for attribute k.
    fn maps(self, layers: &Layers, x: &Tensor, k: usize, steps: usize, seed: u64) -> Result<Tensor> {
        let target = layers.target(k);
        let cam = GradCam::default();
        let map = match self {
            Self::Sensitivity => per_pixel(&sensitivity(&target, x)?, Reduce::Norm)?,
            Self::InputXGradient => per_pixel(&input_x_gradient(&target, x)?, Reduce::Sum)?,
            Self::SmoothGrad => {
                let options = SmoothGrad { samples: steps, seed, ..SmoothGrad::default() };
                per_pixel(&smooth_grad(|x| target.gradient(x), x, &options)?, Reduce::Norm)?
            }
            Self::IntegratedGradients => {
                let options = IntegratedGradients { steps, ..IntegratedGradients::default() };
                per_pixel(&integrated_gradients(&target, x, None, &options)?.attribution, Reduce::Sum)?
            }
            Self::GuidedBackprop => per_pixel(&guided_backprop(layers, x, k)?, Reduce::Sum)?,
            Self::GradCam => grad_cam(&layers.at(FEATURES)?, x, k, &cam)?,
            Self::GradCamPlusPlus => grad_cam_plus_plus(&layers.at(FEATURES)?, x, k, &cam)?,
            Self::Lrp => per_pixel(&lrp(layers, x, k, &Composite::epsilon_plus())?.attribution, Reduce::Sum)?,
            Self::Masks => layers.mask_map(x, k, MaskWeights::Contribution)?,
            Self::MeanMask => layers.mask_map(x, k, MaskWeights::Mean)?,
            Self::Chance => {
                let (b, _, h, w) = x.dims4()?;
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(k as u64);
                Tensor::from_vec((0..b * h * w).map(|_| rng.random()).collect::<Vec<f32>>(), (b, h, w), x.device())?
            }
        };
        Ok(map.detach())
    }
}

/// The stage, and the figure that `--method`, `--attribute` or `--image` ask for.
pub fn attribute(args: &AttributeArgs) -> Result<()> {
    let mut run = Run::take(&args.run.run)?;
    let device = device(&run.manifest.device)?;
    stage(&mut run, &device)?;
    if args.method.is_empty() && args.attribute.is_empty() && args.image.is_none() {
        return Ok(());
    }
    let names = if args.attribute.is_empty() { run.manifest.config.measure.attributes.clone() } else { args.attribute.clone() };
    for name in &names {
        attribute_index(name)?;
    }
    let data = faces::reopen(&run.manifest.data, &run.folder, run.manifest.config.data.split.into())?;
    let face = match &args.image {
        None => shown_faces(&data, &data.split(Split::Test)?, &names, 1)?[0],
        Some(image) => (0..data.len())
            .find(|&face| data.name(face) == *image)
            .ok_or_else(|| input(format!("--image {image}: the run's faces have no such image; their names are like {}", data.name(0))))?,
    };
    let methods = if args.method.is_empty() { Method::value_variants() } else { &args.method };
    let files = ["data/attribution_chosen_faces.csv", "data/attribution_chosen_maps.csv"];
    write_comparison(&run, &data, &device, face, methods, &names, files)?;
    let figure = figures::attributions(&run, "attribution_chosen", files)?;
    for path in figure.save(&run.path("figures"))? {
        print(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.attribute.images == 0 || !config.model.attention || config.model.mask_kernel != 1 {
        tracing::info!("attribute: left out (attribute.images = 0, or a network without 1×1 masks)");
        return Ok(());
    }
    let inputs = (&config.data, &config.attribute, &config.measure.attributes, run.manifest.seed);
    run.stage("attribute", &inputs, &["model.safetensors"], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let names = &config.measure.attributes;
        let face = *shown_faces(&data, &data.split(Split::Test)?, names, 1)?.first().context("no test face to show")?;
        write_comparison(run, &data, device, face, Method::value_variants(), names, [FACES, MAPS])?;
        write_scores(run, &data, device)?;
        Ok([SCORES, MAPS, FACES].map(String::from).to_vec())
    })
}

/// The trained network as layers.
fn layers(network: &Network) -> Result<Layers> {
    let tensors = network.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor()));
    Ok(attention_network(tensors, &DILATIONS)?)
}

/// Maps of all methods for all attributes on one face, each divided by its largest absolute value.
fn write_comparison(run: &Run, data: &CelebA, device: &Device, face: usize, methods: &[Method], names: &[String], files: [&str; 2]) -> Result<()> {
    let (network, card) = train::load(&run.folder, device)?;
    let layers = layers(&network)?;
    let preprocessing = faces::preprocessing(&card);
    let batch = faces::in_order(data, &[face], &preprocessing, 1).next().context("no face to show")??;
    let x = batch.images.to_device(device)?;
    write_faces(run, data, &[face], (&batch.images, &preprocessing.normalisation), files[0])?;
    let mut grid = Grid::new(card.image_size, &["attribute", "probability", "method"]);
    let logits = network.forward(&x)?.logits.get(0)?.to_vec1::<f32>()?;
    for name in names {
        let k = attribute_index(name)?;
        let probability = format!("{:.4}", 1. / (1. + (-f64::from(logits[k])).exp()));
        for method in methods {
            let map = method.maps(&layers, &x, k, run.manifest.config.attribute.steps, run.manifest.seed)?;
            let map: Vec<f32> = map.flatten_all()?.to_vec1()?;
            let most = map.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
            grid.push(&[name, &probability, &method.name()], &map.iter().map(|v| v / most).collect::<Vec<_>>());
        }
    }
    grid.write(run, files[1])
}

/// One method on one face that has the attribute.
struct Scored {
    method: Method,
    attribute: usize,
    image: String,
    deletion: f64,
    insertion: f64,
    hit: f64,
    energy: f64,
    area: f64,
}

fn write_scores(run: &Run, data: &CelebA, device: &Device) -> Result<()> {
    let config = &run.manifest.config;
    let (network, card) = train::load(&run.folder, device)?;
    let layers = layers(&network)?;
    let preprocessing = faces::preprocessing(&card);
    let mut test = data.split(Split::Test)?;
    test.shuffle(&mut ChaCha8Rng::seed_from_u64(run.manifest.seed));
    let generator = Generator::new(run.manifest.seed);
    let mut progress = Progress::new("attributing", config.measure.attributes.len() * config.attribute.images, 0);
    let mut all = vec![];
    for name in &config.measure.attributes {
        let k = attribute_index(name)?;
        let shown: Vec<usize> = test.iter().copied().filter(|&face| data.labels(face).has(k)).take(config.attribute.images).collect();
        for batch in faces::in_order(data, &shown, &preprocessing, 8) {
            let batch = batch?;
            let region = |&face: &usize| -> Vec<f32> {
                let region = generator.region(face as u64, data.labels(face), k);
                faces::shrink(&region, preprocessing.crop, card.image_size).into_iter().map(|share| if share >= 0.5 { 1. } else { 0. }).collect()
            };
            let regions = data.is_synthetic().then(|| batch.faces.iter().flat_map(region).collect::<Vec<f32>>());
            let names: Vec<&str> = batch.faces.iter().map(|&face| data.name(face)).collect();
            let x = batch.images.to_device(device)?;
            // Layers use one core each.
            let each = Method::value_variants().par_iter().map(|&method| scored(&layers, &x, k, method, regions.as_deref(), &names, run));
            all.extend(each.collect::<Result<Vec<_>>>()?.into_iter().flatten());
            progress.add(batch.faces.len(), || name.clone());
        }
    }
    let column = |value: fn(&Scored) -> f64| all.iter().map(value).collect::<Vec<_>>();
    let table = df!(
        "method" => all.iter().map(|s| s.method.name()).collect::<Vec<_>>(),
        "attribute" => all.iter().map(|s| ATTRIBUTES[s.attribute]).collect::<Vec<_>>(),
        "image" => all.iter().map(|s| s.image.clone()).collect::<Vec<_>>(),
        "deletion" => column(|s| s.deletion),
        "insertion" => column(|s| s.insertion),
        "pointing_hit" => column(|s| s.hit),
        "pointing_energy" => column(|s| s.energy),
        "region_area" => column(|s| s.area),
    )?;
    run.write_csv(SCORES, table)
}

/// Scores of a method on a batch; where attributes are is known of drawn faces only.
fn scored(layers: &Layers, x: &Tensor, k: usize, method: Method, regions: Option<&[f32]>, names: &[&str], run: &Run) -> Result<Vec<Scored>> {
    let steps = run.manifest.config.attribute.steps;
    let maps = method.maps(layers, x, k, steps, run.manifest.seed)?;
    let target = layers.target(k);
    let (out, into) = (deletion(&target, x, &maps, None, steps)?, insertion(&target, x, &maps, None, steps)?);
    let points = match regions {
        Some(regions) => pointing_game(&maps, &Tensor::from_slice(regions, maps.dims(), maps.device())?, 0.)?,
        None => vec![None; names.len()],
    };
    let row = |i: usize| {
        let point = |value: fn(&foresee_attribution::Pointing) -> f64| points[i].as_ref().map_or(f64::NAN, value);
        Scored {
            method,
            attribute: k,
            image: names[i].into(),
            deletion: out[i].area(),
            insertion: into[i].area(),
            hit: point(|p| p.hit),
            energy: point(|p| p.energy),
            area: point(|p| p.area),
        }
    };
    Ok((0..names.len()).map(row).collect())
}
