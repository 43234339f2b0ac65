//! Damaged ONNX files are refused with a reason, or read; and what is read is run, or refused:
//! without a panic, in little memory.
//!
//! To test a million of them and show the counts:
//!
//!     PROPTEST_CASES=1000000 \
//!         cargo test --release -p foresee-graph --test onnx_hostile -- --nocapture

#[path = "../../../tests/src/hostile.rs"]
mod hostile;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Error, Graph, Kind, OnnxOptions, Origin, Removal};
use hostile::{Counting, alone, peak_of, survives};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More than the small networks need, and much less than damaged ones claim to.
const MOST: usize = 4 << 20;

/// More than a run takes of a network whose numbers are [`small`](is_small).
const MOST_OF_A_RUN: usize = 256 << 20;

/// More than functions may take that are put in each other's place.
const MOST_INLINED: usize = 128 << 20;

fn files(folder: &Path, are_bombs: bool) -> AnyResult<Vec<Vec<u8>>> {
    let mut paths = vec![];
    for folder in [folder.to_owned(), folder.join("refused")] {
        for entry in std::fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    let is_model = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "onnx");
    let is_bomb = |path: &&std::path::PathBuf| path.file_stem().is_some_and(|e| e == "bomb");
    let wanted = paths.iter().filter(is_model).filter(|path| is_bomb(path) == are_bombs);
    wanted.map(|path| Ok(std::fs::read(path)?)).collect()
}

/// What a person is told; the list of operations has a line for each.
fn read(options: &OnnxOptions, bytes: &[u8]) -> Option<String> {
    options.read_bytes(bytes).err().map(|error| error.to_string().replace("\n  ", "; "))
}

#[test]
fn damaged_files_are_refused() -> AnyResult {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let options = OnnxOptions { folder: Some(folder.clone()), ..Default::default() };
    let seeds = files(&folder, false)?;
    assert!(seeds.len() > 50);
    survives("ONNX files", &seeds, 20_000, MOST, |bytes| read(&options, bytes))?;
    for bytes in files(&folder, true)? {
        let (told, peak) = peak_of(|| read(&options, &bytes));
        assert!(told.is_some_and(|told| told.contains("bytes of nodes in functions")));
        assert!(peak < MOST_INLINED, "{peak}");
    }
    Ok(())
}

/// Whether a setting makes no result that is large and yet below the limit of 2³¹ elements: the
/// test would take long.
fn is_small(number: f64) -> bool {
    number.abs() <= 16. || number.abs() >= 2f64.powi(33) || number.is_nan()
}

fn small_numbers(tensor: &Tensor) -> bool {
    let wide = tensor.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1::<f64>());
    wide.is_ok_and(|numbers| numbers.into_iter().all(is_small))
}

/// Whether all integers and settings of a graph are small.
fn is_cheap(graph: &Graph) -> bool {
    let weights = graph.values().filter_map(|(id, _)| graph.weight(id));
    let settings = graph.nodes().map(|(_, node)| format!("{:?}", node.op));
    let in_text = |text: String| {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        words.filter_map(|word| word.parse().ok()).all(is_small)
    };
    weights.filter(|weight| weight.elem_count() <= 64).all(small_numbers)
        && settings.into_iter().all(in_text)
}

/// One of each input, with 2 for sizes that are open; none if they are large.
fn ones(graph: &Graph) -> Option<Vec<Tensor>> {
    let one = |&id| {
        let Origin::Input { kind, sizes } = &graph.value(id).origin else { return None };
        let sizes: Vec<usize> = sizes.iter().map(|size| size.unwrap_or(2)).collect();
        let count = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let dtype = match kind {
            Kind::Float => DType::F32,
            Kind::Int => DType::I64,
            Kind::Bool => DType::U8,
        };
        let ones = || Tensor::ones(sizes.as_slice(), dtype, &Device::Cpu).ok();
        count.filter(|count| *count <= 1 << 16).and_then(|_| ones())
    };
    graph.inputs().iter().map(one).collect()
}

/// Runs a network, and does with it what the program does with any; false if that would take long.
/// Results that are large and yet below the limit end the run.
fn use_network(graph: &Graph) -> Result<bool, Error> {
    let Some(inputs) = ones(graph).filter(|_| is_cheap(graph)) else { return Ok(false) };
    let given: Vec<_> = graph.inputs().iter().copied().zip(inputs).collect();
    let watched = |_, value: &Tensor| match value.elem_count() > 1 << 16
        || (value.dtype() == DType::I64 && !small_numbers(value))
    {
        true => Err(candle_core::Error::Msg("costly".into()).into()),
        false => Ok(None),
    };
    let every: Vec<_> = graph.values().map(|(id, _)| id).collect();
    graph.evaluate_mapped(&given, &every, &watched)?;
    let sizes = |&(id, _): &(_, _)| match &graph.value(id).origin {
        Origin::Input { sizes, .. } => sizes.iter().skip(1).filter(|size| size.is_none()).count(),
        _ => 0,
    };
    let sizes = vec![2; given.iter().map(sizes).sum()];
    let folded = graph.fold_constants()?;
    folded.costs(&folded.shapes(2, &sizes)?);
    folded.gates();
    folded.merge_batch_norms()?;
    for group in folded.channel_groups(&sizes)? {
        if group.fixed.is_none() {
            group.filter_norms(&folded)?;
            group.readout_norms(&folded)?;
            folded.remove_channels(&[Removal { group: &group, units: &[0] }])?;
        }
    }
    folded.to_onnx(&[])?;
    Ok(true)
}

/// Numbers that are drawn, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    /// A small integer, or one that is too large for any shape.
    fn integer(&mut self) -> i64 {
        let huge = [i64::MIN, i64::MAX, 1 << 33, -1 << 40, i64::MIN + 1];
        match self.below(6) {
            0 => huge[self.below(huge.len())],
            _ => self.below(20) as i64 - 6,
        }
    }

    /// A file of which a few bytes are others: most of these can still be read.
    fn damage(&mut self, mut file: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.below(4) {
            let at = self.below(file.len());
            file[at] = match self.below(4) {
                0 => file[at].wrapping_add(1),
                1 => file[at].wrapping_sub(1),
                2 => [0, 1, 2, 3, 4, 8, 15, 16, 0x7f, 0x80, 0xff][self.below(11)],
                _ => file[self.below(file.len())],
            };
        }
        file
    }

    /// A network of which shapes, axes and indices are others.
    fn change(&mut self, mut graph: Graph) -> AnyResult<Graph> {
        let weights: Vec<_> = graph.values().map(|(id, _)| id).collect();
        for id in weights {
            let Some(weight) = graph.weight(id) else { continue };
            if weight.dtype() != DType::I64 || weight.elem_count() > 16 || self.below(6) > 0 {
                continue;
            }
            let mut numbers: Vec<i64> = weight.flatten_all()?.to_vec1()?;
            match self.below(8) {
                0 => drop(numbers.pop()),
                1 => numbers.push(self.integer()),
                _ if numbers.is_empty() => {}
                _ => {
                    let at = self.below(numbers.len());
                    numbers[at] = self.integer();
                }
            }
            let is_same = numbers.len() == weight.elem_count();
            let shape = if is_same { weight.dims().to_vec() } else { vec![numbers.len()] };
            let changed = Tensor::from_vec(numbers, shape, &Device::Cpu)?;
            graph = graph.with_weight(id, changed)?;
        }
        Ok(graph)
    }
}

#[test]
fn damaged_networks_run_or_are_refused() -> AnyResult {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let options = OnnxOptions { folder: Some(folder.clone()), ..Default::default() };
    let mut seeds = files(&folder, false)?;
    seeds.retain(|bytes| options.read_bytes(bytes).is_ok());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let (cases, mut random) = (cases.unwrap_or(20_000), Random(0x9e37_79b9_7f4a_7c15));
    let [mut ran, mut refused, mut highest] = [0; 3];
    for case in 0..cases {
        let bytes = seeds[random.below(seeds.len())].clone();
        let bytes = random.damage(bytes);
        let Ok(graph) = options.read_bytes(&bytes) else { continue };
        let graph = random.change(graph)?;
        let run = || catch_unwind(AssertUnwindSafe(|| use_network(&graph)));
        let (outcome, peak) = peak_of(run);
        let names = || graph.nodes().map(|(_, node)| format!("{:?}", node.op)).collect::<Vec<_>>();
        let outcome = outcome.map_err(|_| format!("case {case} panics: {:#?}", names()))?;
        assert!(peak < MOST_OF_A_RUN, "case {case} takes {peak} bytes: {:#?}", names());
        ran += usize::from(matches!(outcome, Ok(true)));
        refused += usize::from(outcome.is_err());
        highest = highest.max(peak);
    }
    eprintln!("{cases} networks: {ran} ran, {refused} were refused, at most {highest} bytes");
    assert!(ran > cases / 20 && refused > cases / 20, "{ran} ran, {refused} were refused");
    Ok(())
}

/// A message of Protocol Buffers that is a field with bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(bytes);
    message
}

#[test]
fn claims_take_no_memory() -> AnyResult {
    let _alone = alone();
    let options = OnnxOptions::default();
    let opset = field(8, &[0x10, 17]);
    let model = |graph: &[u8]| [field(7, graph), opset.clone()].concat();
    // A field that claims to be 2⁶⁰ bytes long, at each depth.
    let huge = [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0];
    let node = field(1, &huge);
    for bytes in [huge.to_vec(), model(&huge), model(&node), model(&field(5, &huge))] {
        let (told, peak) = peak_of(|| read(&options, &bytes));
        assert!(told.is_some_and(|told| told.contains("ends early")), "{bytes:?}");
        assert!(peak < 100_000, "{peak}");
    }
    // Ten million nodes in twenty megabytes.
    let (told, peak) = peak_of(|| read(&options, &model(&field(1, &[]).repeat(10_000_000))));
    assert!(told.is_some_and(|told| told.contains("nodes, names and settings: more than")));
    assert!(peak < 1 << 30, "{peak}");
    Ok(())
}
