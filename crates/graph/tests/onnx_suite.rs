//! ONNX's own conformance cases (`onnx/backend/test/data` of the Python package `onnx`): every case
//! passes, or has an operation that is not supported.
//!
//! The cases are found by the environment variable `FORESEE_ONNX_SUITE`, or by asking `python3`
//! where its package `onnx` is. Without both, the test says so and does nothing. To see the table:
//!
//!     cargo test --release -p foresee-graph --test onnx_suite -- --nocapture

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Error, Graph, OnnxError, Origin};
use rten_onnx::onnx::{DataType, TensorProto};
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Folders of cases, and how many of them pass at least.
const KINDS: &[(&str, usize)] = &[
    ("simple", 7),
    ("pytorch-operator", 35),
    ("pytorch-converted", 82),
    ("light", 9),
    // Single operations; `fixtures/onnx_node_cases.py` writes them.
    ("node", 988),
];

/// Keys and values for several queries' heads are refused when they run.
const FEWER_HEADS: &str = "keys have fewer heads than queries";

/// Cases that compute something else, each for a reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("test_attention_4d_gqa", FEWER_HEADS),
    ("test_attention_4d_gqa_attn_mask", FEWER_HEADS),
    ("test_attention_4d_gqa_causal", FEWER_HEADS),
    ("test_attention_4d_gqa_scaled", FEWER_HEADS),
    ("test_attention_4d_gqa_softcap", FEWER_HEADS),
    ("test_maxpool_2d_uint8", "a pool of integers"),
    ("test_mod_float_edge_cases_fmod_0_float16", "the rest of a division by infinity is NaN"),
    ("test_mod_float_edge_cases_fmod_0_float32", "the rest of a division by infinity is NaN"),
    ("test_mod_float_edge_cases_fmod_0_float64", "the rest of a division by infinity is NaN"),
    ("test_reduce_max_bool_inputs", "an extreme of truth values"),
    ("test_reduce_max_empty_set", "an extreme of nothing"),
    ("test_reduce_max_empty_set_bool", "an extreme of nothing"),
    ("test_reduce_min_bool_inputs", "an extreme of truth values"),
    ("test_reduce_min_empty_set", "an extreme of nothing"),
    (
        "test_resize_downsample_scales_linear_align_corners",
        "the new size is a whole number, as in ONNX Runtime; in the case it is not",
    ),
    (
        "test_resize_downsample_scales_cubic_align_corners",
        "the new size is a whole number, as in ONNX Runtime; in the case it is not",
    ),
];

/// The tolerance of ONNX's own runner is 1e-3 and 1e-7; sums of f32 are not the same to 1e-7.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-5;

/// Two steps of bf16, in which cases are given that we compute in f32.
const RELATIVE_BF16: f64 = 1. / 64.;

enum Outcome {
    Passed,
    /// The first operation that is not supported, and why.
    Unsupported(String),
    Failed(String),
}

fn suite() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("FORESEE_ONNX_SUITE") {
        return Some(folder.into());
    }
    let ask = "import onnx; print(onnx.__path__[0])";
    let output = Command::new("python3").args(["-c", ask]).output().ok()?;
    let package = String::from_utf8(output.stdout).ok()?;
    let data = Path::new(package.trim()).join("backend/test/data");
    (output.status.success() && data.is_dir()).then_some(data)
}

#[test]
fn every_case_passes_or_is_refused() -> AnyResult {
    let Some(suite) = suite() else {
        eprintln!("skipped: no Python package `onnx`, and FORESEE_ONNX_SUITE is not set");
        return Ok(());
    };
    let mut failures = vec![];
    let mut found = 0;
    let mut unsupported: BTreeMap<String, usize> = BTreeMap::new();
    println!("{:<20}{:>8}{:>8}{:>15}{:>8}", "cases", "all", "passed", "not supported", "failed");
    for (kind, least) in KINDS {
        let cases = cases(&suite.join(kind))?;
        let [mut passed, mut refused, mut failed] = [0; 3];
        found += cases.len();
        for case in &cases {
            match outcome(case) {
                Outcome::Passed => passed += 1,
                Outcome::Unsupported(what) => {
                    refused += 1;
                    *unsupported.entry(what).or_default() += 1;
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    failures.push(format!("{}: {why}", case.display()));
                }
            }
        }
        println!("{kind:<20}{:>8}{passed:>8}{refused:>15}{failed:>8}", cases.len());
        if !cases.is_empty() && passed < *least {
            failures.push(format!("{kind}: {passed} cases pass, fewer than {least}"));
        }
    }
    println!("\nnot supported:");
    unsupported.iter().for_each(|(what, count)| println!("{count:>6}  {what}"));
    assert!(found > 0, "{} has no cases", suite.display());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// Folders with a `model.onnx`, or whole networks as files.
fn cases(folder: &Path) -> AnyResult<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut cases = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_file = path.extension().is_some_and(|extension| extension == "onnx");
        if is_file || path.join("model.onnx").is_file() {
            cases.push(path);
        }
    }
    cases.sort();
    Ok(cases)
}

fn outcome(case: &Path) -> Outcome {
    let is_network = case.is_file();
    let model = if is_network { case.to_owned() } else { case.join("model.onnx") };
    let graph = match Graph::from_onnx(&model) {
        Ok(graph) => graph,
        Err(error) => return refusal(&error),
    };
    let checked = if is_network { whole(&graph, case) } else { sets(&graph, case) };
    let name = case.file_name().unwrap_or_default();
    let different = DIFFERENT.iter().find(|different| name == different.0);
    match (checked, different) {
        (Ok(()), None) => Outcome::Passed,
        (Ok(()), Some(_)) => Outcome::Failed("it passes, but is listed as different".into()),
        (Err(_), Some((_, why))) => Outcome::Unsupported(format!("{why}: {}", name.display())),
        (Err(error), None) => Outcome::Failed(error.to_string()),
    }
}

fn refusal(error: &Error) -> Outcome {
    match error {
        Error::Onnx { source: OnnxError::Unsupported(list), .. } => {
            let first = &list[0];
            let colon = if first.reason.is_empty() { "" } else { ": " };
            Outcome::Unsupported(format!("{}{colon}{}", first.op, first.reason))
        }
        Error::Onnx { source: OnnxError::Input { reason, .. }, .. } => {
            Outcome::Unsupported(format!("an input {reason}"))
        }
        Error::Onnx { source: OnnxError::Tensor { reason, .. }, .. } => {
            Outcome::Unsupported(format!("a tensor: {reason}"))
        }
        Error::Onnx { source: OnnxError::Opset { version, .. }, .. } => {
            Outcome::Unsupported(format!("opset {version}"))
        }
        error => Outcome::Failed(error.to_string()),
    }
}

/// A network's inputs are i/n for element i of n, its outputs lie beside it.
fn whole(graph: &Graph, case: &Path) -> AnyResult {
    let input = |id| {
        let Origin::Input { sizes, .. } = &graph.value(id).origin else { return Err("no input") };
        let shape: Vec<usize> = sizes.iter().map(|size| size.unwrap_or(1)).collect();
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| (i as f64 / count as f64) as f32).collect::<Vec<f32>>();
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(|_| "no tensor")
    };
    let inputs = graph.inputs().iter().map(|id| input(*id)).collect::<Result<Vec<_>, _>>()?;
    let stem = case.with_extension("");
    let file = |index| PathBuf::from(format!("{}_output_{index}.pb", stem.display()));
    compare(&graph.forward(&inputs)?, &tensors(file)?)
}

/// The inputs and outputs of a case lie in folders.
fn sets(graph: &Graph, case: &Path) -> AnyResult {
    let mut sets: Vec<PathBuf> = vec![];
    for entry in fs::read_dir(case)? {
        let path = entry?.path();
        if path.is_dir() {
            sets.push(path);
        }
    }
    sets.sort();
    for set in sets {
        let inputs = tensors(|index| set.join(format!("input_{index}.pb")))?;
        let inputs = inputs.iter().map(ours).collect::<AnyResult<Vec<_>>>()?;
        let outputs = graph.forward(&inputs)?;
        compare(&outputs, &tensors(|index| set.join(format!("output_{index}.pb")))?)?;
    }
    Ok(())
}

fn tensors(file: impl Fn(usize) -> PathBuf) -> AnyResult<Vec<TensorProto>> {
    let files = (0..).map(file).take_while(|file| file.is_file());
    files.map(|file| Ok(TensorProto::decode(ValueReader::from_buf(fs::read(file)?))?)).collect()
}

/// The tensor as our networks hold it: f32, i64 or u8.
fn ours(proto: &TensorProto) -> AnyResult<Tensor> {
    let dims: Vec<usize> = proto.dims.iter().map(|size| *size as usize).collect();
    let bytes = proto.raw_data.as_ref().map(|bytes| bytes.borrow().clone());
    let dtype = match proto.data_type {
        Some(DataType::FLOAT) => DType::F32,
        Some(DataType::DOUBLE) => DType::F64,
        Some(DataType(10)) => DType::F16,
        Some(DataType(16)) => DType::BF16,
        Some(DataType::BOOL) => {
            let bools =
                bytes.unwrap_or_else(|| proto.int32_data.iter().map(|i| *i as u8).collect());
            return Ok(Tensor::from_vec(bools, dims, &Device::Cpu)?);
        }
        _ => return Ok(Tensor::from_vec(integers(proto, bytes)?, dims, &Device::Cpu)?),
    };
    let tensor = match bytes {
        Some(bytes) => Tensor::from_raw_buffer(&bytes, dtype, &dims, &Device::Cpu)?,
        None if dtype == DType::F64 => {
            Tensor::from_vec(proto.double_data.clone(), dims, &Device::Cpu)?
        }
        None if dtype == DType::F32 => {
            Tensor::from_vec(proto.float_data.clone(), dims, &Device::Cpu)?
        }
        None => {
            let bits = proto.int32_data.iter().flat_map(|bits| (*bits as u16).to_le_bytes());
            let bytes: Vec<u8> = bits.collect();
            Tensor::from_raw_buffer(&bytes, dtype, &dims, &Device::Cpu)?
        }
    };
    Ok(tensor.to_dtype(DType::F32)?)
}

fn integers(proto: &TensorProto, bytes: Option<Vec<u8>>) -> AnyResult<Vec<i64>> {
    let (size, signed) = match proto.data_type.ok_or("no type")?.0 {
        2 => (1, false),
        3 => (1, true),
        4 => (2, false),
        5 => (2, true),
        6 => (4, true),
        7 => (8, true),
        12 => (4, false),
        13 => (8, false),
        other => return Err(format!("the type {other} is not supported").into()),
    };
    let Some(bytes) = bytes else {
        let small = proto.int32_data.iter().map(|value| i64::from(*value));
        return Ok(small.chain(proto.int64_data.iter().copied()).collect());
    };
    let wide = |bytes: &[u8]| {
        let fill = if signed && bytes[size - 1] >= 0x80 { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..size].copy_from_slice(bytes);
        i64::from_le_bytes(wide)
    };
    Ok(bytes.chunks_exact(size).map(wide).collect())
}

fn compare(computed: &[Tensor], expected: &[TensorProto]) -> AnyResult {
    if computed.len() != expected.len() {
        return Err(format!("{} outputs, not {}", computed.len(), expected.len()).into());
    }
    for (index, (computed, expected)) in computed.iter().zip(expected).enumerate() {
        let is_bf16 = expected.data_type == Some(DataType(16));
        let relative = if is_bf16 { RELATIVE_BF16 } else { RELATIVE };
        let expected = ours(expected)?;
        if computed.dims() != expected.dims() || computed.dtype() != expected.dtype() {
            return Err(format!("output {index} is {computed:?}, not {expected:?}").into());
        }
        let values = |x: &Tensor| x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        for (place, (a, b)) in values(computed)?.into_iter().zip(values(&expected)?).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan());
            let is_near = (a - b).abs() <= ABSOLUTE + relative * b.abs();
            if !same && !is_near {
                return Err(format!("output {index}, element {place}: {a}, not {b}").into());
            }
        }
    }
    Ok(())
}
