//! Exit status: 2 if the arguments or the input are wrong, 1 if the run failed.

use std::fmt;

/// An error that the user can mend by giving something else.
#[derive(Debug)]
pub struct InputError(String);

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputError {}

/// An input error with this message.
pub fn input(message: impl Into<String>) -> anyhow::Error {
    InputError(message.into()).into()
}

/// The exit status that an error means.
pub fn status(error: &anyhow::Error) -> u8 {
    let is_input = error.chain().any(|cause| {
        cause.is::<InputError>()
            || cause
                .downcast_ref::<foresee_celeba::Error>()
                .is_some_and(|e| !matches!(e, foresee_celeba::Error::Candle(_) | foresee_celeba::Error::Write { .. }))
            || cause.downcast_ref::<foresee_model::Error>().is_some_and(is_model_input)
    });
    if is_input { 2 } else { 1 }
}

fn is_model_input(error: &foresee_model::Error) -> bool {
    use foresee_model::Error::{Config, File, Tensor};
    matches!(error, Config { .. } | File { .. } | Tensor { .. })
}
