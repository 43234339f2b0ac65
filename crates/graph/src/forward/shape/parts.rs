//! Tensors side by side, and cut again.

use candle_core::Tensor;

use crate::dims::inverse;
use crate::error::OpError;
use crate::forward::arguments::{Common, axis as axis_of, check_size, impossible, sizes_of};
use crate::forward::elementwise::memory_order;
use crate::forward::{Forward, Inputs};
use crate::op::Split;

/// All inputs side by side along one dimension; their other sizes are equal.
pub(in crate::forward) fn concat(inputs: &Inputs, axis: isize) -> Forward<Tensor> {
    let all: Vec<&Tensor> = inputs.all().collect();
    let common = Common::of("the inputs", &all)?;
    let axis = axis_of(axis as i64, all[0].rank())?;
    let mut sizes = all[0].dims().to_vec();
    for x in &all[1..] {
        let fits = |(i, (a, b)): (usize, (&usize, &usize))| i == axis || a == b;
        let is_alike = sizes.len() == x.rank();
        if !is_alike || !sizes.iter().zip(x.dims()).enumerate().all(fits) {
            return Err(OpError::Shape {
                what: "an input",
                got: x.dims().to_vec(),
                expected: format!("{:?}, but for dimension {axis},", all[0].dims()),
            });
        }
        sizes[axis] = sizes[axis].saturating_add(x.dims()[axis]);
    }
    check_size(&sizes)?;
    if sizes.contains(&0) {
        return common.convert(&Tensor::zeros(sizes, all[0].dtype(), all[0].device())?);
    }
    let parts = all.into_iter().map(|x| common.convert(x)).collect::<Forward<Vec<_>>>()?;
    in_blocks(&parts, axis)
}

/// Parts side by side, in the order in which all lie in memory, or as blocks: candle copies others
/// element by element.
fn in_blocks(parts: &[Tensor], axis: usize) -> Forward<Tensor> {
    if let Some(order) = memory_order(&parts[0]) {
        let permuted = parts.iter().map(|x| x.permute(&order[..]));
        let permuted = permuted.collect::<candle_core::Result<Vec<_>>>()?;
        if permuted.iter().all(Tensor::is_contiguous) {
            let inverse = inverse(&order);
            return Ok(Tensor::cat(&permuted, inverse[axis])?.permute(inverse)?);
        }
    }
    let blocks = parts.iter().map(Tensor::contiguous).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&blocks, axis)?)
}

/// Parts of x along one dimension: of given sizes, or of equal ones (the last is smaller where they
/// do not divide the dimension). Copies nothing.
pub(in crate::forward) fn split(
    x: &Tensor,
    sizes: Option<&Tensor>,
    split: &Split,
) -> Forward<Vec<Tensor>> {
    let axis = axis_of(split.axis as i64, x.rank())?;
    let all = x.dims()[axis];
    let sizes = match (sizes, &split.sizes) {
        (Some(sizes), _) => sizes_of("the sizes", sizes)?,
        (None, Some(sizes)) => sizes.clone(),
        (None, None) => equal(all, split.parts)?,
    };
    let sum = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if sizes.len() != split.parts || sum != Some(all) {
        let expected = format!("{} sizes of a dimension of {all}", split.parts);
        return Err(impossible("the parts", format!("{sizes:?}"), expected));
    }
    let mut start = 0;
    let part = |size: usize| {
        let part = x.narrow(axis, start, size)?;
        start += size;
        Ok(part)
    };
    sizes.into_iter().map(part).collect()
}

fn equal(all: usize, parts: usize) -> Forward<Vec<usize>> {
    let size = all.div_ceil(parts.max(1));
    let last = all.checked_sub(size * (parts.max(1) - 1));
    let Some(last) = last else {
        let expected = format!("so many parts of equal size, but for the last, make up {all}");
        return Err(impossible("the number of parts", parts, expected));
    };
    let mut sizes = vec![size; parts.max(1)];
    sizes[parts.max(1) - 1] = last;
    Ok(sizes)
}
