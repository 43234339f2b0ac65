//! Batch norm merged into the layer before it computes the same.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, ConvTranspose, Gemm, Graph, Op, Padding, Unary, ValueId, Window,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Numbers between -1 and 1 that depend on the seed and the shape.
fn numbers(seed: u64, shape: &[usize], dtype: DType) -> AnyResult<Tensor> {
    let count: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.
    };
    let numbers: Vec<f64> = (0..count).map(|_| next()).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(dtype)?)
}

/// A graph under construction, of numbers of one type.
struct Network {
    builder: Builder,
    dtype: DType,
    seed: u64,
}

impl Network {
    fn new(dtype: DType) -> Self {
        Self { builder: Builder::new(), dtype, seed: 0 }
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> AnyResult<ValueId> {
        self.seed += 1;
        Ok(self.builder.weight(name, numbers(self.seed, shape, self.dtype)?)?)
    }

    fn norm(&mut self, name: &str, x: ValueId, channels: usize) -> AnyResult<ValueId> {
        let weight = self.weight(&format!("{name}.weight"), &[channels])?;
        let bias = self.weight(&format!("{name}.bias"), &[channels])?;
        let mean = self.weight(&format!("{name}.mean"), &[channels])?;
        self.seed += 1;
        let variance = (numbers(self.seed, &[channels], self.dtype)?.sqr()? + 0.01)?;
        let variance = self.builder.weight(&format!("{name}.variance"), variance)?;
        let op = Op::BatchNorm { epsilon: 1e-3 };
        Ok(self.builder.node(name, op, &[x, weight, bias, mean, variance])?)
    }
}

/// The largest difference, over the largest value.
fn difference(a: &Tensor, b: &Tensor) -> AnyResult<f64> {
    assert_eq!(a.dims(), b.dims());
    let greatest = |t: Tensor| t.abs()?.to_dtype(DType::F64)?.max_all()?.to_scalar::<f64>();
    let sum = (a - b)?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
    assert!(sum.is_finite(), "values that are no numbers");
    Ok(greatest((a - b)?)? / greatest(b.clone())?)
}

/// Merges these norms and no others, and compares outputs. Returns the merged graph.
fn check(graph: &Graph, x: &Tensor, merged: &[&str]) -> AnyResult<Graph> {
    let after = graph.merge_batch_norms()?;
    let names = |of: &Graph| of.nodes().map(|(_, node)| node.name.clone()).collect::<Vec<_>>();
    let mut expected = names(graph);
    expected.retain(|name| !merged.contains(&name.as_str()));
    assert_eq!(names(&after), expected);
    let tolerance = if x.dtype() == DType::F64 { 1e-12 } else { 1e-6 };
    let x = std::slice::from_ref(x);
    let (before, now) = (graph.forward(x)?, after.forward(x)?);
    for (before, now) in before.iter().zip(&now) {
        let difference = difference(now, before)?;
        assert!(difference <= tolerance, "{merged:?}: {difference:e}");
    }
    Ok(after)
}

const TYPES: [DType; 2] = [DType::F32, DType::F64];

#[test]
fn convolutions() -> AnyResult {
    for dtype in TYPES {
        let mut network = Network::new(dtype);
        let x = network.builder.input("x", vec![None, Some(4), None, None])?;
        let (w, b) = (network.weight("c.w", &[6, 4, 3, 3])?, network.weight("c.b", &[6])?);
        let padding = Padding::Explicit(vec![(0, 1), (1, 0)]);
        let window = Window { padding, stride: vec![2, 1], ..Window::new(2) };
        let y = network.builder.node("c", Op::Conv(window), &[x, w, b])?;
        let y = network.norm("cn", y, 6)?;
        let y = network.builder.node("relu", Op::Unary(Unary::Relu), &[y])?;
        // Groups, and no bias; two norms one behind the other.
        let w = network.weight("g.w", &[9, 2, 1, 1])?;
        let window = Window { groups: 3, ..Window::new(2) };
        let y = network.builder.node("g", Op::Conv(window), &[y, w])?;
        let y = network.norm("gn", y, 9)?;
        let y = network.norm("gnn", y, 9)?;
        let graph = network.builder.finish(vec![y])?;
        let x = numbers(77, &[2, 4, 7, 6], dtype)?;
        let after = check(&graph, &x, &["cn", "gn", "gnn"])?;
        // The bias that there was not has a name, and the norm's result keeps its own.
        assert!(after.find("g.bias").is_ok() && after.find("g").is_err());
        assert_eq!(after.value(after.outputs()[0]).name, "gnn");
    }
    Ok(())
}

#[test]
fn transposed_convolutions() -> AnyResult {
    for dtype in TYPES {
        for groups in [1, 2] {
            let mut network = Network::new(dtype);
            let x = network.builder.input("x", vec![None, Some(4), None, None])?;
            let w = network.weight("up.w", &[4, 3, 2, 3])?;
            let b = network.weight("up.b", &[3 * groups])?;
            let window = Window { stride: vec![2, 2], groups, ..Window::new(2) };
            let op = ConvTranspose { window, output_padding: vec![0, 0], output_shape: None };
            let y = network.builder.node("up", Op::ConvTranspose(op), &[x, w, b])?;
            let y = network.norm("norm", y, 3 * groups)?;
            let graph = network.builder.finish(vec![y])?;
            check(&graph, &numbers(5, &[2, 4, 3, 4], dtype)?, &["norm"])?;
        }
    }
    Ok(())
}

#[test]
fn linear_layers() -> AnyResult {
    for dtype in TYPES {
        for (transpose_b, bias) in
            [(true, Some(&[5][..])), (false, Some(&[1, 5])), (false, Some(&[])), (true, None)]
        {
            let mut network = Network::new(dtype);
            let x = network.builder.input("x", vec![None, Some(3)])?;
            let shape = if transpose_b { [5, 3] } else { [3, 5] };
            let mut inputs = vec![x, network.weight("fc.w", &shape)?];
            if let Some(shape) = bias {
                inputs.push(network.weight("fc.b", shape)?);
            }
            let gemm = Gemm { alpha: 0.7, beta: -1.5, transpose_b, ..Gemm::default() };
            let y = network.builder.node("fc", Op::Gemm(gemm), &inputs)?;
            let y = network.norm("norm", y, 5)?;
            // A matrix, so that its second dimension is the channels'.
            let w = network.weight("mm.w", &[5, 4])?;
            let y = network.builder.node("mm", Op::MatMul, &[y, w])?;
            let y = network.norm("norm_2", y, 4)?;
            let graph = network.builder.finish(vec![y])?;
            let x = numbers(9, &[6, 3], dtype)?;
            check(&graph, &x, &["norm", "norm_2"])?;
        }
    }
    Ok(())
}

#[test]
fn others_stay() -> AnyResult {
    let dtype = DType::F64;
    let conv = || Op::Conv(Window::new(1));
    let mut network = Network::new(dtype);
    let x = network.builder.input("x", vec![None, Some(3), Some(3)])?;
    // Behind an input, and behind an activation.
    let y = network.norm("first", x, 3)?;
    let y = network.builder.node("relu", Op::Unary(Unary::Relu), &[y])?;
    let y = network.norm("pre", y, 3)?;
    // Two read the convolution's result.
    let w = network.weight("a.w", &[3, 3, 1])?;
    let a = network.builder.node("a", conv(), &[y, w])?;
    let norm = network.norm("an", a, 3)?;
    let y = network.builder.node("sum", Op::Binary(Binary::Add), &[a, norm])?;
    // Two have one weight.
    let w = network.weight("shared.w", &[3, 3, 1])?;
    let b = network.builder.node("b", conv(), &[y, w])?;
    let c = network.builder.node("c", conv(), &[y, w])?;
    let (b, c) = (network.norm("bn", b, 3)?, network.norm("cn", c, 3)?);
    let y = network.builder.node("sum_2", Op::Binary(Binary::Add), &[b, c])?;
    // The channels of a product of more dimensions are not its last.
    let w = network.weight("mm.w", &[3, 3])?;
    let mm = network.builder.node("mm", Op::MatMul, &[y, w])?;
    let y = network.norm("mn", mm, 3)?;
    // The convolution's result is given; the weight is computed.
    let w = network.weight("d.w", &[3, 3, 1])?;
    let d = network.builder.node("d", conv(), &[y, w])?;
    let dn = network.norm("dn", d, 3)?;
    let w = network.weight("e.w", &[3, 3, 1])?;
    let w = network.builder.node("tanh", Op::Unary(Unary::Tanh), &[w])?;
    let e = network.builder.node("e", conv(), &[dn, w])?;
    let en = network.norm("en", e, 3)?;
    let graph = network.builder.finish(vec![d, en])?;
    check(&graph, &numbers(3, &[2, 3, 3], dtype)?, &[])?;
    Ok(())
}
