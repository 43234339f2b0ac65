//! What sparsity does: one line of a table and one point of a figure for each variant.

use anyhow::Result;
use foresee_model::{Precision, Readout};
use foresee_report::frame::{self, DataFrame, df};
use foresee_report::{Band, Curve, Figure, Level, Panel, Source, Table, curves};

use super::claims::Claim;
use crate::config::{Config, Part};
use crate::run::Run;

/// Mean masks below this count as closed.
const CLOSED: f64 = 0.01;

/// A number of each seed.
struct Seeds(Vec<f64>);

impl Seeds {
    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    fn range(&self) -> (f64, f64) {
        self.0.iter().fold((f64::NAN, f64::NAN), |(a, b), &v| (v.min(a), v.max(b)))
    }

    fn text(&self, digits: usize) -> String {
        let (low, high) = self.range();
        match self.0.len() {
            _ if !self.mean().is_finite() => "–".into(),
            1 => format!("{:.digits$}", self.mean()),
            _ => format!("{:.digits$} ({low:.digits$} to {high:.digits$})", self.mean()),
        }
    }
}

/// A variant's runs, which differ by their seed.
pub struct Row {
    variant: String,
    settings: String,
    synthetic: bool,
    attention: bool,
    mask_mean: Seeds,
    /// Accuracy of always answering with the majority, in percent.
    majority: f64,
    columns: Vec<(&'static str, Seeds, usize)>,
}

pub fn row(variant: &str, runs: &[&Run], claims: &[Claim]) -> Result<Row> {
    let each = |value: &dyn Fn(&Run) -> Result<f64>| -> Result<Seeds> {
        Ok(Seeds(runs.iter().map(|run| value(run)).collect::<Result<_>>()?))
    };
    let masks = |run: &Run| -> Result<Vec<f64>> {
        Ok(frame::rows(&run.read_csv("data/mean_masks.csv")?, 1)?.concat())
    };
    let mean_of_masks = |run: &Run| masks(run).map(|m| m.iter().sum::<f64>() / m.len() as f64);
    let accuracy = |name: &'static str| {
        move |run: &Run| -> Result<f64> {
            Ok(100. * frame::numbers(&run.read_csv("data/accuracy.csv")?, name)?[0])
        }
    };
    let correlation = |run: &Run| -> Result<f64> {
        let rows = frame::rows(&run.read_csv("data/channel_correlation.csv")?, 1)?;
        let n = rows.len() as f64;
        Ok((rows.iter().flatten().sum::<f64>() - n) / (n * (n - 1.)))
    };
    // The last epoch's, on which λ is chosen: test faces have no part in that.
    let validation = |run: &Run| -> Result<f64> {
        let each = frame::numbers(&run.read_csv("data/validation.csv")?, "accuracy")?;
        Ok(each.last().map_or(f64::NAN, |last| 100. * last))
    };
    let of_claim = |start: &str| {
        Seeds(
            claims
                .iter()
                .find(|c| c.variant == variant && c.claim.starts_with(start))
                .map_or(vec![], |c| c.seeds.clone()),
        )
    };
    let columns = vec![
        ("validation accuracy [%]", each(&validation)?, 2),
        ("accuracy [%]", each(&accuracy("accuracy"))?, 2),
        ("balanced accuracy [%]", each(&accuracy("balanced_accuracy"))?, 2),
        ("mean of the masks", each(&mean_of_masks)?, 3),
        (
            "mean masks below 0.01 [%]",
            each(&|run| {
                masks(run).map(|m| {
                    100. * m.iter().filter(|&&v| v < CLOSED).count() as f64 / m.len() as f64
                })
            })?,
            1,
        ),
        ("channel correlation, mean", each(&correlation)?, 3),
        ("lower against random [points]", of_claim("semantic pruning, lower"), 2),
        ("higher against random [points]", of_claim("semantic pruning, higher"), 2),
        (
            "lower with least squares against random [points]",
            of_claim("beyond the paper: semantic pruning (lower) with least squares beats random"),
            2,
        ),
        (
            "transformation, σ = 0.1 [points]",
            of_claim("mask transformation makes the network robust, σ = 0.1"),
            2,
        ),
        (
            "transformation, σ = 0.3 [points]",
            of_claim("mask transformation makes the network robust, σ = 0.3"),
            2,
        ),
    ];
    let mask_mean = each(&mean_of_masks)?;
    Ok(Row {
        variant: variant.into(),
        settings: settings(runs[0]),
        synthetic: runs[0].manifest.data.synthetic,
        attention: runs[0].manifest.config.model.attention,
        mask_mean,
        majority: each(&accuracy("majority_accuracy"))?.mean(),
        columns,
    })
}

/// What decides a run, in words; what is as usual is not named.
fn settings(run: &Run) -> String {
    let Config { data, model, train, .. } = &run.manifest.config;
    let mut text = format!(
        "{}, {} px, {} epochs",
        run.manifest.config.sparsity_in_words(),
        data.image_size,
        train.epochs
    );
    let mut unusual = |is: bool, words: String| {
        if is {
            text.push_str(&format!(", {words}"));
        }
    };
    unusual(train.limit > 0, format!("{} faces", train.limit));
    unusual(data.crop != Part::Square, "whole images".into());
    unusual(train.crop < 1., format!("random parts from {}", train.crop));
    unusual(train.average > 0., format!("average of weights, decay {}", train.average));
    unusual(model.mask_kernel > 1, format!("masks of {0}×{0}", model.mask_kernel));
    unusual(model.readout == Readout::Mean, "readout by the mean".into());
    unusual(model.channels != 128, format!("{} channels", model.channels));
    text + if model.precision == Precision::Bf16 { ", bf16" } else { ", f32" }
}

/// What was measured of no variant has no column.
pub fn table(name: &str, caption: &str, rows: &[Row], source: &Source) -> Table {
    let measured: Vec<usize> = (0..rows[0].columns.len())
        .filter(|&at| rows.iter().any(|row| row.columns[at].1.mean().is_finite()))
        .collect();
    let mut header = vec!["variant", "settings", "faces", "seeds"];
    header.extend(measured.iter().map(|&at| rows[0].columns[at].0));
    let mut table = Table::new(name, caption, &header);
    for row in rows {
        let faces = if row.synthetic { "SYNTHETIC" } else { "CelebA" };
        let mut cells = vec![
            row.variant.clone(),
            row.settings.clone(),
            faces.into(),
            row.mask_mean.0.len().to_string(),
        ];
        cells.extend(measured.iter().map(|&at| row.columns[at].1.text(row.columns[at].2)));
        table.rows.push(cells);
    }
    table.measured_on(source)
}

pub fn frame(rows: &[Row]) -> Result<DataFrame> {
    let mut frame = df!(
        "variant" => rows.iter().map(|r| r.variant.clone()).collect::<Vec<_>>(),
        "settings" => rows.iter().map(|r| r.settings.clone()).collect::<Vec<_>>(),
        "seeds" => rows.iter().map(|r| r.mask_mean.0.len() as i64).collect::<Vec<_>>(),
    )?;
    for (at, (name, _, _)) in rows.first().iter().flat_map(|row| row.columns.iter().enumerate()) {
        let mean: Vec<f64> = rows.iter().map(|r| r.columns[at].1.mean()).collect();
        let (low, high): (Vec<f64>, Vec<f64>) =
            rows.iter().map(|r| r.columns[at].1.range()).unzip();
        frame.with_column(frame::column(name, mean))?;
        frame.with_column(frame::column(&format!("{name}, lowest"), low))?;
        frame.with_column(frame::column(&format!("{name}, highest"), high))?;
    }
    let data: Vec<&str> =
        rows.iter().map(|r| if r.synthetic { "synthetic" } else { "celeba" }).collect();
    frame.with_column(frame::column("data", data))?;
    Ok(frame)
}

/// Over the mean of the masks, on real faces only.
pub fn figure(rows: &[Row], source: &Source) -> Result<Option<Figure>> {
    let plain = rows.iter().find(|row| !row.synthetic && !row.attention);
    let mut rows: Vec<&Row> = rows.iter().filter(|row| !row.synthetic && row.attention).collect();
    rows.sort_by(|a, b| a.mask_mean.mean().total_cmp(&b.mask_mean.mean()));
    if rows.len() < 2 {
        return Ok(None);
    }
    let curve = |column: &str, name: &str, colour: usize, dash: usize| {
        let of = |row: &&Row| {
            row.columns
                .iter()
                .find(|c| c.0 == column)
                .map(|c| (row.mask_mean.mean().log10(), c.1.mean(), c.1.range()))
        };
        let values: Vec<_> = rows.iter().filter_map(of).filter(|v| v.1.is_finite()).collect();
        Curve {
            name: name.into(),
            points: values.iter().map(|v| (v.0, v.1)).collect(),
            spread: values.iter().map(|v| v.2).collect(),
            band: Band::Bars,
            colour,
            dash,
        }
    };
    let x = "mean of the masks (decimal logarithm)";
    let panel = |title: &str, y: &str, curves: Vec<Curve>| Panel {
        title: title.into(),
        x: x.into(),
        y: y.into(),
        curves,
        levels: vec![],
    };
    let accuracy_of =
        |row: &Row| row.columns.iter().find(|c| c.0 == "accuracy [%]").map(|c| c.1.mean());
    let level = |name: &str, y: f64| Level { name: name.into(), y };
    let mut accuracy = panel(
        "accuracy (mean, range over seeds)",
        "accuracy [%]",
        vec![curve("accuracy [%]", "nothing pruned", 6, 0)],
    );
    accuracy.levels.extend(plain.and_then(accuracy_of).map(|y| level("no masks", y)));
    accuracy.levels.push(level("always the majority", rows[0].majority));
    let panels = [
        accuracy,
        panel(
            "what an operation gains (mean, range over seeds)",
            "gain [percentage points]",
            vec![
                curve("lower against random [points]", "pruning: lower against random", 0, 0),
                curve("higher against random [points]", "pruning: higher against random", 1, 1),
                curve(
                    "lower with least squares against random [points]",
                    "pruning: lower, least squares, against random",
                    2,
                    0,
                ),
                curve("transformation, σ = 0.1 [points]", "transformation, σ = 0.1", 3, 2),
            ],
        ),
    ];
    Ok(Some(curves("over_lambda", &panels, source)?))
}
