//! candle's own operations, and the table of their gradients.

use std::fmt::Write;

use candle_core::{D, DType, Module, ModuleT, Result, Tensor};
use candle_nn::rnn::{GRUConfig, GRUState, LSTMConfig, LSTMState, RNN};
use candle_nn::{Activation, VarBuilder, loss, ops, rotary_emb};

use super::{Fixture, Operation, Verdict};

/// What to call instead of an operation whose gradient is not right.
const INSTEAD: [(&str, &str); 25] = [
    ("matmul of transposed with", "`contiguous` before, or `broadcast_matmul`"),
    ("max_pool2d", "`foresee_kernels::max_pool2d`"),
    ("avg_pool2d", "`foresee_kernels::avg_pool2d`"),
    ("upsample_nearest1d", "`foresee_kernels::upsample_nearest2d` of height 1"),
    ("upsample_nearest2d", "`foresee_kernels::upsample_nearest2d`"),
    ("upsample_bilinear2d", "`foresee_kernels::upsample_bilinear2d`"),
    ("layer_norm", "`foresee_kernels::layer_norm`"),
    ("rms_norm", "`foresee_kernels::rms_norm`"),
    ("softmax_last_dim", "`foresee_kernels::softmax_last_dim`"),
    ("rope_i", "`candle_nn::rotary_emb::rope_i_slow`"),
    ("rope", "`candle_nn::rotary_emb::rope_slow`"),
    ("conv1d", "`conv2d` of height 1 after `pad_with_zeros`; one row at a time is right"),
    ("conv_transpose1d", "`conv_transpose2d` of height 1; one row at a time is right"),
    ("conv2d, stride 2, height", "`pad_with_zeros` until both have the same remainder"),
    ("scatter_add", "`index_add`"),
    ("scatter", "`slice_assign`, or `where_cond`"),
    ("unfold", "`narrow`s and `stack`"),
    ("max of equals", "`gather` at the `argmax`: each of the equals gets the whole gradient"),
    ("abs at 0", "either is a subgradient: 1 here, 0 in PyTorch"),
    ("relu at 0", "either is a subgradient: 1 here, 0 in PyTorch"),
    ("clamp at its bounds", "either is a subgradient: ½ here, 1 in PyTorch"),
    ("selu", "`elu`, times a number"),
    ("hard_sigmoid", "its constants have the digits of `f32`"),
    ("gelu_erf", "its derivative's constants have six digits"),
    ("gelu", "its derivative's constants have six digits"),
];

/// Operations in groups, by the names of the fixture's cases.
fn groups() -> Vec<(&'static str, Vec<(&'static str, Operation)>)> {
    vec![
        ("Of one tensor", of_one()),
        ("Of several", of_several()),
        ("Sums and maxima", reductions()),
        ("Shapes and indices", shapes()),
        ("Convolutions", convolutions()),
        ("Pools and sizes", pools()),
        ("Norms and attention", norms()),
        ("Losses and recurrent layers", losses()),
    ]
}

fn op(f: impl Fn(&[Tensor]) -> Result<Tensor> + 'static) -> Operation {
    Box::new(f)
}

/// An operation of the first input alone.
fn one(f: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Operation {
    Box::new(move |x| f(&x[0]))
}

/// An operation of the first two inputs.
fn two(f: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static) -> Operation {
    Box::new(move |x| f(&x[0], &x[1]))
}

/// The case's integers, which its file keeps as numbers.
fn integers(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::U32)
}

fn of_one() -> Vec<(&'static str, Operation)> {
    vec![
        ("abs", one(Tensor::abs)),
        ("abs at 0", one(Tensor::abs)),
        ("neg", one(Tensor::neg)),
        ("exp", one(Tensor::exp)),
        ("log", one(Tensor::log)),
        ("sin", one(Tensor::sin)),
        ("cos", one(Tensor::cos)),
        ("tanh", one(Tensor::tanh)),
        ("sqr", one(Tensor::sqr)),
        ("sqrt", one(Tensor::sqrt)),
        ("recip", one(Tensor::recip)),
        ("powf", one(|x| x.powf(3.))),
        ("powf 0.5", one(|x| x.powf(0.5))),
        ("erf", one(Tensor::erf)),
        ("relu", one(Tensor::relu)),
        ("relu at 0", one(Tensor::relu)),
        ("relu6", one(|x| Activation::Relu6.forward(x))),
        ("leaky_relu", one(|x| ops::leaky_relu(x, 0.1))),
        ("elu", one(|x| x.elu(0.7))),
        ("selu", one(|x| ops::selu(x, 1.673_263_2, 1.050_701))),
        ("gelu", one(Tensor::gelu)),
        ("gelu_erf", one(Tensor::gelu_erf)),
        ("silu", one(Tensor::silu)),
        ("swiglu", one(ops::swiglu)),
        ("mish", one(ops::mish)),
        ("sigmoid", one(ops::sigmoid)),
        ("hard_sigmoid", one(ops::hard_sigmoid)),
        ("hard_swish", one(|x| Activation::HardSwish.forward(x))),
        ("prelu", two(|x, a| candle_nn::PReLU::new(a.clone(), true).forward(x))),
        ("affine", one(|x| x.affine(2., -1.))),
        ("affine by 0", one(|x| x.affine(0., 1.))),
        ("clamp", one(|x| x.clamp(-0.5, 0.8))),
        ("clamp at its bounds", one(|x| x.clamp(-1., 1.))),
        ("maximum with a number", one(|x| x.maximum(0.1))),
        ("floor", one(Tensor::floor)),
        ("ceil", one(Tensor::ceil)),
        ("round", one(Tensor::round)),
        ("sign", one(Tensor::sign)),
        ("to_dtype", one(|x| x.to_dtype(DType::F64)?.sqr()?.to_dtype(x.dtype()))),
    ]
}

fn of_several() -> Vec<(&'static str, Operation)> {
    vec![
        ("add", two(|a, b| a + b)),
        ("sub", two(|a, b| a - b)),
        ("mul", two(|a, b| a * b)),
        ("div", two(|a, b| a / b)),
        ("pow", two(Tensor::pow)),
        ("maximum", two(|a, b| a.maximum(b))),
        ("minimum", two(|a, b| a.minimum(b))),
        ("maximum of equals", two(|a, b| a.maximum(b))),
        ("broadcast_add", two(Tensor::broadcast_add)),
        ("broadcast_sub", two(Tensor::broadcast_sub)),
        ("broadcast_mul", two(Tensor::broadcast_mul)),
        ("broadcast_div", two(Tensor::broadcast_div)),
        ("broadcast_maximum", two(Tensor::broadcast_maximum)),
        ("where_cond", op(|x| integers(&x[0])?.where_cond(&x[1], &x[2]))),
        ("matmul", two(Tensor::matmul)),
        ("matmul of batches", two(Tensor::matmul)),
        ("matmul of transposed", two(|a, b| a.t()?.matmul(&b.t()?))),
        (
            "matmul of transposed with a broadcast",
            two(|x, w| x.transpose(1, 2)?.matmul(&w.broadcast_as((2, 4, 5))?)),
        ),
        ("broadcast_matmul", two(Tensor::broadcast_matmul)),
        ("linear", op(|x| candle_nn::Linear::new(x[1].clone(), Some(x[2].clone())).forward(&x[0]))),
    ]
}

fn reductions() -> Vec<(&'static str, Operation)> {
    vec![
        ("sum", one(|x| x.sum(1))),
        ("sum over two", one(|x| x.sum_keepdim((0, 2)))),
        ("mean", one(|x| x.mean(1))),
        ("mean_all", one(Tensor::mean_all)),
        ("max", one(|x| x.max(1))),
        ("max of equals", one(|x| x.max(1))),
        ("min", one(|x| x.min(1))),
        ("var", one(|x| x.var(1))),
        ("norm", one(Tensor::norm)),
        ("log_sum_exp", one(|x| x.log_sum_exp(1))),
        ("cumsum", one(|x| x.cumsum(1))),
        ("softmax", one(|x| ops::softmax(x, 1))),
        ("softmax_last_dim", one(ops::softmax_last_dim)),
        ("log_softmax", one(|x| ops::log_softmax(x, D::Minus1))),
    ]
}

fn shapes() -> Vec<(&'static str, Operation)> {
    vec![
        ("reshape", one(|x| x.reshape((4, 6)))),
        ("transpose", one(|x| x.transpose(1, 2))),
        ("permute", one(|x| x.permute((2, 0, 1)))),
        ("narrow", one(|x| x.narrow(1, 1, 2))),
        ("chunk", one(|x| Ok(x.chunk(2, 1)?[1].clone()))),
        ("cat", two(|a, b| Tensor::cat(&[a, b], 1))),
        ("stack", two(|a, b| Tensor::stack(&[a, b], 1))),
        ("broadcast_as", one(|x| x.broadcast_as((2, 4, 3)))),
        ("repeat", one(|x| x.repeat((2, 3)))),
        ("flip", one(|x| x.flip(&[0, 1]))),
        ("roll", one(|x| x.roll(1, 1))),
        ("pad_with_zeros", one(|x| x.pad_with_zeros(1, 1, 2))),
        ("pad_with_same", one(|x| x.pad_with_same(1, 1, 2))),
        ("unfold", one(|x| x.unfold(1, 3, 2))),
        ("slice_scatter", two(|a, b| a.slice_scatter(b, 0, 1))),
        ("slice_assign", two(|a, b| a.slice_assign(&[0..3, 1..3], b))),
        ("index_select", two(|i, x| x.index_select(&integers(i)?, 1))),
        ("embedding", two(|i, x| x.embedding(&integers(i)?))),
        ("gather", two(|i, x| x.gather(&integers(i)?, 1))),
        ("index_add", op(|x| x[1].index_add(&integers(&x[0])?, &x[2], 1))),
        ("scatter", op(|x| x[1].scatter(&integers(&x[0])?, &x[2], 1))),
        ("scatter_add", op(|x| x[1].scatter_add(&integers(&x[0])?, &x[2], 1))),
        ("pixel_shuffle", one(|x| ops::pixel_shuffle(x, 2))),
        ("pixel_unshuffle", one(|x| ops::pixel_unshuffle(x, 2))),
        ("replication_pad2d", one(|x| ops::replication_pad2d(x, 1))),
    ]
}

fn convolutions() -> Vec<(&'static str, Operation)> {
    let other_remainders = "conv2d, stride 2, height and width of other remainders";
    let output_padding = "conv_transpose2d, stride 2, output padding 1";
    vec![
        ("conv1d", two(|x, w| x.conv1d(w, 0, 1, 1, 1))),
        ("conv1d, stride 2, padding 1", two(|x, w| x.conv1d(w, 1, 2, 1, 1))),
        ("conv1d, groups", two(|x, w| x.conv1d(w, 0, 1, 1, 2))),
        ("conv2d", two(|x, w| x.conv2d(w, 0, 1, 1, 1))),
        ("conv2d, stride 2, padding 1", two(|x, w| x.conv2d(w, 1, 2, 1, 1))),
        (other_remainders, two(|x, w| x.conv2d(w, 1, 2, 1, 1))),
        ("conv2d, dilation 2", two(|x, w| x.conv2d(w, 2, 1, 2, 1))),
        ("conv2d, padding above the kernel", two(|x, w| x.conv2d(w, 2, 1, 1, 1))),
        ("conv2d, groups", two(|x, w| x.conv2d(w, 1, 1, 1, 2))),
        ("conv_transpose1d", two(|x, w| x.conv_transpose1d(w, 0, 0, 1, 1, 1))),
        ("conv_transpose2d", two(|x, w| x.conv_transpose2d(w, 0, 0, 1, 1))),
        ("conv_transpose2d, stride 2", two(|x, w| x.conv_transpose2d(w, 0, 0, 2, 1))),
        (output_padding, two(|x, w| x.conv_transpose2d(w, 1, 1, 2, 1))),
    ]
}

fn pools() -> Vec<(&'static str, Operation)> {
    vec![
        ("max_pool2d", one(|x| x.max_pool2d(2))),
        ("max_pool2d of 5×7 pixels", one(|x| x.max_pool2d(2))),
        ("max_pool2d, overlapping", one(|x| x.max_pool2d_with_stride(3, 2))),
        ("max_pool2d, apart", one(|x| x.max_pool2d_with_stride(2, 3))),
        ("avg_pool2d", one(|x| x.avg_pool2d(2))),
        ("avg_pool2d of 5×7 pixels", one(|x| x.avg_pool2d(2))),
        ("avg_pool2d, overlapping", one(|x| x.avg_pool2d_with_stride(3, 2))),
        ("avg_pool2d, apart", one(|x| x.avg_pool2d_with_stride(2, 3))),
        ("upsample_nearest1d", one(|x| x.upsample_nearest1d(8))),
        ("upsample_nearest2d", one(|x| x.upsample_nearest2d(6, 8))),
        ("upsample_nearest2d, other factors", one(|x| x.upsample_nearest2d(7, 5))),
        ("upsample_nearest2d, oblong factors", one(|x| x.upsample_nearest2d(6, 12))),
        ("upsample_bilinear2d", one(|x| x.upsample_bilinear2d(7, 5, false))),
    ]
}

fn norms() -> Vec<(&'static str, Operation)> {
    let three = |x: &[Tensor]| [x[0].clone(), x[1].clone(), x[2].clone()];
    vec![
        ("layer_norm", op(|x| ops::layer_norm(&x[0], &x[1], &x[2], 1e-5))),
        (
            "layer_norm without bias",
            two(|x, g| candle_nn::LayerNorm::new_no_bias(g.clone(), 1e-5).forward(x)),
        ),
        ("rms_norm", two(|x, g| ops::rms_norm(x, g, 1e-5))),
        (
            "group_norm",
            op(move |x| {
                let [x, g, b] = three(x);
                candle_nn::GroupNorm::new(g, b, 4, 2, 1e-5)?.forward(&x)
            }),
        ),
        ("batch_norm in training", op(move |x| batch_norm(three(x), 0., 1., true))),
        ("batch_norm in evaluation", op(move |x| batch_norm(three(x), 0.1, 0.8, false))),
        ("attention", op(attention)),
        ("rope", op(move |x| rotary(three(x), rotary_emb::rope))),
        ("rope_slow", op(move |x| rotary(three(x), rotary_emb::rope_slow))),
        ("rope_i", op(move |x| rotary(three(x), rotary_emb::rope_i))),
        ("rope_i_slow", op(move |x| rotary(three(x), rotary_emb::rope_i_slow))),
    ]
}

fn batch_norm([x, g, b]: [Tensor; 3], mean: f64, variance: f64, train: bool) -> Result<Tensor> {
    let constant = |value: f64| Tensor::full(value, 3, x.device())?.to_dtype(x.dtype());
    candle_nn::BatchNorm::new(3, constant(mean)?, constant(variance)?, g, b, 1e-5)?
        .forward_t(&x, train)
}

fn rotary(
    [x, cos, sin]: [Tensor; 3],
    f: fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    f(&x, &cos.detach(), &sin.detach())
}

fn attention(x: &[Tensor]) -> Result<Tensor> {
    let of = |w: &Tensor| x[0].broadcast_matmul(w);
    let (q, k, v) = (of(&x[1])?, of(&x[2])?, of(&x[3])?);
    let scores = (q.matmul(&k.t()?)? / 2.)?;
    ops::softmax(&scores, D::Minus1)?.matmul(&v)
}

fn losses() -> Vec<(&'static str, Operation)> {
    let bce = |x: &Tensor, t: &Tensor| loss::binary_cross_entropy_with_logit(x, &t.detach());
    vec![
        ("mse", two(loss::mse)),
        ("huber", two(|a, b| loss::huber(a, b, 0.7))),
        ("nll", two(|i, x| loss::nll(x, &integers(i)?))),
        ("cross_entropy", two(|i, x| loss::cross_entropy(x, &integers(i)?))),
        ("binary_cross_entropy_with_logit", two(bce)),
        ("lstm", op(lstm)),
        ("gru", op(gru)),
    ]
}

fn recurrent_weights<'a>(ih: &Tensor, hh: &Tensor) -> VarBuilder<'a> {
    let tensors = [("weight_ih_l0", ih), ("weight_hh_l0", hh)];
    let tensors = tensors.map(|(name, t)| (name.to_owned(), t.clone())).into_iter().collect();
    VarBuilder::from_tensors(tensors, ih.dtype(), ih.device())
}

fn lstm(x: &[Tensor]) -> Result<Tensor> {
    let weights = recurrent_weights(&x[3], &x[4]);
    let lstm = candle_nn::rnn::lstm(3, 4, LSTMConfig::default_no_bias(), weights)?;
    Ok(lstm.step(&x[0], &LSTMState::new(x[1].clone(), x[2].clone()))?.h().clone())
}

fn gru(x: &[Tensor]) -> Result<Tensor> {
    let weights = recurrent_weights(&x[2], &x[3]);
    let gru = candle_nn::rnn::gru(3, 4, GRUConfig::default_no_bias(), weights)?;
    Ok(gru.step(&x[0], &GRUState { h: x[1].clone() })?.h)
}

/// The page's part that this test holds true: a table of what is not right, and all that is.
pub fn table(fixture: &Fixture) -> String {
    let mut rows =
        String::from("| operation | in `f64` | in `f32` | instead |\n|---|---|---|---|\n");
    let mut right = String::new();
    for (group, operations) in groups() {
        let mut names = vec![];
        for (name, operation) in operations {
            let found = [DType::F64, DType::F32]
                .map(|dtype| words(&fixture.compare(name, &operation, dtype), dtype));
            if found.iter().all(|words| words == "right") {
                names.push(format!("`{name}`"));
                continue;
            }
            let instead = INSTEAD.iter().find(|(start, _)| name.starts_with(start));
            let instead = instead.map_or("", |(_, instead)| instead);
            let [double, single] = found;
            writeln!(rows, "| `{name}` | {double} | {single} | {instead} |").expect("a string");
        }
        writeln!(right, "* {group}: {}.", names.join("; ")).expect("a string");
    }
    format!("{rows}\nRight:\n\n{right}")
}

fn words(verdict: &Verdict, dtype: DType) -> String {
    let right = if dtype == DType::F64 { 1e-9 } else { 1e-4 };
    match verdict {
        Verdict::Off(off) if *off <= right => "right".into(),
        Verdict::Off(off) if *off < 1e-3 => {
            format!("right to {} digits", (-off.log10()).floor())
        }
        Verdict::Off(off) => format!("**{:.0} % off**", 100. * off),
        Verdict::Dropped => "**missing without a word**".into(),
        Verdict::Refused(why) if why.contains("output is") => "**its output is wrong**".into(),
        Verdict::Refused(_) => "refused".into(),
    }
}
