//! `data/predictability.csv`: a line for each score of a forecast; and its table and figure.

use anyhow::{Context, Result};
use foresee_predict::{Budget, Forecast, Interval, Score, Study};
use foresee_report::frame::{self, DataFrame, df};
use foresee_report::{Dot, Figure, Forest, Source, Table};

use crate::run::Run;

pub const SCORES: &str = "data/predictability.csv";

/// The scores that have a column of their own.
const COLUMNS: [(&str, &str); 4] = [
    ("skill", "skill"),
    ("rank of outputs", "rank agreement, attributes"),
    ("rank of operations", "rank agreement, operations"),
    ("locality", "locality"),
];

/// Those that only some lines have: the share of stronger perturbations that change more, and rank
/// agreement over pairs of attributes.
pub const OTHERS: [&str; 2] = ["monotonicity", "rank of pairs"];

/// One score of one forecast for one kind of operation.
pub struct Row {
    pub operation: String,
    pub forecast: String,
    pub score: &'static str,
    pub value: Score,
    pub budget: Budget,
    pub perturbations: usize,
    pub images: usize,
}

/// What a row is about: operation, number of perturbations, number of images.
pub struct About<'a> {
    pub operation: &'a str,
    pub perturbations: usize,
    pub images: usize,
}

impl About<'_> {
    pub fn row(&self, forecast: &str, score: &'static str, value: Score, budget: Budget) -> Row {
        let Self { operation, perturbations, images } = *self;
        Row {
            operation: operation.into(),
            forecast: forecast.into(),
            score,
            value,
            budget,
            perturbations,
            images,
        }
    }

    /// Scores of all forecasts, and how much better the first of each pair of forecasts is than the
    /// second.
    pub fn rows(
        &self,
        study: &Study,
        forecasts: &[Forecast],
        pairs: &[[&str; 2]],
    ) -> Result<Vec<Row>> {
        let mut rows = vec![];
        for forecast in forecasts {
            let scores = study.score(forecast)?;
            let values =
                [scores.skill, scores.rank_of_outputs, scores.rank_of_operations, scores.locality];
            rows.extend(
                COLUMNS.iter().zip(values).map(|((name, _), value)| {
                    self.row(&scores.forecast, name, value, scores.budget)
                }),
            );
        }
        let named = |name: &str| {
            forecasts
                .iter()
                .find(|f| f.name == name)
                .with_context(|| format!("there is no forecast `{name}`"))
        };
        for [ours, theirs] in pairs {
            let better = study.difference(named(ours)?, named(theirs)?)?;
            let values =
                [better.skill, better.rank_of_outputs, better.rank_of_operations, better.locality];
            let uncontrolled =
                |interval| Score { interval, shuffled: f64::NAN, exchanged: f64::NAN };
            rows.extend(COLUMNS.iter().zip(values).map(|((name, _), v)| {
                self.row(&better.forecast, name, uncontrolled(v), better.budget)
            }));
        }
        Ok(rows)
    }
}

pub fn frame(rows: &[Row]) -> Result<DataFrame> {
    let text =
        |value: fn(&Row) -> &str| rows.iter().map(|r| value(r).to_owned()).collect::<Vec<_>>();
    let number = |value: fn(&Row) -> f64| rows.iter().map(value).collect::<Vec<_>>();
    let count = |value: fn(&Row) -> usize| rows.iter().map(|r| value(r) as i64).collect::<Vec<_>>();
    Ok(df!(
        "operation" => text(|r| &r.operation),
        "forecast" => text(|r| &r.forecast),
        "score" => text(|r| r.score),
        "estimate" => number(|r| r.value.interval.estimate),
        "low" => number(|r| r.value.interval.low),
        "high" => number(|r| r.value.interval.high),
        "shuffled" => number(|r| r.value.shuffled),
        "operations_exchanged" => number(|r| r.value.exchanged),
        "budget_values" => count(|r| r.budget.values),
        "budget_probes" => count(|r| r.budget.probes),
        "perturbations" => count(|r| r.perturbations),
        "images" => count(|r| r.images),
    )?)
}

/// What `frame` wrote.
pub fn read(run: &Run) -> Result<Vec<Row>> {
    let table = run.read_csv(SCORES)?;
    let (text, number) =
        (|name: &str| frame::texts(&table, name), |name: &str| frame::numbers(&table, name));
    let (operations, forecasts, scores) = (text("operation")?, text("forecast")?, text("score")?);
    let (estimates, lows, highs) = (number("estimate")?, number("low")?, number("high")?);
    let (shuffled, exchanged) = (number("shuffled")?, number("operations_exchanged")?);
    let (values, probes) = (number("budget_values")?, number("budget_probes")?);
    let (perturbations, images) = (number("perturbations")?, number("images")?);
    let known: Vec<&'static str> = COLUMNS.map(|c| c.0).into_iter().chain(OTHERS).collect();
    let row = |i: usize| -> Result<Row> {
        Ok(Row {
            operation: operations[i].clone(),
            forecast: forecasts[i].clone(),
            score: known
                .iter()
                .find(|name| **name == scores[i])
                .with_context(|| format!("{SCORES}: there is no score `{}`", scores[i]))?,
            value: Score {
                interval: Interval { estimate: estimates[i], low: lows[i], high: highs[i] },
                shuffled: shuffled[i],
                exchanged: exchanged[i],
            },
            budget: Budget { values: values[i] as usize, probes: probes[i] as usize },
            perturbations: perturbations[i] as usize,
            images: images[i] as usize,
        })
    };
    (0..operations.len()).map(row).collect()
}

pub fn distinct<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = vec![];
    rows.for_each(|name| {
        if !all.contains(&name) {
            all.push(name);
        }
    });
    all
}

pub fn score<'a>(rows: &'a [Row], operation: &str, forecast: &str, score: &str) -> Option<&'a Row> {
    rows.iter().find(|r| {
        (r.operation.as_str(), r.forecast.as_str(), r.score) == (operation, forecast, score)
    })
}

fn text(value: &Score) -> String {
    let Interval { estimate, low, high } = value.interval;
    match (estimate.is_finite(), low.is_finite()) {
        (false, _) => "–".into(),
        (true, false) => format!("{estimate:.2}"),
        (true, true) if value.exchanged.is_finite() => {
            format!(
                "{estimate:.2} ({low:.2} to {high:.2}); {:.2}; {:.2}",
                value.shuffled, value.exchanged
            )
        }
        (true, true) if value.shuffled.is_finite() => {
            format!("{estimate:.2} ({low:.2} to {high:.2}); {:.2}", value.shuffled)
        }
        (true, true) => format!("{estimate:.2} ({low:.2} to {high:.2})"),
    }
}

/// A line for each operation and forecast.
pub fn table(run: &Run) -> Result<Table> {
    let rows = read(run)?;
    let mut header = vec!["operation", "forecast"];
    header.extend(COLUMNS.map(|c| c.1));
    header.extend(["other", "sees (numbers + probes)", "perturbations × images"]);
    let caption = "Predictability: score (95 % interval); the same with operations and attributes exchanged; with operations exchanged. 1 is perfect, 0 knows nothing.";
    let mut table = Table::new("predictability", caption, &header);
    for operation in distinct(rows.iter().map(|r| r.operation.as_str())) {
        for forecast in
            distinct(rows.iter().filter(|r| r.operation == operation).map(|r| r.forecast.as_str()))
        {
            let Some(first) =
                rows.iter().find(|r| r.operation == operation && r.forecast == forecast)
            else {
                continue;
            };
            let size = format!("{} × {}", first.perturbations, first.images);
            let mut cells = vec![operation.to_owned(), forecast.to_owned()];
            cells.extend(COLUMNS.map(|(name, _)| {
                score(&rows, operation, forecast, name).map_or("–".into(), |r| text(&r.value))
            }));
            let other = OTHERS.iter().filter_map(|name| {
                Some(format!("{name} {}", text(&score(&rows, operation, forecast, name)?.value)))
            });
            cells.push(other.collect());
            cells.extend([format!("{} + {}", first.budget.values, first.budget.probes), size]);
            table.rows.push(cells);
        }
    }
    table.notes.push("Units of forecasts are fitted on the other operations. Lines with `minus` are differences on the same samples.".into());
    Ok(table)
}

/// All forecasts with their intervals and negative controls.
pub fn figure(run: &Run, source: &Source) -> Result<Figure> {
    let rows = read(run)?;
    let dot = |operation: &str, forecast: &str, name: &str| {
        let value = score(&rows, operation, forecast, name).map(|r| r.value);
        value.map_or(
            Dot { value: f64::NAN, interval: (f64::NAN, f64::NAN), controls: [f64::NAN; 2] },
            |v| Dot {
                value: v.interval.estimate,
                interval: (v.interval.low, v.interval.high),
                controls: [v.shuffled, v.exchanged],
            },
        )
    };
    let group = |operation: &str| {
        let of = rows.iter().filter(|r| {
            r.operation == operation && r.score == "skill" && !r.forecast.contains(" minus ")
        });
        let lines = of
            .map(|r| {
                (
                    r.forecast.clone(),
                    COLUMNS.iter().map(|(name, _)| dot(operation, &r.forecast, name)).collect(),
                )
            })
            .collect();
        Forest { title: operation.into(), rows: lines }
    };
    let groups: Vec<Forest> =
        distinct(rows.iter().map(|r| r.operation.as_str())).into_iter().map(group).collect();
    Ok(foresee_report::forest("predictability_scores", &COLUMNS.map(|c| c.1), &groups, source)?)
}
