//! `transform`: tone curves on a network's gates, under noise on the images.

use std::path::Path;

use candle_core::Tensor;
use foresee_graph::{Gate, Graph};
use foresee_perturb::{Curve, GatedGraph, Noise, Tally, ToneCurve, transform_grid};
use foresee_report::{About, Report, Section, Style, Table, curves};
use serde::Serialize;

use super::folder::{Folder, Part, PartFiles, read_rows};
use super::reader::Layout;
use super::subject::{Given, Subject};
use crate::artifacts::TransformationPoint;
use crate::error::{Result, input};
use crate::figures::transformation_panels;
use crate::progress::{Progress, Unit};
use crate::provenance::percent;

/// The version of its files.
const FORMAT: u32 = 1;
const PART: &str = "transform";
const PAGE_PART: &str = "transform-page";
/// The points.
pub(crate) const FILE: &str = "data/gate_transformation.csv";
/// The page.
pub(crate) const PAGE: &str = "transform.html";
const TITLE: &str = "Tone curves on gates, under noise";
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

/// What decides the points.
#[derive(Serialize)]
struct MadeFrom<'a> {
    given: Given,
    images_sha256: &'a str,
    labels_sha256: String,
    curves: Vec<String>,
    sigmas: &'a [f64],
    clip: bool,
    gates: Vec<String>,
    seed: u64,
}

/// Measures every curve under every noise, and writes data, figure and page into a folder.
///
/// # Errors
/// If the network has no such gates, there are no labels, or a file cannot be written.
pub(crate) fn transform(
    subject: &Subject,
    out: &Path,
    options: &TransformOptions,
) -> Result<Folder> {
    let labels_sha256 = subject.labels()?.sha256();
    let graph = subject.network.channels_first()?;
    let gates = gates(subject, &graph, &options.gates)?;
    let noise = noise(subject, options)?;
    let others = options.curves.iter().filter(|curve| !curve.is_identity());
    let curves: Vec<Curve> = std::iter::once(Curve::identity()).chain(others.cloned()).collect();
    let name = |gate: &Gate| graph.node(gate.node).name.clone();
    let part = Part {
        name: PART,
        format: FORMAT,
        made_from: MadeFrom {
            given: subject.given(),
            images_sha256: subject.images_sha256(),
            labels_sha256,
            curves: curves.iter().map(ToString::to_string).collect(),
            sigmas: &options.sigmas,
            clip: options.clip,
            gates: gates.iter().map(name).collect(),
            seed: options.seed,
        },
    };
    let names: Vec<String> = gates.iter().map(name).collect();
    let mut folder = subject.folder(out)?;
    folder.part(&part, |files| {
        let model = GatedGraph::new(&graph, gates)?;
        let tallies = measure(subject, &model, &noise, &options.sigmas, &curves)?;
        files.write(FILE, &points(&options.sigmas, &curves, &tallies))
    })?;
    page(subject, &mut folder, &names)?;
    Ok(folder)
}

/// The gates that are asked for.
fn gates(subject: &Subject, graph: &Graph, asked: &[String]) -> Result<Vec<Gate>> {
    let all = graph.gates();
    let name = |gate: &Gate| graph.node(gate.node).name.clone();
    let refuse =
        |reason: String| input(format!("--model {}: {reason}", subject.network.file.display()));
    if all.is_empty() {
        return Err(refuse(
            "has no gates: no sigmoid, hard sigmoid or softmax whose result another value is \
             multiplied by"
                .into(),
        ));
    }
    if asked.is_empty() {
        return Ok(all);
    }
    let find = |asked: &String| {
        let found = all.iter().find(|gate| name(gate) == *asked).cloned();
        found.ok_or_else(|| {
            let known: Vec<String> = all.iter().map(name).collect();
            refuse(format!("has no gate `{asked}`; its gates are {}", known.join(", ")))
        })
    };
    asked.iter().map(find).collect()
}

fn noise(subject: &Subject, options: &TransformOptions) -> Result<Noise> {
    let reader = &subject.reader;
    let (mean, deviation) = match (&reader.mean[..], &reader.deviation[..]) {
        (&[a, b, c], &[x, y, z]) => ([a, b, c], [x, y, z]),
        _ if options.sigmas.iter().all(|sigma| *sigma == 0.) => ([0.; 3], [1.; 3]),
        _ => {
            return Err(input(
                "noise is for colour images, and the network takes grey ones: give --sigma 0",
            ));
        }
    };
    Ok(Noise { sigma: 0., clip: options.clip, mean, deviation, seed: options.seed })
}

/// A tally for every σ and curve.
fn measure(
    subject: &Subject,
    model: &GatedGraph,
    noise: &Noise,
    sigmas: &[f64],
    curves: &[Curve],
) -> Result<Vec<Vec<Tally>>> {
    let labels = subject.labels()?;
    let progress = Progress::new("transforming", Unit::Images, subject.images.len(), 0);
    let curves: Vec<&dyn ToneCurve> = curves.iter().map(|curve| curve as &dyn ToneCurve).collect();
    let batches = subject.batches().map(|images| -> Result<(Tensor, Tensor, Vec<usize>)> {
        let x = subject.read(&images, Layout::Nchw)?;
        let y = labels.tensor(&images)?.to_device(&subject.device)?;
        progress.add(images.len(), String::new);
        Ok((x, y, images))
    });
    transform_grid(model, noise, sigmas, &curves, batches)
}

fn points(sigmas: &[f64], curves: &[Curve], tallies: &[Vec<Tally>]) -> Vec<TransformationPoint> {
    let of_sigma = |(&sigma, row): (&f64, &Vec<Tally>)| {
        let point = |(curve, tally): (&Curve, &Tally)| {
            let gain = tally.paired_gain(&row[BASELINE]);
            TransformationPoint {
                sigma,
                curve: curve.clone(),
                images: tally.images(),
                accuracy: tally.accuracy(),
                standard_error: tally.standard_error(),
                gain: gain.mean,
                gain_standard_error: gain.standard_error,
            }
        };
        curves.iter().zip(row).map(point).collect::<Vec<_>>()
    };
    sigmas.iter().zip(tallies).flat_map(of_sigma).collect()
}

const TEXT: &str = "A gate is a value from 0 to 1 that another value is multiplied by: \
     squeeze-and-excitation, attention branches, softmax attention. Each curve g(M; n, β) of the \
     paper's Eq. 11 and 12 is put on the gates, while Gaussian noise is added to the images. The \
     second panel shows what a curve gains over the gates as they are, on the same noisy images.";

fn page(subject: &Subject, folder: &mut Folder, gates: &[String]) -> Result<()> {
    let made_from = folder.manifest.stages[PART].record.outputs.clone();
    let part = Part { name: PAGE_PART, format: FORMAT, made_from: (subject.given(), made_from) };
    folder.part(&part, |files| write_page(subject, gates, files))?;
    tracing::info!("open {}", folder.path(PAGE).display());
    Ok(())
}

fn write_page(subject: &Subject, gates: &[String], files: &mut PartFiles<'_>) -> Result<()> {
    let points: Vec<TransformationPoint> = read_rows(&files.folder().join(FILE))?;
    let (source, style) = (subject.source(), Style::default());
    let figure = curves(FIGURE, &transformation_panels(&points), &source, &style)?;
    let figure = figure.about(About {
        caption: "Accuracy under noise with tone curves on the network's gates.".into(),
        data: vec![FILE.into()],
        command: format!("foresee transform --model {}", subject.network.file.display()),
    });
    files.add_written(&figure.save(&files.folder().join("figures"))?);
    let majority = subject.labels()?.majority_accuracy();
    let report = Report {
        title: format!("{TITLE}: {}", source.data),
        source,
        summary: vec![
            ("gates".into(), gates.len().to_string()),
            ("always the majority".into(), format!("{} %", percent(majority))),
        ],
        sections: vec![
            Section::Text(TEXT.into()),
            Section::Text(format!("Gates: {}.", gates.join(", "))),
            Section::Figure(figure),
            Section::Plain(table(&points)),
        ],
    };
    save(&report, files)
}

fn save(report: &Report, files: &mut PartFiles<'_>) -> Result<()> {
    let path = Path::join(files.folder(), PAGE);
    report.save(&path)?;
    files.add_written(&[path]);
    Ok(())
}

/// The points as a table.
pub(crate) fn table(points: &[TransformationPoint]) -> Table {
    let header = ["σ", "curve", "accuracy [%]", "± s.e.", "gain [points]", "± s.e."];
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
