//! Exit status: 2 if the arguments or the input are wrong, 1 if the run failed, 130 or 143 if it
//! was interrupted.

use std::fmt;

use crate::interrupt::Interrupted;

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
            "{}; name another folder with --out, or start in a new one beside it with --force",
            self.0
        )
    }
}

impl std::error::Error for OtherRun {}

/// An input error with this message.
pub fn input(message: impl Into<String>) -> anyhow::Error {
    InputError(message.into()).into()
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

/// The exit status that an error means.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return interrupted.status();
    }
    let is_input = error.chain().any(|cause| {
        cause.is::<InputError>()
            || cause.is::<OtherRun>()
            || cause.downcast_ref::<foresee_celeba::Error>().is_some_and(|e| {
                !matches!(e, foresee_celeba::Error::Candle(_) | foresee_celeba::Error::Write { .. })
            })
            || cause.downcast_ref::<foresee_model::Error>().is_some_and(is_model_input)
    });
    if is_input { 2 } else { 1 }
}

fn is_model_input(error: &foresee_model::Error) -> bool {
    use foresee_model::Error::{Config, File, Tensor};
    matches!(error, Config { .. } | File { .. } | Tensor { .. })
}
