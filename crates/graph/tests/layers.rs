//! Convolutions, products, norms, pools, softmax and attention, against PyTorch
//! (`fixtures/layers.py`), differences, and what cannot be computed.

#[path = "layers/cases.rs"]
mod cases;
#[path = "layers/impossible.rs"]
mod impossible;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use foresee_graph::{Builder, Op, PoolKind, Result, Window};

/// One operation on all of its inputs.
fn apply(op: Op, inputs: &[Tensor]) -> Result<Tensor> {
    let mut builder = Builder::new();
    let mut ids = Vec::new();
    for (i, x) in inputs.iter().enumerate() {
        let shape = x.dims().iter().map(|&size| Some(size)).collect();
        ids.push(builder.input(&format!("x{i}"), shape)?);
    }
    let y = builder.node("node", op, &ids)?;
    Ok(builder.finish(vec![y])?.forward(inputs)?.remove(0))
}

/// The numbers that the fixture's script computes with.
fn numbers(shape: &[usize], seed: usize, dtype: DType) -> Tensor {
    let count: usize = shape.iter().product();
    let seed = seed as f64;
    let values = (0..count).map(|j| (0.37 * (j as f64 + 1.) * (seed + 1.) + seed).sin());
    let x = Tensor::from_vec(values.collect::<Vec<f64>>(), shape, &Device::Cpu);
    x.and_then(|x| x.to_dtype(dtype)).expect("a tensor")
}

fn flat(x: &Tensor) -> Vec<f64> {
    let x = x.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1());
    x.expect("a tensor of numbers")
}

struct Fixture(BTreeMap<String, Tensor>);

impl Fixture {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).expect("the fixture");
        Self(tensors.into_iter().collect())
    }

    fn cases(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|key| key.rsplit_once('.')).map(|(case, _)| case).collect()
    }

    fn gradients(&self, case: &str) -> Vec<&Tensor> {
        (0..).map_while(|i| self.0.get(&format!("{case}.g{i}"))).collect()
    }
}

/// The inputs of a case: variances are positive.
fn inputs(case: &str, gradients: &[&Tensor], dtype: DType) -> Vec<Tensor> {
    let input = |(i, g): (usize, &&Tensor)| {
        let x = numbers(g.dims(), i, dtype);
        match case.starts_with("batch_norm") && i == 4 {
            true => x.abs().and_then(|x| x + 0.1).expect("a tensor"),
            false => x,
        }
    };
    gradients.iter().enumerate().map(input).collect()
}

/// The output of an operation, and the gradients of a weighted sum of it for the first inputs; the
/// others are constants.
fn run(op: &Op, inputs: &[Tensor], variables: usize) -> Result<(Tensor, Vec<Tensor>)> {
    let vars = inputs.iter().map(Var::from_tensor).collect::<candle_core::Result<Vec<_>>>()?;
    let given: Vec<Tensor> = vars
        .iter()
        .enumerate()
        .map(|(i, var)| match i < variables {
            true => var.as_tensor().clone(),
            false => var.as_detached_tensor(),
        })
        .collect();
    let y = apply(op.clone(), &given)?;
    let weights = numbers(y.dims(), 6, y.dtype());
    let mut store = (&y * weights)?.sum_all()?.backward()?;
    let gradients = vars[..variables].iter().map(|var| store.remove(var).expect("a gradient"));
    Ok((y, gradients.collect()))
}

fn assert_near(case: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{case}");
    let expected = flat(expected);
    let most = expected.iter().fold(1f64, |most, v| most.max(v.abs()));
    for (got, expected) in flat(got).into_iter().zip(expected) {
        let off = (got - expected).abs();
        assert!(off <= tolerance * most, "{case}: {got} instead of {expected}");
    }
}

/// Outputs and gradients are those of PyTorch, with variable and with constant weights.
#[test]
fn layers_are_those_of_pytorch() -> Result<()> {
    let fixture = Fixture::read();
    let cases = fixture.cases();
    assert!(cases.len() > 80);
    for case in cases {
        let expected = fixture.gradients(case);
        let output = &fixture.0[&format!("{case}.y")];
        for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 2e-5)] {
            let inputs = inputs(case, &expected, dtype);
            for variables in [1, inputs.len()] {
                let (y, gradients) = run(&cases::operation(case), &inputs, variables)
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_near(case, &y, output, tolerance);
                for (i, (got, expected)) in gradients.iter().zip(&expected).enumerate() {
                    assert_near(&format!("{case}, input {i}"), got, expected, tolerance);
                }
            }
        }
    }
    Ok(())
}

/// Gradients are the differences of the outputs.
#[test]
fn gradients_are_differences() -> Result<()> {
    let fixture = Fixture::read();
    for case in fixture.cases() {
        let op = cases::operation(case);
        let inputs = inputs(case, &fixture.gradients(case), DType::F64);
        let (y, gradients) = run(&op, &inputs, inputs.len())?;
        let weights = numbers(y.dims(), 6, DType::F64);
        for (i, gradient) in gradients.iter().enumerate() {
            let direction = numbers(gradient.dims(), 7, DType::F64);
            let moved = |step: f64| -> Result<f64> {
                let mut inputs = inputs.clone();
                inputs[i] = (&inputs[i] + (&direction * step)?)?;
                Ok((apply(op.clone(), &inputs)? * &weights)?.sum_all()?.to_scalar()?)
            };
            let difference = (moved(1e-6)? - moved(-1e-6)?) / 2e-6;
            let slope: f64 = (gradient * direction)?.sum_all()?.to_scalar()?;
            let off = (difference - slope).abs() / slope.abs().max(1.);
            assert!(off < 1e-6, "{case}, input {i}: {slope} instead of {difference}");
        }
    }
    Ok(())
}

/// Batches of no image give results of no image, and weights of no channels zeros and the bias.
#[test]
fn nothing_in_gives_nothing_or_the_bias() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("zeros");
    let conv = Op::Conv(Window::new(2));
    let y = apply(conv.clone(), &[zeros(&[0, 2, 5, 5]), zeros(&[3, 2, 3, 3])])?;
    assert_eq!(y.dims(), [0, 3, 3, 3]);
    let bias = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
    let y = apply(conv, &[zeros(&[1, 0, 2, 2]), zeros(&[2, 0, 2, 2]), bias])?;
    assert_eq!(flat(&y), [1., 2.]);
    assert_eq!(apply(Op::MatMul, &[zeros(&[2, 0]), zeros(&[0, 3])])?.dims(), [2, 3]);
    let pool = Op::GlobalPool(PoolKind::Max);
    assert_eq!(apply(pool, &[zeros(&[0, 3, 2, 2])])?.dims(), [0, 3, 1, 1]);
    Ok(())
}

/// NaN stays where its windows are.
#[test]
fn nan_is_the_maximum_of_its_windows_alone() -> Result<()> {
    let x = Tensor::new(&[1f32, f32::NAN, 3., 4.], &Device::Cpu)?.reshape((1, 1, 4))?;
    for kind in [PoolKind::Max, PoolKind::Average] {
        let pooled = flat(&apply(
            cases::pool(kind, &[2], Window { stride: vec![2], ..Window::new(1) }),
            std::slice::from_ref(&x),
        )?);
        assert!(pooled[0].is_nan() && pooled[1].is_finite());
    }
    Ok(())
}
