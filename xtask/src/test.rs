//! `test`: everything that CI checks, in the order in which it fails fastest.

use std::process::Command;

use anyhow::{Context, Result, bail};

pub fn test() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--release", "--workspace"])?;
    doc()?;
    smoke_run()
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments))
}

fn doc() -> Result<()> {
    run(Command::new(env!("CARGO"))
        .args(["doc", "--release", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

/// A whole `reproduce` on few small faces, in a folder that is removed afterwards.
fn smoke_run() -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the smoke run")?;
    let out = folder.path().join("run");
    let small = [
        "data.synthetic_faces=120",
        "data.image_size=16",
        "train.epochs=1",
        "measure.images=32",
        "prune.images=12",
        "prune.step=48",
        "transform.images=8",
    ];
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("reproduce").arg("--out").arg(&out);
    small.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    run(&mut command)?;
    anyhow::ensure!(out.join("report.html").exists(), "the smoke run left no report.html");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    eprintln!("→ {command:?}");
    let status = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    match status.success() {
        true => Ok(()),
        false => bail!("{command:?} failed ({status})"),
    }
}
