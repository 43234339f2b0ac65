//! Small networks in double precision.

use candle_core::{Device, Tensor};
use foresee_graph::{
    Binary, Builder, ChannelGroup, Graph, Op, Padding, Reduce, Reduction, Unary, ValueId, Window,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

pub fn random(seed: u64, shape: &[usize]) -> AnyResult<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let all: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1f64..1.)).collect();
    Ok(Tensor::from_vec(all, shape, &Device::Cpu)?)
}

pub fn mean(axes: &[isize]) -> Op {
    let (kind, axes) = (Reduction::Mean, Some(axes.to_vec()));
    Op::Reduce(Reduce { kind, axes, keep_dims: false, empty_is_nothing: false })
}

pub fn convolution(
    builder: &mut Builder,
    name: &str,
    x: ValueId,
    weight: Tensor,
) -> AnyResult<ValueId> {
    let weight = builder.weight(&format!("{name}.weight"), weight)?;
    let padding = Padding::Explicit(vec![(1, 1); 2]);
    Ok(builder.node(name, Op::Conv(Window { padding, ..Window::new(2) }), &[x, weight])?)
}

/// A stem of 4 channels, two residual blocks on them, the mean of each channel, and 3 logits.
pub fn residual() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), Some(5), Some(5)])?;
    let mut z = convolution(&mut builder, "stem", x, random(1, &[4, 3, 3, 3])?)?;
    for block in 0..2 {
        let name = |part: &str| format!("{part}{block}");
        let weight = random(2 + 2 * block, &[5, 4, 3, 3])?;
        let a = convolution(&mut builder, &name("first"), z, weight)?;
        let a = builder.node(&name("tanh"), Op::Unary(Unary::Tanh), &[a])?;
        let weight = random(3 + 2 * block, &[4, 5, 3, 3])?;
        let b = convolution(&mut builder, &name("second"), a, weight)?;
        z = builder.node(&name("sum"), Op::Binary(Binary::Add), &[z, b])?;
    }
    let z = builder.node("mean", mean(&[2, 3]), &[z])?;
    let readout = builder.weight("readout.weight", random(8, &[4, 3])?)?;
    let y = builder.node("readout", Op::MatMul, &[z, readout])?;
    Ok(builder.finish(vec![y])?)
}

/// Tokens [B, 4, 3] as rows [4·B, 3], whose first axis is not the images; 5 hidden channels.
pub fn tokens() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4), Some(3)])?;
    let z = builder.node("turned", Op::Transpose { order: Some(vec![1, 0, 2]) }, &[x])?;
    let z = builder.node("rows", Op::Flatten { axis: 2 }, &[z])?;
    let first = builder.weight("first.weight", random(1, &[3, 5])?)?;
    let z = builder.node("first", Op::MatMul, &[z, first])?;
    let z = builder.node("tanh", Op::Unary(Unary::Tanh), &[z])?;
    let second = builder.weight("second.weight", random(2, &[5, 2])?)?;
    let z = builder.node("second", Op::MatMul, &[z, second])?;
    let shape = builder.weight("shape", Tensor::new(&[4i64, -1, 2], &Device::Cpu)?)?;
    let z = builder.node("tokens", Op::Reshape { allow_zero: false }, &[z, shape])?;
    let z = builder.node("tanh2", Op::Unary(Unary::Tanh), &[z])?;
    let y = builder.node("mean", mean(&[0]), &[z])?;
    Ok(builder.finish(vec![y])?)
}

/// 4 channels, of which a second convolution in so many groups reads two copies, and 3 logits.
pub fn copies(groups: usize) -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), Some(5), Some(5)])?;
    let z = convolution(&mut builder, "first", x, random(1, &[4, 3, 3, 3])?)?;
    let z = builder.node("tanh", Op::Unary(Unary::Tanh), &[z])?;
    let z = builder.node("twice", Op::Concat { axis: 1 }, &[z, z])?;
    let weight = builder.weight("second.weight", random(2, &[6, 8 / groups, 3, 3])?)?;
    let padding = Padding::Explicit(vec![(1, 1); 2]);
    let window = Window { padding, groups, ..Window::new(2) };
    let z = builder.node("second", Op::Conv(window), &[z, weight])?;
    let z = builder.node("tanh2", Op::Unary(Unary::Tanh), &[z])?;
    let z = builder.node("mean", mean(&[2, 3]), &[z])?;
    let readout = builder.weight("readout.weight", random(3, &[6, 3])?)?;
    let y = builder.node("readout", Op::MatMul, &[z, readout])?;
    Ok(builder.finish(vec![y])?)
}

pub fn free(graph: &Graph) -> AnyResult<Vec<ChannelGroup>> {
    let groups = graph.channel_groups(&[])?;
    Ok(groups.into_iter().filter(|group| group.fixed.is_none()).collect())
}

/// The largest size of a number; NaN counts as larger than any.
pub fn largest(tensor: &Tensor) -> AnyResult<f64> {
    let all = tensor.abs()?.flatten_all()?.to_vec1::<f64>()?;
    Ok(all.into_iter().max_by(f64::total_cmp).ok_or("no numbers")?)
}
