//! End-to-end tests of the Foresee workspace live in `tests/tests`, and `tests/examples` holds the
//! comparison of a whole training with PyTorch's and the rehearsal of CelebA's full count. What
//! both need is here.

pub mod forms;
pub mod hostile;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use forms::AnyError;

/// Settings of a run of some seconds that goes through every stage.
pub const SMALL: [&str; 20] = [
    "data.synthetic_faces=60",
    "data.image_size=12",
    "model.channels=16",
    "train.epochs=1",
    "measure.images=20",
    "prune.step=8",
    "prune.random_seeds=2",
    "transform.images=4",
    "predict.images=6",
    "predict.channels=5",
    "predict.resamples=20",
    "attribute.images=1",
    "attribute.steps=3",
    "attribute.grid=2",
    "attribute.lime_samples=12",
    "attribute.checks=1",
    "attribute.neighbours=1",
    "attribute.permutation_images=4",
    "attribute.channels=4",
    "attribute.surrogate_images=10",
];

/// The arguments of a small run in a folder, and more of them.
///
/// # Errors
/// If the path is not UTF-8.
pub fn small_run(out: &Path, more: &[&str]) -> Result<Vec<String>, AnyError> {
    let set = SMALL.iter().flat_map(|setting| ["--set", *setting]);
    Ok(["reproduce", "--out", text(out)?]
        .into_iter()
        .chain(set)
        .chain(more.iter().copied())
        .map(String::from)
        .collect())
}

/// Runs the command line as a user does.
///
/// # Errors
/// If it cannot be started; that it fails is in the output.
pub fn xtask<T: AsRef<OsStr>>(
    arguments: &[T],
    environment: &[(&str, &str)],
) -> Result<Output, AnyError> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--release", "--package", "xtask", "--"]).args(arguments);
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .envs(environment.iter().copied());
    Ok(command.output()?)
}

/// What a command wrote to stderr: its log and its error.
pub fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path as an argument.
///
/// # Errors
/// If it is not UTF-8.
pub fn text(path: &Path) -> Result<&str, AnyError> {
    path.to_str().ok_or_else(|| "a path in UTF-8".into())
}
