//! Gradients of layers.

use foresee_attribution::*;

use crate::{AnyResult, tensor, values};

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
