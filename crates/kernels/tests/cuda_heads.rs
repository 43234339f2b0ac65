//! The kernels of `cuda/heads.cu`, run on the CPU, against the plain composition in f64 and this
//! crate's own kernels.

#[path = "cuda_emulation/emulator.rs"]
mod emulator;
#[path = "cuda_emulation/plans.rs"]
mod plans;
#[path = "cuda_emulation/values.rs"]
mod values;

use candle_core::{DType, Tensor, Var};
use emulator::Emulator;
use foresee_kernels::Precision::{self, Bf16, F32};
use foresee_kernels::cuda::heads::{
    Counts, backward, forward, forward_with_curves, input_gradient,
};
use foresee_kernels::cuda::{Argument, Plan};
use foresee_kernels::{Identity, Rows, ToneCurve, attention_heads_with_curves, reference};
use rayon::prelude::*;
use values::{AnyResult, assert_close, flat, values};

const KERNELS: [&str; 27] = [
    "pack_inputs_bf16",
    "pack_inputs_f32",
    "pack_bf16_to_logits",
    "pack_bf16_to_inputs",
    "pack_f32_to_logits",
    "pack_f32_to_inputs",
    "forward_bf16",
    "forward_bf16_curves",
    "forward_f32",
    "forward_f32_curves",
    "backward_bf16_inputs",
    "backward_bf16_weights",
    "backward_f32_inputs",
    "backward_f32_weights",
    "forward_bf16_rows",
    "forward_bf16_curves_rows",
    "forward_f32_rows",
    "forward_f32_curves_rows",
    "backward_bf16_inputs_rows",
    "backward_bf16_weights_rows",
    "backward_f32_inputs_rows",
    "backward_f32_weights_rows",
    "sum_parts",
    "gather_rows",
    "spread_rows",
    "sum_features",
    "close_rows",
];

/// (B, K, C, H, W) that fill no fragment, no warp, no block or no part, or all of them.
const SHAPES: [[usize; 5]; 5] =
    [[1, 1, 1, 1, 1], [2, 3, 5, 7, 9], [3, 2, 37, 8, 5], [1, 1, 128, 6, 11], [2, 1, 16, 16, 8]];

/// Shapes, and about which share of their rows is kept: none, those of one panel, of several.
const SHARES: [([usize; 5], f64); 4] = [
    ([2, 3, 5, 7, 9], 0.),
    ([2, 3, 5, 7, 9], 0.5),
    ([1, 9, 37, 8, 9], 0.5),
    ([1, 2, 128, 6, 11], 0.3),
];

/// One test, since the kernels are built once for all cases, which share the cores.
#[test]
fn the_kernels_are_right() -> AnyResult {
    let Some(emulator) = Emulator::new("heads.cu", &KERNELS) else { return Ok(()) };
    let e = &emulator;
    let mut cases: Vec<Case> = vec![];
    for precision in [F32, Bf16] {
        for (wide, share) in WIDE.into_iter().take(if precision == F32 { 4 } else { 5 }) {
            cases.push(Box::new(move || sums_are_those_in_f64(e, wide, share, precision)));
        }
        for share in [1., 0.4] {
            cases.push(Box::new(move || {
                curves_are_the_cpus_and_the_identity_changes_no_bit(e, share, precision)
            }));
            cases.push(Box::new(move || {
                orders_of_blocks_and_threads_change_no_bit(e, share, precision)
            }));
        }
        cases
            .push(Box::new(move || extreme_logits_stay_finite_and_nan_is_not_hidden(e, precision)));
        for (seed, shape) in (0..).zip(SHAPES) {
            cases.push(Box::new(move || {
                let rows = all_rows(&counts(shape));
                heads_are_the_plain_composition(e, shape, &rows, precision, seed)
            }));
        }
        for (seed, (shape, share)) in (0..).zip(SHARES) {
            cases.push(Box::new(move || {
                let rows = some_rows(&counts(shape), share);
                heads_are_the_plain_composition(e, shape, &rows, precision, seed)?;
                rows_that_are_left_out_are_0_and_change_no_other(e, shape, &rows, precision)
            }));
        }
    }
    cases.push(Box::new(move || one_block_for_all_attributes_changes_no_bit(e)));
    cases.push(Box::new(move || {
        nothing_in_a_batch_is_no_gradient(e);
        Ok(())
    }));
    cases.into_par_iter().try_for_each(|case| case())
}

type Case<'a> = Box<dyn Fn() -> AnyResult + Send + 'a>;

fn counts([b, k, c, h, w]: [usize; 5]) -> Counts {
    Counts { images: b, pixels: h * w, channels: c, inputs: c, attributes: k }
}

fn all_rows(n: &Counts) -> Rows {
    Rows::all(n.attributes, n.channels)
}

/// Rows of which each is kept with this probability.
fn some_rows(n: &Counts, share: f64) -> Rows {
    let mut state = 7u64;
    let mut is_kept = |_: &usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / (1u64 << 24) as f64) < share
    };
    let kept = (0..n.attributes).map(|_| (0..n.channels).filter(&mut is_kept).collect()).collect();
    Rows::new(n.channels, kept).expect("channels that ascend")
}

/// z [B, C, H, W], weight, bias and the gradients of the means of features and masks.
fn case([b, k, c, h, w]: [usize; 5]) -> [Var; 5] {
    let weights = values(&[k * c, c, 1, 1], (4. / c as f32).sqrt(), 2);
    [
        values(&[b, c, h, w], 1.5, 1),
        weights,
        values(&[k * c], 1., 3),
        values(&[b, k, c], 1., 4),
        values(&[b, k, c], 1., 5),
    ]
}

/// The tolerances of means and of gradients. bfloat16 factors have 8 bits.
fn tolerances(precision: Precision) -> (f32, f32) {
    if precision == F32 { (2e-5, 1e-4) } else { (2e-2, 3e-2) }
}

/// The plan's inputs.
fn inputs(case: &[Var; 5]) -> AnyResult<[Vec<f32>; 4]> {
    let [z, w, b, features, masks] = case;
    Ok([
        flat(&z.permute((0, 2, 3, 1))?)?,
        flat(w)?,
        flat(b)?,
        flat(&Tensor::stack(&[features.as_tensor(), masks], 2)?)?,
    ])
}

fn heads_are_the_plain_composition(
    emulator: &Emulator,
    shape: [usize; 5],
    rows: &Rows,
    precision: Precision,
    seed: u64,
) -> AnyResult {
    let case = case(shape);
    let n = counts(shape);
    let name = format!("{shape:?}, {} rows, {precision:?}", rows.count());
    let exact =
        case.each_ref().map(|v| Var::from_tensor(&v.to_dtype(DType::F64).unwrap()).unwrap());
    let [z, w, b, features, masks] = &exact;
    let pooled = reference::attention_heads(z, w, b, rows, &Identity)?;
    let loss = ((&pooled.features * features.as_tensor())?.sum_all()?
        + (&pooled.masks * masks.as_tensor())?.sum_all()?)?;
    let gradients = loss.backward()?;
    let (tolerance, gradient_tolerance) = tolerances(precision);
    let single = |t: &Tensor| flat(&t.to_dtype(DType::F32)?);

    let given = inputs(&case)?;
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let made = plans::run(emulator, &forward(&n, rows, precision), &given[..3], seed);
    assert_close(
        &format!("{name}: means"),
        &made[0],
        &single(&Tensor::stack(&[&pooled.features, &pooled.masks], 2)?)?,
        tolerance,
    );
    let made = plans::run(emulator, &backward(&n, rows, precision), &given, seed);
    let gradient = |of: &Var| gradients.get(of.as_tensor()).expect("a gradient").clone();
    assert_close(
        &format!("{name}: dz"),
        &made[0],
        &single(&gradient(z).permute((0, 2, 3, 1))?)?,
        gradient_tolerance,
    );
    assert_close(&format!("{name}: dW"), &made[1], &single(&gradient(w))?, gradient_tolerance);
    assert_close(&format!("{name}: db"), &made[2], &single(&gradient(b))?, gradient_tolerance);
    let input_only = plans::run(emulator, &input_gradient(&n, rows, precision), &given, seed);
    assert!(
        input_only[0].iter().map(|v| v.to_bits()).eq(made[0].iter().map(|v| v.to_bits())),
        "{name}: dz without the weights' gradients"
    );
    Ok(())
}

/// Rows that are kept have the bits that they have among all rows.
fn rows_that_are_left_out_are_0_and_change_no_other(
    emulator: &Emulator,
    shape: [usize; 5],
    rows: &Rows,
    precision: Precision,
) -> AnyResult {
    let n = counts(shape);
    let given = inputs(&case(shape))?;
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let means =
        |rows: &Rows| plans::run(emulator, &forward(&n, rows, precision), &given[..3], 1).remove(0);
    let (own, all) = (means(rows), means(&all_rows(&n)));
    let gradients = plans::run(emulator, &backward(&n, rows, precision), &given, 2);
    let is_kept = |row: usize| rows.has(row / n.channels, row % n.channels);
    for (i, (own, all)) in own.iter().zip(&all).enumerate() {
        let attribute = i / (2 * n.channels) % n.attributes;
        let expected = match is_kept(attribute * n.channels + i % n.channels) {
            true => all.to_bits(),
            false => 0,
        };
        assert_eq!(own.to_bits(), expected, "{shape:?} {precision:?}: mean {i}");
    }
    for row in (0..n.attributes * n.channels).filter(|&row| !is_kept(row)) {
        let weights = &gradients[1][row * n.inputs..][..n.inputs];
        assert!(weights.iter().chain([&gradients[2][row]]).all(|&v| v == 0.), "row {row}");
    }
    Ok(())
}

/// g of Eq. 11 and 12 on some attributes, as the paper writes it, clipped at a floor.
struct Power {
    n: f32,
    beta: f32,
    floor: f32,
    attributes: std::ops::Range<usize>,
}

impl ToneCurve for Power {
    fn apply(&self, attribute: usize, _channel: usize, mask: &mut [f32]) {
        if self.attributes.contains(&attribute) {
            mask.iter_mut().for_each(|m| {
                let h = if *m < 0.5 {
                    (*m / 0.5).powf(self.n) / 2.
                } else {
                    1. - ((1. - *m) / 0.5).powf(self.n) / 2.
                };
                *m = ((1. + self.beta) * h - self.beta).max(self.floor);
            });
        }
    }
}

fn curves_are_the_cpus_and_the_identity_changes_no_bit(
    emulator: &Emulator,
    share: f64,
    precision: Precision,
) -> AnyResult {
    let shape = [1, 3, 37, 9, 8];
    let case = case(shape);
    let n = counts(shape);
    let rows = some_rows(&n, share);
    let none = f32::NEG_INFINITY;
    let numbers = [
        (1., 0., none, 0..3),
        (2., 0.3, none, 0..3),
        (0.7, -0.2, none, 0..3),
        (3., 0., none, 1..2),
        (40., 1.5, none, 2..3),
        (1., 0.3, 0., 0..3),
        (2., 0.8, 0.1, 1..3),
    ];
    let curves = numbers.map(|(n, beta, floor, attributes)| Power { n, beta, floor, attributes });
    let table = curves
        .iter()
        .flat_map(|c| {
            (0..3).flat_map(|k| {
                let own = [c.n, c.beta, c.floor];
                [if c.attributes.contains(&k) { own } else { [1., 0., none] }; 37]
            })
        })
        .flatten();
    let table: Vec<f32> = table.collect();
    let given = inputs(&case)?;
    let plan = forward_with_curves(&n, &rows, precision, curves.len());
    let made = plans::run(emulator, &plan, &[&given[0], &given[1], &given[2], &table], 5);

    let each: Vec<&dyn ToneCurve> = curves.iter().map(|c| c as &dyn ToneCurve).collect();
    let expected =
        attention_heads_with_curves(&case[0], &case[1], &case[2], &rows, &each, precision)?;
    let stacked = expected
        .iter()
        .map(|p| Tensor::stack(&[&p.features, &p.masks], 2))
        .collect::<Result<Vec<_>, _>>()?;
    let tolerance = if precision == F32 { 2e-5 } else { 2e-2 };
    assert_close(
        &format!("curves, {share} of the rows, {precision:?}"),
        &made[0],
        &flat(&Tensor::stack(&stacked, 2)?)?,
        tolerance,
    );

    let plain =
        plans::run(emulator, &forward(&n, &rows, precision), &[&given[0], &given[1], &given[2]], 6);
    let first = made[0].chunks(curves.len() * 2 * 37).flat_map(|head| &head[..2 * 37]);
    assert!(
        first.map(|v| v.to_bits()).eq(plain[0].iter().map(|v| v.to_bits())),
        "the identity changes bits, {precision:?}"
    );
    Ok(())
}

fn orders_of_blocks_and_threads_change_no_bit(
    emulator: &Emulator,
    share: f64,
    precision: Precision,
) -> AnyResult {
    let shape = [1, 2, 37, 9, 8];
    let rows = some_rows(&counts(shape), share);
    let means = forward(&counts(shape), &rows, precision);
    let gradients = backward(&counts(shape), &rows, precision);
    let given = inputs(&case(shape))?;
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let bits = |seed| -> Vec<u32> {
        let means = plans::run(emulator, &means, &given[..3], seed);
        let gradients = plans::run(emulator, &gradients, &given, seed);
        means[..1].iter().chain(&gradients[..3]).flatten().map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(0), bits(1));
    assert_eq!(bits(0), bits(2));
    Ok(())
}

/// The expected means [B, K, 2, C] and gradients of u, w and bias, by sums in f64 one after
/// another.
fn in_f64(n: &Counts, rows: &Rows, [u, w, bias, g]: [&[f32]; 4]) -> [Vec<f32>; 4] {
    let Counts { channels: c, inputs: d, pixels, .. } = *n;
    let mut out = [n.images * n.attributes * 2 * c, u.len(), w.len(), bias.len()]
        .map(|length| vec![0f64; length]);
    for (p, u) in u.chunks(d).enumerate() {
        for (row, w) in w.chunks(d).enumerate() {
            if !rows.has(row / c, row % c) {
                continue;
            }
            let at = p / pixels * n.attributes * 2 * c + row / c * 2 * c + row % c;
            let pixel = p * d;
            let logit = u.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
                + f64::from(bias[row]);
            let mask = 1. / (1. + (-logit).exp());
            let z = f64::from(u[row % c]);
            out[0][at] += mask * z / pixels as f64;
            out[0][at + c] += mask / pixels as f64;
            let features = f64::from(g[at]) / pixels as f64;
            let masks = f64::from(g[at + c]) / pixels as f64;
            let da = (features * z + masks) * mask * (1. - mask);
            out[1][pixel + row % c] += mask * features;
            out[3][row] += da;
            for i in 0..d {
                out[1][pixel + i] += da * f64::from(w[i]);
                out[2][row * d + i] += da * f64::from(u[i]);
            }
        }
    }
    out.map(|values| values.into_iter().map(|v| v as f32).collect())
}

/// (B, pixels, C, inputs, K) with inputs of several chunks, channels of several blocks, several
/// attributes of a block, several tiles of a part; and about which share of the rows is kept. The
/// last takes long, and only its counts matter.
const WIDE: [([usize; 5], f64); 5] = [
    ([1, 66, 5, 290, 2], 1.),
    ([1, 33, 140, 150, 1], 1.),
    ([1, 66, 5, 290, 2], 0.5),
    ([1, 33, 140, 150, 2], 0.5),
    ([3, 40, 2, 3, 200], 1.),
];

fn sums_are_those_in_f64(
    emulator: &Emulator,
    [images, pixels, channels, inputs, attributes]: [usize; 5],
    share: f64,
    precision: Precision,
) -> AnyResult {
    let (tolerance, gradient_tolerance) = tolerances(precision);
    let n = Counts { images, pixels, channels, inputs, attributes };
    let rows = some_rows(&n, share);
    let scale = (4. / inputs as f32).sqrt();
    let shapes = [
        (images * pixels * inputs, 1.5),
        (attributes * channels * inputs, scale),
        (attributes * channels, 1.),
        (images * attributes * 2 * channels, 1.),
    ];
    let given = shapes
        .into_iter()
        .zip(1..)
        .map(|((length, scale), seed)| flat(&values(&[length], scale, seed)))
        .collect::<AnyResult<Vec<_>>>()?;
    let given = [&given[0][..], &given[1], &given[2], &given[3]];
    let expected = in_f64(&n, &rows, given);
    let means = plans::run(emulator, &forward(&n, &rows, precision), &given[..3], 3);
    let gradients = plans::run(emulator, &backward(&n, &rows, precision), &given, 4);
    let name = format!("{n:?}, {share} of the rows, {precision:?}");
    assert_close(&format!("{name}: means"), &means[0], &expected[0], tolerance);
    for (i, gradient) in ["du", "dW", "db"].into_iter().enumerate() {
        assert_close(
            &format!("{name}: {gradient}"),
            &gradients[i],
            &expected[i + 1],
            gradient_tolerance,
        );
    }
    Ok(())
}

/// How many attributes a block takes is for speed only.
fn one_block_for_all_attributes_changes_no_bit(emulator: &Emulator) -> AnyResult {
    let n = Counts { images: 1, pixels: 66, channels: 5, inputs: 150, attributes: 3 };
    let given = [(66 * 150, 1.), (15 * 150, 0.2), (15, 1.)]
        .into_iter()
        .zip(1..)
        .map(|((length, scale), seed)| flat(&values(&[length], scale, seed)));
    let given = given.collect::<AnyResult<Vec<_>>>()?;
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let each = forward(&n, &all_rows(&n), Bf16);
    let mut all = each.clone();
    let launch = all
        .launches
        .iter_mut()
        .find(|launch| launch.kernel == "forward_bf16")
        .expect("the forward kernel");
    assert_eq!((launch.grid.1, launch.arguments[7]), (3, Argument::U32(1)));
    launch.grid.1 = 1;
    launch.arguments[7] = Argument::U32(3);
    let bits = |plan| {
        plans::run(emulator, plan, &given, 7)[0].iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(&each), bits(&all));
    Ok(())
}

fn extreme_logits_stay_finite_and_nan_is_not_hidden(
    emulator: &Emulator,
    precision: Precision,
) -> AnyResult {
    let shape = [1, 2, 2, 4, 5];
    let mut given = inputs(&case(shape))?;
    given[0].iter_mut().for_each(|v| *v *= 1e4);
    let run = |given: &[Vec<f32>; 4]| {
        let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
        let n = counts(shape);
        let means = forward(&n, &all_rows(&n), precision);
        let gradients = backward(&n, &all_rows(&n), precision);
        [
            &plans::run(emulator, &means, &given[..3], 0)[..1],
            &plans::run(emulator, &gradients, &given, 0)[..3],
        ]
        .concat()
    };
    assert!(run(&given).iter().flatten().all(|v| v.is_finite()), "{precision:?}");
    given[0].fill(f32::NAN);
    assert!(run(&given).iter().flatten().all(|v| v.is_nan()), "{precision:?}");
    Ok(())
}

fn nothing_in_a_batch_is_no_gradient(emulator: &Emulator) {
    let n = Counts { images: 0, pixels: 4, channels: 3, inputs: 3, attributes: 2 };
    for share in [1., 0.5, 0.] {
        let plan = backward(&n, &some_rows(&n, share), F32);
        let made = plans::run(emulator, &plan, &[&[], &[1.; 18], &[1.; 6], &[]], 0);
        assert!(made[1].iter().chain(&made[2]).all(|&v| v == 0.));
    }
    let n = Counts { images: 2, attributes: 0, ..n };
    let plan = backward(&n, &all_rows(&n), F32);
    assert_eq!(plans::run(emulator, &plan, &[&[1.; 24], &[], &[], &[]], 0)[0], [0.; 24]);
}

/// The most shared memory of a block is 99 KiB for compute capability 8.6, 8.9 and 12.0, 163 KiB
/// for 8.0, and 227 KiB for 9.0.
#[test]
fn heads_of_one_chunk_fit_every_gpu_and_others_those_of_data_centres() {
    let n = |inputs| Counts { images: 2, pixels: 4096, channels: 128, inputs, attributes: 40 };
    for precision in [F32, Bf16] {
        assert!(n(128).shared(precision) <= 99 << 10);
        for rows in [all_rows(&n(1152)), every_second_channel(&n(1152))] {
            let most = [
                forward(&n(1152), &rows, precision),
                forward_with_curves(&n(1152), &rows, precision, 3),
                backward(&n(1152), &rows, precision),
            ]
            .iter()
            .map(Plan::shared)
            .max();
            assert_eq!(Some(n(1152).shared(precision)), most);
        }
    }
    assert!(n(1152).shared(Bf16) <= 99 << 10);
    assert!((99 << 10..163 << 10).contains(&n(1152).shared(F32)));
}

fn every_second_channel(n: &Counts) -> Rows {
    let kept = vec![(0..n.channels).step_by(2).collect(); n.attributes];
    Rows::new(n.channels, kept).expect("channels that ascend")
}

/// 40 · 64 kept rows are 20 panels of 128; all rows are 40 attributes of one panel.
#[test]
fn only_kept_rows_are_computed() {
    let n = Counts { images: 8, pixels: 4096, channels: 128, inputs: 128, attributes: 40 };
    let plans = |rows: &Rows| {
        [
            forward(&n, rows, Bf16),
            forward_with_curves(&n, rows, Bf16, 2),
            backward(&n, rows, Bf16),
            input_gradient(&n, rows, Bf16),
        ]
    };
    for (own, all) in plans(&every_second_channel(&n)).iter().zip(&plans(&all_rows(&n))) {
        assert!(all.tables.is_empty() && own.tables.len() == 1);
        let (at, table) = &own.tables[0];
        assert_eq!(own.made[*at], table.len());
        assert!(all.launches.iter().all(|launch| !launch.kernel.ends_with("_rows")));
        let of_rows = own.launches.iter().filter(|launch| {
            launch.kernel.starts_with("forward") || launch.kernel.starts_with("backward")
        });
        for launch in of_rows {
            assert!(launch.kernel.ends_with("_rows"), "{}", launch.kernel);
            assert_eq!(
                launch.arguments[launch.arguments.len() - 2..],
                [Argument::Buffer(own.inputs + at), Argument::U32(20)]
            );
        }
    }
}
