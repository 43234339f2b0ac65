//! LRP and guided backpropagation.

use foresee_attribution::*;
use foresee_graph::{Binary, Builder, Op, Unary};

use crate::{AnyResult, assert_near, masked, row, tensor, two_layers, values};

#[test]
fn guided_backpropagation_follows_only_what_speaks_for_the_output() -> AnyResult {
    let x = row(&[1., 1.]);
    assert_near(&values(&two_layers()?.target(0).gradient(&x)?), &[-2., 1.]);
    assert_near(&values(&two_layers()?.guided_backprop(&x, 0)?), &[1., 2.]);
    Ok(())
}

#[test]
fn relevance() -> AnyResult {
    let x = row(&[1., 1.]);
    // h takes (3, -4); of 3 a third is x₀'s, of -4 three quarters are.
    let epsilon = two_layers()?.lrp(&x, 0, &Composite::epsilon(0.))?;
    assert_near(&values(&epsilon.attribution), &[-2., 1.]);
    assert_near(&epsilon.output, &[-1.]);
    assert!(
        epsilon.layers.iter().all(|layer| layer.relevance == [-1.]
            && layer.bias == [0.]
            && layer.stabilizer == [0.]),
        "{:?}",
        epsilon.layers
    );
    assert_eq!(
        epsilon.layers.iter().map(|l| &l.layer[..]).collect::<Vec<_>>(),
        ["second", "relu", "first"]
    );
    // z⁺: only h₀ has a positive weight.
    let plus =
        Composite { stabilizer: 0., ..Composite::new(Rule::AlphaBeta { alpha: 1., beta: 0. }) };
    assert_near(&values(&two_layers()?.lrp(&x, 0, &plus)?.attribution), &[-1. / 3., -2. / 3.]);
    // α = 2, β = 1: h takes (-2, +1).
    let both = Composite {
        named: vec![("second".into(), Rule::AlphaBeta { alpha: 2., beta: 1. })],
        stabilizer: 0.,
        ..Composite::epsilon(0.)
    };
    assert_near(
        &values(&two_layers()?.lrp(&x, 0, &both)?.attribution),
        &[-2. / 3. + 3. / 4., -4. / 3. + 1. / 4.],
    );

    // f = 2·1 - 0.5 = 1.5.
    let (one, x) =
        (Layers::new().linear("only", &row(&[2., -1.]), None)?.model()?, row(&[1., 0.5]));
    let rule = |rule| Composite { stabilizer: 0., ..Composite::new(rule) };
    // In the box [0, 1]: contributions 2 - 0 and -0.5 + 1.
    let z_box = rule(Rule::ZBox { low: tensor(&[0.], &[1]), high: tensor(&[1.], &[1]) });
    assert_near(&values(&one.lrp(&x, 0, &z_box)?.attribution), &[1.2, 0.3]);
    assert_near(&values(&one.lrp(&x, 0, &rule(Rule::Flat))?.attribution), &[0.75, 0.75]);
    // γ = 1 doubles what is positive: 4 of 4 - 0.5.
    assert_near(
        &values(&one.lrp(&x, 0, &rule(Rule::Gamma { gamma: 1. }))?.attribution),
        &[1.5 * 4. / 3.5, -1.5 * 0.5 / 3.5],
    );
    // ε = 0.5 takes a quarter.
    let damped = one.lrp(&x, 0, &rule(Rule::Epsilon { epsilon: 0.5 }))?;
    assert_near(&values(&damped.attribution), &[1.5, -0.375]);
    assert_near(&damped.layers[0].stabilizer, &[0.375]);
    Ok(())
}

/// x = ((1, 3), (0, 2)) through a pool, f = 2·pooled.
#[test]
fn relevance_through_pools() -> AnyResult {
    let x = tensor(&[1., 3., 0., 2.], &[1, 1, 2, 2]);
    let composite = Composite { stabilizer: 0., ..Composite::epsilon(0.) };
    let pooled = |layers: Layers| -> Result<GraphModel> {
        layers.flatten("flat")?.linear("last", &row(&[2.]), None)?.model()
    };
    let through = |layers: Layers| -> AnyResult<Vec<f64>> {
        Ok(values(&pooled(layers)?.lrp(&x, 0, &composite)?.attribution))
    };
    // f = 2·6/4 = 3, to each pixel by its value.
    assert_near(&through(Layers::new().average_pool("pool", 2)?)?, &[0.5, 1.5, 0., 1.]);
    assert_near(&through(Layers::new().global_average_pool("pool")?)?, &[0.5, 1.5, 0., 1.]);
    // f = 2·3, all of it the maximum's.
    assert_near(&through(Layers::new().max_pool("pool", 2)?)?, &[0., 6., 0., 0.]);
    // Of equal maxima the first has it.
    let tied = pooled(Layers::new().max_pool("pool", 2)?)?.lrp(
        &tensor(&[3., 3., 0., 2.], &[1, 1, 2, 2]),
        0,
        &composite,
    )?;
    assert_near(&values(&tied.attribution), &[6., 0., 0., 0.]);
    Ok(())
}

#[test]
fn relevance_through_a_residual_branch() -> AnyResult {
    // The branch exchanges x₀ and x₁: x + branch(x) = (3, 3), f = 2·3 + 3.
    let exchange = tensor(&[0., 1., 1., 0.], &[2, 2]);
    let layers = Layers::new()
        .residual("sum", |branch| branch.linear("exchange", &exchange, None))?
        .linear("last", &row(&[2., 1.]), None)?
        .model()?;
    let found =
        layers.lrp(&row(&[1., 2.]), 0, &Composite { stabilizer: 0., ..Composite::epsilon(0.) })?;
    // (6, 3) goes to x as (2, 2) directly, and through the branch, whose outputs (2, 1) take (4,
    // 1), as (1, 4).
    assert_near(&values(&found.attribution), &[3., 6.]);
    // The sum sends 4 to x and 5 to the branch.
    assert_near(&found.layers.iter().map(|l| l.outputs[0]).collect::<Vec<_>>(), &[9., 9., 5.]);
    assert_near(&found.layers.iter().map(|l| l.relevance[0]).collect::<Vec<_>>(), &[9., 9., 5.]);
    Ok(())
}

/// Where a sum is exactly 0, ε = 0 shares nothing and counts what is lost.
#[test]
fn relevance_of_a_sum_of_zero_is_lost_and_counted() -> AnyResult {
    // h = (x₀ - x₁, x₀) = (0, 1), each with a bias of 1 that takes no part: f = 1 + 2·2 = 5.
    let first = tensor(&[1., -1., 1., 0.], &[2, 2]);
    let layers = Layers::new().linear("first", &first, Some(&tensor(&[1., 1.], &[2])))?.linear(
        "last",
        &row(&[1., 2.]),
        None,
    )?;
    let layers = layers.model()?;
    let composite = Composite { stabilizer: 0., bias: Bias::Ignore, ..Composite::epsilon(0.) };
    let found = layers.lrp(&row(&[1., 1.]), 0, &composite)?;
    assert_near(&values(&found.attribution), &[4., 0.]);
    assert_near(&[found.layers[1].relevance[0], found.layers[1].stabilizer[0]], &[4., 1.]);
    let infinite = layers.lrp(&row(&[f64::INFINITY, 1.]), 0, &Composite::epsilon(0.));
    assert!(matches!(infinite, Err(Error::NotFinite(_))), "{infinite:?}");
    Ok(())
}

#[test]
fn a_bias_takes_relevance_only_if_it_may() -> AnyResult {
    let layers = Layers::new().linear("only", &row(&[2.]), Some(&tensor(&[1.], &[1])))?.model()?;
    let ignoring = Composite { bias: Bias::Ignore, ..Composite::epsilon(0.) };
    let ignored = layers.lrp(&row(&[1.]), 0, &ignoring)?;
    assert_near(&values(&ignored.attribution), &[3.]);
    // The rule as Captum and zennit have it.
    let absorbed = layers.lrp(&row(&[1.]), 0, &Composite::epsilon(0.))?;
    assert_near(&values(&absorbed.attribution), &[2.]);
    assert_near(&absorbed.layers[0].bias, &[1.]);
    Ok(())
}

#[test]
fn through_a_mask_the_signal_takes_all_relevance() -> AnyResult {
    let z = tensor(&[0., 2., 4., -2.], &[1, 2, 1, 2]);
    // Attribute 0: M ⊗ z = (0, 1), (2, -1); means 1/2 and 1/2; f = 3/2 + 1/2 + 0.5.
    let layers = masked()?;
    assert_near(&values(&layers.forward(&z)?)[..1], &[2.5]);
    let composite = Composite { stabilizer: 0., bias: Bias::Ignore, ..Composite::epsilon(0.) };
    let relevance = layers.lrp(&z, 0, &composite)?;
    // Without its bias the logit is 2; each contribution is scaled by 2.5/2.
    assert_near(&values(&relevance.attribution), &[0., 1.875, 1.25, -0.625]);
    // The gradient knows the mask, too: M^1 rises with z₀.
    let target = layers.target(1);
    assert!(target.gradient_error(&z)? < 1e-9);
    assert_near(&values(&layers.target(1).gradient(&z)?), &values(&target.gradient(&z)?));
    // The paper's masks.
    assert_near(&values(&layers.mask_map(&z, 0, MaskWeights::Mean)?), &[0.5, 0.5]);
    assert_near(&values(&layers.mask_map(&z, 0, MaskWeights::Readout)?), &[2., 2.]);
    let adds = values(&layers.mask_map(&z, 0, MaskWeights::Contribution)?);
    assert_near(&adds, &[2., 2.]);
    assert_near(&[adds.iter().sum::<f64>() / 2. + 0.5], &[2.5]);
    Ok(())
}

/// y = Σ (max(x, 0) + c): what the constants take is told for each input of the batch.
#[test]
fn a_constant_summand_takes_relevance_of_each_input() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2)])?;
    let c = builder.weight("c", tensor(&[0.5, -1.], &[2]))?;
    let weight = builder.weight("weight", tensor(&[1., 1.], &[2, 1]))?;
    let a = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    let a = builder.node("sum", Op::Binary(Binary::Add), &[a, c])?;
    let y = builder.node("last", Op::MatMul, &[a, weight])?;
    let model = GraphModel::new(builder.finish(vec![y])?, y)?;
    let x = tensor(&[1., 2., 3., -1., 5., 7.], &[3, 2]);
    let composite = Composite { stabilizer: 0., ..Composite::epsilon(0.) };
    let found = model.lrp(&x, 0, &composite)?;
    assert_near(&found.output, &[2.5, 2.5, 11.5]);
    assert_near(&values(&found.attribution), &[1., 2., 3., 0., 5., 7.]);
    let sum = found.layers.iter().find(|layer| layer.layer == "sum").ok_or("no sum")?;
    assert_near(&sum.bias, &[-0.5, -0.5, -0.5]);
    assert_near(&sum.relevance, &[3., 3., 12.]);
    Ok(())
}

/// The box of the input is moved to where the first layer reads it: 1 - 2·x, of [0, 1].
#[test]
fn a_box_goes_through_what_comes_before_the_first_layer() -> AnyResult {
    let network = |inside: Option<Op>| -> AnyResult<GraphModel> {
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(2)])?;
        let two = builder.weight("two", tensor(&[-2.], &[1]))?;
        let one = builder.weight("one", tensor(&[1.], &[1]))?;
        let weight = builder.weight("weight", tensor(&[2., -1.], &[2, 1]))?;
        let mut a = x;
        if let Some(op) = inside {
            a = builder.node("scaled", Op::Binary(Binary::Mul), &[x, two])?;
            a = builder.node("moved", Op::Binary(Binary::Add), &[a, one])?;
            a = builder.node("last of the way", op, &[a])?;
        }
        let y = builder.node("only", Op::MatMul, &[a, weight])?;
        Ok(GraphModel::new(builder.finish(vec![y])?, y)?)
    };
    let composite = |low: f64, high: f64| {
        let first = Rule::ZBox { low: tensor(&[low], &[1]), high: tensor(&[high], &[1]) };
        let bias = Bias::Ignore;
        Composite { first: Some(first), stabilizer: 0., bias, ..Composite::epsilon(0.) }
    };
    let x = row(&[0.25, 0.75]);
    let inside = network(Some(Op::Identity))?.lrp(&x, 0, &composite(0., 1.))?;
    let by_hand = network(None)?.lrp(&row(&[0.5, -0.5]), 0, &composite(-1., 1.))?;
    assert_near(&values(&inside.attribution), &values(&by_hand.attribution));
    // Contributions 2·0.5 + 2·1 and 0.5 + 1, of f = 1.5.
    assert_near(&values(&inside.attribution), &[1.5 * 3. / 4.5, 1.5 * 1.5 / 4.5]);
    let bent = network(Some(Op::Unary(Unary::Abs)))?.lrp(&x, 0, &composite(0., 1.));
    let error = bent.unwrap_err().to_string();
    assert!(error.contains("last of the way") && error.contains("box"), "{error}");
    Ok(())
}
