//! `transform`: tone curves on a network's gates, under noise on the images.

use std::path::Path;

use candle_core::Tensor;
use foresee_graph::{Gate, Graph};
use foresee_perturb::{Curve, GatedGraph, Noise, ToneCurve, transform_grid};
use foresee_report::{Section, Style, Table, curves};
use serde::Serialize;

use super::folder::{Folder, Part, PartFiles, file_name, read_rows};
use super::image_input::Layout;
use super::page::{Content, Page, about};
use super::task::Task;
use crate::artifacts::TransformationPoint;
use crate::config::with_identity;
use crate::error::Result;
use crate::figures::transformation_panels;
use crate::progress::{Progress, Unit, counted};
use crate::provenance::percent;

/// The version of its data files.
const FORMAT: u32 = 4;
/// How its parts are called.
const PART: &str = "transform ";
/// The page.
pub(crate) const PAGE: &str = "transform.html";
const PAGE_FORMAT: u32 = 4;
const FIGURE: &str = "gate_transformation";
/// The place of the identity among the curves.
const BASELINE: usize = 0;

/// What is done to the gates.
#[derive(Debug, Clone)]
pub(crate) struct TransformOptions {
    pub curves: Vec<Curve>,
    pub sigmas: Vec<f64>,
    /// Clip noisy pixels back to [0, 1].
    pub clip: bool,
    /// Nodes that compute gates; empty: all.
    pub gates: Vec<String>,
    pub seed: u64,
}

/// What decides the points of a σ, beside images and labels.
#[derive(Clone, Serialize)]
struct Settings {
    curves: Vec<String>,
    sigma: f64,
    clip: bool,
    gates: Vec<String>,
    seed: u64,
}

/// Measures every curve under every noise, and writes data, figure and page into a folder. Returns
/// the points.
///
/// # Errors
/// If the network has no such gates, there are no labels, or a file cannot be written.
pub(crate) fn transform(
    task: &Task,
    out: &Path,
    options: &TransformOptions,
) -> Result<Vec<TransformationPoint>> {
    task.labels()?;
    let graph = task.network.channels_first()?;
    let gates = gates(task, &graph, &options.gates)?;
    let names: Vec<String> = gates.iter().map(|gate| graph.node(gate.node).name.clone()).collect();
    let curves = with_identity(&options.curves);
    let mut folder = task.folder(out)?;
    let parts: Vec<String> =
        options.sigmas.iter().map(|sigma| format!("{PART}σ={sigma}")).collect();
    let part = |(name, &sigma)| {
        // All options are named, so that none is forgotten.
        let TransformOptions { curves: _, sigmas: _, clip, gates: _, seed } = *options;
        let curves = curves.iter().map(ToString::to_string).collect();
        let settings = Settings { curves, sigma, clip, gates: names.clone(), seed };
        Part { name, format: FORMAT, made_from: task.made_from(settings) }
    };
    let mut left = vec![];
    for part in parts.iter().map(String::as_str).zip(&options.sigmas).map(part) {
        if !folder.is_done(&part)? {
            left.push(part);
        }
    }
    if !left.is_empty() {
        task.images.check(&task.reader.framing)?;
        let model = GatedGraph::new(&graph, gates)?;
        let (images, done) = (task.images.len(), parts.len() - left.len());
        let progress =
            Progress::new("transforming", Unit::Passes, parts.len() * images, done * images);
        let work = Work { task, model: &model, curves: &curves, progress: &progress };
        for part in left {
            folder.part(&part, |files| work.sigma(&part.made_from.settings, files))?;
        }
    }
    page(task, &mut folder, (&parts, &options.sigmas), &names)?;
    points(out, &options.sigmas)
}

/// The gates that are asked for.
fn gates(task: &Task, graph: &Graph, asked: &[String]) -> Result<Vec<Gate>> {
    let all = graph.gates();
    let name = |gate: &Gate| graph.node(gate.node).name.clone();
    if all.is_empty() {
        return Err(task.network.refused(
            "has no gates: no sigmoid, hard sigmoid or softmax whose result another value is \
             multiplied by",
        ));
    }
    if asked.is_empty() {
        return Ok(all);
    }
    let find = |asked: &String| {
        let found = all.iter().find(|gate| name(gate) == *asked).cloned();
        found.ok_or_else(|| {
            let known: Vec<String> = all.iter().map(name).collect();
            task.network
                .refused(format!("has no gate `{asked}`; its gates are {}", known.join(", ")))
        })
    };
    asked.iter().map(find).collect()
}

/// Where the points of a σ lie.
fn data_file(sigma: f64) -> String {
    format!("data/gate_transformation/{}.csv", file_name(&sigma.to_string()))
}

fn points(folder: &Path, sigmas: &[f64]) -> Result<Vec<TransformationPoint>> {
    let rows = sigmas.iter().map(|&sigma| read_rows(&folder.join(data_file(sigma))));
    Ok(rows.collect::<Result<Vec<_>>>()?.concat())
}

struct Work<'a> {
    task: &'a Task,
    model: &'a GatedGraph<'a>,
    curves: &'a [Curve],
    progress: &'a Progress,
}

impl Work<'_> {
    /// The points of a σ.
    fn sigma(&self, settings: &Settings, files: &mut PartFiles<'_>) -> Result<()> {
        let Self { task, model, curves, progress } = self;
        let labels = task.labels()?;
        let noise = Noise {
            sigma: settings.sigma,
            clip: settings.clip,
            mean: task.reader.mean.clone(),
            deviation: task.reader.std.clone(),
            seed: settings.seed,
        };
        let tones: Vec<&dyn ToneCurve> =
            curves.iter().map(|curve| curve as &dyn ToneCurve).collect();
        let each = || format!("each with {} curves", curves.len());
        let batches = counted(task.batches(), progress, Vec::len, each).map(
            |images| -> Result<(Tensor, Tensor, Vec<usize>)> {
                let x = task.read(&images, Layout::Nchw)?;
                let y = labels.tensor(&images)?.to_device(&task.device)?;
                let numbers = images.iter().map(|&image| task.images.number(image)).collect();
                Ok((x, y, numbers))
            },
        );
        let tallies = transform_grid(*model, &noise, &[settings.sigma], &tones, batches)?.remove(0);
        let all: Vec<usize> = (0..task.images.len()).collect();
        let majority = labels.majority_accuracy(&all);
        let point = |(curve, tally)| {
            let tallies = [tally, &tallies[BASELINE]];
            TransformationPoint::new(settings.sigma, curve, tallies, majority)
        };
        let points: Vec<TransformationPoint> = curves.iter().zip(&tallies).map(point).collect();
        files.write(&data_file(settings.sigma), &points)
    }
}

const TEXT: &str = "A gate is a value from 0 to 1 that another value is multiplied by: \
     squeeze-and-excitation, attention branches, softmax attention. Each curve g(M; n, β) of the \
     paper's Eq. 11 and 12 is put on the gates, while Gaussian noise is added to the images. The \
     second panel shows what a curve gains over the gates as they are, on the same noisy images.";

fn page(
    task: &Task,
    folder: &mut Folder,
    (parts, sigmas): (&[String], &[f64]),
    gates: &[String],
) -> Result<()> {
    let title = "Tone curves on gates, under noise";
    let images = task.images.len();
    let page = Page { file: PAGE, format: PAGE_FORMAT, title, of: parts, images };
    page.write(task, folder, |folder, source| {
        let points = points(folder, sigmas)?;
        let panels = transformation_panels(&points, "gates");
        let figure = about(
            curves(FIGURE, &panels, source, &Style::default())?,
            "Accuracy under noise with tone curves on the network's gates.",
            sigmas.iter().copied().map(data_file).collect(),
        );
        let majority = points.first().map_or(f64::NAN, |point| point.majority_accuracy);
        Ok(Content {
            summary: vec![
                ("gates".into(), gates.len().to_string()),
                ("majority-class baseline".into(), format!("{} %", percent(majority))),
            ],
            sections: vec![
                Section::Text(TEXT.into()),
                Section::Text(format!("Gates: {}.", gates.join(", "))),
                Section::Figure(figure),
                Section::Table(table(&points)),
            ],
        })
    })
}

/// The points as a table.
pub(crate) fn table(points: &[TransformationPoint]) -> Table {
    let header = [
        "σ",
        "curve",
        "accuracy [%]",
        "s.e. [points]",
        "gain [points]",
        "s.e. of the gain [points]",
    ];
    let mut table = Table::new("gate_transformation", "Accuracy under noise.", &header);
    table.rows.extend(points.iter().map(|point| {
        vec![
            point.sigma.to_string(),
            point.curve.title(),
            percent(point.accuracy),
            percent(point.standard_error),
            percent(point.gain),
            percent(point.gain_standard_error),
        ]
    }));
    table
}
