//! Gradients, and methods that average them.

use candle_core::{D, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, assert_near, quadratic, row, tensor, values};

#[test]
fn gradients() -> AnyResult {
    let (target, x) = (Target::new(quadratic, 1), row(&[2., 5.]));
    assert_near(&values(&target.values(&x)?), &[9.]);
    assert_near(&values(&target.gradient(&x)?), &[-1., 1.]);
    assert_near(&values(&sensitivity(&target, &x)?), &[1., 1.]);
    assert_near(&values(&input_x_gradient(&target, &x)?), &[-2., 5.]);
    // Over α the mean gradient is (x₀ - x₁/2, 3 - x₀/2) = (-0.5, 2).
    for quadrature in [Quadrature::GaussLegendre, Quadrature::Midpoint] {
        let integrated = integrated_gradients(
            &target,
            &x,
            None,
            &IntegratedGradients { steps: 3, quadrature, ..Default::default() },
        )?;
        assert_near(&values(&integrated.attribution), &[-1., 10.]);
        assert_near(&integrated.convergence_delta, &[0.]);
    }
    // Where x₀ is 3 and 1 the gradient is (1, 0) and (-3, 2).
    let under = |statistic| {
        smooth_grad_with_noise(
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
        noise: NoiseLevel::OfRange(0.1),
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
