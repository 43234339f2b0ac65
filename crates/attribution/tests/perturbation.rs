//! Occlusion, ablation, Shapley values, RISE, expected gradients, DeepLIFT and superpixels: against
//! Captum 0.9, shap 0.51 and scikit-image 0.26 in `f64` (`fixtures/perturbation.py`), and on cases
//! that were worked by hand. `-- --nocapture` prints the agreement.

mod distance;

use std::collections::HashMap;

use candle_core::{Device, Result as CandleResult, Tensor};
use foresee_attribution::*;

use distance::off;

const TARGET: usize = 1;
/// Rounding of `f64`.
const EXACT: f64 = 1e-12;
/// Captum keeps the sums of occlusion, ablation and Shapley sampling in `f32`.
const SINGLE: f64 = 1e-6;
/// Captum also solves Kernel SHAP in `f32`, with weights of a million.
const SOLVED_IN_SINGLE: f64 = 1e-4;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn load() -> AnyResult<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/perturbation.safetensors");
        Ok(Self(candle_core::safetensors::load(path, &Device::Cpu)?))
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    /// Rows of whole numbers.
    fn numbers(&self, name: &str) -> AnyResult<Vec<Vec<usize>>> {
        let rows = self.get(name).to_vec2::<f64>()?.into_iter();
        Ok(rows.map(|row| row.into_iter().map(|value| value as usize).collect()).collect())
    }

    /// One input at a time: more than one chunk everywhere.
    fn layers(&self) -> Result<GraphModel> {
        let of = |name: &str| self.get(&format!("weights.{name}"));
        let options = Conv2d { padding: 1, ..Conv2d::default() };
        let layers = Layers::new()
            .conv2d("conv0", of("0.weight"), Some(of("0.bias")), options)?
            .relu("relu1")?
            .max_pool("pool2", 2)?
            .conv2d("conv3", of("3.weight"), Some(of("3.bias")), options)?
            .leaky_relu("relu4", 0.1)?
            .average_pool("pool5", 2)?
            .flatten("flatten6")?
            .linear("linear7", of("7.weight"), Some(of("7.bias")))?
            .relu("relu8")?
            .linear("linear9", of("9.weight"), Some(of("9.bias")))?;
        Ok(layers.model()?.batch(1))
    }

    fn agrees(&self, name: &str, got: &Tensor, tolerance: f64) {
        assert_eq!(got.dims(), self.get(name).dims(), "{name}");
        self.close(name, &values(got), tolerance);
    }

    fn close(&self, name: &str, got: &[f64], tolerance: f64) {
        let expected = values(self.get(name));
        assert_eq!(got.len(), expected.len(), "{name}");
        let (largest, off) = off(got, &expected);
        println!("| {name} | {off:.1e} |");
        assert!(largest > 1e-6 && off < tolerance, "{name} is off by {off:e} of {largest:e}");
    }
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(got: &[f64], expected: &[f64]) {
    let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(got.len() == expected.len() && near, "{got:?}, not {expected:?}");
}

#[test]
fn windows_and_segments_agree_with_captum() -> AnyResult {
    let golden = Golden::load()?;
    let (x, baseline) = (golden.get("x"), Some(golden.get("baseline")));
    let layers = golden.layers()?;
    golden.agrees("logits", &layers.forward(x)?, EXACT);
    // Batches that the windows do not fill.
    let target = layers.target(TARGET).batch(7);
    for (name, window, strides) in [
        ("overlapping", [2, 3, 3], [2, 2, 1]),
        ("channels", [1, 4, 5], [1, 3, 2]),
        ("whole", [2, 8, 8], [2, 1, 1]),
    ] {
        let options = Occlusion { window: window.to_vec(), strides: strides.to_vec() };
        let found = occlusion(&target, x, baseline, &options)?;
        golden.agrees(&format!("occlusion.{name}"), &found, SINGLE);
    }
    let segments = golden.get("segments");
    golden.agrees("ablation", &feature_ablation(&target, x, segments, baseline)?, SINGLE);
    Ok(())
}

#[test]
fn shapley_values_agree_with_their_definition_captum_and_shap() -> AnyResult {
    let golden = Golden::load()?;
    let (x, baseline) = (golden.get("x"), Some(golden.get("baseline")));
    let segments = golden.get("segments");
    let target = golden.layers()?.target(TARGET).batch(5);
    let options = KernelShap { samples: 62, seed: 0 };
    assert!(options.is_exact(6) && !KernelShap { samples: 61, seed: 0 }.is_exact(6));
    let exact = kernel_shap(&target, x, segments, baseline, &options)?;
    golden.close("shapley", &exact.values.concat(), EXACT);
    golden.close("kernel_shap.shap", &exact.values.concat(), 1e-9);

    let kept = golden.numbers("coalitions")?;
    let coalition = |kept: &Vec<usize>| Coalition {
        kept: kept.iter().map(|&kept| kept == 1).collect(),
        weight: 1.,
    };
    let coalitions: Vec<Coalition> = kept.iter().map(coalition).collect();
    let given =
        kernel_shap_with_coalitions(&target, x, segments, baseline, |_| coalitions.clone())?;
    golden.close("kernel_shap.captum", &given.values.concat(), SOLVED_IN_SINGLE);

    let orders = golden.numbers("permutations")?;
    let sampled =
        shapley_sampling_with_permutations(&target, x, segments, baseline, |_| orders.clone())?;
    golden.agrees("shapley_sampling", &sampled.attribution, SINGLE);
    // Many free permutations come near the values: within five standard errors of each.
    let options = ShapleySampling { permutations: 300, seed: 1 };
    let free = shapley_sampling(&target, x, segments, baseline, &options)?;
    let errors = free.standard_errors.concat();
    for ((free, exact), error) in free.values.concat().iter().zip(exact.values.concat()).zip(errors)
    {
        assert!((free - exact).abs() < 5. * error, "{free} ± {error}, not {exact}");
    }
    Ok(())
}

#[test]
fn expected_gradients_agree_with_captum_and_shap() -> AnyResult {
    let golden = Golden::load()?;
    let (x, references) = (golden.get("x"), golden.get("references"));
    let target = golden.layers()?.target(TARGET).batch(3);
    let numbers = golden.numbers("gradient_shap.references")?;
    let alphas = golden.get("gradient_shap.alphas").to_vec2::<f64>()?;
    let noise = golden.get("gradient_shap.noise");
    let draws = (0..numbers.len()).map(|sample| {
        Ok(GradientShapDraw {
            noise: noise.get(sample)?,
            references: numbers[sample].clone(),
            alphas: alphas[sample].clone(),
        })
    });
    let found = gradient_shap_with_draws(&target, x, references, draws)?;
    golden.agrees("gradient_shap", &found, EXACT);

    let numbers = golden.numbers("expected_gradients.references")?;
    let alphas = golden.get("expected_gradients.alphas").to_vec2::<f64>()?;
    let draws = |input: usize| {
        numbers[input].iter().copied().zip(alphas[input].iter().copied()).collect::<Vec<_>>()
    };
    let found = expected_gradients_with_draws(&target, x, references, draws)?;
    golden.agrees("expected_gradients", &found, EXACT);
    Ok(())
}

/// f = x²: from the references 0 and 2 the input 4 gets the mean of 16 - 0 and 16 - 4.
#[test]
fn drawn_gradients_have_the_right_mean() -> AnyResult {
    let target = Target::new(|x: &Tensor| x.sqr(), 0).batch(100);
    let (x, references) = (tensor(&[4.], &[1, 1]), tensor(&[0., 2.], &[2, 1]));
    // (x - x')·2(x' + α(x - x')) varies by less than 10: five standard errors of 4000 draws.
    let near = |found: &Tensor| (values(found)[0] - 14.).abs() < 5. * 10. / 4000f64.sqrt();
    let options = ExpectedGradients { samples: 4000, seed: 3 };
    let found = expected_gradients(&target, &x, &references, &options)?;
    assert!(near(&found), "{found}");
    let options = GradientShap { samples: 4000, seed: 3, ..GradientShap::default() };
    let found = gradient_shap(&target, &x, &references, &options)?;
    assert!(near(&found), "{found}");
    Ok(())
}

#[test]
fn rise_weighs_masks_as_its_authors() -> AnyResult {
    let golden = Golden::load()?;
    let (x, masks) = (golden.get("x"), golden.get("rise.masks"));
    let target = golden.layers()?.target(TARGET).batch(5);
    let all = || (0..9).map(|i| Ok(masks.get(i)?));
    golden.agrees("rise", &rise_with_masks(&target, x, None, all(), 0.4, false)?, EXACT);
    // Without its mean, f of a constant model says nothing.
    let constant = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1)?.affine(0., 3.), 0);
    let found = rise_with_masks(&constant, x, None, all(), 0.4, true)?;
    assert_near(&values(&found), &[0.; 128]);
    // f = the first pixel, which every mask weighs by m₀: (Σ m₀·m)/(N·p).
    let first = Target::new(|x: &Tensor| x.flatten_from(1)?.narrow(1, 0, 1), 0);
    let masks = [[1., 0., 0.5, 0.], [0.5, 1., 0., 0.]].map(|m| Ok(tensor(&m, &[2, 2])));
    let one = tensor(&[2., 1., 1., 1.], &[1, 1, 2, 2]);
    let found = rise_with_masks(&first, &one, None, masks, 0.5, false)?;
    assert_near(&values(&found), &[2.5, 1., 1., 0.]);
    Ok(())
}

/// f(x) = x₀·x₁ + x₂.
fn product_and_sum(x: &Tensor) -> CandleResult<Tensor> {
    let column = |i| x.narrow(1, i, 1);
    (column(0)? * column(1)?)? + column(2)?
}

#[test]
fn players_share_what_they_make_together() -> AnyResult {
    let target = Target::new(product_and_sum, 0).batch(2);
    let x = tensor(&[2., 3., 5., 1., 1., 1.], &[2, 3]);
    let each = Tensor::new(&[0u32, 1, 2], &Device::Cpu)?;
    let baseline = tensor(&[1., 0., 0.], &[3]);
    // From (0, 0, 0) the first two share 6 and 1. From (1, 0, 0), where x₁ alone makes 3, x₀ adds 3
    // only when x₁ is there: half of it each.
    for (baseline, expected) in
        [(None, [3., 3., 5., 0.5, 0.5, 1.]), (Some(&baseline), [1.5, 4.5, 5., 0., 1., 1.])]
    {
        let exact = kernel_shap(&target, &x, &each, baseline, &KernelShap::default())?;
        assert_near(&values(&exact.attribution), &expected);
        let both = |_| vec![vec![0, 1, 2], vec![1, 0, 2]];
        let found = shapley_sampling_with_permutations(&target, &x, &each, baseline, both)?;
        assert_near(&values(&found.attribution), &expected);
    }
    // Ablation gives the product to both. Entries of one segment go together.
    let found = feature_ablation(&target, &x, &each, None)?;
    assert_near(&values(&found), &[6., 6., 5., 1., 1., 1.]);
    let pair = Tensor::new(&[0u32, 1, 1], &Device::Cpu)?;
    let found = feature_ablation(&target, &x, &pair, None)?;
    assert_near(&values(&found), &[6., 11., 11., 1., 2., 2.]);
    // All in one segment.
    let one = Tensor::new(&[0u32, 0, 0], &Device::Cpu)?;
    let found = kernel_shap(&target, &x, &one, None, &KernelShap::default())?;
    assert_near(&values(&found.attribution), &[11., 11., 11., 2., 2., 2.]);
    Ok(())
}

/// Of a sum without products every regression on enough coalitions finds the terms.
#[test]
fn drawn_coalitions_find_a_linear_models_terms() -> AnyResult {
    let weights: Vec<f64> = (0..8).map(|i| f64::from(i) - 3.5).collect();
    let column = tensor(&weights, &[8, 1]);
    let target = Target::new(|x: &Tensor| x.matmul(&column), 0);
    let x = tensor(&[1.; 8], &[1, 8]);
    let segments = Tensor::arange(0u32, 8, &Device::Cpu)?;
    let options = KernelShap { samples: 60, seed: 4 };
    assert!(!options.is_exact(8));
    let found = kernel_shap(&target, &x, &segments, None, &options)?;
    assert_near(&values(&found.attribution), &weights);
    let few = KernelShap { samples: 4, seed: 4 };
    let error = kernel_shap(&target, &x, &segments, None, &few).unwrap_err();
    assert!(matches!(error, Error::Degenerate(_)), "{error}");
    Ok(())
}

#[test]
fn deep_lift_agrees_with_captum_and_adds_up() -> AnyResult {
    let golden = Golden::load()?;
    let (layers, x, baseline) = (golden.layers()?, golden.get("x"), golden.get("baseline"));
    let lift =
        |options: &DeepLift| layers.clone().batch(2).deep_lift(x, TARGET, Some(baseline), options);
    golden.agrees("deep_lift", &lift(&DeepLift::default())?.attribution, EXACT);
    golden.agrees(
        "deep_lift",
        &layers.deep_lift(x, TARGET, Some(baseline), &DeepLift::default())?.attribution,
        EXACT,
    );
    let f = |x: &Tensor| -> AnyResult<Vec<f64>> { Ok(values(&layers.target(TARGET).values(x)?)) };
    let (at_x, at_baseline) = (f(x)?, f(baseline)?);
    let dense = DeepLift { named: vec![("relu8".into(), DeepLiftRule::RevealCancel)], ..lifted() };
    let everywhere = DeepLift { rule: DeepLiftRule::RevealCancel, named: vec![] };
    let mut all = vec![];
    for options in [lifted(), dense, everywhere] {
        let found = lift(&options)?;
        let sums = found.attribution.flatten_from(1)?.sum(1)?.to_vec1::<f64>()?;
        for (i, sum) in sums.iter().enumerate() {
            assert!((sum - (at_x[i] - at_baseline[i])).abs() < EXACT, "{options:?}: {sum}");
            assert!(found.convergence_delta[i].abs() < EXACT);
        }
        all.push(values(&found.attribution));
    }
    assert!(all[0] != all[1] && all[1] != all[2]);
    Ok(())
}

fn lifted() -> DeepLift {
    DeepLift::default()
}

/// The paper's example min(i₁, i₂) = i₁ - ReLU(i₁ - i₂). Rescale gives all to the smaller one,
/// reveal-cancel half to each.
#[test]
fn reveal_cancel_shares_a_minimum() -> AnyResult {
    let layers = Layers::new()
        .linear("first", &tensor(&[1., 0., 1., -1.], &[2, 2]), None)?
        .relu("relu")?
        .linear("second", &tensor(&[1., -1.], &[1, 2]), None)?
        .model()?;
    let x = tensor(&[3., 1., 1., 3.], &[2, 2]);
    let rescale = layers.deep_lift(&x, 0, None, &DeepLift::default())?;
    assert_near(&values(&rescale.attribution), &[0., 1., 1., 0.]);
    let options = DeepLift { rule: DeepLiftRule::RevealCancel, named: vec![] };
    let found = layers.deep_lift(&x, 0, None, &options)?;
    // At (3, 1): Δy⁺ = ½·3 + ½·2, Δy⁻ = ½·0 + ½·(2 - 3). At (1, 3): ½·1 + ½·0 and ½·(0 - 1).
    assert_near(&values(&found.attribution), &[0.5, 0.5, 0.5, 0.5]);
    Ok(())
}

#[test]
fn differences_through_maxima_masks_and_sums() -> AnyResult {
    let rescale = DeepLift::default();
    // The maximum goes from 2 to 3 at the first pixel, and from 3 at the first pixel to 1.
    let layers = Layers::new().max_pool("pool", 2)?.flatten("flatten")?.linear(
        "one",
        &tensor(&[1.], &[1, 1]),
        None,
    )?;
    let layers = layers.model()?;
    let x = tensor(&[3., 0., 0., 0., 0., 1., 0., 0.], &[2, 1, 2, 2]);
    let baseline = tensor(&[1., 2., 0., 0., 3., 0., 0., 0.], &[2, 1, 2, 2]);
    let found = layers.deep_lift(&x, 0, Some(&baseline), &rescale)?;
    assert_near(&values(&found.attribution), &[1., 0., 0., 0., -2., 0., 0., 0.]);

    // 4·M·z₀ with M = sigmoid(z₁), from ½·0 to ¾·2: z₀ gets 4·⅝·2, z₁ gets 4·1·¼.
    let gate = tensor(&[0., 1., 0., 0.], &[2, 2, 1, 1]);
    let layers = Layers::new()
        .gate("masks", &gate, &tensor(&[0., 0.], &[2]))?
        .global_average_pool("pool")?
        .readout("readout", &tensor(&[4., 0.], &[1, 2]), &tensor(&[0.], &[1]))?
        .model()?;
    let x = tensor(&[2., 3f64.ln()], &[1, 2, 1, 1]);
    let found = layers.deep_lift(&x, 0, None, &rescale)?;
    assert_near(&values(&found.attribution), &[5., 1.]);
    assert_near(&found.convergence_delta, &[0.]);

    // x + ReLU(x - 1), from 0 to 3 + 2: the ReLU of -1 to 2 has the multiplier ⅔.
    let (weight, bias) = (tensor(&[1.], &[1, 1]), tensor(&[-1.], &[1]));
    let layers = Layers::new()
        .residual("sum", |branch| branch.linear("shift", &weight, Some(&bias))?.relu("relu"))?
        .model()?;
    let found = layers.deep_lift(&tensor(&[3.], &[1, 1]), 0, None, &rescale)?;
    assert_near(&values(&found.attribution), &[5.]);
    Ok(())
}

#[test]
fn superpixels_are_those_of_scikit_image() -> AnyResult {
    let golden = Golden::load()?;
    for (name, segments, compactness) in
        [("blobs", 24, 10.), ("blobs.loose", 12, 1.), ("squares", 12, 0.1)]
    {
        let options = Slic { segments, compactness, ..Slic::default() };
        let image = golden.get(&format!("slic.{name}.image"));
        let found = slic(image, &options)?;
        let expected = golden.numbers(&format!("slic.{name}"))?.concat();
        let found: Vec<usize> =
            found.flatten_all()?.to_vec1::<u32>()?.into_iter().map(|s| s as usize).collect();
        let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
        println!("| slic.{name} | {same} of {} pixels |", expected.len());
        assert_eq!(found, expected, "{name}");
    }
    // A segment map as the methods take it.
    let image = golden.get("slic.blobs.image");
    let segments = slic(image, &Slic::default())?;
    let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let found = feature_ablation(&target, &image.unsqueeze(0)?, &segments, None)?;
    assert_eq!(found.dims(), [1, 3, 20, 26]);
    Ok(())
}

/// z = 2x, masks of ½: f = 3·mean x, each of four pixels adds ¾ of itself.
#[test]
fn maps_of_the_methods_beside_the_study() -> AnyResult {
    let zero = tensor(&[0.], &[1]);
    let layers = Layers::new()
        .conv2d("conv", &tensor(&[2.], &[1, 1, 1, 1]), None, Conv2d::default())?
        .leaky_relu(FEATURES, 1.)?
        .gate("heads.masks", &tensor(&[0.], &[1, 1, 1, 1]), &zero)?
        .global_average_pool("heads.pool")?
        .readout("heads.readout", &tensor(&[3.], &[1, 1]), &zero)?
        .model()?;
    let x = tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]);
    let explainer = Explainer {
        steps: 4,
        grid: 2,
        lime_samples: 50,
        seed: 7,
        region_maps: HashMap::new(),
        references: Some(tensor(&[0.; 4], &[1, 1, 2, 2])),
        cam_node: None,
        attention_node: None,
        composite: None,
    };
    for method in [
        Method::Occlusion,
        Method::FeatureAblation,
        Method::ExpectedGradients,
        Method::KernelShap,
        Method::ShapleySampling,
        Method::DeepLift,
    ] {
        let map = explainer.maps(method, &layers, &x, &[5], 0)?;
        assert_eq!(map.dims(), [1, 2, 2], "{method:?}");
        assert_near(&values(&map), &[0.75, 1.5, 2.25, 3.]);
    }
    for method in [Method::GradientShap, Method::Rise] {
        let map = explainer.maps(method, &layers, &x, &[5], 0)?;
        assert_eq!(map.dims(), [1, 2, 2], "{method:?}");
        assert_eq!(values(&map), values(&explainer.maps(method, &layers, &x, &[5], 0)?));
    }
    let without = Explainer { references: None, ..explainer };
    let error = without.maps(Method::GradientShap, &layers, &x, &[5], 0).unwrap_err();
    assert!(error.to_string().contains("Explainer::references"), "{error}");
    Ok(())
}

#[test]
fn wrong_input_is_refused() -> AnyResult {
    let target = Target::new(product_and_sum, 0);
    let x = tensor(&[2., 3., 5.], &[1, 3]);
    for (window, strides) in [
        (vec![4], vec![1]),
        (vec![0], vec![1]),
        (vec![2], vec![3]),
        (vec![2], vec![0]),
        (vec![1, 1], vec![1, 1]),
    ] {
        let options = Occlusion { window, strides };
        assert!(occlusion(&target, &x, None, &options).is_err(), "{options:?}");
    }
    let gap = Tensor::new(&[0u32, 2, 2], &Device::Cpu)?;
    assert!(feature_ablation(&target, &x, &gap, None).is_err());
    let each = Tensor::new(&[0u32, 1, 2], &Device::Cpu)?;
    for kept in [vec![true; 3], vec![false; 3], vec![true, false]] {
        let given = |_| vec![Coalition { kept: kept.clone(), weight: 1. }];
        assert!(kernel_shap_with_coalitions(&target, &x, &each, None, given).is_err(), "{kept:?}");
    }
    for order in [vec![], vec![0, 1], vec![0, 1, 1], vec![0, 1, 3]] {
        let given = |_| vec![order.clone()];
        let found = shapley_sampling_with_permutations(&target, &x, &each, None, given);
        assert!(found.is_err(), "{order:?}");
    }
    assert!(shapley_sampling_with_permutations(&target, &x, &each, None, |_| vec![]).is_err());
    for draw in [(1, 0.5), (0, 1.5), (0, f64::NAN)] {
        assert!(expected_gradients_with_draws(&target, &x, &x, |_| vec![draw]).is_err());
    }
    assert!(gradient_shap(&target, &x, &tensor(&[1.], &[1, 1]), &GradientShap::default()).is_err());
    assert!(rise(&target, &x, None, &Rise::default()).is_err(), "no images");
    assert!(slic(&x, &Slic::default()).is_err(), "no image");
    let options = Slic { compactness: 0., ..Slic::default() };
    assert!(slic(&tensor(&[1.; 4], &[1, 2, 2]), &options).is_err());

    let layers = Layers::new().linear("linear", &tensor(&[1.; 3], &[1, 3]), None)?.model()?;
    let rule =
        |name: &str| DeepLift { named: vec![(name.into(), DeepLiftRule::Rescale)], ..lifted() };
    let error = layers.deep_lift(&x, 0, None, &rule("linear")).unwrap_err();
    assert!(matches!(&error, Error::Layer { layer, .. } if layer == "linear"), "{error}");
    let error = layers.deep_lift(&x, 0, None, &rule("none")).unwrap_err();
    assert!(matches!(error, Error::NoLayer { .. }), "{error}");
    Ok(())
}
