//! Does who is sure more often know?

use crate::answer::{Items, Respondent};
use crate::scores::largest;

/// Bins of the confidence.
pub const BINS: usize = 5;

/// Answers of about the same confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// The mean confidence.
    pub confidence: f64,
    /// The share in which the output with the largest forecast changed most.
    pub right: f64,
    /// How many answers there are.
    pub answers: usize,
}

/// The curve of reliability: answers in [`BINS`] equally wide bins of their confidence; those
/// without an answer are left out.
///
/// # Panics
/// If an answer is to an item that is not there: see [`Items::check`].
pub fn reliability(items: &Items, people: &[Respondent]) -> Vec<ReliabilityBin> {
    let mut sums = [(0., 0., 0usize); BINS];
    for answer in people.iter().flat_map(|person| &person.answers) {
        let bin = ((answer.confidence * BINS as f64) as usize).min(BINS - 1);
        let sum = &mut sums[bin];
        sum.0 += answer.confidence;
        sum.1 += largest(items.observed.row(answer.item), &answer.forecast);
        sum.2 += 1;
    }
    let bin = |(confidence, right, answers): (f64, f64, usize)| ReliabilityBin {
        confidence: confidence / answers as f64,
        right: right / answers as f64,
        answers,
    };
    sums.into_iter().filter(|sum| sum.2 > 0).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use foresee_stats::Matrix;

    use super::*;
    use crate::Answer;

    #[test]
    fn answers_are_counted_by_their_confidence() {
        let observed = Matrix::from_rows(&[vec![2., 1.]]);
        let items = Items { observed, faces: vec![0], least_change: 1. };
        let person = |confidence, forecast: [f64; 2]| Respondent {
            answers: vec![Answer { item: 0, forecast: forecast.into(), confidence, seconds: 1. }],
        };
        let people = [person(1., [1., 0.]), person(0.9, [0., 1.]), person(0., [0., 0.])];
        let bins = reliability(&items, &people);
        assert_eq!(bins[0], ReliabilityBin { confidence: 0., right: 0.5, answers: 1 });
        assert_eq!(bins[1], ReliabilityBin { confidence: 0.95, right: 0.5, answers: 2 });
        assert_eq!(bins.len(), 2);
    }
}
