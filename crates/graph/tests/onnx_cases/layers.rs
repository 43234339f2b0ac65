//! Operations of layers.

use candle_core::Tensor;
use foresee_graph::{
    Binary, ConvTranspose, Gemm, Op, Padding, Pool, PoolKind, Softmax, Unary, Variadic, Window,
};
use foresee_kernels::Rows;

use super::In::{No, W, X};
use super::{AnyResult, Case, flags, integers, max_pool, numbers, one, positive, scalar};

fn image() -> AnyResult<Tensor> {
    numbers(&[2, 4, 7, 6])
}

pub fn convolutions() -> AnyResult<Vec<Case>> {
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(image()?));
    let settings = Window {
        stride: vec![2, 1],
        padding: Padding::Explicit(vec![(0, 1), (2, 1)]),
        dilation: vec![1, 2],
        groups: 2,
    };
    let same = |padding| Window { stride: vec![2, 2], padding, ..Window::new(2) };
    let w = W(numbers(&[6, 4, 3, 2])?);
    let grouped = W(numbers(&[6, 2, 3, 2])?);
    let bias = W(numbers(&[6])?);
    let up = |window, output_padding: [usize; 2], output_shape| {
        Op::ConvTranspose(ConvTranspose {
            window,
            output_padding: output_padding.to_vec(),
            output_shape,
        })
    };
    let turned = Window {
        stride: vec![2, 3],
        padding: Padding::Explicit(vec![(1, 0), (0, 1)]),
        ..Window::new(2)
    };
    let steps = Window { stride: vec![2, 2], ..Window::new(2) };
    Ok(vec![
        one("conv", Op::Conv(Window::new(2)), &[x()?, w.clone()])?,
        one("conv_settings", Op::Conv(settings), &[x()?, grouped, bias])?,
        one("conv_upper", Op::Conv(same(Padding::SameUpper)), &[x()?, w.clone()])?,
        one("conv_lower", Op::Conv(same(Padding::SameLower)), &[x()?, w.clone(), No])?,
        one(
            "conv_1d",
            Op::Conv(Window::new(1)),
            &[X(numbers(&[2, 4, 7])?), W(numbers(&[3, 4, 2])?)],
        )?,
        one("up", up(turned, [1, 2], None), &[x()?, W(numbers(&[4, 3, 3, 2])?)])?,
        one(
            "up_grouped",
            up(Window { groups: 2, ..steps.clone() }, [0, 0], None),
            &[x()?, W(numbers(&[4, 3, 2, 2])?), W(numbers(&[6])?)],
        )?,
        one("up_to", up(steps, [0, 0], Some(vec![15, 13])), &[x()?, W(numbers(&[4, 3, 3, 3])?)])?,
    ])
}

pub fn products() -> AnyResult<Vec<Case>> {
    let gemm = Gemm { alpha: 0.5, beta: 2., transpose_b: true, ..Gemm::default() };
    let turned = Gemm { transpose_a: true, ..Gemm::default() };
    let (a, b) = (numbers(&[2, 3, 4])?, numbers(&[2, 4, 5])?);
    Ok(vec![
        one("matmul", Op::MatMul, &[X(a.clone()), X(b)])?,
        one("matmul_weight", Op::MatMul, &[X(a), W(numbers(&[4, 2])?)])?,
        one(
            "gemm",
            Op::Gemm(gemm),
            &[X(numbers(&[3, 4])?), W(numbers(&[5, 4])?), W(numbers(&[5])?)],
        )?,
        one("gemm_turned", Op::Gemm(turned), &[X(numbers(&[4, 3])?), W(numbers(&[4, 5])?)])?,
    ])
}

pub fn norms() -> AnyResult<Vec<Case>> {
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(image()?));
    let of_channels = || -> AnyResult<_> { Ok(W(numbers(&[4])?)) };
    let (scale, variance) = (of_channels()?, W(positive(&[4])?));
    let local = Op::LocalResponseNorm { size: 3, alpha: 0.2, beta: 0.6, k: 1.5 };
    let group = Op::GroupNorm { groups: 2, epsilon: 1e-3 };
    let batch = Op::BatchNorm { epsilon: 1e-3 };
    let layer = |axis| Op::LayerNorm { axis, epsilon: 1e-3 };
    let flattening = |axis, logarithm| Op::Softmax(Softmax { axis, flattens: true, logarithm });
    let softmax = |axis, logarithm| Op::Softmax(Softmax { axis, flattens: false, logarithm });
    let pair = [x()?, scale.clone(), of_channels()?];
    Ok(vec![
        one("batch_norm", batch, &[&pair[..], &[scale, variance]].concat())?,
        one("group_norm", group, &pair)?,
        one("instance_norm", Op::InstanceNorm { epsilon: 1e-3 }, &pair)?,
        one("layer_norm", layer(-1), &[x()?, W(numbers(&[6])?), W(numbers(&[6])?)])?,
        one("layer_norm_of_planes", layer(2), &[x()?, W(numbers(&[7, 6])?)])?,
        one("local_norm", local, &[x()?])?,
        one("softmax", softmax(1, false), &[x()?])?,
        one("log_softmax", softmax(-1, true), &[x()?])?,
        one("softmax_of_all", flattening(1, false), &[x()?])?,
        one("log_softmax_of_all", flattening(-2, true), &[x()?])?,
    ])
}

pub fn pools() -> AnyResult<Vec<Case>> {
    let x = || Ok::<_, Box<dyn std::error::Error>>(X(image()?));
    let mean = || Pool { kind: PoolKind::Average, ..max_pool() };
    let same = Window { stride: vec![2, 2], padding: Padding::SameUpper, ..Window::new(2) };
    let wide = Window { dilation: vec![2, 1], ..Window::new(2) };
    let pools = [
        ("max_pool", max_pool()),
        ("max_pool_ceil", Pool { ceil: true, ..max_pool() }),
        ("max_pool_same", Pool { window: same, ..max_pool() }),
        ("max_pool_wide", Pool { window: wide, ..max_pool() }),
        ("mean_pool", mean()),
        ("mean_pool_ceil", Pool { ceil: true, ..mean() }),
        ("mean_pool_of_padding", Pool { count_include_pad: true, ..mean() }),
    ];
    let mut cases = Vec::new();
    for (name, pool) in pools {
        cases.push(one(name, Op::Pool(pool), &[x()?])?);
    }
    cases.push(one("global_mean", Op::GlobalPool(PoolKind::Average), &[x()?])?);
    cases.push(one("global_max", Op::GlobalPool(PoolKind::Max), &[x()?])?);
    Ok(cases)
}

pub fn heads() -> AnyResult<Vec<Case>> {
    let inputs = [X(image()?), W(numbers(&[8, 4, 3, 3])?), W(numbers(&[8])?)];
    let some = Rows::new(4, vec![vec![0, 3], vec![2]])?;
    let readout = [X(numbers(&[3, 2, 4])?), W(numbers(&[2, 4])?), W(numbers(&[2])?)];
    Ok(vec![
        one("masks", Op::AttentionMasks(Rows::all(2, 4)), &inputs)?,
        one("some_masks", Op::AttentionMasks(some), &inputs)?,
        one("readout", Op::Readout, &readout)?,
    ])
}

pub fn elements() -> AnyResult<Vec<Case>> {
    use Unary as U;
    let wide = numbers(&[3, 5])?;
    let narrow = positive(&[3, 5])?;
    let halves = Tensor::new(&[-1.5f32, -0.5, 0., 0.5, 1.5, 2.5], wide.device())?;
    let functions = [
        (U::Relu, &wide),
        (U::LeakyRelu(0.2), &wide),
        (U::Elu(0.7), &wide),
        (U::Celu(0.7), &wide),
        (U::Selu { alpha: 1.6, gamma: 1.1 }, &wide),
        (U::ThresholdedRelu(0.5), &wide),
        (U::Gelu, &wide),
        (U::GeluTanh, &wide),
        (U::Silu, &wide),
        (U::Mish, &wide),
        (U::HardSwish, &wide),
        (U::HardSigmoid { alpha: 0.3, beta: 0.4 }, &wide),
        (U::Sigmoid, &wide),
        (U::Tanh, &wide),
        (U::Softplus, &wide),
        (U::Softsign, &wide),
        (U::Shrink { lambda: 0.5, bias: 0.2 }, &wide),
        (U::Erf, &wide),
        (U::Exp, &wide),
        (U::Log, &narrow),
        (U::Sqrt, &narrow),
        (U::Reciprocal, &narrow),
        (U::Neg, &wide),
        (U::Abs, &wide),
        (U::Sign, &halves),
        (U::Floor, &wide),
        (U::Ceil, &wide),
        (U::Round, &halves),
        (U::Sin, &wide),
        (U::Cos, &wide),
        (U::Tan, &narrow),
        (U::Asin, &narrow),
        (U::Acos, &narrow),
        (U::Atan, &wide),
    ];
    let mut cases = Vec::new();
    for (number, (function, x)) in functions.into_iter().enumerate() {
        let name = format!("unary_{number}_{}", Op::Unary(function).name());
        cases.push(one(&name, Op::Unary(function), &[X(x.clone())])?);
    }
    let (low, high) = (W(scalar(-0.5)?), W(scalar(0.7)?));
    cases.push(one("not", Op::Unary(U::Not), &[X(flags(&[0, 1, 1])?)])?);
    cases.push(one("clip", Op::Clip, &[X(wide.clone()), low.clone(), high.clone()])?);
    cases.push(one("clip_low", Op::Clip, &[X(wide.clone()), low])?);
    cases.push(one("clip_high", Op::Clip, &[X(wide), No, high])?);
    Ok(cases)
}

pub fn pairs() -> AnyResult<Vec<Case>> {
    use Binary as B;
    let (a, b) = (numbers(&[2, 3, 4])?, numbers(&[3, 1])?);
    let mut cases = Vec::new();
    for of in [B::Add, B::Sub, B::Mul, B::Div, B::PRelu, B::Mod, B::Greater, B::LessOrEqual] {
        let name = format!("pair_{}", Op::Binary(of).name());
        cases.push(one(&name, Op::Binary(of), &[X(a.clone()), W(b.clone())])?);
    }
    for of in [B::Div, B::Mod, B::Equal, B::Less, B::GreaterOrEqual] {
        let name = format!("integers_{}", Op::Binary(of).name());
        let pair = [X(integers(&[7, -7, 3, 2])?), W(integers(&[2, 2, -2, 2])?)];
        cases.push(one(&name, Op::Binary(of), &pair)?);
    }
    for of in [B::And, B::Or, B::Xor] {
        let name = format!("flags_{}", Op::Binary(of).name());
        let pair = [X(flags(&[0, 0, 1, 1])?), X(flags(&[0, 1, 0, 1])?)];
        cases.push(one(&name, Op::Binary(of), &pair)?);
    }
    cases.push(one("pow", Op::Binary(B::Pow), &[X(positive(&[2, 3])?), W(numbers(&[3])?)])?);
    let condition = X(flags(&[1, 0, 0, 1])?);
    cases.push(one("where", Op::Where, &[condition, X(a.clone()), W(scalar(0.5)?)])?);
    for of in [Variadic::Sum, Variadic::Mean, Variadic::Max, Variadic::Min] {
        let name = format!("any_{}", Op::Variadic(of).name());
        let three = [X(a.clone()), W(b.clone()), X(numbers(&[4])?)];
        cases.push(one(&name, Op::Variadic(of), &three)?);
    }
    Ok(cases)
}
