use crate::forecast::{Budget, Subject};
use crate::operation::NetworkOperation;
use crate::scores::ScoreRule;
use crate::study::Score;

/// One score of one forecast for one operation on a network: a row of the table of scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredForecast {
    /// The operation.
    pub operation: NetworkOperation,
    /// The forecast, or the two that are compared.
    pub subject: Subject,
    /// The score.
    pub score: ScoreRule,
    /// Its value.
    pub value: Score,
    /// What the forecast needed to see.
    pub budget: Budget,
    /// Number of perturbations that were forecast.
    pub perturbations: usize,
    /// Number of images on which the changes were observed.
    pub images: usize,
}
