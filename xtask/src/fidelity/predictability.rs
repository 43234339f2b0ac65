//! Predictability over seeds: the scores of each variant's runs beside each other.

use anyhow::Result;
use foresee_report::frame::{DataFrame, df};
use foresee_report::{Source, Table};

use crate::predict::{self, distinct, score};
use crate::run::Run;

/// The scores that are compared; the others are in each run's own table.
const COMPARED: [&str; 3] = ["skill", "rank of operations", "rank of outputs"];

/// A score of a forecast in all runs of a variant.
pub struct Line {
    variant: String,
    operation: String,
    forecast: String,
    score: &'static str,
    seeds: Vec<f64>,
}

/// All lines of one variant; none if its runs have no stage `predict`.
pub fn lines(variant: &str, runs: &[&Run]) -> Result<Vec<Line>> {
    if runs.iter().any(|run| run.manifest.config.predict.images == 0) {
        return Ok(vec![]);
    }
    let each = runs.iter().map(|run| predict::read(run)).collect::<Result<Vec<_>>>()?;
    let mut lines = vec![];
    for operation in distinct(each[0].iter().map(|row| row.operation.as_str())) {
        for forecast in distinct(
            each[0]
                .iter()
                .filter(|row| row.operation == operation)
                .map(|row| row.forecast.as_str()),
        ) {
            for name in COMPARED.into_iter().chain(predict::OTHERS) {
                let found = each.iter().map(|rows| {
                    score(rows, operation, forecast, name).map(|row| row.value.interval.estimate)
                });
                let Some(seeds) = found
                    .collect::<Option<Vec<f64>>>()
                    .filter(|seeds| seeds.iter().all(|v| v.is_finite()))
                else {
                    continue;
                };
                lines.push(Line {
                    variant: variant.into(),
                    operation: operation.into(),
                    forecast: forecast.into(),
                    score: name,
                    seeds,
                });
            }
        }
    }
    Ok(lines)
}

fn mean(seeds: &[f64]) -> f64 {
    seeds.iter().sum::<f64>() / seeds.len() as f64
}

fn ends(seeds: &[f64]) -> (f64, f64) {
    seeds
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
}

pub fn frame(lines: &[Line], synthetic: &dyn Fn(&str) -> bool) -> Result<DataFrame> {
    let text =
        |value: fn(&Line) -> &str| lines.iter().map(|l| value(l).to_owned()).collect::<Vec<_>>();
    let number = |value: fn(&Line) -> f64| lines.iter().map(value).collect::<Vec<_>>();
    Ok(df!(
        "variant" => text(|l| &l.variant),
        "operation" => text(|l| &l.operation),
        "forecast" => text(|l| &l.forecast),
        "score" => text(|l| l.score),
        "seeds" => lines.iter().map(|l| l.seeds.len() as i64).collect::<Vec<_>>(),
        "mean" => number(|l| mean(&l.seeds)),
        "lowest" => number(|l| ends(&l.seeds).0),
        "highest" => number(|l| ends(&l.seeds).1),
        "data" => lines.iter().map(|l| if synthetic(&l.variant) { "synthetic" } else { "celeba" }).collect::<Vec<_>>(),
    )?)
}

/// A line for each operation, forecast and score, a column for each variant.
pub fn table(lines: &[Line], synthetic: &dyn Fn(&str) -> bool, source: &Source) -> Table {
    let variants = distinct(lines.iter().map(|l| l.variant.as_str()));
    let names: Vec<String> = variants
        .iter()
        .map(|v| if synthetic(v) { format!("{v} (SYNTHETIC)") } else { (*v).to_owned() })
        .collect();
    let mut header = vec!["operation", "forecast", "score"];
    header.extend(names.iter().map(String::as_str));
    let caption = "Predictability of each variant: mean over seeds (range).";
    let mut table = Table::new("predictability_over_seeds", caption, &header);
    let keys = lines.iter().map(|l| (l.operation.as_str(), l.forecast.as_str(), l.score));
    let mut seen = vec![];
    keys.for_each(|key| {
        if !seen.contains(&key) {
            seen.push(key);
        }
    });
    for (operation, forecast, score) in seen {
        let of = |variant: &&str| {
            let line = lines.iter().find(|l| {
                (l.variant.as_str(), l.operation.as_str(), l.forecast.as_str(), l.score)
                    == (variant, operation, forecast, score)
            });
            line.map_or("–".into(), |l| {
                format!(
                    "{:.2} ({:.2} to {:.2})",
                    mean(&l.seeds),
                    ends(&l.seeds).0,
                    ends(&l.seeds).1
                )
            })
        };
        let mut cells = vec![operation.to_owned(), forecast.to_owned(), score.to_owned()];
        cells.extend(variants.iter().map(of));
        table.rows.push(cells);
    }
    table.measured_on(source)
}
