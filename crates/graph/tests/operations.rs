//! Operations on elements, shapes and parts of tensors, against PyTorch, ONNX Runtime and NumPy
//! (`fixtures/operations.py`), differences, and what cannot be computed.

#[path = "operations/cases.rs"]
mod cases;
#[path = "operations/impossible.rs"]
mod impossible;
#[path = "operations/properties.rs"]
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use foresee_graph::{Binary, Builder, Kind, Op, Reduce, Reduction, Result, Split, Unary, Variadic};

fn kind(x: &Tensor) -> Kind {
    match x.dtype() {
        DType::U8 => Kind::Bool,
        DType::I64 => Kind::Int,
        _ => Kind::Float,
    }
}

/// The outputs of one operation as a graph's node.
fn apply(op: Op, inputs: &[Option<Tensor>], outputs: usize) -> Result<Vec<Tensor>> {
    let mut builder = Builder::new();
    let mut given = Vec::new();
    let mut ids = Vec::new();
    for (i, x) in inputs.iter().enumerate() {
        let Some(x) = x else {
            ids.push(None);
            continue;
        };
        let sizes = x.dims().iter().map(|&size| Some(size)).collect();
        ids.push(Some(builder.input_of(&format!("x{i}"), kind(x), sizes)?));
        given.push(x.clone());
    }
    let names: Vec<String> = (0..outputs).map(|j| format!("y{j}")).collect();
    let outputs = builder.push("node", op, ids, &names)?;
    builder.finish(outputs)?.forward(&given)
}

/// The one output of an operation all of whose inputs are there.
fn one(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
    let inputs: Vec<_> = inputs.iter().map(|&x| Some(x.clone())).collect();
    Ok(apply(op, &inputs, 1)?.remove(0))
}

fn integers(values: &[i64]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).expect("a vector")
}

fn values(x: &Tensor) -> Vec<f64> {
    let x = x.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1());
    x.expect("a tensor of numbers")
}

struct Fixture(BTreeMap<String, Tensor>);

impl Fixture {
    fn read() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/operations.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).expect("the fixture");
        Self(tensors.into_iter().collect())
    }

    fn cases(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|key| key.rsplit_once('.')).map(|(case, _)| case).collect()
    }

    fn get(&self, case: &str, what: char, index: usize) -> Option<&Tensor> {
        self.0.get(&format!("{case}.{what}{index}"))
    }

    /// A case's inputs, of this type where they have a fraction.
    fn inputs(&self, case: &str, dtype: DType) -> Vec<Option<Tensor>> {
        let count = (0..5).rev().find(|&i| self.get(case, 'x', i).is_some()).expect("an input") + 1;
        let cast = |x: &Tensor| match x.dtype().is_float() {
            true => x.to_dtype(dtype).expect("a tensor"),
            false => x.clone(),
        };
        (0..count).map(|i| self.get(case, 'x', i).map(cast)).collect()
    }

    fn outputs(&self, case: &str) -> Vec<&Tensor> {
        (0..).map_while(|j| self.get(case, 'y', j)).collect()
    }
}

/// Σ_j Σ_i y_j[i]·cos(i + j).
fn objective(outputs: &[Tensor]) -> Result<Tensor> {
    let mut sum = Tensor::new(0f64, &Device::Cpu)?;
    for (j, y) in outputs.iter().enumerate() {
        let weights: Vec<f64> = (0..y.elem_count()).map(|i| ((i + j) as f64).cos()).collect();
        let weights = Tensor::from_vec(weights, y.elem_count(), &Device::Cpu)?;
        sum = (sum + (y.flatten_all()?.to_dtype(DType::F64)? * weights)?.sum_all()?)?;
    }
    Ok(sum)
}

/// The outputs, and the gradients of [`objective`] for as many of the inputs, of those with a
/// fraction: the others are constants.
fn gradients(
    op: &Op,
    inputs: &[Option<Tensor>],
    outputs: usize,
    variables: usize,
) -> Result<(Vec<Tensor>, Vec<Option<Tensor>>)> {
    let is_variable = |i: usize, x: &Tensor| i < variables && x.dtype().is_float();
    let vars = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| x.as_ref().filter(|x| is_variable(i, x)).map(Var::from_tensor).transpose())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let as_tensor = |(var, x): (&Option<Var>, &Option<Tensor>)| match var {
        Some(var) => Some(var.as_tensor().clone()),
        None => x.clone(),
    };
    let given: Vec<_> = vars.iter().zip(inputs).map(as_tensor).collect();
    let y = apply(op.clone(), &given, outputs)?;
    let mut store = objective(&y)?.backward()?;
    Ok((y, vars.iter().map(|var| store.remove(var.as_ref()?)).collect()))
}

fn assert_near(case: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{case}");
    for (got, expected) in values(got).into_iter().zip(values(expected)) {
        let is_near = (got - expected).abs() <= tolerance * expected.abs().max(1.);
        let is_same = got == expected || (got.is_nan() && expected.is_nan());
        assert!(is_near || is_same, "{case}: {got} instead of {expected}");
    }
}

/// Outputs and gradients are those of PyTorch and ONNX Runtime, if all inputs are variables, and if
/// only the first is one.
#[test]
fn operations_are_those_of_pytorch_and_onnx_runtime() -> Result<()> {
    let fixture = Fixture::read();
    for case in fixture.cases() {
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
            for variables in [usize::MAX, 1] {
                compare(&fixture, case, dtype, variables, tolerance)?;
            }
        }
    }
    Ok(())
}

fn compare(
    fixture: &Fixture,
    case: &str,
    dtype: DType,
    variables: usize,
    tolerance: f64,
) -> Result<()> {
    // ONNX Runtime resizes in single precision.
    let is_single = case.starts_with("resize") && !case.ends_with("gradient");
    let tolerance = if is_single { tolerance.max(2e-6) } else { tolerance };
    let expected = fixture.outputs(case);
    let inputs = fixture.inputs(case, dtype);
    let results = gradients(&cases::operation(case), &inputs, expected.len(), variables);
    let (outputs, gradients) = results.unwrap_or_else(|error| panic!("{case}: {error}"));
    for (got, expected) in outputs.iter().zip(&expected) {
        let is_float = expected.dtype().is_float();
        let is_right = match is_float {
            true => got.dtype().is_float(),
            false => got.dtype() == expected.dtype(),
        };
        assert!(is_right, "{case}: {:?}", got.dtype());
        assert_near(case, got, expected, tolerance);
    }
    for (i, got) in gradients.into_iter().enumerate().take(variables) {
        let Some(expected) = fixture.get(case, 'g', i) else { continue };
        let zeros = expected.zeros_like()?;
        assert_near(case, got.as_ref().unwrap_or(&zeros), expected, 5. * tolerance);
    }
    Ok(())
}

/// An integer that is cast is `f32`, and takes the type of the weights that it meets.
#[test]
fn numbers_of_two_types_meet_in_the_wider() -> Result<()> {
    let size = one(Op::Cast(Kind::Float), &[&integers(&[3, 4])])?;
    assert_eq!(size.dtype(), DType::F32);
    let x = Tensor::new(&[0.1f64, 0.2], &Device::Cpu)?;
    let product = one(Op::Binary(Binary::Mul), &[&size, &x])?;
    assert_eq!(product.to_vec1::<f64>()?, [3. * 0.1, 4. * 0.2]);
    for op in [Op::Concat { axis: 0 }, Op::Variadic(Variadic::Max)] {
        assert_eq!(one(op, &[&size, &x])?.dtype(), DType::F64);
    }
    Ok(())
}

/// candle panics where it copies a part of nothing.
#[test]
fn parts_of_nothing_are_nothing() -> Result<()> {
    let nothing = Tensor::zeros((0, 4, 3), DType::F32, &Device::Cpu)?;
    let split = Op::Split(Split { axis: 1, sizes: Some(vec![1, 3]), parts: 2 });
    let parts = apply(split, &[Some(nothing)], 2)?;
    for axis in [0, 1, 2] {
        let parts = if axis == 1 { [&parts[1], &parts[0]] } else { [&parts[1], &parts[1]] };
        assert_eq!(one(Op::Concat { axis }, &parts)?.elem_count(), 0);
    }
    assert_eq!(one(Op::Unary(Unary::Relu), &[&parts[1]])?.dims(), [0, 3, 3]);
    Ok(())
}

/// NaN is not lost where numbers are compared.
#[test]
fn nan_stays() -> Result<()> {
    let x = Tensor::new(&[1f32, f32::NAN, -1.], &Device::Cpu)?;
    let zero = Tensor::new(0f32, &Device::Cpu)?;
    let reduce = |kind| {
        let (axes, keep_dims, empty_is_nothing) = (None, false, false);
        Op::Reduce(Reduce { kind, axes, keep_dims, empty_is_nothing })
    };
    let (nan, relu) = (f64::NAN, [1., f64::NAN, 0.]);
    let cases: [(Op, &[&Tensor], &[f64]); 7] = [
        (Op::Unary(Unary::Relu), &[&x], &relu),
        (Op::Clip, &[&x, &zero], &relu),
        (Op::Variadic(Variadic::Max), &[&x, &zero], &relu),
        (Op::Variadic(Variadic::Max), &[&zero, &x], &relu),
        (Op::Variadic(Variadic::Min), &[&x, &zero], &[0., nan, -1.]),
        (reduce(Reduction::Max), &[&x], &[nan]),
        (reduce(Reduction::Min), &[&x], &[nan]),
    ];
    for (op, inputs, expected) in cases {
        let name = op.name();
        let y = values(&one(op, inputs)?);
        let same = |(y, expected): (&f64, &f64)| y == expected || (y.is_nan() && expected.is_nan());
        assert!(y.len() == expected.len() && y.iter().zip(expected).all(same), "{name}: {y:?}");
    }
    Ok(())
}

/// Inputs that are settings: they get no gradient.
fn is_setting(op: &Op, input: usize) -> bool {
    matches!(op, Op::Range) || (matches!(op, Op::Resize(_)) && input > 0)
}

/// Gradients are central differences, where there is a derivative.
#[test]
fn gradients_are_differences() -> Result<()> {
    const STEP: f64 = 1e-5;
    let fixture = Fixture::read();
    let mut compared = 0;
    for case in fixture.cases().into_iter().filter(|case| !case.ends_with("_kink")) {
        let op = cases::operation(case);
        let outputs = fixture.outputs(case);
        if !outputs[0].dtype().is_float() {
            continue;
        }
        let inputs = fixture.inputs(case, DType::F64);
        let (_, gradients) = gradients(&op, &inputs, outputs.len(), usize::MAX)?;
        for (i, x) in inputs.iter().enumerate() {
            let Some(x) = x.as_ref().filter(|x| x.dtype().is_float()) else { continue };
            if is_setting(&op, i) {
                continue;
            }
            let at = |k: usize, step: f64| -> Result<f64> {
                let mut moved = values(x);
                moved[k] += step;
                let mut inputs = inputs.clone();
                inputs[i] = Some(Tensor::from_vec(moved, x.shape(), &Device::Cpu)?);
                let y = apply(op.clone(), &inputs, outputs.len())?;
                Ok(objective(&y)?.to_scalar()?)
            };
            let got = gradients[i].as_ref().map_or(vec![0.; x.elem_count()], values);
            for (k, got) in got.into_iter().enumerate() {
                let expected = (at(k, STEP)? - at(k, -STEP)?) / (2. * STEP);
                let distance = (got - expected).abs();
                assert!(distance < 1e-7 * expected.abs().max(1.), "{case}: {got}, {expected}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "{compared} values were compared");
    Ok(())
}
