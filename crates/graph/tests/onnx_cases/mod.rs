//! Graphs of every operation, with inputs.

mod layers;
mod moves;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Builder, Gemm, Graph, Kind, Op, Padding, Pool, PoolKind, Unary, ValueId, Window,
};

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A graph, and what it is given.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
}

/// An input of an operation.
#[derive(Clone)]
pub enum In {
    /// It is an input of the graph, too.
    X(Tensor),
    /// A weight.
    W(Tensor),
    /// It is left out.
    No,
}

/// Numbers between 0.1 and 0.9 that differ.
pub fn positive(shape: &[usize]) -> AnyResult<Tensor> {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|i| 0.5 + 0.4 * (i as f32 * 0.7 + 0.3).sin()).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

/// Numbers between -2 and 2 that differ.
pub fn numbers(shape: &[usize]) -> AnyResult<Tensor> {
    Ok(((positive(shape)? - 0.5)? * 5.)?)
}

/// Integers.
pub fn integers(numbers: &[i64]) -> AnyResult<Tensor> {
    Ok(Tensor::new(numbers, &Device::Cpu)?)
}

/// 0 and 1.
pub fn flags(flags: &[u8]) -> AnyResult<Tensor> {
    Ok(Tensor::new(flags, &Device::Cpu)?)
}

pub fn scalar(number: f32) -> AnyResult<Tensor> {
    Ok(Tensor::new(number, &Device::Cpu)?)
}

/// A graph of one operation. The first size of inputs that are no shapes is open.
pub fn one(name: &str, op: Op, inputs: &[In]) -> AnyResult<Case> {
    let mut builder = Builder::new();
    let (mut read, mut given) = (Vec::new(), Vec::new());
    for (place, input) in inputs.iter().enumerate() {
        read.push(match input {
            In::X(tensor) => {
                let mut shape: Vec<_> = tensor.dims().iter().copied().map(Some).collect();
                let kind = match tensor.dtype() {
                    DType::U8 => Kind::Bool,
                    DType::I64 => Kind::Int,
                    _ => Kind::Float,
                };
                if tensor.dtype().is_float() {
                    shape.first_mut().into_iter().for_each(|size| *size = None);
                }
                given.push(tensor.clone());
                Some(builder.input_of(&format!("x{place}"), kind, shape)?)
            }
            In::W(tensor) => Some(builder.weight(&format!("w{place}"), tensor.clone())?),
            In::No => None,
        });
    }
    let parts = if let Op::Split(split) = &op { split.parts } else { 1 };
    let outputs: Vec<String> = (0..parts).map(|part| format!("y{part}")).collect();
    let outputs = builder.push(name, op, read, &outputs)?;
    Ok(Case { name: name.into(), graph: builder.finish(outputs)?, inputs: given })
}

/// A small network: convolution, norm, activation, pools, linear layer.
pub fn network() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), None, None])?;
    let weight = |builder: &mut Builder, name: &str, shape: &[usize]| -> AnyResult<ValueId> {
        Ok(builder.weight(name, positive(shape)?)?)
    };
    let (w, b) = (weight(&mut builder, "w", &[4, 3, 3, 3])?, weight(&mut builder, "b", &[4])?);
    let y = builder.node("conv", Op::Conv(Window::new(2)), &[x, w, b])?;
    let mut read = vec![y];
    for name in ["gamma", "beta", "mean", "variance"] {
        read.push(weight(&mut builder, name, &[4])?);
    }
    let y = builder.node("norm", Op::BatchNorm { epsilon: 1e-3 }, &read)?;
    let y = builder.node("relu", Op::Unary(Unary::Relu), &[y])?;
    let y = builder.node("pool", Op::Pool(max_pool()), &[y])?;
    let y = builder.node("mean_pool", Op::GlobalPool(PoolKind::Average), &[y])?;
    let y = builder.node("flat", Op::Flatten { axis: 1 }, &[y])?;
    let (w, b) = (weight(&mut builder, "fc.w", &[5, 4])?, weight(&mut builder, "fc.b", &[5])?);
    let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
    let y = builder.node("fc", linear, &[y, w, b])?;
    Ok(builder.finish(vec![y])?)
}

/// Of 3×3 pixels, every second.
pub fn max_pool() -> Pool {
    let padding = Padding::Explicit(vec![(1, 1); 2]);
    Pool {
        kind: PoolKind::Max,
        kernel: vec![3, 3],
        window: Window { stride: vec![2, 2], padding, ..Window::new(2) },
        ceil: false,
        count_include_pad: false,
    }
}

/// Every operation.
pub fn cases() -> AnyResult<Vec<Case>> {
    let network =
        Case { name: "network".into(), graph: network()?, inputs: vec![numbers(&[2, 3, 9, 8])?] };
    let mut all = vec![network];
    all.extend(layers::convolutions()?);
    all.extend(layers::products()?);
    all.extend(layers::norms()?);
    all.extend(layers::pools()?);
    all.extend(layers::heads()?);
    all.extend(layers::elements()?);
    all.extend(layers::pairs()?);
    all.extend(moves::reductions()?);
    all.extend(moves::parts()?);
    all.extend(moves::shapes()?);
    all.extend(moves::made()?);
    all.extend(moves::resizes()?);
    Ok(all)
}
