//! `explain`: which pixels of an image an answer comes from, by several methods.

mod figure;
mod rows;

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use foresee_attribution::{Explainer, Explanation, GraphModel, Interpolation, Method, resize};
use foresee_report::{Fixed, PlaneTable, Report, Scientific, Section, Table};
use serde::Serialize;

pub(crate) use self::rows::{ExplanationRow, MapLabel};
use super::folder::{Folder, Part, PartFiles, file_name, read_rows};
use super::labels::Labels;
use super::reader::Layout;
use super::subject::{Given, Subject};
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::progress::{Progress, Unit};

/// The version of its data files, and of its figures.
const FORMAT: u32 = 1;
/// How its parts are called.
const PART: &str = "explain ";
const PAGE_PART: &str = "explain-page";
/// The page.
pub(crate) const PAGE: &str = "explain.html";
/// How the page's title begins.
const TITLE: &str = "Which pixels an answer comes from";

/// What is computed unless methods are asked for.
const USUAL: [Method; 7] = [
    Method::InputXGradient,
    Method::SmoothGrad,
    Method::IntegratedGradients,
    Method::GuidedBackprop,
    Method::GradCam,
    Method::LayerCam,
    Method::Lrp,
];

/// What is to be explained, and how.
#[derive(Debug, Clone)]
pub(crate) struct ExplainOptions {
    /// Empty: the usual ones that the network allows.
    pub methods: Vec<Method>,
    /// Outputs; empty: the first of each image's answers.
    pub outputs: Vec<String>,
    /// So many of them.
    pub top: usize,
    pub steps: usize,
    pub grid: usize,
    pub samples: usize,
    pub seed: u64,
}

/// What decides the maps of an image.
#[derive(Serialize)]
struct MadeFrom<'a> {
    given: &'a Given,
    image_sha256: String,
    label: Option<String>,
    methods: Vec<&'static str>,
    outputs: &'a [String],
    top: usize,
    steps: usize,
    grid: usize,
    samples: usize,
    seed: u64,
    /// Of all images, if a method starts from them.
    references_sha256: Option<&'a str>,
}

/// Explains each image, draws the figures and writes the page into a folder. Returns the folder and
/// the places of the maps in numbers.
///
/// # Errors
/// If a method that was asked for is not possible for the network, or a file cannot be written.
pub(crate) fn explain(
    subject: &Subject,
    out: &Path,
    options: &ExplainOptions,
) -> Result<(Folder, Vec<String>)> {
    let work = Work::new(subject, options)?;
    let mut folder = subject.folder(out)?;
    let progress = Progress::new("explaining", Unit::Images, subject.images.len(), 0);
    let mut parts = vec![];
    for image in 0..subject.images.len() {
        let name = format!("{PART}{}", subject.images.name(image));
        let part = Part { name: &name, format: FORMAT, made_from: work.made_from(image)? };
        folder.part(&part, |files| work.image(image, files))?;
        parts.push(name);
        progress.add(1, String::new);
    }
    drop(progress);
    folder.keep(PART, &parts)?;
    page(subject, &mut folder, &parts)?;
    let files = folder.files(PART, "summary.csv");
    Ok((folder, files))
}

/// A network that is explained.
struct Work<'a> {
    subject: &'a Subject,
    options: &'a ExplainOptions,
    given: Given,
    model: GraphModel,
    explainer: Explainer,
    methods: Vec<Method>,
    outputs: Vec<usize>,
}

impl<'a> Work<'a> {
    fn new(subject: &'a Subject, options: &'a ExplainOptions) -> Result<Self> {
        let outputs = options.outputs.iter().map(|name| {
            subject.classes.find(name).map_err(|reason| input(format!("--class: {reason}")))
        });
        let outputs = outputs.collect::<Result<_>>()?;
        let model = GraphModel::new(subject.network.channels_first()?, subject.network.answer);
        let model = model.map_err(|e| refused(subject, &e))?.batch(subject.batch);
        let wanted = match options.methods.as_slice() {
            [] => &USUAL[..],
            asked => asked,
        };
        let references = match wanted.iter().any(|method| method.needs_references()) {
            true => {
                let count = subject.images.len().min(options.steps.max(1));
                Some(subject.read(&(0..count).collect::<Vec<_>>(), Layout::Nchw)?)
            }
            false => None,
        };
        let explainer = Explainer {
            steps: options.steps,
            grid: options.grid,
            lime_samples: options.samples,
            seed: options.seed,
            region_maps: HashMap::new(),
            references,
        };
        let (given, methods) = (subject.given(), vec![]);
        let mut work = Self { subject, options, given, model, explainer, methods, outputs };
        work.methods = work.possible(wanted)?;
        Ok(work)
    }

    /// The methods that the network allows, tried on the first image. What was asked for must be.
    fn possible(&self, wanted: &[Method]) -> Result<Vec<Method>> {
        let x = self.subject.read(&[0], Layout::Nchw)?;
        let quick = Explainer { steps: 1, grid: 2, lime_samples: 2, ..self.explainer.clone() };
        let mut possible = vec![];
        for &method in wanted {
            match quick.explain_graph(method, &self.model, &x, &[0], 0) {
                Ok(_) => possible.push(method),
                Err(e) if self.options.methods.is_empty() => {
                    tracing::warn!("{} is left out: {e}", method.title());
                }
                Err(e) => {
                    return Err(refused(self.subject, &format!("--method {}: {e}", method.id())));
                }
            }
        }
        match possible.is_empty() {
            true => Err(refused(self.subject, &"it allows none of the usual methods")),
            false => Ok(possible),
        }
    }

    fn made_from(&self, image: usize) -> Result<MadeFrom<'_>> {
        let options = self.options;
        let references = self.explainer.references.as_ref();
        Ok(MadeFrom {
            given: &self.given,
            image_sha256: self.subject.images.sha256_of(image)?,
            label: self.label(image),
            methods: self.methods.iter().map(|method| method.id()).collect(),
            outputs: &options.outputs,
            top: options.top,
            steps: options.steps,
            grid: options.grid,
            samples: options.samples,
            seed: options.seed,
            references_sha256: references.map(|_| self.subject.images_sha256()),
        })
    }

    /// What is on an image, if it is known and one class.
    fn label(&self, image: usize) -> Option<String> {
        match &self.subject.labels {
            Some(Labels::Classes(classes)) => {
                Some(self.subject.classes.name(classes[image]).to_owned())
            }
            _ => None,
        }
    }

    /// The maps of an image.
    fn image(&self, image: usize, files: &mut PartFiles<'_>) -> Result<()> {
        let x = self.subject.read(&[image], Layout::Nchw)?;
        let answers = self.subject.network.answers(self.model.graph(), &x)?;
        let answers = answers.get(0)?.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?;
        let name = self.subject.images.name(image);
        let (_, _, height, width) = x.dims4()?;
        let mut maps = PlaneTable::new(width);
        let mut rows = vec![];
        for output in self.outputs_of(&answers) {
            for &method in &self.methods {
                let found = self.explanation(method, &x, name, output)?;
                let map = resize(&found.maps, height, width, Interpolation::Bilinear)?;
                let values = map.flatten_all()?.to_vec1::<f32>()?;
                let row = self.row(image, output, &answers, (method, &found, &values));
                maps.push(label_of(&row), &shares(&values, row.greatest));
                rows.push(row);
            }
        }
        let start = format!("data/explanations/{}", file_name(name));
        files.write_frame(&format!("{start}.maps.csv"), &maps.to_frame()?)?;
        files.write(&format!("{start}.summary.csv"), &rows)
    }

    fn explanation(
        &self,
        method: Method,
        x: &Tensor,
        name: &str,
        output: usize,
    ) -> Result<Explanation> {
        let number = number_of(name);
        let found = self.explainer.explain_graph(method, &self.model, x, &[number], output);
        found.map_err(|e| refused(self.subject, &format!("{} of {name}: {e}", method.title())))
    }

    /// The outputs that are explained.
    fn outputs_of(&self, answers: &[f32]) -> Vec<usize> {
        if !self.outputs.is_empty() {
            return self.outputs.clone();
        }
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by(|&a, &b| answers[b].total_cmp(&answers[a]).then(a.cmp(&b)));
        order.truncate(self.options.top);
        order
    }

    fn row(
        &self,
        image: usize,
        output: usize,
        answers: &[f32],
        (method, found, values): (Method, &Explanation, &[f32]),
    ) -> ExplanationRow {
        ExplanationRow {
            image: self.subject.images.name(image).into(),
            output: self.subject.classes.name(output).into(),
            answer: answers[output].into(),
            share: self.subject.shares(answers)[output],
            label: self.label(image).unwrap_or_default(),
            method,
            sum: values.iter().map(|&value| f64::from(value)).sum(),
            greatest: values.iter().fold(0f32, |most, value| most.max(value.abs())).into(),
            local_r2: found.local_r2[0],
            completeness_gap: found.completeness_gap[0],
        }
    }
}

fn label_of(row: &ExplanationRow) -> MapLabel {
    MapLabel {
        image: row.image.clone(),
        output: row.output.clone(),
        share: Fixed(row.share),
        label: row.label.clone(),
        method: row.method,
        greatest: Scientific(row.greatest),
    }
}

fn shares(values: &[f32], greatest: f64) -> Vec<f32> {
    let share = |value: &f32| if greatest > 0. { value / greatest as f32 } else { 0. };
    values.iter().map(share).collect()
}

/// The number of an image, by which its random numbers are drawn: the same in every list.
fn number_of(name: &str) -> usize {
    let digits = &sha256(name.as_bytes())[..8];
    usize::from_str_radix(digits, 16).unwrap_or_default()
}

fn refused(subject: &Subject, reason: &dyn std::fmt::Display) -> anyhow::Error {
    input(format!("--model {}: {reason}", subject.network.file.display()))
}

/// Draws the figures and writes the page, unless they are there.
fn page(subject: &Subject, folder: &mut Folder, parts: &[String]) -> Result<()> {
    let hashes: Vec<_> =
        parts.iter().map(|part| folder.manifest.stages[part].record.outputs.clone()).collect();
    let part = Part { name: PAGE_PART, format: FORMAT, made_from: (subject.given(), hashes) };
    let of_part = |part: &String| {
        let start = format!("data/explanations/{}", file_name(&part[PART.len()..]));
        (format!("{start}.maps.csv"), format!("{start}.summary.csv"))
    };
    let data: Vec<(String, String)> = parts.iter().map(of_part).collect();
    folder.part(&part, |files| {
        let figures = figure::figures(subject, files.folder(), &data)?;
        for figure in &figures {
            files.add_written(&figure.save(&files.folder().join("figures"))?);
        }
        let mut rows: Vec<ExplanationRow> = vec![];
        for (_, summary) in &data {
            rows.extend(read_rows::<ExplanationRow>(&files.folder().join(summary))?);
        }
        let mut sections = vec![Section::Text(TEXT.into())];
        sections.extend(figures.into_iter().map(Section::Figure));
        sections.push(Section::Plain(table(&rows)));
        let report = Report {
            title: format!("{TITLE}: {}", subject.source().data),
            source: subject.source(),
            summary: vec![("images".into(), data.len().to_string())],
            sections,
        };
        let path = files.folder().join(PAGE);
        report.save(&path)?;
        files.add_written(&[path]);
        Ok(())
    })?;
    tracing::info!("open {}", folder.path(PAGE).display());
    Ok(())
}

/// For a reader who does not know the methods.
const TEXT: &str = "Each column is an image and one output of the network, with its share of the \
     answer. Each row is an attribution method. The maps say which pixels the output's value \
     depends on (gradients), or how it is shared among the pixels (LRP, integrated gradients). \
     Methods disagree; none of them is the truth.";

fn table(rows: &[ExplanationRow]) -> Table {
    let header = ["image", "output", "share", "label", "method", "sum", "greatest", "gap"];
    let mut table = Table::new(
        "explanations",
        "Every map in numbers: the share of its output, the sum of its values, the greatest \
         |value|, and of integrated gradients how far the sum misses what it should be. The maps \
         themselves are in data/explanations/.",
        &header,
    );
    let number = |value: f64| if value.is_finite() { format!("{value:.4}") } else { "–".into() };
    table.rows.extend(rows.iter().map(|row| {
        vec![
            row.image.clone(),
            row.output.clone(),
            number(row.share),
            row.label.clone(),
            row.method.title().into(),
            number(row.sum),
            number(row.greatest),
            number(row.completeness_gap),
        ]
    }));
    table
}
