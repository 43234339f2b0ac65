//! How well the same forecasts say what pruning does to each system, over seeds.

use foresee_predict::{ScoreRule, Subject};
use foresee_report::{Source, Table};
use foresee_stats::{Interval, mean, mean_over_seeds};

use super::tables::title;
use crate::artifacts::{ScoredForecasts, SystemForecast};
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::number;
use crate::run::Run;

/// A score of a forecast in one run.
struct Score {
    forecast: Subject,
    score: ScoreRule,
    value: f64,
    /// The same of forecasts in which operations and outputs are exchanged.
    shuffled: f64,
}

/// The scores of one run that are known, in the order of their names in files.
fn scores_of(run: &Run) -> Result<Vec<Score>> {
    let rows = run.read::<ScoredForecasts>()?.0.into_iter();
    let forecasts = rows.filter(|row| matches!(row.subject, Subject::Forecast(_)));
    let known = forecasts.filter(|row| row.value.interval.estimate.is_finite());
    let score = |row: foresee_predict::ScoredForecast| Score {
        forecast: row.subject,
        score: row.score,
        value: row.value.interval.estimate,
        shuffled: row.value.shuffled,
    };
    let mut scores: Vec<Score> = known.map(score).collect();
    scores.sort_by_cached_key(|of| (of.forecast.id(), of.score.id()));
    Ok(scores)
}

/// The scores that all runs of a system have, with the differences from runs of the paper's
/// network. `pairs` are the places of both that have the same seed.
pub(super) fn over_seeds(
    system: &str,
    runs: &[&Run],
    paper: &[&Run],
    pairs: &[(usize, usize)],
) -> Result<Vec<SystemForecast>> {
    let own = runs.iter().map(|run| scores_of(run)).collect::<Result<Vec<_>>>()?;
    let others = paper.iter().map(|run| scores_of(run)).collect::<Result<Vec<_>>>()?;
    let Some((first, run)) = own.first().zip(runs.first()) else { return Ok(vec![]) };
    let row = |Score { forecast, score, .. }: &Score| {
        let is_it = |of: &&Score| of.forecast == *forecast && of.score == *score;
        let of = |scores: &Vec<Score>| {
            scores.iter().find(is_it).map(|score| (score.value, score.shuffled))
        };
        let all = own.iter().map(of);
        let (values, controls): (Vec<f64>, Vec<f64>) =
            all.collect::<Option<Vec<_>>>()?.into_iter().unzip();
        let less = |&(own_at, at): &(usize, usize)| Some(values[own_at] - of(&others[at])?.0);
        let differences: Vec<f64> = pairs.iter().filter_map(less).collect();
        // No score is above 1.
        let value = mean_over_seeds(&values).clamp_ends(f64::NEG_INFINITY, 1.);
        let difference = over(&differences);
        Some(SystemForecast {
            system: system.into(),
            forecast: forecast.clone(),
            score: *score,
            seeds: values.len(),
            value: value.estimate,
            value_low: value.low,
            value_high: value.high,
            shuffled: mean(&controls),
            difference: difference.estimate,
            difference_low: difference.low,
            difference_high: difference.high,
            data: run.manifest.data.kind().into(),
        })
    };
    Ok(first.iter().filter_map(row).collect())
}

fn over(values: &[f64]) -> Interval {
    if values.is_empty() { Interval::point(f64::NAN) } else { mean_over_seeds(values) }
}

/// The tables: skill, the order of the outputs, and how much more or less skill than in the paper's
/// network.
pub(super) fn tables(rows: &[SystemForecast], source: &Source) -> Vec<Table> {
    let note = "Pruned are 1/16, 1/8, 1/4 and 1/2 of the last stage's channels. Each cell has the \
                mean over seeds, its interval of 95 % (Student's t over the seeds; none with one), \
                and behind the semicolon the control: the same score where the operations and \
                outputs of the forecast are exchanged, so that it knows nothing. A score says \
                something only if it is clearly above its control. Of PANDA-l and LNets+ANet it \
                is decisions of support vector machines that change, which have a scale of their \
                own.";
    let skill = "Skill is 1 for a perfect forecast and 0 for one that is no better than the mean \
                 change of the other operations.";
    let order = "Rank agreement is 1 if the forecast orders the outputs by their change as they \
                 come, and 0 for a random order.";
    let less = "The skill less that of the same forecast in the paper's network of the same seed, \
                with its interval.";
    let scored = |row: &SystemForecast| {
        let value = interval_text(row.value, row.value_low, row.value_high);
        format!("{value}; {}", number(row.shuffled, 2))
    };
    let differing = |row: &SystemForecast| {
        interval_text(row.difference, row.difference_low, row.difference_high)
    };
    let of = |score: ScoreRule| -> Vec<&SystemForecast> {
        rows.iter().filter(|row| row.score == score).collect()
    };
    let of_skill = of(ScoreRule::Skill);
    let others: Vec<&SystemForecast> =
        of_skill.iter().copied().filter(|row| row.difference.is_finite()).collect();
    let mut tables = vec![];
    let mut add = |name, caption: &str, rows: &[&SystemForecast], cell: &Cell, notes: &[&str]| {
        if !rows.is_empty() {
            let mut table = by_forecast(name, caption, rows, cell);
            table.notes.extend(notes.iter().map(|note| (*note).to_owned()));
            tables.push(table.measured_on(source));
        }
    };
    let caption = "Skill of forecasts of what pruning the last stage changes.";
    add("predictability", caption, &of_skill, &scored, &[skill, note]);
    let caption = "How well forecasts order the outputs by how much pruning changes them.";
    add("predictability_order", caption, &of(ScoreRule::RankOfOutputs), &scored, &[order, note]);
    let caption = "Skill of forecasts, less that for the paper's network.";
    add("predictability_differences", caption, &others, &differing, &[less]);
    tables
}

type Cell<'a> = dyn Fn(&SystemForecast) -> String + 'a;

/// A row for each forecast, a column for each system.
fn by_forecast(name: &str, caption: &str, rows: &[&SystemForecast], cell: &Cell) -> Table {
    let systems: Vec<&str> = distinct(rows.iter().map(|row| row.system.as_str()));
    let columns = systems.iter().map(|system| title(system));
    let header: Vec<String> = std::iter::once("forecast".to_owned()).chain(columns).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(name, caption, &header);
    for forecast in distinct(rows.iter().map(|row| &row.forecast)) {
        let of = |system: &&str| {
            let found = rows.iter().find(|row| row.system == **system && row.forecast == *forecast);
            found.map_or("–".into(), |row| cell(row))
        };
        table.rows.push(std::iter::once(forecast.title()).chain(systems.iter().map(of)).collect());
    }
    table
}

fn interval_text(value: f64, low: f64, high: f64) -> String {
    match low.is_finite() {
        true => format!("{} ({} to {})", number(value, 2), number(low, 2), number(high, 2)),
        false => number(value, 2),
    }
}
