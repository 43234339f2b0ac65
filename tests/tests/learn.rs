//! Active learning from the first labels to the table, on synthetic faces.

use std::process::Output;

use foresee_tests::{message, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

const STRATEGIES: &str = "random,margin,entropy,expected_gradient,k_centre,badge,\
                          stream_uncertainty,stream_importance,stream_disagreement";

fn learn(out: &std::path::Path, more: &[&str]) -> AnyResult<Output> {
    let mut arguments = vec![
        "learn",
        "--out",
        text(out)?,
        "--profile",
        "smoke",
        "--set",
        "model.channels=4",
        "--set",
        "data.image_size=12",
        "--start",
        "8",
        "--step",
        "4",
        "--passes",
        "1",
        "--seeds",
        "2",
    ];
    arguments.extend(more);
    xtask(&arguments, &[])
}

#[test]
fn a_study_is_stored_round_by_round_and_goes_on_where_it_stopped() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("study");
    let all = ["--strategy", STRATEGIES, "--rounds", "2"];
    let planned = learn(&out, &[&all[..], &["--dry-run"]].concat())?;
    assert!(planned.status.success() && !out.exists(), "{}", message(&planned));
    let first = learn(&out, &all)?;
    assert!(first.status.success(), "{}", message(&first));
    let path = out.join("data/learning_curves.csv");
    let curves = std::fs::read_to_string(&path)?;
    // 9 strategies, 2 seeds, the first labels and 2 rounds; and a header.
    assert_eq!(curves.lines().count(), 1 + 9 * 2 * 3);
    assert!(curves.lines().skip(1).all(|line| line.ends_with(",synthetic")), "{curves}");
    // All strategies of a seed begin with the same labels, so with the same network.
    let cell = |line: &str, at: usize| line.split(',').nth(at).map(str::to_owned);
    let begun: Vec<_> =
        curves.lines().filter(|line| cell(line, 2).as_deref() == Some("0")).collect();
    for seed in ["0", "1"] {
        let own = begun.iter().filter(|line| cell(line, 1).as_deref() == Some(seed));
        let mut accuracies: Vec<_> = own.map(|line| cell(line, 4)).collect();
        accuracies.dedup();
        assert_eq!(accuracies.len(), 1, "{begun:?}");
    }
    let table = std::fs::read_to_string(out.join("tables/learning_curves.md"))?;
    assert!(table.contains("SYNTHETIC FACES") && table.contains("BADGE"), "{table}");
    assert!(out.join("figures/learning_curves.svg").exists() && out.join("report.html").exists());

    // A round that is lost is done again, to the same bytes but for the time that it took.
    let course = out.join("courses/badge-seed1.json");
    let whole: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&course)?)?;
    let rounds = whole.as_array().ok_or("rounds")?;
    std::fs::write(&course, serde_json::to_string(&rounds[..2])?)?;
    let again = learn(&out, &all)?;
    assert!(again.status.success(), "{}", message(&again));
    assert!(message(&again).contains("1 of 54 rounds are to be done"), "{}", message(&again));
    let done: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&course)?)?;
    for key in ["added", "accuracy", "balanced_accuracy", "seen"] {
        assert_eq!(done[2][key], rounds[2][key], "{key}");
    }

    let other = learn(&out, &["--strategy", STRATEGIES, "--rounds", "1"])?;
    assert_eq!(other.status.code(), Some(2), "{}", message(&other));
    assert!(message(&other).contains("a study of other settings (schedule)"));
    let many = learn(&folder.path().join("many"), &["--rounds", "20"])?;
    assert_eq!(many.status.code(), Some(2));
    assert!(message(&many).contains("are more than the 48 training faces"), "{}", message(&many));
    assert!(!folder.path().join("many/faces").exists(), "nothing is drawn for what is refused");
    // Courses are only of the settings and of the faces that are known.
    let more = learn(&out, &["--rounds", "2", "--set", "data.synthetic_faces=90"])?;
    assert!(message(&more).contains("of other settings (data)"), "{}", message(&more));
    std::fs::remove_file(out.join("learn.json"))?;
    let few = learn(&folder.path().join("few"), &["--rounds", "2", "--set", "train.limit=10"])?;
    assert!(message(&few).contains("are more than the 10 training faces"), "{}", message(&few));
    assert!(!folder.path().join("few/faces").exists());
    let unknown = learn(&out, &all)?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(message(&unknown).contains("is missing beside courses"), "{}", message(&unknown));
    Ok(())
}

#[test]
fn what_a_study_would_ignore_is_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("study");
    for (more, expected) in [
        (&["--set", "system.name=resnet18"][..], "is for the paper's network"),
        (&["--set", "train.epochs=3"], "--passes and --set train.epochs set"),
        (&["--celeba", "nowhere", "--skip-bad"], "`learn` takes neither"),
    ] {
        let refused = learn(&out, more)?;
        assert_eq!(refused.status.code(), Some(2), "{}", message(&refused));
        assert!(message(&refused).contains(expected), "{}", message(&refused));
        assert!(!out.exists());
    }
    Ok(())
}

#[test]
fn of_one_seed_no_interval_is_claimed() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("study");
    let one = learn(&out, &["--seeds", "1", "--rounds", "1", "--strategy", "entropy"]);
    // Given twice, the option is refused: the helper names two seeds.
    assert_eq!(one?.status.code(), Some(2));
    let arguments = [
        "learn",
        "--out",
        text(&out)?,
        "--profile",
        "smoke",
        "--set",
        "model.channels=4",
        "--start",
        "8",
        "--step",
        "4",
        "--passes",
        "1",
        "--seeds",
        "1",
        "--rounds",
        "1",
        "--strategy",
        "entropy",
        "--json",
    ];
    let one = xtask(&arguments, &[])?;
    assert!(one.status.success(), "{}", message(&one));
    let document: serde_json::Value = serde_json::from_slice(&one.stdout)?;
    assert_eq!((&document["done"], &document["rounds"]), (&4.into(), &4.into()));
    assert!(document["summary"][0]["difference_low"].is_null());
    let table = std::fs::read_to_string(out.join("tables/learning_curves.md"))?;
    assert!(table.contains("One seed: the spread is not known"), "{table}");
    Ok(())
}
