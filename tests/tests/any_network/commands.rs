//! What each command leaves in its folder, and that finished work is not done again.

use std::fs;

use foresee_tests::{text, xtask};

use crate::shapes::{Fixture, OF_A_KIND, model};
use crate::{AnyResult, document, number, refused, seconds, succeeded};

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
        assert!(number(&row["probability"]) > 0.5 && number(&row["max_abs"]) > 0., "{row}");
    }
    let out = made.path("out");
    let figures = ["figures/explanations_1.png", "figures/explanations_1.svg"];
    for file in ["explain.html", figures[0], figures[1], "tables/explanations.tex"] {
        assert!(fs::metadata(out.join(file))?.len() > 500, "{file}");
    }
    let image = rows[0]["image"].as_str().ok_or("a name")?;
    let maps = fs::read_to_string(out.join(format!("data/explanations/{image}.maps.csv")))?;
    assert!(maps.starts_with("y,image,output,probability,label,method,max_abs,x0,"));
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

    // One image shows that one, and leaves what is done of the others.
    let one = [&["--image", "05.png"][..], &few[2..]].concat();
    let found = document(&made.run("explain", "out", &[&one[..], &["--json"]].concat())?)?;
    assert_eq!(found["explanations"].as_array().map(Vec::len), Some(2));
    let kept = seconds(&out)?;
    let images = after.iter().filter(|(name, _)| name.starts_with("explain "));
    assert!(images.clone().count() == 4 && images.clone().all(|part| kept.contains(part)));

    let alone = ["--class", "disc", "--method", "occlusion", "--labels", "folders"];
    refused(&made.run("explain", "one", &alone)?, &["--labels folders", "is in no folder"]);
    let masks = made.run("explain", "one", &["--method", "masks"])?;
    refused(&masks, &["invalid value 'masks'"]);
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
    // Another σ leaves those that are done.
    succeeded(&made.run("transform", "out", &["--sigma", "0,0.3", settings[2], settings[3]])?)?;
    let after = seconds(&made.path("out"))?;
    let parts = before.iter().filter(|(name, _)| name.starts_with("transform "));
    assert!(parts.clone().count() == 2 && parts.clone().all(|part| after.contains(part)));

    let unknown = made.run("transform", "none", &["--gate", "node_relu"])?;
    refused(&unknown, &["has no gate `node_relu`", "node_sigmoid"]);
    Ok(())
}

#[test]
fn forecasts_stand_beside_outcomes() -> AnyResult {
    let made = Fixture::new()?;
    let layers = ["--layer", "block.conv1", "--layer", "narrow.0"];
    let settings = [&["--shares", "0.1,0.5", "--budget", "0.8"][..], &layers].concat();
    let found = document(&made.run("predict", "out", &[&settings[..], &["--json"]].concat())?)?;
    let rows = found["forecasts"].as_array().ok_or("rows")?;
    // Two shares of two layers, and both layers together.
    assert_eq!(rows.len(), 2 * 2 + 1);
    assert_eq!((rows[4]["layer"].as_str(), number(&rows[4]["budget"])), (Some(""), 0.8));
    for row in rows {
        assert!(number(&row["accuracy_before"]) > 0.7, "{row}");
        assert!(number(&row["change"]) > 0. && number(&row["change_forecast"]) > 0., "{row}");
    }
    assert!(found["predictability"].as_array().is_some_and(|scores| !scores.is_empty()));
    let figures = ["figures/forecast_beside_outcome.svg", "figures/forecast_of_all_layers.svg"];
    for file in ["predict.html", "data/forecasts.csv"].into_iter().chain(figures) {
        assert!(made.path("out").join(file).exists(), "{file}");
    }
    // It is the network that `prune` makes of the same channels.
    let file = made.path("pruned.onnx");
    let save = ["--save", text(&file)?, "--order", "l1", "--budget", "0.8", "--json"];
    let saved = document(&made.pruned(&[&save[..], &layers].concat())?)?;
    let units = saved["layers"].as_array().into_iter().flatten();
    let pruned: usize = units.filter_map(|layer| layer["pruned"].as_array().map(Vec::len)).sum();
    assert_eq!(number(&rows[4]["pruned"]), pruned as f64);
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
    // Six orders, of which three are random, two takeovers; 0, 3 and 6 of 12 channels.
    assert_eq!(points.len(), 6 * 2 * 3);
    for point in points {
        assert_eq!((&point["channels"], &point["images"]), (&12.into(), &(2 * OF_A_KIND).into()));
        assert!(point["pruned"] != 0 || number(&point["accuracy"]) > 0.7, "{point}");
    }
    let by_output = found["accuracy_by_output"].as_array().ok_or("outputs")?;
    let of_classes: f64 = by_output.iter().map(|row| number(&row["images"])).sum();
    assert_eq!((by_output.len(), of_classes), (4, (2 * OF_A_KIND) as f64));
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
    let parts = before.iter().filter(|(name, _)| name.starts_with("prune"));
    let parts = parts.filter(|(name, _)| *name != "prune.html");
    assert!(parts.clone().count() == 2 && parts.clone().all(|part| after.contains(part)));
    assert_eq!(after.len(), before.len() + 2, "{after:?}");
    // Other batches take another time, and leave the accuracy as it is.
    succeeded(&made.run("prune", "out", &[&one[..], &["--batch", "1"]].concat())?)?;
    let again = seconds(&made.path("out"))?;
    let is_same = |(name, _): &&(String, f64)| {
        let of = |parts: &[(String, f64)]| parts.iter().find(|part| part.0 == *name).cloned();
        of(&after) == of(&again)
    };
    let changed: Vec<&str> =
        again.iter().filter(|part| !is_same(part)).map(|part| part.0.as_str()).collect();
    assert_eq!(changed, ["prune-cost node_conv2d_1", "prune.html"]);
    let tables = ["tables/pruning.csv", "tables/accuracy_by_output.md"];
    for file in ["prune.html", "figures/pruning_node_conv2d_1.svg", tables[0], tables[1]] {
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
    let few = [&save[..], &["--budget", "0.5", "--calibration", "23"]].concat();
    refused(&made.pruned(&few)?, &["--calibration 23", "24 images"]);
    let few = [&save[..], &["--budget", "0.5", "--limit", "3"]].concat();
    refused(&made.pruned(&few)?, &["--images: there are 3 images", "at least two others"]);
    Ok(())
}

#[test]
fn a_killed_command_goes_on_where_it_stopped() -> AnyResult {
    let made = Fixture::new()?;
    let out = made.path("out");
    let begun = |parts: &[(String, f64)]| -> Vec<(String, f64)> {
        parts.iter().filter(|(name, _)| name.starts_with("prune ")).cloned().collect()
    };
    let mut process = made.command("prune", "out", &["--shares", "0.5"])?.spawn()?;
    let done = loop {
        let done = seconds(&out).map(|parts| begun(&parts)).unwrap_or_default();
        if !done.is_empty() || process.try_wait()?.is_some() {
            break done;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    process.kill()?;
    process.wait()?;
    assert!(!done.is_empty(), "a layer is done");
    // What the process had begun to write is cleared.
    fs::write(out.join("data/pruning/.tmpHALF"), "half")?;
    succeeded(&made.run("prune", "out", &["--shares", "0.5"])?)?;
    let after = begun(&seconds(&out)?);
    assert!(done.iter().all(|part| after.contains(part)), "{done:?} {after:?}");
    assert!(!out.join("data/pruning/.tmpHALF").exists());
    Ok(())
}

#[test]
fn folders_inside_of_others_are_left_alone() -> AnyResult {
    let made = Fixture::new()?;
    let few = ["--limit", "1", "--method", "grad-cam"];
    succeeded(&made.run("explain", "out", &few)?)?;
    let inside = made.run("explain", "out/data/inside", &few)?;
    refused(&inside, &["belongs to the results of a network"]);
    // They are no runs.
    let listed = succeeded(&xtask(&["runs", text(&made.path("out"))?], &[])?)?;
    assert!(listed.contains("no run"), "{listed}");
    Ok(())
}
