//! What the comparison leaves: data, tables, figures and a page.

use std::path::Path;

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_perturb::Takeover;
use foresee_report::{
    About, Band, Curve, Figure, LineStyle, Panel, Record, Report, Section, Source, Style, Table,
    curves, frame,
};
use foresee_stats::LEVEL;

use super::{Entry, Failed, Results};
use crate::artifacts::{ConditionRow, Row, ScoredForecasts, SystemAttribute, SystemRow};
use crate::config::SystemName;
use crate::error::Result;
use crate::program::command_line;
use crate::provenance::{first_of, number, percent, thousands};
use crate::run::{REPORT, Run};
use crate::tables::published;

/// The page's title.
pub(crate) const TITLE: &str = "Table 3, run: systems for the attributes of faces";

/// The area under the ROC curve from which on a system is said to have learned something.
const LEARNED: f64 = 0.6;

/// Writes all that the comparison leaves.
pub(crate) fn write(
    out: &Path,
    runs: &[(SystemName, Run)],
    missing: &[Entry],
    failed: &[Failed],
) -> Result<()> {
    let results = Results::new(runs)?;
    write_data(out, &results)?;
    let source = source(runs);
    let mut sections = vec![
        Section::Text(
            "All networks saw the same training faces through the same loader, and were trained by \
             the same optimizer and schedule. FaceTracer is no network: it learned from at most \
             4,000 of these faces, which its seed drew, as they are. Rows marked as cited are from \
             the paper, which quotes them from others: they used other images and protocols."
                .into(),
        ),
        Section::Table(systems(&results.systems, &source)?),
    ];
    let figures = figures(&results, &source)?;
    sections.extend(figures.iter().cloned().map(Section::Figure));
    sections.push(Section::Table(under_noise(&results.conditions, &source)));
    sections.push(Section::Table(when_pruned(&results.conditions, &source)));
    sections.push(Section::Table(forecasts(runs, &source)?));
    sections.push(Section::Table(by_attribute(&results.attributes, &source)));
    for section in &sections {
        if let Section::Table(table) = section {
            table.save(&out.join("tables"))?;
        }
    }
    for figure in &figures {
        figure.save(&out.join("figures"))?;
    }
    let failures = failed
        .iter()
        .map(|f| (format!("failed: {}, seed {}", f.system.title(), f.seed), f.reason.clone()));
    let missing = missing.iter().map(|entry| ("not done".to_owned(), entry.title()));
    let summary = std::iter::once(("runs done".to_owned(), runs.len().to_string()));
    let summary = summary.chain(missing).chain(failures).collect();
    let report = Report { title: TITLE.into(), source, summary, sections };
    report.save(&out.join(REPORT))?;
    tracing::info!("open {}", out.join(REPORT).display());
    Ok(())
}

fn write_data(out: &Path, results: &Results) -> Result<()> {
    let write = |path: &str, frame| frame::write_csv(&out.join(path), &frame);
    write(<SystemRow as Row>::PATH, SystemRow::to_frame(&results.systems)?)?;
    write(<ConditionRow as Row>::PATH, ConditionRow::to_frame(&results.conditions)?)?;
    write(<SystemAttribute as Row>::PATH, SystemAttribute::to_frame(&results.attributes)?)?;
    Ok(())
}

fn source(runs: &[(SystemName, Run)]) -> Source {
    let Some((_, run)) = runs.first() else {
        return Source { data: "no run is done".into(), synthetic: false };
    };
    let manifest = &run.manifest;
    let data = format!(
        "{}: trained on {} at {} px; {} test faces",
        manifest.data.title(),
        first_of(manifest.data.train, manifest.config.train.limit),
        manifest.config.data.image_size,
        manifest.data.test
    );
    Source { data, synthetic: manifest.data.synthetic }
}

/// What a system is called, by its name in files.
fn title(id: &str) -> String {
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
            "Intervals of {:.0} % are over seeds and images (a bootstrap that draws both).",
            100. * LEVEL
        ));
    }
    if seeds.contains(&1) {
        let why = "Rows of one seed have no interval: the spread over seeds is not known.";
        words.push(why.into());
    }
    words.join(" ")
}

fn systems(rows: &[SystemRow], source: &Source) -> Result<Table> {
    let header = [
        "system",
        "accuracy [%]",
        "less the paper's network [points]",
        "balanced [%]",
        "AUC",
        "parameters",
        "10⁶ MACs an image",
        "ms an image",
        "training [min]",
        "peak memory [GB]",
        "passes",
        "seeds",
        "origin",
    ];
    let caption = "Table 3, run: all systems on the same faces, and the paper's rows (cited).";
    let mut table = Table::new("table3_run", caption, &header);
    let is_by_passes = |row: &&SystemRow| row.system != SystemName::Facetracer.id();
    let most = rows.iter().filter(is_by_passes).map(|row| row.passes).max().unwrap_or(0);
    let has_fewer = |row: &SystemRow| is_by_passes(&row) && row.passes < most;
    for row in rows {
        let mark = if has_fewer(row) { "*" } else { "" };
        table.rows.push(vec![
            format!("{}{mark}", title(&row.system)),
            with_interval(row.accuracy, row.accuracy_low, row.accuracy_high),
            with_interval(row.difference, row.difference_low, row.difference_high),
            percent(row.balanced_accuracy),
            number(row.auc, 4),
            thousands(row.parameters as u64),
            number(row.macs / 1e6, 1),
            number(row.milliseconds, 2),
            number(row.training_seconds / 60., 1),
            number(row.peak_memory_bytes / 1e9, 2),
            if is_by_passes(&row) { row.passes.to_string() } else { "–".into() },
            row.seeds.to_string(),
            "run here".into(),
        ]);
    }
    if let Some(row) = rows.first() {
        let mut cells = vec!["majority class".into(), percent(row.majority_accuracy)];
        cells.resize(header.len() - 1, "–".into());
        cells.push("of the training faces".into());
        table.rows.push(cells);
    }
    for cited in published::table3()? {
        let mut cells = vec![cited.method, format!("{:.2}", cited.accuracy_percent)];
        cells.resize(header.len() - 1, "–".into());
        cells.push("cited, not run here".into());
        table.rows.push(cells);
    }
    table.notes.push(spread_words(rows.iter().map(|row| row.seeds)));
    table.notes.push(
        "Differences are paired: on the same images, by seed. Times are of this machine, as busy \
         as it was, and of our own code: the paper's network has kernels of its own here. Peak \
         memory is that of the process, which can hold what earlier trainings left: with --only \
         each training has a process of its own."
            .into(),
    );
    for row in rows.iter().filter(|row| row.auc < LEARNED) {
        table.notes.push(format!(
            "{} hardly learned: its area under the curve is {}, and 0.5 is chance. Another \
             learning rate may do it justice.",
            title(&row.system),
            number(row.auc, 3)
        ));
    }
    if rows.iter().any(has_fewer) {
        table.notes.push(format!(
            "* This system had fewer passes over the faces than the {most} of others, so its row \
             is not like for like."
        ));
    }
    Ok(table.measured_on(source))
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
fn names(rows: &[ConditionRow]) -> Vec<&str> {
    let mut names: Vec<&str> = rows.iter().map(|row| row.system.as_str()).collect();
    names.dedup();
    names
}

fn under_noise(rows: &[ConditionRow], source: &Source) -> Table {
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
    let images = rows.iter().filter(|row| row.sigma > 0.).map(|row| row.images).min();
    table.notes.push(format!(
        "The column without noise is over all test faces, the others over {}.",
        images.unwrap_or(0)
    ));
    table.measured_on(source)
}

fn when_pruned(rows: &[ConditionRow], source: &Source) -> Table {
    let header =
        ["system", "channels pruned", "remaining channels", "accuracy [%]", "change [points]"];
    let caption = "Half of the last stage's channels pruned, those of the smallest filters first.";
    let mut table = Table::new("pruned", caption, &header);
    for row in rows.iter().filter(|row| row.pruned > 0) {
        let takeover = Takeover::from_id(&row.takeover).unwrap_or_default();
        table.rows.push(vec![
            title(&row.system),
            row.pruned.to_string(),
            takeover.title().into(),
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

/// The scores of the forecasts of what pruning changes, run by run.
fn forecasts(runs: &[(SystemName, Run)], source: &Source) -> Result<Table> {
    let header = ["system", "seed", "forecast", "score", "value", "interval"];
    let caption = "Scores of forecasts of what pruning the last stage changes.";
    let mut table = Table::new("predictability", caption, &header);
    for (system, run) in runs.iter().filter(|(system, _)| *system != SystemName::Facetracer) {
        for scored in run.read::<ScoredForecasts>()?.0 {
            let interval = scored.value.interval;
            table.rows.push(vec![
                system.title().into(),
                run.manifest.seed.to_string(),
                scored.subject.title(),
                scored.score.title().into(),
                number(interval.estimate, 3),
                match interval.low.is_finite() {
                    true => format!("{} to {}", number(interval.low, 3), number(interval.high, 3)),
                    false => "–".into(),
                },
            ]);
        }
    }
    table.notes.push(
        "Pruned are 1/16, 1/8, 1/4 and 1/2 of the channels. Skill is 1 for a perfect forecast and \
         0 for one that is no better than to say that nothing changes."
            .into(),
    );
    Ok(table.measured_on(source))
}

fn by_attribute(rows: &[SystemAttribute], source: &Source) -> Table {
    let mut systems: Vec<&str> = rows.iter().map(|row| row.system.as_str()).collect();
    systems.dedup();
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

fn figures(results: &Results, source: &Source) -> Result<Vec<Figure>> {
    let mut figures = vec![];
    let priced: Vec<&SystemRow> =
        results.systems.iter().filter(|row| row.macs.is_finite()).collect();
    if !priced.is_empty() {
        let panel = Panel {
            title: String::new(),
            x: "10⁹ multiply-accumulates an image".into(),
            y: "accuracy [%]".into(),
            curves: priced.iter().enumerate().map(|(at, row)| point(at, row)).collect(),
            levels: vec![],
        };
        let figure = curves("accuracy_over_operations", &[panel], source, &Style::default())?;
        figures.push(about(figure, "Accuracy over the operations of an image.", SystemRow::PATH));
    }
    let panel = Panel {
        title: String::new(),
        x: "noise σ".into(),
        y: "accuracy [%]".into(),
        curves: noise_curves(&results.conditions),
        levels: vec![],
    };
    let figure = curves("accuracy_under_noise", &[panel], source, &Style::default())?;
    figures.push(about(figure, "Accuracy under noise on the image.", ConditionRow::PATH));
    Ok(figures)
}

fn about(figure: Figure, caption: &str, data: &str) -> Figure {
    let command = command_line();
    figure.about(About { caption: caption.into(), data: vec![data.into()], command })
}

/// The style of the system at a place.
fn style(at: usize) -> (usize, LineStyle) {
    let styles = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted];
    (at % 7, styles[at / 7 % 3])
}

fn point(at: usize, row: &SystemRow) -> Curve {
    let (colour, style) = style(at);
    let spread = match row.accuracy_low.is_finite() {
        true => vec![(100. * row.accuracy_low, 100. * row.accuracy_high)],
        false => vec![],
    };
    Curve {
        name: title(&row.system),
        points: vec![(row.macs / 1e9, 100. * row.accuracy)],
        spread,
        band: Band::Bars,
        colour,
        style,
    }
}

fn noise_curves(rows: &[ConditionRow]) -> Vec<Curve> {
    let curve = |(at, name): (usize, &str)| {
        let (colour, style) = style(at);
        let mut own: Vec<&ConditionRow> =
            rows.iter().filter(|row| row.system == name && row.pruned == 0).collect();
        own.sort_by(|a, b| a.sigma.total_cmp(&b.sigma));
        let is_spread = own.iter().all(|row| row.accuracy_low.is_finite());
        let ends = |row: &&ConditionRow| (100. * row.accuracy_low, 100. * row.accuracy_high);
        Curve {
            name: title(name),
            points: own.iter().map(|row| (row.sigma, 100. * row.accuracy)).collect(),
            spread: own.iter().filter(|_| is_spread).map(ends).collect(),
            band: Band::Bars,
            colour,
            style,
        }
    };
    names(rows).into_iter().enumerate().map(curve).collect()
}
