//! Reports: pages that open from disk.

pub(crate) mod regression;
pub(crate) mod run;

/// The page's file in the folder of a run or a study.
pub(crate) const REPORT: &str = "report.html";
