//! All forecasts with their intervals and negative controls.

use foresee_predict::{NetworkOperation, ScoreRule, ScoredForecast, Subject};
use foresee_report::{Dot, Figure, Forest, Source, Style, forest};
use foresee_stats::LEVEL;

use super::{Drawing, Request, Takes};
use crate::artifacts::{Artifact, ScoredForecasts};
use crate::error::Result;
use crate::provenance::test_faces;

pub(super) const DRAWING: Drawing = Drawing {
    name: "predictability_scores",
    caption: "Forecasts of what perturbations change, scored.",
    caption_of_chosen: None,
    data: &[ScoredForecasts::PATH],
    takes: Takes::Nothing,
    needs: None,
    is_in: |run| run.manifest.config.predict.images > 0,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let scores: ScoredForecasts = request.run.read()?;
    let source = request.source(&test_faces(scores.images()));
    scores_figure(name, &scores, &source, &request.style)
}

/// The figure of these scores.
pub(crate) fn scores_figure(
    name: &str,
    scores: &ScoredForecasts,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let groups: Vec<Forest> =
        scores.operations().into_iter().map(|operation| group(&scores.0, operation)).collect();
    let columns = ScoreRule::of_forecasts().map(ScoreRule::title);
    Ok(forest(name, &columns, &groups, LEVEL, source, style)?)
}

/// The forecasts of one operation. Differences between forecasts are in the table only.
fn group(rows: &[ScoredForecast], operation: NetworkOperation) -> Forest {
    let forecasts = rows.iter().filter(|row| {
        row.operation == operation && row.score == ScoreRule::Skill && !row.subject.is_difference()
    });
    let line = |row: &ScoredForecast| {
        let dots = ScoreRule::of_forecasts().map(|rule| dot(rows, operation, &row.subject, rule));
        (row.subject.title(), dots.to_vec())
    };
    Forest { title: operation.title(), rows: forecasts.map(line).collect() }
}

fn dot(
    rows: &[ScoredForecast],
    operation: NetworkOperation,
    subject: &Subject,
    rule: ScoreRule,
) -> Dot {
    let found = rows
        .iter()
        .find(|r| (r.operation, &r.subject, r.score) == (operation, subject, rule))
        .map(|row| row.value);
    let unknown = f64::NAN;
    match found {
        Some(score) => Dot {
            value: score.interval.estimate,
            interval: (score.interval.low, score.interval.high),
            controls: [score.shuffled, score.exchanged],
        },
        None => Dot { value: unknown, interval: (unknown, unknown), controls: [unknown; 2] },
    }
}
