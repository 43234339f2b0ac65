//! Studies over many runs, and with people.

pub(crate) mod fidelity;
pub(crate) mod learn;
pub mod people;
