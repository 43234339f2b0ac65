//! Resizing.

use candle_core::DType;

use super::super::attributes::{Convert, Fault, invalid, unsupported};
use super::super::call::Call;
use super::shape::trimmed;
use crate::graph::ValueId;
use crate::op::{Coordinates, Nearest, Op, Resize, ResizeMode};

/// Before opset 10, the only resizing, to larger images.
pub(super) fn upsample(call: &mut Call) -> Convert<()> {
    let scales = if call.opset() >= 9 {
        call.need(1)?
    } else {
        let scales = call.attributes.floats("scales")?;
        let scales = scales.ok_or_else(|| Fault::Invalid("it has no scales".into()))?;
        let scales: Vec<f64> = scales.iter().map(|scale| f64::from(*scale)).collect();
        call.numbers("scales", &scales)?
    };
    let inputs = vec![Some(call.need(0)?), None, Some(scales)];
    let resize = first_rules(mode(call)?, Nearest::Floor);
    call.emit_with(Op::Resize(resize), inputs)
}

pub(super) fn resize(call: &mut Call) -> Convert<()> {
    if call.opset() < 11 {
        return resize_10(call);
    }
    let resize =
        Resize { mode: mode(call)?, coordinates: coordinates(call)?, nearest: nearest(call)? };
    let attributes = &call.attributes;
    // These are for modes that are not supported, or for other modes. Where one of two pixels is
    // outside, the other has all weight, whether that is excluded or the edge.
    attributes.skip(&["cubic_coeff_a", "extrapolation_value", "exclude_outside"]);
    if call.opset() >= 18 && attributes.flag("antialias", false)? {
        return unsupported("antialias = 1");
    }
    let x = call.need(0)?;
    let (mut scales, mut sizes) = (not_empty(call, 2), not_empty(call, 3));
    if scales.is_some() == sizes.is_some() {
        return invalid("either scales or sizes must be given");
    }
    if call.opset() >= 18 {
        let policy = call.attributes.text("keep_aspect_ratio_policy", "stretch")?;
        if sizes.is_some() && policy != "stretch" {
            return unsupported(format!("keep_aspect_ratio_policy = {policy}"));
        }
        if let Some(axes) = call.attributes.axes("axes")? {
            let range = range(&axes, call.rank(x))?;
            scales = scales.map(|scales| all_scales(call, scales, &range)).transpose()?;
            sizes = sizes.map(|sizes| all_sizes(call, x, sizes, &range)).transpose()?;
        }
    }
    call.emit_with(Op::Resize(resize), trimmed(vec![Some(x), None, scales, sizes]))
}

/// The first version's nearest pixel is, in ONNX Runtime, the one below in a larger image and the
/// one above in a smaller one.
fn resize_10(call: &mut Call) -> Convert<()> {
    let mode = mode(call)?;
    let mut nearest = Nearest::Floor;
    if mode == ResizeMode::Nearest {
        let scales = call.constant(1).map(|scales| scales.to_dtype(DType::F64)?.to_vec1::<f64>());
        let Some(Ok(scales)) = scales else {
            return unsupported("in opset 10, with scales that are computed");
        };
        nearest = match scales.iter().partition::<Vec<f64>, _>(|scale| **scale < 1.) {
            (smaller, _) if smaller.is_empty() => Nearest::Floor,
            (_, others) if others.iter().all(|scale| *scale == 1.) => Nearest::Ceil,
            _ => return unsupported("in opset 10, larger in one dimension, smaller in another"),
        };
    }
    let inputs = vec![Some(call.need(0)?), None, Some(call.need(1)?)];
    call.emit_with(Op::Resize(first_rules(mode, nearest)), inputs)
}

fn first_rules(mode: ResizeMode, nearest: Nearest) -> Resize {
    Resize { mode, coordinates: Coordinates::Asymmetric, nearest }
}

fn mode(call: &Call) -> Convert<ResizeMode> {
    match call.attributes.text("mode", "nearest")? {
        "nearest" => Ok(ResizeMode::Nearest),
        "linear" | "bilinear" => Ok(ResizeMode::Linear),
        "cubic" => Ok(ResizeMode::Cubic {
            slope: call.attributes.float("cubic_coeff_a", -0.75)?,
            exclude_outside: call.attributes.flag("exclude_outside", false)?,
        }),
        other => unsupported(format!("mode = {other}")),
    }
}

fn coordinates(call: &Call) -> Convert<Coordinates> {
    match call.attributes.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Ok(Coordinates::HalfPixel),
        "pytorch_half_pixel" => Ok(Coordinates::PytorchHalfPixel),
        "half_pixel_symmetric" => Ok(Coordinates::HalfPixelSymmetric),
        "asymmetric" => Ok(Coordinates::Asymmetric),
        "align_corners" => Ok(Coordinates::AlignCorners),
        other => unsupported(format!("coordinate_transformation_mode = {other}")),
    }
}

fn nearest(call: &Call) -> Convert<Nearest> {
    match call.attributes.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => Ok(Nearest::RoundPreferFloor),
        "round_prefer_ceil" => Ok(Nearest::RoundPreferCeil),
        "floor" => Ok(Nearest::Floor),
        "ceil" => Ok(Nearest::Ceil),
        other => invalid(format!("nearest_mode = `{other}`")),
    }
}

/// Input `index`, unless it is a constant without elements, which stands for none.
fn not_empty(call: &Call, index: usize) -> Option<ValueId> {
    let is_empty = call.constant(index).is_some_and(|constant| constant.elem_count() == 0);
    call.input(index).filter(|_| !is_empty)
}

/// Neighbouring dimensions: the first, and the one behind the last; none where they are the last.
struct Range {
    start: isize,
    end: Option<isize>,
}

/// The range that axes are. Without a known rank, axes from the front are taken as the last ones;
/// if they are not, the number of sizes does not fit when the node runs.
fn range(axes: &[isize], rank: Option<usize>) -> Convert<Range> {
    let places = axes.iter().map(|axis| match rank {
        Some(rank) if *axis < 0 => axis + rank as isize,
        _ => *axis,
    });
    let places: Vec<isize> = places.collect();
    let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
        return invalid("axes are empty");
    };
    let neighbours = places.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if !neighbours || (first < 0 && last >= 0) {
        return unsupported(format!("axes = {axes:?}, which are no neighbours in order"));
    }
    let behind = match rank {
        Some(rank) => rank as isize,
        None if last < 0 => 0,
        None => last + 1,
    };
    let end = Some(last + 1).filter(|end| *end < behind);
    Ok(Range { start: first, end })
}

/// Scales of all dimensions, from those of some.
fn all_scales(call: &mut Call, scales: ValueId, range: &Range) -> Convert<ValueId> {
    if range.start < 0 {
        return unsupported("scales of some axes, of a value whose rank is not known");
    }
    let mut parts = vec![Some(scales)];
    if range.start > 0 {
        let ones = vec![1.; range.start as usize];
        parts.insert(0, Some(call.numbers("before", &ones)?));
    }
    if let Some(end) = range.end {
        let rank = call.need(0).map(|x| call.rank(x))?.unwrap_or(0);
        let ones = vec![1.; rank.saturating_sub(end as usize)];
        parts.push(Some(call.numbers("after", &ones)?));
    }
    call.extra("scales", Op::Concat { axis: 0 }, parts)
}

/// Sizes of all dimensions, from those of some.
fn all_sizes(call: &mut Call, x: ValueId, sizes: ValueId, range: &Range) -> Convert<ValueId> {
    let mut parts = vec![Some(sizes)];
    if range.start != 0 {
        let before = Op::Shape { start: 0, end: Some(range.start) };
        parts.insert(0, Some(call.extra("before", before, vec![Some(x)])?));
    }
    if let Some(end) = range.end {
        let after = Op::Shape { start: end, end: None };
        parts.push(Some(call.extra("after", after, vec![Some(x)])?));
    }
    call.extra("sizes", Op::Concat { axis: 0 }, parts)
}
