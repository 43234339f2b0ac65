//! Damaged ONNX files are refused with a reason, or read: without a panic, in little memory.
//!
//! To test a million of them and show the counts:
//!
//!     PROPTEST_CASES=1000000 \
//!         cargo test --release -p foresee-graph --test onnx_hostile -- --nocapture

#[path = "../../../tests/src/hostile.rs"]
mod hostile;

use std::path::Path;

use foresee_graph::OnnxOptions;
use hostile::{Counting, alone, peak_of, survives};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More than the small networks need, and much less than damaged ones claim to.
const MOST: usize = 4 << 20;

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
