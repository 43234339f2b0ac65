//! The book: checks the commands that it shows, and builds it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::error::ErrorKind;

use crate::Cli;
use crate::shell::{cargo, root, run};

/// Checks links and commands, and builds the book with mdbook.
pub fn book() -> Result<()> {
    check_commands()?;
    cargo(&["test", "--release", "--workspace", "--test", "book"])?;
    let mut mdbook = Command::new("mdbook");
    if mdbook.arg("--version").output().is_err() {
        bail!("mdbook is not installed: `cargo install mdbook --locked`, then try again");
    }
    run(Command::new("mdbook").args(["build", "docs"]))?;
    foresee::output::print("open target/book/index.html\n")
}

/// Checks every command of a code block, in the book and in the READMEs, that calls the program: as
/// `cargo xtask`, as `foresee`, or as `cargo run … --`. The program must take its arguments.
pub fn check_commands() -> Result<()> {
    let mut wrong = vec![];
    for path in pages()? {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        // A command may go on in the next line.
        let text = text.replace("\\\n", " ");
        let blocks = text.split("```").skip(1).step_by(2);
        let problems = blocks.flat_map(str::lines).filter_map(|line| problem(line.trim()));
        wrong.extend(problems.map(|problem| format!("{}: {problem}", path.display())));
    }
    anyhow::ensure!(
        wrong.is_empty(),
        "commands that the program does not take:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

fn pages() -> Result<Vec<PathBuf>> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "data/README.md"].map(|file| root().join(file)).to_vec();
    for folder in ["docs/src", "crates"] {
        for entry in std::fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            pages.push(if path.is_dir() { path.join("README.md") } else { path });
        }
    }
    pages.retain(|page| {
        page.extension().is_some_and(|extension| extension == "md") && page.exists()
    });
    pages.sort();
    Ok(pages)
}

/// What is wrong with a command of this program.
fn problem(line: &str) -> Option<String> {
    let of_cargo_run = || {
        let (cargo, arguments) = line.split_once(" -- ")?;
        let ours =
            ["--package foresee ", "--package xtask "].map(|package| cargo.contains(package));
        (cargo.starts_with("cargo run ") && ours.contains(&true)).then_some(arguments)
    };
    let arguments = line
        .strip_prefix("cargo xtask ")
        .or_else(|| line.strip_prefix("foresee "))
        .or_else(of_cargo_run)?;
    let Some(words) = shlex::split(arguments) else {
        return Some(format!("{line}: a quote is not closed"));
    };
    // What follows is for the shell.
    let words = words.into_iter().take_while(|word| !["2>&1", "|", ">"].contains(&word.as_str()));
    let words = words.filter(|word| word != "…");
    match Cli::try_parse_from(std::iter::once("xtask".to_owned()).chain(words)) {
        Err(e) if !matches!(e.kind(), ErrorKind::DisplayVersion | ErrorKind::DisplayHelp) => {
            Some(format!("{line}: {}", e.to_string().lines().next().unwrap_or_default()))
        }
        _ => None,
    }
}
