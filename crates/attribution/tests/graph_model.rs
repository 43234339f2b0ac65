//! Graphs made by hand: places of a cut, refusals, and the rules of norms and products.

mod distance;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use foresee_attribution::*;
use foresee_graph::{
    Binary, Builder, Gemm, Graph, Op, PoolKind, Reduce, Reduction, Softmax, Unary, ValueId, Window,
};

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn wave(shape: &[usize], frequency: f64) -> CandleResult<Tensor> {
    let n: usize = shape.iter().product();
    let numbers = (0..n).map(|i| (frequency * ((i + 1) * (i + 3)) as f64).sin());
    Tensor::from_iter(numbers, &Device::Cpu)?.reshape(shape)
}

fn assert_near(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let numbers = |t: &Tensor| {
        let all = t.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1::<f64>());
        all.expect("numbers")
    };
    let (scale, off) = distance::off(&numbers(got), &numbers(expected));
    assert!(scale > 0. && off < tolerance, "{what} is off by {off:e}");
}

/// A graph under construction, with weights of its own making.
#[derive(Default)]
struct Draft {
    builder: Builder,
    weights: usize,
}

impl Draft {
    fn input(&mut self, shape: &[usize]) -> AnyResult<ValueId> {
        let sizes = std::iter::once(None).chain(shape.iter().map(|&size| Some(size)));
        Ok(self.builder.input("x", sizes.collect())?)
    }

    fn weight(&mut self, tensor: Tensor) -> AnyResult<ValueId> {
        self.weights += 1;
        Ok(self.builder.weight(&format!("weight {}", self.weights), tensor)?)
    }

    fn wave(&mut self, shape: &[usize]) -> AnyResult<ValueId> {
        let frequency = 0.37 + 0.1 * self.weights as f64;
        self.weight(wave(shape, frequency)?)
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> AnyResult<ValueId> {
        Ok(self.builder.node(name, op, inputs)?)
    }

    fn conv(&mut self, name: &str, x: ValueId, shape: [usize; 4]) -> AnyResult<ValueId> {
        let weights = [self.wave(&shape)?, self.wave(&shape[..1])?];
        self.node(name, Op::Conv(Window::new(2)), &[x, weights[0], weights[1]])
    }

    fn linear(&mut self, name: &str, x: ValueId, shape: [usize; 2]) -> AnyResult<ValueId> {
        let weights = [self.wave(&shape)?, self.wave(&shape[..1])?];
        let op = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
        self.node(name, op, &[x, weights[0], weights[1]])
    }

    /// Global average pooling and a linear layer.
    fn tail(&mut self, x: ValueId, channels: usize) -> AnyResult<ValueId> {
        let pooled = self.node("pool", Op::GlobalPool(PoolKind::Average), &[x])?;
        let flat = self.node("flat", Op::Flatten { axis: 1 }, &[pooled])?;
        self.linear("fc", flat, [3, channels])
    }

    fn finish(self, output: ValueId) -> AnyResult<Graph> {
        Ok(self.builder.finish(vec![output])?)
    }
}

fn relu() -> Op {
    Op::Unary(Unary::Relu)
}

/// Convolution, ReLU, a residual branch, pooling, linear layer.
fn residual() -> AnyResult<GraphModel> {
    let mut draft = Draft::default();
    let x = draft.input(&[2, 5, 5])?;
    let first = draft.conv("first", x, [4, 2, 2, 2])?;
    let before = draft.node("before", relu(), &[first])?;
    let branch = draft.conv("branch", before, [4, 4, 1, 1])?;
    let inside = draft.node("inside", relu(), &[branch])?;
    let sum = draft.node("sum", Op::Binary(Binary::Add), &[inside, before])?;
    let output = draft.tail(sum, 4)?;
    Ok(GraphModel::new(draft.finish(output)?, output)?)
}

#[test]
fn a_cut_inside_of_a_branch_keeps_the_path_around_it() -> AnyResult {
    let (model, x) = (residual()?, wave(&[3, 2, 5, 5], 0.21)?);
    assert_eq!(model.last_spatial(&x)?, model.graph().find("sum")?);
    let signed = GradCam { relu: false, ..GradCam::default() };
    // Behind the pool f is linear: the map's mean is f without the linear layer's bias.
    let after = hires_cam(&model.split_at("sum")?, &x, 0, &signed)?;
    let of_branch = hires_cam(&model.split_at("inside")?, &x, 0, &signed)?;
    let of_skip = hires_cam(&model.split_at("before")?, &x, 0, &signed)?;
    assert_eq!(after.dims(), [3, 4, 4]);
    assert!((&after - &of_branch)?.abs()?.sum_all()?.to_scalar::<f64>()? > 1e-3);
    assert!((&after - &of_skip)?.abs()?.sum_all()?.to_scalar::<f64>()? > 1e-3);
    let split = model.split_at("inside")?;
    let z = split.features(&x)?;
    let refused = split.outputs(&z).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|error| error.contains("path around it")));
    assert_near(
        "the cut",
        &model.split_at("sum")?.outputs(&model.split_at("sum")?.features(&x)?)?,
        &model.forward(&x)?,
        1e-12,
    );
    assert!(matches!(model.split_at("nothing"), Err(Error::NoLayer { .. })));
    Ok(())
}

#[test]
fn cam_is_the_readout_of_the_last_images() -> AnyResult {
    let (model, x) = (residual()?, wave(&[3, 2, 5, 5], 0.21)?);
    let map = model.cam("sum", &x, 2)?;
    let bias = {
        let fc = model.graph().find_node("fc")?;
        let id = model.graph().node(fc).input(2).ok_or("a bias")?;
        model.graph().weight(id).ok_or("a weight")?.get(2)?.to_scalar::<f64>()?
    };
    let f = (map.mean((1, 2))? + bias)?;
    assert_near("CAM", &f, &model.forward(&x)?.narrow(1, 2, 1)?.squeeze(1)?, 1e-12);
    let refused = model.cam("before", &x, 2).expect_err("a sum follows").to_string();
    assert!(refused.contains("Grad-CAM"), "{refused}");
    assert!(matches!(model.cam("sum", &x, 3), Err(Error::Target { .. })));
    Ok(())
}

#[test]
fn methods_that_need_what_a_graph_lacks_say_so() -> AnyResult {
    let mut draft = Draft::default();
    let x = draft.input(&[4])?;
    let tanh = draft.linear("hidden", x, [3, 4])?;
    let tanh = draft.node("tanh", Op::Unary(Unary::Tanh), &[tanh])?;
    let output = draft.linear("output", tanh, [2, 3])?;
    let settings = Softmax { axis: -1, flattens: false, logarithm: false };
    let softmax = draft.node("softmax", Op::Softmax(settings), &[output])?;
    let graph = draft.finish(softmax)?;
    let x = wave(&[2, 4], 0.3)?;
    let model = GraphModel::new(graph.clone(), softmax)?;
    let message = |result: Result<Tensor>| result.expect_err("refused").to_string();
    assert!(message(model.guided_backprop(&x, 0)).contains("ReLU"));
    assert!(message(model.mask_map(&x, 0, MaskWeights::Mean)).contains("AttentionMasks"));
    let refused = model.lrp(&x, 0, &Composite::epsilon(1e-6)).map(|found| found.attribution);
    assert!(message(refused).contains("logits"));
    let place = model.last_spatial(&x).expect_err("no images").to_string();
    assert!(place.contains("images"), "{place}");
    // With the logits for the output there is nothing against it.
    let model = GraphModel::new(graph, output)?;
    assert_eq!(model.names(), ["hidden", "tanh", "output"]);
    assert_eq!(model.lrp(&x, 0, &Composite::epsilon(1e-6))?.layers.len(), 3);
    let named =
        Composite { named: vec![("nothing".into(), Rule::Flat)], ..Composite::epsilon(1e-6) };
    assert!(matches!(model.lrp(&x, 0, &named), Err(Error::NoLayer { .. })));
    Ok(())
}

#[test]
fn a_graph_must_take_one_input_in_batches() -> AnyResult {
    let mut builder = Builder::new();
    let a = builder.input("a", vec![None, Some(2)])?;
    let b = builder.input("b", vec![None, Some(2)])?;
    let sum = builder.node("sum", Op::Binary(Binary::Add), &[a, b])?;
    let alone = builder.node("alone", relu(), &[b])?;
    let graph = builder.finish(vec![sum, alone])?;
    let refused = GraphModel::new(graph.clone(), sum).expect_err("two inputs").to_string();
    assert!(refused.contains("exactly one input"), "{refused}");
    assert_eq!(GraphModel::new(graph, alone)?.input(), b);

    let fixed = |rows| -> AnyResult<Result<GraphModel>> {
        let mut builder = Builder::new();
        let x = builder.input("x", vec![Some(rows), Some(2)])?;
        let y = builder.node("y", relu(), &[x])?;
        Ok(GraphModel::new(builder.finish(vec![y])?, y))
    };
    assert!(fixed(4)?.is_err());
    let one_by_one = fixed(1)?.map(|model| model.batch(16))?;
    assert_eq!(one_by_one.batch_size(), 1);
    let x = wave(&[3, 2], 0.7)?;
    let values = one_by_one.target(0).values(&x)?;
    assert_near("values", &values, &x.narrow(1, 0, 1)?.squeeze(1)?.relu()?, 1e-12);
    Ok(())
}

/// x → a linear layer → norm → a linear layer.
fn normalised(written_out: bool) -> AnyResult<GraphModel> {
    let mut draft = Draft::default();
    let x = draft.input(&[4])?;
    let hidden = draft.linear("hidden", x, [6, 4])?;
    let (scale, shift) = (draft.wave(&[6])?, draft.wave(&[6])?);
    let norm = if written_out {
        let mean = Op::Reduce(Reduce {
            kind: Reduction::Mean,
            axes: Some(vec![-1]),
            keep_dims: true,
            empty_is_nothing: false,
        });
        let epsilon = draft.builder.weight("epsilon", Tensor::new(1e-5, &Device::Cpu)?)?;
        let centre = draft.node("mean", mean.clone(), &[hidden])?;
        let centred = draft.node("centred", Op::Binary(Binary::Sub), &[hidden, centre])?;
        let square = draft.node("square", Op::Binary(Binary::Mul), &[centred, centred])?;
        let variance = draft.node("variance", mean, &[square])?;
        let variance = draft.node("stable", Op::Binary(Binary::Add), &[variance, epsilon])?;
        let deviation = draft.node("deviation", Op::Unary(Unary::Sqrt), &[variance])?;
        let norm = draft.node("quotient", Op::Binary(Binary::Div), &[centred, deviation])?;
        let norm = draft.node("scaled", Op::Binary(Binary::Mul), &[norm, scale])?;
        draft.node("norm", Op::Binary(Binary::Add), &[norm, shift])?
    } else {
        let op = Op::LayerNorm { axis: -1, epsilon: 1e-5 };
        draft.node("norm", op, &[hidden, scale, shift])?
    };
    let output = draft.linear("output", norm, [2, 6])?;
    Ok(GraphModel::new(draft.finish(output)?, output)?)
}

#[test]
fn layer_norm_is_the_same_written_out() -> AnyResult {
    let (whole, parts, x) = (normalised(false)?, normalised(true)?, wave(&[3, 4], 0.43)?);
    assert_near("values", &whole.forward(&x)?, &parts.forward(&x)?, 1e-12);
    let options = DeepLift::default();
    let found = whole.deep_lift(&x, 1, None, &options)?;
    let expected = parts.deep_lift(&x, 1, None, &options)?;
    assert!(found.convergence_delta.iter().all(|delta| delta.abs() < 1e-9));
    assert_near("DeepLIFT", &found.attribution, &expected.attribution, 1e-6);
    // A norm passes relevance on as it is.
    let passed = whole.lrp(&x, 1, &Composite { bias: Bias::Ignore, ..Composite::epsilon(0.) })?;
    let sums = passed.attribution.sum(1)?;
    let output = Tensor::new(passed.output.clone(), &Device::Cpu)?;
    assert_near("the sum", &sums, &output, 1e-4);
    Ok(())
}

#[test]
fn a_gate_takes_nothing() -> AnyResult {
    let mut draft = Draft::default();
    let x = draft.input(&[3])?;
    let signal = draft.linear("signal", x, [4, 3])?;
    let logit = draft.linear("logit", x, [4, 3])?;
    let gate = draft.node("gate", Op::Unary(Unary::Sigmoid), &[logit])?;
    let gated = draft.node("gated", Op::Binary(Binary::Mul), &[gate, signal])?;
    let output = draft.linear("output", gated, [2, 4])?;
    let model = GraphModel::new(draft.finish(output)?, output)?;
    let found = model.lrp(&wave(&[2, 3], 0.9)?, 0, &Composite::epsilon(0.))?;
    assert!(outputs_of(&found, "signal")[0].abs() > 1e-3);
    assert_eq!(outputs_of(&found, "signal"), outputs_of(&found, "gated"));
    assert_eq!(outputs_of(&found, "gate"), [0., 0.]);
    Ok(())
}

/// The relevance that comes to a node.
fn outputs_of(found: &Relevance, node: &str) -> Vec<f64> {
    let layer = found.layers.iter().find(|layer| layer.layer == node);
    layer.map_or_else(Vec::new, |layer| layer.outputs.clone())
}

/// max(0, min(6, logit)), and the same as a hard sigmoid: of x + 3, over 6.
fn clip(draft: &mut Draft, name: &str, x: ValueId) -> AnyResult<ValueId> {
    let bounds = [0., 6.].map(|bound| Tensor::new(bound, &Device::Cpu));
    let [low, high] = bounds;
    let (low, high) = (draft.weight(low?)?, draft.weight(high?)?);
    draft.node(name, Op::Clip, &[x, low, high])
}

fn hard_sigmoid(draft: &mut Draft, x: ValueId) -> AnyResult<ValueId> {
    let (three, six) = (
        draft.weight(Tensor::new(3., &Device::Cpu)?)?,
        draft.weight(Tensor::new(6., &Device::Cpu)?)?,
    );
    let moved = draft.node("moved", Op::Binary(Binary::Add), &[x, three])?;
    let clipped = clip(draft, "clipped", moved)?;
    draft.node("gate", Op::Binary(Binary::Div), &[clipped, six])
}

/// ReLU6 of one linear layer times a gate of another.
fn relu6_gated(hard: bool) -> AnyResult<GraphModel> {
    let mut draft = Draft::default();
    let x = draft.input(&[3])?;
    let signal = draft.linear("signal", x, [4, 3])?;
    let signal = clip(&mut draft, "relu6", signal)?;
    let logit = draft.linear("logit", x, [4, 3])?;
    let gate = match hard {
        true => hard_sigmoid(&mut draft, logit)?,
        false => draft.node("gate", Op::Unary(Unary::Sigmoid), &[logit])?,
    };
    let gated = draft.node("gated", Op::Binary(Binary::Mul), &[signal, gate])?;
    let output = draft.linear("output", gated, [2, 4])?;
    Ok(GraphModel::new(draft.finish(output)?, output)?)
}

#[test]
fn relu6_is_a_signal_and_a_hard_sigmoid_a_gate() -> AnyResult {
    let x = wave(&[2, 3], 0.9)?;
    for hard in [false, true] {
        let model = relu6_gated(hard)?;
        let found = model.lrp(&x, 0, &Composite::epsilon(0.))?;
        assert!(outputs_of(&found, "gated")[0].abs() > 1e-3);
        assert_eq!(outputs_of(&found, "relu6"), outputs_of(&found, "gated"));
        assert_eq!(outputs_of(&found, "logit"), [0., 0.]);
    }
    Ok(())
}

/// The clip of a gate lets gradients of both signs through.
#[test]
fn guided_backpropagation_guides_no_gate() -> AnyResult {
    let (model, x) = (relu6_gated(true)?, wave(&[6, 3], 0.9)?);
    // The same gate as one function, which is no rectifier.
    let mut draft = Draft::default();
    let input = draft.input(&[3])?;
    let signal = draft.linear("signal", input, [4, 3])?;
    let signal = clip(&mut draft, "relu6", signal)?;
    let logit = draft.linear("logit", input, [4, 3])?;
    let op = Op::Unary(Unary::HardSigmoid { alpha: 1. / 6., beta: 0.5 });
    let gate = draft.node("gate", op, &[logit])?;
    let gated = draft.node("gated", Op::Binary(Binary::Mul), &[signal, gate])?;
    // Constants have the numbers of their order: two of the hard sigmoid are left out here.
    draft.weights += 4;
    let output = draft.linear("output", gated, [2, 4])?;
    let whole = GraphModel::new(draft.finish(output)?, output)?;
    assert_near("values", &model.forward(&x)?, &whole.forward(&x)?, 1e-12);
    let guided = whole.guided_backprop(&x, 1)?;
    assert_near("guided", &model.guided_backprop(&x, 1)?, &guided, 1e-12);
    let plain = whole.target(1).gradient(&x)?;
    assert!((plain - guided)?.abs()?.sum_all()?.to_scalar::<f64>()? > 1e-3);
    Ok(())
}

#[test]
fn silu_and_hard_swish_are_one_function_however_they_are_written() -> AnyResult {
    let model = |activation: &dyn Fn(&mut Draft, ValueId) -> AnyResult<ValueId>| {
        let mut draft = Draft::default();
        let x = draft.input(&[3])?;
        let hidden = draft.linear("hidden", x, [5, 3])?;
        let activation = activation(&mut draft, hidden)?;
        draft.weights = 2;
        let output = draft.linear("output", activation, [2, 5])?;
        AnyResult::Ok(GraphModel::new(draft.finish(output)?, output)?)
    };
    let whole = |unary: Unary| model(&|draft, x| draft.node("whole", Op::Unary(unary), &[x]));
    let product =
        |draft: &mut Draft, x, gate| draft.node("product", Op::Binary(Binary::Mul), &[x, gate]);
    let silu = model(&|draft, x| {
        let open = draft.node("open", Op::Unary(Unary::Sigmoid), &[x])?;
        product(draft, x, open)
    })?;
    let swish_of_hard_sigmoid = model(&|draft, x| {
        let op = Op::Unary(Unary::HardSigmoid { alpha: 1. / 6., beta: 0.5 });
        let open = draft.node("open", op, &[x])?;
        product(draft, open, x)
    })?;
    let swish_of_clip = model(&|draft, x| {
        draft.weights = 10;
        let open = hard_sigmoid(draft, x)?;
        product(draft, x, open)
    })?;
    let x = wave(&[40, 3], 0.77)?;
    for (one, two) in [
        (whole(Unary::Silu)?, silu),
        (whole(Unary::HardSwish)?, swish_of_hard_sigmoid),
        (whole(Unary::HardSwish)?, swish_of_clip),
    ] {
        let lrp = |model: &GraphModel| {
            model.lrp(&x, 1, &Composite::epsilon(1e-6)).map(|found| found.attribution)
        };
        let deep = |model: &GraphModel| -> Result<Tensor> {
            Ok(model.deep_lift(&x, 1, None, &DeepLift::default())?.attribution)
        };
        assert_near("values", &two.forward(&x)?, &one.forward(&x)?, 1e-12);
        assert_near("guided", &two.guided_backprop(&x, 1)?, &one.guided_backprop(&x, 1)?, 1e-12);
        assert_near("LRP", &lrp(&two)?, &lrp(&one)?, 1e-12);
        assert_near("DeepLIFT", &deep(&two)?, &deep(&one)?, 1e-11);
    }
    Ok(())
}

#[test]
fn outputs_that_are_kept_are_those_of_other_inputs_never() -> AnyResult {
    let (model, x) = (residual()?, wave(&[3, 2, 5, 5], 0.21)?);
    let kept = model.clone().keeping_outputs();
    for output in [0, 2, 0] {
        for x in [x.clone(), (&x * 0.5)?, x.narrow(0, 1, 1)?] {
            let values = kept.target(output).values(&x)?;
            assert_near("values", &values, &model.target(output).values(&x)?, 1e-15);
            let gradient = kept.target(output).gradient(&x)?;
            assert_near("gradient", &gradient, &model.target(output).gradient(&x)?, 1e-15);
        }
    }
    Ok(())
}

/// Convolution, ReLU, a norm, pooling, linear layer.
fn with_norm(op: Op) -> AnyResult<GraphModel> {
    let mut draft = Draft::default();
    let x = draft.input(&[2, 4, 4])?;
    let conv = draft.conv("conv", x, [4, 2, 2, 2])?;
    let conv = draft.node("relu", relu(), &[conv])?;
    let mut inputs = vec![conv, draft.wave(&[4])?, draft.wave(&[4])?];
    if matches!(op, Op::BatchNorm { .. }) {
        let variance = wave(&[4], 0.6)?.abs()?;
        inputs.extend([draft.wave(&[4])?, draft.weight(variance)?]);
    }
    let norm = draft.node("norm", op, &inputs)?;
    let norm = draft.node("relu 2", relu(), &[norm])?;
    let output = draft.tail(norm, 4)?;
    Ok(GraphModel::new(draft.finish(output)?, output)?)
}

#[test]
fn norms_conserve_relevance_and_differences() -> AnyResult {
    let x = wave(&[2, 2, 4, 4], 0.53)?;
    let norms = [
        Op::BatchNorm { epsilon: 1e-5 },
        Op::GroupNorm { groups: 2, epsilon: 1e-5 },
        Op::InstanceNorm { epsilon: 1e-5 },
        Op::LocalResponseNorm { size: 3, alpha: 0.1, beta: 0.75, k: 1. },
    ];
    for op in norms {
        let name = format!("{op:?}");
        let has_weights = !matches!(op, Op::LocalResponseNorm { .. });
        let model = match has_weights {
            true => with_norm(op)?,
            false => {
                let mut draft = Draft::default();
                let x = draft.input(&[2, 4, 4])?;
                let norm = draft.node("norm", op, &[x])?;
                let output = draft.tail(norm, 2)?;
                GraphModel::new(draft.finish(output)?, output)?
            }
        };
        let found = model.lrp(&x, 2, &Composite::epsilon_plus())?;
        for (image, output) in found.output.iter().enumerate() {
            let lost = found.layers.iter().map(|l| l.bias[image] + l.stabilizer[image]);
            let map = found.attribution.get(image)?.sum_all()?.to_scalar::<f64>()?;
            let sum = map + lost.sum::<f64>();
            assert!((sum - output).abs() < 1e-9 * (1. + map.abs()), "{name}: {sum} {output}");
        }
        if has_weights {
            let deltas = model.deep_lift(&x, 2, None, &DeepLift::default())?.convergence_delta;
            assert!(deltas.iter().all(|delta| delta.abs() < 1e-9), "{name}: {deltas:?}");
        } else {
            let refused = model.deep_lift(&x, 2, None, &DeepLift::default());
            assert!(refused.is_err_and(|error| error.to_string().contains("LRN")));
        }
    }
    Ok(())
}

/// A ReLU between the input and a linear layer that reads it flattened, to a shape that the graph
/// takes of its input.
fn flattened(width: Option<usize>) -> AnyResult<GraphModel> {
    let mut draft = Draft::default();
    let x = draft.builder.input("x", vec![None, Some(3), Some(2), width])?;
    let hidden = draft.node("relu", relu(), &[x])?;
    let rows = draft.node("rows", Op::Shape { start: 0, end: Some(1) }, &[x])?;
    let rest = draft.weight(Tensor::new(&[-1i64], &Device::Cpu)?)?;
    let shape = draft.node("shape", Op::Concat { axis: 0 }, &[rows, rest])?;
    let flat = draft.node("flat", Op::Reshape { allow_zero: false }, &[hidden, shape])?;
    let output = draft.linear("fc", flat, [2, 12])?;
    Ok(GraphModel::new(draft.finish(output)?, output)?)
}

#[test]
fn a_shape_that_the_graph_reads_is_no_path_around_a_cut() -> AnyResult {
    let x = wave(&[3, 3, 2, 2], 0.91)?;
    let model = flattened(Some(2))?;
    let split = model.split_at("relu")?;
    let outputs = split.outputs(&split.features(&x)?)?;
    assert_near("outputs", &outputs, &model.forward(&x)?, 1e-12);
    let found = model.lrp(&x, 0, &Composite::epsilon(1e-9))?;
    assert_eq!(
        found.layers.iter().find(|layer| layer.layer == "rows").map(|l| l.relevance[0]),
        Some(0.)
    );
    let model = flattened(None)?;
    let split = model.split_at("relu")?;
    let refused = split.outputs(&split.features(&x)?).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|error| error.contains("not fixed")));
    // With the input at hand there is no need.
    assert_eq!(grad_cam(&split, &x, 0, &GradCam::default())?.dims(), [3, 2, 2]);
    Ok(())
}
