//! Launches of `cuda/norm.cu`. Feature maps are x [N, C] of N pixels.

use super::Argument::{self, Buffer, F32, U32};
use super::{Plan, count};

/// Threads of a block, which are channels × pixels.
const BLOCK: (u32, u32, u32) = (32, 8, 1);
/// Threads of a block that adds up what others left.
const TOTAL: (u32, u32, u32) = (32, 32, 1);
/// Pixels that a block sums up at least, and into how many parts the pixels are cut at most.
const PART: usize = 256;
const PARTS: usize = 1024;

/// x, mean, variance, γ, β, dL/dy
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
    let (mean, variance, sums) =
        (plan.buffer(channels), plan.buffer(channels), plan.buffer(parts * 2 * channels));
    let (n, c) = (count(pixels), count(channels));
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

/// Backward: x, mean, variance, γ, β, dL/dy → dx, dγ, dβ (the first three buffers made). `own`: the
/// moments are functions of x.
pub fn backward(pixels: usize, channels: usize, epsilon: f32, slope: f32, own: bool) -> Plan {
    let mut plan = Plan::new("norm", 6);
    let (parts, each) = parts(pixels);
    let (dx, dgamma, dbeta) =
        (plan.buffer(pixels * channels), plan.buffer(channels), plan.buffer(channels));
    let (sums, lines) = (plan.buffer(parts * 2 * channels), plan.buffer(2 * channels));
    let (n, c) = (count(pixels), count(channels));
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
        U32(own.into()),
        sums,
        dgamma,
        dbeta,
        lines,
    ];
    plan.launch("gradient_total", (groups(channels), 1, 1), TOTAL, 0, &total);
    plan.launch("input_gradient", grid, BLOCK, 0, &[&given[..], &[U32(1), lines, dx]].concat());
    plan
}

/// [`backward`] where the moments are constants and nobody asks for the gradients of γ and β: dx
/// (the first buffer made), without any sum.
pub fn input_gradient(pixels: usize, channels: usize, epsilon: f32, slope: f32) -> Plan {
    let mut plan = Plan::new("norm", 6);
    let (parts, each) = parts(pixels);
    let dx = plan.buffer(pixels * channels);
    let given =
        [&GIVEN[..], &[count(pixels), count(channels), count(each), F32(epsilon), F32(slope)]]
            .concat();
    // The lines are not read, so that any buffer can stand there.
    plan.launch(
        "input_gradient",
        (groups(channels), parts, 1),
        BLOCK,
        0,
        &[&given[..], &[U32(0), Buffer(0), dx]].concat(),
    );
    plan
}
