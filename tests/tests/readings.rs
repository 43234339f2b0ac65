//! The map of readings, on the networks of a study on drawn faces.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use foresee_tests::{message, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

const STUDY: &str = r#"
profile = "smoke"
set = [
  "prune.images=6", "transform.sigmas=[0.0]", "transform.curves=['identity']",
  "predict.images=0", "attribute.images=0",
]

[[variant]]
name = "sparse"
set = ["train.lambda=1e-4"]

[[variant]]
name = "drawn"
synthetic = true
"#;

/// Channels, and answers to an image, of the smoke profile.
const CHANNELS: f64 = 16.;
const ATTRIBUTES: f64 = 40.;

/// A CSV without quotes: its rows by their columns' names.
fn rows(path: &Path) -> AnyResult<Vec<BTreeMap<String, String>>> {
    let csv = std::fs::read_to_string(path)?;
    let mut lines = csv.lines().map(|line| line.split(',').map(String::from));
    let header: Vec<String> = lines.next().ok_or("an empty file")?.collect();
    Ok(lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect())
}

fn number(row: &BTreeMap<String, String>, column: &str) -> AnyResult<f64> {
    Ok(row.get(column).ok_or(format!("no column {column}"))?.parse()?)
}

fn written(path: &Path) -> AnyResult<std::time::SystemTime> {
    Ok(std::fs::metadata(path)?.modified()?)
}

#[test]
fn readings_are_measured_once_and_compared_with_chance() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (faces, list, study) = (path("faces"), path("study.toml"), path("study"));
    std::fs::write(&list, STUDY)?;
    let ran = |arguments: &[&str]| -> AnyResult<Output> {
        let output = xtask(arguments, &[])?;
        assert!(output.status.success(), "{arguments:?}: {}", message(&output));
        Ok(output)
    };
    ran(&["data", "synthesize", "--out", text(&faces)?, "--faces", "60", "--seed", "9"])?;
    let fidelity = ["fidelity", "--celeba", text(&faces)?, "--out", text(&study)?, "--study"];
    ran(&[&fidelity[..], &[text(&list)?, "--seeds", "2"]].concat())?;

    let readings = ["readings", text(&study)?, "--celeba", text(&faces)?, "--step", "4"];
    let with = |more: &[&str]| -> Vec<String> {
        readings.iter().chain(more).map(ToString::to_string).collect()
    };
    let nothing = xtask(&with(&["--analyse"]), &[])?;
    assert_eq!(nothing.status.code(), Some(2), "{}", message(&nothing));
    assert!(message(&nothing).contains("no run is measured yet"));
    let out = study.join("readings");
    let run = |seed: u64| out.join(format!("runs/sparse-seed{seed}"));
    let only = xtask(&with(&["--only", "1"]), &[])?;
    assert!(only.status.success(), "{}", message(&only));
    assert!(run(1).join("points.csv").is_file() && !run(0).exists());
    assert!(!out.join("report.html").exists());

    // Runs of other faces are left out; what is measured is not measured again.
    let first = written(&run(1).join("points.csv"))?;
    let all = xtask(&with(&[]), &[])?;
    assert!(all.status.success(), "{}", message(&all));
    assert!(message(&all).contains("run 1 (sparse-seed1), of 2: up to date"), "{}", message(&all));
    assert!(!out.join("runs/drawn-seed0").exists());
    assert_eq!(first, written(&run(1).join("points.csv"))?);
    for file in [
        "report.html",
        "tables/readings.md",
        "tables/readings.tex",
        "tables/shut_rows.csv",
        "figures/readings.svg",
        "figures/readings.png",
        "figures/readings.pdf",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    check_points(&study, &run(0))?;
    check_analysis(&out, [&run(0), &run(1)])?;

    // Other settings are measured anew.
    let other = xtask(&with(&["--images", "3", "--only", "1"]), &[])?;
    assert!(other.status.success(), "{}", message(&other));
    assert!(rows(&run(1).join("points.csv"))?.iter().all(|row| row["images"] == "3"));
    let nowhere = xtask(&["readings", text(&faces)?, "--celeba", text(&faces)?], &[])?;
    assert_eq!(nowhere.status.code(), Some(2), "{}", message(&nowhere));
    Ok(())
}

/// The stage `prune` counts the same as the paper's reading, on its six images.
fn check_points(study: &Path, run: &Path) -> AnyResult {
    let points = rows(&run.join("points.csv"))?;
    // 36 readings of pairs, 3 without, 10 random orders; two takeovers; 0, 4, 8 and 12 channels.
    assert_eq!(points.len(), (36 + 3 + 10) * 2 * 4);
    let unpruned: Vec<&String> =
        points.iter().filter(|row| row["pruned"] == "0").map(|row| &row["correct"]).collect();
    assert!(unpruned.windows(2).all(|pair| pair[0] == pair[1]));
    let own = points.iter().find(|row| row["pruned"] == "0").ok_or("no point")?;
    let images = number(own, "images")?;
    let accuracy = number(own, "correct")? / images / ATTRIBUTES;
    let trained = rows(&study.join("runs/sparse-seed0/data/accuracy.csv"))?;
    assert!((number(&trained[0], "accuracy")? - accuracy).abs() < 1e-9);

    let shut = rows(&run.join("shut_rows.csv"))?;
    assert_eq!(shut.len(), 9);
    assert_eq!(number(&shut[0], "gone")?, 0.);
    assert_eq!(number(&shut[0], "flipped")?, 0.);
    assert_eq!(number(&shut[8], "gone")?, (0.8 * number(&shut[8], "rows")?).round());
    assert!((number(&shut[0], "correct")? - number(own, "correct")?).abs() <= 1.);
    Ok(())
}

/// The gain of one reading, computed anew from what was measured of the two runs.
fn check_analysis(out: &Path, runs: [&Path; 2]) -> AnyResult {
    let found = rows(&out.join("data/readings.csv"))?;
    // All but random orders without a takeover.
    assert_eq!(found.len(), 36 * 2 + 3 * 2 + 1);
    let reading = "semantic_lower_readout_pooled_signed";
    let row = found
        .iter()
        .find(|row| row["reading"] == reading && row["takeover"] == "mean")
        .ok_or("no such reading")?;
    let mut gains = vec![];
    let mut at_half = vec![];
    for run in runs {
        let points = rows(&run.join("points.csv"))?;
        let accuracy = |reading: &str, above: f64, up_to: f64| -> AnyResult<f64> {
            let own = points.iter().filter(|p| p["reading"] == reading && p["takeover"] == "mean");
            let mut values = vec![];
            for point in own {
                let pruned = number(point, "pruned")?;
                if pruned > above && pruned <= up_to {
                    values.push(number(point, "correct")? / number(point, "images")? / ATTRIBUTES);
                }
            }
            Ok(100. * values.iter().sum::<f64>() / values.len() as f64)
        };
        gains.push(accuracy(reading, 0., CHANNELS)? - accuracy("random", 0., CHANNELS)?);
        let half = CHANNELS / 2.;
        at_half.push(accuracy(reading, half - 1., half)? - accuracy("random", half - 1., half)?);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((number(row, "gain")? - mean(&gains)).abs() < 1e-6, "{row:?} and {gains:?}");
    assert!((number(row, "gain_at_half")? - mean(&at_half)).abs() < 1e-6, "{at_half:?}");
    let seeds: Vec<f64> = row["seeds"].split(' ').map(str::parse).collect::<Result<_, _>>()?;
    assert!(seeds.iter().zip(&gains).all(|(a, b)| (a - b).abs() < 1e-6), "{seeds:?} {gains:?}");
    // Two seeds decide nothing.
    assert!(found.iter().all(|row| row["verdict"] == "not_decided"));
    let (low, high) = (number(row, "low")?, number(row, "high")?);
    assert!(low <= mean(&gains) && mean(&gains) <= high);
    Ok(())
}
