//! Who is left out, by rules that are stated before anybody takes part.

use crate::answer::Respondent;

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ExclusionRules {
    /// Who fails more attention checks than this is left out.
    pub most_failed_checks: usize,
    /// Who takes less than this many seconds for an answer, in the median, is left out.
    pub least_median_seconds: f64,
    /// Who forecasts that nothing changes in more than this share of the trials is left out.
    pub most_unmoved: f64,
}

/// Why a person is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Not all trials are answered.
    Unfinished,
    /// Too many attention checks failed.
    Checks,
    /// Answers too fast.
    Fast,
    /// Hardly ever a forecast that something changes.
    Unmoved,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finished {
    /// Whether all trials are answered.
    pub finished: bool,
    /// Attention checks that failed.
    pub failed_checks: usize,
}

impl Exclusion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unfinished, Self::Checks, Self::Fast, Self::Unmoved];

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Checks => "failed_checks",
            Self::Fast => "fast",
            Self::Unmoved => "unmoved",
        }
    }

    /// The reason with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exclusion| exclusion.id() == id)
    }
}

impl ExclusionRules {
    /// The first rule that leaves this person out, if any.
    pub fn of(&self, person: &Respondent, seen: Finished) -> Option<Exclusion> {
        if !seen.finished || person.answers.is_empty() {
            return Some(Exclusion::Unfinished);
        }
        if seen.failed_checks > self.most_failed_checks {
            return Some(Exclusion::Checks);
        }
        let mut seconds: Vec<f64> = person.answers.iter().map(|a| a.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let middle = seconds.len() / 2;
        let median = match seconds.len() % 2 {
            0 => (seconds[middle - 1] + seconds[middle]) / 2.,
            _ => seconds[middle],
        };
        if median < self.least_median_seconds {
            return Some(Exclusion::Fast);
        }
        let unmoved = person.answers.iter().filter(|a| a.forecast.iter().all(|f| *f == 0.)).count();
        (unmoved as f64 > self.most_unmoved * person.answers.len() as f64)
            .then_some(Exclusion::Unmoved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;

    #[test]
    fn each_rule_leaves_out() {
        let rules =
            ExclusionRules { most_failed_checks: 1, least_median_seconds: 3., most_unmoved: 0.5 };
        let person = |forecasts: [f64; 3], seconds: [f64; 3]| Respondent {
            answers: (0..3)
                .map(|item| Answer {
                    item,
                    forecast: vec![0., forecasts[item]],
                    confidence: 0.5,
                    seconds: seconds[item],
                })
                .collect(),
        };
        let good = Finished { finished: true, failed_checks: 1 };
        let careful = person([1., 0., 2.], [1., 3., 90.]);
        assert_eq!(rules.of(&careful, good), None);
        let unfinished = Finished { finished: false, ..good };
        assert_eq!(rules.of(&careful, unfinished), Some(Exclusion::Unfinished));
        let inattentive = Finished { failed_checks: 2, ..good };
        assert_eq!(rules.of(&careful, inattentive), Some(Exclusion::Checks));
        let fast = person([1., 0., 2.], [1., 2.9, 90.]);
        assert_eq!(rules.of(&fast, good), Some(Exclusion::Fast));
        let unmoved = person([0., 0., 2.], [9.; 3]);
        assert_eq!(rules.of(&unmoved, good), Some(Exclusion::Unmoved));
    }
}
