//! The figures of the comparison.

use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_report::{
    About, Band, Curve, Figure, LineStyle, Panel, RangedDot, Source, Style, curves, dot_plot,
};

use super::Results;
use super::tables::{names, noise_images, title};
use crate::artifacts::{ConditionRow, Row, SystemAttribute, SystemPass, SystemRow};
use crate::config::SystemName;
use crate::distinct::distinct;
use crate::error::Result;
use crate::program::command_line;

pub(super) fn figures(results: &Results, source: &Source) -> Result<Vec<Figure>> {
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
    let caption =
        format!("Accuracy under noise on the image. {}", noise_images(&results.conditions));
    figures.push(about(figure, &caption, ConditionRow::PATH));
    figures.extend(learning(&results.learning, source)?);
    figures.extend(differences(&results.attributes, source)?);
    Ok(figures)
}

/// Validation accuracy over the passes of all networks; none if there are no validation faces.
fn learning(rows: &[SystemPass], source: &Source) -> Result<Option<Figure>> {
    let systems: Vec<&str> = distinct(rows.iter().map(|row| row.system.as_str()));
    if systems.is_empty() {
        return Ok(None);
    }
    let curve = |(at, name): (usize, &&str)| {
        let (colour, style) = style(at);
        let own = || rows.iter().filter(|row| row.system == **name);
        let is_spread = own().all(|row| row.seeds > 1);
        let ends = |row: &SystemPass| (100. * row.accuracy_low, 100. * row.accuracy_high);
        Curve {
            name: title(name),
            points: own().map(|row| (row.passes as f64, 100. * row.accuracy)).collect(),
            spread: own().filter(|_| is_spread).map(ends).collect(),
            band: Band::Bars,
            colour,
            style,
        }
    };
    let panel = Panel {
        title: String::new(),
        x: "passes over the training faces".into(),
        y: "accuracy on validation faces [%]".into(),
        curves: systems.iter().enumerate().map(curve).collect(),
        levels: vec![],
    };
    let figure = curves("learning_curves", &[panel], source, &Style::default())?;
    let caption = "Accuracy on validation faces while the systems are trained: mean over seeds, \
                   with the least and the greatest. Systems with support vector machines answer \
                   by a linear layer until their training ends.";
    Ok(Some(about(figure, caption, SystemPass::PATH)))
}

/// Each system's accuracy on each attribute less the paper's network's; none without that.
fn differences(rows: &[SystemAttribute], source: &Source) -> Result<Option<Figure>> {
    let is_compared =
        |row: &&SystemAttribute| row.difference.is_finite() && row.system != SystemName::Paper.id();
    let systems: Vec<&str> =
        distinct(rows.iter().filter(is_compared).map(|row| row.system.as_str()));
    if systems.is_empty() {
        return Ok(None);
    }
    let dot = |system: &&str, attribute: &str| {
        let found = rows.iter().find(|row| row.system == **system && row.attribute == attribute);
        let ends = |row: &SystemAttribute| (100. * row.difference_low, 100. * row.difference_high);
        RangedDot {
            value: found.map_or(f64::NAN, |row| 100. * row.difference),
            range: found.map_or((f64::NAN, f64::NAN), ends),
        }
    };
    let row = |attribute: &str| {
        (display_name(attribute), systems.iter().map(|system| dot(system, attribute)).collect())
    };
    let drawn: Vec<(String, Vec<RangedDot>)> = ATTRIBUTES.into_iter().map(row).collect();
    let columns: Vec<String> = systems.iter().map(|system| title(system)).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let axis = "accuracy less that of the paper's network [points]";
    let name = "differences_by_attribute";
    let figure = dot_plot(name, axis, &columns, &drawn, source, &Style::default())?;
    let caption = "Accuracy on each attribute less that of the paper's network with the same seed: \
                   mean over seeds, with the least and the greatest.";
    Ok(Some(about(figure, caption, SystemAttribute::PATH)))
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
