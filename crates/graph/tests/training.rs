//! Passes in training mode.

use candle_core::{DType, Device, Tensor, Var};
use foresee_graph::{Binary, Builder, Graph, Op, Padding, TrainingPass, Unary, ValueId, Window};

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

/// Two convolutions with batch norms and a residual connection. Its middle is read elsewhere, too.
fn residual() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), None, None])?;
    let weight = |builder: &mut Builder, name: &str, shape: &[usize]| -> AnyResult<ValueId> {
        Ok(builder.weight(name, drawn(shape)?)?)
    };
    let mut middle = x;
    let mut read = vec![];
    for layer in ["a", "b"] {
        let kernel = weight(&mut builder, &format!("{layer}.kernel"), &[2, 2, 3, 3])?;
        let bias = weight(&mut builder, &format!("{layer}.bias"), &[2])?;
        let padding = Padding::Explicit(vec![(1, 1); 2]);
        let window = Window { padding, ..Window::new(2) };
        let conv = builder.node(layer, Op::Conv(window), &[middle, kernel, bias])?;
        let mut norm = vec![conv];
        for part in ["gamma", "beta", "mean", "variance"] {
            norm.push(weight(&mut builder, &format!("{layer}.{part}"), &[2])?);
        }
        let norm =
            builder.node(&format!("{layer}.norm"), Op::BatchNorm { epsilon: 1e-3 }, &norm)?;
        read.push(norm);
        middle = builder.node(&format!("{layer}.relu"), Op::Unary(Unary::Relu), &[norm])?;
    }
    let sum = builder.node("sum", Op::Binary(Binary::Add), &[x, read[1]])?;
    let relu = builder.node("sum.relu", Op::Unary(Unary::Relu), &[sum])?;
    let twice = builder.node("twice", Op::Binary(Binary::Add), &[relu, relu])?;
    let y = builder.node("y", Op::Binary(Binary::Mul), &[twice, read[0]])?;
    Ok(builder.finish(vec![y, middle])?)
}

/// The outputs, and the gradients of all variables. All values can be changed, to themselves.
fn all_gradients(graph: &Graph, vars: &[(ValueId, Var)], changed: bool) -> AnyResult<Vec<Tensor>> {
    let given: Vec<(ValueId, Tensor)> =
        vars.iter().map(|(id, var)| (*id, var.as_tensor().clone())).collect();
    let changed: Vec<ValueId> =
        if changed { graph.values().map(|(id, _)| id).collect() } else { vec![] };
    let same = |_: ValueId, value: &Tensor| Ok(value.clone());
    let pass = graph.evaluate_training(&given, graph.outputs(), &changed, &same)?;
    assert_eq!(pass.moments.len(), 2);
    let loss = (pass.values[0].sqr()?.sum_all()? + pass.values[1].sum_all()?)?;
    let gradients = loss.backward()?;
    let mut found = pass.values;
    for (id, var) in vars {
        let name = &graph.value(*id).name;
        if name.ends_with("mean") || name.ends_with("variance") {
            continue;
        }
        found.push(gradients.get(var).ok_or(format!("{name} has no gradient"))?.clone());
    }
    Ok(found)
}

#[test]
fn gradients_that_go_past_candle_are_the_same() -> AnyResult {
    let graph = residual()?;
    let mut vars = vec![(graph.find("x")?, Var::from_tensor(&drawn(&[3, 2, 5, 4])?)?)];
    for (id, _) in graph.values() {
        if let Some(weight) = graph.weight(id) {
            vars.push((id, Var::from_tensor(weight)?));
        }
    }
    let (past, through) =
        (all_gradients(&graph, &vars, false)?, all_gradients(&graph, &vars, true)?);
    assert_eq!(past.len(), 2 + 1 + 2 * 4);
    for (a, b) in past.iter().zip(&through) {
        assert_eq!(a.dims(), b.dims());
        let scale = b.abs()?.max_all()?.to_scalar::<f32>()?.max(1.);
        let apart = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(apart < 1e-4 * scale, "{apart} apart, of {scale}");
    }
    // In f64 candle does all of it.
    for (_, var) in &mut vars {
        *var = Var::from_tensor(&var.to_dtype(DType::F64)?)?;
    }
    for (a, b) in past.iter().zip(&all_gradients(&graph, &vars, false)?) {
        let scale = b.abs()?.max_all()?.to_scalar::<f64>()?.max(1.);
        let apart = (a.to_dtype(DType::F64)? - b)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(apart < 1e-4 * scale, "{apart} apart, of {scale}");
    }
    Ok(())
}
