//! Launches of `cuda/norm.cu`. Feature maps are x [N, C] of N pixels.

use super::Argument::{self, Buffer, F32, U32};
use super::{Plan, count};

/// Threads of a block, which are channels × pixels.
const BLOCK: (u32, u32, u32) = (32, 8, 1);
/// Threads of a block that adds up the sums of other blocks.
const TOTAL: (u32, u32, u32) = (32, 32, 1);
/// The fewest pixels that a block sums up.
const PART: usize = 256;
/// The most parts that the pixels are cut into.
const PARTS: usize = 1024;

/// x, mean, variance, γ, β, dL/dy.
const GIVEN: [Argument; 6] = [Buffer(0), Buffer(1), Buffer(2), Buffer(3), Buffer(4), Buffer(5)];

/// Groups of 32 channels.
fn groups(channels: usize) -> usize {
    channels.div_ceil(BLOCK.0 as usize)
}

/// Into how many parts pixels are cut, whatever the device, and how many pixels a part has.
fn parts(pixels: usize) -> (usize, usize) {
    let each = pixels.div_ceil(PARTS).max(PART);
    (pixels.div_ceil(each), each)
}

/// Mean and variance of each channel: x → mean `[C]`, variance `[C]` (the first two buffers made).
pub fn moments(pixels: usize, channels: usize) -> Plan {
    let mut plan = Plan::new("norm", 1);
    let (parts, each) = parts(pixels);
    let mean = plan.buffer(channels);
    let variance = plan.buffer(channels);
    let sums = plan.buffer(parts * 2 * channels);
    let n = count(pixels);
    let c = count(channels);
    plan.launch(
        "moments_sums",
        (groups(channels), parts, 1),
        BLOCK,
        0,
        &[Buffer(0), n, c, count(each), sums],
    );
    plan.launch(
        "moments_total",
        (groups(channels), 1, 1),
        TOTAL,
        0,
        &[Buffer(0), n, c, count(parts), sums, mean, variance],
    );
    plan
}

/// Forward: x, mean, variance, γ, β → y (the first buffer made).
pub fn forward(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    let mut plan = Plan::new("norm", 5);
    let (parts, each) = parts(pixels);
    let y = plan.buffer(pixels * channels);
    let given = [Buffer(0), Buffer(1), Buffer(2), Buffer(3), Buffer(4)];
    let arguments =
        [&given[..], &[count(pixels), count(channels), count(each), F32(epsilon), F32(slope), y]]
            .concat();
    plan.launch("norm_leaky_relu", (groups(channels), parts, 1), BLOCK, 0, &arguments);
    plan
}

/// Backward: x, mean, variance, γ, β, dL/dy → dx, dγ, dβ (the first three buffers made). In
/// `training` the moments are functions of x.
pub fn backward(pixels: usize, channels: usize, epsilon: f32, slope: f32, training: bool) -> Plan {
    let mut plan = Plan::new("norm", 6);
    let (parts, each) = parts(pixels);
    let dx = plan.buffer(pixels * channels);
    let [dgamma, dbeta, lines] = [channels, channels, 2 * channels].map(|n| plan.buffer(n));
    let made = [dgamma, dbeta, lines];
    add_up_gradients(&mut plan, (pixels, channels), epsilon, slope, training, made);
    let sizes = [count(pixels), count(channels), count(each), F32(epsilon), F32(slope)];
    let grid = (groups(channels), parts, 1);
    let last = [U32(1), lines, dx];
    plan.launch("input_gradient", grid, BLOCK, 0, &[&GIVEN[..], &sizes, &last].concat());
    plan
}

/// Adds up dγ and dβ, and the lines, which are 0 unless in `training`.
fn add_up_gradients(
    plan: &mut Plan,
    (pixels, channels): (usize, usize),
    epsilon: f32,
    slope: f32,
    training: bool,
    [dgamma, dbeta, lines]: [Argument; 3],
) {
    let (parts, each) = parts(pixels);
    let sums = plan.buffer(parts * 2 * channels);
    let (n, c) = (count(pixels), count(channels));
    let sizes = [n, c, count(each), F32(epsilon), F32(slope), sums];
    let grid = (groups(channels), parts, 1);
    plan.launch("gradient_sums", grid, BLOCK, 0, &[&GIVEN[..], &sizes].concat());
    let training = U32(training.into());
    let total = [Buffer(2), Buffer(3), n, c, count(parts), F32(epsilon), training, sums];
    let total = [&total[..], &[dgamma, dbeta, lines]].concat();
    plan.launch("gradient_total", (groups(channels), 1, 1), TOTAL, 0, &total);
}

/// [`backward`] with constant moments and without the gradients of γ and β: dx only (the first
/// buffer made), without any sum.
pub fn input_gradient(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    // The lines are not read, so that any buffer can stand there.
    input_gradient_along(None, pixels, channels, epsilon, slope)
}

/// The gradient of a part of a batch, whose moments are those of the whole: the inputs of
/// [`backward`] and the [`lines`] of the whole → dx (the first buffer made).
pub fn input_gradient_of_part(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    input_gradient_along(Some(GIVEN.len()), pixels, channels, epsilon, slope)
}

/// `lines` is the input that they are in.
fn input_gradient_along(
    lines: Option<usize>,
    pixels: usize,
    channels: usize,
    epsilon: f32,
    slope: f32,
) -> Plan {
    let mut plan = Plan::new("norm", GIVEN.len() + usize::from(lines.is_some()));
    let (parts, each) = parts(pixels);
    let dx = plan.buffer(pixels * channels);
    let sizes = [count(pixels), count(channels), count(each), F32(epsilon), F32(slope)];
    let last = [U32(lines.is_some().into()), Buffer(lines.unwrap_or_default()), dx];
    let grid = (groups(channels), parts, 1);
    plan.launch("input_gradient", grid, BLOCK, 0, &[&GIVEN[..], &sizes, &last].concat());
    plan
}

/// The sums of a part of a batch, from the inputs of [`backward`]: Σ g'·x̂ and Σ g', `[C]` each
/// (the first two buffers made).
pub fn gradient_sums(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    let mut plan = Plan::new("norm", GIVEN.len());
    let gamma = plan.buffer(channels);
    let beta = plan.buffer(channels);
    // With constant moments, which have no lines.
    let made = [gamma, beta, plan.buffer(2 * channels)];
    add_up_gradients(&mut plan, (pixels, channels), epsilon, slope, false, made);
    plan
}

/// What the way through the moments of a batch adds to dx: (x - mean)·by_x + constant, which are
/// the two rows [2, C]. They come from the sums of the whole batch of `pixels` pixels.
pub fn lines(
    variance: &[f32],
    gamma: &[f32],
    epsilon: f64,
    [of_gamma, of_beta]: [&[f64]; 2],
    pixels: usize,
) -> Vec<f32> {
    let scales = variance.iter().zip(gamma).map(|(&variance, &gamma)| {
        let inverse = 1. / (f64::from(variance) + epsilon).sqrt();
        (f64::from(gamma) * inverse / pixels as f64, inverse)
    });
    let scales: Vec<(f64, f64)> = scales.collect();
    let by_x = scales.iter().zip(of_gamma).map(|((scale, inverse), sum)| -scale * inverse * sum);
    let constant = scales.iter().zip(of_beta).map(|((scale, _), sum)| -scale * sum);
    by_x.chain(constant).map(|value| value as f32).collect()
}
