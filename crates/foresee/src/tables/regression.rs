//! The regression models under perturbed coefficients.

use foresee_report::{Source, Table};
use foresee_stats::LEVEL;

use crate::artifacts::{RegressionReport, RegressionRow, RegressionScore, ScoreColumns};
use crate::provenance::number;

pub(crate) fn regression(report: &RegressionReport, source: &Source) -> Table {
    let header = [
        "basis",
        "N",
        "error of the fit",
        "condition number",
        "cross-talk",
        "evenness over x",
        "skill; shuffled",
        "skill, others refitted; shuffled",
        "cross-talk, others refitted",
    ];
    let sets = report.rows().next().map_or(0, |row| row.data_sets);
    let caption = format!(
        "Regression models under perturbed coefficients. Error of the fit: root mean square \
         against the noiseless function, mean over {sets} data sets (range). Cross-talk: mean over \
         components (range). Skill: one score of all data sets ({:.0} % bootstrap interval), and \
         the same with operations exchanged (shuffled). Evenness: 1 if a coefficient changes f \
         equally everywhere.",
        100. * LEVEL
    );
    let mut table = Table::new("predictability_regression", &caption, &header);
    let skill = report.scores(ScoreColumns::SKILL);
    let refit = report.scores(ScoreColumns::REFIT_SKILL);
    let scores = skill.iter().zip(&refit);
    table.rows = report.rows().zip(scores).map(|(row, (s, r))| cells(row, s, r)).collect();
    table.notes.push(source.data.clone());
    table
}

fn cells(row: &RegressionRow, skill: &RegressionScore, refit: &RegressionScore) -> Vec<String> {
    vec![
        row.basis.title().into(),
        row.n.to_string(),
        spread(row.rmse, row.rmse_lowest, row.rmse_highest, 3),
        plain(row.condition, 1),
        spread(row.cross_talk, row.cross_talk_lowest, row.cross_talk_highest, 2),
        plain(row.evenness, 2),
        score(skill),
        score(refit),
        spread(row.refit_cross_talk, row.refit_cross_talk_lowest, row.refit_cross_talk_highest, 2),
    ]
}

fn plain(value: f64, digits: usize) -> String {
    if value >= 1e5 && value.is_finite() { format!("{value:.1e}") } else { number(value, digits) }
}

fn short(value: f64, digits: usize) -> String {
    let is_long = value.abs() >= 1e4 && value.is_finite();
    if is_long { format!("{value:.1e}") } else { number(value, digits) }
}

/// With the range or interval, if there is more than one value.
fn spread(middle: f64, low: f64, high: f64, digits: usize) -> String {
    let [shown, from, to] = [middle, low, high].map(|value| short(value, digits));
    if low < high { format!("{shown} ({from} to {to})") } else { shown }
}

fn score(score: &RegressionScore) -> String {
    let interval = spread(score.estimate, score.low, score.high, 2);
    format!("{interval}; {}", short(score.shuffled, 2))
}
