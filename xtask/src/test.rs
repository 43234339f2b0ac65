//! `test`: everything that CI checks, in the order in which it fails fastest.

use std::process::Command;

use anyhow::Result;

use crate::book;
use crate::shell::{cargo, run};

pub fn test() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    book::check_commands()?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--release", "--workspace"])?;
    machines()?;
    doc()
}

/// Several processes on one command. Their program is built for MPI, where there is one, and as a
/// part of the workspace: a package alone would have its dependencies compiled once more.
fn machines() -> Result<()> {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !(is_there("mpirun") && is_there("mpicc")) {
        println!("skipped: there is no mpirun and mpicc, so that no test has several processes");
        return Ok(());
    }
    let with_mpi = ["--release", "--workspace", "--features", "foresee/mpi"];
    let ranks = ["clippy", "--release", "--package", "foresee-ranks", "--all-features"];
    cargo(&[&ranks[..], &["--", "-D", "warnings"]].concat())?;
    cargo(&[&["test"], &with_mpi[..], &["--test", "several_machines"]].concat())
}

fn doc() -> Result<()> {
    run(Command::new(env!("CARGO"))
        .args(["doc", "--release", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}
