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
    let dgamma = plan.buffer(channels);
    let dbeta = plan.buffer(channels);
    let sums = plan.buffer(parts * 2 * channels);
    let lines = plan.buffer(2 * channels);
    let n = count(pixels);
    let c = count(channels);
    let given = [&GIVEN[..], &[n, c, count(each), F32(epsilon), F32(slope)]].concat();
    let grid = (groups(channels), parts, 1);
    plan.launch("gradient_sums", grid, BLOCK, 0, &[&given[..], &[sums]].concat());
    let total = [
        Buffer(2),
        Buffer(3),
        n,
        c,
        count(parts),
        F32(epsilon),
        U32(training.into()),
        sums,
        dgamma,
        dbeta,
        lines,
    ];
    plan.launch("gradient_total", (groups(channels), 1, 1), TOTAL, 0, &total);
    plan.launch("input_gradient", grid, BLOCK, 0, &[&given[..], &[U32(1), lines, dx]].concat());
    plan
}

/// [`backward`] with constant moments and without the gradients of γ and β: dx only (the first
/// buffer made), without any sum.
pub fn input_gradient(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    let mut plan = Plan::new("norm", 6);
    let (parts, each) = parts(pixels);
    let dx = plan.buffer(pixels * channels);
    let n = count(pixels);
    let c = count(channels);
    // The lines are not read, so that any buffer can stand there.
    let last = [n, c, count(each), F32(epsilon), F32(slope), U32(0), Buffer(0), dx];
    let grid = (groups(channels), parts, 1);
    plan.launch("input_gradient", grid, BLOCK, 0, &[&GIVEN[..], &last].concat());
    plan
}
