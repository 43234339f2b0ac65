//! Figures, tables and the page of forecasts beside outcomes.

use std::path::Path;

use foresee_report::{Curve, LineStyle, Panel, Section, Source, Style, Table, curves};

use super::rows::{OutcomeRow, SkippedRow};
use super::{FILE, Forecasts, PART, read};
use crate::artifacts::{Artifact, ScoredForecasts};
use crate::distinct::distinct;
use crate::error::Result;
use crate::figures::scores_figure;
use crate::networks::calibration::Images;
use crate::networks::folder::Folder;
use crate::networks::page::{Content, Page, about};
use crate::provenance::{number, percent};
use crate::tables;

/// The page.
pub(crate) const PAGE: &str = "predict.html";
const FORMAT: u32 = 6;
const FIGURE: &str = "forecast_beside_outcome";
const TOGETHER: &str = "forecast_of_all_layers";
const SCORES: &str = "forecast_scores";

/// Pieces of the line on which a forecast is right.
const LINE: u32 = 64;

const TEXT: &str = "Shares of every layer's channels are pruned, and of all layers together as \
     many as a budget of operations demands, without training. Before that, the effect is \
     forecast from one gradient of each output f. To first order, taking the activations a away \
     changes f by -Σ a·∂f/∂a, and a takeover that gives â in their place by Σ (â - a)·∂f/∂a. The \
     second order adds the curvature, from a run in which the channels are closed half of the way. \
     A contribution is the mean of |Σ a·∂f/∂a|, which is |w·p| before a linear readout. On the \
     dotted line the first-order forecast equals the outcome. Scores are over the layers' shares. \
     The more goes of all layers together, the more these forecasts overstate the change.";

/// Draws the figures and writes the page, unless they are there.
pub(super) fn write(images: &Images, folder: &mut Folder) -> Result<()> {
    let title = "Which layers can be pruned, forecast";
    let of = [PART.to_owned()];
    let observed = images.observed().len();
    let page = Page { file: PAGE, format: FORMAT, title, of: &of, images: observed };
    page.write(images.task(), folder, |folder, source| content(source, folder))
}

fn content(source: &Source, folder: &Path) -> Result<Content> {
    let Forecasts { outcomes: rows, skipped, scores } = read(folder)?;
    let style = Style::default();
    let beside = about(
        curves(FIGURE, &panels(&rows), source, &style)?,
        "Forecast beside outcome: a point for each layer and share pruned.",
        vec![FILE.into()],
    );
    let of_all = together(&rows);
    let of_all = match of_all.is_empty() {
        true => None,
        false => Some(about(
            curves(TOGETHER, &of_all, source, &style)?,
            "All layers pruned together: forecasts and outcome over the operations that are left.",
            vec![FILE.into()],
        )),
    };
    let scored = about(
        scores_figure(SCORES, &scores, source, &style)?,
        "Forecasts of what pruning changes, scored.",
        vec![ScoredForecasts::PATH.into()],
    );
    let first = rows.first().map(|row| row.accuracy_before).filter(|value| value.is_finite());
    let accuracy =
        first.map(|value| ("accuracy, unpruned".into(), format!("{} %", percent(value))));
    let layers = rows.iter().map(|row| &row.layer).filter(|layer| !layer.is_empty());
    let layers = distinct(layers).len();
    let images = rows.first().map_or(0, |row| row.images);
    let summary =
        [("layers".into(), layers.to_string()), ("images observed".into(), images.to_string())];
    let mut sections = vec![Section::Text(TEXT.into()), Section::Figure(beside)];
    sections.extend(of_all.map(Section::Figure));
    sections.extend([
        Section::Table(with_skipped(table(&rows), &skipped)),
        Section::Heading("How good the forecasts are".into()),
        Section::Figure(scored),
        Section::Table(tables::of_scores(&scores)),
    ]);
    Ok(Content { summary: summary.into_iter().chain(accuracy).collect(), sections })
}

/// The table, with what is not in it below.
fn with_skipped(mut table: Table, skipped: &[SkippedRow]) -> Table {
    table.notes.extend(skipped.iter().map(|row| format!("Skipped: {}.", row.why)));
    table
}

/// A panel for each thing that is forecast; a colour for each share.
fn panels(rows: &[OutcomeRow]) -> Vec<Panel> {
    let change = panel(rows, "mean |change| of a logit", |row| [row.change_forecast, row.change]);
    let flips =
        panel(rows, "answers that flip [%]", |row| [100. * row.flips_forecast, 100. * row.flips]);
    let accuracy =
        panel(rows, "accuracy [%]", |row| [100. * row.accuracy_forecast, 100. * row.accuracy]);
    [change, flips, accuracy].into_iter().flatten().collect()
}

/// Forecast (x) and outcome (y); none if nothing is known of it.
fn panel(rows: &[OutcomeRow], title: &str, of: fn(&OutcomeRow) -> [f64; 2]) -> Option<Panel> {
    let is_known = |row: &&OutcomeRow| of(row).iter().all(|value| value.is_finite());
    let of_layers = rows.iter().filter(|row| !row.layer.is_empty());
    let known: Vec<&OutcomeRow> = of_layers.filter(is_known).collect();
    let ends = |start: f64, choose: fn(f64, f64) -> f64| {
        known.iter().flat_map(|row| of(row)).fold(start, choose)
    };
    let (low, high) = (ends(f64::INFINITY, f64::min), ends(f64::NEG_INFINITY, f64::max));
    let mut shares = distinct(known.iter().map(|row| row.share));
    shares.sort_by(f64::total_cmp);
    // A line of many points has no markers.
    let line = (0..=LINE).map(|i| low + (high - low) * f64::from(i) / f64::from(LINE));
    let line = line.map(|value| (value, value)).collect();
    let mut curves = vec![Curve::new("forecast = outcome", line, 6, LineStyle::Dotted)];
    for (colour, share) in shares.into_iter().enumerate() {
        let own = known.iter().filter(|row| row.share == share);
        let mut points: Vec<(f64, f64)> = own.map(|row| of(row).into()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let name = format!("{} % of a layer", number(100. * share, 0));
        curves.push(Curve::new(name, points, colour % 6, LineStyle::Points));
    }
    (!known.is_empty()).then(|| Panel {
        title: title.into(),
        x: "forecast, first order".into(),
        y: "outcome".into(),
        curves,
        levels: vec![],
    })
}

/// What is forecast of all layers together to first and second order, and what comes, over the
/// operations that are left; no panels without budgets.
fn together(rows: &[OutcomeRow]) -> Vec<Panel> {
    let change = ["mean |change| of a logit", "|change|"];
    let of_change = |row: &OutcomeRow| [row.change_forecast, row.change_second_order, row.change];
    let accuracy = ["accuracy", "accuracy [%]"];
    let of_accuracy = |row: &OutcomeRow| {
        [row.accuracy_forecast, row.accuracy_second_order, row.accuracy].map(|share| 100. * share)
    };
    [over_budget(rows, change, of_change), over_budget(rows, accuracy, of_accuracy)]
        .into_iter()
        .flatten()
        .collect()
}

/// First order, second order and outcome over the budgets; none if nothing is known of it.
fn over_budget(
    rows: &[OutcomeRow],
    [title, y]: [&str; 2],
    of: fn(&OutcomeRow) -> [f64; 3],
) -> Option<Panel> {
    let ways = [
        ("outcome", 2, LineStyle::Solid),
        ("forecast, first order", 0, LineStyle::Dashed),
        ("forecast, second order", 1, LineStyle::Dotted),
    ];
    let curve = |(colour, (name, at, style)): (usize, (&str, usize, LineStyle))| {
        let budgets = rows.iter().filter(|row| row.layer.is_empty());
        let points = budgets.map(|row| (100. * row.budget, of(row)[at]));
        let mut points: Vec<(f64, f64)> = points.filter(|point| point.1.is_finite()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (!points.is_empty()).then(|| Curve::new(name, points, colour, style))
    };
    let curves: Vec<Curve> = ways.into_iter().enumerate().filter_map(curve).collect();
    (!curves.is_empty()).then(|| Panel {
        title: title.into(),
        x: "operations left [%]".into(),
        y: y.into(),
        curves,
        levels: vec![],
    })
}

/// Forecasts and outcome of every layer.
pub(crate) fn table(rows: &[OutcomeRow]) -> Table {
    let header = [
        "layer",
        "pruned",
        "change: first order",
        "change: second order",
        "change: outcome",
        "flips [%]: first order",
        "flips [%]: outcome",
        "accuracy [%]: first order",
        "accuracy [%]: second order",
        "accuracy [%]: outcome",
    ];
    let caption = "Forecasts beside the outcome. Change: the mean |change| of a logit. Flips: the \
                   share of answers that change. Forecasts of flips and accuracy need all outputs \
                   (--outputs).";
    let mut table = Table::new("forecasts", caption, &header);
    table.rows.extend(rows.iter().map(|row| {
        vec![
            row.title.clone(),
            format!("{} of {}", row.pruned, row.channels),
            number(row.change_forecast, 3),
            number(row.change_second_order, 3),
            number(row.change, 3),
            percent(row.flips_forecast),
            percent(row.flips),
            percent(row.accuracy_forecast),
            percent(row.accuracy_second_order),
            percent(row.accuracy),
        ]
    }));
    table
}
