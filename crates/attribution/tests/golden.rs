//! Every deterministic method against Captum 0.9 and zennit 0.5 in `f64` (`fixtures/golden.py`):
//! `-- --nocapture` prints the agreement.

mod distance;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use foresee_attribution::*;

use distance::off;

const TARGET: usize = 1;

/// The largest difference, in shares of the largest value: above `f64`'s rounding only where
/// Captum itself computes in `f32`.
fn tolerance(name: &str) -> f64 {
    match name {
        _ if name.starts_with("lime") => 1e-5,
        _ if name.starts_with("integrated") => 1e-7,
        _ => 1e-12,
    }
}

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Golden {
    tensors: HashMap<String, Tensor>,
    network: &'static str,
}

impl Golden {
    fn load(network: &'static str) -> AnyResult<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/golden.safetensors");
        Ok(Self { tensors: candle_core::safetensors::load(path, &Device::Cpu)?, network })
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[&format!("{}.{name}", self.network)]
    }

    fn weight(&self, name: &str) -> &Tensor {
        self.get(&format!("weights.{name}"))
    }

    fn norm(&self, i: usize) -> BatchNorm {
        let of = |name: &str| self.weight(&format!("{i}.{name}")).clone();
        BatchNorm {
            weight: of("weight"),
            bias: of("bias"),
            mean: of("running_mean"),
            variance: of("running_var"),
            epsilon: 1e-5,
        }
    }

    fn block(&self, layers: Layers, i: usize, slope: f64, options: Conv2d) -> Result<Layers> {
        let of = |name: &str| self.weight(&format!("{i}.{name}"));
        layers
            .conv2d(&format!("conv{i}"), of("weight"), Some(of("bias")), options)?
            .batch_norm(&format!("norm{i}"), &self.norm(i + 1))?
            .leaky_relu(&format!("relu{i}"), slope)
    }

    /// A batch of one input at a time: more than one chunk everywhere.
    fn layers(&self) -> Result<GraphModel> {
        let options = |padding, dilation, stride| Conv2d { padding, dilation, stride };
        let layers = match self.network {
            "cnn" => {
                let first =
                    self.block(Layers::new(), 0, 0.1, options(1, 1, 1))?.max_pool("pool", 2)?;
                let third = self.block(
                    self.block(first, 4, 0.01, options(2, 2, 1))?,
                    7,
                    0.01,
                    options(1, 1, 2),
                )?;
                third.global_average_pool("gap")?.linear(
                    "linear",
                    self.weight("12.weight"),
                    Some(self.weight("12.bias")),
                )?
            }
            _ => {
                let blocks = [1, 2, 3, 2].into_iter().enumerate();
                let features = blocks.into_iter().try_fold(Layers::new(), |layers, (i, d)| {
                    self.block(layers, 3 * i, 0.01, options(d, d, 1))
                })?;
                let gated = features
                    .gate("masks", self.weight("12.mask.weight"), self.weight("12.mask.bias"))?
                    .global_average_pool("gap")?;
                gated.readout("readout", self.weight("12.readout"), self.weight("12.bias"))?
            }
        };
        Ok(layers.model()?.batch(1))
    }

    fn last(&self) -> &'static str {
        if self.network == "cnn" { "relu7" } else { "relu9" }
    }

    fn agrees(&self, name: &str, got: &Tensor) {
        let values = |t: &Tensor| {
            t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        let expected = self.get(name);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        self.close(name, &values(got), &values(expected));
    }

    fn close(&self, name: &str, got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len(), "{name}");
        assert!(
            got.iter().chain(expected).all(|v| v.is_finite()),
            "{name} of {} is not finite",
            self.network
        );
        let (largest, off) = off(got, expected);
        println!("| {name} | {} | {off:.1e} |", self.network);
        assert!(
            largest > 1e-6 && off < tolerance(name),
            "{name} of {} is off by {off:e} relative to {largest:e}",
            self.network
        );
    }
}

fn everything(network: &'static str) -> AnyResult {
    let golden = Golden::load(network)?;
    let (layers, x, baseline) =
        (golden.layers()?, golden.get("x").clone(), golden.get("baseline").clone());
    golden.agrees("logits", &layers.forward(&x)?);
    gradients(&golden, &layers, &x, &baseline)?;
    let at = layers.split_at(golden.last())?;
    golden.agrees(
        "grad_cam",
        &grad_cam(&at, &x, TARGET, &GradCam { batch: Some(1), ..Default::default() })?,
    );
    golden.agrees(
        "grad_cam.signed",
        &grad_cam(&at, &x, TARGET, &GradCam { relu: false, ..Default::default() })?,
    );
    golden.agrees("grad_cam_plus_plus", &grad_cam_plus_plus(&at, &x, TARGET, &GradCam::default())?);
    // By candle's gradients of two plain functions.
    let split = SplitModel::new(|x: &Tensor| at.features(x), |z: &Tensor| at.outputs(z));
    golden.agrees("grad_cam", &grad_cam(&split, &x, TARGET, &GradCam::default())?);
    golden.agrees("guided_backprop", &layers.guided_backprop(&x, TARGET)?);
    golden.agrees(
        "guided_grad_cam",
        &layers.guided_grad_cam(golden.last(), &x, TARGET, Interpolation::Nearest)?,
    );
    relevances(&golden, &layers, &x)?;
    local_models(&golden, &layers, &x)?;
    quality(&golden, &layers, &x)
}

fn gradients(golden: &Golden, layers: &GraphModel, x: &Tensor, baseline: &Tensor) -> AnyResult {
    let target = layers.target(TARGET).batch(3);
    golden.agrees("gradient", &target.gradient(x)?);
    assert!(target.gradient_error(x)? < 1e-6);
    golden.agrees("sensitivity", &sensitivity(&target, x)?);
    golden.agrees("input_x_gradient", &input_x_gradient(&target, x)?);
    let integrated =
        integrated_gradients(&target, x, Some(baseline), &IntegratedGradients::default())?;
    golden.agrees("integrated", &integrated.attribution);
    let midpoint =
        IntegratedGradients { steps: 20, quadrature: Quadrature::Midpoint, max_gap: f64::INFINITY };
    golden.agrees(
        "integrated.midpoint",
        &integrated_gradients(&target, x, Some(baseline), &midpoint)?.attribution,
    );
    let noise = golden.get("smooth.noise");
    for (name, statistic) in [
        ("mean", Statistic::Mean),
        ("mean_square", Statistic::MeanSquare),
        ("variance", Statistic::Variance),
    ] {
        let noise = (0..noise.dims()[0]).map(|i| Ok(noise.get(i)?));
        golden.agrees(
            &format!("smooth.{name}"),
            &smooth_grad_with_noise(|x| target.gradient(x), x, noise, statistic)?,
        );
    }
    Ok(())
}

fn relevances(golden: &Golden, layers: &GraphModel, x: &Tensor) -> AnyResult {
    let bound = |v: f64| Tensor::new(v, &Device::Cpu);
    for (name, composite) in [
        (
            "epsilon",
            Composite { linear: Rule::Epsilon { epsilon: 1e-6 }, ..Composite::epsilon(1e-2) },
        ),
        ("plus_flat", Composite::epsilon_plus_flat()),
        ("gamma_box", Composite::epsilon_gamma_box(bound(-2.)?, bound(2.5)?)),
        ("alpha2_beta1", Composite::epsilon_alpha2_beta1()),
    ] {
        for (bias, way) in [("ignore", Bias::Ignore), ("absorb", Bias::Absorb)] {
            let relevance = layers.lrp(x, TARGET, &Composite { bias: way, ..composite.clone() })?;
            golden.agrees(&format!("lrp.{name}.{bias}"), &relevance.attribution);
            accounted(&relevance);
        }
    }
    Ok(())
}

/// Eq. 2, with what biases and stabilisers took beside it: counted by themselves, not as the rest.
fn accounted(relevance: &Relevance) {
    let mut above = relevance.output.clone();
    for layer in &relevance.layers {
        for (i, above) in above.iter_mut().enumerate() {
            let sum = layer.relevance[i] + layer.bias[i] + layer.stabilizer[i];
            let (came, near) = (layer.outputs[i], 1e-9 * (1. + above.abs()));
            assert!((sum - *above).abs() < near, "{}: {sum} of {above}", layer.layer);
            assert!((came - *above).abs() < near, "{}: {came} of {above}", layer.layer);
            *above = layer.relevance[i];
        }
    }
}

fn kept(golden: &Golden) -> AnyResult<Vec<Vec<bool>>> {
    Ok(golden
        .get("lime.kept")
        .to_vec2::<f64>()?
        .into_iter()
        .map(|row| row.into_iter().map(|k| k == 1.).collect())
        .collect())
}

fn local_models(golden: &Golden, layers: &GraphModel, x: &Tensor) -> AnyResult {
    let (one, segments, kept) = (x.narrow(0, 0, 1)?, golden.get("lime.segments"), kept(golden)?);
    for (name, penalty, distance, width) in [
        ("lasso_cosine", Penalty::Lasso { alpha: 1e-3 }, Distance::CosineOfInputs, 0.7),
        ("ridge_euclidean", Penalty::Ridge { alpha: 0.5 }, Distance::EuclideanOfInputs, 8.),
        ("ridge_segments", Penalty::Ridge { alpha: 1. }, Distance::CosineOfSegments, 0.25),
    ] {
        let options = Lime { penalty, distance, width, ..Default::default() };
        let result = lime_with_perturbations(
            &layers.target(TARGET).batch(7),
            &one,
            segments,
            None,
            |_| kept.clone(),
            &options,
        )?;
        let expected = golden.get(&format!("lime.{name}")).to_vec1::<f64>()?;
        golden.close(&format!("lime.{name}"), &result.fits[0].weights, &expected);
        assert!(result.fits[0].r2 > 0. && result.fits[0].r2 <= 1.);
    }
    Ok(())
}

fn quality(golden: &Golden, layers: &GraphModel, x: &Tensor) -> AnyResult {
    let target = layers.target(TARGET);
    let (noise, gradient) = (golden.get("quality.noise"), golden.get("gradient"));
    let perturbations = || (0..noise.dims()[0]).map(|i| Ok(noise.get(i)?));
    for (name, scaling) in [("infidelity", Scaling::None), ("infidelity.normalised", Scaling::Best)]
    {
        golden.close(
            name,
            &infidelity_with_perturbations(&target, x, gradient, perturbations(), scaling)?,
            &golden.get(name).to_vec1::<f64>()?,
        );
    }
    let sensitivity =
        max_sensitivity_with_perturbations(|x| target.gradient(x), x, perturbations())?;
    golden.close("max_sensitivity", &sensitivity, &golden.get("max_sensitivity").to_vec1::<f64>()?);
    Ok(())
}

#[test]
fn a_small_cnn_agrees_with_captum_and_zennit() -> AnyResult {
    everything("cnn")?;
    let golden = Golden::load("cnn")?;
    // Here CAM is allowed, and Grad-CAM is the same but for the number of pixels.
    let layers = golden.layers()?;
    let map = layers.cam("relu7", golden.get("x"), TARGET)?;
    let pixels = (map.dims()[1] * map.dims()[2]) as f64;
    golden.agrees("grad_cam.signed", &(map / pixels)?);
    Ok(())
}

#[test]
fn the_papers_network_in_small_agrees_with_captum_and_zennit() -> AnyResult {
    everything("masks")
}

/// The largest difference of two samples' distribution functions.
fn kolmogorov_smirnov(a: &mut [f64], b: &mut [f64]) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let share = |of: &[f64], v: f64| of.partition_point(|&w| w <= v) as f64 / of.len() as f64;
    a.iter()
        .chain(b.iter())
        .map(|&v| (share(a, v) - share(b, v)).abs())
        .max_by(f64::total_cmp)
        .unwrap_or(0.)
}

/// LIME's weights over 200 seeds here and in Captum are of one distribution by the two-sample
/// Kolmogorov-Smirnov test at level 0.001 / 6 segments: D < √(-ln(α/2)/2·2/200) = 0.217.
#[test]
fn free_limes_are_distributed_as_captums() -> AnyResult {
    for network in ["cnn", "masks"] {
        let golden = Golden::load(network)?;
        let (layers, one) = (golden.layers()?, golden.get("x").narrow(0, 0, 1)?);
        let target = layers.target(TARGET).batch(60);
        let weights = (0..200)
            .map(|seed| {
                Ok(lime(
                    &target,
                    &one,
                    golden.get("lime.segments"),
                    None,
                    &Lime { samples: 60, seed, ..Default::default() },
                )?
                .fits
                .remove(0)
                .weights)
            })
            .collect::<AnyResult<Vec<_>>>()?;
        let captum = golden.get("lime.free").to_vec2::<f64>()?;
        for segment in 0..6 {
            let of = |rows: &[Vec<f64>]| rows.iter().map(|row| row[segment]).collect::<Vec<_>>();
            let d = kolmogorov_smirnov(&mut of(&weights), &mut of(&captum));
            println!("{network}, segment {segment}: D = {d:.3}");
            assert!(d < 0.217, "{network}, segment {segment}: {d}");
        }
    }
    Ok(())
}
