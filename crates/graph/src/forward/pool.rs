//! Pools over one to three spatial dimensions.

use candle_core::Tensor;
use foresee_kernels::{PoolAxis, avg_pool2d_windows, max_pool2d_windows};

use super::Forward;
use super::arguments::{check_float, check_size, impossible};
use super::window::{self, Axis};
use crate::error::OpError;
use crate::op::{Pool, PoolKind, Window};

/// The greatest or the mean of each window of x [B, C, ...].
pub(super) fn pool(x: &Tensor, pool: &Pool) -> Forward<Tensor> {
    check(x)?;
    if pool.window.groups != 1 {
        return Err(impossible("groups", pool.window.groups, "a pool has 1"));
    }
    let axes = window::axes(&pool.window, &x.dims()[2..], &pool.kernel, pool.ceil)?;
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.outputs).collect();
    let result = [&x.dims()[..2], &sizes[..]].concat();
    check_size(&result)?;
    if x.elem_count() == 0 {
        return Ok(Tensor::zeros(result, x.dtype(), x.device())?);
    }
    let of = |x: &Tensor, axes: [Axis; 2]| {
        let axes = axes.map(pool_axis);
        match pool.kind {
            PoolKind::Max => max_pool2d_windows(x, axes),
            PoolKind::Average => avg_pool2d_windows(x, axes, pool.count_include_pad),
        }
    };
    let (batch, channels) = (x.dims()[0], x.dims()[1]);
    match axes[..] {
        [columns] => Ok(of(&x.unsqueeze(2)?, [Axis::NONE, columns])?.squeeze(2)?),
        [rows, columns] => Ok(of(x, [rows, columns])?),
        [depth, rows, columns] => {
            // Rows and columns first, then the depth of what is left: the order of equal maxima
            // stays that of all three.
            let planes = x.reshape((batch, channels * depth.size, rows.size, columns.size))?;
            check_size(&[batch, channels * depth.size, rows.outputs, columns.outputs])?;
            let pixels = rows.outputs * columns.outputs;
            let planes = of(&planes, [rows, columns])?;
            let lines = planes.reshape((batch, channels, depth.size, pixels))?;
            let still = Axis { size: pixels, outputs: pixels, ..Axis::NONE };
            Ok(of(&lines, [depth, still])?.reshape(result)?)
        }
        _ => Err(wrong_dimensions(x)),
    }
}

/// The greatest or the mean of all pixels: x [B, C, ...] → [B, C, 1, ...].
pub(super) fn global_pool(x: &Tensor, kind: PoolKind) -> Forward<Tensor> {
    check(x)?;
    let mut result = x.dims().to_vec();
    result[2..].fill(1);
    let pixels: usize = x.dims()[2..].iter().product();
    let flat = x.reshape((x.dims()[0], x.dims()[1], pixels))?;
    let whole = Pool {
        kind,
        kernel: vec![pixels],
        window: Window::new(1),
        ceil: false,
        count_include_pad: false,
    };
    Ok(pool(&flat, &whole)?.reshape(result)?)
}

fn check(x: &Tensor) -> Forward<()> {
    check_float("x", x)?;
    match x.rank() >= 3 && !x.dims()[2..].contains(&0) {
        true => Ok(()),
        false => Err(wrong_dimensions(x)),
    }
}

fn wrong_dimensions(x: &Tensor) -> OpError {
    let expected = "[B, C, ...] with one to three spatial dimensions of at least one pixel".into();
    OpError::Shape { what: "x", got: x.dims().to_vec(), expected }
}

fn pool_axis(axis: Axis) -> PoolAxis {
    PoolAxis {
        kernel: axis.kernel,
        stride: axis.stride,
        dilation: axis.dilation,
        padding: (axis.before, axis.after),
        outputs: axis.outputs,
    }
}
