//! The stage and the command `attribute` as a user meets them: what is scored for which network,
//! and what bad input gets.

use std::path::Path;
use std::process::Output;

use foresee_tests::{message, small_run, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// Enough test faces for surrogates, and no other stage that takes long.
const MORE: [&str; 6] = [
    "--set",
    "data.synthetic_faces=120",
    "--set",
    "prune.random_seeds=1",
    "--set",
    "predict.images=0",
];

fn run(out: &Path, more: &[&str]) -> AnyResult {
    let output = xtask(&small_run(out, &[&MORE[..], more].concat())?, &[])?;
    assert!(output.status.success(), "{}", message(&output));
    Ok(())
}

fn attribute(run: &Path, more: &[&str]) -> AnyResult<Output> {
    let arguments: Vec<&str> =
        ["attribute", "--run", text(run)?].into_iter().chain(more.iter().copied()).collect();
    xtask(&arguments, &[])
}

/// A column of a CSV file.
fn column(file: &Path, name: &str) -> AnyResult<Vec<String>> {
    let mut reader = csv::Reader::from_path(file)?;
    let place = reader.headers()?.iter().position(|h| h == name);
    let place = place.ok_or_else(|| format!("{}: no {name}", file.display()))?;
    reader.records().map(|row| Ok(row?.get(place).ok_or("a short line")?.to_owned())).collect()
}

fn numbers(file: &Path, name: &str) -> AnyResult<Vec<f64>> {
    column(file, name)?.iter().map(|v| Ok(v.parse::<f64>()?)).collect()
}

#[test]
fn every_method_is_scored_and_checked_and_bad_input_is_told() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    run(&out, &["--set", "attribute.checks=2"])?;
    let data = |name: &str| out.join("data").join(name);
    let methods = column(&data("attribution_scores.csv"), "method")?;
    for method in ["guided-grad-cam", "lime", "permutation-regions", "masks", "lrp", "chance"] {
        assert!(methods.iter().any(|m| m == method), "{method} is not scored");
    }
    assert!(!methods.iter().any(|m| m == "cam"), "a network with masks allows no CAM");
    let fits: Vec<f64> = methods
        .iter()
        .zip(numbers(&data("attribution_scores.csv"), "local_r2")?)
        .filter(|(m, _)| *m == "lime")
        .map(|(_, r2)| r2)
        .collect();
    assert!(!fits.is_empty() && fits.iter().all(|r2| (0. ..=1.).contains(r2)), "{fits:?}");

    checks_are_possible(&data("attribution_checks.csv"), &data("attribution_randomisation.csv"))?;
    importance_adds_up(&data("attribution_permutation.csv"))?;
    let agreement = numbers(&data("attribution_surrogate.csv"), "agreement_held_out")?;
    assert!(
        agreement.len() == 24 && agreement.iter().all(|a| (0. ..=1.).contains(a)),
        "two surrogates of six attributes from two inputs: {agreement:?}"
    );
    let inputs = column(&data("attribution_surrogate.csv"), "inputs")?;
    assert!(
        ["mean_masks", "mean_features"]
            .iter()
            .all(|of| inputs.iter().filter(|i| i == of).count() == 12),
        "{inputs:?}"
    );
    shown_faces_have_the_attribute(&out)?;
    for table in [
        "attribution_scores",
        "attribution_checks",
        "attribution_permutation",
        "attribution_surrogate",
    ] {
        for extension in ["csv", "md", "tex"] {
            assert!(
                out.join(format!("tables/{table}.{extension}")).exists(),
                "tables/{table}.{extension}"
            );
        }
    }
    more_images_are_scored(&out)?;
    bad_input_is_told(&out, folder.path())
}

/// A scaled map is never worse than a map of zeros, nothing is less than 0, and a map of the same
/// random numbers does not change with the weights.
fn checks_are_possible(checks: &Path, cascade: &Path) -> AnyResult {
    for (infidelity, zeros) in
        numbers(checks, "infidelity")?.into_iter().zip(numbers(checks, "infidelity_of_zeros")?)
    {
        assert!(
            infidelity >= -1e-9 && infidelity <= zeros * (1. + 1e-6),
            "{infidelity} of {zeros}"
        );
    }
    let methods = column(cascade, "method")?;
    for (method, rho) in methods.iter().zip(numbers(cascade, "rank_correlation")?) {
        assert!(rho.is_nan() || rho.abs() <= 1. + 1e-9);
        assert!(method != "chance" || (rho - 1.).abs() < 1e-9, "chance: {rho}");
    }
    // Six layers for each method but the one that explains no single face.
    let of = |name: &str| methods.iter().filter(|m| *m == name).count();
    assert_eq!((of("masks"), of("permutation-regions")), (2 * 6, 0));
    Ok(())
}

/// Every row of the figure is a test face with the attribute, of the drawn ones with its region,
/// and each method has one scale.
fn shown_faces_have_the_attribute(run: &Path) -> AnyResult {
    let maps = run.join("data/attribution_maps.csv");
    assert!(
        column(&maps, "has")?.iter().all(|has| has == "yes")
            && column(&maps, "split")?.iter().all(|split| split == "test")
    );
    let (attributes, methods, greatest) =
        (column(&maps, "attribute")?, column(&maps, "method")?, column(&maps, "greatest")?);
    let regions = methods.iter().filter(|m| *m == "region").count();
    let mut names = attributes.clone();
    names.dedup();
    assert_eq!((names.len(), regions % names.len()), (6, 0), "{names:?}");
    assert!(regions > 0 && regions == methods.iter().filter(|m| *m == "lrp").count());
    let of = |method: &str| {
        methods
            .iter()
            .zip(&greatest)
            .filter(|(m, _)| *m == method)
            .map(|(_, g)| g.clone())
            .collect::<Vec<_>>()
    };
    assert!(
        of("lrp").windows(2).all(|pair| pair[0] == pair[1]) && of("lrp")[0].parse::<f64>()? > 0.
    );
    let faces = column(&run.join("data/attribution_faces.csv"), "face")?;
    assert!(column(&maps, "face")?.iter().all(|face| faces.contains(face)));
    Ok(())
}

/// The increase is the mean of the permuted losses less the loss.
fn importance_adds_up(file: &Path) -> AnyResult {
    let content = std::fs::read_to_string(file)?;
    for kind in ["region,", "channel,", "attribute,"] {
        let lines: Vec<&str> =
            content.lines().skip(1).filter(|line| line.starts_with(kind)).collect();
        assert!(lines.len() >= 6, "{kind} {}", lines.len());
        for line in lines {
            // From the end, since the name of a region holds a comma.
            let v: Vec<f64> =
                line.rsplit(',').skip(1).take(5).map(str::parse).collect::<Result<_, _>>()?;
            assert!(((v[0] + v[1]) / 2. - v[3] - v[4]).abs() < 1e-9, "{line}");
        }
    }
    // Six attributes by 39 others, none by itself.
    let labels: Vec<Vec<&str>> = content
        .lines()
        .filter(|line| line.starts_with("attribute,"))
        .map(|line| line.split(',').take(3).collect())
        .collect();
    assert!(
        labels.len() == 6 * 39 && labels.iter().all(|line| line[1] != line[2]),
        "{}",
        labels.len()
    );
    Ok(())
}

fn more_images_are_scored(run: &Path) -> AnyResult {
    let before = column(&run.join("data/attribution_scores.csv"), "method")?.len();
    let more = attribute(run, &["--images", "2", "--set", "attribute.checks=0"])?;
    assert!(more.status.success(), "{}", message(&more));
    let told = String::from_utf8_lossy(&more.stdout).into_owned();
    assert!(
        told.contains("| masks |") && !told.contains("Checks of attribution"),
        "the scores are printed:\n{told}"
    );
    assert!(column(&run.join("data/attribution_scores.csv"), "method")?.len() > before);
    assert!(
        !run.join("tables/attribution_checks.csv").exists()
            && !run.join("data/attribution_checks.csv").exists(),
        "checks of other settings stay"
    );
    let manifest = std::fs::read_to_string(run.join("manifest.json"))?;
    assert!(manifest.contains("\"images\": 2") && manifest.contains("\"checks\": 0"));
    assert!(
        attribute(run, &[])?.stderr.windows(10).any(|w| w == b"up to date"),
        "nothing is scored twice"
    );
    Ok(())
}

fn bad_input_is_told(run: &Path, folder: &Path) -> AnyResult {
    let before = std::fs::read(run.join("manifest.json"))?;
    let cases: [(&[&str], &str); 10] = [
        (&["--method", "saliency"], "possible values: sensitivity"),
        (&["--method", "cam"], "CAM needs average pooling"),
        (&["--attribute", "Smilling"], "did you mean Smiling"),
        (&["--image", "face.jpg"], "no such image; their names are like 000001.jpg"),
        (&["--images", "0"], "0 is not in 1.."),
        (&["--images", "many"], "invalid value 'many'"),
        (
            &["--set", "attribute.grid=1"],
            "attribute.grid = 1 is not possible: a number from 2 to 64",
        ),
        (&["--set", "attribute.surrogate_images=5"], "a number from 10, or 0"),
        (
            &["--set", "attribute.lime=5"],
            "there is no key `attribute.lime`; the keys are attribute.",
        ),
        (&["--set", "train.epochs=5"], "there is no key `train`; the keys are attribute"),
    ];
    for (arguments, expected) in cases {
        let output = attribute(run, arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", message(&output));
        assert!(message(&output).contains(expected), "{arguments:?}: {}", message(&output));
        assert!(
            std::fs::read(run.join("manifest.json"))? == before,
            "{arguments:?} changed the run"
        );
    }
    let nowhere = attribute(&folder.join("nowhere"), &[])?;
    assert!(
        nowhere.status.code() == Some(2) && message(&nowhere).contains("cargo xtask reproduce"),
        "{}",
        message(&nowhere)
    );
    std::fs::remove_file(run.join("model.safetensors"))?;
    let without = attribute(run, &[])?;
    assert!(
        without.status.code() == Some(2)
            && message(&without).contains("run `cargo xtask reproduce` first"),
        "{}",
        message(&without)
    );
    Ok(())
}

/// Masks of 3×3 kernels are explained as 1×1 ones are; without masks CAM takes the masks' place.
#[test]
fn other_networks_are_explained() -> AnyResult {
    let folder = tempfile::tempdir()?;
    for (setting, has, has_not) in
        [("model.mask_kernel=3", "masks", "cam"), ("model.attention=false", "cam", "masks")]
    {
        let out = folder.path().join(setting);
        run(
            &out,
            &[
                "--set",
                setting,
                "--set",
                "attribute.surrogate_images=0",
                "--set",
                "attribute.checks=1",
            ],
        )?;
        let methods = column(&out.join("data/attribution_scores.csv"), "method")?;
        assert!(
            methods.iter().any(|m| m == has) && !methods.iter().any(|m| m == has_not),
            "{setting}: {methods:?}"
        );
        let refused = attribute(&out, &["--method", has_not])?;
        assert!(
            refused.status.code() == Some(2)
                && message(&refused).contains("this run has sensitivity"),
            "{}",
            message(&refused)
        );
    }
    Ok(())
}
