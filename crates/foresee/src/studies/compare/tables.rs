//! The tables of the comparison.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_report::{Source, Table};
use foresee_stats::LEVEL;

use crate::artifacts::{ConditionRow, SystemAttribute, SystemRow};
use crate::config::SystemName;
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::{number, percent, thousands};
use crate::tables::published;

/// The area under the ROC curve from which on a system is said to have learned something.
const LEARNED: f64 = 0.6;

/// What a system is called, by its name in files.
pub(super) fn title(id: &str) -> String {
    SystemName::from_id(id).map_or(id.into(), |system| system.title().into())
}

/// A value with its interval in percent; without one if it is not known.
fn with_interval(value: f64, low: f64, high: f64) -> String {
    match low.is_finite() {
        true => format!("{} ({} to {})", percent(value), percent(low), percent(high)),
        false => percent(value),
    }
}

/// What intervals are, or why there are none.
fn spread_words(seeds: impl Iterator<Item = usize>) -> String {
    let seeds: Vec<usize> = seeds.collect();
    let mut words = vec![];
    if seeds.iter().any(|seeds| *seeds > 1) {
        words.push(format!(
            "Intervals of {:.0} % are over seeds (Student's t) and images (a bootstrap), which are \
             added as squares. Two or three seeds say little about the spread over seeds, so the \
             intervals are wide.",
            100. * LEVEL
        ));
    }
    if seeds.contains(&1) {
        let why = "Rows of one seed have no interval: the spread over seeds is not known.";
        words.push(why.into());
    }
    words.join(" ")
}

/// A heading, and what stands below it of a system.
type Column = (&'static str, fn(&SystemRow) -> String);

/// What the table says of a system.
const COLUMNS: [Column; 12] = [
    ("accuracy [%]", |row| with_interval(row.accuracy, row.accuracy_low, row.accuracy_high)),
    ("less the paper's network [points]", |row| {
        with_interval(row.difference, row.difference_low, row.difference_high)
    }),
    ("balanced [%]", |row| percent(row.balanced_accuracy)),
    ("AUC", |row| number(row.auc, 4)),
    ("parameters", |row| thousands(row.parameters as u64)),
    ("10⁶ MACs an image", |row| number(row.macs / 1e6, 1)),
    ("ms an image", |row| number(row.milliseconds, 2)),
    ("training [min]", |row| number(row.training_seconds / 60., 1)),
    ("energy [kJ]", |row| number(row.training_joules / 1e3, 1)),
    ("peak memory [GB]", |row| number(row.peak_memory_bytes / 1e9, 2)),
    ("passes", |row| if is_by_passes(row) { row.passes.to_string() } else { "–".into() }),
    ("seeds", |row| row.seeds.to_string()),
];

/// Whether a system learns in passes over the faces.
fn is_by_passes(row: &SystemRow) -> bool {
    row.system != SystemName::Facetracer.id()
}

pub(super) fn systems(rows: &[SystemRow], source: &Source) -> Result<Table> {
    let columns = COLUMNS.iter().map(|(heading, _)| *heading);
    let header: Vec<&str> = ["system"].into_iter().chain(columns).chain(["origin"]).collect();
    let caption = "Table 3, run: all systems on the same faces, and the paper's rows (cited).";
    let mut table = Table::new("table3_run", caption, &header);
    let in_passes = rows.iter().filter(|row| is_by_passes(row));
    let most = in_passes.map(|row| row.passes).max().unwrap_or(0);
    let has_fewer = |row: &SystemRow| is_by_passes(row) && row.passes < most;
    for row in rows {
        let mark = if has_fewer(row) { "*" } else { "" };
        let mut cells = vec![format!("{}{mark}", title(&row.system))];
        cells.extend(COLUMNS.iter().map(|(_, cell)| cell(row)));
        cells.push("run here".into());
        table.rows.push(cells);
    }
    let other = |name: String, accuracy: String, origin: &str| {
        let mut cells = vec![name, accuracy];
        cells.resize(header.len() - 1, "–".into());
        cells.push(origin.into());
        cells
    };
    let majority = rows.first().map(|row| percent(row.majority_accuracy));
    let majority = majority.map(|of| other("majority class".into(), of, "of the training faces"));
    table.rows.extend(majority);
    for cited in published::table3()? {
        let accuracy = format!("{:.2}", cited.accuracy_percent);
        table.rows.push(other(cited.method, accuracy, "cited, not run here"));
    }
    table.notes.extend(notes(rows));
    if rows.iter().any(has_fewer) {
        table.notes.push(format!(
            "* This system had fewer passes over the faces than the {most} of others, so its row \
             is not like for like."
        ));
    }
    Ok(table.measured_on(source))
}

/// What differences, times and energy are, and who has hardly learned.
fn notes(rows: &[SystemRow]) -> Vec<String> {
    let mut notes = vec![spread_words(rows.iter().map(|row| row.seeds))];
    notes.push(
        "Differences are paired: on the same images, by seed. Times are of this machine, as busy \
         as it was, and of our own code: the paper's network has kernels of its own here. Peak \
         memory is that of the process, which can hold what earlier trainings left: with --only \
         each training has a process of its own."
            .into(),
    );
    notes.push(match rows.iter().any(|row| row.training_joules.is_finite()) {
        true => {
            "Energy is what the machine's processors took while a system was trained, whatever \
                 else they did (RAPL counters). It is not known of trainings that were interrupted."
                .into()
        }
        false => "This machine does not tell what energy its processors take.".into(),
    });
    let hardly = |row: &SystemRow| {
        format!(
            "{} hardly learned: its area under the curve is {}, and 0.5 is chance. Another \
             learning rate may do it justice.",
            title(&row.system),
            number(row.auc, 3)
        )
    };
    notes.extend(rows.iter().filter(|row| row.auc < LEARNED).map(hardly));
    notes
}

/// The σ of all noise, ascending.
fn sigmas(rows: &[ConditionRow]) -> Vec<f64> {
    let mut sigmas: Vec<f64> =
        rows.iter().filter(|row| row.pruned == 0).map(|row| row.sigma).collect();
    sigmas.sort_by(f64::total_cmp);
    sigmas.dedup();
    sigmas
}

/// The systems of some rows, each once.
pub(super) fn names(rows: &[ConditionRow]) -> Vec<&str> {
    distinct(rows.iter().map(|row| row.system.as_str()))
}

pub(super) fn under_noise(rows: &[ConditionRow], source: &Source) -> Table {
    let sigmas = sigmas(rows);
    let header: Vec<String> = std::iter::once("system".to_owned())
        .chain(sigmas.iter().map(|sigma| format!("σ = {sigma} [%]")))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let caption = "Accuracy under noise on the image.";
    let mut table = Table::new("noise", caption, &header);
    for name in names(rows) {
        let of = |sigma: &f64| {
            let is_it =
                |row: &&ConditionRow| row.system == name && row.pruned == 0 && row.sigma == *sigma;
            rows.iter().find(is_it).map_or("–".into(), |row| percent(row.accuracy))
        };
        table.rows.push(std::iter::once(title(name)).chain(sigmas.iter().map(of)).collect());
    }
    table.notes.push(noise_images(rows));
    table.measured_on(source)
}

/// Over how many images accuracies under noise are.
pub(super) fn noise_images(rows: &[ConditionRow]) -> String {
    let under = rows.iter().filter(|row| row.sigma > 0.).map(|row| row.images).min();
    let all = rows.iter().filter(|row| row.sigma == 0.).map(|row| row.images).max();
    let (all, under) = (all.unwrap_or(0), under.unwrap_or(0));
    format!("σ = 0 is over {all} test faces, noise over the first {under} of them.")
}

pub(super) fn when_pruned(rows: &[ConditionRow], source: &Source) -> Table {
    let header =
        ["system", "channels pruned", "remaining channels", "accuracy [%]", "change [points]"];
    let caption = "Half of the last stage's channels pruned, those of the smallest filters first.";
    let mut table = Table::new("pruned", caption, &header);
    for row in rows.iter().filter(|row| row.pruned > 0) {
        table.rows.push(vec![
            title(&row.system),
            row.pruned.to_string(),
            row.takeover.title().into(),
            with_interval(row.accuracy, row.accuracy_low, row.accuracy_high),
            with_interval(row.change, row.change_low, row.change_high),
        ]);
    }
    table.notes.push(
        "The last stage is the channels that the last convolution computes, with those that are \
         added to them. The change is on the same images."
            .into(),
    );
    table.notes.push(spread_words(rows.iter().map(|row| row.seeds)));
    table.measured_on(source)
}

pub(super) fn by_attribute(rows: &[SystemAttribute], source: &Source) -> Table {
    let systems: Vec<&str> = distinct(rows.iter().map(|row| row.system.as_str()));
    let header: Vec<String> = std::iter::once("attribute".to_owned())
        .chain(systems.iter().map(|system| format!("{} [%]", title(system))))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let caption = "Accuracy by attribute, mean over seeds.";
    let mut table = Table::new("table3_run_per_attribute", caption, &header);
    for attribute in ATTRIBUTES {
        let of = |system: &&str| {
            let is_it =
                |row: &&SystemAttribute| row.system == *system && row.attribute == attribute;
            rows.iter().find(is_it).map_or("–".into(), |row| percent(row.accuracy))
        };
        let cells = std::iter::once(display_name(attribute)).chain(systems.iter().map(of));
        table.rows.push(cells.collect());
    }
    table.measured_on(source)
}
