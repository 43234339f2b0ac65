//! What scripts and shells rely on: completions, pages, documents in JSON, plans that write
//! nothing, and lists of runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use foresee_tests::{QUICK, message, small_run, text, xtask};
use serde_json::Value;

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

fn succeeded(output: &Output) -> AnyResult<String> {
    assert!(output.status.success(), "{}", message(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", message(output));
    assert!(message(output).contains(reason), "{reason}: {}", message(output));
}

/// What a command prints: one document, and nothing else.
fn document(arguments: &[&str]) -> AnyResult<Value> {
    Ok(serde_json::from_str(&succeeded(&xtask(arguments, &[])?)?)?)
}

/// All files below a folder with their bytes.
fn contents(folder: &Path) -> AnyResult<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(contents(&path)?),
            false => drop(files.insert(path.clone(), fs::read(&path)?)),
        }
    }
    Ok(files)
}

/// A number in the first row of a CSV file.
fn number(csv: &Path, column: &str) -> AnyResult<f64> {
    let text = fs::read_to_string(csv)?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (names, row) = (lines.next().ok_or("a header")?, lines.next().ok_or("a row")?);
    let at = names.iter().position(|name| *name == column).ok_or("the column")?;
    Ok(row.get(at).ok_or("a cell")?.parse()?)
}

#[test]
fn shells_complete_commands_options_and_values() -> AnyResult {
    for (shell, start) in [("bash", "_foresee()"), ("zsh", "#compdef foresee"), ("fish", "")] {
        let script = succeeded(&xtask(&["completions", shell], &[])?)?;
        assert!(script.starts_with(start), "{shell}: {script}");
        let of_foresee = ["reproduce", "takeover", "least_squares", "integrated-gradients"];
        for expected in of_foresee {
            assert!(script.contains(expected), "{shell} does not know {expected}");
        }
        assert!(!script.contains("soak"), "{shell}: a command of xtask");
    }
    refused(&xtask(&["completions", "cmd.exe"], &[])?, "invalid value");
    Ok(())
}

#[test]
fn several_processes_of_mpi_are_refused_by_a_program_without_it() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let arguments = ["reproduce", "--profile", "smoke", "--out", text(&out)?];
    let reason = "MPI started 2 processes of this program, but it was built without MPI";
    refused(&xtask(&arguments, &[("OMPI_COMM_WORLD_SIZE", "2")])?, reason);
    assert!(!out.exists());
    Ok(())
}

#[test]
fn every_command_has_a_page() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("man1");
    let man = |more: &[&str]| xtask(&[&["man", "--out", text(&out)?], more].concat(), &[]);
    succeeded(&man(&[])?)?;
    for (page, expected) in [
        ("foresee.1", "NO_COLOR"),
        ("foresee-reproduce.1", "HF_TOKEN"),
        ("foresee-data-check.1", "deep"),
        ("foresee-runs.1", "json"),
    ] {
        let text = fs::read_to_string(out.join(page))?;
        assert!(text.contains(".TH foresee"), "{page}: {text}");
        // Underscores and hyphens may be escaped.
        assert!(text.replace('\\', "").contains(expected), "{page} lacks {expected}: {text}");
    }
    succeeded(&man(&[])?)?;
    fs::write(out.join("foresee.1"), "mine")?;
    refused(&man(&[])?, "--overwrite");
    succeeded(&man(&["--overwrite"])?)?;
    Ok(())
}

#[test]
fn the_help_names_the_variables_of_the_environment() -> AnyResult {
    for (command, variables) in [
        (&["--help"][..], &["RAYON_NUM_THREADS", "RUST_LOG", "NO_COLOR", "CLICOLOR_FORCE"][..]),
        (&["reproduce", "--help"], &["HF_TOKEN", "HF_HOME"]),
        (&["data", "fetch", "--help"], &["HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"]),
        (&["test", "--help"], &["FORESEE_CELEBA"]),
    ] {
        let help = succeeded(&xtask(command, &[])?)?;
        for variable in variables {
            assert!(help.contains(variable), "{command:?}: {variable}\n{help}");
        }
    }
    Ok(())
}

#[test]
fn a_plan_tells_and_writes_nothing_and_results_are_documents() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let run = text(&out)?;
    let reproduce = |more: &[&str]| -> AnyResult<Vec<String>> { small_run(&out, more) };
    let plan = || -> AnyResult<Value> {
        let arguments = reproduce(&["--dry-run", "--json"])?;
        document(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let states = |plan: &Value| -> Vec<String> {
        let stages = plan["stages"].as_array().into_iter().flatten();
        stages.map(|stage| stage["state"].as_str().unwrap_or("none").to_owned()).collect()
    };

    // Nothing is there. 48 of 60 faces are for training; 32 are a batch.
    let new = plan()?;
    assert!(!out.exists(), "a plan made a folder");
    assert_eq!(states(&new), vec!["new"; 7]);
    let training = &new["estimate"]["training"];
    assert_eq!((&training["steps"], &training["images"]), (&1.into(), &32.into()));
    assert_eq!((&new["faces"]["train"], &new["draws_faces"]), (&48.into(), &true.into()));
    assert!(new["estimate"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.));
    let wrong = reproduce(&["--dry-run", "--device", "abacus"])?;
    refused(&xtask(&wrong, &[])?, "the devices are cpu, cuda, metal");

    // One thread, then three: the same bits. What was planned is what is there.
    let found = xtask(&reproduce(&["--threads", "1", "--json"])?, &[])?;
    let found: Value = serde_json::from_str(&succeeded(&found)?)?;
    let twin = folder.path().join("study/runs/twin");
    succeeded(&xtask(&small_run(&twin, &[&QUICK[..], &["--threads", "3"]].concat())?, &[])?)?;
    assert!(
        fs::read(out.join("model.safetensors"))? == fs::read(twin.join("model.safetensors"))?,
        "the model depends on the threads"
    );
    refused(&xtask(&reproduce(&["--threads", "0"])?, &[])?, "invalid value");
    assert_eq!(found["faces"], new["faces"]);
    let accuracy = number(&out.join("data/accuracy.csv"), "accuracy")?;
    assert!(is_number(&found["results"]["accuracy"][0]["accuracy"], accuracy));

    let before = contents(&out)?;
    let done = plan()?;
    assert_eq!(states(&done), vec!["up_to_date"; 7]);
    assert_eq!(done["estimate"]["seconds"], 0.);
    let other = reproduce(&["--dry-run", "--seed", "5"])?;
    refused(&xtask(&other, &[])?, "seed is 0 there, 5 here");
    let told = succeeded(&xtask(&reproduce(&["--dry-run", "--seed", "5", "--force"])?, &[])?)?;
    assert!(told.contains("run-2") && told.contains("Nothing was written"), "{told}");
    assert!(contents(&out)? == before && !folder.path().join("run-2").exists());

    let curves = out.join("data/channel_pruning.csv");
    let bytes = fs::read(&curves)?;
    fs::remove_file(&curves)?;
    let again = plan()?;
    let done = "up_to_date";
    assert_eq!(states(&again), [done, done, "files_changed", done, "follows", done, "follows"]);
    assert_eq!(again["estimate"]["stages"][0]["basis"], "before");
    fs::write(&curves, bytes)?;

    documents(&out, run, accuracy)?;
    listed(folder.path(), &out, accuracy)
}

/// Whether a document has this number, but for the rounding of the last digit by which JSON is
/// read.
fn is_number(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|v| (v - expected).abs() <= 2. * f64::EPSILON * expected.abs())
}

/// Every command that has numbers gives them as one document.
fn documents(out: &Path, run: &str, accuracy: f64) -> AnyResult {
    for (command, file, column) in [
        ("train", "accuracy", "auc"),
        ("measure", "channels", "filter_l1"),
        ("prune", "channel_pruning", "accuracy"),
        ("transform", "mask_transformation", "accuracy"),
        ("predict", "predictability", "estimate"),
        ("attribute", "attribution_scores", "deletion"),
    ] {
        let found = document(&[command, "--run", run, "--json"])?;
        let expected = number(&out.join(format!("data/{file}.csv")), column)?;
        assert!(is_number(&found["results"][file][0][column], expected), "{command}");
        assert!(found["stages"][command]["wall_seconds"].is_number(), "{command}");
    }
    refused(&xtask(&["figures", "--run", run, "--json"], &[])?, "--json");

    let folder = tempfile::tempdir()?;
    let pruned = folder.path().join("pruned.safetensors");
    let save = ["prune", "--run", run, "--count", "10", "--json", "--save"];
    let saved = document(&[&save[..], &[text(&pruned)?]].concat())?;
    assert_eq!(saved["saved"]["channels"], 6);
    assert_eq!(saved["saved"]["kept_channels"].as_array().map(Vec::len), Some(6));
    refused(&xtask(&[&save[..], &["-"]].concat(), &[])?, "both write to the standard output");

    let (model, faces) = (out.join("model.safetensors"), out.join("faces"));
    let evaluate = ["evaluate", "--model", text(&model)?, "--celeba", text(&faces)?, "--json"];
    let evaluated = document(&evaluate)?;
    assert_eq!((&evaluated["images"], &evaluated["kind"]), (&6.into(), &"synthetic".into()));
    assert!(is_number(&evaluated["accuracy"], accuracy), "the run's own test faces");
    assert_eq!(evaluated["attributes"].as_array().map(Vec::len), Some(40));
    what_it_was_trained_on(&model, &faces)?;
    let both = [&evaluate[..], &["--predictions", "-"]].concat();
    refused(&xtask(&both, &[])?, "both write to the standard output");

    let checked = document(&["data", "check", text(&faces)?, "--json"])?;
    assert_eq!(checked["wrong"], 0);
    assert!(checked["findings"][0]["status"].is_string());
    let absent = xtask(&["data", "check", "nowhere", "--json"], &[])?;
    assert_eq!(absent.status.code(), Some(2));
    let found: Value = serde_json::from_slice(&absent.stdout)?;
    assert_eq!((&found["wrong"], &found["findings"][0]["status"]), (&1.into(), &"wrong".into()));
    let counted = folder.path().join("counted");
    let counted = document(&["data", "stats", text(&faces)?, "--out", text(&counted)?, "--json"])?;
    assert_eq!(counted["faces"], 60);
    assert_eq!(counted["attribute_frequencies"].as_array().map(Vec::len), Some(40));
    Ok(())
}

/// Faces of the split that a network was trained on are told from others of the same list, and
/// these from those of another list.
fn what_it_was_trained_on(model: &Path, faces: &Path) -> AnyResult {
    let of = |faces: &Path, split: &str| -> AnyResult<Value> {
        let start = ["evaluate", "--model", text(model)?, "--celeba", text(faces)?, "--json"];
        Ok(document(&[&start[..], &["--split", split]].concat())?["trained_on_these"].take())
    };
    assert_eq!([of(faces, "train")?, of(faces, "val")?, of(faces, "test")?], ["yes", "no", "no"]);
    assert_eq!(of(faces, "all")?, "yes");
    // Others by the same names.
    let others = tempfile::tempdir()?;
    let others = others.path().join("faces");
    let drawn = ["data", "synthesize", "--faces", "60", "--seed", "77", "--out", text(&others)?];
    assert!(xtask(&drawn, &[])?.status.success());
    assert_eq!(of(&others, "test")?, "not_known");
    let start = ["evaluate", "--model", text(model)?, "--celeba", text(&others)?];
    let told = String::from_utf8(xtask(&start, &[])?.stdout)?;
    assert!(told.contains("another list of faces"), "{told}");
    Ok(())
}

/// Runs are listed with what they are, other manifests with what is wrong.
fn listed(folder: &Path, out: &Path, accuracy: f64) -> AnyResult {
    let manifest = fs::read_to_string(out.join("manifest.json"))?;
    let half = manifest.chars().take(manifest.len() / 2).collect::<String>();
    for (name, text) in [
        ("damaged", half.as_str()),
        ("foreign", "{\"name\": \"an app\"}"),
        ("older", "{\"foresee\": \"0.0.1\", \"stages\": {}}"),
    ] {
        fs::create_dir(folder.join(name))?;
        fs::write(folder.join(name).join("manifest.json"), text)?;
    }
    let found = document(&["runs", text(folder)?, "--json"])?;
    let runs = found["runs"].as_array().ok_or("a list")?;
    let names: Vec<&str> = runs.iter().filter_map(|run| run["folder"].as_str()).collect();
    let expected = ["damaged", "foreign", "older", "run", "study/runs/twin"];
    let ends = names.iter().zip(expected).all(|(name, end)| name.ends_with(end));
    assert!(ends && names.len() == expected.len(), "{names:?}");
    for (at, reason) in [(0, "is damaged"), (1, "another program"), (2, "another version")] {
        assert!(runs[at]["problem"].as_str().is_some_and(|p| p.contains(reason)), "{}", runs[at]);
        assert!(runs[at]["run"].is_null());
    }
    let run = &runs[3]["run"];
    assert!(is_number(&run["accuracy"]["accuracy"], accuracy));
    assert_eq!(run["settings"]["data.image_size"], 12);
    assert!(run["settings"].get("train.batch_size").is_none(), "it is as in quick");
    assert_eq!(run["stages"].as_array().map(Vec::len), Some(7));
    let size: u64 = contents(out)?.values().map(|bytes| bytes.len() as u64).sum();
    assert_eq!(runs[3]["bytes"], size);

    let table = succeeded(&xtask(&["runs", text(folder)?], &[])?)?;
    assert!(table.contains("60 synthetic") && table.contains("another program"), "{table}");
    refused(&xtask(&["runs", "nowhere"], &[])?, "no such folder");
    Ok(())
}
