//! What cannot be done is an error.

use candle_core::{Device, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, masked, quadratic, row, tensor, two_layers};

#[test]
fn what_cannot_be_done_is_named() -> AnyResult {
    assert!(matches!(two_layers()?.split_at("third").unwrap_err(), Error::NoLayer { .. }));
    assert!(matches!(
        masked()?.cam("masks", &tensor(&[0.; 4], &[1, 2, 1, 2]), 0).unwrap_err(),
        Error::Layer { .. }
    ));
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
        two_layers()?.lrp(&x, 0, &Composite::new(Rule::AlphaBeta { alpha: 2., beta: 2. })).is_err()
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
    let linear = Layers::new().linear("only", &row(&[1., 1.]), None)?.model()?;
    assert!(linear.guided_backprop(&x, 0).is_err());
    // A name stands for one layer, inside of branches or outside.
    let first = || Layers::new().linear("first", &row(&[1.]), None);
    for name in ["first", "sum"] {
        let sum = first()?.residual("sum", |branch| branch.leaky_relu(name, 0.1));
        assert!(sum.is_err_and(|error| error.to_string().contains(name)));
    }
    assert!(first()?.residual("sum", |branch| branch.relu("inner"))?.relu("inner").is_err());
    assert!(first()?.residual("sum", Ok).is_err_and(|error| error.to_string().contains("branch")));
    assert!(Layers::new().relu("relu").is_err_and(|error| error.to_string().contains("relu")));
    assert!(Layers::new().model().is_err());
    assert!(pointing_game(&tensor(&[], &[1, 0, 2]), &tensor(&[], &[1, 0, 2]), 0.).is_err());
    // A model that is not a number at x has no gradient error that is small.
    let edge = Target::new(|x: &Tensor| x.sqrt()?.sum_keepdim(1), 0);
    assert!(matches!(edge.gradient_error(&row(&[1., -1.])), Err(Error::NotFinite(_))));
    Ok(())
}

/// Integers hold no perturbation, and nothing is done with a batch of nothing: each function says
/// so itself, whichever tensor it is.
#[test]
fn types_and_batches_are_refused_everywhere() -> AnyResult {
    let bytes = Tensor::new(&[[200u8, 100]], &Device::Cpu)?;
    let images = Tensor::new(&[[[[200u8, 100]]]], &Device::Cpu)?;
    let one = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let segments = Tensor::new(&[0u32, 1], &Device::Cpu)?;
    let part = &Part::index("first", &[2], 0)?;
    let composite = Composite::epsilon(1e-6);
    let layers = two_layers()?;
    let explain = |x: &Tensor| Ok(x.clone());
    type Call<'a> = (&'a str, Box<dyn Fn(&Tensor) -> Result<()> + 'a>);
    let calls: Vec<Call> = vec![
        ("sensitivity", Box::new(|x| sensitivity(&one, x).map(drop))),
        ("lime", Box::new(|x| lime(&one, x, &segments, None, &Lime::default()).map(drop))),
        ("lrp", Box::new(|x| layers.lrp(x, 0, &composite).map(drop))),
        ("gradient", Box::new(|x| layers.target(0).gradient(x).map(drop))),
        ("guided", Box::new(|x| layers.guided_backprop(x, 0).map(drop))),
        (
            "integrated gradients",
            Box::new(|x| integrated_gradients(&one, x, None, &Default::default()).map(drop)),
        ),
        ("smooth grad", Box::new(|x| smooth_grad(explain, x, &Default::default()).map(drop))),
        (
            "max-sensitivity",
            Box::new(|x| max_sensitivity(explain, x, &Default::default()).map(drop)),
        ),
        ("infidelity", Box::new(|x| infidelity(&one, x, x, &Default::default()).map(drop))),
        ("deletion", Box::new(|x| deletion(&one, x, x, None, 2).map(drop))),
        ("insertion", Box::new(|x| insertion(&one, x, x, None, 2).map(drop))),
        ("dependence", Box::new(|x| partial_dependence(&one, x, part, &[0.]).map(drop))),
    ];
    for (name, call) in &calls {
        let error = call(&bytes).unwrap_err();
        assert!(matches!(error, Error::Type { got: "u8", .. }), "{name}: {error}");
        for shape in [&[][..], &[2], &[0, 2]] {
            let x = Tensor::zeros(shape, candle_core::DType::F64, &Device::Cpu)?;
            let error = call(&x).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{name} of {shape:?}: {error}");
        }
    }
    let u8s = |found: Result<Tensor>| matches!(found, Err(Error::Type { got: "u8", .. }));
    assert!(u8s(per_pixel(&images, Reduce::Norm)) && u8s(blur(&images, 1.)));
    assert!(u8s(cam(&images, &Tensor::new(&[1u8], &Device::Cpu)?)));
    assert!(u8s(resize(&images.squeeze(0)?, 3, 3, Interpolation::Bilinear)));
    assert!(u8s(mask_map(&images, &images, &segments, MaskWeights::Mean)));
    // Another type than the input's, and no size.
    let x = row(&[1., 2.]);
    let single = x.to_dtype(candle_core::DType::F32)?;
    let mixed = integrated_gradients(&one, &x, Some(&single), &Default::default());
    assert!(matches!(mixed, Err(Error::Type { what: "the baseline", .. })));
    assert!(resize(&tensor(&[1.], &[1, 1, 1]), 0, 3, Interpolation::Bilinear).is_err());
    assert!(lime(&one, &x, &tensor(&[0., 0.5], &[2]), None, &Lime::default()).is_err());
    assert!(log_losses(&x, &row(&[-1., 1.])).is_err());
    assert!(chance(&tensor(&[0.; 2], &[1, 1, 1, 2]), &[0], 256, 0).is_err());
    Ok(())
}

/// One answer for a whole batch is no answer for each input.
#[test]
fn results_have_a_row_for_each_input() -> AnyResult {
    let x = tensor(&[1., 2., 3., 4., 5., 6.], &[3, 2]);
    let mean = Target::new(|x: &Tensor| x.mean_all()?.reshape((1, 1)), 0);
    let segments = Tensor::new(&[0u32, 1], &Device::Cpu)?;
    let part = Part::index("first", &[2], 0)?;
    let rows = |error: Error| assert!(matches!(error, Error::Rows { .. }), "{error}");
    rows(lime(&mean, &x, &segments, None, &Lime::default()).unwrap_err());
    rows(deletion(&mean, &x, &x, None, 2).unwrap_err());
    rows(partial_dependence(&mean, &x, &part, &[0., 1.]).unwrap_err());
    let model = |x: &Tensor| x.mean_keepdim(0);
    let error = |outputs: &Tensor| Ok(outputs.sum_all()?.to_scalar::<f64>()?);
    let options = Permutation { repeats: 2, ..Permutation::default() };
    rows(permutation_importance(model, error, &x, &[part], &options).unwrap_err());
    rows(max_sensitivity(|x| Ok(x.sum_keepdim(0)?), &x, &Default::default()).unwrap_err());
    Ok(())
}

/// A kernel that sees no sample fits its penalty alone.
#[test]
fn lime_refuses_a_kernel_that_sees_no_sample() -> AnyResult {
    let x = tensor(&[100.; 50], &[1, 50]);
    let target = Target::new(|x: &Tensor| x.sum_keepdim(1), 0);
    let segments = Tensor::from_iter(0u32..50, &Device::Cpu)?;
    let far = Lime { distance: Distance::EuclideanOfInputs, width: 1., ..Lime::default() };
    let error = lime(&target, &x, &segments, None, &far).unwrap_err();
    assert!(matches!(error, Error::FarSamples { .. }), "{error}");
    assert!(lime(&target, &x, &segments, None, &Lime { width: 500., ..far }).is_ok());
    Ok(())
}
