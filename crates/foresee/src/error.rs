//! The errors of the program itself. `exit_status` says what each means to a shell.

use std::fmt;
use std::path::PathBuf;

/// The result of the program's functions: an error tells its whole chain of causes.
pub type Result<T> = anyhow::Result<T>;

/// An error that the user can mend by giving something else.
#[derive(Debug)]
pub(crate) struct InputError(String);

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputError {}

/// A folder holds a run of other settings or faces.
#[derive(Debug)]
pub(crate) struct OtherRun(pub String);

impl fmt::Display for OtherRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; name another folder with --out (`reproduce --force` starts in a new one beside \
             it)",
            self.0
        )
    }
}

impl std::error::Error for OtherRun {}

/// The user has asked the program to stop, and it has saved what it had.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub signal: usize,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; give the same command again to go on from here")
    }
}

impl std::error::Error for Interrupted {}

/// Another process is working in a folder.
#[derive(Debug)]
pub(crate) struct Busy {
    /// The process.
    pub holder: String,
    pub folder: PathBuf,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is working in {}; wait for it to end, or name another folder with --out",
            self.holder,
            self.folder.display()
        )
    }
}

impl std::error::Error for Busy {}

/// Runs of a study that were asked for are being made by other processes.
#[derive(Debug)]
pub(crate) struct BeingMade(pub String);

impl fmt::Display for BeingMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BeingMade {}

/// An input error with this message.
pub fn input(message: impl Into<String>) -> anyhow::Error {
    InputError(message.into()).into()
}

/// Whether the user can mend an error by giving something else.
pub(crate) fn is_input(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<InputError>() || cause.is::<Busy>())
}

/// The parquet library panics over damaged pages, which foresee-celeba makes an error of: the panic
/// itself is not shown.
pub(crate) fn hide_caught_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|place| place.file().contains("parquet-")) {
            others(info);
        }
    }));
}
