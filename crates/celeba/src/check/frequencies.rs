//! How often attributes occur, against the published counts.

use super::{Findings, Status};
use crate::attributes::ATTRIBUTES;
use crate::dataset::CelebA;
use crate::official;

/// In the complete CelebA a frequency may differ from the published one by this much.
const TOLERANCE: f64 = 0.001;
/// In a part of CelebA it may differ by this many standard errors.
const STANDARD_ERRORS: f64 = 5.;

pub(super) fn check(data: &CelebA, complete: bool, findings: &mut Findings) {
    let all: Vec<usize> = (0..data.len()).collect();
    let frequencies = data.frequencies(&all);
    let different: Vec<String> = ATTRIBUTES
        .iter()
        .zip(frequencies)
        .zip(official::frequencies())
        .filter(|((_, found), published)| {
            (found - published).abs() > allowed(*published, data.len(), complete)
        })
        .map(|((name, found), published)| {
            format!("{name} {:.2} % (CelebA {:.2} %)", 100. * found, 100. * published)
        })
        .collect();
    let bound = if complete {
        "0.1 points".to_owned()
    } else {
        format!("{STANDARD_ERRORS} standard errors")
    };
    let n = different.len();
    if n == 0 {
        let message = format!("all 40 are as frequent as published, within {bound}");
        findings.add(Status::Right, "attributes", message);
    } else if data.is_synthetic() {
        let message = format!("{n} of 40 differ by more than {bound}; these faces are drawn");
        findings.add(Status::Note, "attributes", message);
    } else {
        let message = format!("{n} of 40 differ by more than {bound}: {}", different.join(", "));
        findings.add(Status::Wrong, "attributes", message);
    }
}

/// How far a frequency among n faces may lie from the published one, p: its standard error is
/// √(p(1 - p)/n).
fn allowed(p: f64, n: usize, complete: bool) -> f64 {
    if complete { TOLERANCE } else { STANDARD_ERRORS * (p * (1. - p) / n as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_may_differ_by_its_standard_error() {
        // √(0.2 · 0.8 / 400) = 0.02.
        assert!((allowed(0.2, 400, false) - 5. * 0.02).abs() < 1e-12);
        assert_eq!(allowed(0.2, 400, true), 0.001);
    }
}
