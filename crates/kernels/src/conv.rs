//! Dilated convolution (Table 1) and its two gradients, as products on the padded image itself: no
//! image is unfolded.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::error::{Result, shape};
use crate::factor::{Factor, Precision, with_factors};
use crate::heads::{slice, with_slice};
use crate::isa::Instructions;
use crate::layout::{channels_first, pixels_first};
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, columns_padded, pack, pack_columns, pack_row,
    steps,
};
use crate::{have_kernels, reference};

/// Pixels that are worked on at a time, as far as whole rows of the image allow.
const CHUNK: usize = 128;
/// Into how many parts the rows of a batch are cut for the weights' gradient, whatever the number
/// of threads: the order of sums depends on it.
const PARTS: usize = 16;

/// Convolution with stride 1, dilation `dilation` and "same" zero padding `dilation·(n-1)/2`: x [B,
/// I, H, W], weight [O, I, n, n] with odd n, bias `[O]` → [B, O, H, W].
///
/// Differentiable in all three. Other tensors than `f32` on the CPU, or on a CUDA device with the
/// feature `cuda`, take [`reference::conv2d`]. The result lies in memory pixel by pixel; an x that
/// does so too is not copied. `precision` is that of the factors of the products; the reference has
/// that of its tensors.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dilation: usize,
    precision: Precision,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    if !have_kernels(&[x, weight, bias]) {
        return reference::conv2d(x, weight, bias, dilation);
    }
    Ok(channels_first(&conv2d_of_pixels(&pixels_first(x)?, weight, bias, dilation, precision)?)?)
}

/// [`conv2d`] of x [B, H, W, I] → [B, H, W, O].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d_of_pixels(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dilation: usize,
    precision: Precision,
) -> Result<Tensor> {
    if !have_kernels(&[x, weight, bias]) || x.rank() != 4 {
        return Ok(pixels_first(&conv2d(&channels_first(x)?, weight, bias, dilation, precision)?)?);
    }
    check(&channels_first(&x.detach())?, weight, bias)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&[x, weight, bias]) {
        use crate::cuda::ops::{aligned, conv::DilatedConv};
        return Ok(aligned(x)?.apply_op3(
            &aligned(weight)?,
            &aligned(bias)?,
            DilatedConv { dilation, precision },
        )?);
    }
    let op = Conv { dilation, precision, instructions: Instructions::current() };
    Ok(x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<()> {
    let &[_, channels, _, _] = x.dims() else {
        return Err(shape("conv2d", "x", "[B, I, H, W]", x));
    };
    match *weight.dims() {
        [o, i, n, m] if i == channels && n == m && n % 2 == 1 && i > 0 && o > 0 => {}
        _ => {
            return Err(shape(
                "conv2d",
                "weight",
                format!("[O, {channels}, n, n] with odd n, O and I at least 1"),
                weight,
            ));
        }
    }
    match bias.dims() == [weight.dim(0)?] {
        true => Ok(()),
        false => Err(shape("conv2d", "bias", format!("[{}]", weight.dim(0)?), bias)),
    }
}

struct Conv {
    dilation: usize,
    precision: Precision,
    instructions: Instructions,
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
    /// Of x [B, H, W, I] and weight [O, I, n, n].
    fn of(x: &Shape, weight: &Shape, dilation: usize) -> candle_core::Result<Self> {
        let (images, h, w, inputs) = x.dims4()?;
        let (outputs, _, n, _) = weight.dims4()?;
        Ok(Self { images, inputs, outputs, h, w, n, dilation })
    }

    fn pixels(&self) -> usize {
        self.h * self.w
    }

    fn taps(&self) -> usize {
        self.n * self.n
    }

    /// Zeros on each side of an image.
    fn reach(&self) -> usize {
        self.n / 2 * self.dilation
    }

    fn padded_width(&self) -> usize {
        self.w + 2 * self.reach()
    }

    /// Factors of a padded image of `each` a pixel. Tiles reach past the end of its last row, hence
    /// the rest.
    fn padded_image(&self, each: usize) -> usize {
        (self.padded_width() * (self.h + 2 * self.reach()) + ROWS) * each + ROWS
    }

    /// Rows that are worked on at a time.
    fn rows(&self) -> usize {
        (CHUNK / self.w).clamp(1, self.h)
    }

    /// Every image's rows in chunks: image, first row, number of rows.
    fn chunks(&self) -> Vec<(usize, usize, usize)> {
        let of = |image| {
            (0..self.h).step_by(self.rows()).map(move |y| (image, y, self.rows().min(self.h - y)))
        };
        (0..self.images).flat_map(of).collect()
    }

    /// Where in a padded image of `each` factors a pixel the input of a pixel's tap lies.
    fn at(&self, y: usize, x: usize, tap: usize, each: usize) -> usize {
        let (ky, kx) = (tap / self.n * self.dilation, tap % self.n * self.dilation);
        ((y + ky) * self.padded_width() + x + kx) * each
    }

    /// Images [B, H, W, I] with a frame of zeros, as left operands over their channels: each pixel
    /// as many factors as its channels make.
    fn pad_across<F: Factor>(&self, x: &[f32]) -> Vec<F> {
        let each = steps::<F>(self.inputs);
        self.pad(x, each, |row, out| {
            row.chunks_exact(self.inputs)
                .zip(out.chunks_exact_mut(each))
                .for_each(|(from, out)| pack_row(from, out))
        })
    }

    /// The same as left operands over pixels: of each pixel and the next one of its row, as many
    /// factors as there are channels.
    fn pad_down<F: Factor>(&self, x: &[f32]) -> Vec<F> {
        let next = (F::TERMS - 1) * self.inputs;
        let mut out = self.pad(x, self.inputs, |row, out| {
            for (at, (out, &first)) in out.iter_mut().zip(row).enumerate() {
                *out = F::of(&[first, row.get(at + next).copied().unwrap_or(0.)][..F::TERMS]);
            }
        });
        if F::TERMS == 2 {
            self.pair_frames(x, &mut out);
        }
        out
    }

    /// The frame's last pixel before each row, which is paired with the row's first.
    fn pair_frames<F: Factor>(&self, x: &[f32], out: &mut [F]) {
        if self.reach() == 0 {
            return;
        }
        let (row, image) = (self.w * self.inputs, self.padded_image(self.inputs));
        for (out, x) in out.chunks_exact_mut(image).zip(x.chunks_exact(self.h * row)) {
            for (y, x) in x.chunks_exact(row).enumerate() {
                let at =
                    ((y + self.reach()) * self.padded_width() + self.reach() - 1) * self.inputs;
                out[at..at + self.inputs]
                    .iter_mut()
                    .zip(x)
                    .for_each(|(out, &v)| *out = F::of(&[0., v]));
            }
        }
    }

    /// Puts each row of the images into a frame of zeros, by `put`.
    fn pad<F: Factor>(
        &self,
        x: &[f32],
        each: usize,
        put: impl Fn(&[f32], &mut [F]) + Sync,
    ) -> Vec<F> {
        let (row, reach) = (self.w * self.inputs, self.reach());
        let mut out = vec![F::default(); self.images * self.padded_image(each)];
        out.par_chunks_exact_mut(self.padded_image(each))
            .zip(x.par_chunks_exact(self.h * row))
            .for_each(|(out, x)| {
                for (y, x) in x.chunks_exact(row).enumerate() {
                    let at = ((y + reach) * self.padded_width() + reach) * each;
                    put(x, &mut out[at..at + self.w * each]);
                }
            });
        out
    }
}

impl Conv {
    fn forward(
        &self,
        geometry: &Geometry,
        x: &[f32],
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: &[f32],
    ) -> Vec<f32> {
        with_factors!(self.precision, self.instructions, F => {
            let weights = panels::<F>(geometry, weight);
            forward(geometry, self.instructions, x, &weights, bias)
        })
    }

    fn weight_gradient(&self, geometry: &Geometry, x: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>) {
        with_factors!(self.precision, self.instructions, F => weight_gradient::<F>(geometry, self.instructions, x, g))
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
        let (x, w, b) = (slice(x, xl)?, slice(w, wl)?, slice(b, bl)?);
        let (inputs, taps) = (geometry.inputs, geometry.taps());
        let out = self.forward(&geometry, x, |o, i, tap| w[(o * inputs + i) * taps + tap], b);
        Ok((
            CpuStorage::F32(out),
            (geometry.images, geometry.h, geometry.w, geometry.outputs).into(),
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let geometry = Geometry::of(x.shape(), w.shape(), self.dilation)?;
        let g = &g.contiguous()?;
        let cpu = &Device::Cpu;
        let (dw, db) = match w.track_op() || b.track_op() {
            true => {
                let (dw, db) =
                    with_slice(x, |x| with_slice(g, |g| self.weight_gradient(&geometry, x, g)))??;
                (
                    Some(Tensor::from_vec(dw, w.shape(), cpu)?),
                    Some(Tensor::from_vec(db, geometry.outputs, cpu)?),
                )
            }
            false => (None, None),
        };
        let dx = match x.track_op() {
            true => {
                // The input's gradient is the same convolution of g with the weights transposed and
                // turned by 180°.
                let swapped =
                    Geometry { inputs: geometry.outputs, outputs: geometry.inputs, ..geometry };
                let (inputs, taps) = (geometry.inputs, geometry.taps());
                let none = vec![0f32; swapped.outputs];
                let turned = |w: &[f32], o, i, tap| w[(i * inputs + o) * taps + taps - 1 - tap];
                let dx = with_slice(w, |w| {
                    with_slice(g, |g| {
                        self.forward(&swapped, g, |o, i, tap| turned(w, o, i, tap), &none)
                    })
                })??;
                Some(Tensor::from_vec(dx, x.shape(), cpu)?)
            }
            false => None,
        };
        Ok((dx, dw, db))
    }
}

/// The weights of a geometry's convolution, of which `weight` tells that of an output, an input and
/// a tap, as panels [O/32, taps, steps of I, 32].
fn panels<F: Factor>(geometry: &Geometry, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<F> {
    let Geometry { inputs, outputs, .. } = *geometry;
    // An odd number of inputs is filled up, so that no factor belongs to two taps.
    let each = steps::<F>(inputs) * F::TERMS;
    let terms = geometry.taps() * each;
    let mut rows = Vec::with_capacity(terms * outputs);
    for term in 0..terms {
        let (tap, i) = (term / each, term % each);
        rows.extend((0..outputs).map(|o| if i < inputs { weight(o, i, tap) } else { 0. }));
    }
    let mut out = vec![F::default(); steps::<F>(terms) * columns_padded(outputs)];
    pack(&rows, terms, outputs, outputs, 1, &mut out);
    out
}

/// x [B, H, W, I] → [B, H, W, O].
fn forward<F: Factor>(
    geometry: &Geometry,
    instructions: Instructions,
    x: &[f32],
    weights: &[F],
    bias: &[f32],
) -> Vec<f32> {
    let outputs = geometry.outputs;
    let mut out = vec![0f32; geometry.images * outputs * geometry.pixels()];
    if out.is_empty() {
        return out;
    }
    let (x, mut padded_bias) = (geometry.pad_across::<F>(x), vec![0f32; columns_padded(outputs)]);
    padded_bias[..outputs].copy_from_slice(bias);
    let mut rest = &mut out[..];
    let image_size = geometry.padded_image(steps::<F>(geometry.inputs));
    let mut jobs: Vec<ForwardRows<F>> = geometry
        .chunks()
        .into_iter()
        .map(|(image, first, rows)| {
            let (out, others) = std::mem::take(&mut rest).split_at_mut(rows * geometry.w * outputs);
            rest = others;
            let x = &x[image * image_size..][..image_size];
            ForwardRows { geometry, x, first, weights, bias: &padded_bias, out }
        })
        .collect();
    jobs.par_iter_mut().for_each(|job| F::dispatch(instructions, job));
    out
}

/// Some rows of an image: `out` [rows, W, O] from the padded image.
struct ForwardRows<'a, F> {
    geometry: &'a Geometry,
    x: &'a [F],
    first: usize,
    weights: &'a [F],
    bias: &'a [f32],
    out: &'a mut [f32],
}

impl<F: Factor> WithSimd for &mut ForwardRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Geometry { inputs, outputs, w, .. } = *self.geometry;
        let each = steps::<F>(inputs);
        let panel_steps = self.geometry.taps() * each;
        for (panel, bias) in self.bias.chunks_exact(COLUMNS).enumerate() {
            let width = COLUMNS.min(outputs - panel * COLUMNS);
            for (y, out) in self.out.chunks_exact_mut(w * outputs).enumerate() {
                for x in (0..w).step_by(ROWS) {
                    let mut tile = [0f32; ROWS * COLUMNS];
                    tile.chunks_exact_mut(COLUMNS).for_each(|row| row.copy_from_slice(bias));
                    let stretches = (0..self.geometry.taps()).map(|tap| Stretch {
                        a: self.geometry.at(self.first + y, x, tap, each),
                        b: (panel * panel_steps + tap * each) * COLUMNS,
                        steps: each,
                    });
                    let a = Left { values: self.x, row: each, step: 1 };
                    add_product(
                        simd,
                        stretches,
                        a,
                        self.weights,
                        Tile { values: &mut tile, start: 0, row: COLUMNS },
                    );
                    for (out, row) in
                        out[x * outputs..].chunks_exact_mut(outputs).zip(tile.chunks_exact(COLUMNS))
                    {
                        out[panel * COLUMNS..][..width].copy_from_slice(&row[..width]);
                    }
                }
            }
        }
    }
}

/// (dW [O, I, n, n], db `[O]`) from x [B, H, W, I] and g [B, H, W, O].
fn weight_gradient<F: Factor>(
    geometry: &Geometry,
    instructions: Instructions,
    x: &[f32],
    g: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let Geometry { inputs, outputs, .. } = *geometry;
    let taps = geometry.taps();
    let (mut dw, mut db) = (vec![0f32; outputs * inputs * taps], vec![0f32; outputs]);
    if dw.is_empty() || g.is_empty() {
        return (dw, db);
    }
    let chunks = geometry.chunks();
    let x = geometry.pad_down::<F>(x);
    let parts: Vec<WeightPart<F>> = chunks
        .par_chunks(chunks.len().div_ceil(PARTS))
        .map(|chunks| {
            let mut part = WeightPart::new(geometry);
            F::dispatch(instructions, WeightRows { geometry, x: &x, g, chunks, part: &mut part });
            part
        })
        .collect();
    let padded = columns_padded(outputs);
    for part in &parts {
        for (o, dw) in dw.chunks_exact_mut(inputs * taps).enumerate() {
            for (at, v) in dw.iter_mut().enumerate() {
                let (i, tap) = (at / taps, at % taps);
                *v += part.dw[(tap * inputs.next_multiple_of(ROWS) + i) * padded + o];
            }
        }
        db.iter_mut().zip(&part.db).for_each(|(v, p)| *v += *p as f32);
    }
    (dw, db)
}

/// What some rows add to the gradients.
struct WeightPart<F> {
    /// [taps, I in whole groups, O in whole panels]
    dw: Vec<f32>,
    /// `[O]`
    db: Vec<f64>,
    /// g of some rows and a panel as right operand: [rows, steps of W, 32].
    g: Vec<F>,
}

impl<F: Factor> WeightPart<F> {
    fn new(geometry: &Geometry) -> Self {
        let (inputs, outputs) =
            (geometry.inputs.next_multiple_of(ROWS), columns_padded(geometry.outputs));
        let g = vec![F::default(); geometry.rows() * steps::<F>(geometry.w) * COLUMNS];
        Self {
            dw: vec![0f32; geometry.taps() * inputs * outputs],
            db: vec![0f64; geometry.outputs],
            g,
        }
    }
}

struct WeightRows<'a, F> {
    geometry: &'a Geometry,
    x: &'a [F],
    g: &'a [f32],
    chunks: &'a [(usize, usize, usize)],
    part: &'a mut WeightPart<F>,
}

impl<F: Factor> WithSimd for WeightRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Geometry { inputs, outputs, w, .. } = *self.geometry;
        let (groups, padded) = (inputs.next_multiple_of(ROWS), columns_padded(outputs));
        for &(image, first, rows) in self.chunks {
            let x = &self.x[image * self.geometry.padded_image(inputs)..]
                [..self.geometry.padded_image(inputs)];
            let g =
                &self.g[(image * self.geometry.h + first) * w * outputs..][..rows * w * outputs];
            for panel in 0..padded / COLUMNS {
                self.part.take(g, w, outputs, panel);
                for (tap, i) in (0..self.geometry.taps())
                    .flat_map(|tap| (0..inputs).step_by(ROWS).map(move |i| (tap, i)))
                {
                    let stretches = (0..rows).map(|y| Stretch {
                        a: self.geometry.at(first + y, 0, tap, inputs) + i,
                        b: y * steps::<F>(w) * COLUMNS,
                        steps: steps::<F>(w),
                    });
                    let tile = Tile {
                        values: &mut self.part.dw,
                        start: (tap * groups + i) * padded + panel * COLUMNS,
                        row: padded,
                    };
                    add_product(
                        simd,
                        stretches,
                        Left { values: x, row: 1, step: F::TERMS * inputs },
                        &self.part.g,
                        tile,
                    );
                }
            }
        }
    }
}

impl<F: Factor> WeightPart<F> {
    /// Takes a panel of g [rows, W, O] and adds it up for the biases.
    #[inline(always)]
    fn take(&mut self, g: &[f32], w: usize, outputs: usize, panel: usize) {
        let (first, width) = (panel * COLUMNS, COLUMNS.min(outputs - panel * COLUMNS));
        let mut sums = [0f32; COLUMNS];
        for (out, g) in
            self.g.chunks_exact_mut(steps::<F>(w) * COLUMNS).zip(g.chunks_exact(w * outputs))
        {
            pack_columns(&g[first..], w, outputs, width, out, COLUMNS);
            g.chunks_exact(outputs).for_each(|g| {
                sums.iter_mut().zip(&g[first..][..width]).for_each(|(sum, v)| *sum += v)
            });
        }
        self.db[first..].iter_mut().zip(&sums).for_each(|(sum, &v)| *sum += f64::from(v));
    }
}
