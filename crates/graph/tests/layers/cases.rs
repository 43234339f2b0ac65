//! The operation of each case of the fixture.

use foresee_graph::{ConvTranspose, Gemm, Op, Padding, Pool, PoolKind, Softmax, Window};
use foresee_kernels::Rows;

/// The operation of a case.
pub fn operation(case: &str) -> Op {
    convolution(case)
        .map(Op::Conv)
        .or_else(|| transposed(case).map(Op::ConvTranspose))
        .or_else(|| pools(case))
        .or_else(|| others(case))
        .unwrap_or_else(|| panic!("what is {case}?"))
}

/// A pool without ceil mode that counts no padding.
pub fn pool(kind: PoolKind, kernel: &[usize], window: Window) -> Op {
    Op::Pool(Pool { kind, kernel: kernel.into(), window, ceil: false, count_include_pad: false })
}

/// A window with strides, padding before and after, and dilations.
fn window<const N: usize>(
    stride: [usize; N],
    padding: [(usize, usize); N],
    dilation: [usize; N],
) -> Window {
    Window {
        stride: stride.into(),
        padding: Padding::Explicit(padding.into()),
        dilation: dilation.into(),
        groups: 1,
    }
}

fn padded<const N: usize>(padding: [usize; N]) -> Window {
    window([1; N], padding.map(|pad| (pad, pad)), [1; N])
}

fn strided<const N: usize>(stride: [usize; N]) -> Window {
    window(stride, [(0, 0); N], [1; N])
}

fn same<const N: usize>(stride: [usize; N], padding: Padding) -> Window {
    Window { padding, ..strided(stride) }
}

fn convolution(case: &str) -> Option<Window> {
    let groups = |groups: usize, window: Window| Window { groups, ..window };
    Some(match case {
        "conv1d" => Window::new(1),
        "conv1d apart" => window([2], [(1, 2)], [2]),
        "conv1d groups" => groups(2, Window::new(1)),
        "conv1d depthwise" => groups(4, padded([1])),
        "conv1d same upper" => same([2], Padding::SameUpper),
        "conv2d" | "conv2d 1x1" => Window::new(2),
        "conv2d centred" | "conv2d centred without bias" => padded([1, 1]),
        "conv2d dilated" => window([1, 1], [(2, 2); 2], [2, 2]),
        "conv2d 1x1 stride 2" => strided([2, 2]),
        "conv2d stride 2" => window([2, 2], [(3, 3); 2], [1, 1]),
        "conv2d stride 3" => strided([3, 3]),
        "conv2d oblong" => window([2, 1], [(1, 0), (0, 2)], [1, 2]),
        "conv2d coprime" => window([2, 3], [(4, 4), (5, 5)], [3, 2]),
        "conv2d same upper" => same([2, 2], Padding::SameUpper),
        "conv2d same lower" => same([2, 2], Padding::SameLower),
        "conv2d same even" => same([1, 1], Padding::SameUpper),
        "conv2d padding alone" => window([9, 1], [(5, 0), (0, 0)], [1, 1]),
        "conv2d groups" | "conv2d one output a group" => groups(2, padded([1, 1])),
        "conv2d depthwise" => groups(4, padded([1, 1])),
        "conv2d depthwise apart" => groups(4, window([2, 3], [(2, 2); 2], [1, 2])),
        "conv2d depthwise multiplied" => groups(4, window([2, 2], [(1, 1); 2], [1, 1])),
        "conv3d" => Window::new(3),
        "conv3d apart" => window([2, 1, 2], [(2, 1), (0, 1), (1, 0)], [2, 1, 1]),
        "conv3d depthwise" => groups(2, padded([1; 3])),
        _ => return None,
    })
}

fn transposed(case: &str) -> Option<ConvTranspose> {
    let plain = |window: Window| ConvTranspose {
        output_padding: vec![0; window.stride.len()],
        output_shape: None,
        window,
    };
    let wider = |output_padding: &[usize], window: Window| ConvTranspose {
        output_padding: output_padding.into(),
        ..plain(window)
    };
    let groups = |groups: usize| Window { groups, ..strided([2, 2]) };
    Some(match case {
        "transposed1d" => wider(&[1], window([2], [(1, 1)], [1])),
        "transposed2d" => plain(Window::new(2)),
        "transposed2d stride 2" => wider(&[1, 1], window([2, 2], [(1, 1); 2], [1, 1])),
        "transposed2d dilated" => plain(window([1, 1], [(1, 1); 2], [2, 2])),
        "transposed2d oblong" => wider(&[1, 2], window([2, 3], [(1, 1), (0, 0)], [1, 1])),
        "transposed2d groups" => plain(groups(2)),
        "transposed2d depthwise" => plain(groups(4)),
        "transposed2d asymmetric" => plain(window([2, 2], [(1, 0), (0, 2)], [1, 1])),
        "transposed2d same upper" => plain(same([2, 2], Padding::SameUpper)),
        "transposed2d same lower" => plain(same([2, 2], Padding::SameLower)),
        "transposed2d larger shape" => {
            ConvTranspose { output_shape: Some(vec![8, 9]), ..plain(strided([2, 2])) }
        }
        "transposed3d" => wider(&[1, 0, 0], window([2, 1, 2], [(1, 1), (0, 0), (1, 1)], [1, 2, 1])),
        _ => return None,
    })
}

fn pools(case: &str) -> Option<Op> {
    use PoolKind::{Average, Max};
    if let Some(kind) = case.strip_prefix("global ") {
        return Some(Op::GlobalPool(if kind.starts_with("max") { Max } else { Average }));
    }
    let kind = if case.starts_with("max") { Max } else { Average };
    let two = window([2, 2], [(1, 1); 2], [1, 1]);
    let (kernel, window) = match case {
        "max2d" | "average2d" | "average2d with padding" | "average2d ceil with padding" => {
            (vec![3, 3], two)
        }
        "max2d oblong" => (vec![2, 3], strided([3, 1])),
        "max2d dilated" => (vec![2, 2], window([1, 1], [(1, 1); 2], [3, 2])),
        "max2d ceil" | "average2d ceil" => (vec![2, 2], window([2, 4], [(1, 1); 2], [1, 1])),
        "max2d asymmetric" | "average2d asymmetric" | "average2d asymmetric with padding" => {
            (vec![3, 3], window([2, 2], [(1, 1), (0, 2)], [1, 1]))
        }
        "max2d same upper" => (vec![4, 4], same([2, 2], Padding::SameUpper)),
        "average2d same lower" => (vec![4, 4], same([2, 2], Padding::SameLower)),
        "max1d" | "average1d" => (vec![3], window([2], [(1, 1)], [1])),
        "max3d" | "average3d" => {
            (vec![2, 3, 2], window([1, 2, 2], [(1, 1), (1, 1), (0, 0)], [1; 3]))
        }
        _ => return None,
    };
    let is_3d = case.ends_with("3d");
    Some(Op::Pool(Pool {
        kind,
        kernel,
        window,
        ceil: case.contains("ceil") || case == "max1d" || is_3d,
        count_include_pad: case.ends_with("padding") || case == "average1d",
    }))
}

fn others(case: &str) -> Option<Op> {
    let softmax = |axis, flattens, logarithm| Op::Softmax(Softmax { axis, flattens, logarithm });
    Some(match case {
        "gemm" => Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() }),
        "gemm of transposed" => {
            Op::Gemm(Gemm { alpha: 0.5, beta: -2., transpose_a: true, transpose_b: false })
        }
        "gemm without c" | "gemm with a number" => Op::Gemm(Gemm::default()),
        _ if case.starts_with("matmul") => Op::MatMul,
        "batch_norm" | "batch_norm of vectors" => Op::BatchNorm { epsilon: 1e-3 },
        "layer_norm" => Op::LayerNorm { axis: -1, epsilon: 1e-3 },
        "layer_norm of two" | "layer_norm broadcast" => Op::LayerNorm { axis: 1, epsilon: 1e-3 },
        "group_norm" => Op::GroupNorm { groups: 2, epsilon: 1e-3 },
        "instance_norm" => Op::InstanceNorm { epsilon: 1e-3 },
        "local_response" => Op::LocalResponseNorm { size: 3, alpha: 0.2, beta: 0.75, k: 1.5 },
        "local_response even" => Op::LocalResponseNorm { size: 2, alpha: 0.3, beta: 0.6, k: 1. },
        "local_response of more than there are" => {
            Op::LocalResponseNorm { size: 11, alpha: 0.3, beta: 0.6, k: 1. }
        }
        "softmax" => softmax(-1, false, false),
        "softmax of channels" => softmax(1, false, false),
        "softmax flattened" => softmax(1, true, false),
        "log_softmax" => softmax(0, false, true),
        "log_softmax flattened" => softmax(-2, true, true),
        "masks" => Op::AttentionMasks(Rows::all(2, 3)),
        "masks of some rows" => {
            Op::AttentionMasks(Rows::new(3, vec![vec![0, 2], vec![1]]).expect("rows"))
        }
        "readout" => Op::Readout,
        _ => return None,
    })
}
