//! A study from its list of runs to its table of claims, on drawn faces.

#[path = "support/small_study.rs"]
mod small_study;

use small_study::{AnyResult, Place, message};

#[test]
fn a_study_tests_each_claim_for_each_variant_and_goes_on_where_it_stopped() -> AnyResult {
    let place = Place::new(&[])?;
    let (list, out) = (place.path("study.toml"), place.path("study"));
    let study = |more: &[&str]| place.study("study", more).output();
    let arguments = ["fidelity", "--celeba", "nowhere", "--out", "study", "--study", "study.toml"];
    let nowhere = place.foresee(&arguments).output()?;
    assert!(
        nowhere.status.code() == Some(2) && message(&nowhere).contains("nowhere"),
        "{}",
        message(&nowhere)
    );
    let nothing = study(&["--seeds", "1", "--budget", "0"])?;
    assert!(
        nothing.status.success() && message(&nothing).contains("no run is done"),
        "{}",
        message(&nothing)
    );

    let first = study(&["--seeds", "1"])?;
    assert!(first.status.success(), "{}", message(&first));
    let claims = std::fs::read_to_string(out.join("data/claims.csv"))?;
    for (claim, lines) in [
        ("accuracy is at the level of the baselines", 3),
        ("random pruning degrades accuracy linearly", 3),
        ("lower norm goes, selects better than chance", 3),
        ("with least squares, lower selects better than the lasso", 3),
        ("robust, σ = 0.1", 3),
        ("Black_Hair shares channels with Blond_Hair", 3),
        ("masks of the top channels lie where the attribute is (drawn faces)", 3),
    ] {
        assert_eq!(
            claims.lines().filter(|line| line.contains(claim)).count(),
            lines,
            "{claim}:\n{claims}"
        );
    }
    assert!(claims.lines().skip(1).all(|line| line.ends_with(",synthetic")));
    // One seed decides nothing, and what was not measured is told so.
    assert!(
        claims
            .lines()
            .skip(1)
            .all(|line| line.contains(",not_decided,") || line.contains(",not_testable,")),
        "{claims}"
    );
    let told = |variant: &str, claim: &str| {
        claims.lines().any(|l| {
            l.contains(&format!(",{variant},")) && l.contains(claim) && l.contains("not_testable")
        })
    };
    assert!(
        told("dense", "least squares repair") && !told("sparse", "least squares repair"),
        "{claims}"
    );
    assert!(
        told("sparse", "regions of attributes are known on drawn faces only")
            && told("drawn", "points above the majority only"),
        "{claims}"
    );
    assert!(
        std::fs::read_to_string(out.join("data/mask_regions.csv"))?.lines().count() > 1
            && out.join("figures/pruning_over_seeds.pdf").is_file()
    );
    let of_sparse = [
        "λ = 1e-4 (sum)",
        "12 px",
        "1 epochs",
        "train.mask_decay = 2",
        "train.drop_correlated = 0.8",
        "16 channels",
        "bf16",
    ]
    .join(", ");
    assert!(
        std::fs::read_to_string(out.join("tables/over_lambda.md"))?
            .contains(&format!("| sparse | {of_sparse} |"))
    );
    assert!(
        std::fs::read_to_string(out.join("report.html"))?
            .contains("Black_Hair shares channels with Blond_Hair")
    );

    let predicted = std::fs::read_to_string(out.join("tables/predictability_over_seeds.md"))?;
    assert!(
        predicted.contains("drawn (SYNTHETIC)") && predicted.contains("prune one channel"),
        "{predicted}"
    );

    // With more seeds, what is done is not done again, and a run that fails stops no other.
    let model = |run: &str| {
        std::fs::metadata(out.join(format!("runs/{run}/model.safetensors")))
            .and_then(|m| m.modified())
    };
    let before = model("sparse-seed0")?;
    std::fs::create_dir_all(out.join("runs/dense-seed1"))?;
    std::fs::write(out.join("runs/dense-seed1/mine.txt"), "mine")?;
    let second = study(&["--seeds", "2"])?;
    assert_eq!(second.status.code(), Some(1), "{}", message(&second));
    assert!(message(&second).contains("1 of 6 runs failed"), "{}", message(&second));
    assert_eq!(before, model("sparse-seed0")?);
    assert!(model("sparse-seed1").is_ok() && model("drawn-seed1").is_ok());
    assert!(std::fs::read_to_string(out.join("report.html"))?.contains("Not done: dense, seed 1"));

    let text = std::fs::read_to_string(&list)?;
    std::fs::write(&list, text.replace("train.lambda=1e-4", "train.lamda=1e-4"))?;
    let wrong = study(&[])?;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        message(&wrong).contains("variant sparse") && message(&wrong).contains("train.lamda"),
        "{}",
        message(&wrong)
    );
    Ok(())
}
