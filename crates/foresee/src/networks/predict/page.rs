//! Figures, tables and the page of forecasts beside outcomes.

use foresee_report::{
    About, Curve, Figure, LineStyle, Panel, Report, Section, Style, Table, curves, frame,
};

use super::rows::OutcomeRow;
use super::{FILE, FORMAT, PART};
use crate::artifacts::{Artifact, ScoredForecasts};
use crate::distinct::distinct;
use crate::error::Result;
use crate::figures::scores_figure;
use crate::networks::folder::{Folder, Part, PartFiles, read_rows};
use crate::networks::subject::Subject;
use crate::provenance::{number, percent};
use crate::tables;

/// The page.
pub(crate) const PAGE: &str = "predict.html";
const PAGE_PART: &str = "predict-page";
const TITLE: &str = "Which layers can be pruned, forecast";
const FIGURE: &str = "forecast_beside_outcome";
const SCORES: &str = "forecast_scores";

/// Pieces of the line on which a forecast is right.
const LINE: u32 = 64;

const TEXT: &str = "For every layer the channels with the lowest filter norms are pruned, without \
     any takeover or training. Before that, its effect is forecast from one gradient of each \
     output: to first order, taking the activations a away changes the output f by -Σ a·∂f/∂a. \
     Points on the line were forecast rightly. Above it, more changed than was forecast.";

/// Draws the figures and writes the page, unless they are there.
pub(super) fn write(subject: &Subject, folder: &mut Folder) -> Result<()> {
    let made_from = folder.manifest.stages[PART].record.outputs.clone();
    let part = Part { name: PAGE_PART, format: FORMAT, made_from: (subject.given(), made_from) };
    folder.part(&part, |files| draw(subject, files))?;
    tracing::info!("open {}", folder.path(PAGE).display());
    Ok(())
}

fn draw(subject: &Subject, files: &mut PartFiles<'_>) -> Result<()> {
    let rows: Vec<OutcomeRow> = read_rows(&files.folder().join(FILE))?;
    let scores = frame::read_csv(&files.folder().join(ScoredForecasts::PATH))?;
    let scores = ScoredForecasts::from_frame(&scores)?;
    let (source, style) = (subject.source(), Style::default());
    let command = format!("foresee predict --model {}", subject.network.file.display());
    let about = |figure: Figure, caption: &str, data: &str| {
        figure.about(About {
            caption: caption.into(),
            data: vec![data.into()],
            command: command.clone(),
        })
    };
    let beside = curves(FIGURE, &panels(&rows), &source, &style)?;
    let beside =
        about(beside, "Forecast beside outcome: a point for each layer and share pruned.", FILE);
    let scored = scores_figure(SCORES, &scores, &source, &style)?;
    let scored = about(scored, "Forecasts of what pruning changes, scored.", ScoredForecasts::PATH);
    for figure in [&beside, &scored] {
        files.add_written(&figure.save(&files.folder().join("figures"))?);
    }
    let first = rows.first().map(|row| row.accuracy_before).filter(|value| value.is_finite());
    let accuracy =
        first.map(|value| ("accuracy, unpruned".into(), format!("{} %", percent(value))));
    let layers = distinct(rows.iter().map(|row| &row.layer)).len();
    let report = Report {
        title: format!("{TITLE}: {}", source.data),
        source,
        summary: [("layers".into(), layers.to_string())].into_iter().chain(accuracy).collect(),
        sections: vec![
            Section::Text(TEXT.into()),
            Section::Figure(beside),
            Section::Plain(table(&rows)),
            Section::Heading("How good the forecasts are".into()),
            Section::Figure(scored),
            Section::Plain(tables::of_scores(&scores)),
        ],
    };
    let path = files.folder().join(PAGE);
    report.save(&path)?;
    files.add_written(&[path]);
    Ok(())
}

/// A panel for each thing that is forecast; a colour for each share.
fn panels(rows: &[OutcomeRow]) -> Vec<Panel> {
    let change = panel(rows, "mean |change| of an answer", |row| [row.change_forecast, row.change]);
    let flips =
        panel(rows, "answers that flip [%]", |row| [100. * row.flips_forecast, 100. * row.flips]);
    let accuracy =
        panel(rows, "accuracy [%]", |row| [100. * row.accuracy_forecast, 100. * row.accuracy]);
    [change, flips, accuracy].into_iter().flatten().collect()
}

/// Forecast (x) and outcome (y); none if nothing is known of it.
fn panel(rows: &[OutcomeRow], title: &str, of: fn(&OutcomeRow) -> [f64; 2]) -> Option<Panel> {
    let known: Vec<&OutcomeRow> =
        rows.iter().filter(|row| of(row).iter().all(|value| value.is_finite())).collect();
    let ends = |start: f64, choose: fn(f64, f64) -> f64| {
        known.iter().flat_map(|row| of(row)).fold(start, choose)
    };
    let (low, high) = (ends(f64::INFINITY, f64::min), ends(f64::NEG_INFINITY, f64::max));
    let mut shares = distinct(known.iter().map(|row| row.share));
    shares.sort_by(f64::total_cmp);
    // A line of many points has no markers.
    let line = (0..=LINE).map(|i| low + (high - low) * f64::from(i) / f64::from(LINE));
    let line = line.map(|value| (value, value)).collect();
    let mut curves = vec![Curve::new("as forecast", line, 6, LineStyle::Dotted)];
    for (colour, share) in shares.into_iter().enumerate() {
        let own = known.iter().filter(|row| row.share == share);
        let mut points: Vec<(f64, f64)> = own.map(|row| of(row).into()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let name = format!("{} % of a layer", number(100. * share, 0));
        curves.push(Curve::new(name, points, colour % 6, LineStyle::Points));
    }
    (!known.is_empty()).then(|| Panel {
        title: title.into(),
        x: "forecast".into(),
        y: "outcome".into(),
        curves,
        levels: vec![],
    })
}

/// Forecast and outcome of every layer.
pub(crate) fn table(rows: &[OutcomeRow]) -> Table {
    let header = [
        "layer",
        "pruned",
        "change: forecast",
        "change: outcome",
        "flips [%]: forecast",
        "flips [%]: outcome",
        "accuracy [%]: forecast",
        "accuracy [%]: outcome",
    ];
    let caption = "Forecast beside outcome. Change: the mean |change| of an answer. Flips: the \
                   share of answers that change.";
    let mut table = Table::new("forecasts", caption, &header);
    table.rows.extend(rows.iter().map(|row| {
        vec![
            row.title.clone(),
            format!("{} of {}", row.pruned, row.channels),
            number(row.change_forecast, 3),
            number(row.change, 3),
            percent(row.flips_forecast),
            percent(row.flips),
            percent(row.accuracy_forecast),
            percent(row.accuracy),
        ]
    }));
    table
}
