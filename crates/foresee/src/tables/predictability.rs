//! Scores of forecasts: a line for each operation and forecast.

use foresee_predict::{NetworkOperation, Score, ScoreRule, ScoredForecast, Subject};
use foresee_report::Table;
use foresee_stats::{Interval, LEVEL};

use crate::artifacts::ScoredForecasts;
use crate::error::Result;
use crate::provenance::{number, source, test_faces};
use crate::run::Run;

/// The scores that only some lines have.
const OTHERS: [ScoreRule; 2] = [ScoreRule::Monotonicity, ScoreRule::RankOfPairs];

pub(crate) fn predictability(run: &Run) -> Result<Table> {
    let scores: ScoredForecasts = run.read()?;
    Ok(of_scores(&scores).measured_on(&source(run, &test_faces(scores.images()))))
}

/// The table of these scores.
pub(crate) fn of_scores(scores: &ScoredForecasts) -> Table {
    let mut header = vec!["operation", "forecast"];
    header.extend(ScoreRule::of_forecasts().map(ScoreRule::title));
    header.extend(["other", "sees (numbers + probes)", "perturbations × images"]);
    let caption = format!(
        "Predictability: score ({:.0} % interval); the same with operations and attributes \
         exchanged; with operations exchanged. Compare a score with these controls. 1 is perfect. \
         Skill of 0 is as good as the mean effect of the other operations; rank agreement and \
         locality of 0, and monotonicity of 0.5, are as at random.",
        100. * LEVEL
    );
    let mut table = Table::new("predictability", &caption, &header);
    table.rows = scores.lines().into_iter().filter_map(|line| cells(&scores.0, line)).collect();
    table.notes.push(
        "Units of forecasts are fitted on the other operations. Lines with `minus` are \
         differences on the same samples. Sees: how many numbers of the explanation a forecast \
         reads, and how many changed networks it runs first."
            .into(),
    );
    table
}

fn cells(
    rows: &[ScoredForecast],
    (operation, subject): (NetworkOperation, &Subject),
) -> Option<Vec<String>> {
    let own: Vec<&ScoredForecast> =
        rows.iter().filter(|row| row.operation == operation && row.subject == *subject).collect();
    let first = own.first()?;
    let found = |rule: ScoreRule| own.iter().find(|row| row.score == rule).map(|row| &row.value);
    let mut cells = vec![operation.title(), subject.title()];
    cells.extend(ScoreRule::of_forecasts().map(|rule| found(rule).map_or("–".into(), text)));
    let other = OTHERS
        .into_iter()
        .filter_map(|rule| Some(format!("{} {}", rule.title(), text(found(rule)?))));
    cells.push(other.collect());
    cells.push(format!("{} + {}", first.budget.values, first.budget.probes));
    cells.push(format!("{} × {}", first.perturbations, first.images));
    Some(cells)
}

fn text(value: &Score) -> String {
    let Interval { estimate, low, high, .. } = value.interval;
    let controls = match (value.shuffled.is_finite(), value.exchanged.is_finite()) {
        (_, true) => format!("; {}; {}", number(value.shuffled, 2), number(value.exchanged, 2)),
        (true, false) => format!("; {}", number(value.shuffled, 2)),
        (false, false) => String::new(),
    };
    match (estimate.is_finite(), low.is_finite()) {
        (false, _) => "–".into(),
        (true, false) => number(estimate, 2),
        (true, true) => {
            format!("{} ({} to {}){controls}", number(estimate, 2), number(low, 2), number(high, 2))
        }
    }
}
