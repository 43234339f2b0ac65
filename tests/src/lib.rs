//! End-to-end tests of the Foresee workspace live in `tests/tests`, and `tests/examples` holds the
//! comparison of a whole training with PyTorch's and the rehearsal of CelebA's full count. What
//! both need is here.

pub mod forms;
pub mod hostile;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use forms::AnyError;

/// The checkout, where a user types commands.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The arguments of a run of some seconds that goes through every stage, in a folder, and more of
/// them.
///
/// # Errors
/// If the path is not UTF-8.
pub fn small_run(out: &Path, more: &[&str]) -> Result<Vec<String>, AnyError> {
    let start = ["reproduce", "--profile", "smoke", "--out", text(out)?];
    Ok(start.iter().chain(more).map(ToString::to_string).collect())
}

/// Settings that leave out the two stages that take longest, for tests that do not look at them.
pub const QUICK: [&str; 4] = ["--set", "predict.images=0", "--set", "attribute.images=0"];

/// Runs the command line as a user does.
///
/// # Errors
/// If it cannot be built or started; that it fails is in the output.
pub fn xtask<T: AsRef<OsStr>>(
    arguments: &[T],
    environment: &[(&str, &str)],
) -> Result<Output, AnyError> {
    Ok(xtask_command(arguments)?.envs(environment.iter().copied()).output()?)
}

/// The same, to be started.
///
/// # Errors
/// If the program cannot be built.
pub fn xtask_command<T: AsRef<OsStr>>(arguments: &[T]) -> Result<Command, AnyError> {
    let mut command = Command::new(program()?);
    command.args(arguments).current_dir(ROOT);
    Ok(command)
}

/// The program behind `cargo xtask`. Cargo is asked for it once in each test process, not for every
/// command: that takes up to a second, and signals would go to cargo.
fn program() -> Result<&'static Path, AnyError> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| build().map_err(|error| error.to_string()));
    built.as_deref().map_err(|error| error.as_str().into())
}

fn build() -> Result<PathBuf, AnyError> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", "xtask"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(ROOT)
        .output()?;
    let made = String::from_utf8(output.stdout)?;
    let executable = made.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// A command as a line of a shell, each word in quotes.
pub fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
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
