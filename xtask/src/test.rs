//! `test`: everything that CI checks, in the order in which it fails fastest.

use std::process::Command;

use anyhow::{Context, Result};

use crate::book;
use crate::shell::{cargo, run};

pub fn test() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    book::check_commands()?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--release", "--workspace"])?;
    doc()?;
    smoke_run()
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
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["reproduce", "--profile", "smoke", "--out"]).arg(&out);
    run(&mut command)?;
    anyhow::ensure!(out.join("report.html").exists(), "the smoke run left no report.html");
    Ok(())
}
