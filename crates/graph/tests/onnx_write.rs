//! What is written as ONNX is read back as the same network: by our reader, and by onnxruntime
//! where there is a Python that has it (`python3`, or the one that `FORESEE_PYTHON` names).

mod onnx_cases;

use std::path::Path;
use std::process::Command;

use candle_core::{DType, Device, Tensor, WithDType};
use foresee_graph::{
    Binary, Builder, Coordinates, Error, Graph, Kind, Nearest, OnnxOptions, Op, Origin, Resize,
    ResizeMode, Unary,
};
use rten_onnx::onnx::{DataType, ModelProto};
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

use onnx_cases::{AnyResult, Case, cases, network, numbers};

fn flat(tensor: &Tensor) -> AnyResult<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

fn names(graph: &Graph) -> (Vec<&str>, Vec<&str>) {
    let of = |ids: &[foresee_graph::ValueId]| {
        ids.iter().map(|&id| graph.value(id).name.as_str()).collect()
    };
    (of(graph.inputs()), of(graph.outputs()))
}

fn same_outputs(case: &Case, after: &Graph) -> AnyResult {
    let Case { name, graph, inputs } = case;
    assert_eq!(names(graph), names(after), "{name}");
    let (before, after) = (graph.forward(inputs)?, after.forward(inputs)?);
    assert_eq!(before.len(), after.len(), "{name}");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.dims(), before.dtype()), (after.dims(), after.dtype()), "{name}");
        for (before, after) in flat(before)?.into_iter().zip(flat(after)?) {
            let tolerance = 1e-5 * before.abs().max(1.);
            assert!((before - after).abs() <= tolerance, "{name}: {before} {after}");
        }
    }
    Ok(())
}

#[test]
fn every_operation_is_read_back() -> AnyResult {
    for case in cases()? {
        let named = |error: Error| format!("{}: {error}", case.name);
        let bytes = case.graph.to_onnx(&[]).map_err(named)?;
        same_outputs(&case, &Graph::from_onnx_bytes(&bytes).map_err(named)?)?;
    }
    Ok(())
}

/// Nodes that are one in ONNX have their names and settings afterwards.
#[test]
fn nodes_and_weights_are_the_same() -> AnyResult {
    let graph = network()?;
    let after = Graph::from_onnx_bytes(&graph.to_onnx(&[])?)?;
    let nodes = |graph: &Graph| -> Vec<_> {
        graph.nodes().map(|(_, node)| (node.name.clone(), node.op.name())).collect()
    };
    assert_eq!(nodes(&graph), nodes(&after));
    let mut weights = 0;
    for (id, value) in graph.values() {
        let Some(weight) = graph.weight(id) else { continue };
        let read = after.weight(after.find(&value.name)?).ok_or("no weight")?;
        assert_eq!((read.dims(), read.dtype()), (weight.dims(), weight.dtype()));
        assert_eq!(flat(read)?, flat(weight)?, "{}", value.name);
        weights += 1;
    }
    assert_eq!(weights, 8);
    Ok(())
}

/// Bytes of a tensor, the lowest first.
fn bytes(tensor: &Tensor) -> AnyResult<Vec<u8>> {
    fn each<T: WithDType, const N: usize>(x: &Tensor, to: fn(T) -> [u8; N]) -> AnyResult<Vec<u8>> {
        Ok(x.flatten_all()?.to_vec1::<T>()?.into_iter().flat_map(to).collect())
    }
    match tensor.dtype() {
        DType::F32 => each(tensor, f32::to_le_bytes),
        DType::I64 => each(tensor, i64::to_le_bytes),
        _ => each(tensor, u8::to_le_bytes),
    }
}

/// Writes a case with its inputs and outputs, as `python/check_onnx.py` reads them.
fn write(case: &Case, folder: &Path) -> AnyResult {
    let Case { name, graph, inputs } = case;
    graph.save_onnx(folder.join(format!("{name}.onnx")), &[("pruned", "conv: 3 of 4")])?;
    let outputs = graph.forward(inputs)?;
    let (given, gives) = names(graph);
    let given = given.iter().zip(inputs).map(|(name, tensor)| ("input", name, tensor));
    let gives = gives.iter().zip(&outputs).map(|(name, tensor)| ("output", name, tensor));
    let mut lines = String::new();
    for (number, (role, value, tensor)) in given.chain(gives).enumerate() {
        let sizes: Vec<String> = tensor.dims().iter().map(usize::to_string).collect();
        let sizes = if sizes.is_empty() { "-".into() } else { sizes.join(",") };
        let dtype = format!("{:?}", tensor.dtype());
        lines += &format!("{role} {dtype} {sizes} {value}\n");
        std::fs::write(folder.join(format!("{name}.{number}.bin")), bytes(tensor)?)?;
    }
    std::fs::write(folder.join(format!("{name}.txt")), lines)?;
    Ok(())
}

#[test]
fn onnxruntime_gives_the_same() -> AnyResult {
    let program = std::env::var("FORESEE_PYTHON").unwrap_or_else(|_| "python3".into());
    let modules = ["-c", "import numpy, onnx, onnxruntime"];
    let found = Command::new(&program).args(modules).output();
    if !found.is_ok_and(|output| output.status.success()) {
        let missing = "has not all of numpy, onnx, onnxruntime";
        eprintln!("skipped: {program} {missing}; FORESEE_PYTHON names another");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for case in cases()? {
        write(&case, folder.path())?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_onnx.py");
    let output = Command::new(program).arg(script).arg(folder.path()).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let wrong: Vec<&str> = printed.lines().filter(|line| !line.ends_with(": ok")).collect();
    assert!(output.status.success(), "{wrong:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(printed.lines().count(), cases()?.len());
    Ok(())
}

#[test]
fn names_that_are_taken_are_left_alone() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None])?;
    let sigmoid = builder.node("silu.sigmoid", Op::Unary(Unary::Sigmoid), &[x])?;
    let silu = builder.node("silu", Op::Unary(Unary::Silu), &[sigmoid])?;
    let y = builder.node("silu.sigmoid_2", Op::Binary(Binary::Add), &[silu, sigmoid])?;
    // An output that is given twice gets a second name.
    let graph = builder.finish(vec![y, y])?;
    let case = Case { name: "twice".into(), graph, inputs: vec![numbers(&[3])?] };
    let read = Graph::from_onnx_bytes(&case.graph.to_onnx(&[])?)?;
    let names: Vec<&str> = read.outputs().iter().map(|&id| read.value(id).name.as_str()).collect();
    assert_eq!(names, ["silu.sigmoid_2", "silu.sigmoid_2_2"]);
    let (before, after) = (case.graph.forward(&case.inputs)?, read.forward(&case.inputs)?);
    assert_eq!(flat(&before[0])?, flat(&after[1])?);
    Ok(())
}

/// Inputs hold what they held, whoever reads them.
#[test]
fn inputs_keep_their_kinds() -> AnyResult {
    let mut builder = Builder::new();
    let tokens = builder.input_of("tokens", Kind::Int, vec![None])?;
    let mask = builder.input_of("mask", Kind::Bool, vec![None])?;
    let base = builder.input_of("base", Kind::Int, vec![None])?;
    let exponent = builder.input("exponent", vec![None])?;
    // A power has its base's kind.
    let power = builder.node("power", Op::Binary(Binary::Pow), &[base, exponent])?;
    let graph = builder.finish(vec![tokens, mask, power])?;
    let given = [
        Tensor::new(&[1i64, 2], &Device::Cpu)?,
        Tensor::new(&[1u8, 0], &Device::Cpu)?,
        Tensor::new(&[3i64, 9], &Device::Cpu)?,
        Tensor::new(&[2f32, 0.5], &Device::Cpu)?,
    ];
    let read = Graph::from_onnx_bytes(&graph.to_onnx(&[])?)?;
    let kinds: Vec<Kind> = read
        .inputs()
        .iter()
        .filter_map(|&id| match &read.value(id).origin {
            Origin::Input { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [Kind::Int, Kind::Bool, Kind::Int, Kind::Float]);
    let outputs = read.forward(&given)?;
    assert_eq!(outputs[2].to_vec1::<i64>()?, [9, 3]);
    same_outputs(&Case { name: "kinds".into(), graph, inputs: given.to_vec() }, &read)
}

/// The sizes of outputs are written where only the batch is open.
#[test]
fn outputs_have_their_sizes() -> AnyResult {
    let sizes = |graph: &Graph| -> AnyResult<Vec<(Option<i64>, Option<String>)>> {
        let model = ModelProto::decode(ValueReader::from_buf(graph.to_onnx(&[])?))?;
        let output = model.graph.ok_or("no graph")?.output.swap_remove(0);
        let tensor = output.r#type.and_then(|of| of.tensor_type).ok_or("no tensor")?;
        let sizes = tensor.shape.ok_or("no shape")?.dim.into_iter();
        Ok(sizes.map(|size| (size.dim_value, size.dim_param)).collect())
    };
    let graph = network()?;
    assert_eq!(sizes(&graph)?, [(None, None), (None, None)]);
    let images = graph.inputs()[0];
    let fixed = graph.with_input_sizes(images, vec![None, Some(3), Some(9), Some(9)])?;
    assert_eq!(sizes(&fixed)?, [(None, Some("batch".into())), (Some(5), None)]);
    Ok(())
}

/// ONNX has scales of 32 bits only, whatever the image has.
#[test]
fn scales_of_wide_networks_are_narrow() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(1), Some(2), Some(2)])?;
    let scales = builder.weight("scales", Tensor::new(&[1f64, 1., 2., 1.5], &Device::Cpu)?)?;
    let twice = builder.weight("twice", Tensor::new(&[1f64, 1., 2., 2.], &Device::Cpu)?)?;
    let (mode, coordinates, nearest) =
        (ResizeMode::Nearest, Coordinates::Asymmetric, Nearest::Floor);
    let resize = Op::Resize(Resize { mode, coordinates, nearest });
    let inputs = |scales| vec![Some(x), None, Some(scales)];
    let larger = builder.push("larger", resize.clone(), inputs(scales), &["larger"])?[0];
    let double = builder.push("double", resize, inputs(twice), &["double"])?[0];
    // Read as numbers, too.
    let sum = builder.node("sum", Op::Binary(Binary::Add), &[twice, twice])?;
    let graph = builder.finish(vec![larger, double, sum])?;
    let bytes = graph.to_onnx(&[])?;
    let model = ModelProto::decode(ValueReader::from_buf(bytes.clone()))?;
    let written = model.graph.ok_or("no graph")?;
    let types: Vec<_> = written.initializer.iter().map(|w| (w.name.clone(), w.data_type)).collect();
    let of = |name: &str, data_type| (Some(name.to_owned()), Some(data_type));
    assert_eq!(types, [of("scales", DataType::FLOAT), of("twice", DataType::DOUBLE)]);
    let casts = written.node.iter().filter(|node| node.op_type.as_deref() == Some("Cast"));
    assert_eq!(casts.count(), 1);

    let wide = OnnxOptions { dtype: DType::F64, ..OnnxOptions::default() };
    let x = numbers(&[3, 1, 2, 2])?.to_dtype(DType::F64)?;
    same_outputs(&Case { name: "wide".into(), graph, inputs: vec![x] }, &wide.read_bytes(&bytes)?)
}

/// Numbers of 64 bits are written with 64.
#[test]
fn wide_weights_keep_their_bits() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3)])?;
    let third = Tensor::new(&[1. / 3., 1e-300, -0.], &Device::Cpu)?;
    let w = builder.weight("w", third.clone())?;
    let y = builder.node("y", Op::Binary(Binary::Mul), &[x, w])?;
    let bytes = builder.finish(vec![y])?.to_onnx(&[])?;
    let wide = OnnxOptions { dtype: DType::F64, ..OnnxOptions::default() };
    let read = wide.read_bytes(&bytes)?;
    let weight = read.weight(read.find("w")?).ok_or("no weight")?.to_vec1::<f64>()?;
    let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(weight), bits(third.to_vec1()?));
    Ok(())
}

#[test]
fn metadata_is_written() -> AnyResult {
    let bytes = network()?.to_onnx(&[("note", "pruned: conv1"), ("rule", "correlation")])?;
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    // Field 14, a message of 21 bytes: key and value.
    assert!(holds(b"\x72\x15\x0a\x04note\x12\x0dpruned: conv1"));
    assert!(holds(b"\x0a\x04rule\x12\x0bcorrelation"));
    Ok(())
}

#[test]
fn enormous_networks_are_refused() -> AnyResult {
    let mut builder = Builder::new();
    // Expanded weights take no memory here.
    let one = Tensor::ones((1, 1), DType::F32, &Device::Cpu)?;
    let x = builder.input("x", vec![None])?;
    let mut sum = x;
    for name in ["a", "b", "c"] {
        let large = builder.weight(name, one.broadcast_as((1 << 10, 200 << 10))?)?;
        sum = builder.node(&format!("sum_{name}"), Op::Binary(Binary::Add), &[sum, large])?;
    }
    let error = builder.finish(vec![sum])?.to_onnx(&[]).map(drop).unwrap_err();
    assert!(matches!(error, Error::OnnxTooLarge { bytes } if bytes > (3 * 800) << 20), "{error}");
    Ok(())
}

#[test]
fn files_are_written_whole() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let error = network()?.save_onnx(folder.path(), &[]).map(drop).unwrap_err();
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    let path = folder.path().join("sub/network.onnx");
    network()?.save_onnx(&path, &[])?;
    assert_eq!(Graph::from_onnx(&path)?.nodes().len(), 7);
    Ok(())
}
