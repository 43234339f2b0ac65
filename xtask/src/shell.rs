//! Commands in the checkout, and what commands ask for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use foresee::error::input;

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs cargo in the checkout.
pub fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments))
}

/// Runs a command in the checkout, and shows it.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("→ {command:?}");
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    match status.success() {
        true => Ok(()),
        false => bail!("{command:?} failed ({status})"),
    }
}

/// Those whose name contains one of the texts of `--only`, or all if it was not given.
pub fn chosen<T>(
    all: Vec<T>,
    only: &[String],
    name: impl Fn(&T) -> String,
    plural: &str,
) -> Result<Vec<T>> {
    let names: Vec<String> = all.iter().map(&name).collect();
    let is_chosen = |item: &T| only.iter().any(|text| name(item).contains(text.as_str()));
    let found: Vec<T> = all.into_iter().filter(|item| only.is_empty() || is_chosen(item)).collect();
    match found.is_empty() {
        true => {
            Err(input(format!("--only {}: the {plural} are\n{}", only.join(" "), names.join("\n"))))
        }
        false => Ok(found),
    }
}
