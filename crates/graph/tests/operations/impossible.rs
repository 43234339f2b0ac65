//! What cannot be computed is an error that says why, before any memory is taken.

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use foresee_graph::{
    ArgExtreme, Binary, Coordinates, Error, Kind, Nearest, Op, OpError, PadMode, Reduce, Reduction,
    Resize, ResizeMode, Scalar, Split, Unary, Variadic,
};

use crate::{apply, integers, one};

fn zeros(sizes: &[usize]) -> Tensor {
    Tensor::zeros(sizes, DType::F32, &Device::Cpu).expect("a small tensor")
}

fn assert_too_large(op: Op, inputs: &[&Tensor]) {
    let name = op.name();
    match one(op, inputs) {
        Err(Error::Node { source: OpError::TooLarge { .. }, .. }) => {}
        other => panic!("{name}: {other:?}"),
    }
}

/// The message of an operation on these inputs.
fn message(op: Op, inputs: &[&Tensor]) -> String {
    let name = op.name();
    match one(op, inputs) {
        Err(Error::Node { source: OpError::Candle(error), .. }) => panic!("{name}: {error}"),
        Err(error) => error.to_string(),
        Ok(y) => panic!("{name} gave {y:?}"),
    }
}

fn resize(mode: ResizeMode) -> Op {
    let (coordinates, nearest) = (Coordinates::HalfPixel, Nearest::Floor);
    Op::Resize(Resize { mode, coordinates, nearest })
}

#[test]
fn results_that_are_too_large_are_refused() {
    const MANY: i64 = 1 << 40;
    let (x, number) = (zeros(&[1, 2]), |value: i64| Tensor::new(value, &Device::Cpu).unwrap());
    assert_too_large(Op::Expand, &[&x, &integers(&[MANY, 2])]);
    assert_too_large(Op::Expand, &[&x, &integers(&[0, MANY, MANY, 1, 1])]);
    assert_too_large(Op::Tile, &[&x, &integers(&[MANY, MANY])]);
    assert_too_large(Op::ConstantOfShape(Scalar::Float(1.)), &[&integers(&[1 << 16, 1 << 16])]);
    assert_too_large(Op::Range, &[&number(0), &number(i64::MAX), &number(1)]);
    assert_too_large(Op::Range, &[&number(i64::MIN), &number(i64::MAX), &number(1)]);
    let float = |value: f32| Tensor::new(value, &Device::Cpu).unwrap();
    assert_too_large(Op::Range, &[&float(0.), &float(1e30), &float(1e-30)]);
    for mode in [PadMode::Constant, PadMode::Edge, PadMode::Reflect] {
        assert_too_large(Op::Pad(mode), &[&x, &integers(&[0, MANY, 0, 0])]);
    }
    for mode in [ResizeMode::Nearest, ResizeMode::Linear] {
        let sizes = [Some(x.clone()), None, None, Some(integers(&[MANY, MANY]))];
        let result = apply(resize(mode), &sizes, 1);
        assert!(matches!(result, Err(Error::Node { source: OpError::TooLarge { .. }, .. })));
    }
    let wide = zeros(&[1, 1 << 17]);
    let high = zeros(&[1 << 17, 1]);
    assert_too_large(Op::Binary(Binary::Add), &[&wide, &high]);
    assert_too_large(Op::Binary(Binary::Less), &[&wide, &high]);
    assert_too_large(Op::Variadic(Variadic::Max), &[&wide, &high]);
    let broadcast = one(Op::Expand, &[&wide, &integers(&[1 << 14, 1 << 17])]).unwrap();
    assert_too_large(Op::Concat { axis: 0 }, &[&broadcast, &wide]);
    assert_too_large(
        Op::Gather { axis: 0 },
        &[&wide, &Tensor::zeros(1 << 15, DType::I64, &Device::Cpu).unwrap()],
    );
}

#[test]
fn messages_say_what_is_needed() -> CandleResult<()> {
    let (x, one_axis) = (zeros(&[2, 3]), integers(&[2]));
    let of = |op: Op, inputs: &[&Tensor], part: &str| {
        let message = message(op, inputs);
        assert!(message.contains(part), "{message:?} has no {part:?}");
    };
    of(
        Op::Binary(Binary::Add),
        &[&x, &zeros(&[2])],
        "[2]; a shape that can be broadcast to [2, 3]",
    );
    of(Op::Binary(Binary::Add), &[&x, &integers(&[1, 2, 3])], "of type i64");
    of(Op::Binary(Binary::Div), &[&integers(&[1]), &integers(&[0])], "a divisor = 0");
    of(Op::Binary(Binary::And), &[&x, &x], "booleans are needed");
    of(Op::Unary(Unary::Sqrt), &[&integers(&[1])], "numbers with a fraction are needed");
    of(Op::Unary(Unary::Not), &[&x], "booleans");
    of(Op::Where, &[&x, &x, &x], "the conditions are of type f32");
    of(Op::Clip, &[&x, &x], "one number is needed");
    of(Op::Gather { axis: 1 }, &[&x, &integers(&[3])], "dimension 1 of x has 3 entries");
    of(Op::Gather { axis: 2 }, &[&x, &integers(&[0])], "there are 2 dimensions");
    let slice = |step: i64| [integers(&[0]), integers(&[1]), integers(&[0]), integers(&[step])];
    let [starts, ends, axes, steps] = &slice(0);
    of(Op::Slice, &[&x, starts, ends, axes, steps], "a step = 0");
    of(Op::Slice, &[&x, starts, &integers(&[1, 2])], "they are equal");
    of(Op::Pad(PadMode::Constant), &[&x, &integers(&[1])], "2 axes have two each");
    of(Op::Pad(PadMode::Constant), &[&x, &integers(&[-2, 0, -1, 0])], "has 2 entries");
    of(Op::Pad(PadMode::Edge), &[&zeros(&[0]), &integers(&[1, 1])], "there are entries");
    of(Op::Concat { axis: 0 }, &[&x, &zeros(&[2, 4])], "[2, 3], but for dimension 0");
    of(Op::Reshape { allow_zero: false }, &[&x, &integers(&[4, -1])], "divide the number");
    of(Op::Reshape { allow_zero: false }, &[&x, &integers(&[-1, -1])], "at most one is -1");
    of(Op::Reshape { allow_zero: true }, &[&x, &integers(&[0, -1])], "divide the number");
    of(Op::Reshape { allow_zero: false }, &[&x, &integers(&[1; 9])], "at most 8");
    of(Op::Transpose { order: Some(vec![0, 0]) }, &[&x], "each of 2 dimensions");
    of(Op::Squeeze, &[&x, &integers(&[0])], "a size of 1 there");
    of(Op::Unsqueeze, &[&x, &integers(&[0, 0])], "each is there once");
    of(Op::Squeeze, &[&x, &integers(&[])], "an empty list");
    of(Op::Expand, &[&x, &one_axis], "a shape that can be broadcast to [2]");
    of(Op::Tile, &[&x, &one_axis], "x has 2 dimensions");
    of(Op::DepthToSpace { block: 2, channel_first: true }, &[&zeros(&[1, 6, 1, 1])], "6 channels");
    of(Op::SpaceToDepth { block: 0 }, &[&zeros(&[1, 6, 2, 2])], "divides 2 and 2");
    of(Op::SpaceToDepth { block: 2 }, &[&x], "[B, C, H, W] is needed");
    of(resize(ResizeMode::Nearest), &[&x], "one of them is needed");
    let arg = ArgExtreme { greatest: true, axis: 0, keep_dims: true };
    of(Op::ArgExtreme(arg), &[&zeros(&[0, 2])], "an extreme is one of them");
    let (kind, axes) = (Reduction::Max, Some(vec![0, 0]));
    let reduce = Reduce { kind, axes, keep_dims: true, empty_is_nothing: false };
    of(Op::Reduce(reduce.clone()), &[&x], "each is there once");
    of(Op::Reduce(Reduce { axes: None, ..reduce }), &[&zeros(&[0])], "an extreme");
    let step = Tensor::new(0f32, &Device::Cpu)?;
    of(Op::Range, &[&step, &step, &step], "a number that is not 0");
    Ok(())
}

#[test]
fn parts_of_a_split_make_up_the_whole() {
    for (sizes, parts) in [(Some(vec![1, 1]), 2), (Some(vec![3]), 2), (None, 5)] {
        let split = Op::Split(Split { axis: 1, sizes, parts });
        assert!(apply(split, &[Some(zeros(&[2, 3]))], parts).is_err());
    }
}

/// Kinds that an operation does not take are refused before candle, which would panic.
#[test]
fn booleans_and_integers_are_no_fractions() {
    let (flags, counts) = (Tensor::new(&[1u8, 0], &Device::Cpu).unwrap(), integers(&[1, 2]));
    for unary in [Unary::Exp, Unary::Gelu, Unary::Round, Unary::Asin, Unary::Reciprocal] {
        assert!(one(Op::Unary(unary), &[&flags]).is_err());
        assert!(one(Op::Unary(unary), &[&counts]).is_err());
    }
    let reduce = |kind| {
        let (axes, keep_dims, empty_is_nothing) = (None, false, false);
        Op::Reduce(Reduce { kind, axes, keep_dims, empty_is_nothing })
    };
    assert!(one(reduce(Reduction::L2), &[&counts]).is_err());
    assert!(one(reduce(Reduction::Sum), &[&flags]).is_err());
    assert!(one(resize(ResizeMode::Linear), &[&counts, &counts]).is_err());
    assert!(one(Op::Cast(Kind::Float), &[&flags]).is_ok());
}
