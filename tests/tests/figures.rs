//! `figures`: what it draws by hand, that its files say how to draw them again, and that the style
//! of a run is no part of its identity.

use std::fs;
use std::path::Path;
use std::process::Output;

use foresee_tests::forms::AnyError;
use foresee_tests::{message, small_run, text, xtask};

type AnyResult<T = ()> = Result<T, AnyError>;

fn succeeded(output: &Output) -> AnyResult<String> {
    assert!(output.status.success(), "{}", message(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", message(output));
    assert!(message(output).contains(reason), "{reason}: {}", message(output));
}

fn figures(run: &Path, more: &[&str]) -> AnyResult<Output> {
    xtask(&[&["figures", "--run", text(run)?][..], more].concat(), &[])
}

/// The command in a figure's metadata, for a run's folder.
fn command(svg: &str, run: &str) -> AnyResult<Vec<String>> {
    let line = svg.lines().find_map(|line| line.strip_prefix("command: foresee "));
    let line = line.ok_or("no command")?.replace("--run .", &format!("--run {run}"));
    Ok(line.split(' ').map(str::to_owned).collect())
}

#[test]
fn figures_are_shaped_and_drawn_again() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    succeeded(&xtask(&small_run(&run, &[])?, &[])?)?;

    by_hand(&run)?;
    elsewhere(&run, folder.path())?;
    overlay(&run, folder.path())?;
    another_style(&run)
}

fn by_hand(run: &Path) -> AnyResult {
    let report = fs::read(run.join("figures/fig4_attention_masks.svg"))?;
    let options = [
        "--figure",
        "fig4",
        "--style",
        "paper-column",
        "--attributes",
        "Bald,Young",
        "--faces",
        "000055.jpg",
        "--no-note",
        "--format",
        "svg,png",
    ];
    let told = succeeded(&figures(run, &options)?)?;
    assert_eq!(told.lines().count(), 3, "{told}");
    let chosen = run.join("figures/chosen");
    let path = chosen.join("fig4_attention_masks.svg");
    let svg = fs::read_to_string(&path)?;
    assert!(svg.contains("width=\"84.000mm\"") && svg.contains("\nBald\n"), "{svg}");
    // The mark is in the metadata and the caption, and not on the figure.
    let (metadata, drawn) = svg.split_once("</metadata>").ok_or("no metadata")?;
    assert!(metadata.contains("SYNTHETIC FACES") && !drawn.contains("SYNTHETIC"), "{svg}");
    let caption = fs::read_to_string(chosen.join("fig4_attention_masks.txt"))?;
    assert!(caption.starts_with("Figure 4: ") && caption.contains("SYNTHETIC FACES"), "{caption}");
    assert!(metadata.contains("data: model.safetensors"), "{metadata}");

    fs::remove_file(&path)?;
    succeeded(&xtask(&command(&svg, text(run)?)?, &[])?)?;
    assert!(fs::read_to_string(&path)? == svg, "its own command draws another figure");
    assert!(fs::read(run.join("figures/fig4_attention_masks.svg"))? == report);

    refused(&figures(run, &["--figure", "fig7", "--attributes", "Bald"])?, "no attributes");
    refused(&figures(run, &["--figure", "fig"])?, "several figures begin so");
    refused(&figures(run, &["--figure", "fig8", "--panel", "3"])?, "has panels 1 to 2");
    refused(&figures(run, &["--width", "30"])?, "make the figure wider or the font smaller");
    refused(&figures(run, &["--font-size", "0"])?, "--font-size 0 is not possible");
    refused(&figures(run, &["--font", "No Such Font"])?, "No Such Font");
    refused(&figures(run, &["--faces", "nobody.jpg"])?, "no such image");
    refused(&figures(run, &["--figure", "fig5", "--format", "tikz"])?, "figures of curves only");
    let small = figures(run, &["--figure", "fig7", "--font-size", "5", "--format", "svg"])?;
    assert!(message(&small).contains("4.3 pt, which is hard to read"), "{}", message(&small));
    Ok(())
}

/// Figures in a folder of the user's own replace figures, and nothing else.
fn elsewhere(run: &Path, folder: &Path) -> AnyResult {
    let out = folder.join("paper");
    let options = ["--figure", "fig7", "--format", "tikz", "--out", text(&out)?];
    succeeded(&figures(run, &options)?)?;
    let tex = out.join("fig7_channel_pruning.tex");
    let marked = |text: &str| {
        text.lines().any(|line| !line.starts_with('%') && line.contains("SYNTHETIC FACES"))
    };
    assert!(marked(&fs::read_to_string(&tex)?), "the drawing does not say that faces are drawn");
    succeeded(&figures(run, &options)?)?;
    fs::write(&tex, "my own text")?;
    refused(&figures(run, &options)?, "was not written by this command");
    assert_eq!(fs::read_to_string(&tex)?, "my own text");
    let inside = run.join("data");
    refused(&figures(run, &["--out", text(&inside)?])?, "belongs to the run");
    Ok(())
}

fn overlay(run: &Path, folder: &Path) -> AnyResult {
    let at = |image: &str, more: &[&str]| -> AnyResult<Output> {
        let run = text(run)?;
        let start = ["attribute", "--run", run, "--overlay", "--method", "occlusion"];
        let of = ["--attribute", "Smiling", "--image", image];
        xtask(&[&start[..], &of, more].concat(), &[])
    };
    let told = succeeded(&at("000055.jpg", &[])?)?;
    let own = fs::read(told.trim())?;
    assert!(own.starts_with(b"\x89PNG"), "{told}");
    // The same pixels as a file of the user's own.
    let image = run.join("faces/img_align_celeba/000055.jpg");
    let copy = folder.join("me.jpg");
    fs::copy(image, &copy)?;
    refused(&at(text(&copy)?, &[])?, "needs --out FILE");
    let out = folder.join("me.png");
    succeeded(&at(text(&copy)?, &["--out", text(&out)?])?)?;
    // Length and kind of a chunk come before its bytes; the texts differ, the pixels do not.
    let pixels = |png: &[u8]| {
        let at = png.windows(4).position(|part| part == b"IDAT");
        at.map(|at| png[at..].to_vec())
    };
    assert!(pixels(&fs::read(&out)?).is_some() && pixels(&fs::read(&out)?) == pixels(&own));
    refused(&at("nobody.jpg", &[])?, "no such file is there");
    refused(&at("000055.jpg", &["--out", text(&folder.join("me.jpg2"))?])?, "is a .png");
    Ok(())
}

/// On a finished run another style only draws again.
fn another_style(run: &Path) -> AnyResult {
    let model = fs::read(run.join("model.safetensors"))?;
    let style = ["--set", "figures.style=slides", "--set", "figures.formats=['svg']"];
    let output = xtask(&small_run(run, &style)?, &[])?;
    succeeded(&output)?;
    let told = message(&output);
    for stage in ["train", "measure", "prune", "transform", "predict", "attribute"] {
        assert!(told.contains(&format!("{stage}: up to date")), "{told}");
    }
    assert!(told.contains("figures: done"), "{told}");
    let figures = run.join("figures");
    let svg = fs::read_to_string(figures.join("fig7_channel_pruning.svg"))?;
    assert!(svg.contains("width=\"254.000mm\""));
    assert!(!figures.join("fig7_channel_pruning.png").exists(), "the PNG of before is left");
    assert!(fs::read(run.join("model.safetensors"))? == model);
    Ok(())
}
