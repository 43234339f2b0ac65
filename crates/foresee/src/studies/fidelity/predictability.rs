//! Predictability over seeds: the scores of each variant's runs beside each other.

use foresee_predict::{NetworkOperation, ScoreRule, ScoredForecast, Subject};
use foresee_report::{Source, Table};
use foresee_stats::{mean, range};

use super::Group;
use crate::artifacts::{PredictabilityOverSeeds, ScoredForecasts};
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::number;
use crate::run::{Run, kind_of_faces};

/// The scores that are compared; the others are in each run's own table.
const COMPARED: [ScoreRule; 5] = [
    ScoreRule::Skill,
    ScoreRule::RankOfOperations,
    ScoreRule::RankOfOutputs,
    ScoreRule::Monotonicity,
    ScoreRule::RankOfPairs,
];

/// All scores of one variant; none if its runs have no stage `predict`.
pub(crate) fn rows(group: &Group) -> Result<Vec<PredictabilityOverSeeds>> {
    let first = &group.runs[0].manifest;
    if group.runs.iter().any(|run| run.manifest.config.predict.images == 0) {
        return Ok(vec![]);
    }
    let each = group.runs.iter().map(Run::read).collect::<Result<Vec<ScoredForecasts>>>()?;
    let mut rows = vec![];
    for (operation, subject) in each[0].lines() {
        for score in COMPARED {
            let estimates: Option<Vec<f64>> =
                each.iter().map(|run| estimate(&run.0, operation, subject, score)).collect();
            let finite = |values: &Vec<f64>| values.iter().all(|v| v.is_finite());
            let Some(estimates) = estimates.filter(finite) else { continue };
            let (lowest, highest) = range(&estimates);
            rows.push(PredictabilityOverSeeds {
                variant: group.variant.clone(),
                operation,
                forecast: subject.clone(),
                score,
                seeds: estimates.len(),
                mean: mean(&estimates),
                lowest,
                highest,
                data: first.data.kind().into(),
            });
        }
    }
    Ok(rows)
}

fn estimate(
    rows: &[ScoredForecast],
    operation: NetworkOperation,
    subject: &Subject,
    score: ScoreRule,
) -> Option<f64> {
    let found = rows
        .iter()
        .find(|row| (row.operation, &row.subject, row.score) == (operation, subject, score));
    found.map(|row| row.value.interval.estimate)
}

/// A line for each operation, forecast and score, a column for each variant.
pub(crate) fn table(rows: &[PredictabilityOverSeeds], source: &Source) -> Table {
    let variants: Vec<(&str, bool)> =
        distinct(rows.iter().map(|row| (row.variant.as_str(), row.data == kind_of_faces(true))));
    let keys = distinct(rows.iter().map(|row| (row.operation, &row.forecast, row.score)));
    let name = |(variant, synthetic): &(&str, bool)| match synthetic {
        true => format!("{variant} (SYNTHETIC)"),
        false => (*variant).to_owned(),
    };
    let names: Vec<String> = variants.iter().map(name).collect();
    let mut header = vec!["operation", "forecast", "score"];
    header.extend(names.iter().map(String::as_str));
    let caption = "Predictability of each variant: mean over seeds (range).";
    let mut table = Table::new("predictability_over_seeds", caption, &header);
    for (operation, forecast, score) in keys {
        let cell = |(variant, _): &(&str, bool)| {
            let row = rows.iter().find(|row| {
                row.variant == *variant
                    && (row.operation, &row.forecast, row.score) == (operation, forecast, score)
            });
            row.map_or("–".into(), |row| match row.lowest < row.highest {
                true => format!(
                    "{} ({} to {})",
                    number(row.mean, 2),
                    number(row.lowest, 2),
                    number(row.highest, 2)
                ),
                // One seed, whose spread is not known, or seeds that agree.
                false => number(row.mean, 2),
            })
        };
        let fixed = [operation.title(), forecast.title(), score.title().into()];
        table.rows.push(fixed.into_iter().chain(variants.iter().map(cell)).collect());
    }
    table.measured_on(source)
}
