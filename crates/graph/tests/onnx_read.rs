//! Small networks in all forms of ONNX (`fixtures/onnx_models.py`) compute what ONNX Runtime
//! computes; what cannot be read is refused with its reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Error, Graph, OnnxError, OnnxOptions, Op, Origin};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn model(name: &str) -> PathBuf {
    fixtures().join("onnx").join(name).with_extension("onnx")
}

/// Inputs and outputs by the networks' names.
fn expected() -> AnyResult<BTreeMap<String, [Vec<Tensor>; 2]>> {
    let file = fixtures().join("onnx_models.safetensors");
    let tensors = candle_core::safetensors::load(file, &Device::Cpu)?;
    let mut cases: BTreeMap<String, [Vec<Tensor>; 2]> = BTreeMap::new();
    let mut keys: Vec<&String> = tensors.keys().collect();
    keys.sort_by_key(|key| (key.len(), *key));
    for key in keys {
        let mut parts = key.split('/');
        let case = cases.entry(parts.next().unwrap_or_default().into()).or_default();
        case[usize::from(parts.next() == Some("output"))].push(tensors[key].clone());
    }
    Ok(cases)
}

/// The greatest difference, of large values in proportion; equal infinities have none.
fn difference(a: &Tensor, b: &Tensor) -> AnyResult<f64> {
    assert_eq!(a.dims(), b.dims());
    let values = |x: &Tensor| x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let differences = values(a)?.into_iter().zip(values(b)?).map(|(a, b)| match a == b {
        true => 0.,
        // NaN is infinitely far from everything.
        false if a.is_nan() || b.is_nan() => f64::INFINITY,
        false => (a - b).abs() / b.abs().max(1.),
    });
    Ok(differences.max_by(f64::total_cmp).unwrap_or(0.))
}

#[test]
fn networks_compute_what_onnx_runtime_computes() -> AnyResult {
    let cases = expected()?;
    assert!(cases.len() >= 29, "{} networks", cases.len());
    for (name, [inputs, outputs]) in cases {
        for dtype in [DType::F32, DType::F64] {
            let options = OnnxOptions { dtype, ..OnnxOptions::default() };
            let graph = options.read(&model(&name))?;
            let of = |x: &Tensor| {
                if x.dtype() == DType::F32 { x.to_dtype(dtype) } else { Ok(x.clone()) }
            };
            let inputs = inputs.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            let computed = graph.forward(&inputs).map_err(|error| format!("{name}: {error}"))?;
            assert_eq!(computed.len(), outputs.len(), "{name}");
            for (index, (computed, expected)) in computed.iter().zip(&outputs).enumerate() {
                let context = format!("{name}, output {index}, {dtype:?}");
                assert_eq!(computed.dims(), expected.dims(), "{context}");
                // Casts make f32, which becomes f64 where it meets f64.
                let is_float = (computed.dtype().is_float(), expected.dtype().is_float());
                assert!(
                    computed.dtype() == expected.dtype() || is_float == (true, true),
                    "{context}"
                );
                let difference = difference(computed, expected)?;
                assert!(difference < 2e-5, "{context}: {difference}");
            }
        }
    }
    Ok(())
}

/// The files in `refused`, and what a person is told.
const REFUSED: &[(&str, &[&str])] = &[
    ("arity", &["node `y` (Conv, opset 17): it has 1 inputs"]),
    ("attribute_type", &["the attribute `strides` is an integer, not a list of integers"]),
    ("attribute_value", &["strides = 0 is not from 1"]),
    ("bomb", &["bytes of nodes in functions: more than"]),
    ("cycle", &["these nodes wait for each other: ", "first", "second", "third"]),
    ("dropout", &["Dropout (opset 6): in training mode", "node `drop`"]),
    ("enormous", &["the tensor `w`: a tensor cannot have the shape [1152921504606846976]"]),
    ("external_absolute", &["`/etc/passwd`: files outside of the network's folder"]),
    ("external_huge", &["`external.bin`: it needs 4398046511104 bytes", "has 52 bytes"]),
    ("external_length", &["its shape needs 24 bytes, not 23"]),
    ("external_missing", &["`nowhere.bin`", "it must lie beside the network's file"]),
    ("external_nothing", &["files outside of the network's folder are not read"]),
    ("external_number", &["offset = `-1` is no number of bytes"]),
    ("external_offset", &["it needs 24 bytes from byte 18446744073709551615 on"]),
    ("external_parent", &["`../external.bin`: files outside of the network's folder"]),
    ("external_short", &["files outside of the network's folder"]),
    ("four_dimensions", &["Conv (opset 17): 4 spatial dimensions (one to three are)"]),
    ("int4", &["the tensor `w`: it holds integers of 4 bits or less"]),
    ("kernel_shape", &["kernel_shape is [3, 3], the weight's shape [1, 3, 1, 1]"]),
    ("missing_data", &["the tensor `w`: its shape [3] needs 3 elements, not 2"]),
    ("nan", &["the tensor `w`: element 1 is not a number (NaN)"]),
    ("no_shape", &["the input `x` has no shape"]),
    (
        "operations",
        &[
            "6 nodes have operations that are not supported",
            "Einsum (opset 17): equation = ...wh->...hw: node `einsum`",
            "MaxPool (opset 17): its output `indices` is needed: node `b`",
            "Resize (opset 17): coordinate_transformation_mode = tf_crop_and_resize: node `resize`",
            "elsewhere.Own (opset 1): only operations of the domain ai.onnx are supported",
            "LeakyRelu (opset 17): the attribute `beta`: node `e`",
            "Mod (opset 17): fmod = 1: node `f`",
        ],
    ),
    ("opset_5", &["the file has opset 5, but opsets 6 to 28 are understood"]),
    ("opset_99", &["the file has opset 99", "opset_version=28"]),
    ("output", &["an output of the network needs `y`"]),
    ("recursion", &["function `Loop` calls itself"]),
    ("sequence", &["the input `x` is a sequence"]),
    ("subgraph", &["If (opset 17)"]),
    ("text_input", &["the input `x` holds text"]),
    ("training", &["BatchNormalization (opset 17): in training mode"]),
    ("twice", &["node `b` computes `y`, which is there already"]),
    ("undefined", &["node `sum` (Add) needs `nowhere`"]),
];

#[test]
fn files_that_cannot_be_read_are_refused_with_a_reason() -> AnyResult {
    let folder = fixtures().join("onnx/refused");
    let mut files: Vec<String> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let listed: Vec<&str> = REFUSED.iter().map(|refused| refused.0).collect();
    assert_eq!(files, listed);
    let options = OnnxOptions { folder: Some(fixtures().join("onnx")), ..Default::default() };
    for (name, parts) in REFUSED {
        let path = folder.join(name).with_extension("onnx");
        let error = options.read(&path).err().ok_or(*name)?.to_string();
        for part in *parts {
            assert!(error.contains(part), "{name}: {error}");
        }
        assert!(error.starts_with(&path.display().to_string()), "{name}: {error}");
    }
    Ok(())
}

#[test]
fn nodes_and_values_have_names_that_nothing_else_has() -> AnyResult {
    let graph = Graph::from_onnx(&model("names"))?;
    let names: Vec<&str> = graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    let order = ["same", "Mul_a", "Clip_b", "same_2"];
    assert_eq!(names[..4], order, "in an order in which they can be computed");
    assert_eq!(weights(&graph), 1, "weights that no node reads are left out");

    let graph = Graph::from_onnx(&model("functions"))?;
    let names: Vec<&str> = graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    assert!(names.contains(&"first/inner/leaky"), "{names:?}");
    let leaky = graph.find_node("first/inner/leaky")?;
    assert_eq!(graph.node(leaky).op.name(), "LeakyRelu");
    Ok(())
}

/// Values of all weights that are numbers with a fraction.
fn weights(graph: &Graph) -> usize {
    let weights = graph.values().filter_map(|(id, _)| graph.weight(id));
    weights.filter(|weight| weight.dtype().is_float()).map(Tensor::elem_count).sum()
}

#[test]
fn sizes_that_have_a_name_can_be_anything() -> AnyResult {
    let graph = Graph::from_onnx(&model("f16"))?;
    let Origin::Input { sizes, .. } = &graph.value(graph.inputs()[0]).origin else {
        return Err("no input".into());
    };
    assert_eq!(*sizes, [None, Some(1), Some(3), Some(3)]);
    for batch in [1, 5] {
        let x = Tensor::zeros((batch, 1, 3, 3), DType::F32, &Device::Cpu)?;
        assert_eq!(graph.forward(&[x])?[0].dims(), [batch, 2, 2, 2]);
    }
    Ok(())
}

#[test]
fn settings_that_were_attributes_become_weights() -> AnyResult {
    let graph = Graph::from_onnx(&model("moved_9"))?;
    let clip = graph.nodes().find(|(_, node)| node.op == Op::Clip).ok_or("no clip")?.1;
    let low = clip.input(1).and_then(|low| graph.weight(low)).ok_or("no bound")?;
    assert_eq!(low.to_scalar::<f32>()?, -0.5);
    Ok(())
}

#[test]
fn weights_in_other_files_are_read_from_the_folder_only() -> AnyResult {
    let path = model("external");
    let bytes = std::fs::read(&path)?;
    let error = Graph::from_onnx_bytes(&bytes).err().ok_or("read without a folder")?;
    assert!(error.to_string().contains("set `folder`"), "{error}");
    let folder = path.parent().map(Path::to_owned);
    let graph = OnnxOptions { folder, ..Default::default() }.read_bytes(&bytes)?;
    assert_eq!(weights(&graph), 6 + 3 + 6);

    let folder = tempfile::tempdir()?;
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside.bin"));
    std::fs::create_dir(&inside)?;
    std::fs::copy(&path, inside.join("model.onnx"))?;
    std::fs::copy(path.with_extension("bin"), &outside)?;
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&outside, inside.join("external.bin"))?;
        let error = Graph::from_onnx(&inside.join("model.onnx")).err().ok_or("link followed")?;
        assert!(error.to_string().contains("a link out of the network's folder"), "{error}");
        std::fs::remove_file(inside.join("external.bin"))?;
    }
    std::fs::write(inside.join("external.bin"), [0; 40])?;
    let error = Graph::from_onnx(&inside.join("model.onnx")).err().ok_or("short file read")?;
    assert!(error.to_string().contains("the file has 40 bytes"), "{error}");
    Ok(())
}

#[test]
fn what_is_no_file_is_told() -> AnyResult {
    let error = Graph::from_onnx(Path::new("nowhere.onnx")).err().ok_or("read")?;
    assert!(error.to_string().starts_with("nowhere.onnx: the file cannot be read"), "{error}");
    let error = Graph::from_onnx(&fixtures()).err().ok_or("folder read")?;
    assert!(error.to_string().contains("this is no file"), "{error}");
    let error = Graph::from_onnx_bytes(b"").err().ok_or("nothing read")?;
    assert!(error.to_string().contains("it has no graph"), "{error}");
    let error = OnnxOptions { dtype: DType::F16, ..Default::default() }.read(&model("f16"));
    let Err(Error::Onnx { source: OnnxError::NumberType("f16"), .. }) = error else {
        return Err("f16 taken".into());
    };
    Ok(())
}
