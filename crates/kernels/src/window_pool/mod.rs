//! Pools over any windows of an image: strided, dilated, padded differently on each side, adaptive.
//! In `f32` and `f64` on the CPU the loops of [`planes`] compute them; other tensors take
//! compositions of candle's operations, whose gradients are right too.

mod axis;
mod composed;
mod planes;

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, WithDType};

pub use self::axis::PoolAxis;
pub(crate) use self::axis::{Axis, Window};
use self::planes::Planes;
use crate::error::Result;
use crate::isa::Instructions;
use crate::storage::{slice, with_slices};

/// The maximum of each window, x [B, C, H, W] → [B, C, H', W'], for windows along the rows and
/// along the columns. Padding is never a maximum. The gradient goes to the maximum; of equal ones
/// to the first, row by row. NaN is greater than everything.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::{PoolAxis, max_pool2d_windows};
///
/// let x = Tensor::new(&[[[[1f32, 4., 2., 3.]]]], &Device::Cpu)?;
/// let rows = PoolAxis { kernel: 1, stride: 1, dilation: 1, padding: (0, 0), outputs: 1 };
/// // Pixels 0 and 2, then pixels 1 and 3.
/// let columns = PoolAxis { kernel: 2, stride: 1, dilation: 2, padding: (0, 0), outputs: 2 };
/// let y = max_pool2d_windows(&x, [rows, columns])?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2., 4.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or a window holds no pixel.
pub fn max_pool2d_windows(x: &Tensor, axes: [PoolAxis; 2]) -> Result<Tensor> {
    let axes = Axis::of_image("max_pool2d_windows", x, axes)?;
    max(x, axes)
}

/// The mean of each window, x [B, C, H, W] → [B, C, H', W'], for windows along the rows and along
/// the columns. With `count_include_pad` the padding counts as zeros; what a window covers beyond
/// the padding never counts.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::{PoolAxis, avg_pool2d_windows};
///
/// let x = Tensor::new(&[[[[2f32, 4., 6.]]]], &Device::Cpu)?;
/// let rows = PoolAxis { kernel: 1, stride: 1, dilation: 1, padding: (0, 0), outputs: 1 };
/// let columns = PoolAxis { kernel: 2, stride: 2, dilation: 1, padding: (1, 0), outputs: 2 };
/// let y = avg_pool2d_windows(&x, [rows, columns], true)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1., 5.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or a window holds no pixel.
pub fn avg_pool2d_windows(
    x: &Tensor,
    axes: [PoolAxis; 2],
    count_include_pad: bool,
) -> Result<Tensor> {
    let axes = Axis::of_image("avg_pool2d_windows", x, axes)?;
    average(x, axes, count_include_pad)
}

/// The maximum of each window of x [B, C, H, W], which fits the axes.
pub(crate) fn max(x: &Tensor, axes: [Axis; 2]) -> Result<Tensor> {
    match loops_take(x) {
        true => by_loops(x, Kind::Max, axes),
        false => composed::max(x, &axes[0], &axes[1]),
    }
}

/// The mean of each window of x [B, C, H, W], which fits the axes.
pub(crate) fn average(x: &Tensor, axes: [Axis; 2], count_include_pad: bool) -> Result<Tensor> {
    match loops_take(x) {
        true => by_loops(x, Kind::Average { count_include_pad }, axes),
        false => composed::average(x, &axes[0], &axes[1], count_include_pad),
    }
}

fn loops_take(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

fn by_loops(x: &Tensor, kind: Kind, axes: [Axis; 2]) -> Result<Tensor> {
    let instructions = Instructions::current();
    let x = x.contiguous()?;
    let y = match x.dtype() {
        DType::F32 => x.apply_op1(Pool::<f32> { kind, axes, instructions, of: PhantomData })?,
        _ => x.apply_op1(Pool::<f64> { kind, axes, instructions, of: PhantomData })?,
    };
    Ok(y)
}

/// What is taken of a window.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Max,
    Average { count_include_pad: bool },
}

/// x [B, C, H, W] → [B, C, H', W'], contiguous.
struct Pool<T> {
    kind: Kind,
    axes: [Axis; 2],
    instructions: Instructions,
    of: PhantomData<fn() -> T>,
}

impl<T: WithDType> Pool<T> {
    fn planes(&self) -> Planes<'_> {
        let [rows, columns] = &self.axes;
        Planes { rows, columns, instructions: self.instructions }
    }
}

impl<T: WithDType> CustomOp1 for Pool<T> {
    fn name(&self) -> &'static str {
        "pool2d-windows"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (b, c, _, _) = layout.shape().dims4()?;
        let x = slice::<T>(x, layout)?;
        let y = match self.kind {
            Kind::Max => self.planes().max(x, b * c),
            Kind::Average { count_include_pad } => {
                self.planes().average(x, b * c, count_include_pad)
            }
        };
        let [rows, columns] = &self.axes;
        let shape = (b, c, rows.windows.len(), columns.windows.len());
        Ok((T::to_cpu_storage_owned(y), shape.into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let dx = with_slices::<T, _, 2>([x, g], |[x, g]| match self.kind {
            Kind::Max => self.planes().max_gradient(x, g),
            Kind::Average { count_include_pad } => {
                self.planes().average_gradient(x.len(), g, count_include_pad)
            }
        })?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// Values, and the gradient of a sum of squares.
    fn values_and_gradient(
        x: &Tensor,
        pool: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> AnyResult<[Vec<f64>; 2]> {
        let x = Var::from_tensor(x)?;
        let y = pool(&x)?;
        let gradients = y.sqr()?.sum_all()?.backward()?;
        let gradient = gradients.get(&x).ok_or("no gradient")?;
        Ok([y.flatten_all()?.to_vec1()?, gradient.flatten_all()?.to_vec1()?])
    }

    fn assert_near(ours: [Vec<f64>; 2], theirs: [Vec<f64>; 2]) {
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 1e-12, "{a} and {b}");
            }
        }
    }

    /// Other tensors than `f32` and `f64` on the CPU take the compositions.
    #[test]
    fn compositions_are_the_loops() -> AnyResult {
        let x = Tensor::randn(0f64, 1., (2, 3, 7, 6), &Device::Cpu)?;
        let axis = |kernel, stride, dilation, padding, outputs| PoolAxis {
            kernel,
            stride,
            dilation,
            padding,
            outputs,
        };
        for axes in [
            [axis(3, 2, 1, (1, 1), 4), axis(2, 1, 1, (0, 0), 5)],
            [axis(2, 3, 2, (1, 0), 2), axis(3, 2, 1, (0, 2), 3)],
            [axis(7, 7, 1, (0, 0), 1), axis(1, 1, 1, (0, 0), 6)],
        ] {
            let axes = Axis::of_image("test", &x, axes)?;
            let loops = |kind| {
                let axes = axes.clone();
                move |x: &Tensor| by_loops(x, kind, axes.clone())
            };
            let composed = values_and_gradient(&x, |x| composed::max(x, &axes[0], &axes[1]))?;
            assert_near(composed, values_and_gradient(&x, loops(Kind::Max))?);
            for count_include_pad in [false, true] {
                let mean = |x: &Tensor| composed::average(x, &axes[0], &axes[1], count_include_pad);
                let by_loops = loops(Kind::Average { count_include_pad });
                assert_near(values_and_gradient(&x, mean)?, values_and_gradient(&x, by_loops)?);
            }
        }
        Ok(())
    }
}
