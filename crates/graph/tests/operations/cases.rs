//! The operation of each case of the fixture.

use foresee_graph::{
    ArgExtreme, Binary, Coordinates, Kind, Nearest, Op, PadMode, Reduce, Reduction, Resize,
    ResizeMode, Split, Unary, Variadic,
};

/// The operation of a case.
pub fn operation(case: &str) -> Op {
    let name = case.trim_end_matches("_kink").trim_end_matches("_gradient");
    let arithmetic = name.trim_end_matches("_ints").trim_end_matches("_rank");
    unary(arithmetic)
        .map(Op::Unary)
        .or_else(|| binary(arithmetic).map(Op::Binary))
        .or_else(|| several(arithmetic))
        .or_else(|| shape(arithmetic))
        .or_else(|| made(name))
        .or_else(|| Some(reduce(name.strip_prefix("reduce_")?)))
        .or_else(|| Some(resize(name.strip_prefix("resize_")?)))
        .unwrap_or_else(|| panic!("what is {case}?"))
}

fn unary(name: &str) -> Option<Unary> {
    Some(match name {
        "relu" => Unary::Relu,
        "leaky_relu" => Unary::LeakyRelu(0.1),
        "elu" => Unary::Elu(1.3),
        "celu" => Unary::Celu(2.),
        "selu" => Unary::Selu { alpha: 1.6732632423543772, gamma: 1.0507009873554805 },
        "thresholded_relu" => Unary::ThresholdedRelu(1.),
        "gelu" => Unary::Gelu,
        "gelu_tanh" => Unary::GeluTanh,
        "silu" => Unary::Silu,
        "mish" => Unary::Mish,
        "hard_swish" => Unary::HardSwish,
        "hard_sigmoid" => Unary::HardSigmoid { alpha: 0.2, beta: 0.5 },
        "sigmoid" => Unary::Sigmoid,
        "tanh" => Unary::Tanh,
        "softplus" => Unary::Softplus,
        "softsign" => Unary::Softsign,
        "shrink" => Unary::Shrink { lambda: 0.5, bias: 0.5 },
        "erf" => Unary::Erf,
        "exp" => Unary::Exp,
        "log" => Unary::Log,
        "sqrt" => Unary::Sqrt,
        "reciprocal" => Unary::Reciprocal,
        "neg" => Unary::Neg,
        "abs" => Unary::Abs,
        "sign" => Unary::Sign,
        "floor" => Unary::Floor,
        "ceil" => Unary::Ceil,
        "round" | "round_halves" => Unary::Round,
        "sin" => Unary::Sin,
        "cos" => Unary::Cos,
        "tan" => Unary::Tan,
        "asin" => Unary::Asin,
        "acos" => Unary::Acos,
        "atan" => Unary::Atan,
        "not" => Unary::Not,
        _ => return None,
    })
}

fn binary(name: &str) -> Option<Binary> {
    Some(match name {
        "add" => Binary::Add,
        "sub" => Binary::Sub,
        "mul" => Binary::Mul,
        "div" => Binary::Div,
        "mod" => Binary::Mod,
        "prelu" => Binary::PRelu,
        "equal" => Binary::Equal,
        "less" => Binary::Less,
        "less_or_equal" => Binary::LessOrEqual,
        "greater" => Binary::Greater,
        "greater_or_equal" => Binary::GreaterOrEqual,
        "and" => Binary::And,
        "or" => Binary::Or,
        "xor" => Binary::Xor,
        _ if name.starts_with("pow") => Binary::Pow,
        _ => return None,
    })
}

fn several(name: &str) -> Option<Op> {
    Some(match name {
        "sum" => Op::Variadic(Variadic::Sum),
        "mean" => Op::Variadic(Variadic::Mean),
        "max" => Op::Variadic(Variadic::Max),
        "min" => Op::Variadic(Variadic::Min),
        "where" => Op::Where,
        "cast_to_int" | "cast_bool_to_int" => Op::Cast(Kind::Int),
        "cast_to_bool" => Op::Cast(Kind::Bool),
        "cast_int_to_float" => Op::Cast(Kind::Float),
        "argmax" => arg_extreme(true, -1, false),
        "argmax_keep" => arg_extreme(true, 0, true),
        "argmin" => arg_extreme(false, -1, false),
        "argmin_keep" => arg_extreme(false, 0, true),
        "gather" => Op::Gather { axis: 1 },
        "gather_scalar" => Op::Gather { axis: -1 },
        "gather_first" => Op::Gather { axis: 0 },
        _ if name.starts_with("clip") => Op::Clip,
        _ if name.starts_with("slice") => Op::Slice,
        _ if name.starts_with("pad_reflect") => Op::Pad(PadMode::Reflect),
        _ if name.starts_with("pad_edge") || name == "pad_crop" => Op::Pad(PadMode::Edge),
        _ if name.starts_with("pad") => Op::Pad(PadMode::Constant),
        _ => return None,
    })
}

fn arg_extreme(greatest: bool, axis: isize, keep_dims: bool) -> Op {
    Op::ArgExtreme(ArgExtreme { greatest, axis, keep_dims })
}

fn shape(name: &str) -> Option<Op> {
    let split = |axis, sizes, parts| Op::Split(Split { axis, sizes, parts });
    Some(match name {
        "concat" => Op::Concat { axis: -2 },
        "split" => split(1, None, 2),
        "split_settings" => split(-1, Some(vec![1, 3]), 2),
        "split_equal" => split(-1, None, 2),
        "split_uneven" => split(0, None, 3),
        "reshape_zero" => Op::Reshape { allow_zero: true },
        "reshape" | "reshape_scalar" => Op::Reshape { allow_zero: false },
        "flatten" => Op::Flatten { axis: -1 },
        "flatten_first" => Op::Flatten { axis: 0 },
        "flatten_last" => Op::Flatten { axis: 3 },
        "transpose" => Op::Transpose { order: Some(vec![2, 0, 1]) },
        "transpose_reversed" => Op::Transpose { order: None },
        "squeeze" | "squeeze_all" => Op::Squeeze,
        "unsqueeze" => Op::Unsqueeze,
        "expand" | "expand_back" => Op::Expand,
        "tile" => Op::Tile,
        "depth_to_space_dcr" => Op::DepthToSpace { block: 2, channel_first: false },
        "depth_to_space_crd" => Op::DepthToSpace { block: 2, channel_first: true },
        "space_to_depth" => Op::SpaceToDepth { block: 2 },
        _ => return None,
    })
}

fn made(name: &str) -> Option<Op> {
    Some(match name {
        "concat_first" => Op::Concat { axis: 0 },
        "shape" => Op::Shape { start: 0, end: None },
        "shape_part" => Op::Shape { start: -2, end: Some(-1) },
        "shape_far" => Op::Shape { start: -10, end: Some(10) },
        "shape_empty" => Op::Shape { start: 2, end: Some(1) },
        "size" => Op::Size,
        _ if name.starts_with("range") => Op::Range,
        _ => return None,
    })
}

fn reduce(name: &str) -> Op {
    let kind = match name.trim_end_matches("_keep").trim_end_matches("_all") {
        "sum" | "sum_ints" | "nothing" => Reduction::Sum,
        "mean" => Reduction::Mean,
        "max" | "max_ints" => Reduction::Max,
        "min" | "min_ints" => Reduction::Min,
        "prod" | "prod_ints" => Reduction::Prod,
        "l1" => Reduction::L1,
        "l2" => Reduction::L2,
        "sum_square" => Reduction::SumSquare,
        "log_sum" => Reduction::LogSum,
        "log_sum_exp" | "log_sum_exp_infinite" => Reduction::LogSumExp,
        _ => panic!("what is {name}?"),
    };
    let keep_dims = name.ends_with("_keep");
    let axes = keep_dims.then(|| vec![-2]);
    Op::Reduce(Reduce { kind, axes, keep_dims, empty_is_nothing: name == "nothing" })
}

fn resize(name: &str) -> Op {
    let nearest = [
        ("round_prefer_floor", Nearest::RoundPreferFloor),
        ("round_prefer_ceil", Nearest::RoundPreferCeil),
        ("floor", Nearest::Floor),
        ("ceil", Nearest::Ceil),
    ];
    let (mode, nearest, rest) = match name.strip_prefix("linear_") {
        Some(rest) => (ResizeMode::Linear, Nearest::Floor, rest),
        None => {
            let found = nearest.iter().find(|(prefix, _)| name.starts_with(prefix));
            let (prefix, nearest) = found.unwrap_or_else(|| panic!("what is {name}?"));
            (ResizeMode::Nearest, *nearest, &name[prefix.len() + 1..])
        }
    };
    let coordinates = match rest {
        _ if rest.starts_with("half_pixel") => Coordinates::HalfPixel,
        _ if rest.starts_with("pytorch") => Coordinates::PytorchHalfPixel,
        _ if rest.starts_with("asymmetric") => Coordinates::Asymmetric,
        _ => Coordinates::AlignCorners,
    };
    Op::Resize(Resize { mode, coordinates, nearest })
}
