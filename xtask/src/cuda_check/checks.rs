//! The operations that are checked, over shapes that fill no tile.

use candle_core::Tensor;
use foresee_kernels::{
    AdamWStep, Identity, Moments, Precision, Rows, ToneCurve, adamw_step,
    attention_heads_with_curves, attention_masks, channels_last, moving_average, select_channels,
};
use foresee_model::{Network, NetworkConfig, TrainConfig, Trainer};
use foresee_perturb::{ClippedCurve, Only, PowerCurve};

use super::Check;

const EPSILON: f64 = 1e-5;
const SLOPE: f32 = 0.01;

/// What is special about a check's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Plain,
    /// Weights that ask for no gradient: other kernels compute the input's.
    ConstantWeights,
    /// The input begins one value behind the start of its memory, where no 16 bytes begin.
    View,
    /// Two rows of five, and none of every fourth attribute.
    SomeRows,
}

impl Given {
    fn text(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::ConstantWeights => ", constant weights",
            Self::View => ", a view",
            Self::SomeRows => ", some rows",
        }
    }

    /// What an operation's input of this shape is made from.
    fn shape(self, shape: [usize; 4]) -> Vec<usize> {
        match self {
            Self::View => vec![1 + shape.iter().product::<usize>()],
            _ => shape.into(),
        }
    }

    /// The operation's input and its weights.
    fn of(self, t: &[Tensor], shape: [usize; 4]) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
        Ok(match self {
            Self::Plain | Self::SomeRows => (t[0].clone(), t[1].clone(), t[2].clone()),
            Self::ConstantWeights => (t[0].clone(), t[1].detach(), t[2].detach()),
            Self::View => (
                t[0].narrow(0, 1, shape.iter().product())?.reshape(&shape)?,
                t[1].clone(),
                t[2].clone(),
            ),
        })
    }

    fn rows(self, attributes: usize, channels: usize) -> Rows {
        let is_kept =
            |k: usize, c: usize| self != Self::SomeRows || k % 4 < 3 && (2 * k + c) % 5 < 2;
        let kept = (0..attributes).map(|k| (0..channels).filter(|&c| is_kept(k, c)).collect());
        Rows::new(channels, kept.collect()).expect("channels that ascend")
    }
}

/// All checks: the small ones, then some of a real network's sizes.
pub fn all() -> Vec<Check> {
    small().into_iter().chain(large()).collect()
}

/// Those that the CPU can be checked with quickly.
pub fn small() -> Vec<Check> {
    use Given::{ConstantWeights, Plain, View};
    let mut checks = vec![];
    for shape in [[1, 2, 3, 1], [2, 3, 5, 7], [3, 11, 9, 33], [2, 16, 16, 128]] {
        checks.extend([true, false].map(|training| norm(shape, training, Plain)));
    }
    checks.extend(
        [ConstantWeights, View]
            .into_iter()
            .flat_map(|given| [true, false].map(|training| norm([3, 5, 7, 9], training, given))),
    );
    for precision in [Precision::F32, Precision::Bf16] {
        for sizes in [
            [1, 1, 1, 1, 1, 1],
            [2, 5, 7, 3, 32, 1],
            [1, 9, 11, 5, 6, 3],
            [3, 17, 19, 36, 70, 2],
            [2, 32, 31, 64, 128, 2],
        ] {
            checks.push(conv(sizes, precision, Plain));
        }
        // Four channels at once are read where their number is a multiple of 4, so that a view's
        // place matters.
        checks.extend([
            conv([2, 9, 7, 8, 12, 2], precision, ConstantWeights),
            conv([2, 9, 7, 8, 12, 2], precision, View),
            conv([1, 5, 3, 3, 4, 1], precision, View),
        ]);
        for sizes in [[1, 1, 1, 1, 1], [2, 3, 9, 17, 37], [3, 5, 13, 11, 64], [2, 40, 16, 15, 128]]
        {
            checks.extend(heads_of_rows(sizes, 1, precision));
        }
        // Inputs of several chunks, channels of several panels, and both: launches of more shared
        // memory than a kernel has without asking.
        for (sizes, n) in [([2, 3, 7, 9, 37], 3), ([2, 3, 9, 8, 130], 1), ([1, 2, 6, 5, 130], 3)] {
            checks.extend(heads_of_rows(sizes, n, precision));
            checks.push(heads(sizes, n, precision, ConstantWeights));
        }
        checks.extend([
            heads([2, 5, 9, 7, 64], 1, precision, ConstantWeights),
            heads([2, 3, 5, 7, 9], 1, precision, View),
            heads([1, 3, 5, 3, 16], 1, precision, View),
        ]);
        checks.extend([0, 3].map(|micro_batch| steps(precision, micro_batch)));
    }
    checks.extend([masks(), selected(), adamw(), average()]);
    checks
}

/// Those that take the CPU a minute: a layer and the heads of the paper's network at 64 px.
pub fn large() -> Vec<Check> {
    let of = |precision| {
        [
            conv([8, 64, 64, 64, 128, 2], precision, Given::Plain),
            heads([1, 40, 64, 64, 128], 1, precision, Given::Plain),
            heads([1, 40, 64, 64, 128], 1, precision, Given::SomeRows),
        ]
    };
    [Precision::F32, Precision::Bf16].into_iter().flat_map(of).collect()
}

/// Relative to the largest value. Factors of bf16 have 8 bits: their rounding errors are relative
/// to single terms, of which a sum can be much smaller.
fn check(
    name: String,
    precision: Precision,
    inputs: Vec<(&'static str, Vec<usize>, f32)>,
    compute: super::Compute,
) -> Check {
    let (tolerance, gradient_tolerance) =
        if precision == Precision::F32 { (2e-5, 1e-4) } else { (2e-2, 3e-2) };
    Check { name, inputs, compute, tolerance, gradient_tolerance }
}

fn text(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

fn norm([b, h, w, c]: [usize; 4], training: bool, given: Given) -> Check {
    let name = format!(
        "norm + leaky ReLU, {} {b}×{h}×{w}×{c}{}",
        if training { "training" } else { "evaluation" },
        given.text()
    );
    let mut inputs =
        vec![("x", given.shape([b, h, w, c]), 2.), ("gamma", vec![c], 1.), ("beta", vec![c], 1.)];
    if !training {
        inputs.extend([("mean", vec![c], 1.), ("variance", vec![c], 1.)]);
    }
    let compute = move |t: &[Tensor]| -> anyhow::Result<_> {
        let (x, gamma, beta) = given.of(t, [b, h, w, c])?;
        if training {
            let moments = channels_last::channel_moments(&x)?;
            let y = channels_last::norm_leaky_relu(&x, &moments, &gamma, &beta, EPSILON, SLOPE)?;
            return Ok(vec![("y", y), ("mean", moments.mean), ("variance", moments.variance)]);
        }
        let moments =
            Moments { mean: t[3].detach(), variance: (t[4].detach().sqr()? + 0.1)?, count: 0 };
        Ok(vec![(
            "y",
            channels_last::scale_shift_leaky_relu(&x, &moments, &gamma, &beta, EPSILON, SLOPE)?,
        )])
    };
    check(name, Precision::F32, inputs, Box::new(compute))
}

fn conv([b, h, w, i, o, dilation]: [usize; 6], precision: Precision, given: Given) -> Check {
    let name = format!(
        "convolution {}, {b}×{h}×{w}×{i} → {o}, dilation {dilation}{}",
        text(precision),
        given.text()
    );
    let inputs = vec![
        ("x", given.shape([b, h, w, i]), 1.),
        ("weight", vec![o, i, 3, 3], 1.),
        ("bias", vec![o], 1.),
    ];
    let compute = move |t: &[Tensor]| {
        let (x, weight, bias) = given.of(t, [b, h, w, i])?;
        Ok(vec![("y", channels_last::conv2d(&x, &weight, &bias, dilation, precision)?)])
    };
    check(name, precision, inputs, Box::new(compute))
}

fn head_inputs([b, k, h, w, c]: [usize; 5], n: usize) -> Vec<(&'static str, Vec<usize>, f32)> {
    // Logits of about the same size for any number of inputs.
    let scale = 3. / ((n * n * c) as f32).sqrt();
    vec![
        ("z", vec![b, h, w, c], 1.),
        ("weight", vec![k * c, c, n, n], scale),
        ("bias", vec![k * c], 1.),
    ]
}

fn named(what: &str, sizes: [usize; 5], n: usize, precision: Precision, given: Given) -> String {
    let [b, k, h, w, c] = sizes;
    let kernel = if n == 1 { String::new() } else { format!(" by {n}×{n}") };
    let (precision, given) = (text(precision), given.text());
    format!("{what} {precision}, {b}×{h}×{w}×{c}, {k} attributes{kernel}{given}")
}

/// The heads, also under curves, with all rows and with some.
fn heads_of_rows(sizes: [usize; 5], n: usize, precision: Precision) -> Vec<Check> {
    let of = |given| [heads(sizes, n, precision, given), heads_under(sizes, n, precision, given)];
    [Given::Plain, Given::SomeRows].map(of).into_iter().flatten().collect()
}

fn heads(sizes: [usize; 5], n: usize, precision: Precision, given: Given) -> Check {
    let [b, k, h, w, c] = sizes;
    let compute = move |t: &[Tensor]| {
        let (z, weight, bias) = given.of(t, [b, h, w, c])?;
        let rows = given.rows(k, c);
        let pooled = channels_last::attention_heads(&z, &weight, &bias, &rows, precision)?;
        Ok(vec![("features", pooled.features), ("masks", pooled.masks)])
    };
    let mut inputs = head_inputs(sizes, n);
    inputs[0].1 = given.shape([b, h, w, c]);
    let name = named("heads", sizes, n, precision, given);
    check(name, precision, inputs, Box::new(compute))
}

/// m ↦ m² for every second attribute, without a closed form: the masks go through the processor's
/// memory.
struct Square;

impl ToneCurve for Square {
    fn apply(&self, attribute: usize, _channel: usize, mask: &mut [f32]) {
        if attribute.is_multiple_of(2) {
            mask.iter_mut().for_each(|m| *m *= *m);
        }
    }
}

/// n and β of the curves that are computed where the masks are; each is for one attribute only.
const CURVES: [(f64, f64); 4] = [(2., 0.3), (3., -0.2), (0.7, 0.5), (40., 1.5)];

fn heads_under(sizes: [usize; 5], n: usize, precision: Precision, given: Given) -> Check {
    let [_, k, ..] = sizes;
    let compute = move |t: &[Tensor]| {
        let z = t[0].permute((0, 3, 1, 2))?;
        let rows = given.rows(k, sizes[4]);
        let numbers = CURVES.into_iter().enumerate();
        let powers = numbers
            .map(|(i, (n, beta))| Ok(Only::new(PowerCurve::new(n, beta)?, Some(vec![i % k]), None)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let clipped = ClippedCurve::new(2., 0.4)?;
        // A curve without a closed form goes another way, and has a call of its own.
        let closed: Vec<&dyn ToneCurve> = std::iter::once(&Identity as &dyn ToneCurve)
            .chain(powers.iter().map(|curve| curve as _))
            .chain([&clipped as _])
            .collect();
        let mut pooled = attention_heads_with_curves(&z, &t[1], &t[2], &rows, &closed, precision)?;
        pooled.extend(attention_heads_with_curves(&z, &t[1], &t[2], &rows, &[&Square], precision)?);
        let names = [
            ("features", "masks"),
            ("features, n = 2", "masks, n = 2"),
            ("features, n = 3", "masks, n = 3"),
            ("features, n = 0.7", "masks, n = 0.7"),
            ("features, n = 40", "masks, n = 40"),
            ("features, clipped", "masks, clipped"),
            ("features, m²", "masks, m²"),
        ];
        Ok(names
            .into_iter()
            .zip(pooled)
            .flat_map(|((features, masks), p)| [(features, p.features), (masks, p.masks)])
            .collect())
    };
    let name = named("heads under curves", sizes, n, precision, given);
    check(name, precision, head_inputs(sizes, n), Box::new(compute))
}

fn masks() -> Check {
    let compute = |t: &[Tensor]| {
        let (z, rows) = (t[0].permute((0, 3, 1, 2))?, Rows::all(3, 9));
        Ok(vec![("masks", attention_masks(&z, &t[1], &t[2], &rows, &[2, 0])?)])
    };
    let inputs = head_inputs([2, 3, 5, 7, 9], 1);
    check("masks of two attributes".into(), Precision::F32, inputs, Box::new(compute))
}

/// On a GPU by candle's own selection.
fn selected() -> Check {
    let compute = |t: &[Tensor]| {
        Ok(vec![("features", select_channels(&t[0].permute((0, 3, 1, 2))?, &[6, 0, 3])?)])
    };
    check(
        "three of seven channels".into(),
        Precision::F32,
        vec![("z", vec![2, 3, 5, 7], 1.)],
        Box::new(compute),
    )
}

fn adamw() -> Check {
    let compute = |t: &[Tensor]| {
        let (value, gradient) =
            (candle_core::Var::from_tensor(&t[0].detach().copy()?)?, t[1].detach());
        let (mut first, mut second) = (gradient.zeros_like()?, gradient.zeros_like()?);
        for number in 1..=3 {
            let step = AdamWStep {
                learning_rate: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.3,
                number,
            };
            adamw_step(&value, &gradient, &mut first, &mut second, &step)?;
        }
        Ok(vec![("value", value.as_detached_tensor()), ("first", first), ("second", second)])
    };
    check(
        "AdamW, three steps".into(),
        Precision::F32,
        vec![("value", vec![37, 5], 1.), ("gradient", vec![37, 5], 1.)],
        Box::new(compute),
    )
}

fn average() -> Check {
    let compute = |t: &[Tensor]| {
        let average = candle_core::Var::from_tensor(&t[0].detach().copy()?)?;
        moving_average(&average, &t[1].detach(), 0.9)?;
        Ok(vec![("average", average.as_detached_tensor())])
    };
    check(
        "moving average".into(),
        Precision::F32,
        vec![("average", vec![91], 1.), ("value", vec![91], 1.)],
        Box::new(compute),
    )
}

/// The loss in training: a network and the device's share of it. It has no form in f64, so that f32
/// on the CPU is the reference too.
fn steps(precision: Precision, micro_batch: usize) -> Check {
    let compute = move |t: &[Tensor]| {
        let images = t[0].to_dtype(candle_core::DType::F32)?;
        let config = NetworkConfig { attributes: 5, channels: 24, precision, ..Default::default() };
        let mut train = TrainConfig { epochs: 1, micro_batch, ..Default::default() };
        train.gpu_micro_batch = micro_batch;
        let mut trainer = Trainer::new(Network::new(config, 0, images.device())?, train, 100)?;
        let labels = images
            .narrow(1, 0, 1)?
            .flatten_from(1)?
            .narrow(1, 0, 5)?
            .gt(0f64)?
            .to_dtype(candle_core::DType::F32)?;
        let losses = (0..3)
            .map(|_| Ok(trainer.step(&images, &labels)?.loss))
            .collect::<anyhow::Result<Vec<f32>>>()?;
        Ok(vec![("losses", Tensor::new(losses, t[0].device())?.to_dtype(t[0].dtype())?)])
    };
    let name = format!("three training steps, {}, micro_batch {micro_batch}", text(precision));
    Check {
        tolerance: if precision == Precision::F32 { 1e-4 } else { 1e-2 },
        ..check(name, precision, vec![("images", vec![4, 3, 12, 11], 1.)], Box::new(compute))
    }
}
