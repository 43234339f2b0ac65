//! End-to-end tests of the Foresee workspace live in `tests/tests`, and `tests/examples` holds the
//! comparison of a whole training with PyTorch's and the rehearsal of CelebA's full count. What
//! both need is here.

pub mod forms;
pub mod hostile;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use forms::AnyError;

/// The arguments of a run of some seconds that goes through every stage, in a folder, and more of
/// them.
///
/// # Errors
/// If the path is not UTF-8.
pub fn small_run(out: &Path, more: &[&str]) -> Result<Vec<String>, AnyError> {
    let start = ["reproduce", "--profile", "smoke", "--out", text(out)?];
    Ok(start.iter().chain(more).map(ToString::to_string).collect())
}

/// Runs the command line as a user does.
///
/// # Errors
/// If it cannot be started; that it fails is in the output.
pub fn xtask<T: AsRef<OsStr>>(
    arguments: &[T],
    environment: &[(&str, &str)],
) -> Result<Output, AnyError> {
    Ok(xtask_command(arguments).envs(environment.iter().copied()).output()?)
}

/// The command line as a user types it, to be started.
pub fn xtask_command<T: AsRef<OsStr>>(arguments: &[T]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--release", "--package", "xtask", "--"]).args(arguments);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
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
