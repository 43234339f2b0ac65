//! Each method on a case that can be followed with pencil and paper.

use candle_core::{D, Device, Result as CandleResult, Tensor};
use foresee_attribution::*;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn row(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), (1, values.len()), &Device::Cpu).unwrap()
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    assert!(
        got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9),
        "{got:?}, not {expected:?}"
    );
}

/// f = x₀² + 3x₁ - x₀x₁ in column 1, whose gradient is (2x₀ - x₁, 3 - x₀).
fn quadratic(x: &Tensor) -> CandleResult<Tensor> {
    let (a, b) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let f = ((a.sqr()? + (&b * 3.)?)? - (&a * &b)?)?;
    Tensor::cat(&[f.zeros_like()?, f], 1)
}

#[test]
fn gradients() -> AnyResult {
    let (target, x) = (Target::new(quadratic, 1), row(&[2., 5.]));
    assert_near(&values(&target.values(&x)?), &[9.]);
    assert_near(&values(&target.gradient(&x)?), &[-1., 1.]);
    assert_near(&values(&sensitivity(&target, &x)?), &[1., 1.]);
    assert_near(&values(&input_x_gradient(&target, &x)?), &[-2., 5.]);
    // Over α the mean gradient is (x₀ - x₁/2, 3 - x₀/2) = (-0.5, 2).
    for quadrature in [Quadrature::GaussLegendre, Quadrature::Midpoint] {
        let integrated =
            integrated_gradients(&target, &x, None, &IntegratedGradients { steps: 3, quadrature })?;
        assert_near(&values(&integrated.attribution), &[-1., 10.]);
        assert_near(&integrated.gap, &[0.]);
    }
    // Where x₀ is 3 and 1 the gradient is (1, 0) and (-3, 2).
    let under = |statistic| {
        smooth_grad_under(
            |x| target.gradient(x),
            &x,
            [Ok(row(&[1., 0.])), Ok(row(&[-1., 0.]))],
            statistic,
        )
    };
    assert_near(&values(&under(Statistic::Mean)?), &[-1., 1.]);
    assert_near(&values(&under(Statistic::MeanSquare)?), &[5., 2.]);
    assert_near(&values(&under(Statistic::Variance)?), &[4., 1.]);
    Ok(())
}

#[test]
fn smooth_grads_noise_has_its_deviation_and_is_decided_by_the_seed() -> AnyResult {
    // The gradient of x²/2 is x: its variance is that of the noise, here 0.1 of the range 4 - 1.
    let target = Target::new(|x: &Tensor| (x.sqr()? / 2.)?.sum_keepdim(D::Minus1), 0);
    let x = tensor(&[1., 2., 4., 1., 2., 4.], &[2, 3]);
    let options = SmoothGrad {
        samples: 4000,
        deviation: Deviation::OfRange(0.1),
        statistic: Statistic::Variance,
        seed: 5,
    };
    let variances = smooth_grad(|x| target.gradient(x), &x, &options)?;
    // The variance of a variance of n normal values is 2σ⁴/n.
    assert!(
        values(&variances).iter().all(|v| (v / 0.09 - 1.).abs() < 5. * (2. / 4000f64).sqrt()),
        "{variances}"
    );
    let again = smooth_grad(|x| target.clone().batch(1).gradient(x), &x, &options)?;
    assert_eq!(values(&again), values(&variances));
    let other = smooth_grad(|x| target.gradient(x), &x, &SmoothGrad { seed: 6, ..options })?;
    assert_ne!(values(&other), values(&variances));
    Ok(())
}

#[test]
fn channels_become_one_number() -> AnyResult {
    let attribution = tensor(&[3., -1., -4., 0.], &[1, 2, 1, 2]);
    assert_near(&values(&per_pixel(&attribution, Reduce::Norm)?), &[5., 1.]);
    assert_near(&values(&per_pixel(&attribution, Reduce::Sum)?), &[-1., -1.]);
    assert_near(&values(&per_pixel(&attribution, Reduce::MaxAbs)?), &[4., 1.]);
    Ok(())
}

#[test]
fn cams() -> AnyResult {
    // f = 2·mean A₀ - mean A₁ over two pixels.
    let (a, w) = (tensor(&[1., 2., 3., 4.], &[1, 2, 1, 2]), tensor(&[2., -1.], &[2]));
    let model = Split::new(
        |x: &Tensor| Ok(x.clone()),
        |z: &Tensor| z.mean((2, 3))?.broadcast_mul(&w)?.sum_keepdim(1),
    );
    assert_near(&values(&cam(&a, &w)?), &[-1., 0.]);
    assert_near(
        &values(&grad_cam(&model, &a, 0, &GradCam { relu: false, ..Default::default() })?),
        &[-0.5, 0.],
    );
    assert_near(&values(&grad_cam(&model, &a, 0, &GradCam::default())?), &[0., 0.]);
    // g₀ = 1: α = 1/(2 + 3) at both pixels, and they add up to 0.4; g₁ < 0 counts for nothing.
    assert_near(&values(&grad_cam_plus_plus(&model, &a, 0, &GradCam::default())?), &[0.4, 0.8]);
    // Behind a gradient of 1e-20, whose cube is 0 in f32, α is 1/2: of both pixels together 1e-20.
    let faint =
        Split::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.sum((2, 3))?.affine(1e-20, 0.));
    let a32 = a.narrow(1, 0, 1)?.to_dtype(candle_core::DType::F32)?;
    let map = values(
        &grad_cam_plus_plus(&faint, &a32, 0, &GradCam::default())?
            .to_dtype(candle_core::DType::F64)?,
    );
    assert!((map[0] / 1e-20 - 1.).abs() < 1e-6 && (map[1] / 2e-20 - 1.).abs() < 1e-6, "{map:?}");
    // Where ΣA = -2 and g = 1 there is no α.
    let (pole, sum) = (
        tensor(&[-1.5, -0.5], &[1, 1, 1, 2]),
        Split::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.sum((2, 3))),
    );
    assert_near(
        &values(&grad_cam_plus_plus(
            &sum,
            &pole,
            0,
            &GradCam { relu: false, ..Default::default() },
        )?),
        &[0., 0.],
    );
    assert_near(
        &values(&resize(&cam(&a, &w)?, 2, 4, Interpolation::Nearest)?),
        &[-1., -1., 0., 0., -1., -1., 0., 0.],
    );
    assert_near(
        &values(&resize(&cam(&a, &w)?, 1, 4, Interpolation::Bilinear)?),
        &[-1., -0.75, -0.25, 0.],
    );
    Ok(())
}

/// h = (x₀ + 2x₁, 3x₀ + x₁), ReLU, h₀ - h₁: at (1, 1) h = (3, 4), f = -1.
fn two_layers() -> Result<Layers> {
    let first = tensor(&[1., 2., 3., 1.], &[2, 2]);
    Layers::new().linear("first", &first, None)?.relu("relu")?.linear(
        "second",
        &row(&[1., -1.]),
        None,
    )
}

#[test]
fn guided_backpropagation_follows_only_what_speaks_for_the_output() -> AnyResult {
    let x = row(&[1., 1.]);
    assert_near(&values(&two_layers()?.gradient(&x, 0)?), &[-2., 1.]);
    assert_near(&values(&guided_backprop(&two_layers()?, &x, 0)?), &[1., 2.]);
    Ok(())
}

#[test]
fn relevance() -> AnyResult {
    let x = row(&[1., 1.]);
    // h takes (3, -4); of 3 a third is x₀'s, of -4 three quarters are.
    let epsilon = lrp(&two_layers()?, &x, 0, &Composite::epsilon(0.))?;
    assert_near(&values(&epsilon.attribution), &[-2., 1.]);
    assert_near(&epsilon.output, &[-1.]);
    assert!(
        epsilon.layers.iter().all(|layer| layer.relevance == [-1.]
            && layer.bias == [0.]
            && layer.stabilizer == [0.]),
        "{:?}",
        epsilon.layers
    );
    assert_eq!(
        epsilon.layers.iter().map(|l| &l.layer[..]).collect::<Vec<_>>(),
        ["second", "relu", "first"]
    );
    // z⁺: only h₀ has a positive weight.
    let plus =
        Composite { stabilizer: 0., ..Composite::new(Rule::AlphaBeta { alpha: 1., beta: 0. }) };
    assert_near(&values(&lrp(&two_layers()?, &x, 0, &plus)?.attribution), &[-1. / 3., -2. / 3.]);
    // α = 2, β = 1: h takes (-2, +1).
    let both = Composite {
        named: vec![("second".into(), Rule::AlphaBeta { alpha: 2., beta: 1. })],
        stabilizer: 0.,
        ..Composite::epsilon(0.)
    };
    assert_near(
        &values(&lrp(&two_layers()?, &x, 0, &both)?.attribution),
        &[-2. / 3. + 3. / 4., -4. / 3. + 1. / 4.],
    );

    // f = 2·1 - 0.5 = 1.5.
    let (one, x) = (Layers::new().linear("only", &row(&[2., -1.]), None)?, row(&[1., 0.5]));
    let rule = |rule| Composite { stabilizer: 0., ..Composite::new(rule) };
    // In the box [0, 1]: contributions 2 - 0 and -0.5 + 1.
    let z_box = rule(Rule::ZBox { low: tensor(&[0.], &[1]), high: tensor(&[1.], &[1]) });
    assert_near(&values(&lrp(&one, &x, 0, &z_box)?.attribution), &[1.2, 0.3]);
    assert_near(&values(&lrp(&one, &x, 0, &rule(Rule::Flat))?.attribution), &[0.75, 0.75]);
    // γ = 1 doubles what is positive: 4 of 4 - 0.5.
    assert_near(
        &values(&lrp(&one, &x, 0, &rule(Rule::Gamma { gamma: 1. }))?.attribution),
        &[1.5 * 4. / 3.5, -1.5 * 0.5 / 3.5],
    );
    // ε = 0.5 takes a quarter.
    let damped = lrp(&one, &x, 0, &rule(Rule::Epsilon { epsilon: 0.5 }))?;
    assert_near(&values(&damped.attribution), &[1.5, -0.375]);
    assert_near(&damped.layers[0].stabilizer, &[0.375]);
    Ok(())
}

/// x = ((1, 3), (0, 2)) through a pool, f = 2·pooled.
#[test]
fn relevance_through_pools() -> AnyResult {
    let x = tensor(&[1., 3., 0., 2.], &[1, 1, 2, 2]);
    let composite = Composite { stabilizer: 0., ..Composite::epsilon(0.) };
    let pooled = |layers: Layers| layers.flatten("flat")?.linear("last", &row(&[2.]), None);
    let through = |layers: Layers| -> AnyResult<Vec<f64>> {
        Ok(values(&lrp(&pooled(layers)?, &x, 0, &composite)?.attribution))
    };
    // f = 2·6/4 = 3, to each pixel by its value.
    assert_near(&through(Layers::new().average_pool("pool", 2)?)?, &[0.5, 1.5, 0., 1.]);
    assert_near(&through(Layers::new().global_average_pool("pool")?)?, &[0.5, 1.5, 0., 1.]);
    // f = 2·3, all of it the maximum's.
    assert_near(&through(Layers::new().max_pool("pool", 2)?)?, &[0., 6., 0., 0.]);
    // Equal maxima share.
    let tied = lrp(
        &pooled(Layers::new().max_pool("pool", 2)?)?,
        &tensor(&[3., 3., 0., 2.], &[1, 1, 2, 2]),
        0,
        &composite,
    )?;
    assert_near(&values(&tied.attribution), &[3., 3., 0., 0.]);
    Ok(())
}

#[test]
fn relevance_through_a_residual_branch() -> AnyResult {
    // The branch exchanges x₀ and x₁: x + branch(x) = (3, 3), f = 2·3 + 3.
    let branch = Layers::new().linear("exchange", &tensor(&[0., 1., 1., 0.], &[2, 2]), None)?;
    let layers = Layers::new().residual("sum", branch)?.linear("last", &row(&[2., 1.]), None)?;
    let found =
        lrp(&layers, &row(&[1., 2.]), 0, &Composite { stabilizer: 0., ..Composite::epsilon(0.) })?;
    // (6, 3) goes to x as (2, 2) directly, and through the branch, whose outputs (2, 1) take (4,
    // 1), as (1, 4).
    assert_near(&values(&found.attribution), &[3., 6.]);
    assert_near(&found.layers.iter().map(|l| l.relevance[0]).collect::<Vec<_>>(), &[9., 5., 9.]);
    Ok(())
}

/// Where a sum is exactly 0, ε = 0 shares nothing and counts what is lost.
#[test]
fn relevance_of_a_sum_of_zero_is_lost_and_counted() -> AnyResult {
    // h = (x₀ - x₁, x₀) = (0, 1), each with a bias of 1 that takes no part: f = 1 + 2·2 = 5.
    let first = tensor(&[1., -1., 1., 0.], &[2, 2]);
    let layers = Layers::new().linear("first", &first, Some(&tensor(&[1., 1.], &[2])))?.linear(
        "last",
        &row(&[1., 2.]),
        None,
    )?;
    let found =
        lrp(&layers, &row(&[1., 1.]), 0, &Composite { stabilizer: 0., ..Composite::epsilon(0.) })?;
    assert_near(&values(&found.attribution), &[4., 0.]);
    assert_near(&[found.layers[1].relevance[0], found.layers[1].stabilizer[0]], &[4., 1.]);
    let infinite = lrp(&layers, &row(&[f64::INFINITY, 1.]), 0, &Composite::epsilon(0.));
    assert!(matches!(infinite, Err(Error::NotFinite(_))), "{infinite:?}");
    Ok(())
}

#[test]
fn guided_grad_cam_is_the_product_of_both() -> AnyResult {
    // A = (x, 2x), f = 3·mean A₀ - mean A₁ over two pixels: ∂f/∂A = (3/2, -1/2).
    let layers = Layers::new()
        .conv2d("conv", &tensor(&[1., 2.], &[2, 1, 1, 1]), None, Conv2d::default())?
        .relu("relu")?;
    let layers = layers.global_average_pool("gap")?.linear("last", &row(&[3., -1.]), None)?;
    let x = tensor(&[1., 2.], &[1, 1, 1, 2]);
    // Of the gradient 3/2 - 1 only 3/2 comes through the ReLU; Grad-CAM is 3/2·x - 1/2·2x.
    assert_near(&values(&layers.gradient(&x, 0)?), &[0.5, 0.5]);
    assert_near(&values(&guided_backprop(&layers, &x, 0)?), &[1.5, 1.5]);
    assert_near(&values(&grad_cam(&layers.at("relu")?, &x, 0, &GradCam::default())?), &[0.5, 1.]);
    assert_near(
        &values(&guided_grad_cam(&layers, "relu", &x, 0, Interpolation::Nearest)?),
        &[0.75, 1.5],
    );
    Ok(())
}

#[test]
fn a_bias_takes_relevance_only_if_it_may() -> AnyResult {
    let layers = Layers::new().linear("only", &row(&[2.]), Some(&tensor(&[1.], &[1])))?;
    let ignored = lrp(&layers, &row(&[1.]), 0, &Composite::epsilon(0.))?;
    assert_near(&values(&ignored.attribution), &[3.]);
    let absorbed =
        lrp(&layers, &row(&[1.]), 0, &Composite { bias: Bias::Absorb, ..Composite::epsilon(0.) })?;
    assert_near(&values(&absorbed.attribution), &[2.]);
    assert_near(&absorbed.layers[0].bias, &[1.]);
    Ok(())
}

/// Two attributes on two channels of one row of two pixels.
fn masked() -> Result<Layers> {
    // M^0 is 1/2 everywhere; M^1 = sigmoid(z₀) for both channels.
    let weight = tensor(&[0., 0., 0., 0., 1., 0., 1., 0.], &[4, 2, 1, 1]);
    let layers = Layers::new()
        .gate("masks", &weight, &tensor(&[0.; 4], &[4]))?
        .global_average_pool("gap")?;
    layers.readout("readout", &tensor(&[3., 1., 1., 2.], &[2, 2]), &tensor(&[0.5, 0.], &[2]))
}

#[test]
fn through_a_mask_the_signal_takes_all_relevance() -> AnyResult {
    let z = tensor(&[0., 2., 4., -2.], &[1, 2, 1, 2]);
    // Attribute 0: M ⊗ z = (0, 1), (2, -1); means 1/2 and 1/2; f = 3/2 + 1/2 + 0.5.
    let layers = masked()?;
    assert_near(&values(&layers.forward(&z)?)[..1], &[2.5]);
    let composite = Composite { stabilizer: 0., ..Composite::epsilon(0.) };
    let relevance = lrp(&layers, &z, 0, &composite)?;
    // Without its bias the logit is 2; each contribution is scaled by 2.5/2.
    assert_near(&values(&relevance.attribution), &[0., 1.875, 1.25, -0.625]);
    // The gradient knows the mask, too: M^1 rises with z₀.
    let target = layers.target(1);
    assert!(target.gradient_error(&z, 4, 1e-5)? < 1e-9);
    assert_near(&values(&layers.gradient(&z, 1)?), &values(&target.gradient(&z)?));
    // The paper's masks.
    assert_near(&values(&layers.mask_map(&z, 0, MaskWeights::Mean)?), &[0.5, 0.5]);
    assert_near(&values(&layers.mask_map(&z, 0, MaskWeights::Readout)?), &[2., 2.]);
    let adds = values(&layers.mask_map(&z, 0, MaskWeights::Contribution)?);
    assert_near(&adds, &[2., 2.]);
    assert_near(&[adds.iter().sum::<f64>() / 2. + 0.5], &[2.5]);
    Ok(())
}

/// candle's own gradient of a convolution with steps fails where height and width leave different
/// rests.
#[test]
fn steps_and_pools_that_leave_a_rest_have_right_gradients() -> AnyResult {
    let many = |n: usize| {
        tensor(&(0..n).map(|i| (1.3 * (i * i) as f64 + 0.4).sin()).collect::<Vec<_>>(), &[n])
    };
    let weight = many(3 * 2 * 9).reshape((3, 2, 3, 3))?;
    for (stride, padding, dilation) in [(2, 1, 1), (3, 0, 1), (2, 2, 2), (1, 3, 1), (1, 0, 2)] {
        let options = Conv2d { stride, padding, dilation };
        let layers = Layers::new()
            .conv2d("conv", &weight, None, options)?
            .max_pool("max", 1)?
            .average_pool("mean", 2)?;
        let layers = layers.flatten("flat")?.other("sum", |x| x.sqr()?.sum_keepdim(1))?;
        let x = many(2 * 10 * 11).reshape((1, 2, 10, 11))?;
        let gradient = values(&layers.gradient(&x, 0)?);
        for at in (0..220).step_by(7) {
            let step = |by: f64| -> AnyResult<f64> {
                let mut moved = values(&x);
                moved[at] += by;
                Ok(values(&layers.forward(&tensor(&moved, &[1, 2, 10, 11]))?)[0])
            };
            let quotient = (step(1e-5)? - step(-1e-5)?) / 2e-5;
            assert!(
                (quotient - gradient[at]).abs() < 1e-7,
                "{options:?}, entry {at}: {quotient}, not {}",
                gradient[at]
            );
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_done_is_named() -> AnyResult {
    let layers = two_layers()?.other("tanh", |x| x.tanh())?;
    let error = lrp(&layers, &row(&[1., 1.]), 0, &Composite::epsilon(1e-6)).unwrap_err();
    assert!(
        matches!(&error, Error::Layer { layer, method: "LRP", .. } if layer == "tanh"),
        "{error}"
    );
    // Gradients do go through.
    assert!(layers.target(0).gradient_error(&row(&[0.3, -0.1]), 2, 1e-5)? < 1e-8);
    assert_near(
        &values(&layers.gradient(&row(&[0.3, -0.1]), 0)?),
        &values(&layers.target(0).gradient(&row(&[0.3, -0.1]))?),
    );
    let ones = tensor(&[1., 1.], &[2]);
    let norm = BatchNorm {
        weight: ones.clone(),
        bias: ones.clone(),
        mean: ones.clone(),
        variance: ones,
        epsilon: 1e-5,
    };
    let error = Layers::new()
        .linear("first", &row(&[1., 1.]), None)?
        .relu("relu")?
        .batch_norm("norm", &norm)
        .unwrap_err();
    assert!(error.to_string().contains("relu"), "{error}");
    assert!(matches!(two_layers()?.at("third").unwrap_err(), Error::NoLayer { .. }));
    assert!(
        matches!(masked()?.cam("masks", &tensor(&[0.; 4], &[1, 2, 1, 2]), 0).unwrap_err(), Error::Layer { layer, .. } if layer == "readout")
    );
    let x = row(&[1., 1.]);
    assert!(matches!(
        Target::new(quadratic, 2).gradient(&x).unwrap_err(),
        Error::Target { target: 2, .. }
    ));
    assert!(matches!(
        Target::new(|x: &Tensor| quadratic(&x.detach()), 0).gradient(&x).unwrap_err(),
        Error::NoGradient(_)
    ));
    let target = Target::new(quadratic, 1);
    assert!(matches!(
        integrated_gradients(&target, &x, Some(&row(&[1., 2., 3.])), &Default::default())
            .unwrap_err(),
        Error::Shape { .. }
    ));
    assert!(
        integrated_gradients(
            &target,
            &x,
            None,
            &IntegratedGradients { steps: 0, ..Default::default() }
        )
        .is_err()
    );
    assert!(
        lrp(&two_layers()?, &x, 0, &Composite::new(Rule::AlphaBeta { alpha: 2., beta: 2. }))
            .is_err()
    );
    let gap = Tensor::new(&[0u32, 4_000_000_000], &Device::Cpu)?;
    assert!(matches!(
        lime(&target, &x, &gap, None, &Lime::default()).unwrap_err(),
        Error::Parameter { parameter: "segments", .. }
    ));
    let infinite = tensor(&[f64::INFINITY; 20], &[10, 2]);
    assert!(
        global_surrogate(&infinite, &tensor(&[1.; 10], &[10]), &SurrogateOptions::default())
            .is_err()
    );
    assert!(guided_backprop(&Layers::new().linear("only", &row(&[1., 1.]), None)?, &x, 0).is_err());
    // A name stands for one layer, inside of branches or outside.
    for name in ["first", "sum"] {
        let branch = Layers::new().leaky_relu(name, 0.1)?;
        assert!(two_layers()?.residual("sum", branch).is_err_and(|e| e.to_string().contains(name)));
    }
    assert!(Layers::new().residual("sum", Layers::new().relu("inner")?)?.relu("inner").is_err());
    assert!(pointing_game(&tensor(&[], &[1, 0, 2]), &tensor(&[], &[1, 0, 2]), 0.).is_err());
    assert!(target.gradient_error(&x, 0, 1e-5).is_err());
    // A model that is not a number beside x has no gradient error that is small.
    let edge = Target::new(|x: &Tensor| x.sqrt()?.sum_keepdim(1), 0);
    assert!(matches!(edge.gradient_error(&row(&[1., 1e-6]), 2, 1e-5), Err(Error::NotFinite(_))));
    Ok(())
}

#[test]
fn permuting_what_is_not_used_changes_nothing() -> AnyResult {
    // The model answers x₀ and is right; of two inputs a permutation leaves all (error 0) or swaps
    // (error 1).
    let x = tensor(&[0., 7., 1., 9.], &[2, 2]);
    let parts = [Part::index("used", &[2], 0)?, Part::index("ignored", &[2], 1)?];
    let error = |f: &Tensor| Ok((f - x.narrow(1, 0, 1)?)?.sqr()?.mean_all()?.to_scalar::<f64>()?);
    let options = Permutation { repeats: 20, batch: 1, seed: 0 };
    let found = permutation_importance(|x| x.narrow(1, 0, 1), error, &x, &parts, &options)?;
    assert!(
        [0., 1.].iter().all(|e| found[0].permuted.contains(e))
            && found[0].permuted.iter().all(|e| *e == 0. || *e == 1.),
        "{:?}",
        found[0]
    );
    assert!(found[0].increase() > 0. && found[0].deviation() > 0.);
    assert_eq!((found[1].increase(), found[1].deviation()), (0., 0.));
    // Several errors at once are those of each alone.
    let both = |f: &Tensor| Ok(vec![error(f)?, 2. * error(f)?]);
    let several = permutation_importances(|x| x.narrow(1, 0, 1), both, &x, &parts, &options)?;
    assert_eq!((&several[0][0], &several[1][0]), (&found[0], &found[1]));
    assert_eq!(several[0][1].increase(), 2. * found[0].increase());
    // Regions of images: the model sees the left half alone.
    let images = tensor(&(0..24).map(|i| f64::from(i * i % 7)).collect::<Vec<_>>(), &[3, 2, 2, 2]);
    let halves = Part::grid(&[2, 2, 2], 1, 2)?;
    let left = |x: &Tensor| x.narrow(3, 0, 1)?.sum((1, 2));
    let error = |f: &Tensor| Ok((f - left(&images)?)?.sqr()?.mean_all()?.to_scalar::<f64>()?);
    let found = permutation_importance(left, error, &images, &halves, &options)?;
    assert!(found[0].increase() > 0. && found[1].increase() == 0.);
    Ok(())
}

#[test]
fn dependence() -> AnyResult {
    let target =
        Target::new(|x: &Tensor| x.narrow(1, 0, 1)?.sqr()? + x.narrow(1, 1, 1)?, 0).batch(1);
    let (x, part) = (tensor(&[5., 1., 5., 3.], &[2, 2]), Part::index("first", &[2], 0)?);
    let found = partial_dependence(&target, &x, &part, &[0., 1., 2.])?;
    assert_eq!(found.curves, [[1., 2., 5.], [3., 4., 7.]]);
    assert_near(&found.mean(), &[2., 3., 6.]);
    assert_near(&found.deviation(), &[2f64.sqrt(); 3]);
    assert_near(&found.centred().deviation(), &[0.; 3]);
    assert_near(&quantile_grid(&x, &Part::index("second", &[2], 1)?, 3)?, &[1., 2., 3.]);
    assert_near(&quantile_grid(&x, &part, 3)?, &[5.]);
    Ok(())
}

#[test]
fn lime_finds_a_linear_models_terms() -> AnyResult {
    let target = Target::new(|x: &Tensor| x.matmul(&tensor(&[3., -1.], &[2, 1])), 0).batch(3);
    let segments = Tensor::new(&[0u32, 1], &Device::Cpu)?;
    // All four samples, of (nearly) equal weight: ZᵀZ about its mean is the unit matrix.
    let all = || vec![vec![false, false], vec![true, false], vec![false, true], vec![true, true]];
    let options = |penalty| Lime { penalty, width: 1e6, ..Default::default() };
    let fit = |penalty| {
        lime_under(&target, &row(&[1., 1.]), &segments, None, |_| all(), &options(penalty))
            .map(|result| result.fits[0].clone())
    };
    assert_near(&fit(Penalty::Ridge { alpha: 0. })?.weights, &[3., -1.]);
    assert_near(&[fit(Penalty::Ridge { alpha: 0. })?.r2], &[1.]);
    assert_near(&fit(Penalty::Ridge { alpha: 1. })?.weights, &[1.5, -0.5]);
    // Of the mean square each term is a quarter: the lasso takes 4α from each.
    assert_near(&fit(Penalty::Lasso { alpha: 0.1 })?.weights, &[2.6, -0.6]);
    // Drawn samples; entries of a segment share its weight.
    let target = Target::new(|x: &Tensor| x.matmul(&tensor(&[3., -1., 2.], &[3, 1])), 0);
    let segments = Tensor::new(&[0u32, 1, 1], &Device::Cpu)?;
    let exact = Lime { penalty: Penalty::Ridge { alpha: 0. }, samples: 50, ..Default::default() };
    let x = tensor(&[1., 1., 1., 0.5, 2., 1.], &[2, 3]);
    assert_near(
        &values(&lime(&target, &x, &segments, None, &exact)?.attribution),
        &[3., 1., 1., 1.5, 0., 0.],
    );
    Ok(())
}

#[test]
fn surrogates_of_what_they_can_say_are_faithful() -> AnyResult {
    let x = tensor(
        &(0..400 * 5).map(|i| (0.7 * f64::from(i * i)).sin()).collect::<Vec<_>>(),
        &[400, 5],
    );
    let column = |j| x.narrow(1, j, 1).and_then(|c| c.squeeze(1));
    let y = (((column(0)? * 2.)? - column(3)?)? + 1.)?;
    let found = global_surrogate(
        &x,
        &y,
        &SurrogateOptions { kind: SurrogateKind::Sparse { columns: 2 }, ..Default::default() },
    )?;
    let SurrogateModel::Sparse(fit) = &found.model else { panic!("a sparse model was asked for") };
    assert!(
        fit.weights.iter().zip([2., 0., 0., -1., 0.]).all(|(a, b)| (a - b).abs() < 1e-6)
            && (fit.intercept - 1.).abs() < 1e-6,
        "{fit:?}"
    );
    assert!(
        found.held_out.r2 > 1. - 1e-9
            && found.held_out.rows == 120
            && found.held_out.agreement == 1.
    );
    // A step needs one split.
    let y = column(2)?.gt(0.3)?.to_dtype(candle_core::DType::F64)?.affine(2., -1.)?;
    let options =
        SurrogateOptions { kind: SurrogateKind::Tree { depth: 1, least: 5 }, ..Default::default() };
    let found = global_surrogate(&x, &y, &options)?;
    let SurrogateModel::Tree(Tree::Split { column, threshold, .. }) = &found.model else {
        panic!("no split was found")
    };
    assert!(*column == 2 && (threshold - 0.3).abs() < 0.05, "{threshold}");
    assert!(found.held_out.agreement > 0.95 && found.fitted.r2 == 1.);
    // Noise cannot be said: rows that were not seen tell.
    let noise = tensor(
        &(0..400).map(|i| (12.9 * f64::from(i * i * i % 1009)).sin()).collect::<Vec<_>>(),
        &[400],
    );
    assert!(global_surrogate(&x, &noise, &options)?.held_out.r2 < 0.1);
    Ok(())
}

#[test]
fn deletion_and_insertion_curves() -> AnyResult {
    let (target, x) = (Target::new(|x: &Tensor| x.sum_keepdim(1), 0).batch(2), row(&[1., 2., 3.]));
    let found = deletion(&target, &x, &x, None, 3)?;
    assert_eq!(found[0].values, [6., 3., 1., 0.]);
    assert_near(&[found[0].area()], &[7. / 3.]);
    let found = insertion(&target, &x, &x, None, 3)?;
    assert_eq!(found[0].values, [0., 3., 5., 6.]);
    assert_near(&[found[0].area()], &[11. / 3.]);
    // Pixels with all channels.
    let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let images = tensor(&[1., 2., 10., 20.], &[1, 2, 1, 2]);
    assert_eq!(
        deletion(&target, &images, &tensor(&[0., 1.], &[1, 1, 2]), None, 2)?[0].values,
        [33., 11., 0.]
    );
    assert!(deletion(&target, &images, &tensor(&[0., f64::NAN], &[1, 1, 2]), None, 2).is_err());
    assert!(
        deletion(&target, &images.narrow(0, 0, 0)?, &tensor(&[], &[0, 1, 2]), None, 2).is_err()
    );
    assert_eq!(Curve { values: vec![2.] }.area(), 2.);
    assert!(Curve { values: vec![] }.area().is_nan());
    Ok(())
}

/// A map that says nothing is scored alike whatever half of the image counts, and every map of a
/// call in the same order.
#[test]
fn equal_pixels_go_in_no_order_of_places() -> AnyResult {
    let (side, half) = (32usize, 32 * 16);
    let inside: [&dyn Fn(usize) -> bool; 4] =
        [&|at| at / 32 < 16, &|at| at / 32 >= 16, &|at| at % 32 < 16, &|at| at % 2 == 0];
    for inside in inside {
        let counts = tensor(
            &(0..side * side).map(|at| f64::from(u8::from(inside(at)))).collect::<Vec<_>>(),
            &[1, side, side],
        );
        let target =
            Target::new(|x: &Tensor| x.broadcast_mul(&counts)?.flatten_from(1)?.sum_keepdim(1), 0);
        let (x, zeros) = (
            tensor(&vec![1.; 2 * side * side], &[2, 1, side, side]),
            tensor(&vec![0.; 2 * side * side], &[2, side, side]),
        );
        let curves = deletion(&target, &x, &zeros, None, 2)?;
        assert_eq!(curves[0], curves[1]);
        // Half of the pixels hold half of those that count, but for chance: the hypergeometric
        // deviation is √(512·½·½·512/1023) = 8.
        assert!((curves[0].values[1] - half as f64 / 2.).abs() < 5. * 8., "{:?}", curves[0]);
    }
    Ok(())
}

#[test]
fn a_blurred_image_keeps_its_colours() -> AnyResult {
    assert_near(&values(&blur(&tensor(&[0.3; 24], &[1, 2, 3, 4]), 1.5)?), &[0.3; 24]);
    // With exp(-1/2σ²) = 1/2 a pixel between two weighs 1/2 : 1 : 1/2, and at the border 1 : 1/2 :
    // 1/16.
    let sigma = (0.5 / 2f64.ln()).sqrt();
    assert_near(
        &values(&blur(&tensor(&[0., 1., 0.], &[1, 1, 1, 3]), sigma)?),
        &[0.5 / 1.5625, 0.5, 0.5 / 1.5625],
    );
    assert_near(
        &values(&blur(&tensor(&[0., 1., 0.], &[1, 1, 3, 1]), sigma)?),
        &[0.5 / 1.5625, 0.5, 0.5 / 1.5625],
    );
    Ok(())
}

#[test]
fn pointing() -> AnyResult {
    let maps = tensor(&[0., 3., -1., 1., 2., 2., 0., 0., 1., 1., 1., 1.], &[3, 2, 2]);
    let regions = tensor(&[0., 1., 0., 0., 1., 0., 0., 0., 0., 0., 0., 0.], &[3, 2, 2]);
    let found = pointing_game(&maps, &regions, 0.)?;
    assert_eq!(found[0], Some(Pointing { hit: 1., energy: 0.75, area: 0.25 }));
    assert_eq!(found[1], Some(Pointing { hit: 0.5, energy: 0.5, area: 0.25 }));
    assert_eq!(found[2], None);
    assert_eq!(pointing_game(&maps, &regions, 1.)?[1].map(|p| p.hit), Some(1.));
    Ok(())
}

#[test]
fn infidelity_and_sensitivity_to_noise() -> AnyResult {
    let (target, x) =
        (Target::new(|x: &Tensor| x.matmul(&tensor(&[2., 3.], &[2, 1])), 0), row(&[1., 1.]));
    let given = || [Ok(row(&[1., 0.])), Ok(row(&[0., 1.]))];
    assert_near(&infidelity_under(&target, &x, &row(&[2., 3.]), given(), Scaling::None)?, &[0.]);
    // Of one perturbation I = (1, 2) that takes 8 from f, φ = (1, 1) says 3.
    let known = || [Ok((row(&[1., 2.]), vec![8.]))];
    assert_near(&infidelity_of_changes(&row(&[1., 1.]), known(), Scaling::None)?, &[25.]);
    assert!(infidelity_of_changes(&row(&[1.]), known(), Scaling::None).is_err());
    assert_near(&infidelity_under(&target, &x, &row(&[0., 0.]), given(), Scaling::None)?, &[6.5]);
    assert_near(&infidelity_under(&target, &x, &row(&[1., 1.5]), given(), Scaling::Best)?, &[0.]);
    // The wrong sign is as good as the right one only where the factor may be negative.
    let wrong = |scaling| infidelity_under(&target, &x, &row(&[-1., -1.5]), given(), scaling);
    assert_near(&[wrong(Scaling::Best)?, wrong(Scaling::BestFromZero)?].concat(), &[0., 6.5]);
    assert_near(
        &infidelity_under(&target, &x, &row(&[1., 1.5]), given(), Scaling::BestFromZero)?,
        &[0.],
    );
    assert_near(&infidelity(&target, &x, &row(&[2., 3.]), &Infidelity::default())?, &[0.]);
    // With φ = 0 it is the variance of w·I, 0.1²·13.
    let drawn = infidelity(
        &target,
        &x,
        &row(&[0., 0.]),
        &Infidelity { samples: 4000, ..Default::default() },
    )?;
    assert!((drawn[0] / 0.13 - 1.).abs() < 5. * (2. / 4000f64).sqrt(), "{drawn:?}");
    let square = |x: &Tensor| Ok(x.sqr()?);
    assert_near(
        &max_sensitivity_under(square, &row(&[1.]), [Ok(row(&[0.1])), Ok(row(&[-0.2]))])?,
        &[0.36],
    );
    // An explanation that is no number does not count as steady.
    let root = |x: &Tensor| Ok(x.sqrt()?);
    for given in [[0.1, -2.], [-2., 0.1]] {
        let found = max_sensitivity_under(root, &row(&[1.]), given.map(|r| Ok(row(&[r]))));
        assert!(
            matches!(&found, Err(Error::NotFinite(what)) if what == "the explanation"),
            "{found:?}"
        );
    }
    // ‖x + r - x‖/‖x‖ ≤ radius·√2/√2.
    let drawn = max_sensitivity(
        |x| Ok(x.clone()),
        &x,
        &MaxSensitivity { samples: 500, ..Default::default() },
    )?[0];
    assert!(drawn <= 0.02 && drawn > 0.017, "{drawn}");
    Ok(())
}

#[test]
fn an_explanation_that_ignores_the_model_is_found_out() -> AnyResult {
    let correlation =
        |a: &[f64], b: &[f64]| rank_correlation(&row(a), &row(b)).map(|found| found[0]);
    assert_eq!(correlation(&[1., 2., 3., 4.], &[1., 3., 2., 9.])?, Some(0.8));
    assert_eq!(correlation(&[1., 2., 3.], &[-1., -2., -3.])?, Some(-1.));
    assert_eq!(correlation(&[1., 1., 1.], &[1., 2., 3.])?, None);
    // Ranks 0.5, 0.5, 2 and 0, 1, 2.
    assert!((correlation(&[1., 1., 2.], &[1., 2., 3.])?.unwrap() - 0.75f64.sqrt()).abs() < 1e-12);
    let cascade = || [("all".to_string(), [4., 1., 2.])];
    let x = row(&[1., 2., 3.]);
    let edges = |_: &[f64; 3], x: &Tensor| Ok(x.clone());
    assert_eq!(
        randomisation_check(edges, &[1., 2., 3.], cascade(), &x, false)?[0].correlations,
        [Some(1.)]
    );
    let weights = |w: &[f64; 3], _: &Tensor| Ok(row(w));
    assert_eq!(
        randomisation_check(weights, &[1., 2., 3.], cascade(), &x, true)?[0].correlations,
        [Some(-0.5)]
    );
    Ok(())
}
