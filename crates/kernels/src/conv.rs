//! Dilated convolution (Table 1) and its two gradients as matrix products over tiles of unfolded rows.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::error::{Result, shape};
use crate::heads::{slice, with_slice};
use crate::matmul::{View, matmul};
use crate::{fused, reference};

/// Pixels unfolded at a time.
const TILE: usize = 256;
/// Into how many parts a batch is cut for the weights' gradient, whatever the number of threads: the order of sums depends on it.
const PARTS: usize = 8;

/// Convolution with stride 1, dilation `dilation` and "same" zero padding `dilation·(n-1)/2`: x [B, I, H, W], weight [O, I, n, n] with odd n, bias `[O]`
/// → [B, O, H, W].
///
/// Differentiable in all three. Other tensors than `f32` on the CPU take [`reference::conv2d`].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: &Tensor, dilation: usize) -> Result<Tensor> {
    let &[_, channels, _, _] = x.dims() else {
        return Err(shape("conv2d", "x", "[B, I, H, W]", x));
    };
    match *weight.dims() {
        [_, i, n, m] if i == channels && n == m && n % 2 == 1 => {}
        _ => {
            return Err(shape("conv2d", "weight", format!("[O, {channels}, n, n] with odd n"), weight));
        }
    }
    if bias.dims() != [weight.dim(0)?] {
        return Err(shape("conv2d", "bias", format!("[{}]", weight.dim(0)?), bias));
    }
    if !fused(&[x, weight, bias]) {
        return reference::conv2d(x, weight, bias, dilation);
    }
    let op = Conv { dilation, input_gradient: x.track_op() };
    Ok(x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}

struct Conv {
    dilation: usize,
    input_gradient: bool,
}

#[derive(Clone, Copy)]
struct Geometry {
    images: usize,
    inputs: usize,
    outputs: usize,
    h: usize,
    w: usize,
    n: usize,
    dilation: usize,
}

impl Geometry {
    fn of(x: &Shape, weight: &Shape, dilation: usize) -> candle_core::Result<Self> {
        let (images, inputs, h, w) = x.dims4()?;
        let (outputs, _, n, _) = weight.dims4()?;
        Ok(Self { images, inputs, outputs, h, w, n, dilation })
    }

    fn pixels(&self) -> usize {
        self.h * self.w
    }

    fn taps(&self) -> usize {
        self.n * self.n * self.inputs
    }

    /// Rows of an image that make up a tile.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, h) = ((TILE / self.w.max(1)).max(1), self.h);
        (0..h).step_by(rows).map(move |y| (y, rows.min(h - y)))
    }

    /// Unfolds `rows` rows from `y0` of one image [I, H, W] into [I·n², rows·W].
    fn unfold(&self, image: &[f32], y0: usize, rows: usize, out: &mut [f32]) {
        let (h, w, reach) = (self.h as isize, self.w, (self.n / 2 * self.dilation) as isize);
        for (tap, out) in out.chunks_exact_mut(rows * w).take(self.taps()).enumerate() {
            let plane = &image[tap / (self.n * self.n) * self.pixels()..][..self.pixels()];
            let dy = (tap / self.n % self.n * self.dilation) as isize - reach;
            let dx = (tap % self.n * self.dilation) as isize - reach;
            let (left, right) = ((-dx).clamp(0, w as isize) as usize, (w as isize - dx).clamp(0, w as isize) as usize);
            for (y, out) in out.chunks_exact_mut(w).enumerate() {
                let from = (y0 + y) as isize + dy;
                if from < 0 || from >= h || left >= right {
                    out.fill(0.);
                    continue;
                }
                out[..left].fill(0.);
                out[right..].fill(0.);
                let start = (from * w as isize + left as isize + dx) as usize;
                out[left..right].copy_from_slice(&plane[start..start + right - left]);
            }
        }
    }

    fn scratch(&self) -> Vec<f32> {
        vec![0f32; self.taps() * self.w * (TILE / self.w.max(1)).max(1)]
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "dilated-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let geometry = Geometry::of(xl.shape(), wl.shape(), self.dilation)?;
        let out = forward(&geometry, slice(x, xl)?, slice(w, wl)?, slice(b, bl)?);
        Ok((CpuStorage::F32(out), (geometry.images, geometry.outputs, geometry.h, geometry.w).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let geometry = Geometry::of(x.shape(), w.shape(), self.dilation)?;
        let g = g.contiguous()?;
        let (dw, db) = with_slice(x, |x| with_slice(&g, |g| weight_gradient(&geometry, x, g)))??;
        let cpu = &Device::Cpu;
        let dx = match self.input_gradient {
            true => {
                // The input's gradient is the same convolution of g with the weights transposed and turned by 180°.
                let swapped = Geometry { inputs: geometry.outputs, outputs: geometry.inputs, ..geometry };
                let dx = with_slice(&g, |g| with_slice(w, |w| forward(&swapped, g, &turned(&geometry, w), &[])))??;
                Some(Tensor::from_vec(dx, x.shape(), cpu)?)
            }
            false => None,
        };
        Ok((dx, Some(Tensor::from_vec(dw, w.shape(), cpu)?), Some(Tensor::from_vec(db, geometry.outputs, cpu)?)))
    }
}

fn turned(geometry: &Geometry, w: &[f32]) -> Vec<f32> {
    let (i, o, taps) = (geometry.inputs, geometry.outputs, geometry.n * geometry.n);
    let mut out = vec![0f32; w.len()];
    for (at, &value) in w.iter().enumerate() {
        let (output, input, tap) = (at / (i * taps), at / taps % i, at % taps);
        out[(input * o + output) * taps + taps - 1 - tap] = value;
    }
    out
}

/// x [B, I, H, W] → [B, O, H, W]; an empty bias is none.
fn forward(geometry: &Geometry, x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
    let (pixels, taps, outputs) = (geometry.pixels(), geometry.taps(), geometry.outputs);
    let mut out = vec![0f32; geometry.images * outputs * pixels];
    if out.is_empty() || taps == 0 {
        return out;
    }
    out.par_chunks_mut(outputs * pixels).enumerate().for_each_init(
        || geometry.scratch(),
        |scratch, (image, out)| {
            let x = &x[image * geometry.inputs * pixels..][..geometry.inputs * pixels];
            for (row, &b) in out.chunks_exact_mut(pixels).zip(bias) {
                row.fill(b);
            }
            for (y, rows) in geometry.tiles() {
                let n = rows * geometry.w;
                geometry.unfold(x, y, rows, scratch);
                let at = View::rows(y * geometry.w, pixels);
                matmul((outputs, taps, n), (w, View::rows(0, taps)), (scratch, View::rows(0, n)), (out, at), true);
            }
        },
    );
    out
}

/// (dW [O, I, n, n], db `[O]`)
fn weight_gradient(geometry: &Geometry, x: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (pixels, taps, outputs) = (geometry.pixels(), geometry.taps(), geometry.outputs);
    let per_part = geometry.images.div_ceil(PARTS).max(1);
    let parts: Vec<(Vec<f32>, Vec<f32>)> = (0..geometry.images.div_ceil(per_part))
        .into_par_iter()
        .map(|part| {
            let (mut dw, mut db, mut scratch) = (vec![0f32; outputs * taps], vec![0f32; outputs], geometry.scratch());
            for image in part * per_part..((part + 1) * per_part).min(geometry.images) {
                let x = &x[image * geometry.inputs * pixels..][..geometry.inputs * pixels];
                let g = &g[image * outputs * pixels..][..outputs * pixels];
                for (y, rows) in geometry.tiles() {
                    let n = rows * geometry.w;
                    geometry.unfold(x, y, rows, &mut scratch);
                    let at = View::rows(y * geometry.w, pixels);
                    matmul((outputs, n, taps), (g, at), (&scratch, View::columns(0, n)), (&mut dw, View::rows(0, taps)), true);
                }
                for (db, g) in db.iter_mut().zip(g.chunks_exact(pixels.max(1))) {
                    *db += g.iter().map(|&v| f64::from(v)).sum::<f64>() as f32;
                }
            }
            (dw, db)
        })
        .collect();
    let mut sum = (vec![0f32; outputs * taps], vec![0f32; outputs]);
    for (dw, db) in &parts {
        sum.0.iter_mut().zip(dw).for_each(|(s, v)| *s += v);
        sum.1.iter_mut().zip(db).for_each(|(s, v)| *s += v);
    }
    sum
}
