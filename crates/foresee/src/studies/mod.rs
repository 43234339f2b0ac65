//! Studies over many runs, and with people.

pub(crate) mod compare;
pub(crate) mod fidelity;
pub(crate) mod learn;
pub mod people;
pub(crate) mod readings;
pub(crate) mod runs;
