//! Studies over many runs.

pub(crate) mod fidelity;
pub mod people;
