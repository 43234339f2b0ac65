//! Segments of an input, and copies of it in which segments are replaced by a baseline.

use candle_core::{DType, Device, Tensor};

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::parts::grid_cells;
use crate::target::Target;
use crate::tensors::{check_finite, check_input, to_f64};

/// A segment map [H, W] for [`lime`](crate::lime()): the cells of a grid, as equal as possible.
///
/// ```
/// use foresee_attribution::grid_segments;
///
/// // 2×4 pixels in 1 row of 2 cells.
/// let segments = grid_segments(2, 4, 1, 2)?;
/// assert_eq!(segments.to_vec2::<u32>()?, [[0, 0, 1, 1], [0, 0, 1, 1]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If there are more cells than pixels in a direction, or none.
pub fn grid_segments(height: usize, width: usize, rows: usize, columns: usize) -> Result<Tensor> {
    let cells = grid_cells(height, width, rows, columns)?;
    Ok(Tensor::from_vec(cells, (height, width), &Device::Cpu)?)
}

/// The segment of each entry of one input, and the number of segments. `segments` numbers them from
/// 0: of one input's shape, or [H, W] for all channels of images.
pub(crate) fn segment_of_entries(x: &Tensor, segments: &Tensor) -> Result<(Vec<u32>, usize)> {
    let input = x.dims().get(1..).unwrap_or_default();
    let fraction = to_f64(segments)?.into_iter().find(|s| s.fract() != 0. || *s < 0.);
    check(fraction.is_none(), "segments", fraction.unwrap_or_default(), "whole numbers from 0")?;
    if segments.dims() != input && !(input.len() == 3 && segments.dims() == &input[1..]) {
        let expected = format!("{input:?}, or [H, W] of it,");
        return Err(Error::shape("the segments", segments.dims(), expected));
    }
    let segments: Vec<u32> =
        segments.to_dtype(DType::U32)?.broadcast_as(input)?.flatten_all()?.to_vec1()?;
    let mut numbers: Vec<u32> = segments.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let gap = numbers.iter().enumerate().find(|(i, s)| *i as u32 != **s);
    check(
        gap.is_none(),
        "segments",
        format!("{} numbers up to {}", numbers.len(), numbers.last().unwrap_or(&0)),
        "every number from 0 to the greatest",
    )?;
    Ok((segments, numbers.len()))
}

/// Copies [copies, ...] of one input x [1, ...]: its entries where `kept` is 1, those of the
/// baseline [1, ...] where it is 0. `kept` has all entries of the first copy, then of the second.
pub(crate) fn keep_entries(
    x: &Tensor,
    baseline: &Tensor,
    copies: usize,
    kept: Vec<u8>,
) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    dims[0] = copies;
    let mask = Tensor::from_vec(kept, &dims[..], x.device())?;
    Ok(mask.where_cond(
        &x.broadcast_as(&dims[..])?.contiguous()?,
        &baseline.broadcast_as(&dims[..])?.contiguous()?,
    )?)
}

/// Copies [copies, ...] of one input x [1, ...], each with its segments that are kept, and the
/// baseline [1, ...] elsewhere.
pub(crate) fn keep_segments(
    x: &Tensor,
    baseline: &Tensor,
    of_entries: &[u32],
    kept: &[Vec<bool>],
) -> Result<Tensor> {
    let of_copy = |kept: &Vec<bool>| -> Vec<u8> {
        of_entries.iter().map(|&segment| u8::from(kept[segment as usize])).collect()
    };
    keep_entries(x, baseline, kept.len(), kept.iter().flat_map(of_copy).collect())
}

/// A batch of inputs whose segments can be replaced by a baseline.
pub(crate) struct Segmented {
    x: Tensor,
    baseline: Tensor,
    /// The segment of each entry of one input.
    of_entries: Vec<u32>,
    /// The number of segments, from 1.
    pub count: usize,
}

impl Segmented {
    /// Inputs x [B, ...], segments as in [`lime`](crate::lime()), and a baseline as in
    /// [`integrated_gradients`](crate::integrated_gradients()).
    pub fn new(x: &Tensor, segments: &Tensor, baseline: Option<&Tensor>) -> Result<Self> {
        check_input(x)?;
        let x = x.detach().contiguous()?;
        let baseline = baseline_like(&x, baseline)?;
        let (of_entries, count) = segment_of_entries(&x, segments)?;
        check(count >= 1, "segments", count, "at least one segment")?;
        Ok(Self { x, baseline, of_entries, count })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.x.dims()[0]
    }

    /// f of each input, and of its baseline.
    pub fn ends<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
        &self,
        target: &Target<F>,
    ) -> Result<Vec<(f64, f64)>> {
        let whole = target.numbers(&self.x)?;
        let none = target.numbers(&self.baseline)?;
        Ok(whole.into_iter().zip(none).collect())
    }

    /// f of copies of input number `input`, each of which keeps the segments for which it is true.
    pub fn numbers<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
        &self,
        target: &Target<F>,
        input: usize,
        kept: impl IntoIterator<Item = Vec<bool>>,
    ) -> Result<Vec<f64>> {
        let x = self.x.narrow(0, input, 1)?;
        let baseline = self.baseline.narrow(0, input, 1)?;
        let mut kept = kept.into_iter();
        let mut values = vec![];
        loop {
            let copies: Vec<Vec<bool>> = kept.by_ref().take(target.batch_size()).collect();
            if copies.is_empty() {
                return Ok(values);
            }
            let copies = keep_segments(&x, &baseline, &self.of_entries, &copies)?;
            values.extend(target.numbers(&copies)?);
        }
    }

    /// A tensor of x's shape, in which each entry has the value of its input's segment.
    pub fn spread(&self, values: &[Vec<f64>]) -> Result<Tensor> {
        let entries: Vec<f64> = values
            .iter()
            .flat_map(|of_input| self.of_entries.iter().map(|&s| of_input[s as usize]))
            .collect();
        let spread = Tensor::from_vec(entries, self.x.shape(), self.x.device())?;
        check_finite(spread.to_dtype(self.x.dtype())?, || "the attribution".into())
    }
}
