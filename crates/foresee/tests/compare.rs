//! `compare` and `train --system` on synthetic faces.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use candle_core::{Device, Tensor};
use foresee::artifacts::{
    Accuracy, AttributeAccuracy, ConditionRow, JudgedImage, Row, ScoredForecasts, SystemAttribute,
    SystemCost, SystemForecast, SystemPass, SystemRow, Validation,
};
use foresee::run::Run;
use foresee_celeba::{CelebA, Crop, Normalisation, Preprocessing, Split, SplitRule};
use foresee_graph::Graph;
use foresee_perturb::{Takeover, Tally};
use foresee_predict::ScoreRule;
use foresee_report::frame;
use support::{AnyResult, foresee};

const SYSTEMS: &str = "facetracer,resnet18,abn,moon,paper,panda,lnets-anet";

fn compare(out: &Path, more: &[&str]) -> AnyResult {
    let out = out.display().to_string();
    let mut arguments = vec!["compare", "--profile", "smoke", "--out", &out, "--systems", SYSTEMS];
    arguments.extend(["--seeds", "2", "--set", "system.width=4", "--set", "data.image_size=32"]);
    arguments.extend(["--set", "panda:system.width=8", "--set", "lnets-anet:system.windows=5"]);
    arguments.extend(more);
    foresee(&arguments)
}

fn rows<R: Row>(out: &Path) -> AnyResult<Vec<R>> {
    Ok(R::from_frame(&frame::read_csv(&out.join(R::PATH))?)?)
}

/// The accuracy on each test image of the graph in a run's network.onnx.
fn by_image(run: &Path, faces: &Path) -> AnyResult<Vec<f32>> {
    let data = CelebA::open(faces, SplitRule::Official)?;
    let preprocessing = Preprocessing {
        crop: Crop::Square,
        image_size: 32,
        normalisation: Normalisation::default(),
    };
    let graph = Graph::from_onnx(&run.join("network.onnx"))?;
    let mut tally = Tally::default();
    for batch in data.batches_in_order(&data.split(Split::Test)?, &preprocessing, 4) {
        let batch = batch?;
        let logits: Tensor = graph.forward(&[batch.images.to_device(&Device::Cpu)?])?.remove(0);
        tally.add(&logits, &batch.labels)?;
    }
    Ok(tally.by_image)
}

#[test]
fn systems_are_trained_judged_and_tabled_once() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("compare");
    // One run first, as an element of an array job: no tables.
    compare(&out, &["--only", "1"])?;
    let first = out.join("runs/resnet18-seed0");
    assert!(first.join("network.onnx").exists() && !out.join("report.html").exists());
    let written = std::fs::metadata(first.join("network.onnx"))?.modified()?;
    compare(&out, &[])?;
    assert_eq!(std::fs::metadata(first.join("network.onnx"))?.modified()?, written);

    let systems: Vec<SystemRow> = rows(&out)?;
    let names: Vec<&str> = systems.iter().map(|row| row.system.as_str()).collect();
    assert_eq!(names, ["facetracer", "panda", "lnets-anet", "moon", "resnet18", "abn", "paper"]);
    for row in &systems {
        assert!(row.seeds == 2 && row.images == 6 && row.data == "synthetic", "{row:?}");
        assert!(row.accuracy_low <= row.accuracy && row.accuracy <= row.accuracy_high, "{row:?}");
        // The mean over images is the mean over attributes that the stage `train` wrote.
        let mut accuracies = vec![];
        for seed in 0..2 {
            let run = Run::open(&out.join(format!("runs/{}-seed{seed}", row.system)))?;
            accuracies.push(accuracy(&run)?);
        }
        let mean = accuracies.iter().sum::<f64>() / 2.;
        assert!((mean - row.accuracy).abs() < 1e-6, "{}: {mean}, {}", row.system, row.accuracy);
    }
    check_images(&out, &first)?;
    check_conditions(&out)?;
    check_by_hand(&out)?;
    check_faces(&out, folder.path())?;
    check_differences(&out)?;
    check_forecasts(&out)?;
    check_learning(&out)?;
    // Other settings are another comparison: what is there is neither done again nor mixed in.
    let refused = compare(&out, &["--set", "train.flip=false", "--overwrite"]).unwrap_err();
    assert!(refused.to_string().contains("runs failed"), "{refused}");
    let analysed = compare(&out, &["--set", "train.flip=false", "--analyse"]).unwrap_err();
    assert!(analysed.to_string().contains("no run is done yet"), "{analysed}");
    for (set, reason) in [
        ("resnet34:train.epochs=2", "is not among --systems"),
        ("moon:data.image_size=16", "on the same images"),
        ("system.name=moon", "--systems says"),
    ] {
        let refused = compare(&out, &["--set", set, "--list"]).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }

    let page = std::fs::read_to_string(out.join("report.html"))?;
    assert!(page.contains("SYNTHETIC") && page.contains("cited, not run here"));
    // Analysing again trains nothing and gives the same.
    let before = std::fs::read(out.join("data/table3_run.csv"))?;
    compare(&out, &["--analyse", "--overwrite"])?;
    assert_eq!(std::fs::read(out.join("data/table3_run.csv"))?, before);
    Ok(())
}

fn accuracy(run: &Run) -> AnyResult<f64> {
    let rows: Vec<Accuracy> = run.read()?;
    Ok(rows[0].accuracy)
}

/// What was judged is what the network in the run's ONNX file answers.
fn check_images(out: &Path, run: &Path) -> AnyResult {
    let judged: Vec<JudgedImage> = Run::open(run)?.read()?;
    let clean: Vec<f64> = judged
        .iter()
        .filter(|row| row.sigma == 0. && row.pruned == 0)
        .map(|row| row.accuracy)
        .collect();
    let expected = by_image(run, &out.join("faces"))?;
    assert_eq!(clean.len(), expected.len());
    assert!(clean.iter().zip(&expected).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-6));
    let cost: Vec<SystemCost> = Run::open(run)?.read()?;
    let graph = Graph::from_onnx(&run.join("network.onnx"))?;
    let expected = graph.cost(&graph.shapes(1, &[32, 32])?);
    assert_eq!((cost[0].parameters, cost[0].macs), (expected.parameters, expected.macs as f64));
    // The last stage of a ResNet-18 has eight times as many channels as the first.
    assert_eq!(cost[0].channels, 32);
    let scores: ScoredForecasts = Run::open(run)?.read()?;
    assert!(!scores.0.is_empty());
    Ok(())
}

fn check_conditions(out: &Path) -> AnyResult {
    let conditions: Vec<ConditionRow> = rows(out)?;
    let mut pruned: BTreeMap<&str, Vec<&ConditionRow>> = BTreeMap::new();
    for row in conditions.iter().filter(|row| row.pruned > 0) {
        pruned.entry(&row.system).or_default().push(row);
    }
    assert_eq!(
        pruned.keys().copied().collect::<Vec<_>>(),
        ["abn", "lnets-anet", "moon", "panda", "paper", "resnet18"]
    );
    for rows in pruned.values() {
        let takeovers: Vec<Takeover> = rows.iter().map(|row| row.takeover).collect();
        assert_eq!(takeovers, [Takeover::Nothing, Takeover::LeastSquares]);
    }
    for row in &conditions {
        let is_clean = row.sigma == 0. && row.pruned == 0;
        assert!(!is_clean || row.change == 0., "{row:?}");
        assert!(row.change.is_finite() && row.seeds == 2, "{row:?}");
    }
    Ok(())
}

/// Each image's accuracy in a run under a condition, by its name.
fn judged(out: &Path, run: &str, is_it: fn(&JudgedImage) -> bool) -> AnyResult<Images> {
    let rows: Vec<JudgedImage> = Run::open(&out.join("runs").join(run))?.read()?;
    Ok(rows.into_iter().filter(is_it).map(|row| (row.image, row.accuracy)).collect())
}

type Images = BTreeMap<String, f64>;

/// The difference from the paper's network, what noise changes and what pruning changes, from the
/// rows of single images.
fn check_by_hand(out: &Path) -> AnyResult {
    let clean = |row: &JudgedImage| row.sigma == 0. && row.pruned == 0;
    let pruned = |row: &JudgedImage| row.pruned > 0 && row.takeover == Takeover::Nothing;
    let noisy = |row: &JudgedImage| row.sigma == 0.5;
    let mut less = [0.; 3];
    for seed in 0..2 {
        let of = |system: &str, is_it| judged(out, &format!("{system}-seed{seed}"), is_it);
        let (moon, paper) = (of("moon", clean)?, of("paper", clean)?);
        let others = [(&moon, &paper), (&of("moon", pruned)?, &moon), (&of("moon", noisy)?, &moon)];
        for (less, (own, other)) in less.iter_mut().zip(others) {
            assert!(!own.is_empty(), "no row");
            let differences = own.iter().map(|(image, value)| value - other[image]);
            *less += differences.sum::<f64>() / own.len() as f64 / 2.;
        }
    }
    let systems: Vec<SystemRow> = rows(out)?;
    let moon = systems.iter().find(|row| row.system == "moon").ok_or("no moon")?;
    assert!((moon.difference - less[0]).abs() < 1e-6, "{moon:?}, expected {}", less[0]);
    assert!((0. ..=1.).contains(&moon.auc) && (0. ..=1.).contains(&moon.balanced_accuracy));
    assert!(moon.accuracy_low >= 0. && moon.accuracy_high <= 1., "{moon:?}");
    let conditions: Vec<ConditionRow> = rows(out)?;
    let of_moon = || conditions.iter().filter(|row| row.system == "moon");
    let found = of_moon().find(|row| row.pruned > 0 && row.takeover == Takeover::Nothing);
    assert!((found.ok_or("not pruned")?.change - less[1]).abs() < 1e-6, "{found:?}");
    let found = of_moon().find(|row| row.sigma == 0.5);
    assert!((found.ok_or("no noise")?.change - less[2]).abs() < 1e-6, "{found:?}");
    Ok(())
}

/// Other faces are refused before anything is trained on them, and nothing is written.
fn check_faces(out: &Path, folder: &Path) -> AnyResult {
    let others = folder.join("others");
    foresee_celeba::synthetic::write(&others, 24, 9, |_| ())?;
    let page = std::fs::metadata(out.join("report.html"))?.modified()?;
    let others = others.display().to_string();
    let refused = compare(out, &["--celeba", &others, "--overwrite"]).unwrap_err();
    assert!(refused.to_string().contains("give the same faces"), "{refused}");
    assert_eq!(std::fs::metadata(out.join("report.html"))?.modified()?, page);
    Ok(())
}

/// Forecasts of the systems: the mean over the seeds, and the difference from the paper's network.
fn check_forecasts(out: &Path) -> AnyResult {
    let rows: Vec<SystemForecast> = rows(out)?;
    let skill = |system: &str, seed: usize| -> AnyResult<f64> {
        let run = Run::open(&out.join(format!("runs/{system}-seed{seed}")))?;
        let scores: ScoredForecasts = run.read()?;
        let found = scores
            .0
            .iter()
            .find(|row| row.subject.id() == "contribution" && row.score == ScoreRule::Skill);
        Ok(found.ok_or("no score")?.value.interval.estimate)
    };
    for system in ["abn", "moon"] {
        let is_it = |row: &&SystemForecast| {
            row.system == system
                && row.forecast.id() == "contribution"
                && row.score == ScoreRule::Skill
        };
        let row = rows.iter().find(is_it).ok_or("no row")?;
        let (a, b) = (skill(system, 0)?, skill(system, 1)?);
        assert!(row.seeds == 2 && (row.value - (a + b) / 2.).abs() < 1e-9, "{row:?}");
        let less = (a - skill("paper", 0)? + b - skill("paper", 1)?) / 2.;
        assert!((row.difference - less).abs() < 1e-9, "{row:?}, expected {less}");
    }
    assert!(rows.iter().any(|row| row.system == "paper" && row.difference.is_nan()));
    let page = std::fs::read_to_string(out.join("report.html"))?;
    assert!(page.contains("Settings: the size of each system") && page.contains("width 4"));
    Ok(())
}

/// Differences are paired by seed.
fn check_differences(out: &Path) -> AnyResult {
    let of = |system: &str, seed: usize| -> AnyResult<f64> {
        let run = Run::open(&out.join(format!("runs/{system}-seed{seed}")))?;
        let rows: Vec<AttributeAccuracy> = run.read()?;
        Ok(rows[31].accuracy)
    };
    let rows: Vec<SystemAttribute> = rows(out)?;
    for system in ["panda", "lnets-anet", "moon"] {
        let row = rows.iter().find(|row| row.system == system && row.attribute == "Smiling");
        let row = row.ok_or("no row")?;
        let seeds = [0, 1].map(|seed| Ok(of(system, seed)? - of("paper", seed)?));
        let [a, b] = seeds.map(|difference: AnyResult<f64>| difference.unwrap_or(f64::NAN));
        let expected = [(a + b) / 2., a.min(b), a.max(b)];
        let found = [row.difference, row.difference_low, row.difference_high];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{row:?}, expected {expected}");
        }
    }
    assert!(out.join("figures/differences_by_attribute.svg").exists());
    Ok(())
}

fn check_learning(out: &Path) -> AnyResult {
    let rows: Vec<SystemPass> = rows(out)?;
    assert!(!rows.iter().any(|row| row.system == "facetracer"));
    let panda: Vec<&SystemPass> = rows.iter().filter(|row| row.system == "panda").collect();
    let of = |seed: usize| -> AnyResult<Vec<Validation>> {
        Ok(Run::open(&out.join(format!("runs/panda-seed{seed}")))?.read()?)
    };
    let (a, b) = (of(0)?, of(1)?);
    assert_eq!(panda.len(), a.len());
    for ((row, a), b) in panda.iter().zip(&a).zip(&b) {
        assert_eq!((row.passes, row.seeds), (a.epochs_done, 2));
        assert!((row.accuracy - (a.accuracy + b.accuracy) / 2.).abs() < 1e-9, "{row:?}");
        assert!(row.accuracy_low == a.accuracy.min(b.accuracy), "{row:?}");
    }
    assert!(a.is_empty() || out.join("figures/learning_curves.png").exists());
    Ok(())
}

#[test]
fn what_another_process_makes_is_left_to_it() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("compare");
    let run = out.join("runs/moon-seed0");
    std::fs::create_dir_all(&run)?;
    let lock = std::fs::File::create(run.join(".lock"))?;
    lock.lock()?;
    let out = out.display().to_string();
    let begin = ["compare", "--profile", "smoke", "--out", &out, "--systems", "moon,resnet18"];
    let small = ["--seeds", "1", "--set", "system.width=4", "--set", "data.image_size=32"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
    let done = command.args(begin).args(small).args(["--overwrite"]).output()?;
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{text}");
    assert!(text.contains("MOON, seed 0 is being made by another process"), "{text}");
    let page = std::fs::read_to_string(folder.path().join("compare/report.html"))?;
    assert!(page.contains("being made by another process") && !page.contains("failed"));
    Ok(())
}

#[test]
fn a_dry_run_says_what_would_be_trained_and_writes_nothing() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
    let arguments = ["compare", "--profile", "smoke", "--out", "c", "--seeds", "2", "--dry-run"];
    let small = ["--set", "system.width=8", "--set", "data.image_size=32"];
    let systems = ["--systems", "facetracer,panda,paper", "--passes", "panda=3"];
    let command = command.args(arguments).args(small).args(systems);
    let out = command.current_dir(folder.path()).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert!(out.status.success() && lines.len() == 6 + 2, "{text}");
    assert!(lines[1].contains("PANDA-l, seed 0") && lines[1].contains("3 passes over"), "{text}");
    assert!(lines[3].contains("FaceTracer, seed 1") && lines[3].ends_with("to be done"));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "nothing is left behind");
    Ok(())
}

#[test]
fn a_dry_run_knows_what_is_trained_and_what_is_judged() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let begin = ["compare", "--profile", "smoke", "--out", "c", "--systems", "resnet18"];
    let small = ["--seeds", "2", "--set", "system.width=4", "--set", "data.image_size=32"];
    let run = |more: &[&str]| -> AnyResult<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        let command = command.args(begin).args(small).args(more).current_dir(folder.path());
        let out = command.output()?;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    run(&["--only", "0"])?;
    let text = run(&["--dry-run"])?;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("done") && lines[1].contains("to be done: "), "{text}");
    assert!(lines[1].ends_with("as another seed took"), "{text}");
    // As if its judging had been interrupted.
    let manifest = folder.path().join("c/runs/resnet18-seed0/manifest.json");
    let mut found: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest)?)?;
    found["stages"].as_object_mut().ok_or("no stages")?.remove("judge");
    std::fs::write(&manifest, serde_json::to_vec(&found)?)?;
    let text = run(&["--dry-run"])?;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("done up to the stage `train`, goes on from there"), "{text}");
    assert!(lines[1].ends_with("as another seed took"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--dry-run", "--json"])?)?;
    let first = &json["runs"][0];
    assert!(first["state"] == "partly_done" && first["passes"] == 0, "{json}");
    assert!(first["seconds"].is_null() && json["runs"][1]["seconds"].is_f64(), "{json}");
    Ok(())
}

#[test]
fn support_vector_machines_are_the_same_on_any_number_of_threads() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let train = |threads: &str| -> AnyResult<Vec<u8>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        let begin = ["train", "--system", "lnets-anet", "--profile", "smoke", "--out", threads];
        let small = ["--set", "system.width=4", "--set", "data.image_size=32"];
        command.args(begin).args(small).env("RAYON_NUM_THREADS", threads);
        let out = command.current_dir(folder.path()).output()?;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok(std::fs::read(folder.path().join(threads).join("network.onnx"))?)
    };
    assert!(train("1")? == train("3")?);
    Ok(())
}

#[test]
fn a_system_is_trained_alone_and_other_commands_say_whose_it_is() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("moon").display().to_string();
    let small = ["--set", "system.width=4", "--set", "data.image_size=32"];
    let begin = ["train", "--system", "moon", "--profile", "smoke", "--out", &out];
    foresee(&[&begin[..], &small].concat())?;
    // Done once: the same again changes nothing.
    let network = folder.path().join("moon/network.onnx");
    let before = std::fs::metadata(&network)?.modified()?;
    foresee(&["train", "--run", &out])?;
    assert_eq!(std::fs::metadata(&network)?.modified()?, before);
    for command in [["measure", "--run"], ["attribute", "--run"], ["explore", "--run"]] {
        let refused = foresee(&[&command[..], &[&out]].concat()).unwrap_err().to_string();
        assert!(refused.contains("is of MOON"), "{command:?}: {refused}");
    }
    // Its network is like any other.
    foresee(&["inspect", &network.display().to_string()])?;
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_before_any_work() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let run = |arguments: &[&str]| -> AnyResult<(Option<i32>, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        let out = command.args(arguments).current_dir(folder.path()).output()?;
        Ok((out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned()))
    };
    for (arguments, expected) in [
        (&["compare", "--out", "c", "--systems", "vgg"][..], "invalid value 'vgg'"),
        (&["compare", "--out", "c", "--passes", "moon"], "a system and a number of passes"),
        (&["compare", "--out", "c", "--only", "99"], "--only: a number from 0 to 20"),
        (&["compare", "--out", "c", "--analyse"], "no run is done yet"),
        (&["compare", "--out", "c", "--set", "system.depth=20"], "system.depth = 20"),
        (
            &["train", "--system", "moon", "--out", "m", "--set", "data.image_size=16"],
            "image_size = 16 is not possible",
        ),
        (
            &["train", "--system", "paper", "--out", "m", "--set", "system.weights=\"w\""],
            "it decides nothing of the paper's network",
        ),
        (
            &["train", "--system", "moon", "--out", "m", "--set", "train.lambda = 1e-5"],
            "--set train.lambda = 1e-5: it decides nothing of MOON",
        ),
        (&["train", "--system", "moon", "--out", "m", "--set", "train.drop=0.5"], "train.drop"),
        (
            &["train", "--system", "moon", "--out", "m", "--set", "system.name=\"abn\""],
            "--system says",
        ),
        (&["compare", "--out", "c", "--set", "moon:train.lambda=1"], "nothing of MOON"),
        (&["reproduce", "--set", "system.name=\"abn\"", "--out", "r"], "`compare` train others"),
    ] {
        let (status, text) = run(arguments)?;
        assert!(status == Some(2) && text.contains(expected), "{arguments:?}: {status:?} {text}");
    }
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "nothing is left behind");
    Ok(())
}
