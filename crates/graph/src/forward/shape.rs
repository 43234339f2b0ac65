//! Shapes. Sizes and indices are integers, and their operations run on the CPU.

mod made;
mod parts;

use candle_core::Tensor;

pub(super) use made::{constant_of_shape, range, size, sizes};
pub(super) use parts::{concat, split};

use super::Forward;
use super::arguments::{
    axes as axes_of, broadcast_to, check_rank, check_size, impossible, integers, size_of, sizes_of,
};
use crate::dims::broadcast;
use crate::error::OpError;

/// x with other sizes: 0 keeps that of the same place (unless `allow_zero`), and one may be -1,
/// which is what is left.
pub(super) fn reshape(x: &Tensor, shape: &Tensor, allow_zero: bool) -> Forward<Tensor> {
    let asked = integers("the shape", shape)?;
    let refuse = |expected: String| {
        Err(impossible("a shape", format!("{asked:?} of x, {:?}", x.dims()), expected))
    };
    let mut sizes = Vec::with_capacity(asked.len());
    let mut open = None;
    for (place, &size) in asked.iter().enumerate() {
        sizes.push(match (size, open) {
            (0, _) if !allow_zero => match x.dims().get(place) {
                Some(&size) => size,
                None => return refuse("a 0 stands for a size that x has".into()),
            },
            (-1, None) => {
                open = Some(place);
                1
            }
            (-1, Some(_)) => return refuse("at most one is -1".into()),
            (size, _) => size_of("a size", size)?,
        });
    }
    check_size(&sizes)?;
    if let Some(place) = open {
        let others: usize = sizes.iter().product();
        if others == 0 || !x.elem_count().is_multiple_of(others) {
            return refuse("the other sizes divide the number of elements".into());
        }
        sizes[place] = x.elem_count() / others;
    }
    if sizes.iter().product::<usize>() != x.elem_count() {
        return refuse("it has as many elements as x".into());
    }
    Ok(x.reshape(sizes)?)
}

/// x as a matrix: the dimensions before `axis`, and those from it on.
pub(super) fn flatten(x: &Tensor, axis: isize) -> Forward<Tensor> {
    let rank = x.rank();
    let axis = match axis == rank as isize {
        true => rank,
        false if axis == 0 => 0,
        false => super::arguments::axis(axis as i64, rank)?,
    };
    let rows: usize = x.dims()[..axis].iter().product();
    let columns: usize = x.dims()[axis..].iter().product();
    Ok(x.reshape((rows, columns))?)
}

/// The dimensions of x in another order; reversed, if none is given.
pub(super) fn transpose(x: &Tensor, order: Option<&[usize]>) -> Forward<Tensor> {
    let order = order.map_or_else(|| (0..x.rank()).rev().collect(), <[usize]>::to_vec);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        let expected = format!("each of {} dimensions is there once", x.rank());
        return Err(impossible("an order", format!("{order:?}"), expected));
    }
    Ok(x.permute(order)?)
}

/// x without dimensions of size 1: these, or all.
pub(super) fn squeeze(x: &Tensor, axes: Option<&Tensor>) -> Forward<Tensor> {
    let axes = match axes {
        Some(axes) if axes.elem_count() == 0 => {
            let expected = "there is one, or no list: what an empty list means ONNX leaves open";
            return Err(impossible("the axes", "none", expected));
        }
        Some(axes) => axes_of(&integers("the axes", axes)?, x.rank())?,
        None => (0..x.rank()).filter(|&axis| x.dims()[axis] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| x.dims()[axis] != 1) {
        let expected = format!("x {:?} has a size of 1 there", x.dims());
        return Err(impossible("an axis", axis, expected));
    }
    let mut result = x.clone();
    for &axis in axes.iter().rev() {
        result = result.squeeze(axis)?;
    }
    Ok(result)
}

/// x with new dimensions of size 1, at these places of the result.
pub(super) fn unsqueeze(x: &Tensor, axes: &Tensor) -> Forward<Tensor> {
    let axes = integers("the axes", axes)?;
    let rank = x.rank() + axes.len();
    check_rank(rank)?;
    let mut result = x.clone();
    for axis in axes_of(&axes, rank)? {
        result = result.unsqueeze(axis)?;
    }
    Ok(result)
}

/// x broadcast to a shape, and the shape to x's. Copies nothing.
pub(super) fn expand(x: &Tensor, shape: &Tensor) -> Forward<Tensor> {
    let asked = sizes_of("the shape", shape)?;
    let sizes = broadcast(x.dims(), &asked).ok_or_else(|| OpError::Shape {
        what: "x",
        got: x.dims().to_vec(),
        expected: format!("a shape that can be broadcast to {asked:?}"),
    })?;
    check_size(&sizes)?;
    Ok(broadcast_to(x, &sizes)?)
}

/// x side by side with itself, as often along each dimension.
pub(super) fn tile(x: &Tensor, repeats: &Tensor) -> Forward<Tensor> {
    let repeats = integers("the repeats", repeats)?;
    if repeats.len() != x.rank() {
        let expected = format!("x has {} dimensions", x.rank());
        return Err(impossible("the number of repeats", repeats.len(), expected));
    }
    let mut sizes = x.dims().to_vec();
    for (size, &times) in sizes.iter_mut().zip(&repeats) {
        *size = size.saturating_mul(size_of("a repeat", times)?);
    }
    check_size(&sizes)?;
    if sizes.contains(&0) {
        return Ok(Tensor::zeros(sizes, x.dtype(), x.device())?);
    }
    let mut result = x.clone();
    for (axis, &times) in repeats.iter().enumerate().filter(|(_, times)| **times > 1) {
        let mut sizes = result.dims().to_vec();
        let outer: usize = sizes[..axis].iter().product();
        let inner: usize = sizes[axis..].iter().product();
        sizes[axis] *= times as usize;
        let blocks = result.reshape((outer, 1, inner))?;
        result = blocks.broadcast_as((outer, times as usize, inner))?.reshape(sizes)?;
    }
    Ok(result)
}

/// x [B, C·n², H, W] → [B, C, H·n, W·n].
pub(super) fn depth_to_space(x: &Tensor, block: usize, channel_first: bool) -> Forward<Tensor> {
    let [b, c, h, w] = image(x)?;
    let channels =
        block.checked_mul(block).filter(|&n| n > 0 && c.is_multiple_of(n)).map(|n| c / n);
    let Some(channels) = channels else {
        let expected = format!("its square divides {c} channels");
        return Err(impossible("a block", block, expected));
    };
    let (sizes, order) = match channel_first {
        true => ([b, channels, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        false => ([b, block, block, channels, h, w], [0, 3, 4, 1, 5, 2]),
    };
    let moved = x.reshape(&sizes[..])?.permute(&order[..])?;
    Ok(moved.reshape((b, channels, h * block, w * block))?)
}

/// x [B, C, H·n, W·n] → [B, n²·C, H, W].
pub(super) fn space_to_depth(x: &Tensor, block: usize) -> Forward<Tensor> {
    let [b, c, h, w] = image(x)?;
    if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(impossible("a block", block, format!("it divides {h} and {w}")));
    }
    let (h, w) = (h / block, w / block);
    let sizes = [b, c, h, block, w, block];
    let moved = x.reshape(&sizes[..])?.permute(&[0, 3, 5, 1, 2, 4][..])?;
    Ok(moved.reshape((b, block * block * c, h, w))?)
}

fn image(x: &Tensor) -> Forward<[usize; 4]> {
    <[usize; 4]>::try_from(x.dims()).map_err(|_| OpError::Shape {
        what: "x",
        got: x.dims().to_vec(),
        expected: "[B, C, H, W]".into(),
    })
}
