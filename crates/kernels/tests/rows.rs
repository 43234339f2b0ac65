//! Heads of which only some rows have masks, compared with the plain composition in f64 in which
//! the masks of the others are 0.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{AnyResult, bits, distance, flat, in_f64, some_rows, values};
use foresee_kernels::{
    ClosedForm, Identity, InstructionSet, Pooled,
    Precision::{self, Bf16, F32},
    Rows, ToneCurve, attention_heads, attention_heads_of_rows, attention_heads_with_curves,
    attention_masks, reference, with_instruction_set,
};
use proptest::prelude::*;

fn inputs(k: usize, c: usize, n: usize, size: [usize; 2]) -> [Var; 3] {
    let scale = 1.5 / ((c * n * n) as f32).sqrt();
    let z = values(&[2, c, size[0], size[1]], 1.5, 1);
    [z, values(&[k * c, c, n, n], scale, 2), values(&[k * c], 1., 3)]
}

fn loss(pooled: &Pooled) -> candle_core::Result<Tensor> {
    let weighted = |t: &Tensor, seed: u64| {
        (t * values(t.dims(), 1., seed).as_tensor().to_dtype(t.dtype())?)?.sum_all()
    };
    weighted(&pooled.features, 8)? + weighted(&pooled.masks, 9)?
}

/// Outputs and gradients of random rows against the reference.
fn check(inputs: &[Var; 3], rows: &Rows, precision: Precision) -> AnyResult {
    let (tolerance, gradients) = if precision == F32 { (2e-5, 1e-4) } else { (2e-2, 4e-2) };
    let [z, w, b] = inputs;
    let exact = inputs.each_ref().map(in_f64);
    let sparse = attention_heads_of_rows(z, w, b, rows, precision)?;
    let dense = reference::attention_heads(&exact[0], &exact[1], &exact[2], rows, &Identity)?;
    for (a, b) in [(&sparse.features, &dense.features), (&sparse.masks, &dense.masks)] {
        assert!(distance(a, b) < tolerance, "{rows:?}: an output is off by {}", distance(a, b));
    }
    let (of_sparse, of_dense) = (loss(&sparse)?.backward()?, loss(&dense)?.backward()?);
    for (a, b) in inputs.iter().zip(&exact) {
        let [a, b] = [of_sparse.get(a), of_dense.get(b)].map(|g| g.expect("a gradient"));
        assert!(distance(a, b) < gradients, "{rows:?}: a gradient is off by {}", distance(a, b));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_match_masks_of_zero(
        k in 1usize..9,
        c in 1usize..70,
        size in [1usize..20, 1usize..20],
        share in 0f64..1.,
        wide in prop::bool::ANY,
        half in prop::bool::ANY,
        seed in 0u64..1000,
    ) {
        let n = if wide && c < 20 { 3 } else { 1 };
        let rows = some_rows(k, c, share, seed);
        check(&inputs(k, c, n, size), &rows, if half { Bf16 } else { F32 }).unwrap();
    }
}

#[test]
fn no_row_and_every_row_are_rows_too() -> AnyResult {
    for precision in [F32, Bf16] {
        let inputs = inputs(3, 33, 1, [5, 7]);
        let none = Rows::new(33, vec![vec![]; 3])?;
        check(&inputs, &none, precision)?;
        check(&inputs, &Rows::all(3, 33), precision)?;
        let one = Rows::new(33, vec![vec![], vec![32], vec![]])?;
        check(&inputs, &one, precision)?;
    }
    Ok(())
}

/// Where a row lies among the panels does not change its bits.
#[test]
fn kept_rows_have_the_bits_that_they_have_among_all() -> AnyResult {
    let [z, w, b] = &inputs(7, 128, 1, [9, 13]);
    for precision in [F32, Bf16] {
        let all = attention_heads(z, w, b, precision)?;
        let rows = some_rows(7, 128, 0.3, 5);
        let kept = rows.to_tensor(&Device::Cpu)?;
        let sparse = attention_heads_of_rows(z, w, b, &rows, precision)?;
        for (all, sparse) in [(all.features, sparse.features), (all.masks, sparse.masks)] {
            // Adding 0 turns -0 into 0.
            assert_eq!(bits(&(all.broadcast_mul(&kept)? + 0.)?), bits(&(sparse + 0.)?));
        }
    }
    Ok(())
}

/// The gradient of each input, by central differences of the operation itself.
#[test]
fn gradients_are_those_of_differences() -> AnyResult {
    let inputs = inputs(3, 5, 1, [3, 4]);
    let rows = some_rows(3, 5, 0.5, 2);
    let of = |[z, w, b]: [&Tensor; 3]| -> AnyResult<f64> {
        let pooled = attention_heads_of_rows(z, w, b, &rows, F32)?;
        Ok(loss(&pooled)?.to_dtype(DType::F64)?.to_scalar()?)
    };
    let [z, w, b] = &inputs;
    let gradients = loss(&attention_heads_of_rows(z, w, b, &rows, F32)?)?.backward()?;
    let step = 1e-2;
    for (which, input) in inputs.iter().enumerate() {
        let gradient = flat(gradients.get(input).expect("a gradient"));
        for (at, expected) in gradient.into_iter().enumerate() {
            let moved = |by: f32| -> AnyResult<f64> {
                let mut data = input.flatten_all()?.to_vec1::<f32>()?;
                data[at] += by;
                let moved = Tensor::from_vec(data, input.shape(), &Device::Cpu)?;
                let mut each = inputs.each_ref().map(Var::as_tensor);
                each[which] = &moved;
                of(each)
            };
            let found = (moved(step)? - moved(-step)?) / f64::from(2. * step);
            assert!((found - expected).abs() < 2e-3, "input {which}, {at}: {found}, {expected}");
        }
    }
    Ok(())
}

/// Eq. 11 and 12 for one attribute, with or without its closed form.
struct Power {
    n: f32,
    beta: f32,
    attribute: usize,
    closed: bool,
}

impl ToneCurve for Power {
    fn apply(&self, attribute: usize, _channel: usize, mask: &mut [f32]) {
        if attribute == self.attribute {
            mask.iter_mut().for_each(|m| {
                let low = *m < 0.5;
                let half = (if low { *m / 0.5 } else { (1. - *m) / 0.5 }).powf(self.n) / 2.;
                *m = (1. + self.beta) * if low { half } else { 1. - half } - self.beta;
            });
        }
    }

    fn closed_form(&self, attribute: usize, _channel: usize) -> Option<ClosedForm> {
        let form = ClosedForm::new(self.n, self.beta);
        self.closed.then_some(if attribute == self.attribute { form } else { ClosedForm::IDENTITY })
    }
}

/// With β > 0, g(0) = -β: a mask of 0 is not left alone.
#[test]
fn curves_act_on_masks_of_zero_too() -> AnyResult {
    for wide in [1, 3] {
        let [z, w, b] = &inputs(3, 13, wide, [6, 7]);
        let exact = [z, w, b].map(in_f64);
        let rows = some_rows(3, 13, 0.4, 7);
        let powers = [1., 2., 3., 0.7]
            .map(|n| [true, false].map(|closed| Power { n, beta: 0.3, attribute: 1, closed }));
        let mut curves: Vec<&dyn ToneCurve> = vec![&Identity];
        curves.extend(powers.iter().flatten().map(|curve| curve as &dyn ToneCurve));
        let found = attention_heads_with_curves(z, w, b, &rows, &curves, F32)?;
        for (curve, found) in curves.iter().zip(&found) {
            let expected =
                reference::attention_heads(&exact[0], &exact[1], &exact[2], &rows, *curve)?;
            assert!(distance(&found.features, &expected.features) < 2e-5);
            assert!(distance(&found.masks, &expected.masks) < 2e-5);
        }
        let plain = attention_heads_of_rows(z, w, b, &rows, F32)?;
        assert_eq!(bits(&found[0].features), bits(&plain.features));
        // Masks themselves are 0 where a row is left out.
        let masks = attention_masks(z, w, b, &rows, &[2, 0])?.sum((0, 3, 4))?;
        let kept = rows.to_tensor(&Device::Cpu)?;
        let is_open: Vec<bool> = flat(&masks).iter().map(|&m| m > 0.).collect();
        let expected = Tensor::cat(&[kept.narrow(0, 2, 1)?, kept.narrow(0, 0, 1)?], 0)?;
        assert_eq!(is_open, flat(&expected).iter().map(|&v| v == 1.).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn the_same_bits_for_any_number_of_threads() -> AnyResult {
    let rows = some_rows(11, 40, 0.3, 3);
    let run = |threads: usize, precision: Precision| -> AnyResult<Vec<Vec<u32>>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        pool.install(|| {
            let inputs = inputs(11, 40, 1, [21, 19]);
            let [z, w, b] = &inputs;
            let loss = loss(&attention_heads_of_rows(z, w, b, &rows, precision)?)?;
            let gradients = loss.backward()?;
            let each = inputs.iter().map(|v| bits(gradients.get(v).expect("a gradient")));
            Ok(each.chain([bits(&loss)]).collect())
        })
    };
    for precision in [F32, Bf16] {
        let one = run(1, precision)?;
        assert!(one == run(2, precision)? && one == run(7, precision)?);
    }
    Ok(())
}

#[test]
fn every_instruction_set_agrees() -> AnyResult {
    let mut tested = vec![];
    for set in InstructionSet::ALL {
        let both = || -> AnyResult {
            let (inputs, rows) = (inputs(4, 40, 1, [11, 6]), some_rows(4, 40, 0.4, 9));
            check(&inputs, &rows, F32)?;
            check(&inputs, &rows, Bf16)
        };
        if let Some(result) = with_instruction_set(set, both) {
            result?;
            tested.push(set);
        }
    }
    assert!(tested.contains(&InstructionSet::Portable), "{tested:?}");
    Ok(())
}

#[test]
fn nan_is_not_hidden_and_others_rows_are_refused() -> AnyResult {
    let [z, w, b] = &inputs(2, 5, 1, [4, 4]);
    let rows = some_rows(2, 5, 0.5, 1);
    let nan = (z.as_tensor() * f64::NAN)?;
    let pooled = attention_heads_of_rows(&nan, w, b, &rows, F32)?;
    let kept = flat(&rows.to_tensor(&Device::Cpu)?);
    for (at, mean) in flat(&pooled.features).into_iter().enumerate() {
        assert_eq!(mean.is_nan(), kept[at % kept.len()] == 1.);
    }
    let exact = [&Var::from_tensor(&nan)?, w, b].map(in_f64);
    let plain = reference::attention_heads(&exact[0], &exact[1], &exact[2], &rows, &Identity)?;
    for means in [&plain.features, &plain.masks, &pooled.masks] {
        for (at, mean) in flat(means).into_iter().enumerate() {
            assert!(if kept[at % kept.len()] == 1. { mean.is_nan() } else { mean == 0. });
        }
    }
    // Nor does a bias of a row that is left out count, for outputs or for gradients.
    let mut biases = b.to_vec1::<f32>()?;
    let left_out = biases.iter_mut().zip(&kept).filter(|(_, kept)| **kept == 0.);
    left_out.for_each(|(bias, _)| *bias = f32::NAN);
    let whole = [z.clone(), w.clone(), b.clone()];
    let broken = [z.clone(), w.clone(), Var::new(biases, &Device::Cpu)?];
    let of = |[z, w, b]: &[Var; 3]| -> AnyResult<Vec<f64>> {
        let pooled = reference::attention_heads(z, w, b, &rows, &Identity)?;
        let gradients = loss(&pooled)?.backward()?;
        let gradients = [z, w, b].map(|v| flat(gradients.get(v).expect("a gradient")));
        Ok([vec![flat(&pooled.features)], gradients.to_vec()].concat().concat())
    };
    assert_eq!(of(&whole)?, of(&broken)?);
    let others = attention_heads_of_rows(z, w, b, &Rows::all(5, 2), F32);
    assert!(others.unwrap_err().to_string().contains("5 attributes and 2 channels"));
    Ok(())
}
