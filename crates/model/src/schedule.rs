//! The learning rate over time.

/// The learning rate of `step` (from 0) in a one-cycle schedule (Smith & Topin, 2018) as in
/// PyTorch's `OneCycleLR`: it rises by half a cosine from `peak`/25 to `peak` in the share `warmup`
/// of all `steps`, then falls by half a cosine to `peak`/250,000.
///
/// ```
/// use foresee_model::one_cycle;
///
/// // 10 steps, of which the first 3 rise to a peak of 1.
/// assert!((one_cycle(0, 10, 1., 0.3) - 0.04).abs() < 1e-12);
/// assert!((one_cycle(2, 10, 1., 0.3) - 1.).abs() < 1e-12);
/// assert!((one_cycle(9, 10, 1., 0.3) - 4e-6).abs() < 1e-12);
/// ```
pub fn one_cycle(step: usize, steps: usize, peak: f64, warmup: f64) -> f64 {
    let start = peak / 25.;
    let end = start / 1e4;
    let last = steps.saturating_sub(1).max(1) as f64;
    let top = (warmup * steps as f64 - 1.).max(0.);
    let at = (step as f64).min(last);
    let half_cosine = |from: f64, to: f64, t: f64| {
        to + (from - to) / 2. * (1. + (std::f64::consts::PI * t).cos())
    };
    match at <= top {
        true => half_cosine(start, peak, if top > 0. { at / top } else { 1. }),
        false => half_cosine(peak, end, (at - top) / (last - top).max(1e-9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch.optim.lr_scheduler.OneCycleLR(Adam([p], lr=1), max_lr=3e-3, total_steps=10,
    /// pct_start=0.3), get_last_lr() before each step.
    #[test]
    fn as_in_pytorch() {
        let expected = [
            0.00012,
            0.00156,
            0.003,
            0.0028514539,
            0.002435237,
            0.0018337861,
            0.0011662259,
            5.6477504e-4,
            1.485581e-4,
            1.2e-8,
        ];
        for (step, expected) in expected.into_iter().enumerate() {
            let got = one_cycle(step, 10, 3e-3, 0.3);
            assert!(
                (got - expected).abs() < 1e-6 * expected + 1e-12,
                "step {step}: {got} and {expected}"
            );
        }
    }
}
