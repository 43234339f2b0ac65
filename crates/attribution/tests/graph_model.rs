//! Graphs made by hand: places of a cut, refusals, the rules of norms and products, and the paper's
//! network against the same network as `Layers`.

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use foresee_attribution::*;
use foresee_graph::{
    Binary, Builder, Gemm, Graph, Op, PoolKind, Reduce, Reduction, Softmax, Unary, ValueId, Window,
};
use foresee_model::{Network, NetworkConfig};

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn wave(shape: &[usize], frequency: f64) -> CandleResult<Tensor> {
    let n: usize = shape.iter().product();
    let numbers = (0..n).map(|i| (frequency * ((i + 1) * (i + 3)) as f64).sin());
    Tensor::from_iter(numbers, &Device::Cpu)?.reshape(shape)
}

fn assert_near(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let largest = |t: &Tensor| {
        let all = t.to_dtype(DType::F64).and_then(|t| t.abs()?.flatten_all()?.max(0));
        all.and_then(|max| max.to_scalar::<f64>()).expect("numbers")
    };
    let scale = largest(expected);
    let off = largest(&(got - expected).expect("one shape")) / scale;
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
    let constant = Composite { norm: NormRule::ConstantDeviation, ..Composite::epsilon(1e-9) };
    let constant = Composite { stabilizer: 1e-12, ..constant };
    for bias in [Bias::Absorb, Bias::Ignore] {
        let composite = Composite { bias, ..constant.clone() };
        let found = whole.lrp(&x, 1, &composite)?;
        let expected = parts.lrp(&x, 1, &composite)?;
        assert_near("LRP", &found.attribution, &expected.attribution, 1e-6);
    }
    let options = DeepLift::default();
    let found = whole.deep_lift(&x, 1, None, &options)?;
    let expected = parts.deep_lift(&x, 1, None, &options)?;
    assert!(found.convergence_delta.iter().all(|delta| delta.abs() < 1e-9));
    assert_near("DeepLIFT", &found.attribution, &expected.attribution, 1e-6);
    // By default a norm passes relevance on as it is.
    let passed = whole.lrp(&x, 1, &Composite { bias: Bias::Ignore, ..Composite::epsilon(0.) })?;
    let sums = passed.attribution.sum(1)?;
    let output = Tensor::new(passed.output.clone(), &Device::Cpu)?;
    assert_near("the sum", &sums, &output, 1e-4);
    Ok(())
}

#[test]
fn a_gate_takes_nothing_or_half() -> AnyResult {
    let mut draft = Draft::default();
    let x = draft.input(&[3])?;
    let signal = draft.linear("signal", x, [4, 3])?;
    let logit = draft.linear("logit", x, [4, 3])?;
    let gate = draft.node("gate", Op::Unary(Unary::Sigmoid), &[logit])?;
    let gated = draft.node("gated", Op::Binary(Binary::Mul), &[gate, signal])?;
    let output = draft.linear("output", gated, [2, 4])?;
    let model = GraphModel::new(draft.finish(output)?, output)?;
    let x = wave(&[2, 3], 0.9)?;
    let relevance = |gate: ProductRule, node: &str| -> AnyResult<f64> {
        let composite = Composite { gate, ..Composite::epsilon(0.) };
        let found = model.lrp(&x, 0, &composite)?;
        let layer = found.layers.iter().find(|layer| layer.layer == node);
        Ok(layer.map_or(f64::NAN, |layer| layer.relevance[0]))
    };
    let whole = relevance(ProductRule::Signal, "gated")?;
    assert!(whole.abs() > 1e-3);
    assert_eq!(relevance(ProductRule::Signal, "gate")?, 0.);
    assert!((relevance(ProductRule::Half, "gate")? - whole / 2.).abs() < 1e-12);
    Ok(())
}

#[test]
fn silu_is_one_function_however_it_is_written() -> AnyResult {
    let model = |written_out: bool| -> AnyResult<GraphModel> {
        let mut draft = Draft::default();
        let x = draft.input(&[3])?;
        let hidden = draft.linear("hidden", x, [5, 3])?;
        let silu = if written_out {
            let open = draft.node("open", Op::Unary(Unary::Sigmoid), &[hidden])?;
            draft.node("silu", Op::Binary(Binary::Mul), &[hidden, open])?
        } else {
            draft.node("silu", Op::Unary(Unary::Silu), &[hidden])?
        };
        let output = draft.linear("output", silu, [2, 5])?;
        Ok(GraphModel::new(draft.finish(output)?, output)?)
    };
    let (one, two, x) = (model(false)?, model(true)?, wave(&[4, 3], 0.77)?);
    assert_near("guided", &two.guided_backprop(&x, 1)?, &one.guided_backprop(&x, 1)?, 1e-12);
    let half = Composite { gate: ProductRule::Half, ..Composite::epsilon(1e-6) };
    let lrp = |model: &GraphModel| model.lrp(&x, 1, &half).map(|found| found.attribution);
    assert_near("LRP", &lrp(&two)?, &lrp(&one)?, 1e-12);
    let deep = |model: &GraphModel| -> Result<Tensor> {
        Ok(model.deep_lift(&x, 1, None, &DeepLift::default())?.attribution)
    };
    assert_near("DeepLIFT", &deep(&two)?, &deep(&one)?, 1e-12);
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
        for norm in [NormRule::Pass, NormRule::ConstantDeviation] {
            let composite = Composite { norm, ..Composite::epsilon_plus() };
            let found = model.lrp(&x, 2, &composite)?;
            for (image, output) in found.output.iter().enumerate() {
                let lost = found.layers.iter().map(|l| l.bias[image] + l.stabilizer[image]);
                let map = found.attribution.get(image)?.sum_all()?.to_scalar::<f64>()?;
                let sum = map + lost.sum::<f64>();
                assert!((sum - output).abs() < 1e-9 * (1. + map.abs()), "{name}: {sum} {output}");
            }
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

/// The paper's network in f64, as layers and as a graph.
fn paper_network(masks: bool) -> AnyResult<(Layers, GraphModel)> {
    let config = NetworkConfig { attributes: 4, channels: 8, ..Default::default() };
    let network = Network::new(config, 3, &Device::Cpu)?;
    network.forward_train(&wave(&[2, 3, 12, 12], 0.31)?.to_dtype(DType::F32)?)?;
    let plan = network.extractor().plan();
    let dilations: Vec<usize> = plan.iter().map(|&(_, _, dilation)| dilation).collect();
    let tensors: Vec<(String, Tensor)> = network
        .tensors()
        .into_iter()
        .map(|(name, var)| Ok((name, var.as_detached_tensor().to_dtype(DType::F64)?)))
        .collect::<CandleResult<_>>()?;
    let rows = masks.then(|| network.heads().rows());
    let layers = network_layers(tensors.clone(), &dilations, rows)?;
    let graph = foresee_graph::attention_network(tensors, &dilations, rows)?;
    let output = graph.outputs()[0];
    Ok((layers.batch(2), GraphModel::new(graph, output)?.batch(2)))
}

#[test]
fn the_papers_network_is_explained_alike_as_layers_and_as_a_graph() -> AnyResult {
    let x = wave(&[3, 3, 12, 12], 0.17)?;
    let explainer = Explainer {
        steps: 4,
        grid: 3,
        lime_samples: 40,
        seed: 5,
        region_maps: Default::default(),
        references: Some(wave(&[2, 3, 12, 12], 0.29)?),
    };
    for masks in [true, false] {
        let (layers, model) = paper_network(masks)?;
        assert_near("logits", &model.forward(&x)?, &layers.forward(&x)?, 1e-10);
        for method in Method::available(masks, false) {
            let images = [4, 9, 2];
            let of_graph = explainer.maps_of_graph(method, &model, &x, &images, 1)?;
            let of_layers = explainer.maps(method, &layers, &x, &images, 1)?;
            assert_near(method.id(), &of_graph, &of_layers, 1e-6);
        }
    }
    Ok(())
}
