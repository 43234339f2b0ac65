//! From a study of one operation to rows of the table of scores.

use foresee_stats::Interval;

use crate::error::{Error, Result};
use crate::forecast::{Budget, Forecast, ForecastRule, Subject};
use crate::operation::NetworkOperation;
use crate::scored::ScoredForecast;
use crate::scores::ScoreRule;
use crate::study::{Score, Scores, Study};

/// What all rows of one operation share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// The operation.
    pub operation: NetworkOperation,
    /// Number of perturbations.
    pub perturbations: usize,
    /// Number of images.
    pub images: usize,
}

impl Rows {
    /// One row.
    pub fn row(
        &self,
        subject: Subject,
        score: ScoreRule,
        value: Score,
        budget: Budget,
    ) -> ScoredForecast {
        let Self { operation, perturbations, images } = *self;
        ScoredForecast { operation, subject, score, value, budget, perturbations, images }
    }

    /// The scores of all forecasts, and of what can be said without any explanation
    /// ([`Study::mean_of_others`]), then the differences between the forecasts of each pair.
    pub fn of_forecasts(
        &self,
        study: &Study,
        forecasts: &[Forecast],
        pairs: &[[ForecastRule; 2]],
    ) -> Result<Vec<ScoredForecast>> {
        let mut rows = vec![];
        for forecast in forecasts {
            rows.extend(self.of_scores(study.score(forecast)?, |score| score));
        }
        let others =
            study.score_of_mean_of_others().map(|scores| self.of_scores(scores, |score| score));
        rows.extend(others.into_iter().flatten().filter(knows_operations));
        for [ours, theirs] in pairs {
            let ours = find(forecasts, ours)?;
            let difference = match theirs {
                ForecastRule::MeanOfOthers => study.difference_from_mean_of_others(ours)?,
                theirs => Some(study.difference(ours, find(forecasts, theirs)?)?),
            };
            let scored = difference.map(|scores| self.of_scores(scores, Score::uncontrolled));
            rows.extend(scored.into_iter().flatten().filter(knows_operations));
        }
        Ok(rows)
    }

    fn of_scores<T>(&self, scores: Scores<T>, score: fn(T) -> Score) -> Vec<ScoredForecast> {
        let Scores { subject, values, budget } = scores;
        values
            .into_iter()
            .map(|(rule, value)| self.row(subject.clone(), rule, score(value), budget))
            .collect()
    }

    /// The monotonicity of the changes in the strength.
    pub fn of_monotonicity(&self, monotonicity: Interval) -> ScoredForecast {
        self.row(
            Subject::Forecast(ForecastRule::Monotone),
            ScoreRule::Monotonicity,
            Score::uncontrolled(monotonicity),
            Budget::default(),
        )
    }
}

/// Whether a row says something of operations, or is of another score. The mean of the others has
/// the reverse order of the operations, since the mean without the largest is the smallest.
fn knows_operations(row: &ScoredForecast) -> bool {
    let is_of_others = match &row.subject {
        Subject::Forecast(rule) => *rule == ForecastRule::MeanOfOthers,
        Subject::Difference { theirs, .. } => *theirs == ForecastRule::MeanOfOthers,
    };
    !is_of_others || row.score != ScoreRule::RankOfOperations
}

fn find<'a>(forecasts: &'a [Forecast], rule: &ForecastRule) -> Result<&'a Forecast> {
    forecasts
        .iter()
        .find(|forecast| forecast.rule == *rule)
        .ok_or_else(|| Error::NoForecast(rule.title().to_owned()))
}
