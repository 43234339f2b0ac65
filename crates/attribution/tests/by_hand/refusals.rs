//! What cannot be done is an error.

use candle_core::{Device, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, assert_near, masked, quadratic, row, tensor, two_layers, values};

#[test]
fn what_cannot_be_done_is_named() -> AnyResult {
    let layers = two_layers()?.other("tanh", |x| x.tanh())?;
    let error = lrp(&layers, &row(&[1., 1.]), 0, &Composite::epsilon(1e-6)).unwrap_err();
    assert!(
        matches!(&error, Error::Layer { layer, method: "LRP", .. } if layer == "tanh"),
        "{error}"
    );
    // Gradients do go through.
    assert!(layers.target(0).gradient_error(&row(&[0.3, -0.1]))? < 1e-8);
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
    assert!(matches!(two_layers()?.split_at("third").unwrap_err(), Error::NoLayer { .. }));
    assert!(matches!(
        masked()?.cam("masks", &tensor(&[0.; 4], &[1, 2, 1, 2]), 0).unwrap_err(),
        Error::Layer { layer, .. } if layer == "readout"
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
    // A model that is not a number beside x has no gradient error that is small.
    let edge = Target::new(|x: &Tensor| x.sqrt()?.sum_keepdim(1), 0);
    assert!(matches!(edge.gradient_error(&row(&[1., 1e-12])), Err(Error::NotFinite(_))));
    Ok(())
}
