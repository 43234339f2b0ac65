//! Gradients against PyTorch's (`fixtures/gradients.py`): those of this crate's general operations,
//! which must be right, and those of candle's own, of which docs/src/candle_gradients.md keeps the
//! table.

#[path = "gradients/candle_operations.rs"]
mod candle_operations;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use foresee_kernels::{
    Pool2d, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, layer_norm, max_pool2d, rms_norm,
    softmax_last_dim, upsample_bilinear2d, upsample_nearest2d,
};

/// An operation on the inputs of a case of the fixture.
type Operation = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

struct Fixture(HashMap<String, Tensor>);

/// What became of one input's gradient.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    /// Its distance from PyTorch's, relative to the operation's own part.
    Off(f64),
    /// The operation's part is missing.
    Dropped,
    Refused(String),
}

impl Fixture {
    fn read() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gradients.safetensors");
        Self(candle_core::safetensors::load(path, &Device::Cpu).expect("the fixture"))
    }

    fn get(&self, case: &str, what: &str) -> Option<&Tensor> {
        self.0.get(&format!("{case}.{what}"))
    }

    /// Compares output and gradients of an operation, the worst input's; with what passes by the
    /// operation added to the objective before and after it.
    fn compare(&self, case: &str, operation: &Operation, dtype: DType) -> Verdict {
        let orders = [false, true].map(|skip_first| {
            self.compare_in_order(case, operation, dtype, skip_first)
                .unwrap_or_else(|e| Verdict::Refused(e.to_string()))
        });
        let [first, second] = orders;
        worse(first, second)
    }

    fn compare_in_order(
        &self,
        case: &str,
        operation: &Operation,
        dtype: DType,
        skip_first: bool,
    ) -> Result<Verdict> {
        let inputs: Vec<&Tensor> = (0..).map_while(|i| self.get(case, &format!("x{i}"))).collect();
        assert!(!inputs.is_empty(), "the fixture has no case {case:?}");
        let vars = inputs
            .iter()
            .map(|x| Var::from_tensor(&x.to_dtype(dtype)?))
            .collect::<Result<Vec<_>>>()?;
        let gradient_of = |i: usize| self.get(case, &format!("g{i}"));
        let xs: Vec<Tensor> = vars
            .iter()
            .enumerate()
            .map(|(i, var)| match gradient_of(i) {
                Some(_) => var.as_tensor().clone(),
                None => var.as_detached_tensor(),
            })
            .collect();
        let mut skip = Tensor::zeros((), dtype, &Device::Cpu)?;
        for (_, x) in xs.iter().enumerate().filter(|(i, _)| gradient_of(*i).is_some()) {
            skip = (skip + (x.sum_all()? * 0.5)?)?;
        }
        let y = operation(&xs)?;
        let w = self.get(case, "w").expect("weights").to_dtype(dtype)?;
        let expected = self.get(case, "y").expect("an output");
        let error = distance(&y, expected)? / size(expected)?.max(1e-12);
        if error > tolerance(dtype).max(1e-6) {
            candle_core::bail!("its output is {error:.1e} off");
        }
        let part = (y.reshape(w.shape())? * w)?.sum_all()?;
        let objective = if skip_first { (skip + part)? } else { (part + skip)? };
        let gradients = objective.backward()?;
        let mut worst = Verdict::Off(0.);
        for (i, x) in xs.iter().enumerate() {
            let Some(expected) = gradient_of(i) else { continue };
            let got = gradients.get(x).expect("0.5 at least passes by").to_dtype(DType::F64)?;
            let own = size(&(expected - 0.5)?)?;
            let away = distance(&got, expected)?;
            let is_dropped = own > 0. && size(&(got - 0.5)?)? <= 1e-9 * own;
            let verdict = match is_dropped {
                true => Verdict::Dropped,
                false => Verdict::Off(if away == 0. { 0. } else { away / own }),
            };
            worst = worse(worst, verdict);
        }
        Ok(worst)
    }
}

/// What the output, or a gradient, may be off by rounding.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-9 } else { 1e-5 }
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    let rank = |v: &Verdict| match v {
        // NaN is worse than any distance.
        Verdict::Off(off) if off.is_nan() => (1, 0.),
        Verdict::Off(off) => (0, *off),
        Verdict::Dropped => (2, 0.),
        Verdict::Refused(_) => (3, 0.),
    };
    if rank(&a) >= rank(&b) { a } else { b }
}

fn size(t: &Tensor) -> Result<f64> {
    t.to_dtype(DType::F64)?.sqr()?.sum_all()?.sqrt()?.to_scalar()
}

fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    size(&(a.to_dtype(DType::F64)?.reshape(b.shape())? - b)?)
}

/// This crate's operations by the names of the fixture's cases.
fn ours() -> Vec<(&'static str, Operation)> {
    fn op(f: impl Fn(&[Tensor]) -> foresee_kernels::Result<Tensor> + 'static) -> Operation {
        Box::new(move |x| Ok(f(x)?))
    }
    let two = Pool2d::new(2);
    let overlapping = Pool2d { stride: (2, 2), ..Pool2d::new(3) };
    let padded = Pool2d { padding: (1, 1), ..overlapping };
    let apart = Pool2d { stride: (3, 3), ..two };
    let oblong = Pool2d { kernel_size: (2, 3), stride: (1, 2), padding: (1, 0), ..two };
    let ceil = Pool2d { ceil_mode: true, ..padded };
    let ceil_apart = Pool2d { padding: (1, 1), ceil_mode: true, ..apart };
    let not_counted = Pool2d { count_include_pad: false, ..ceil };
    let max = |pool: Pool2d| op(move |x| max_pool2d(&x[0], &pool));
    let mean = |pool: Pool2d| op(move |x| avg_pool2d(&x[0], &pool));
    let nearest = |h, w| op(move |x| upsample_nearest2d(&x[0], h, w));
    let bilinear = |corners| op(move |x| upsample_bilinear2d(&x[0], 7, 5, corners));
    let layer = || op(|x| layer_norm(&x[0], &x[1], &x[2], 1e-5));
    vec![
        ("max_pool2d", max(two)),
        ("max_pool2d of 5×7 pixels", max(two)),
        ("max_pool2d, overlapping", max(overlapping)),
        ("max_pool2d, apart", max(apart)),
        ("max_pool2d, padded", max(padded)),
        ("max_pool2d, oblong", max(oblong)),
        ("max_pool2d, ceil_mode", max(ceil)),
        ("max_pool2d, ceil_mode, apart", max(ceil_apart)),
        ("max_pool2d of equals", max(Pool2d { stride: (1, 1), ..two })),
        ("avg_pool2d", mean(two)),
        ("avg_pool2d of 5×7 pixels", mean(two)),
        ("avg_pool2d, overlapping", mean(overlapping)),
        ("avg_pool2d, apart", mean(apart)),
        ("avg_pool2d, padded", mean(padded)),
        ("avg_pool2d, oblong", mean(oblong)),
        ("avg_pool2d, ceil_mode", mean(ceil)),
        ("avg_pool2d, ceil_mode, apart", mean(ceil_apart)),
        ("avg_pool2d, padding not counted", mean(not_counted)),
        ("adaptive_avg_pool2d", op(|x| adaptive_avg_pool2d(&x[0], (3, 4)))),
        ("adaptive_avg_pool2d, larger", op(|x| adaptive_avg_pool2d(&x[0], (5, 1)))),
        ("adaptive_max_pool2d", op(|x| adaptive_max_pool2d(&x[0], (3, 4)))),
        ("adaptive_max_pool2d, larger", op(|x| adaptive_max_pool2d(&x[0], (5, 1)))),
        ("upsample_nearest2d", nearest(6, 8)),
        ("upsample_nearest2d, other factors", nearest(7, 5)),
        ("upsample_nearest2d, oblong factors", nearest(6, 12)),
        ("upsample_bilinear2d", bilinear(false)),
        ("upsample_bilinear2d, corners", bilinear(true)),
        ("layer_norm", layer()),
        ("layer_norm over two", layer()),
        ("rms_norm", op(|x| rms_norm(&x[0], &x[1], 1e-5))),
        ("softmax_last_dim", op(|x| softmax_last_dim(&x[0]))),
    ]
}

#[test]
fn the_crates_operations_have_pytorchs_outputs_and_gradients() {
    let fixture = Fixture::read();
    for dtype in [DType::F32, DType::F64] {
        for (case, operation) in ours() {
            match fixture.compare(case, &operation, dtype) {
                Verdict::Off(off) if off <= tolerance(dtype) => {}
                verdict => panic!("{case} in {dtype:?}: {verdict:?}"),
            }
        }
    }
}

/// Pools see views, one pixel, and NaN; what does not fit is refused.
#[test]
fn pools_of_views_and_nan_and_windows_that_do_not_fit() -> foresee_kernels::Result<()> {
    let x = Tensor::arange(0f32, 24., &Device::Cpu)?.reshape((1, 2, 3, 4))?.transpose(2, 3)?;
    let copied = x.contiguous()?;
    let pool = Pool2d { padding: (1, 1), ..Pool2d::new(3) };
    let values = |t: Tensor| t.flatten_all()?.to_vec1::<f32>();
    assert_eq!(values(max_pool2d(&x, &pool)?)?, values(max_pool2d(&copied, &pool)?)?);
    assert_eq!(values(avg_pool2d(&x, &pool)?)?, values(avg_pool2d(&copied, &pool)?)?);
    let holed = Tensor::new(&[[[[1f32, f32::NAN], [3., 2.]]]], &Device::Cpu)?;
    assert!(values(max_pool2d(&holed, &Pool2d::new(2))?)?[0].is_nan());
    let one = Tensor::new(&[[[[7f32]]]], &Device::Cpu)?;
    assert_eq!(values(adaptive_max_pool2d(&one, (2, 1))?)?, [7., 7.]);
    for pool in [
        Pool2d::new(0),
        Pool2d::new(4),
        Pool2d { stride: (0, 1), ..Pool2d::new(2) },
        Pool2d { padding: (0, 2), ..Pool2d::new(2) },
    ] {
        assert!(max_pool2d(&copied, &pool).is_err() && avg_pool2d(&copied, &pool).is_err());
    }
    assert!(adaptive_avg_pool2d(&one, (0, 1)).is_err() && upsample_nearest2d(&one, 1, 0).is_err());
    assert!(max_pool2d(&one.to_dtype(DType::U8)?, &Pool2d::new(1)).is_err());
    assert!(max_pool2d(&one.squeeze(0)?, &Pool2d::new(1)).is_err());
    Ok(())
}

/// docs/src/candle_gradients.md says of every operation of candle what this finds.
#[test]
fn the_table_of_candles_gradients_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/candle_gradients.md");
    let fixture = Fixture::read();
    let found = candle_operations::table(&fixture);
    match std::fs::read_to_string(&page) {
        Ok(page) => assert!(page.contains(&found), "the page should have:\n{found}"),
        Err(e) => eprintln!("{}: {e}: not compared", page.display()),
    }
}
