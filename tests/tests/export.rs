//! `export`: what another program is given, and that it computes the same there. The comparison
//! itself needs a Python with PyTorch, `safetensors`, NumPy and Pillow (and onnxruntime for ONNX):
//! the one that `FORESEE_PYTHON` names, or `python3`. Without it that part says so and passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresee_tests::{QUICK, message, small_run, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// A run, which drew its own faces.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(more: &[&str]) -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        let output = xtask(&small_run(&made.path("run"), more)?, &[])?;
        assert!(output.status.success(), "{}", message(&output));
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports the run's network.
    fn export(&self, more: &[&str]) -> AnyResult<Output> {
        let run = self.path("run");
        xtask(&[&["export", "--run", text(&run)?][..], more].concat(), &[])
    }
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", message(output));
    assert!(message(output).contains(reason), "{reason}: {}", message(output));
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", message(output));
}

/// A Python that has these modules.
fn python(modules: &str) -> Option<String> {
    let name = std::env::var("FORESEE_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&name).args(["-c", &format!("import {modules}")]).output();
    let has = found.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: {name} has not all of {modules}; FORESEE_PYTHON names another");
    }
    has.then_some(name)
}

/// Runs the exported test on the drawn faces, on the run's faces, and on the ONNX model where there
/// is a Python for it.
fn compare(folder: &Path, faces: &Path, onnx: &Path) -> AnyResult {
    let Some(program) = python("torch, safetensors, numpy, PIL") else { return Ok(()) };
    let mut command = Command::new(program);
    command.arg(folder.join("test_export.py")).arg("--faces").arg(faces);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut results = 2;
    if python("onnxruntime").is_some() {
        command.arg("--onnx").arg(onnx);
        results = 4;
    }
    let output = command.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", message(&output));
    assert_eq!(printed.lines().filter(|line| line.ends_with(", ok")).count(), results, "{printed}");
    Ok(())
}

#[test]
fn a_network_is_exported_and_computes_the_same_elsewhere() -> AnyResult {
    let made = Fixture::new(&QUICK)?;
    let (folder, onnx) = (made.path("network"), made.path("network.onnx"));
    succeeded(&made.export(&["--pytorch", text(&folder)?, "--onnx", text(&onnx)?])?);

    let model = fs::read(made.path("run/model.safetensors"))?;
    assert!(fs::read(folder.join("model.safetensors"))? == model, "the weights as they are");
    let json = |name: &str| -> AnyResult<serde_json::Value> {
        Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?)
    };
    let preprocessing = json("preprocessing.json")?;
    for (key, value) in [
        ("crop", serde_json::json!("square")),
        ("size", serde_json::json!(12)),
        ("filter", serde_json::json!("bilinear_antialias")),
        ("channel_order", serde_json::json!("RGB")),
        ("value_range", serde_json::json!([0., 1.])),
        ("mean", serde_json::json!([0.5, 0.5, 0.5])),
        ("deviation", serde_json::json!([0.5, 0.5, 0.5])),
        ("threshold", serde_json::json!(0.5)),
    ] {
        assert_eq!(preprocessing[key], value, "{key}");
    }
    let expected = json("expected.json")?;
    for kind in ["drawn", "faces"] {
        let images = expected[kind].as_array().ok_or("a list")?;
        assert_eq!(images.len(), 10, "{kind}");
        for image in images {
            let probabilities = image["probabilities"].as_array().ok_or("a list")?;
            assert_eq!(probabilities.len(), 40);
            let possible = |p: &serde_json::Value| p.as_f64().is_some_and(|p| p > 0. && p < 1.);
            assert!(probabilities.iter().all(possible));
        }
    }
    let readme = fs::read_to_string(folder.join("README.md"))?;
    assert!(readme.contains("synthetic faces, not CelebA") && !readme.contains("{{"), "{readme}");
    let bytes = fs::read(&onnx)?;
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(bytes.starts_with(b"\x08\x0a\x12\x07foresee") && holds(b"bilinear_antialias"));
    compare(&folder, &made.path("run/faces"), &onnx)?;

    // What is there is replaced where it may be, and refused where not.
    refused(&made.export(&["--pytorch", text(&folder)?])?, "--overwrite");
    succeeded(&made.export(&["--pytorch", text(&folder)?, "--overwrite"])?);
    succeeded(&made.export(&["--onnx", text(&onnx)?])?);
    fs::write(folder.join("notes.txt"), "mine")?;
    refused(&made.export(&["--pytorch", text(&folder)?, "--overwrite"])?, "did not write");
    assert_eq!(fs::read_to_string(folder.join("notes.txt"))?, "mine");
    Ok(())
}

#[test]
fn other_architectures_and_pruned_and_compacted_networks_are_exported() -> AnyResult {
    for (at, settings) in [
        ["model.mask_kernel=3", "model.readout=signs"],
        ["model.attention=false", "data.crop=whole"],
    ]
    .iter()
    .enumerate()
    {
        let more = [&["--set", settings[0], "--set", settings[1]][..], &QUICK].concat();
        let made = Fixture::new(&more)?;
        let (folder, onnx) = (made.path("network"), made.path("network.onnx"));
        let (faces, changed) = (made.path("run/faces"), made.path("changed.safetensors"));
        if at == 0 {
            let (run, pruned) = (made.path("run"), made.path("pruned.safetensors"));
            let start = ["prune", "--run", text(&run)?, "--count", "5", "--save", text(&pruned)?];
            succeeded(&xtask(&start, &[])?);
            let start = ["compact", "--model", text(&pruned)?, "--celeba", text(&faces)?];
            let more = ["--tolerance", "0.05", "--out", text(&changed)?];
            succeeded(&xtask(&[&start[..], &more].concat(), &[])?);
        } else {
            fs::copy(made.path("run/model.safetensors"), &changed)?;
        }
        let mut arguments = vec!["export", "--model", text(&changed)?, "--celeba", text(&faces)?];
        arguments.extend(["--pytorch", text(&folder)?, "--onnx", text(&onnx)?]);
        succeeded(&xtask(&arguments, &[])?);
        compare(&folder, &faces, &onnx)?;
    }
    Ok(())
}

#[test]
fn wrong_input_is_refused_before_anything_is_written() -> AnyResult {
    let made = Fixture::new(&QUICK)?;
    let (out, run) = (made.path("out"), made.path("run"));
    let model = run.join("model.safetensors");
    let out_text = text(&out)?;
    assert_eq!(made.export(&[])?.status.code(), Some(2), "nothing to write");
    assert_eq!(xtask(&["export", "--pytorch", out_text], &[])?.status.code(), Some(2));
    let both = made.export(&["--model", text(&model)?, "--pytorch", out_text])?;
    assert_eq!(both.status.code(), Some(2));
    let none = made.path("none");
    refused(&xtask(&["export", "--run", text(&none)?, "--pytorch", out_text], &[])?, "none");
    let other = made.path("other.safetensors");
    fs::write(&other, "no model")?;
    let arguments = ["export", "--model", text(&other)?, "--pytorch", out_text];
    refused(&xtask(&arguments, &[])?, "safetensors");

    refused(&made.export(&["--pytorch", text(&other)?])?, "is a file");
    refused(&made.export(&["--pytorch", "-"])?, "name a folder");
    refused(&made.export(&["--pytorch", text(&run)?, "--overwrite"])?, "the run");
    let inside = run.join("faces/network");
    refused(&made.export(&["--pytorch", text(&inside)?])?, "belongs to the run");
    let faces = run.join("faces");
    let arguments = ["export", "--model", text(&model)?, "--celeba", text(&faces)?];
    let around = made.path("run/..");
    let more = ["--pytorch", text(&around)?, "--overwrite"];
    refused(&xtask(&[&arguments[..], &more].concat(), &[])?, "reads");
    refused(&made.export(&["--onnx", text(&model)?, "--overwrite"])?, "reads it");
    refused(&made.export(&["--onnx", text(&other)?])?, "--overwrite");
    assert!(!out.exists() && !inside.exists());
    assert_eq!(fs::read_to_string(&other)?, "no model");
    Ok(())
}
