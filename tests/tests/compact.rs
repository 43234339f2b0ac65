//! `compact`: what it leaves out, that the change which it states is the change that one finds, and
//! what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use candle_core::Device;
use foresee_celeba::{ATTRIBUTES, CelebA, Normalisation, Preprocessing, Split, SplitRule};
use foresee_model::{Crop, LeftOut, ModelCard, Network, NetworkConfig};
use foresee_tests::{QUICK, message, small_run, text, xtask};
use serde_json::Value;

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// A run, which drew its own faces.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        succeeded(&xtask(&small_run(&made.path("run"), &QUICK)?, &[])?)?;
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compacts the run's network.
    fn compact(&self, tolerance: &str, out: &Path, more: &[&str]) -> AnyResult<Output> {
        let run = self.path("run");
        let start = ["compact", "--run", text(&run)?, "--tolerance", tolerance];
        xtask(&[&start[..], &["--out", text(out)?], more].concat(), &[])
    }

    /// Accuracy and more of a model on the run's validation faces.
    fn evaluate(&self, model: &Path) -> AnyResult<Value> {
        let faces = self.path("run/faces");
        let start = ["evaluate", "--model", text(model)?, "--celeba", text(&faces)?];
        document(&xtask(&[&start[..], &["--split", "val", "--json"]].concat(), &[])?)
    }

    /// Logits of the run's faces of a split, face by face.
    fn logits(&self, model: &Path, split: Split) -> AnyResult<Vec<f32>> {
        let data = CelebA::open(self.path("run/faces"), SplitRule::Official)?;
        let (network, card) = Network::load(model, &Device::Cpu)?;
        let normalisation = Normalisation { mean: card.mean, deviation: card.deviation };
        let images = Preprocessing {
            crop: foresee_celeba::Crop::Square,
            image_size: card.image_size,
            normalisation,
        };
        let mut all = vec![];
        for batch in data.batches_in_order(&data.split(split)?, &images, 4) {
            let logits = network.frozen().forward(&batch?.images)?.logits;
            all.extend(logits.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(all)
    }
}

fn succeeded(output: &Output) -> AnyResult<String> {
    assert!(output.status.success(), "{}", message(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn document(output: &Output) -> AnyResult<Value> {
    Ok(serde_json::from_str(&succeeded(output)?)?)
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", message(output));
    assert!(message(output).contains(reason), "{reason}: {}", message(output));
}

/// Whether a document has this number, but for the rounding of the last digits.
fn is_number(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|v| (v - expected).abs() <= 1e-12 + 1e-9 * expected.abs())
}

/// A network of initial weights in a file of its own.
fn untrained(path: &Path, attention: bool) -> AnyResult {
    let config = NetworkConfig { channels: 4, attention, ..Default::default() };
    let card = ModelCard {
        network: config.clone(),
        attributes: ATTRIBUTES.map(String::from).to_vec(),
        image_size: 8,
        crop: Crop::Square,
        mean: [0.5; 3],
        deviation: [0.5; 3],
        conventions: Default::default(),
        seed: 7,
        trained_on: "nothing".into(),
        training_split_sha256: None,
        kept_channels: None,
        left_out: None,
    };
    Ok(Network::new(config, 7, &Device::Cpu)?.save(path, &card)?)
}

#[test]
fn rows_go_and_the_stated_change_is_the_change() -> AnyResult {
    let made = Fixture::new()?;
    let (model, compacted) = (made.path("run/model.safetensors"), made.path("compact.safetensors"));
    let found = document(&made.compact("0.01", &compacted, &["--json"])?)?;

    // 40 attributes and 16 channels; 48 training faces, 6 validation faces.
    let (network, card) = Network::load(&compacted, &Device::Cpu)?;
    let left_out = card.left_out.clone().ok_or("a card that says what is left out")?;
    let counts: Vec<usize> = left_out.kept.iter().map(Vec::len).collect();
    let kept: usize = counts.iter().sum();
    assert!(kept < 640, "no row went");
    assert_eq!((&found["rows"], &found["rows_kept"]), (&640.into(), &kept.into()));
    assert_eq!(found["fewest_rows"], *counts.iter().min().ok_or("an attribute")?);
    assert_eq!(found["most_rows"], *counts.iter().max().ok_or("an attribute")?);
    assert_eq!((left_out.tolerance, left_out.chosen_on), (0.01, 48));
    assert_eq!((&found["tolerance"], &found["chosen_on"]), (&0.01.into(), &48.into()));
    assert!(found["earlier_tolerance"].is_null() && found["kind"] == "synthetic");
    // A row costs 16 multiplications; the extractor 9·(3·32 + 32·64 + 64·64 + 64·16).
    let (rows, extractor) = (16. * kept as f64, 9. * 7264.);
    assert!(is_number(&found["share_of_heads"], kept as f64 / 640.));
    assert!(is_number(&found["share_of_network"], (extractor + rows) / (extractor + 16. * 640.)));

    // The weights say it, too.
    let tensors = network.tensors();
    let tensor = |name: &str| -> AnyResult<Vec<f32>> {
        let found = tensors.iter().find(|(own, _)| own == name).ok_or("a tensor")?;
        Ok(found.1.flatten_all()?.to_vec1()?)
    };
    let (weights, biases) = (tensor("heads.mask.weight")?, tensor("heads.mask.bias")?);
    for (row, (weights, bias)) in weights.chunks(16).zip(&biases).enumerate() {
        let is_kept = left_out.kept[row / 16].contains(&(row % 16));
        let is_shut = *bias == -100. && weights.iter().all(|w| *w == 0.);
        assert_eq!(is_shut, !is_kept, "row {row}");
    }

    let [before, after] = [&model, &compacted].map(|file| made.logits(file, Split::Val));
    the_change_is(&found, &left_out, &before?, &after?)?;
    let [before, after] = [&model, &compacted].map(|file| made.logits(file, Split::Train));
    the_promise_holds(&before?, &after?, 0.01);
    attributes_are_listed(&found, &counts)?;

    // What the command prints, and what other commands say of the file.
    let again = made.path("again.safetensors");
    let told = succeeded(&made.compact("0.01", &again, &[])?)?;
    let start = format!("compacted at tolerance 0.01: {kept} of 640 rows kept");
    assert!(told.contains(&start) && told.contains("synthetic"), "{told}");
    assert!(fs::read(&again)? == fs::read(&compacted)?, "the same faces, another file");
    let faces = made.path("run/faces");
    let evaluate = ["evaluate", "--model", text(&compacted)?, "--celeba", text(&faces)?];
    assert!(succeeded(&xtask(&evaluate, &[])?)?.contains(&start));
    let evaluated = made.evaluate(&compacted)?;
    assert_eq!(evaluated["compacted"]["rows_kept"], kept);
    let greatest = found["measured"]["greatest"].as_f64().ok_or("a number")?;
    assert!(is_number(&evaluated["compacted"]["measured"]["greatest"], greatest));
    let before = made.evaluate(&model)?;
    assert!(before["compacted"].is_null());
    for (stated, found_by_evaluate) in
        [("accuracy_before", &before["accuracy"]), ("accuracy_after", &evaluated["accuracy"])]
    {
        let expected = found_by_evaluate.as_f64().ok_or("an accuracy")?;
        assert!(is_number(&found[stated], expected), "{stated}");
    }

    // The run's own model knows its faces; for a copy they are named.
    let by_model = made.path("by_model.safetensors");
    let start = ["compact", "--tolerance", "0.01", "--out", text(&by_model)?];
    succeeded(&xtask(&[&start[..], &["--model", text(&model)?]].concat(), &[])?)?;
    assert!(fs::read(&by_model)? == fs::read(&compacted)?);
    let copy = made.path("copy.safetensors");
    fs::copy(&model, &copy)?;
    let named = [&start[..], &["--model", text(&copy)?]].concat();
    refused(&xtask(&named, &[])?, "--celeba");
    succeeded(&xtask(&[&named[..], &["--celeba", text(&faces)?]].concat(), &[])?)?;
    assert!(fs::read(&by_model)? == fs::read(&compacted)?);

    nothing_goes_at_tolerance_0(&made, &model)?;
    it_composes(&made, &compacted)
}

/// The mean and the greatest change, and the answers that flip, counted anew.
fn the_change_is(found: &Value, left_out: &LeftOut, before: &[f32], after: &[f32]) -> AnyResult {
    assert_eq!(before.len(), 6 * 40);
    let moved = || before.iter().zip(after).map(|(b, a)| (f64::from(*a) - f64::from(*b)).abs());
    let flipped = before.iter().zip(after).filter(|(b, a)| (**b > 0.) != (**a > 0.)).count();
    let measured = &found["measured"];
    // Batches of another size may round differently.
    let near = |value: &Value, expected: f64| {
        value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-4)
    };
    assert!(near(&measured["mean"], moved().sum::<f64>() / 240.), "{measured}");
    assert!(near(&measured["greatest"], moved().fold(0., f64::max)), "{measured}");
    assert!(moved().any(|moved| moved > 0.), "nothing moved");
    assert_eq!((&measured["faces"], &measured["split"]), (&6.into(), &"val".into()));
    assert_eq!((&measured["answers"], &measured["flipped"]), (&240.into(), &flipped.into()));
    assert_eq!(serde_json::to_value(&left_out.measured)?, *measured, "the card says the same");
    Ok(())
}

/// On the faces that the rows were chosen on, no logit's change has a greater standard deviation
/// than the tolerance, and on average it is none: the biases make up for it.
fn the_promise_holds(before: &[f32], after: &[f32], tolerance: f64) {
    let faces = 48.;
    assert_eq!((before.len(), after.len()), (48 * 40, 48 * 40));
    for attribute in 0..40 {
        let of_attribute = before.iter().zip(after).skip(attribute).step_by(40);
        let changes: Vec<f64> = of_attribute.map(|(b, a)| f64::from(*a) - f64::from(*b)).collect();
        let mean = changes.iter().sum::<f64>() / faces;
        let squares: f64 = changes.iter().map(|change| (change - mean).powi(2)).sum();
        let deviation = (squares / (faces - 1.)).sqrt();
        assert!(mean.abs() < 1e-4, "attribute {attribute}: mean change {mean}");
        // Sums may round differently.
        assert!(deviation <= tolerance + 1e-5, "attribute {attribute}: {deviation}");
    }
}

fn attributes_are_listed(found: &Value, counts: &[usize]) -> AnyResult {
    let attributes = found["attributes"].as_array().ok_or("a list")?;
    assert_eq!(attributes.len(), 40);
    for ((row, name), count) in attributes.iter().zip(ATTRIBUTES).zip(counts) {
        assert_eq!((&row["attribute"], &row["rows_kept"]), (&name.into(), &(*count).into()));
        let deviation = row["deviation"].as_f64().ok_or("a deviation")?;
        assert!((0. ..=0.01).contains(&deviation), "{name}: {deviation}");
        assert!(row["constant"].is_number(), "{name}");
    }
    Ok(())
}

/// A model that answers bit for bit as before.
fn nothing_goes_at_tolerance_0(made: &Fixture, model: &Path) -> AnyResult {
    let all = made.path("all.safetensors");
    let found = document(&made.compact("0", &all, &["--json"])?)?;
    assert_eq!((&found["rows_kept"], &found["share_of_network"]), (&640.into(), &1.0.into()));
    let measured = &found["measured"];
    assert_eq!((&measured["greatest"], &measured["flipped"]), (&0.0.into(), &0.into()));
    let bits = |path: &Path| -> AnyResult<Vec<u32>> {
        Ok(made.logits(path, Split::Val)?.into_iter().map(f32::to_bits).collect())
    };
    assert_eq!(bits(&all)?, bits(model)?);
    Ok(())
}

/// A compacted model is compacted again, pruned files are compacted, and the files load elsewhere.
fn it_composes(made: &Fixture, compacted: &Path) -> AnyResult {
    let faces = made.path("run/faces");
    let second = made.path("second.safetensors");
    let start = ["compact", "--celeba", text(&faces)?, "--out", text(&second)?, "--json"];
    let again = |model: &Path, tolerance: &str| -> AnyResult<Output> {
        let more = ["--model", text(model)?, "--tolerance", tolerance];
        xtask(&[&start[..], &more].concat(), &[])
    };
    refused(&again(compacted, "0.004")?, "compacted already, at tolerance 0.01");
    let kept = |path: &Path| -> AnyResult<Vec<Vec<usize>>> {
        let card = ModelCard::read(path)?;
        Ok(card.left_out.ok_or("a card that says what is left out")?.kept)
    };
    let first = kept(compacted)?;
    // The tolerance is for both times: of 0.01 nothing is left.
    let found = document(&again(compacted, "0.01")?)?;
    assert_eq!(found["earlier_tolerance"], 0.01);
    assert_eq!((kept(&second)?, &found["measured"]["greatest"]), (first.clone(), &0.0.into()));
    document(&again(compacted, "0.02")?)?;
    let fewer = kept(&second)?;
    let is_part = |(fewer, first): (&Vec<usize>, &Vec<usize>)| {
        fewer.iter().all(|channel| first.contains(channel))
    };
    let counts = [&fewer, &first].map(|kept| kept.iter().map(Vec::len).sum::<usize>());
    assert!(fewer.iter().zip(&first).all(is_part) && fewer != first, "{counts:?}");

    let (run, pruned) = (made.path("run"), made.path("pruned.safetensors"));
    let prune = ["prune", "--run", text(&run)?, "--count", "5", "--save", text(&pruned)?];
    succeeded(&xtask(&prune, &[])?)?;
    let found = document(&again(&pruned, "0.01")?)?;
    assert_eq!(found["rows"], 40 * 11);
    assert_eq!(ModelCard::read(&second)?.kept_channels, ModelCard::read(&pruned)?.kept_channels);
    // It is no file of `prune`, and that of `prune` none of `compact`.
    let over = ["prune", "--run", text(&run)?, "--count", "5", "--save", text(&second)?];
    refused(&xtask(&over, &[])?, "--overwrite");
    refused(&made.compact("0.01", &pruned, &[])?, "--overwrite");

    let (folder, onnx) = (made.path("network"), made.path("network.onnx"));
    let export = ["export", "--model", text(&second)?, "--pytorch", text(&folder)?];
    succeeded(&xtask(&[&export[..], &["--onnx", text(&onnx)?]].concat(), &[])?)?;
    let readme = fs::read_to_string(folder.join("README.md"))?;
    assert!(readme.contains("compacted at tolerance 0.01") && !readme.contains("{{"), "{readme}");
    Ok(())
}

#[test]
fn wrong_input_is_refused_before_anything_is_written() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (faces, model, out) = (path("faces"), path("model.safetensors"), path("out.safetensors"));
    foresee_celeba::synthetic::write(&faces, 30, 1, |_| ())?;
    untrained(&model, true)?;
    let start = ["compact", "--model", text(&model)?, "--celeba", text(&faces)?];
    let compact = |more: &[&str]| xtask(&[&start[..], more].concat(), &[]);
    let to_out =
        |more: &[&str]| -> AnyResult<Output> { compact(&[&["--out", text(&out)?], more].concat()) };
    for tolerance in ["-1", "NaN", "inf", "much"] {
        refused(&to_out(&["--tolerance", tolerance])?, "a number of 0 or more");
    }
    refused(&to_out(&["--images", "1"])?, "--images");
    refused(&to_out(&["--device", "abacus"])?, "the devices are");
    refused(&to_out(&["--run", text(folder.path())?])?, "cannot be used with");
    refused(&compact(&[])?, "--out");
    refused(&compact(&["--out", text(&model)?, "--overwrite"])?, "reads it");
    refused(&compact(&["--out", "-", "--json"])?, "both write to the standard output");
    let notes = path("notes.txt");
    fs::write(&notes, "mine")?;
    refused(&compact(&["--out", text(&notes)?])?, "--overwrite");
    assert_eq!(fs::read_to_string(&notes)?, "mine");

    let plain = path("plain.safetensors");
    untrained(&plain, false)?;
    let start = ["compact", "--celeba", text(&faces)?, "--out", text(&out)?];
    let of_model = |model: &Path| -> AnyResult<Output> {
        xtask(&[&start[..], &["--model", text(model)?]].concat(), &[])
    };
    refused(&of_model(&plain)?, "has no masks");
    refused(&of_model(&notes)?, "safetensors");
    assert!(!out.exists());

    // Where there are no validation faces, test faces are taken, and named.
    let partition = faces.join("list_eval_partition.txt");
    let moved: String = fs::read_to_string(&partition)?
        .lines()
        .map(|line| {
            line.strip_suffix(" 1").map_or(format!("{line}\n"), |face| format!("{face} 0\n"))
        })
        .collect();
    fs::write(&partition, moved)?;
    let found = document(&to_out(&["--json", "--limit", "2"])?)?;
    let measured = &found["measured"];
    assert_eq!((&measured["split"], &measured["faces"]), (&"test".into(), &2.into()));

    // The standard output gets the file, and nothing else.
    let piped = compact(&["--out", "-"])?;
    assert!(piped.status.success() && message(&piped).contains("rows kept"), "{}", message(&piped));
    fs::write(path("piped.safetensors"), &piped.stdout)?;
    Network::load(&path("piped.safetensors"), &Device::Cpu)?;
    Ok(())
}
