//! Passes in training mode.

use candle_core::{Device, Tensor, Var};
use foresee_graph::{Binary, Builder, Graph, Op, TrainingPass, Unary, ValueId};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn drawn(shape: &[usize]) -> AnyResult<Tensor> {
    Ok(Tensor::randn(0f32, 1., shape, &Device::Cpu)?)
}

/// A batch norm "norm" of x, its ReLU "relu", and their sum or product with others.
fn network(with_another_reader: bool) -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), None])?;
    let mut read = vec![x];
    for name in ["weight", "bias", "mean", "variance"] {
        read.push(builder.weight(name, drawn(&[3])?)?);
    }
    let norm = builder.node("norm", Op::BatchNorm { epsilon: 1e-3 }, &read)?;
    let relu = builder.node("relu", Op::Unary(Unary::Relu), &[norm])?;
    let other = if with_another_reader { norm } else { x };
    let y = builder.node("y", Op::Binary(Binary::Mul), &[relu, other])?;
    Ok(builder.finish(vec![y])?)
}

/// The sum of y and the gradients of x, the weight and the bias.
fn results(graph: &Graph, x: &Var, vars: &[Var], changed: &[ValueId]) -> AnyResult<Vec<Vec<f32>>> {
    let mut given = graph.given(&[x.as_tensor().clone()])?;
    for (name, var) in ["weight", "bias"].iter().zip(vars) {
        given.push((graph.find(name)?, var.as_tensor().clone()));
    }
    let same = |_: ValueId, value: &Tensor| Ok(value.clone());
    let pass = graph.evaluate_training(&given, graph.outputs(), changed, &same)?;
    let TrainingPass { values, moments } = pass;
    assert_eq!((moments.len(), moments[0].0), (1, graph.find_node("norm")?));
    let gradients = values[0].sqr()?.sum_all()?.backward()?;
    let mut found = vec![values[0].flatten_all()?.to_vec1()?, moments[0].1.variance.to_vec1()?];
    for var in std::iter::once(x).chain(vars) {
        found.push(gradients.get(var).ok_or("no gradient")?.flatten_all()?.to_vec1()?);
    }
    Ok(found)
}

#[test]
fn a_relu_is_joined_to_its_batch_norm_only_where_nobody_sees_the_difference() -> AnyResult {
    for with_another_reader in [false, true] {
        let graph = network(with_another_reader)?;
        let x = Var::from_tensor(&drawn(&[4, 3, 5])?)?;
        let vars = [Var::from_tensor(&drawn(&[3])?)?, Var::from_tensor(&drawn(&[3])?)?];
        let joined = results(&graph, &x, &vars, &[])?;
        let apart = results(&graph, &x, &vars, &[graph.find("norm")?])?;
        assert_eq!(joined.len(), 5);
        for (joined, apart) in joined.iter().zip(&apart) {
            assert_eq!(joined.len(), apart.len());
            for (a, b) in joined.iter().zip(apart) {
                assert!((a - b).abs() < 1e-4 * b.abs().max(1.), "{a} and {b}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_value_that_is_wanted_or_changed_is_the_batch_norms_own() -> AnyResult {
    let graph = network(false)?;
    let (norm, relu) = (graph.find("norm")?, graph.find("relu")?);
    let given = graph.given(&[drawn(&[4, 3, 5])?])?;
    let same = |_: ValueId, value: &Tensor| Ok(value.clone());
    let pass = graph.evaluate_training(&given, &[norm, relu], &[], &same)?;
    let values = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
    let (before, after) = (values(&pass.values[0])?, values(&pass.values[1])?);
    assert!(before.iter().any(|&v| v < 0.));
    assert_eq!(before.iter().map(|v| v.max(0.)).collect::<Vec<_>>(), after);
    // What is below 0 before the ReLU is above it when the sign is changed.
    let turned = |_: ValueId, value: &Tensor| Ok(value.neg()?);
    let pass = graph.evaluate_training(&given, &[relu], &[norm], &turned)?;
    let turned = before.iter().map(|v| (-v).max(0.)).collect::<Vec<_>>();
    assert_eq!(values(&pass.values[0])?, turned);
    Ok(())
}

#[test]
fn one_value_has_no_variance() -> AnyResult {
    let graph = network(false)?;
    let given = graph.given(&[drawn(&[1, 3, 1])?])?;
    let same = |_: ValueId, value: &Tensor| Ok(value.clone());
    let message = match graph.evaluate_training(&given, graph.outputs(), &[], &same) {
        Ok(_) => return Err("it has none".into()),
        Err(error) => error.to_string(),
    };
    assert!(message.contains("node `norm`") && message.contains("at least two"), "{message}");
    Ok(())
}
