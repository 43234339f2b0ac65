//! What must hold for every network and input.

use candle_core::{Device, Tensor};
use foresee_attribution::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values[..shape.iter().product()].to_vec(), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Weights and inputs, more than any network below takes.
fn numbers() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-1f64..1., 2000)
}

/// Convolution, a residual branch, pooling by maxima and by means, masks of two attributes; the
/// images have 2 channels of 16×16 pixels, of which 2×2 are left at the masks.
fn network(w: &[f64]) -> GraphModel {
    let conv = |layers: Layers, name: &str, at: usize, i: usize, o: usize, options| {
        layers
            .conv2d(name, &tensor(&w[at..], &[o, i, 3, 3]), Some(&tensor(&w[at..], &[o])), options)
            .unwrap()
    };
    let options = Conv2d { padding: 1, ..Default::default() };
    let branch = |layers| conv(layers, "inner", 60, 3, 3, options).leaky_relu("inner relu", 0.01);
    let layers = conv(Layers::new(), "first", 0, 2, 3, options)
        .leaky_relu("relu", 0.1)
        .unwrap()
        .residual("sum", branch)
        .unwrap();
    let pooled = conv(layers, "strided", 150, 3, 3, Conv2d { stride: 2, ..options })
        .leaky_relu("second relu", 0.01)
        .unwrap();
    let pooled = pooled.max_pool("max", 2).unwrap().average_pool("average", 2).unwrap();
    let gated =
        pooled.gate("masks", &tensor(&w[240..], &[6, 3, 1, 1]), &tensor(&w[260..], &[6])).unwrap();
    gated
        .global_average_pool("gap")
        .unwrap()
        .readout("readout", &tensor(&w[270..], &[2, 3]), &tensor(&w[280..], &[2]))
        .and_then(Layers::model)
        .unwrap()
}

fn images(w: &[f64]) -> Tensor {
    tensor(&w[300..], &[1, 2, 16, 16])
}

/// Training shuts and opens masks until exp(-logit) is infinite in f32.
#[test]
fn shut_and_open_masks_have_finite_gradients() {
    let f32s = |values: &[f32], shape: &[usize]| {
        Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
    };
    let (weight, bias) = (
        f32s(&[1., 0., 0., 1., 0.5, -0.5, 0.25, 1.], &[4, 2, 1, 1]),
        f32s(&[-200., 200., -1e3, 1e3], &[4]),
    );
    let layers =
        Layers::new().gate("masks", &weight, &bias).unwrap().global_average_pool("gap").unwrap();
    let layers = layers
        .readout("readout", &f32s(&[2., 3., 4., 5.], &[2, 2]), &f32s(&[0., 0.], &[2]))
        .and_then(Layers::model)
        .unwrap();
    let x = f32s(&[0.5, -1., 2., 0.25], &[1, 2, 1, 2]);
    // The first mask of each attribute is 0 and its second 1: f_k is the mean of w_k2·z_2.
    for (k, w) in [(0, 3f32), (1, 5.)] {
        let gradient: Vec<f32> =
            layers.target(k).gradient(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        // The kernels' masks do not reach 0.
        assert!(gradient[..2].iter().all(|g| g.abs() < 1e-30), "{gradient:?}");
        assert_eq!(gradient[2..], [w / 2., w / 2.]);
    }
    let overflowing = Target::new(
        |x: &Tensor| x.flatten_from(1)?.sum_keepdim(1)?.affine(1e3, 0.)?.exp()?.recip(),
        0,
    );
    assert!(matches!(
        overflowing.gradient(&x),
        Err(Error::NotFinite(what)) if what == "the gradient in the input"
    ));
}

/// Random networks are steep: 50 steps may not be enough.
fn any_gap() -> IntegratedGradients {
    IntegratedGradients { max_gap: f64::INFINITY, ..IntegratedGradients::default() }
}

type Checked = std::result::Result<(), TestCaseError>;

fn check_integrated_gradients_of_a_smooth_model_are_complete(w: &[f64]) -> Checked {
    let (first, second) = (tensor(w, &[4, 6]), tensor(&w[30..], &[6, 3]));
    let target = Target::new(|x: &Tensor| x.matmul(&first)?.tanh()?.matmul(&second), 2).batch(7);
    let (x, baseline) = (tensor(&w[60..], &[3, 4]), tensor(&w[80..], &[4]));
    let found = integrated_gradients(&target, &x, Some(&baseline), &IntegratedGradients::default())
        .unwrap();
    prop_assert!(
        found.convergence_delta.iter().all(|gap| gap.abs() < 1e-10),
        "{:?}",
        found.convergence_delta
    );
    Ok(())
}

/// Eq. 2: every layer's relevance adds up to f(x), but for what stabilisers take where a unit's
/// sum is near 0, which is counted.
fn check_relevance_is_conserved(w: &[f64]) -> Checked {
    let composite = Composite { stabilizer: 1e-9, bias: Bias::Ignore, ..Composite::epsilon(1e-9) };
    let found = network(w).lrp(&images(w), 1, &composite).unwrap();
    let scale: f64 =
        values(&found.attribution).iter().map(|r| r.abs()).sum::<f64>() + found.output[0].abs();
    let lost: f64 = found.layers.iter().map(|layer| layer.stabilizer[0].abs()).sum();
    for layer in &found.layers {
        // The branch of a sum carries its part of the relevance only.
        if !layer.layer.starts_with("inner") {
            let away = (layer.relevance[0] - found.output[0]).abs();
            prop_assert!(
                away <= lost + 1e-9 * scale,
                "{}: {} of {}, {lost} lost",
                layer.layer,
                layer.relevance[0],
                found.output[0]
            );
        }
    }
    Ok(())
}

/// Under the other rules, what does not arrive is counted: units without a contribution of a
/// rule's sign lose it.
fn check_relevance_that_is_lost_is_counted(w: &[f64], which: usize) -> Checked {
    let composite = match which {
        0 => Composite::epsilon_plus(),
        1 => Composite::epsilon_alpha2_beta1(),
        _ => Composite::epsilon_gamma_box(tensor(&[-1.], &[1]), tensor(&[1.], &[1])),
    };
    let found =
        network(w).lrp(&images(w), 0, &Composite { bias: Bias::Absorb, ..composite }).unwrap();
    let lost: f64 = found.layers.iter().map(|l| l.bias[0] + l.stabilizer[0]).sum();
    let scale: f64 = 1.
        + found
            .layers
            .iter()
            .map(|l| l.relevance[0].abs() + l.bias[0].abs() + l.stabilizer[0].abs())
            .sum::<f64>();
    let arrived: f64 = values(&found.attribution).iter().sum();
    prop_assert!(
        (arrived + lost - found.output[0]).abs() < 1e-9 * scale,
        "{arrived} + {lost} of {}",
        found.output[0]
    );
    Ok(())
}

fn check_an_input_that_is_ignored_gets_nothing(w: &[f64], ignored: usize) -> Checked {
    let mut first = w[..24].to_vec();
    first[6 * ignored..6 * ignored + 6].fill(0.);
    let first = tensor(&first, &[4, 6]);
    let layers = Layers::new()
        .linear("first", &first.t().unwrap().contiguous().unwrap(), None)
        .unwrap()
        .leaky_relu("relu", 0.01)
        .unwrap();
    let layers =
        layers.linear("second", &tensor(&w[30..], &[2, 6]), None).and_then(Layers::model).unwrap();
    let (target, x) = (layers.target(1), tensor(&w[60..], &[1, 4]));
    let all = [
        sensitivity(&target, &x).unwrap(),
        input_x_gradient(&target, &x).unwrap(),
        smooth_grad(|x| target.gradient(x), &x, &SmoothGrad { samples: 5, ..Default::default() })
            .unwrap(),
        integrated_gradients(&target, &x, None, &any_gap()).unwrap().attribution,
        layers.guided_backprop(&x, 1).unwrap(),
        layers.lrp(&x, 1, &Composite::epsilon(1e-6)).unwrap().attribution,
        layers
            .lrp(&x, 1, &Composite::new(Rule::AlphaBeta { alpha: 2., beta: 1. }))
            .unwrap()
            .attribution,
        layers.lrp(&x, 1, &Composite::new(Rule::Gamma { gamma: 0.25 })).unwrap().attribution,
    ];
    for attribution in &all {
        prop_assert_eq!(values(attribution)[ignored], 0.);
    }
    // A regression on chance samples finds it within its rounding, if all weigh the same and
    // every sample is there.
    let every = |_| (0..16).map(|i| (0..4).map(|j| i >> j & 1 == 1).collect()).collect();
    let options = Lime { width: 1e9, ..Default::default() };
    let found = lime_with_perturbations(
        &target,
        &x,
        &Tensor::arange(0u32, 4, &Device::Cpu).unwrap(),
        None,
        every,
        &options,
    )
    .unwrap();
    prop_assert!(values(&found.attribution)[ignored].abs() < 1e-10);
    let part = Part::index("ignored", &[4], ignored).unwrap();
    let many = tensor(&w[100..], &[8, 4]);
    let mean = |f: &Tensor| Ok(f.sqr()?.mean_all()?.to_scalar::<f64>()?);
    let importance = permutation_importance(
        |x| layers.forward(x).map_err(candle_core::Error::wrap),
        mean,
        &many,
        std::slice::from_ref(&part),
        &Default::default(),
    )
    .unwrap();
    prop_assert_eq!(importance[0].increase(), 0.);
    let curves =
        partial_dependence(&target, &many, &part, &[-1., 0., 1.]).unwrap().centred().curves;
    prop_assert!(curves.iter().flatten().all(|f| *f == 0.));
    Ok(())
}

/// Two inputs that the model treats alike and that are equal get the same.
fn check_equal_inputs_that_count_alike_get_the_same(w: &[f64]) -> Checked {
    let mut first = w[..24].to_vec();
    first.copy_within(0..6, 6);
    let layers = Layers::new()
        .linear("first", &tensor(&first, &[4, 6]).t().unwrap().contiguous().unwrap(), None)
        .unwrap();
    let layers = layers
        .leaky_relu("relu", 0.01)
        .unwrap()
        .linear("second", &tensor(&w[30..], &[2, 6]), None)
        .and_then(Layers::model)
        .unwrap();
    let mut x = w[60..64].to_vec();
    x[1] = x[0];
    let (target, x) = (layers.target(0), tensor(&x, &[1, 4]));
    let every = |_| (0..16).map(|i| (0..4).map(|j| i >> j & 1 == 1).collect()).collect();
    let all = [
        sensitivity(&target, &x).unwrap(),
        integrated_gradients(&target, &x, None, &any_gap()).unwrap().attribution,
        layers.guided_backprop(&x, 0).unwrap(),
        layers.lrp(&x, 0, &Composite::epsilon(1e-6)).unwrap().attribution,
        layers.lrp(&x, 0, &Composite::new(Rule::Gamma { gamma: 0.25 })).unwrap().attribution,
        lime_with_perturbations(
            &target,
            &x,
            &Tensor::arange(0u32, 4, &Device::Cpu).unwrap(),
            None,
            every,
            &Lime::default(),
        )
        .unwrap()
        .attribution,
    ];
    for attribution in &all {
        let of = values(attribution);
        prop_assert!((of[0] - of[1]).abs() < 1e-9 * (1. + of[0].abs()), "{of:?}");
    }
    Ok(())
}

/// The batch and how it is cut do not matter, nor how the images lie in memory.
fn check_inputs_are_explained_one_by_one(w: &[f64]) -> Checked {
    let layers = network(w);
    let x = tensor(&w[300..], &[3, 2, 16, 16]);
    let strided =
        x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap().permute((0, 3, 1, 2)).unwrap();
    let close =
        |a: &Tensor, b: &Tensor| values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() < 1e-9);
    let (whole, cut) = (layers.target(1), layers.target(1).batch(2));
    let options = IntegratedGradients { steps: 5, ..any_gap() };
    let one = integrated_gradients(&whole, &x, None, &options).unwrap().attribution;
    prop_assert!(close(
        &one,
        &integrated_gradients(&cut, &strided, None, &options).unwrap().attribution
    ));
    let composite = Composite::epsilon_plus();
    let one = layers.lrp(&x, 1, &composite).unwrap().attribution;
    prop_assert!(close(
        &one,
        &layers.clone().batch(2).lrp(&strided, 1, &composite).unwrap().attribution
    ));
    let at = layers.split_at("second relu").unwrap();
    let map = grad_cam_plus_plus(&at, &x, 1, &GradCam::default()).unwrap();
    let alone = GradCam { batch: Some(1), ..Default::default() };
    prop_assert!(close(&map, &grad_cam_plus_plus(&at, &strided, 1, &alone).unwrap()));
    let areas = |x: &Tensor, target: &Target<_>| {
        deletion(target, x, &map_of(x), None, 4)
            .unwrap()
            .iter()
            .map(Curve::area)
            .collect::<Vec<_>>()
    };
    prop_assert!(
        areas(&x, &whole).iter().zip(areas(&strided, &whole)).all(|(a, b)| (a - b).abs() < 1e-9)
    );
    Ok(())
}

/// Any attribution that follows the pixels.
fn map_of(x: &Tensor) -> Tensor {
    x.sqr().unwrap().sum(1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn integrated_gradients_of_a_smooth_model_are_complete(w in numbers()) {
        check_integrated_gradients_of_a_smooth_model_are_complete(&w)?;
    }

    #[test]
    fn relevance_is_conserved(w in numbers()) {
        check_relevance_is_conserved(&w)?;
    }

    #[test]
    fn relevance_that_is_lost_is_counted(w in numbers(), which in 0..3usize) {
        check_relevance_that_is_lost_is_counted(&w, which)?;
    }

    #[test]
    fn an_input_that_is_ignored_gets_nothing(w in numbers(), ignored in 0..4usize) {
        check_an_input_that_is_ignored_gets_nothing(&w, ignored)?;
    }

    #[test]
    fn equal_inputs_that_count_alike_get_the_same(w in numbers()) {
        check_equal_inputs_that_count_alike_get_the_same(&w)?;
    }

    #[test]
    fn inputs_are_explained_one_by_one(w in numbers()) {
        check_inputs_are_explained_one_by_one(&w)?;
    }
}
