//! Scores of forecasts of what operations change.

use foresee_predict::{Budget, NetworkOperation, Score, ScoreRule, ScoredForecast, Subject};
use foresee_report::{DataFrame, Record, record};
use foresee_stats::{Interval, LEVEL};

use super::Artifact;
use crate::distinct::distinct;
use crate::error::Result;

record! {
    /// One score of one forecast for one kind of operation.
    #[derive(Debug, Clone, PartialEq)]
    struct PredictabilityScore {
        /// What is done to the network.
        #[id]
        operation: NetworkOperation,
        /// What is forecast, or which forecasts are compared.
        #[id]
        forecast: Subject,
        /// How it is scored.
        #[id]
        score: ScoreRule,
        /// The score.
        estimate: f64,
        /// Lower end of the interval.
        low: f64,
        /// Upper end of the interval.
        high: f64,
        /// The score with operations and outputs exchanged.
        shuffled: f64,
        /// The score with operations exchanged.
        operations_exchanged: f64,
        /// Numbers of the explanation that the forecast sees.
        budget_values: usize,
        /// Perturbed networks that it sees.
        budget_probes: usize,
        /// How many perturbations were forecast.
        perturbations: usize,
        /// Test images on which changes were observed.
        images: usize,
    }
}

/// All scores of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredForecasts(pub Vec<ScoredForecast>);

impl Artifact for ScoredForecasts {
    const PATH: &'static str = "data/predictability.csv";

    fn to_frame(&self) -> Result<DataFrame> {
        let rows: Vec<PredictabilityScore> = self.0.iter().map(PredictabilityScore::from).collect();
        Ok(PredictabilityScore::to_frame(&rows)?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let rows = PredictabilityScore::from_frame(frame)?;
        Ok(Self(rows.into_iter().map(ScoredForecast::from).collect()))
    }
}

impl ScoredForecasts {
    /// The operations, each once, in the order of the file.
    pub fn operations(&self) -> Vec<NetworkOperation> {
        distinct(self.0.iter().map(|row| row.operation))
    }

    /// Operations and forecasts, each pair once, operation by operation.
    pub fn lines(&self) -> Vec<(NetworkOperation, &Subject)> {
        let operations = self.operations();
        let mut lines = distinct(self.0.iter().map(|row| (row.operation, &row.subject)));
        lines.sort_by_key(|line| operations.iter().position(|operation| *operation == line.0));
        lines
    }

    /// Test images on which changes were observed.
    pub fn images(&self) -> Option<usize> {
        self.0.first().map(|row| row.images)
    }
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
