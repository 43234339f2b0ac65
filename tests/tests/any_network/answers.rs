//! How a network's answers, its labels and its images are read.

use std::fs;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Graph, Kind, Op, Softmax, Unary};
use foresee_tests::{message, text};

use crate::colours::{COLOURS, Colours, Network};
use crate::{AnyResult, document, number, refused, succeeded};

/// The command that prunes a channel of the hidden layer, which says the accuracy before.
const SAVE: [&str; 8] =
    ["--layer", "hidden", "--count", "1", "--save", "@pruned.onnx", "--overwrite", "--json"];

/// The unpruned accuracy with these labels.
fn accuracy(made: &Colours, model: &str, more: &[&str]) -> AnyResult<f64> {
    let found = document(&made.run("prune", model, &[&SAVE[..], more].concat())?)?;
    Ok(number(&found["before"]["accuracy"]))
}

fn softmax() -> Op {
    Op::Softmax(Softmax { axis: 1, flattens: false, logarithm: false })
}

fn sigmoid() -> Op {
    Op::Unary(Unary::Sigmoid)
}

#[test]
fn probabilities_are_traced_back_to_logits() -> AnyResult {
    let made = Colours::new()?;
    let float = Op::Cast(Kind::Float);
    let ends: [&[Op]; 6] = [
        &[],
        &[softmax()],
        &[softmax(), Op::Identity],
        &[sigmoid()],
        &[sigmoid(), float],
        &[sigmoid(), Op::Flatten { axis: 1 }, Op::Identity],
    ];
    for (place, end) in ends.into_iter().enumerate() {
        let model = made.model(&format!("{place}.onnx"), &Network::ends_in(end))?;
        assert_eq!(accuracy(&made, &model, &["--labels", "@classes.csv"])?, 1., "{end:?}");
        let columns = ["--labels", "@columns.csv"];
        if end.first() == Some(&softmax()) {
            let refusal = made.run("prune", &model, &[&SAVE[..], &columns].concat())?;
            refused(&refusal, &["--labels has a column of 0 and 1", "softmax"]);
            let more = ["--multi-label", "--out", "@out"];
            refused(&made.run("explain", &model, &more)?, &["--multi-label", "softmax"]);
            continue;
        }
        // Of probabilities all would be above 0, and a third would be right.
        assert_eq!(accuracy(&made, &model, &columns)?, 1., "{end:?}");
        if let Some(last) = end.len().checked_sub(1) {
            let asked = format!("end{last}");
            let more = [&columns[..], &["--output", &asked]].concat();
            assert_eq!(accuracy(&made, &model, &more)?, 1., "{asked}");
        }
    }
    let model = made.model("plain.onnx", &Network::default())?;
    let both = ["--multi-label", "--labels", "@classes.csv", "--out", "@out"];
    refused(&made.run("explain", &model, &both)?, &["--multi-label", "one class for each image"]);
    Ok(())
}

#[test]
fn one_output_is_a_yes_or_a_no() -> AnyResult {
    let made = Colours::new()?;
    let network = Network { only_red: true, ..Network::default() };
    let model = made.model("red.onnx", &network)?;
    assert_eq!(accuracy(&made, &model, &["--labels", "@red.csv"])?, 1.);
    let explain = ["--labels", "@red.csv", "--method", "grad-cam", "--out", "@out", "--json"];
    let found = document(&made.run("explain", &model, &explain)?)?;
    for row in found["explanations"].as_array().ok_or("rows")? {
        let is_red = row["label"] == "yes";
        assert_eq!(number(&row["probability"]) > 0.5, is_red, "{row}");
        assert!(row["label"] == "yes" || row["label"] == "no", "{row}");
    }
    let softmax = Network { only_red: true, end: vec![softmax()], ..Network::default() };
    let model = made.model("softmax.onnx", &softmax)?;
    refused(&made.run("explain", &model, &["--out", "@out"])?, &["softmax over one value"]);
    Ok(())
}

#[test]
fn images_of_all_layouts_and_sizes() -> AnyResult {
    let made = Colours::new()?;
    let labels = ["--labels", "@classes.csv"];
    let (side, three) = (Some(8), Some(3));
    let last =
        Network { input: vec![None, side, side, three], channels_last: true, ..Network::default() };
    let model = made.model("last.onnx", &last)?;
    assert_eq!(accuracy(&made, &model, &labels)?, 1.);
    let lrp = ["--method", "lrp", "--lrp", "epsilon-gamma-box", "--limit", "2", "--out", "@last"];
    succeeded(&made.run("explain", &model, &lrp)?)?;
    assert!(made.path("last/explain.html").exists());

    // A network for any size stays one when it is pruned.
    let open = Network { input: vec![None, three, None, None], ..Network::default() };
    let model = made.model("open.onnx", &open)?;
    refused(&made.run("explain", &model, &["--out", "@out"])?, &["any size", "--size"]);
    let sized = [&labels[..], &["--size", "8", "--crop", "whole"]].concat();
    assert_eq!(accuracy(&made, &model, &sized)?, 1.);
    let pruned = made.path("pruned.onnx");
    let pruned = text(&pruned)?;
    let more = ["--size", "16x12", "--limit", "1", "--method", "grad-cam", "--out", "@larger"];
    succeeded(&made.run("explain", pruned, &more)?)?;

    // A gate, and a yes or a no for each output: "no" to all is right in two of three.
    let gated = made.model("gated.onnx", &Network { gate: true, ..Network::default() })?;
    let more = ["--labels", "@columns.csv", "--sigma", "0", "--out", "@gated", "--json"];
    let found = document(&made.run("transform", &gated, &more)?)?;
    assert_eq!(number(&found["gate_transformation"][0]["accuracy"]), 1., "{found}");

    // One channel, with a gate, under noise.
    let grey = Network { input: vec![None, Some(1), side, side], gate: true, ..Network::default() };
    let model = made.model("grey.onnx", &grey)?;
    let noise = ["--labels", "@red.csv", "--sigma", "0,0.1,0.1", "--curve", "power n=2 beta=0.1"];
    let more = [&noise[..], &["--out", "@grey", "--json"]].concat();
    let found = document(&made.run("transform", &model, &more)?)?;
    // Twice the same σ is one; the curve and the identity.
    assert_eq!(found["gate_transformation"].as_array().map(Vec::len), Some(2 * 2));
    let more = ["--gate", "gate", "--gate", "gate", "--labels", "@red.csv", "--out", "@grey"];
    succeeded(&made.run("transform", &model, &more)?)?;
    let page = fs::read_to_string(made.path("grey/transform.html"))?;
    assert!(page.contains("Gates: gate."), "a gate that is named twice is one");
    Ok(())
}

#[test]
fn integer_inputs_are_given_bytes() -> AnyResult {
    let made = Colours::new()?;
    let network = Network { takes_bytes: true, ..Network::default() };
    let model = made.model("bytes.onnx", &network)?;
    let labels = ["--labels", "@classes.csv"];
    let found = made.run_plain("prune", &model, &[&SAVE[..], &labels].concat())?;
    assert_eq!(number(&document(&found)?["before"]["accuracy"]), 1.);
    assert!(crate::message(&found).contains("bytes of the pixels"));
    let explain = ["--method", "integrated-gradients", "--limit", "1", "--out", "@out"];
    succeeded(&made.run_plain("explain", &model, &explain)?)?;
    refused(&made.run("explain", &model, &["--out", "@out"])?, &["--mean", "leave both out"]);
    Ok(())
}

#[test]
fn labels_of_folders_and_lists_of_images() -> AnyResult {
    let made = Colours::new()?;
    let model = made.model("colours.onnx", &Network::default())?;
    fs::write(made.path("names.txt"), COLOURS.join("\n"))?;
    let names = ["--classes", "@names.txt", "--labels", "folders"];
    assert_eq!(accuracy(&made, &model, &names)?, 1.);
    // Without names the folders are the classes: blue, green, red. Fewer images know all of them.
    let few = ["--limit", "1", "--labels", "folders", "--method", "grad-cam", "--out", "@few"];
    let found = document(&made.run("explain", &model, &[&few[..], &["--json"]].concat())?)?;
    let label = found["explanations"][0]["label"].as_str().ok_or("a label")?;
    assert!(COLOURS.contains(&label), "{label}");

    // Eight images, unless more are asked for.
    let usual = ["--method", "grad-cam", "--out", "@few", "--json"];
    let found = document(&made.run("explain", &model, &usual)?)?;
    assert_eq!(found["explanations"].as_array().map(Vec::len), Some(8));

    // A list, some of its outputs, the greatest two, and an image alone.
    fs::write(made.path("list.csv"), "path\nimages/all/red/00.png\nimages/all/blue/02.png\n")?;
    let explain = |more: &[&str]| {
        let all = ["--classes", "@names.txt", "--method", "grad-cam", "--out", "@out", "--json"];
        made.run("explain", &model, &[&all[..], more].concat())
    };
    let outputs = |more: &[&str]| -> AnyResult<Vec<String>> {
        let found = document(&explain(more)?)?;
        let rows = found["explanations"].as_array().ok_or("rows")?;
        Ok(rows.iter().filter_map(|row| row["output"].as_str().map(String::from)).collect())
    };
    let list = ["--images", "@list.csv"];
    assert_eq!(outputs(&list)?, ["red", "blue"]);
    let asked = ["--class", "green", "--class", "1", "--class", "red"];
    assert_eq!(outputs(&[&list[..], &asked].concat())?, ["green", "red", "green", "red"]);
    let image = ["--images", "@images/all/green/01.png", "--top", "2", "--cam-node", "relu"];
    let top = outputs(&image)?;
    assert_eq!((top.len(), top[0].as_str()), (2, "green"));

    fs::write(made.path("twice.csv"), "image\nimages/all/red/00.png\nimages/all/red/00.png\n")?;
    refused(&explain(&["--images", "@twice.csv"])?, &["twice.csv", "rows 1 and 2"]);
    fs::write(made.path("gone.csv"), "image\nimages/all/red/00.png\nnope.png\n")?;
    refused(&explain(&["--images", "@gone.csv"])?, &["gone.csv", "row 2", "nope.png"]);
    fs::write(made.path("numbers.txt"), "1\n2\n0\n")?;
    let numbers = ["--classes", "@numbers.txt", "--labels", "@classes.csv", "--out", "@out"];
    let refusal = made.run("explain", &model, &numbers)?;
    refused(&refusal, &["the name of one output and the number of another"]);
    Ok(())
}

#[test]
fn an_image_is_no_reference_of_itself() -> AnyResult {
    let made = Colours::new()?;
    let model = made.model("colours.onnx", &Network::default())?;
    let methods = ["--method", "expected-gradients", "--method", "gradient-shap"];
    let explain = |more: &[&str]| {
        let all = [&methods[..], &["--out", "@out", "--json"], more].concat();
        made.run("explain", &model, &all)
    };
    // The only image that is explained; the others of the folder are the references.
    let found = document(&explain(&["--image", "all/red/00.png"])?)?;
    for row in found["explanations"].as_array().ok_or("rows")? {
        assert!(number(&row["max_abs"]) > 0., "{row}");
    }
    let alone = explain(&["--images", "@images/all/red/00.png"])?;
    refused(&alone, &["00.png is the only image", "gradient-shap"]);
    Ok(())
}

#[test]
fn how_answers_are_read_is_said() -> AnyResult {
    let made = Colours::new()?;
    let said = |end: &[Op], more: &[&str]| -> AnyResult<String> {
        let model = made.model("said.onnx", &Network::ends_in(end))?;
        let output = made.run("prune", &model, &[&SAVE[..], more].concat())?;
        let said = message(&output);
        assert!(output.status.success(), "{said}");
        Ok(said)
    };
    let classes = said(&[], &["--labels", "@classes.csv"])?;
    assert!(classes.contains("the greatest output is the answer"), "{classes}");
    assert!(!classes.contains("lie in [0, 1]"), "{classes}");
    let columns = said(&[], &["--labels", "@columns.csv"])?;
    for expected in ["a yes where its logit is above 0", "red = 0, green = 1", "exactly one 1"] {
        assert!(columns.contains(expected), "{expected}: {columns}");
    }
    // Probabilities that are not known as such.
    let hard = Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 });
    let hard = said(&[hard], &["--labels", "@columns.csv"])?;
    assert_eq!(hard.matches("lie in [0, 1], as probabilities do").count(), 1, "{hard}");
    Ok(())
}

#[test]
fn answers_that_are_not_finite_are_bad_input() -> AnyResult {
    let made = Colours::new()?;
    let network = Network { scale: Some(f32::MAX), ..Network::default() };
    let model = made.model("huge.onnx", &network)?;
    for command in ["explain", "predict"] {
        let found = made.run(command, &model, &["--out", "@out"])?;
        refused(&found, &["huge.onnx", "not finite", "--std"]);
    }
    Ok(())
}

#[test]
fn a_pruned_network_goes_to_the_standard_output() -> AnyResult {
    let made = Colours::new()?;
    let model = made.model("colours.onnx", &Network::default())?;
    let save = ["--layer", "hidden", "--count", "2", "--save", "-", "--labels", "@classes.csv"];
    let output = made.run("prune", &model, &save)?;
    assert!(output.status.success(), "{}", crate::message(&output));
    let graph = Graph::from_onnx_bytes(&output.stdout)?;
    let x = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
    assert_eq!(graph.forward(&[x])?[0].dims(), [1, 3]);
    let weight = graph.weight(graph.find("hidden.weight")?).ok_or("a weight")?;
    assert_eq!(weight.dims(), [4, 3, 1, 1]);
    // What does not go together is refused, not left out.
    for more in [&["--order", "taylor", "--rule", "higher"][..], &["--shares", "0.5"]] {
        refused(&made.run("prune", &model, &[&save[..], more].concat())?, &["cannot be used with"]);
    }
    let out = ["--out", "@out", "--labels", "@classes.csv", "--overwrite"];
    refused(&made.run("prune", &model, &out)?, &["--overwrite"]);
    Ok(())
}
