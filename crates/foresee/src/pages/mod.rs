//! Reports: pages that open from disk.

pub(crate) mod regression;
pub(crate) mod run;
