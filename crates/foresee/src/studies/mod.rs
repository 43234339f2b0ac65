//! Studies over many runs.

pub(crate) mod fidelity;
pub(crate) mod learn;
