//! Scores of forecasts of what operations change.

use foresee_predict::{Budget, NetworkOperation, Score, ScoreRule, ScoredForecast, Subject};
use foresee_report::record;
use foresee_stats::{Interval, LEVEL};

use super::Row;

record! {
    /// One score of one forecast for one kind of operation.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PredictabilityScore {
        /// What is done to the network.
        #[id]
        pub operation: NetworkOperation,
        /// What is forecast, or which forecasts are compared.
        #[id]
        pub forecast: Subject,
        /// How it is scored.
        #[id]
        pub score: ScoreRule,
        /// The score.
        pub estimate: f64,
        /// Lower end of the interval.
        pub low: f64,
        /// Upper end of the interval.
        pub high: f64,
        /// The score with operations and outputs exchanged.
        pub shuffled: f64,
        /// The score with operations exchanged.
        pub operations_exchanged: f64,
        /// Numbers of the explanation that the forecast sees.
        pub budget_values: usize,
        /// Perturbed networks that it sees.
        pub budget_probes: usize,
        /// How many perturbations were forecast.
        pub perturbations: usize,
        /// Test images on which changes were observed.
        pub images: usize,
    }
}

impl Row for PredictabilityScore {
    const PATH: &'static str = "data/predictability.csv";
}

impl From<&ScoredForecast> for PredictabilityScore {
    fn from(scored: &ScoredForecast) -> Self {
        let Score { interval, shuffled, exchanged } = scored.value;
        Self {
            operation: scored.operation,
            forecast: scored.subject.clone(),
            score: scored.score,
            estimate: interval.estimate,
            low: interval.low,
            high: interval.high,
            shuffled,
            operations_exchanged: exchanged,
            budget_values: scored.budget.values,
            budget_probes: scored.budget.probes,
            perturbations: scored.perturbations,
            images: scored.images,
        }
    }
}

impl From<PredictabilityScore> for ScoredForecast {
    fn from(row: PredictabilityScore) -> Self {
        let PredictabilityScore { estimate, low, high, .. } = row;
        Self {
            operation: row.operation,
            subject: row.forecast,
            score: row.score,
            value: Score {
                interval: Interval { estimate, low, high, level: LEVEL },
                shuffled: row.shuffled,
                exchanged: row.operations_exchanged,
            },
            budget: Budget { values: row.budget_values, probes: row.budget_probes },
            perturbations: row.perturbations,
            images: row.images,
        }
    }
}
