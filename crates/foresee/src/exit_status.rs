//! The program's exit status: 0, or what stands here.

use crate::error::{BeingMade, Busy, InputError, Interrupted, OtherRun};

/// The run failed.
const FAILED: u8 = 1;
/// The arguments or the input are wrong.
const INPUT: u8 = 2;
/// Another process is at the same work; what schedulers call a temporary failure (`EX_TEMPFAIL`).
pub(crate) const BUSY: u8 = 75;

/// A signal ended the program, as shells tell it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
pub(crate) fn of_signal(signal: usize) -> u8 {
    128 + signal as u8
}

/// The exit status that an error means.
pub(crate) fn of(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return of_signal(interrupted.signal);
    }
    if error.is::<BeingMade>() {
        return BUSY;
    }
    let is_input = error.chain().any(|cause| {
        cause.is::<InputError>()
            || cause.is::<OtherRun>()
            || cause.is::<Busy>()
            || cause.downcast_ref::<foresee_celeba::Error>().is_some_and(|e| {
                !matches!(e, foresee_celeba::Error::Candle(_) | foresee_celeba::Error::Write { .. })
            })
            || cause.downcast_ref::<foresee_model::Error>().is_some_and(is_model_input)
    });
    if is_input { INPUT } else { FAILED }
}

fn is_model_input(error: &foresee_model::Error) -> bool {
    use foresee_model::Error::{Config, File, Tensor};
    matches!(error, Config { .. } | File { .. } | Tensor { .. })
}
