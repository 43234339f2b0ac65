//! Parts of tensors.

use candle_core::Tensor;

use super::arguments::{axis as axis_of, check_size, impossible, integers, kind, wrong_type};
use super::{Forward, Inputs};
use crate::dims;
use crate::op::Kind;

/// x from starts to ends, exclusive, in steps, along some axes. Negative starts and ends count from
/// the back; those outside of x are moved to its ends. Steps of 1 copy nothing.
pub(super) fn slice(inputs: &Inputs) -> Forward<Tensor> {
    let mut x = inputs.need(0)?.clone();
    let starts = integers("the starts", inputs.need(1)?)?;
    let ends = integers("the ends", inputs.need(2)?)?;
    let axes = match inputs.get(3) {
        Some(axes) => integers("the axes", axes)?,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match inputs.get(4) {
        Some(steps) => integers("the steps", steps)?,
        None => vec![1; starts.len()],
    };
    let lengths = [starts.len(), ends.len(), axes.len(), steps.len()];
    if lengths.iter().any(|&length| length != starts.len()) {
        let what = "the numbers of starts, ends, axes and steps";
        return Err(impossible(what, format!("{lengths:?}"), "they are equal"));
    }
    super::arguments::axes(&axes, x.rank())?;
    for (i, &axis) in axes.iter().enumerate() {
        let axis = axis_of(axis, x.rank())?;
        x = slice_axis(&x, axis, [starts[i], ends[i], steps[i]])?;
    }
    Ok(x)
}

fn slice_axis(x: &Tensor, axis: usize, [start, end, step]: [i64; 3]) -> Forward<Tensor> {
    let slice = dims::slice(x.dims()[axis], [start, end, step]);
    let (start, count) = slice.ok_or_else(|| impossible("a step", step, "it is not 0"))?;
    match (step, count) {
        (1, _) | (_, 0 | 1) => Ok(x.narrow(axis, if count == 0 { 0 } else { start }, count)?),
        _ => {
            let place = |i: usize| (start as i64 + i as i64 * step) as u32;
            select(x, axis, (0..count).map(place).collect())
        }
    }
}

/// The entries of these indices along an axis. They must be there.
pub(super) fn select(x: &Tensor, axis: usize, indices: Vec<u32>) -> Forward<Tensor> {
    let mut sizes = x.dims().to_vec();
    sizes[axis] = indices.len();
    check_size(&sizes)?;
    let count = indices.len();
    let indices = Tensor::from_vec(indices, count, x.device())?;
    Ok(x.contiguous()?.index_select(&indices, axis)?)
}

/// The entries of x along an axis that `indices`, of any shape, name; negative ones count from the
/// back. The axis' size is replaced by the sizes of `indices`.
pub(super) fn gather(x: &Tensor, indices: &Tensor, axis: isize) -> Forward<Tensor> {
    let axis = axis_of(axis as i64, x.rank())?;
    if kind(indices) != Kind::Int {
        return Err(wrong_type("the indices", indices, "integers"));
    }
    let size = x.dims()[axis];
    let found = integers("the indices", &indices.flatten_all()?)?
        .into_iter()
        .map(|index| match axis_of(index, size) {
            Ok(index) => Ok(index as u32),
            Err(_) => {
                let expected = format!("dimension {axis} of x has {size} entries");
                Err(impossible("an index", index, expected))
            }
        })
        .collect::<Forward<Vec<_>>>()?;
    let sizes = [&x.dims()[..axis], indices.dims(), &x.dims()[axis + 1..]].concat();
    check_size(&sizes)?;
    match found[..] {
        [index] if indices.rank() == 0 => Ok(x.narrow(axis, index as usize, 1)?.squeeze(axis)?),
        _ => Ok(select(x, axis, found)?.reshape(sizes)?),
    }
}

/// The parts of x that its first dimensions have at `indices` [..., n].
pub(super) fn gather_nd(x: &Tensor, indices: &Tensor) -> Forward<Tensor> {
    let parts = Parts::new(x, indices)?;
    let sizes = [&indices.dims()[..indices.rank() - 1], parts.dims].concat();
    check_size(&sizes)?;
    match sizes.contains(&0) {
        true => Ok(Tensor::zeros(sizes, x.dtype(), x.device())?),
        false => Ok(select(&parts.rows(x)?, 0, parts.named)?.reshape(sizes)?),
    }
}

/// x with `updates` in place of the parts that its first dimensions have at `indices` [..., n].
pub(super) fn scatter_nd(x: &Tensor, indices: &Tensor, updates: &Tensor) -> Forward<Tensor> {
    let parts = Parts::new(x, indices)?;
    let sizes = [&indices.dims()[..indices.rank() - 1], parts.dims].concat();
    if updates.dims() != sizes || updates.dtype() != x.dtype() {
        let what = format!("updates {:?} of {:?}", updates.dims(), updates.dtype());
        return Err(impossible("the updates", what, format!("{sizes:?} of {:?}", x.dtype())));
    }
    if x.elem_count() == 0 || updates.elem_count() == 0 {
        return Ok(x.clone());
    }
    let count = x.elem_count() / parts.size();
    check_size(&[count + parts.named.len(), parts.size()])?;
    let mut from: Vec<u32> = (0..count as u32).collect();
    for (update, &part) in parts.named.iter().enumerate() {
        from[part as usize] = (count + update) as u32;
    }
    let updates = updates.reshape((parts.named.len(), parts.size()))?;
    let all = Tensor::cat(&[parts.rows(x)?, updates], 0)?;
    Ok(select(&all, 0, from)?.reshape(x.shape())?)
}

/// The parts of a tensor that its first dimensions have, of which indices name some.
struct Parts<'a> {
    /// The sizes of a part.
    dims: &'a [usize],
    /// The numbers of those that are named.
    named: Vec<u32>,
}

impl<'a> Parts<'a> {
    fn new(x: &'a Tensor, indices: &Tensor) -> Forward<Self> {
        if kind(indices) != Kind::Int {
            return Err(wrong_type("the indices", indices, "integers"));
        }
        let Some(&n) = indices.dims().last().filter(|n| (1..=x.rank()).contains(*n)) else {
            let expected = format!("their last dimension is from 1 to {}", x.rank());
            return Err(impossible("indices", format!("{:?}", indices.dims()), expected));
        };
        let (sizes, dims) = x.dims().split_at(n);
        let number = |part: &[i64]| {
            let place = |number: usize, (&index, &size): (&i64, &usize)| {
                let expected =
                    || impossible("an index", index, format!("there are {size} entries"));
                Ok(number * size + axis_of(index, size).map_err(|_| expected())?)
            };
            part.iter().zip(sizes).try_fold(0, place).map(|number| number as u32)
        };
        let all = integers("the indices", &indices.flatten_all()?)?;
        let named = all.chunks_exact(n).map(number).collect::<Forward<_>>()?;
        Ok(Self { dims, named })
    }

    /// The number of a part's elements.
    fn size(&self) -> usize {
        self.dims.iter().product()
    }

    /// x with a row for each part.
    fn rows(&self, x: &Tensor) -> Forward<Tensor> {
        let count = x.elem_count() / self.size().max(1);
        Ok(x.contiguous()?.reshape((count, self.size()))?)
    }
}
