//! The command line as a user meets it: what a run leaves, and what bad input gets.

use std::path::Path;
use std::process::Output;

use foresee_tests::{QUICK, message, small_run, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

fn reproduce(out: &Path, more: &[&str], environment: &[(&str, &str)]) -> AnyResult<Output> {
    xtask(&small_run(out, more)?, environment)
}

/// All files of a folder with their bytes, by relative path.
fn contents(folder: &Path) -> AnyResult<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    files
        .into_iter()
        .map(|path| {
            Ok((
                path.file_name().ok_or("a name")?.to_string_lossy().into_owned(),
                std::fs::read(path)?,
            ))
        })
        .collect()
}

#[test]
fn a_run_leaves_all_its_files_and_is_decided_by_its_seed() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let first = reproduce(&out, &[], &[("RAYON_NUM_THREADS", "1")])?;
    assert!(first.status.success(), "{}", message(&first));

    for figure in [
        "fig4_attention_masks",
        "fig5_mean_masks",
        "fig6_channel_correlation",
        "fig7_channel_pruning",
        "fig8_mask_transformation",
        "predictability_scores",
        "attribution_comparison",
    ] {
        let start =
            |extension: &str| std::fs::read(out.join(format!("figures/{figure}.{extension}")));
        assert!(start("png")?.starts_with(b"\x89PNG") && start("pdf")?.starts_with(b"%PDF"));
        assert!(
            String::from_utf8(start("svg")?)?.contains("SYNTHETIC FACES"),
            "{figure} does not say what it ran on"
        );
    }
    for table in [
        "table1_extractor",
        "table2_classifier",
        "table3_accuracy",
        "table3_per_attribute",
        "table4_attribute_correlation",
    ] {
        for extension in ["csv", "md", "tex"] {
            assert!(
                std::fs::metadata(out.join(format!("tables/{table}.{extension}")))?.len() > 100
            );
        }
    }
    let report = std::fs::read_to_string(out.join("report.html"))?;
    assert!(
        report.contains("synthetic (drawn) faces")
            && !report.contains("http://")
            && !report.contains("https://")
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("manifest.json"))?)?;
    for stage in ["train", "measure", "prune", "transform", "predict", "attribute", "figures"] {
        assert!(
            manifest["stages"][stage]["wall_seconds"].is_number(),
            "{stage} is not in the manifest"
        );
    }
    assert_eq!(manifest["data"]["train"], 48);

    let again = reproduce(&out, &[], &[])?;
    assert!(
        again.status.success() && message(&again).matches("up to date").count() == 7,
        "{}",
        message(&again)
    );
    std::fs::write(out.join("figures/fig7_channel_pruning.svg"), "changed")?;
    let redrawn = reproduce(&out, &[], &[])?;
    assert!(
        message(&redrawn).matches("up to date").count() == 6
            && message(&redrawn).contains("figures: done")
    );

    let other = reproduce(&out, &["--seed", "5"], &[])?;
    assert_eq!(other.status.code(), Some(2));
    assert!(
        message(&other).contains("holds another run")
            && message(&other).contains("seed is 0 there, 5 here"),
        "{}",
        message(&other)
    );

    for threads in ["2", "7"] {
        let twin = folder.path().join(threads);
        let second = reproduce(&twin, &[], &[("RAYON_NUM_THREADS", threads)])?;
        assert!(second.status.success(), "{}", message(&second));
        assert!(
            std::fs::read(out.join("model.safetensors"))?
                == std::fs::read(twin.join("model.safetensors"))?,
            "the model depends on the threads"
        );
        for part in ["data", "tables", "figures"] {
            let (one, other) = (contents(&out.join(part))?, contents(&twin.join(part))?);
            assert!(one.iter().map(|(name, _)| name).eq(other.iter().map(|(name, _)| name)));
            for ((name, a), (_, b)) in one.iter().zip(&other) {
                assert!(a == b, "{part}/{name} depends on the number of threads");
            }
        }
    }

    for (name, bytes) in contents(&out.join("data"))? {
        let text = String::from_utf8(bytes)?;
        assert!(
            text.lines().next().is_some_and(|header| header.ends_with(",data")),
            "data/{name} does not say what it was measured on"
        );
        let kind =
            if name == "predictability_regression.csv" { ",simulated" } else { ",synthetic" };
        assert!(text.lines().skip(1).all(|line| line.ends_with(kind)), "data/{name}");
    }
    attributions_are_drawn(&out)?;
    a_pruned_network_is_written(&out, folder.path())?;
    forecasts_are_scored(&out, &folder.path().join("7"))?;

    let (model, csv) = (out.join("model.safetensors"), folder.path().join("p.csv"));
    let faces = out.join("faces");
    let paths = [&model, &faces, &csv].map(|p| p.to_string_lossy().into_owned());
    let evaluated = xtask(
        &[
            "evaluate",
            "--model",
            &paths[0],
            "--celeba",
            &paths[1],
            "--split",
            "val",
            "--predictions",
            &paths[2],
        ],
        &[],
    )?;
    assert!(evaluated.status.success(), "{}", message(&evaluated));
    let text = std::fs::read_to_string(&csv)?;
    assert!(
        text.starts_with("image,5_o_Clock_Shadow,Arched_Eyebrows,")
            && text.lines().count() == 1 + 6
    );
    let probabilities =
        text.lines().skip(1).flat_map(|line| line.split(',').skip(1).map(str::parse::<f64>));
    assert!(probabilities.into_iter().all(|p| p.is_ok_and(|p| (0. ..=1.).contains(&p))));

    bad_model_files(&paths[1], folder.path(), &std::fs::read(&model)?)
}

fn attributions_are_drawn(run: &Path) -> AnyResult {
    let scores = std::fs::read_to_string(run.join("tables/attribution_scores.csv"))?;
    for method in ["sensitivity", "integrated-gradients", "grad-cam", "lrp", "masks", "chance"] {
        assert!(scores.contains(&format!("\n{method},")), "{method} is not scored:\n{scores}");
    }
    let run = run.to_string_lossy().into_owned();
    let chosen = xtask(
        &[
            "attribute",
            "--run",
            &run,
            "--method",
            "lrp",
            "--attribute",
            "Bald",
            "--image",
            "000055.jpg",
        ],
        &[],
    )?;
    let told = String::from_utf8_lossy(&chosen.stdout).into_owned();
    assert!(
        chosen.status.success()
            && told.contains("attribution_chosen.png")
            && message(&chosen).contains("attribute: up to date"),
        "{}",
        message(&chosen)
    );
    let drawn = std::fs::read_to_string(format!("{run}/figures/attribution_chosen.svg"))?;
    assert!(
        drawn.contains("Bald")
            && drawn.contains("LRP")
            && !drawn.contains("sensitivity")
            && drawn.contains("000055")
    );
    let unknown = xtask(&["attribute", "--run", &run, "--image", "face.jpg"], &[])?;
    assert!(
        unknown.status.code() == Some(2) && message(&unknown).contains("no such image"),
        "{}",
        message(&unknown)
    );
    Ok(())
}

fn a_pruned_network_is_written(run: &Path, folder: &Path) -> AnyResult {
    let (run, file) = (
        run.to_string_lossy().into_owned(),
        folder.join("pruned.safetensors").to_string_lossy().into_owned(),
    );
    let output = xtask(&["prune", "--run", &run, "--count", "10", "--save", &file], &[])?;
    assert!(output.status.success(), "{}", message(&output));
    let (network, card) =
        foresee_model::Network::load(Path::new(&file), &candle_core::Device::Cpu)?;
    assert_eq!(
        (network.config().channels, card.kept_channels.map(|kept| kept.len())),
        (6, Some(6))
    );
    let evaluated =
        xtask(&["evaluate", "--model", &file, "--celeba", &format!("{run}/faces")], &[])?;
    assert!(evaluated.status.success(), "{}", message(&evaluated));
    let plain = std::fs::read(&file)?;
    let taken_over = xtask(
        &["prune", "--run", &run, "--count", "10", "--takeover", "least_squares", "--save", &file],
        &[],
    )?;
    assert!(
        taken_over.status.success() && std::fs::read(&file)? != plain,
        "{}",
        message(&taken_over)
    );
    let all = xtask(&["prune", "--run", &run, "--count", "16", "--save", &file], &[])?;
    assert!(
        all.status.code() == Some(2) && message(&all).contains("the network has 16 channels"),
        "{}",
        message(&all)
    );
    Ok(())
}

fn forecasts_are_scored(run: &Path, other: &Path) -> AnyResult {
    let [run, other] = [run, other].map(|p| p.to_string_lossy().into_owned());
    let output = xtask(&["predict", "--run", &run, "--against", &other], &[])?;
    assert!(
        output.status.success() && message(&output).contains("predict: up to date"),
        "{}",
        message(&output)
    );
    let told = String::from_utf8_lossy(&output.stdout);
    for forecast in [
        "a duplicate changes nothing",
        "filter norm",
        "masks near 0.5 change most (Figure 5)",
        "linear from one small probe",
    ] {
        assert!(
            told.matches(forecast).count() >= 2,
            "{forecast} is not told of both runs:\n{told}"
        );
    }
    let scores = std::fs::read_to_string(Path::new(&run).join("data/predictability.csv"))?;
    for (forecast, score) in [
        ("contribution", "skill"),
        ("monotone", "monotonicity"),
        ("similar_masks", "rank_of_pairs"),
    ] {
        assert!(
            scores.lines().any(|line| line.contains(forecast) && line.contains(score)),
            "{forecast}, {score}:\n{scores}"
        );
    }
    Ok(())
}

#[test]
fn masks_fall_asleep_in_a_run() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    // 48 faces in batches of 8, 8 times: steps 0 and 32 look.
    let settings = ["train.epochs=8", "train.batch_size=8", "train.sleep=0.8"];
    let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let run = reproduce(&out, &[&QUICK[..], &set[..]].concat(), &[])?;
    assert!(run.status.success(), "{}", message(&run));
    let table = std::fs::read_to_string(out.join("data/awake_rows.csv"))?;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows.len(), rows[0], rows[1]), (3, "step,awake,data", "0,640,synthetic"));
    let awake = rows[2].strip_prefix("32,").and_then(|row| row.strip_suffix(",synthetic"));
    let awake: usize = awake.ok_or("the look of step 32")?.parse()?;
    assert!((1..640).contains(&awake), "{table}");
    assert!(message(&run).contains(&format!("{awake} of 640 masks awake")), "{}", message(&run));
    Ok(())
}

#[test]
fn a_run_from_before_masks_could_sleep_goes_on_without() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let without = [&QUICK[..], &["--set", "train.sleep=0"]].concat();
    let first = reproduce(&out, &without, &[])?;
    assert!(first.status.success(), "{}", message(&first));
    assert!(!out.join("data/awake_rows.csv").exists());
    // As such a run's manifest is: without the key.
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("manifest.json"))?)?;
    let train = manifest["config"]["train"].as_object().ok_or("settings")?;
    assert!(train.contains_key("epochs") && !train.contains_key("sleep"));

    let other = reproduce(&out, &QUICK, &[])?;
    assert_eq!(other.status.code(), Some(2));
    let difference = "train.sleep is 0.0 there, 0.03 here";
    assert!(message(&other).contains(difference), "{}", message(&other));
    let again = reproduce(&out, &without, &[])?;
    assert!(again.status.success(), "{}", message(&again));
    assert!(!message(&again).contains(": done in"), "{}", message(&again));
    assert!(message(&again).contains("train: up to date"), "{}", message(&again));
    Ok(())
}

#[test]
fn the_regression_study_needs_no_run() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("regression");
    let out_text = out.to_string_lossy().into_owned();
    let output =
        xtask(&["predict", "--study", "regression", "--out", &out_text, "--seeds", "3"], &[])?;
    assert!(output.status.success(), "{}", message(&output));
    let table = std::fs::read_to_string(out.join("data/predictability_regression.csv"))?;
    assert_eq!(table.lines().count(), 1 + 3 * 9, "three bases, N from 2 to 10");
    for figure in ["fits", "changes", "gram", "cross_talk"] {
        assert!(out.join(format!("figures/predictability_regression_{figure}.pdf")).exists());
    }
    assert!(
        out.join("report.html").exists()
            && out.join("tables/predictability_regression.tex").exists()
    );
    for wrong in [
        &["predict"][..],
        &["predict", "--study", "regression"],
        &["predict", "--study", "regression", "--out", &out_text, "--seeds", "0"],
    ] {
        assert_eq!(xtask(wrong, &[])?.status.code(), Some(2));
    }
    Ok(())
}

fn bad_model_files(faces: &str, folder: &Path, model: &[u8]) -> AnyResult {
    let path = folder.join("bad.safetensors");
    let name = path.to_string_lossy().into_owned();
    for (bytes, expected) in
        [(&model[..1000], "bad.safetensors"), (b"nothing", "is not a safetensors file")]
    {
        std::fs::write(&path, bytes)?;
        let output = xtask(&["evaluate", "--model", &name, "--celeba", faces], &[])?;
        assert_eq!(output.status.code(), Some(2));
        assert!(message(&output).contains(expected), "{}", message(&output));
    }
    Ok(())
}

#[test]
fn bad_input_is_told_with_status_2_and_leaves_nothing() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    foresee_celeba::synthetic::write(&folder.path().join("faces"), 30, 1, |_| ())?;
    foresee_celeba::synthetic::write(&folder.path().join("damaged"), 30, 1, |_| ())?;
    let damaged = folder.path().join("damaged");
    std::fs::write(damaged.join("img_align_celeba/000002.jpg"), b"")?;
    foresee_celeba::synthetic::write(&folder.path().join("no_test"), 30, 1, |_| ())?;
    let partition = folder.path().join("no_test/list_eval_partition.txt");
    std::fs::write(&partition, std::fs::read_to_string(&partition)?.replace(" 2\n", " 0\n"))?;
    std::fs::create_dir(folder.path().join("full"))?;
    std::fs::write(folder.path().join("full/thesis.txt"), "mine")?;
    std::fs::write(folder.path().join("bad.toml"), "[train]\nepoch = 3\n")?;

    let (faces, damaged, no_test, out) =
        (path("faces"), path("damaged"), path("no_test"), path("out"));
    let full = path("full");
    let (bad_config, no_config, nowhere) = (path("bad.toml"), path("none.toml"), path("nowhere"));
    let cases: [(&[&str], &str); 14] = [
        (&["--celeba", &nowhere], "does not exist"),
        (&["--celeba", &damaged], "000002.jpg: is empty"),
        (&["--celeba", &no_test], "no image belongs to the split `test`"),
        (
            &["--celeba", &faces, "--profile", "fast"],
            "there is no profile `fast`; the profiles are quick, small, paper, smoke",
        ),
        (&["--celeba", &faces, "--set", "train.epoch=3"], "there is no key `train.epoch`"),
        (&["--celeba", &faces, "--set", "train.epochs=-3"], "train.epochs"),
        (&["--celeba", &faces, "--set", "train.epochs"], "expected KEY=VALUE"),
        (
            &["--celeba", &faces, "--set", "measure.attributes=['Smyling']"],
            "there is no attribute `Smyling`",
        ),
        (&["--celeba", &faces, "--config", &bad_config], "there is no key `train.epoch`"),
        (&["--celeba", &faces, "--config", &no_config], "none.toml"),
        (&["--celeba", &faces, "--device", "cuda"], "use --device cpu"),
        (&["--celeba", &faces, "--device", "abacus"], "the devices are cpu, cuda, metal"),
        (&["--celeba", &faces, "--seed", "minus"], "invalid value 'minus'"),
        (&["--celeba", &faces, "--out", &full], "is not empty (thesis.txt)"),
    ];
    for (arguments, expected) in cases {
        let mut all = vec!["reproduce", "--set", "train.epochs=1", "--set", "data.image_size=8"];
        if !arguments.contains(&"--out") {
            all.extend(["--out", &out]);
        }
        all.extend(arguments);
        let output = xtask(&all, &[])?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", message(&output));
        assert!(message(&output).contains(expected), "{arguments:?}: {}", message(&output));
        assert!(!Path::new(&out).exists(), "{arguments:?} left something");
    }
    for command in ["train", "measure", "prune", "transform", "predict", "attribute", "figures"] {
        let output = xtask(&[command, "--run", &nowhere], &[])?;
        assert_eq!(output.status.code(), Some(2));
        assert!(message(&output).contains("cargo xtask reproduce"), "{}", message(&output));
    }
    assert!(!Path::new(&nowhere).exists());
    Ok(())
}
