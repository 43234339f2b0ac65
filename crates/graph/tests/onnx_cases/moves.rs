//! Operations that move, reduce or make numbers.

use candle_core::{Device, Tensor};
use foresee_graph::{
    ArgExtreme, Binary, Builder, Coordinates, Kind, Nearest, Op, PadMode, Reduce, Reduction,
    Resize, ResizeMode, Scalar, Split, Unary,
};

use super::In::{No, W, X};
use super::{AnyResult, Case, flags, integers, numbers, one, positive, scalar};

fn block() -> AnyResult<Tensor> {
    positive(&[2, 3, 4])
}

pub fn reductions() -> AnyResult<Vec<Case>> {
    use Reduction as R;
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(block()?));
    let reduce = |kind, axes: Option<&[isize]>, keep_dims| Reduce {
        kind,
        axes: axes.map(<[isize]>::to_vec),
        keep_dims,
        empty_is_nothing: false,
    };
    let mut cases = Vec::new();
    let kinds = [
        R::Sum,
        R::Mean,
        R::Max,
        R::Min,
        R::Prod,
        R::L1,
        R::L2,
        R::SumSquare,
        R::LogSum,
        R::LogSumExp,
    ];
    for kind in kinds {
        let op = Op::Reduce(reduce(kind, Some(&[-1, 0]), false));
        cases.push(one(&format!("reduce_{}", op.name()), op, &[x()?])?);
    }
    let mean = |axes, keep_dims| Op::Reduce(reduce(R::Mean, axes, keep_dims));
    cases.push(one("reduce_kept", mean(Some(&[1]), true), &[x()?])?);
    cases.push(one("reduce_all", mean(None, false), &[x()?])?);
    cases.push(one("reduce_input", mean(None, false), &[x()?, W(integers(&[1])?)])?);
    let nothing = Reduce { empty_is_nothing: true, ..reduce(R::Sum, None, true) };
    cases.push(one("reduce_nothing", Op::Reduce(nothing), &[x()?])?);
    let arg = |greatest, axis, keep_dims| Op::ArgExtreme(ArgExtreme { greatest, axis, keep_dims });
    cases.push(one("argmax", arg(true, -1, false), &[x()?])?);
    cases.push(one("argmin", arg(false, 1, true), &[x()?])?);
    Ok(cases)
}

pub fn parts() -> AnyResult<Vec<Case>> {
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(block()?));
    let of = |numbers: &[i64]| -> AnyResult<_> { Ok(W(integers(numbers)?)) };
    let split = |sizes, parts| Op::Split(Split { axis: -1, sizes, parts });
    let steps = [of(&[-1, 0])?, of(&[i64::MIN, 4])?, of(&[1, 2])?, of(&[-1, 2])?];
    let pads = of(&[0, 1, 2, 0, 0, 1])?;
    let pad = |mode| Op::Pad(mode);
    let index = |axis| Op::Gather { axis };
    let row = W(Tensor::new(1i64, &Device::Cpu)?);
    Ok(vec![
        one("concat", Op::Concat { axis: -2 }, &[x()?, W(numbers(&[2, 1, 4])?), x()?])?,
        one("split_equal", split(None, 2), &[x()?])?,
        one("split_sizes", split(Some(vec![1, 3]), 2), &[x()?])?,
        one("split_input", split(None, 2), &[x()?, of(&[3, 1])?])?,
        one("slice", Op::Slice, &[x()?, of(&[1])?, of(&[3])?, of(&[-1])?])?,
        one("slice_steps", Op::Slice, &[&[x()?][..], &steps].concat())?,
        one("pad", pad(PadMode::Constant), &[x()?, pads.clone(), W(scalar(0.3)?)])?,
        one("pad_edge", pad(PadMode::Edge), &[x()?, pads.clone()])?,
        one("pad_mirror", pad(PadMode::Reflect), &[x()?, pads])?,
        one("pad_axes", pad(PadMode::Constant), &[x()?, of(&[1, 2])?, No, of(&[1])?])?,
        one("gather", index(1), &[x()?, of(&[2, 0, -1])?])?,
        one("gather_row", index(-1), &[x()?, row])?,
        one("gather_input", index(0), &[W(block()?), X(integers(&[1, 1, 0])?)])?,
    ])
}

pub fn shapes() -> AnyResult<Vec<Case>> {
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(block()?));
    let of = |numbers: &[i64]| -> AnyResult<_> { Ok(W(integers(numbers)?)) };
    let reshape = |allow_zero| Op::Reshape { allow_zero };
    let thin = X(numbers(&[2, 1, 3, 1])?);
    let image = X(numbers(&[2, 8, 2, 3])?);
    let order = |order: &[usize]| Op::Transpose { order: Some(order.to_vec()) };
    let depth = |channel_first| Op::DepthToSpace { block: 2, channel_first };
    Ok(vec![
        one("reshape", reshape(false), &[x()?, of(&[0, -1])?])?,
        one("reshape_plain", reshape(true), &[x()?, of(&[4, 3, 2])?])?,
        one("flatten", Op::Flatten { axis: 2 }, &[x()?])?,
        one("flatten_all", Op::Flatten { axis: 0 }, &[x()?])?,
        one("transpose", order(&[1, 2, 0]), &[x()?])?,
        one("transpose_reversed", Op::Transpose { order: None }, &[x()?])?,
        one("squeeze", Op::Squeeze, &[thin, of(&[1, -1])?])?,
        one("unsqueeze", Op::Unsqueeze, &[x()?, of(&[0, -1])?])?,
        one("expand", Op::Expand, &[X(numbers(&[3, 1])?), of(&[2, 1, 4])?])?,
        one("tile", Op::Tile, &[x()?, of(&[1, 2, 3])?])?,
        one("depth_to_space", depth(false), std::slice::from_ref(&image))?,
        one("depth_to_space_crd", depth(true), &[image])?,
        one("space_to_depth", Op::SpaceToDepth { block: 2 }, &[X(numbers(&[2, 2, 4, 6])?)])?,
        one("identity", Op::Identity, &[x()?])?,
        dynamic()?,
    ])
}

/// A shape that depends on the input's.
fn dynamic() -> AnyResult<Case> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, None, Some(4)])?;
    let shape = builder.node("shape", Op::Shape { start: 0, end: Some(-1) }, &[x])?;
    let two = builder.weight("two", integers(&[2, 2])?)?;
    let shape = builder.node("rest", Op::Concat { axis: 0 }, &[shape, two])?;
    let y = builder.node("y", Op::Reshape { allow_zero: false }, &[x, shape])?;
    // Integers as a condition, which ONNX does not have.
    let whole = builder.node("whole", Op::Cast(Kind::Int), &[y])?;
    let zero = builder.weight("zero", scalar(0.)?)?;
    let open = builder.node("open", Op::Where, &[whole, zero, y])?;
    let count = builder.node("count", Op::Size, &[open])?;
    let count = builder.node("float", Op::Cast(Kind::Float), &[count])?;
    let mean = builder.node("mean", Op::Binary(Binary::Div), &[open, count])?;
    let graph = builder.finish(vec![mean, whole, y])?;
    Ok(Case { name: "dynamic".into(), graph, inputs: vec![numbers(&[3, 5, 4])?] })
}

pub fn made() -> AnyResult<Vec<Case>> {
    let shape = X(integers(&[2, 3])?);
    let filled = |value| Op::ConstantOfShape(value);
    let number = |number: i64| -> AnyResult<_> { Ok(W(Tensor::new(number, &Device::Cpu)?)) };
    let floats = [W(scalar(0.5)?), X(scalar(2.2)?), W(scalar(0.5)?)];
    let x = X(numbers(&[2, 3])?);
    let cast = |kind| Op::Cast(kind);
    Ok(vec![
        one("shape", Op::Shape { start: 1, end: None }, std::slice::from_ref(&x))?,
        one("shape_part", Op::Shape { start: -2, end: Some(-1) }, std::slice::from_ref(&x))?,
        one("size", Op::Size, std::slice::from_ref(&x))?,
        one("fill", filled(Scalar::Float(0.25)), std::slice::from_ref(&shape))?,
        one("fill_integers", filled(Scalar::Int(-3)), std::slice::from_ref(&shape))?,
        one("fill_flags", filled(Scalar::Bool(true)), &[shape])?,
        one("range", Op::Range, &floats)?,
        one(
            "range_down",
            Op::Range,
            &[number(5)?, X(Tensor::new(-2i64, &Device::Cpu)?), number(-3)?],
        )?,
        one("to_integers", cast(Kind::Int), std::slice::from_ref(&x))?,
        one("to_flags", cast(Kind::Bool), &[x])?,
        one(
            "from_integers",
            Op::Binary(Binary::Add),
            &[X(integers(&[1, 2])?), W(integers(&[3])?)],
        )?,
        one("not_flags", Op::Unary(Unary::Not), &[X(flags(&[1, 0])?)])?,
    ])
}

pub fn resizes() -> AnyResult<Vec<Case>> {
    let x = X(numbers(&[1, 2, 4, 5])?);
    let scales = W(Tensor::new(&[1f32, 1., 1.5, 2.], &Device::Cpu)?);
    let sizes = W(integers(&[1, 2, 3, 7])?);
    let of = |mode, coordinates, nearest| Op::Resize(Resize { mode, coordinates, nearest });
    let (near, linear) = (ResizeMode::Nearest, ResizeMode::Linear);
    let cubic = |slope, exclude_outside| ResizeMode::Cubic { slope, exclude_outside };
    let below = Nearest::Floor;
    let cases = [
        ("nearest", of(near, Coordinates::Asymmetric, below), true),
        ("nearest_half", of(near, Coordinates::HalfPixel, Nearest::RoundPreferFloor), false),
        ("nearest_ceil", of(near, Coordinates::Asymmetric, Nearest::Ceil), true),
        ("nearest_up", of(near, Coordinates::HalfPixel, Nearest::RoundPreferCeil), true),
        ("linear", of(linear, Coordinates::HalfPixel, below), true),
        ("linear_torch", of(linear, Coordinates::PytorchHalfPixel, below), false),
        ("cubic", of(cubic(-0.75, false), Coordinates::HalfPixel, below), true),
        ("cubic_inside", of(cubic(-0.5, true), Coordinates::HalfPixelSymmetric, below), true),
        ("linear_corners", of(linear, Coordinates::AlignCorners, below), false),
    ];
    let mut all = Vec::new();
    for (name, op, is_scaled) in cases {
        let inputs = match is_scaled {
            true => vec![x.clone(), No, scales.clone()],
            false => vec![x.clone(), No, No, sizes.clone()],
        };
        all.push(one(&format!("resize_{name}"), op, &inputs)?);
    }
    Ok(all)
}
