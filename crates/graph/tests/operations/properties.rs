//! Laws of the operations on shapes, for any shape, and for numbers that no network has.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    ArgExtreme, Binary, Coordinates, Nearest, Op, PadMode, Reduce, Reduction, Resize, ResizeMode,
    Scalar, Split, Unary,
};
use proptest::prelude::*;

use crate::{apply, integers, one, values};

/// 0, 1, 2, .. in this shape.
fn counted(sizes: &[usize]) -> Tensor {
    let count: usize = sizes.iter().product();
    let numbers: Vec<f64> = (0..count).map(|i| i as f64 * 0.37 - 3.).collect();
    Tensor::from_vec(numbers, sizes, &Device::Cpu).expect("as many numbers")
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5, 1..5)
}

/// A shape and an order of its dimensions.
fn sizes_and_order() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    sizes().prop_flat_map(|sizes| {
        let order: Vec<usize> = (0..sizes.len()).collect();
        (Just(sizes), Just(order).prop_shuffle())
    })
}

/// More elements than a tensor can have, also a little less and rounded to `f32`: a result of just
/// as many as are allowed takes the memory of the whole machine.
const TOO_MANY: i64 = 7 << 31;

/// Small numbers, and those at which arithmetic overflows.
fn wild() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => -6i64..7,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX, TOO_MANY, -1 << 40]),
    ]
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

/// A copy whose dimensions lie in memory in reverse.
fn copied_in_order(x: &Tensor) -> Tensor {
    let order: Vec<usize> = (0..x.rank()).rev().collect();
    let copy = x.permute(&order[..]).and_then(|x| x.force_contiguous()?.permute(&order[..]));
    copy.expect("an order")
}

/// ONNX' rule for one dimension, as a loop.
fn sliced(size: i64, start: i64, end: i64, step: i64) -> Vec<i64> {
    let place = |place: i64| i128::from(place) + if place < 0 { i128::from(size) } else { 0 };
    let (first, last) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let end = place(end).clamp(first.into(), last.into());
    let mut at = place(start).clamp(0, last.max(0).into());
    let mut found = vec![];
    while size > 0 && if step > 0 { at < end } else { at > end } {
        found.push(at as i64);
        at += i128::from(step);
    }
    found
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn transposing_back_is_nothing((sizes, order) in sizes_and_order()) {
        let x = counted(&sizes);
        let there = one(Op::Transpose { order: Some(order.clone()) }, &[&x]).unwrap();
        let back = one(Op::Transpose { order: Some(inverse(&order)) }, &[&there]).unwrap();
        prop_assert_eq!(back.dims(), x.dims());
        prop_assert_eq!(values(&back), values(&x));
    }

    #[test]
    fn reshaping_keeps_the_order((sizes, order) in sizes_and_order()) {
        let x = one(Op::Transpose { order: Some(order) }, &[&counted(&sizes)]).unwrap();
        let flat = one(Op::Reshape { allow_zero: false }, &[&x, &integers(&[-1])]).unwrap();
        prop_assert_eq!(values(&flat), values(&x));
        let asked: Vec<i64> = x.dims().iter().map(|&size| size as i64).collect();
        let back = one(Op::Reshape { allow_zero: false }, &[&flat, &integers(&asked)]).unwrap();
        prop_assert_eq!(back.dims(), x.dims());
    }

    #[test]
    fn parts_side_by_side_are_the_whole(
        (sizes, order) in sizes_and_order(),
        cut in 0usize..5,
        axis in 0usize..5,
    ) {
        let x = one(Op::Transpose { order: Some(order) }, &[&counted(&sizes)]).unwrap();
        let axis = axis % x.rank();
        let cut = cut.min(x.dims()[axis]);
        let parts = Some(vec![cut, x.dims()[axis] - cut]);
        let split = Op::Split(Split { axis: axis as isize, sizes: parts, parts: 2 });
        let parts = apply(split, &[Some(x.clone())], 2).unwrap();
        for copy in [Tensor::clone, |part: &Tensor| copied_in_order(part)] {
            let parts = [copy(&parts[0]), copy(&parts[1])];
            let whole = one(Op::Concat { axis: axis as isize }, &[&parts[0], &parts[1]]).unwrap();
            prop_assert_eq!(whole.dims(), x.dims());
            prop_assert_eq!(values(&whole), values(&x));
        }
    }

    #[test]
    fn slices_are_those_of_a_loop(size in 0i64..7, start in wild(), end in wild(), step in wild()) {
        prop_assume!(step != 0);
        let numbers: Vec<i64> = (0..size).collect();
        let x = integers(&numbers);
        let settings = [[start], [end], [0], [step]].map(|setting| integers(&setting));
        let [starts, ends, axes, steps] = &settings;
        let y = one(Op::Slice, &[&x, starts, ends, axes, steps]).unwrap();
        prop_assert_eq!(y.to_vec1::<i64>().unwrap(), sliced(size, start, end, step));
    }

    #[test]
    fn padding_is_cut_off_again(
        sizes in sizes(),
        before in 0i64..4,
        after in 0i64..4,
        mode in 0..3,
    ) {
        let modes = [PadMode::Constant, PadMode::Reflect, PadMode::Edge];
        let x = counted(&sizes);
        let pads = [vec![before; sizes.len()], vec![after; sizes.len()]].concat();
        let padded = one(Op::Pad(modes[mode as usize]), &[&x, &integers(&pads)]).unwrap();
        let cuts: Vec<i64> = pads.iter().map(|pad| -pad).collect();
        let back = one(Op::Pad(PadMode::Constant), &[&padded, &integers(&cuts)]).unwrap();
        prop_assert_eq!(back.dims(), x.dims());
        prop_assert_eq!(values(&back), values(&x));
    }

    #[test]
    fn new_dimensions_are_taken_away(sizes in sizes(), place in 0i64..5) {
        let x = counted(&sizes);
        let axes = integers(&[place.min(sizes.len() as i64), -1]);
        let wide = one(Op::Unsqueeze, &[&x, &axes]).unwrap();
        prop_assert_eq!(wide.rank(), x.rank() + 2);
        let back = one(Op::Squeeze, &[&wide, &axes]).unwrap();
        prop_assert_eq!(back.dims(), x.dims());
    }

    #[test]
    fn a_tile_is_x_at_the_rest(size in 1usize..5, times in 0i64..4, wide in 1usize..3) {
        let x = counted(&[size, wide]);
        let y = one(Op::Tile, &[&x, &integers(&[times, 2])]).unwrap();
        let (x, y) = (x.to_vec2::<f64>().unwrap(), y.to_vec2::<f64>().unwrap());
        prop_assert_eq!(y.len(), size * times as usize);
        for (i, row) in y.iter().enumerate() {
            prop_assert_eq!(&row[..wide], &x[i % size][..]);
            prop_assert_eq!(&row[wide..], &x[i % size][..]);
        }
    }

    #[test]
    fn blocks_go_to_channels_and_back(c in 1usize..3, h in 1usize..3, block in 1usize..4) {
        let x = counted(&[2, c, h * block, block]);
        let deep = one(Op::SpaceToDepth { block }, &[&x]).unwrap();
        let back = one(Op::DepthToSpace { block, channel_first: false }, &[&deep]).unwrap();
        prop_assert_eq!(back.dims(), x.dims());
        prop_assert_eq!(values(&back), values(&x));
    }

    /// Feature maps lie pixel by pixel in memory: their values are the same, and stay so.
    #[test]
    fn the_order_in_memory_changes_no_value((sizes, order) in sizes_and_order()) {
        let permuted = counted(&sizes).permute(&order[..]).unwrap();
        let plain = permuted.force_contiguous().unwrap();
        for unary in [Unary::Relu, Unary::Mish, Unary::Gelu, Unary::Round] {
            let [a, b] = [&permuted, &plain].map(|x| one(Op::Unary(unary), &[x]).unwrap());
            prop_assert_eq!(values(&a), values(&b));
            prop_assert!(a.permute(inverse(&order)).unwrap().is_contiguous());
        }
        let last = counted(&[*plain.dims().last().unwrap()]);
        for binary in [Binary::Add, Binary::Mul, Binary::PRelu, Binary::Pow, Binary::Mod] {
            for (a, b) in [(&permuted, &last), (&last, &permuted), (&permuted, &plain)] {
                let result = |x: &Tensor| values(&x.contiguous().unwrap());
                let got = one(Op::Binary(binary), &[a, b]).unwrap();
                let [a, b] = [a, b].map(|x| x.force_contiguous().unwrap());
                let expected = one(Op::Binary(binary), &[&a, &b]).unwrap();
                let same = result(&got).iter().zip(result(&expected)).all(|(a, b)| {
                    *a == b || (a.is_nan() && b.is_nan())
                });
                prop_assert!(same && got.dims() == expected.dims());
            }
        }
    }

    /// Parts that are put back where they were taken from change nothing.
    #[test]
    fn parts_are_put_back(sizes in sizes(), places in prop::collection::vec(0usize..64, 1..4)) {
        let x = counted(&sizes);
        let n = sizes.len();
        let of_place = |place: &usize| -> Vec<i64> {
            sizes.iter().map(|&size| (place % size) as i64 - size as i64).collect()
        };
        let indices: Vec<i64> = places.iter().flat_map(of_place).collect();
        let indices = integers(&indices).reshape((places.len(), n)).unwrap();
        for named in 1..=n {
            let indices = indices.narrow(1, 0, named).unwrap().contiguous().unwrap();
            let parts = one(Op::GatherNd, &[&x, &indices]).unwrap();
            prop_assert_eq!(parts.dims(), &[&[places.len()], &sizes[named..]].concat()[..]);
            let back = one(Op::ScatterNd, &[&x, &indices, &parts]).unwrap();
            prop_assert_eq!(values(&back), values(&x));
        }
    }

    /// Whatever the numbers are, there is a result or an error, and no panic.
    #[test]
    fn wild_numbers_are_results_or_errors(
        sizes in prop::collection::vec(0usize..4, 0..5),
        a in prop::collection::vec(wild(), 0..6),
        b in prop::collection::vec(wild(), 0..6),
        axis in wild(),
        parts in 1usize..4,
    ) {
        let (x, axis) = (counted(&sizes), axis as isize);
        let (a, b) = (integers(&a), integers(&b));
        let _ = one(Op::Reshape { allow_zero: false }, &[&x, &a]);
        let _ = one(Op::Reshape { allow_zero: true }, &[&x, &a]);
        for op in [Op::Expand, Op::Tile, Op::Unsqueeze, Op::Squeeze, Op::Gather { axis }] {
            let _ = one(op, &[&x, &a]);
        }
        let _ = one(Op::GatherNd, &[&x, &a]);
        let _ = one(Op::ScatterNd, &[&x, &a, &x]);
        let _ = one(Op::Flatten { axis }, &[&x]);
        let _ = one(Op::Shape { start: axis, end: Some(axis.wrapping_neg()) }, &[&x]);
        let _ = one(Op::ConstantOfShape(Scalar::Int(1)), &[&a]);
        let _ = one(Op::Slice, &[&x, &a, &b]);
        let _ = one(Op::Slice, &[&x, &a, &a, &b, &b]);
        for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge] {
            let _ = one(Op::Pad(mode), &[&x, &a]);
        }
        let _ = one(Op::Concat { axis }, &[&x, &x]);
        let _ = apply(Op::Split(Split { axis, sizes: None, parts }), &[Some(x.clone())], parts);
        let split = Op::Split(Split { axis, sizes: None, parts });
        let _ = apply(split, &[Some(x.clone()), Some(a.clone())], parts);
        let numbers = [&a, &b, &a].map(|x| x.narrow(0, 0, 1));
        if let [Ok(start), Ok(limit), Ok(step)] = &numbers {
            let _ = one(Op::Range, &[start, limit, step]);
        }
        let reduce = |kind| Reduce { kind, axes: None, keep_dims: true, empty_is_nothing: true };
        for kind in [Reduction::Sum, Reduction::Max, Reduction::Prod, Reduction::LogSumExp] {
            let _ = one(Op::Reduce(reduce(kind)), &[&x, &a]);
            let _ = one(Op::Reduce(reduce(kind)), &[&a]);
        }
        let arg = ArgExtreme { greatest: false, axis, keep_dims: false };
        let _ = one(Op::ArgExtreme(arg), &[&x]);
        for binary in [Binary::Add, Binary::Mul, Binary::Div, Binary::Mod, Binary::Pow] {
            let _ = one(Op::Binary(binary), &[&a, &b]);
        }
        for mode in [ResizeMode::Nearest, ResizeMode::Linear] {
            let (coordinates, nearest) = (Coordinates::HalfPixel, Nearest::Ceil);
            let resize = Op::Resize(Resize { mode, coordinates, nearest });
            let scales = a.to_dtype(DType::F32).unwrap();
            let _ = apply(resize.clone(), &[Some(x.clone()), None, None, Some(a.clone())], 1);
            let _ = apply(resize, &[Some(x.clone()), None, Some(scales)], 1);
        }
    }
}
