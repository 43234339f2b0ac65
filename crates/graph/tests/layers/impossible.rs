//! What cannot be computed is an error that says what is needed.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Builder, ConvTranspose, Coordinates, Error, Gemm, Kind, Op, OpError, Padding, Pool, PoolKind,
    Resize, ResizeMode, Softmax, Window,
};
use foresee_kernels::Rows;

use super::apply;

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("zeros")
}

fn refused(what: &str, op: Op, shapes: &[&[usize]], expected: &str) {
    let inputs: Vec<Tensor> = shapes.iter().map(|shape| zeros(shape)).collect();
    match apply(op, &inputs) {
        Err(Error::Node { source, .. }) => {
            let message = source.to_string();
            assert!(message.contains(expected), "{what}: {message}");
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(y) => panic!("{what}: {:?}", y.dims()),
    }
}

#[test]
fn impossible_convolutions_are_refused() {
    let image: &[usize] = &[1, 4, 5, 5];
    let conv = |window: Window| Op::Conv(window);
    let two = || Window::new(2);
    let groups = |groups| Window { groups, ..two() };
    refused("kernel", conv(two()), &[image, &[2, 4, 6, 6]], "has only 5 pixels");
    refused("weight", conv(two()), &[image, &[2, 3, 3, 3]], "4 inputs");
    refused("rank", conv(two()), &[image, &[2, 4, 3]], "as many dimensions as x, 4");
    refused("bias", conv(two()), &[image, &[2, 4, 3, 3], &[3]], "[2] is needed");
    refused("groups", conv(groups(3)), &[image, &[3, 1, 3, 3]], "groups");
    refused("outputs", conv(groups(2)), &[image, &[3, 2, 3, 3]], "multiple of 2 outputs");
    refused("no groups", conv(groups(0)), &[image, &[3, 4, 3, 3]], "at least one");
    refused("many groups", conv(groups(usize::MAX)), &[image, &[3, 4, 3, 3]], "groups");
    refused("dimensions", conv(Window::new(1)), &[image, &[2, 4, 3, 3]], "2 spatial dimensions");
    refused("no taps", conv(two()), &[image, &[2, 4, 0, 3]], "between 1 and");
    refused("no pixels", conv(two()), &[&[1, 4, 0, 5], &[2, 4, 1, 1]], "at least one pixel");
    refused("vector", conv(two()), &[&[4], &[2, 4, 3, 3]], "one to three spatial dimensions");
    refused("four", conv(Window::new(4)), &[&[1; 6], &[1; 6]], "one to three");
    let with = |stride: usize, pad: usize, dilation: usize| Window {
        stride: vec![stride; 2],
        padding: Padding::Explicit(vec![(pad, pad); 2]),
        dilation: vec![dilation; 2],
        groups: 1,
    };
    let shapes: [&[usize]; 2] = [image, &[2, 4, 3, 3]];
    refused("stride 0", conv(with(0, 0, 1)), &shapes, "between 1 and");
    refused("dilation 0", conv(with(1, 0, 0)), &shapes, "between 1 and");
    refused("dilation", conv(with(1, 0, 3)), &shapes, "3 taps 3 apart");
    refused("dilations", conv(with(1, 0, usize::MAX)), &shapes, "between 1 and");
    refused("padding", conv(with(1, usize::MAX, 1)), &shapes, "at most");
}

#[test]
fn results_that_are_too_large_are_refused() {
    let large = |op: Op, shapes: &[&[usize]]| {
        let inputs: Vec<Tensor> = shapes.iter().map(|shape| zeros(shape)).collect();
        match apply(op, &inputs) {
            Err(Error::Node { source: OpError::TooLarge { .. }, .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    let pad =
        |pad: usize| Window { padding: Padding::Explicit(vec![(pad, pad); 2]), ..Window::new(2) };
    large(Op::Conv(pad(1 << 20)), &[&[1, 1, 2, 2], &[1, 1, 1, 1]]);
    // Few outputs of a large padded image.
    let far = Window { stride: vec![1 << 30, 1 << 30], ..pad(1 << 30) };
    large(Op::Conv(far), &[&[1, 1, 2, 2], &[1, 1, 1, 1]]);
    let stretched = ConvTranspose {
        window: Window { stride: vec![1 << 20, 1 << 20], ..Window::new(2) },
        output_padding: vec![0, 0],
        output_shape: None,
    };
    large(Op::ConvTranspose(stretched), &[&[1, 1, 3, 3], &[1, 1, 1, 1]]);
    large(Op::MatMul, &[&[1 << 17, 1], &[1, 1 << 17]]);
    large(
        Op::AttentionMasks(Rows::all(1 << 16, 1)),
        &[&[1, 1, 256, 256], &[1 << 16, 1, 1, 1], &[1 << 16]],
    );
    // The result is small, but not what lies between two axes.
    let far = [(0, 0), (1 << 20, 1 << 20), (0, 0)];
    let pool = Pool {
        kind: PoolKind::Max,
        kernel: vec![1 << 12, (1 << 20) + 1, 1],
        window: Window { padding: Padding::Explicit(far.to_vec()), ..Window::new(3) },
        ceil: false,
        count_include_pad: false,
    };
    large(Op::Pool(pool), &[&[1, 1, 1 << 12, 1, 1]]);
}

#[test]
fn what_a_resize_holds_between_two_axes_is_not_too_large() -> Result<(), Box<dyn std::error::Error>>
{
    let cubic = ResizeMode::Cubic { slope: -0.75, exclude_outside: false };
    for mode in [ResizeMode::Linear, ResizeMode::Nearest, cubic] {
        let resize = Resize {
            mode,
            coordinates: Coordinates::Asymmetric,
            nearest: foresee_graph::Nearest::Floor,
        };
        let x = zeros(&[1 << 15, 4]);
        let none = Tensor::zeros(0, DType::F32, &Device::Cpu)?;
        let pixels = (1u32 << 15) as f32;
        let scales = Tensor::new(&[1. / pixels, pixels], &Device::Cpu)?;
        let error = apply(Op::Resize(resize), &[x, none, scales]).unwrap_err();
        assert!(matches!(error, Error::Node { source: OpError::TooLarge { .. }, .. }), "{error}");
    }
    Ok(())
}

#[test]
fn impossible_transposed_convolutions_are_refused() {
    let op = |padding: usize, output_padding: &[usize], shape: Option<Vec<usize>>| {
        Op::ConvTranspose(ConvTranspose {
            window: Window {
                padding: Padding::Explicit(vec![(padding, padding); 2]),
                ..Window::new(2)
            },
            output_padding: output_padding.into(),
            output_shape: shape,
        })
    };
    let shapes: [&[usize]; 2] = [&[1, 4, 3, 3], &[4, 2, 2, 2]];
    refused("padding", op(2, &[0, 0], None), &shapes, "4 pixels before padding");
    refused("output padding", op(0, &[0], None), &shapes, "each of 2 dimensions");
    refused("output padding", op(0, &[0, usize::MAX], None), &shapes, "each of 2 dimensions");
    refused("output shape", op(0, &[0, 0], Some(vec![4])), &shapes, "2 spatial dimensions");
    refused("output shape", op(0, &[0, 0], Some(vec![4, 0])), &shapes, "between 1 and");
    refused("weight", op(0, &[0, 0], None), &[shapes[0], &[3, 2, 2, 2]], "4 inputs");
}

#[test]
fn impossible_pools_are_refused() {
    let pool = |kernel: usize, pad: usize, groups: usize| {
        Op::Pool(Pool {
            kind: PoolKind::Max,
            kernel: vec![kernel; 2],
            window: Window {
                padding: Padding::Explicit(vec![(pad, pad); 2]),
                groups,
                ..Window::new(2)
            },
            ceil: false,
            count_include_pad: false,
        })
    };
    let image: &[usize] = &[1, 2, 3, 3];
    refused("kernel", pool(4, 0, 1), &[image], "has only 3 pixels");
    refused("kernel 0", pool(0, 0, 1), &[image], "between 1 and");
    refused("groups", pool(2, 0, 2), &[image], "a pool has 1");
    refused("padding", pool(2, 2, 1), &[image], "holds none of them");
    refused("dimensions", pool(2, 0, 1), &[&[1, 2, 3]], "1 spatial dimensions");
    refused("matrix", Op::GlobalPool(PoolKind::Max), &[&[2, 3]], "spatial dimensions");
    refused("no pixels", Op::GlobalPool(PoolKind::Average), &[&[2, 3, 0]], "at least one");
}

#[test]
fn impossible_products_norms_and_heads_are_refused() {
    refused("matmul", Op::MatMul, &[&[2, 3], &[4, 2]], "[.., 3, N]");
    refused("number", Op::MatMul, &[&[], &[4]], "at least one dimension");
    refused("batches", Op::MatMul, &[&[2, 2, 3], &[3, 3, 2]], "broadcast to [2]");
    refused("gemm", Op::Gemm(Gemm::default()), &[&[2, 3, 1], &[3, 2]], "a matrix");
    refused("c", Op::Gemm(Gemm::default()), &[&[2, 3], &[3, 2], &[3]], "broadcast to [2, 2]");
    let batch_norm = Op::BatchNorm { epsilon: 0. };
    let four: [&[usize]; 4] = [&[3], &[3], &[3], &[2]];
    refused("variance", batch_norm, &[&[&[1, 3, 2][..]], &four[..]].concat(), "[3]");
    let layer_norm = |axis| Op::LayerNorm { axis, epsilon: 0. };
    refused("axis", layer_norm(3), &[&[2, 3], &[3]], "2 dimensions");
    refused("layer norm", layer_norm(-1), &[&[2, 3], &[2]], "broadcast to [3]");
    let group_norm = |groups| Op::GroupNorm { groups, epsilon: 0. };
    refused("groups", group_norm(2), &[&[1, 3, 2], &[3], &[3]], "divisor of the 3 channels");
    refused("groups", group_norm(0), &[&[1, 3, 2], &[3], &[3]], "divisor of the 3 channels");
    let response = Op::LocalResponseNorm { size: 0, alpha: 1., beta: 1., k: 1. };
    refused("size", response, &[&[1, 3, 2]], "between 1 and");
    let softmax = Op::Softmax(Softmax { axis: 2, flattens: false, logarithm: false });
    refused("softmax", softmax, &[&[2, 3]], "2 dimensions");
    let masks = |attributes, channels| Op::AttentionMasks(Rows::all(attributes, channels));
    let heads: [&[usize]; 3] = [&[1, 2, 3, 3], &[4, 2, 1, 1], &[4]];
    refused("rows", masks(3, 2), &heads, "masks of 3 attributes on 2 channels");
    refused("channels", masks(2, 3), &heads, "masks of 2 attributes on 3 channels");
    refused("readout", Op::Readout, &[&[1, 2, 3], &[2, 2], &[2]], "[2, 3]");
}

#[test]
fn integers_are_refused() {
    let x = Tensor::zeros((1, 1, 3, 3), DType::I64, &Device::Cpu).expect("zeros");
    let sizes = || vec![Some(1), Some(1), Some(3), Some(3)];
    for (op, count) in [(Op::MatMul, 2), (Op::GlobalPool(PoolKind::Max), 1)] {
        let mut builder = Builder::new();
        let x_id = builder.input_of("x", Kind::Int, sizes()).expect("an input");
        let y = builder.node("node", op, &vec![x_id; count]).expect("a node");
        let refused = builder.finish(vec![y]).expect("a graph").forward(std::slice::from_ref(&x));
        let is_type = matches!(refused, Err(Error::Node { source: OpError::Type { .. }, .. }));
        assert!(is_type, "{refused:?}");
    }
}
