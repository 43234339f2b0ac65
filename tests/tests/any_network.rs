//! Networks of other people on the command line: what each command leaves, that finished work is
//! not done again, and what bad input gets. `fixtures/shapes.py` made the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use candle_core::{Device, Tensor};
use foresee_graph::{Builder, Graph, Op, PoolKind, Window};
use foresee_tests::{message, text, xtask};
use serde_json::Value;

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// Images of each of the four patterns.
const OF_A_KIND: usize = 6;
const NAMES: [&str; 4] = ["lying", "standing", "disc", "frame"];

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shapes.onnx")
}

/// Images of the four patterns with their labels, as PNG files.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        fs::create_dir(made.path("images"))?;
        let mut classes = String::from("image,label\n");
        let mut attributes = format!("image,{}\n", NAMES.join(","));
        for number in 0..4 * OF_A_KIND {
            let kind = number % 4;
            let name = format!("{number:02}.png");
            write_png(&made.path("images").join(&name), &drawn(kind, number))?;
            classes += &format!("{name},{}\n", NAMES[kind]);
            let is: Vec<&str> = (0..4).map(|k| if k == kind { "1" } else { "0" }).collect();
            attributes += &format!("{name},{}\n", is.join(","));
        }
        fs::write(made.path("labels.csv"), classes)?;
        fs::write(made.path("attributes.csv"), attributes)?;
        fs::write(made.path("classes.txt"), NAMES.join("\n"))?;
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with the fixture's model, images, labels and classes.
    fn run(&self, command: &str, out: &str, more: &[&str]) -> AnyResult<Output> {
        self.run_with(command, &model(), out, more)
    }

    fn run_with(&self, command: &str, model: &Path, out: &str, more: &[&str]) -> AnyResult<Output> {
        let paths = [
            model.to_path_buf(),
            self.path("images"),
            self.path("labels.csv"),
            self.path("classes.txt"),
            self.path(out),
        ];
        let options = ["--model", "--images", "--labels", "--classes", "--out"];
        let mut arguments = vec![command];
        for (option, path) in options.iter().zip(&paths) {
            // A test gives its own instead.
            if !more.contains(option) {
                arguments.extend([*option, text(path)?]);
            }
        }
        arguments.extend(more);
        xtask(&arguments, &[])
    }
}

impl Fixture {
    /// The command that saves a pruned network, which needs no folder.
    fn pruned(&self, more: &[&str]) -> AnyResult<Output> {
        let paths =
            [model(), self.path("images"), self.path("labels.csv"), self.path("classes.txt")];
        let options = ["--model", "--images", "--labels", "--classes"];
        let mut arguments = vec!["prune"];
        for (option, path) in options.iter().zip(&paths) {
            arguments.extend([option, text(path)?]);
        }
        arguments.extend(more);
        xtask(&arguments, &[])
    }
}

/// 32 pixels a side, RGB.
fn drawn(kind: usize, number: usize) -> Vec<u8> {
    let colours = [[200, 40, 60], [30, 160, 220], [240, 220, 60], [40, 60, 50]];
    let (ground, ink) = (colours[number % 4], colours[(number / 4 + number + 1) % 4]);
    let ink = if ink == ground { [255, 255, 255] } else { ink };
    let period = 4 + (number / 4 % 5) as i32;
    let pixel = |at: i32| {
        let (x, y) = (at % 32 - 16, at / 32 - 16);
        let is_on = match kind {
            0 => (y + 32) / period % 2 == 0,
            1 => (x + 32) / period % 2 == 0,
            2 => x * x + y * y < (period + 4) * (period + 4),
            _ => (x.abs().max(y.abs()) - period - 4).abs() < 2,
        };
        if is_on { ink } else { ground }
    };
    (0..32 * 32).flat_map(pixel).collect()
}

fn write_png(path: &Path, rgb: &[u8]) -> AnyResult {
    let mut encoder = png::Encoder::new(fs::File::create(path)?, 32, 32);
    encoder.set_color(png::ColorType::Rgb);
    Ok(encoder.write_header()?.write_image_data(rgb)?)
}

fn succeeded(output: &Output) -> AnyResult<String> {
    assert!(output.status.success(), "{}", message(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn document(output: &Output) -> AnyResult<Value> {
    Ok(serde_json::from_str(&succeeded(output)?)?)
}

fn refused(output: &Output, reasons: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{reasons:?}: {}", message(output));
    for reason in reasons {
        assert!(message(output).contains(reason), "{reason}: {}", message(output));
    }
}

/// The time that each part of a folder's manifest took: another one if it was done again.
fn seconds(folder: &Path) -> AnyResult<Vec<(String, f64)>> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let stages = manifest["stages"].as_object().ok_or("stages")?;
    let seconds =
        |(name, stage): (&String, &Value)| Some((name.clone(), stage["wall_seconds"].as_f64()?));
    Ok(stages.iter().filter_map(seconds).collect())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[test]
fn inspect_counts_what_pytorch_counts() -> AnyResult {
    let inspect = |more: &[&str]| xtask(&[&["inspect", text(&model())?][..], more].concat(), &[]);
    let found = document(&inspect(&["--json"])?)?;
    // By hand from shapes.py: weights and biases, and for each output the inputs under its window.
    assert_eq!(found["parameters"], 336 + 2 * 1308 + 52 + 60 + 1744 + 68);
    let heads = 48 + 48 + 16 * 4;
    assert_eq!(found["macs"], 256 * 12 * 27 + 2 * 256 * 12 * 108 + 64 * 16 * 108 + heads);
    assert_eq!(found["inputs"][0]["shape"], "[B, 3, 32, 32]");
    assert_eq!(found["gates"][0]["kind"], "sigmoid");
    let groups = found["channel_groups"].as_array().ok_or("groups")?;
    let of = |module: &str| groups.iter().find(|group| group["module"] == module);
    // The residual sum and the gate bind three layers together.
    let joined = of("stem.0").ok_or("the group of the stem")?;
    assert_eq!(joined["channels"], 12);
    assert_eq!(joined["computed_by"].as_str().map(|names| names.split(", ").count()), Some(3));
    assert!(of("fc").is_some_and(|group| group["fixed"] != ""), "{groups:?}");
    assert!(of("block.conv1").is_some_and(|group| group["fixed"] == ""), "{groups:?}");

    let shown = succeeded(&inspect(&[])?)?;
    assert!(shown.contains("4,876") && shown.contains("857,248"), "{shown}");
    Ok(())
}

#[test]
fn maps_are_drawn_once() -> AnyResult {
    let made = Fixture::new()?;
    let few = ["--limit", "3", "--steps", "4", "--method", "grad-cam", "--method", "lrp"];
    let found = document(&made.run("explain", "out", &[&few[..], &["--json"]].concat())?)?;
    let rows = found["explanations"].as_array().ok_or("rows")?;
    assert_eq!(rows.len(), 3 * 2);
    for row in rows {
        assert_eq!(row["output"], row["label"], "the network is right: {row}");
        assert!(number(&row["share"]) > 0.5 && number(&row["greatest"]) > 0., "{row}");
    }
    let out = made.path("out");
    for file in ["explain.html", "figures/explanations_1.png", "figures/explanations_1.svg"] {
        assert!(fs::metadata(out.join(file))?.len() > 1000, "{file}");
    }
    let image = rows[0]["image"].as_str().ok_or("a name")?;
    let maps = fs::read_to_string(out.join(format!("data/explanations/{image}.maps.csv")))?;
    assert!(maps.starts_with("y,image,output,share,label,method,greatest,x0,"));
    assert_eq!(maps.lines().count(), 1 + 2 * 32);

    // Nothing is done again, and one more image is only that one.
    let before = seconds(&out)?;
    succeeded(&made.run("explain", "out", &few)?)?;
    assert_eq!(before, seconds(&out)?);
    succeeded(&made.run("explain", "out", &[&["--limit", "4"][..], &few[2..]].concat())?)?;
    let after = seconds(&out)?;
    let images = before.iter().filter(|(name, _)| name.starts_with("explain "));
    assert!(images.clone().count() == 3 && images.clone().all(|part| after.contains(part)));
    assert_eq!(after.len(), before.len() + 1);

    // An image alone, an output by name, and a method that the network does not allow.
    let image = made.path("images/05.png");
    let alone = ["--images", text(&image)?, "--class", "disc", "--method", "occlusion"];
    let more = ["--grid", "4", "--json", "--labels", "folders"];
    let found = made.run("explain", "one", &[&alone[..], &more].concat())?;
    refused(&found, &["--labels folders", "is in no folder"]);
    let masks = made.run("explain", "one", &["--method", "masks"])?;
    refused(&masks, &["shapes.onnx", "--method masks"]);
    Ok(())
}

#[test]
fn gates_are_transformed() -> AnyResult {
    let made = Fixture::new()?;
    let settings = ["--sigma", "0,0.2", "--curve", "power n=2 beta=0.1"];
    let found = document(&made.run("transform", "out", &[&settings[..], &["--json"]].concat())?)?;
    let points = found["gate_transformation"].as_array().ok_or("points")?;
    assert_eq!(points.len(), 2 * 2);
    assert!(number(&points[0]["accuracy"]) > 0.7, "{points:?}");
    assert!(points.iter().all(|point| point["images"] == 4 * OF_A_KIND));
    let before = seconds(&made.path("out"))?;
    succeeded(&made.run("transform", "out", &settings)?)?;
    assert_eq!(before, seconds(&made.path("out"))?);
    assert!(made.path("out/transform.html").exists());

    // The same as yes or no for each output.
    let attributes = made.path("attributes.csv");
    let labels = [&settings[..], &["--labels", text(&attributes)?, "--json"]].concat();
    let found = document(&made.run("transform", "each", &labels)?)?;
    assert!(number(&found["gate_transformation"][0]["accuracy"]) > 0.5, "{found}");

    let unknown = made.run("transform", "none", &["--gate", "node_relu"])?;
    refused(&unknown, &["has no gate `node_relu`", "node_sigmoid"]);
    Ok(())
}

#[test]
fn forecasts_stand_beside_outcomes() -> AnyResult {
    let made = Fixture::new()?;
    let settings = ["--shares", "0.1,0.5", "--layer", "block.conv1", "--layer", "narrow.0"];
    let found = document(&made.run("predict", "out", &[&settings[..], &["--json"]].concat())?)?;
    let rows = found["forecasts"].as_array().ok_or("rows")?;
    assert_eq!(rows.len(), 2 * 2);
    for row in rows {
        assert!(number(&row["accuracy_before"]) > 0.7, "{row}");
        assert!(number(&row["change"]) > 0. && number(&row["change_forecast"]) > 0., "{row}");
    }
    assert!(found["predictability"].as_array().is_some_and(|scores| !scores.is_empty()));
    for file in ["predict.html", "figures/forecast_beside_outcome.svg", "data/forecasts.csv"] {
        assert!(made.path("out").join(file).exists(), "{file}");
    }
    let before = seconds(&made.path("out"))?;
    succeeded(&made.run("predict", "out", &settings)?)?;
    assert_eq!(before, seconds(&made.path("out"))?);
    let fixed = made.run("predict", "fixed", &["--layer", "fc"])?;
    refused(&fixed, &["--layer fc: cannot be pruned", "logits"]);
    let unknown = made.run("predict", "fixed", &["--layer", "conv9"])?;
    refused(&unknown, &["--layer conv9", "foresee inspect"]);
    Ok(())
}

#[test]
fn layers_are_pruned_one_by_one() -> AnyResult {
    let made = Fixture::new()?;
    let one = ["--layer", "block.conv1", "--shares", "0.25,0.5"];
    let found = document(&made.run("prune", "out", &[&one[..], &["--json"]].concat())?)?;
    let points = found["pruning"].as_array().ok_or("points")?;
    // Four orders, two takeovers; 0, 3 and 6 of 12 channels.
    assert_eq!(points.len(), 4 * 2 * 3);
    for point in points {
        assert_eq!((&point["channels"], &point["images"]), (&12.into(), &(2 * OF_A_KIND).into()));
        assert!(point["pruned"] != 0 || number(&point["accuracy"]) > 0.7, "{point}");
    }
    let costs = found["pruning_cost"].as_array().ok_or("costs")?;
    let macs: Vec<f64> = costs.iter().map(|cost| number(&cost["macs"])).collect();
    // Half of the layer's filters, and half of what the next one reads.
    assert_eq!(macs[0] - macs[2], (256 * 12 * 108) as f64);
    assert!(costs.iter().all(|cost| number(&cost["milliseconds"]) > 0.));
    let before = seconds(&made.path("out"))?;
    succeeded(&made.run("prune", "out", &one)?)?;
    assert_eq!(before, seconds(&made.path("out"))?);
    // Another layer too: the first stays as it is.
    let both = [&one[..], &["--layer", "narrow.0"]].concat();
    succeeded(&made.run("prune", "out", &both)?)?;
    let after = seconds(&made.path("out"))?;
    assert!(after.contains(&before[0]) && after.len() == before.len() + 1, "{after:?}");
    for file in ["prune.html", "figures/pruning_node_conv2d_1.svg"] {
        assert!(made.path("out").join(file).exists(), "{file}");
    }
    Ok(())
}

#[test]
fn a_pruned_network_is_a_network() -> AnyResult {
    let made = Fixture::new()?;
    let file = made.path("small.onnx");
    let save = ["--save", text(&file)?, "--takeover", "least_squares", "--json"];
    let count = [&save[..], &["--layer", "narrow.0", "--count", "4"]].concat();
    let found = document(&made.pruned(&count)?)?;
    assert_eq!(found["layers"][0]["pruned"].as_array().map(Vec::len), Some(4));
    let (before, after) = (&found["before"], &found["after"]);
    assert_eq!(number(&before["parameters"]) - number(&after["parameters"]), 4. * 109. + 16.);
    assert!(number(&after["accuracy"]) > 0.5, "{found}");
    // It is read like any other, also by this command.
    let shown = document(&xtask(&["inspect", text(&file)?, "--json"], &[])?)?;
    assert_eq!(shown["parameters"], after["parameters"]);
    assert_eq!(shown["macs"], after["macs"]);
    let twice = document(&made.pruned(&[&save[..], &["--budget", "0.6"]].concat())?)?;
    let share = number(&twice["after"]["macs"]) / number(&twice["before"]["macs"]);
    assert!(share > 0.3 && share <= 0.6, "{share}");

    let labels = made.path("labels.csv");
    let over = ["--save", text(&labels)?, "--budget", "0.5", "--overwrite"];
    refused(&made.pruned(&over)?, &["labels.csv", "this command reads it"]);
    let classes = made.path("classes.txt");
    let over = ["--save", text(&classes)?, "--budget", "0.5"];
    refused(&made.pruned(&over)?, &["classes.txt", "this command reads it"]);
    let all = [&save[..], &["--layer", "narrow.0", "--count", "16"]].concat();
    refused(&made.pruned(&all)?, &["--count 16 is not possible", "16 channels"]);
    refused(&made.pruned(&[&save[..], &["--count", "2"]].concat())?, &["--layer"]);
    refused(&made.pruned(&[&save[..], &["--budget", "0.001"]].concat())?, &["--budget 0.001"]);
    let few = [&save[..], &["--budget", "0.5", "--calibration", "24"]].concat();
    refused(&made.pruned(&few)?, &["--calibration 24", "24 images"]);
    Ok(())
}

#[test]
fn bad_input_is_told_with_its_place() -> AnyResult {
    let made = Fixture::new()?;
    let write = |name: &str, text: &str| -> AnyResult<String> {
        fs::write(made.path(name), text)?;
        Ok(text_of(&made.path(name)))
    };
    let few = write("few.csv", "image,label\n00.png,0\n")?;
    let wrong = write("wrong.csv", &format!("image,label\n{}", rows("spiral")))?;
    let columns = write("columns.csv", &format!("image,a,b\n{}", rows("0,1")))?;
    let three = write("three.txt", "a\nb\nc\n")?;
    let empty = made.path("empty");
    fs::create_dir(&empty)?;
    let none = text_of(&made.path("none"));
    let inside = text_of(&made.path("images/out"));
    let explain = |more: &[&str], reasons: &[&str]| -> AnyResult {
        refused(&made.run("explain", "out", more)?, reasons);
        assert!(!made.path("out").exists(), "{reasons:?} left a folder");
        Ok(())
    };
    explain(&["--images", &none], &["--images", "none", "does not exist"])?;
    explain(&["--images", text(&empty)?], &["holds no JPEG or PNG"])?;
    explain(&["--labels", &few], &["few.csv", "no row for the image"])?;
    explain(&["--labels", &wrong], &["wrong.csv", "row 1: there is no output `spiral`"])?;
    explain(&["--labels", &columns], &["columns.csv", "each of the network's 4 outputs"])?;
    explain(&["--classes", &three], &["three.txt", "has 3 lines", "4 outputs"])?;
    explain(&["--mean", "0.5,0.5"], &["--mean: 2 numbers", "3 channels"])?;
    explain(&["--std", "0"], &["--std 0"])?;
    explain(&["--size", "64"], &["shapes.onnx", "is 32x32", "not 64x64"])?;
    explain(&["--layout", "nhwc"], &["shapes.onnx", "channels"])?;
    explain(&["--output", "nothing"], &["no value or node `nothing`"])?;
    explain(&["--output", "relu"], &["answers are [B, K]", "--output"])?;
    explain(&["--class", "spiral"], &["--class", "no output `spiral`"])?;
    explain(&["--image", "99.png"], &["--image 99.png"])?;
    refused(&made.run("explain", "out", &["--out", &inside])?, &["among the images"]);
    fs::write(made.path("images/00.png"), "no image")?;
    refused(
        &made.run("explain", "out", &["--image", "00.png"])?,
        &["00.png", "neither a JPEG nor"],
    );
    Ok(())
}

/// A row for each image.
fn rows(cells: &str) -> String {
    (0..4 * OF_A_KIND).map(|number| format!("{number:02}.png,{cells}\n")).collect()
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn models_that_cannot_be_used_are_told_with_their_place() -> AnyResult {
    let made = Fixture::new()?;
    let bytes = fs::read(model())?;
    let explain = |name: &str, bytes: Option<Vec<u8>>, reasons: &[&str]| -> AnyResult {
        let file = made.path(name);
        if let Some(bytes) = bytes {
            fs::write(&file, bytes)?;
        }
        refused(&made.run_with("explain", &file, "out", &[])?, &[&[name][..], reasons].concat());
        assert!(!made.path("out").exists(), "{name} left a folder");
        Ok(())
    };
    explain("none.onnx", None, &["cannot be read"])?;
    explain("cut.onnx", Some(bytes[..bytes.len() / 2].to_vec()), &["damaged"])?;
    explain("text.onnx", Some(b"I am no network".to_vec()), &["damaged"])?;
    let unknown = replaced(&bytes, b"Sigmoid", b"Sygmoid");
    explain("unknown.onnx", Some(unknown), &["node_sigmoid", "Sygmoid", "not supported"])?;
    explain("nan.onnx", Some(with_nan(&model())?), &["NaN", "fc.weight"])?;
    explain("four.onnx", Some(four_channels()?), &["has 4 channels, but images have 1 or 3"])?;
    Ok(())
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// The network with a weight that is no number.
fn with_nan(file: &Path) -> AnyResult<Vec<u8>> {
    let graph = Graph::from_onnx(file)?;
    let id = graph.find("fc.weight")?;
    let weight = graph.weight(id).ok_or("a weight")?;
    let broken = (weight * f64::NAN)?;
    Ok(graph.with_weight(id, broken)?.to_onnx(&[])?)
}

/// A network for images of four channels.
fn four_channels() -> AnyResult<Vec<u8>> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4), Some(32), Some(32)])?;
    let weight = Tensor::ones((4, 4, 1, 1), candle_core::DType::F32, &Device::Cpu)?;
    let weight = builder.weight("conv.weight", weight)?;
    let y = builder.node("conv", Op::Conv(Window::new(2)), &[x, weight])?;
    let y = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[y])?;
    let y = builder.node("flat", Op::Flatten { axis: 1 }, &[y])?;
    Ok(builder.finish(vec![y])?.to_onnx(&[])?)
}

#[test]
fn a_folder_belongs_to_one_network() -> AnyResult {
    let made = Fixture::new()?;
    let few = ["--limit", "1", "--method", "grad-cam"];
    succeeded(&made.run("explain", "out", &few)?)?;
    let graph = Graph::from_onnx(&model())?;
    let id = graph.find("fc.bias")?;
    let bias = graph.weight(id).ok_or("a weight")?;
    let other = made.path("other.onnx");
    let shifted = (bias + 1.)?;
    fs::write(&other, graph.with_weight(id, shifted)?.to_onnx(&[])?)?;
    let refusal = made.run_with("explain", &other, "out", &few)?;
    refused(&refusal, &["results of another network", "shapes.onnx"]);
    let run = xtask(&["prune", "--run", text(&made.path("out"))?], &[])?;
    refused(&run, &["ONNX network", "no run"]);
    Ok(())
}
