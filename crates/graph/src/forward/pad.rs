//! Padding.

use candle_core::{Shape, Tensor};

use super::arguments::{Common, axis, check_size, impossible, integers, size_of};
use super::{Forward, Inputs};
use crate::op::PadMode;

/// What is put before and after one axis of a tensor.
struct Side {
    axis: usize,
    before: i64,
    after: i64,
}

/// x with values around it: a constant, x mirrored at its first and last entry (again and again
/// where the padding is longer than x), or these entries. Negative numbers cut off.
pub(super) fn pad(inputs: &Inputs, mode: PadMode) -> Forward<Tensor> {
    let mut x = inputs.need(0)?.clone();
    let sides = sides(inputs, x.rank())?;
    check_result(&x, &sides)?;
    for side in &sides {
        x = crop(&x, side)?;
    }
    let value = match inputs.get(2) {
        Some(value) if value.elem_count() == 1 => Some(value.reshape(())?),
        Some(value) => {
            return Err(impossible(
                "the value",
                format!("{:?}", value.dims()),
                "one number is needed",
            ));
        }
        None => None,
    };
    for side in sides {
        let (before, after) = (side.before.max(0) as usize, side.after.max(0) as usize);
        x = match mode {
            _ if before == 0 && after == 0 => x,
            PadMode::Constant => put_around(&x, side.axis, [before, after], value.as_ref())?,
            PadMode::Reflect => extend(&x, side.axis, [before, after], mirrored)?,
            PadMode::Edge => extend(&x, side.axis, [before, after], nearest)?,
        };
    }
    Ok(x)
}

fn sides(inputs: &Inputs, rank: usize) -> Forward<Vec<Side>> {
    let pads = integers("the pads", inputs.need(1)?)?;
    let axes = match inputs.get(3) {
        Some(axes) => integers("the axes", axes)?,
        None => (0..rank as i64).collect(),
    };
    super::arguments::axes(&axes, rank)?;
    let count = axes.len();
    if pads.len() != 2 * count {
        let expected = format!("{count} axes have two each");
        return Err(impossible("the number of pads", pads.len(), expected));
    }
    let side = |(i, &of): (usize, &i64)| {
        Ok(Side { axis: axis(of, rank)?, before: pads[i], after: pads[count + i] })
    };
    axes.iter().enumerate().map(side).collect()
}

/// Refuses what would be too large, or cut off more than there is.
fn check_result(x: &Tensor, sides: &[Side]) -> Forward<()> {
    let mut sizes = x.dims().to_vec();
    for side in sides {
        let size = sizes[side.axis] as i64;
        let padded = size.checked_add(side.before).and_then(|s| s.checked_add(side.after));
        let cut = (side.before.min(0)).saturating_add(side.after.min(0));
        let (Some(padded), true) = (padded, size.saturating_add(cut) >= 0) else {
            let value = format!("{}, {}", side.before, side.after);
            return Err(impossible("pads", value, format!("the dimension has {size} entries")));
        };
        sizes[side.axis] = size_of("a padded size", padded)?;
    }
    check_size(&sizes)
}

fn crop(x: &Tensor, side: &Side) -> Forward<Tensor> {
    let cut = |pad: i64| pad.min(0).unsigned_abs() as usize;
    let (before, after) = (cut(side.before), cut(side.after));
    Ok(x.narrow(side.axis, before, x.dims()[side.axis] - before - after)?)
}

fn put_around(
    x: &Tensor,
    axis: usize,
    counts: [usize; 2],
    value: Option<&Tensor>,
) -> Forward<Tensor> {
    let value = match value {
        Some(value) => value.clone(),
        None => Tensor::zeros((), x.dtype(), x.device())?,
    };
    let common = Common::of("the value", &[x, &value])?;
    let (x, value) = (common.convert(x)?.contiguous()?, common.convert(&value)?);
    let [before, after] = counts.map(|count| -> candle_core::Result<Tensor> {
        let mut sizes = x.dims().to_vec();
        sizes[axis] = count;
        // candle copies views that are no blocks element by element.
        value.broadcast_as(Shape::from(sizes))?.contiguous()
    });
    let parts = [before?, x.clone(), after?];
    let parts: Vec<&Tensor> = parts.iter().filter(|part| part.dims()[axis] > 0).collect();
    Ok(Tensor::cat(&parts, axis)?)
}

/// x with entries of its own around it, which `index` finds.
fn extend(
    x: &Tensor,
    axis: usize,
    [before, after]: [usize; 2],
    index: fn(i64, i64) -> i64,
) -> Forward<Tensor> {
    let size = x.dims()[axis] as i64;
    if size == 0 {
        return Err(impossible("a dimension", 0, "there are entries that are repeated"));
    }
    let places = -(before as i64)..size + after as i64;
    super::index::select(x, axis, places.map(|place| index(place, size) as u32).collect())
}

/// The entry at a place of an axis that is mirrored at its first and last entry.
fn mirrored(place: i64, size: i64) -> i64 {
    let period = (2 * (size - 1)).max(1);
    let place = place.rem_euclid(period);
    place.min(period - place).min(size - 1)
}

fn nearest(place: i64, size: i64) -> i64 {
    place.clamp(0, size - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_go_on_and_on() {
        let of = |size: i64| (-4..7).map(|place| mirrored(place, size)).collect::<Vec<_>>();
        assert_eq!(of(3), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(of(1), [0; 11]);
    }
}
