//! `explain`: which pixels of an image an answer comes from, by several methods.

mod figure;
mod lrp;
mod maps;
mod page;
mod rows;

use std::path::Path;

use candle_core::{DType, Tensor};
use foresee_attribution::{Explanation, Interpolation, Method, resize};
use foresee_report::{Fixed, PlaneTable, Scientific};
use serde::Serialize;

pub(crate) use self::lrp::LrpComposite;
use self::maps::Maps;
pub(crate) use self::page::{PAGE, table};
pub(crate) use self::rows::{ExplanationRow, MapLabel};
use super::folder::{Part, PartFiles, file_name, read_rows};
use super::image_input::Layout;
use super::made_from::MadeFrom;
use super::task::Task;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::progress::{Progress, Unit};

/// The version of its data files.
const FORMAT: u32 = 5;
/// How its parts are called.
const PART: &str = "explain ";

/// What is to be explained, and how.
#[derive(Debug, Clone)]
pub(crate) struct ExplainOptions {
    /// Empty: the usual ones that the network allows.
    pub methods: Vec<Method>,
    /// Outputs; empty: the first of each image's answers.
    pub outputs: Vec<String>,
    /// So many of them.
    pub top: usize,
    /// Where the CAM family looks: a node or value.
    pub cam_node: Option<String>,
    /// What the network's own attention map is.
    pub attention_node: Option<String>,
    pub lrp: Option<LrpComposite>,
    pub steps: usize,
    pub grid: usize,
    pub samples: usize,
    pub seed: u64,
}

/// What decides the maps of an image, beside the image and what it goes through.
#[derive(Serialize)]
struct Settings<'a> {
    methods: Vec<&'static str>,
    classes_sha256: String,
    outputs: &'a [String],
    top: usize,
    cam_node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attention_node: Option<&'a str>,
    lrp: Option<LrpComposite>,
    steps: usize,
    grid: usize,
    samples: usize,
    seed: u64,
    /// Of the images that a method starts from.
    references_sha256: Option<&'a str>,
}

/// Explains each image, draws the figures and writes the page into a folder. Returns the maps in
/// numbers.
///
/// # Errors
/// If a method that was asked for is not possible for the network, or a file cannot be written.
pub(crate) fn explain(
    task: &Task,
    out: &Path,
    options: &ExplainOptions,
) -> Result<Vec<ExplanationRow>> {
    let work = Work::new(task, options)?;
    let mut folder = task.folder(out)?;
    let images = 0..task.images.len();
    let names: Vec<String> =
        images.clone().map(|image| format!("{PART}{}", task.images.name(image))).collect();
    let mut left = vec![];
    for image in images {
        let part = Part { name: &names[image], format: FORMAT, made_from: work.made_from(image)? };
        if !folder.is_done(&part)? {
            left.push((image, part));
        }
    }
    let done = names.len() - left.len();
    let progress = Progress::new("explaining", Unit::Images, names.len(), done);
    for (image, part) in left {
        folder.part(&part, |files| work.image(image, files))?;
        progress.add(1, String::new);
    }
    drop(progress);
    page::write(task, &mut folder, &names)?;
    rows(out, &names)
}

/// The maps of these parts in numbers.
fn rows(folder: &Path, parts: &[String]) -> Result<Vec<ExplanationRow>> {
    let of = |part: &String| read_rows(&folder.join(summary_file(&part[PART.len()..])));
    Ok(parts.iter().map(of).collect::<Result<Vec<_>>>()?.concat())
}

/// Where the maps of an image lie.
fn maps_file(image: &str) -> String {
    format!("data/explanations/{}.maps.csv", file_name(image))
}

/// Where the maps of an image lie in numbers.
fn summary_file(image: &str) -> String {
    format!("data/explanations/{}.summary.csv", file_name(image))
}

/// A network that is explained.
struct Work<'a> {
    task: &'a Task,
    options: &'a ExplainOptions,
    maps: Maps,
    outputs: Vec<usize>,
    /// Of the images that a method starts from.
    references_sha256: Option<String>,
}

impl<'a> Work<'a> {
    fn new(task: &'a Task, options: &'a ExplainOptions) -> Result<Self> {
        let outputs = options.outputs.iter().map(|name| {
            task.classes.find(name).map_err(|reason| input(format!("--class: {reason}")))
        });
        let outputs = distinct(outputs.collect::<Result<Vec<_>>>()?);
        let maps = Maps::new(task, options)?;
        Ok(Self { task, options, outputs, references_sha256: maps.references_sha256()?, maps })
    }

    fn made_from(&self, image: usize) -> Result<MadeFrom<Settings<'_>>> {
        // All options are named, so that none is forgotten.
        let ExplainOptions {
            methods: _,
            ref outputs,
            top,
            ref cam_node,
            ref attention_node,
            lrp,
            steps,
            grid,
            samples,
            seed,
        } = *self.options;
        let settings = Settings {
            methods: self.maps.methods.iter().map(|method| method.id()).collect(),
            classes_sha256: self.task.classes.sha256(),
            outputs,
            top,
            cam_node: cam_node.as_deref(),
            attention_node: attention_node.as_deref(),
            lrp,
            steps,
            grid,
            samples,
            seed,
            references_sha256: self.references_sha256.as_deref(),
        };
        self.task.made_from_image(image, settings)
    }

    /// The maps of an image.
    fn image(&self, image: usize, files: &mut PartFiles<'_>) -> Result<()> {
        let x = self.task.read(&[image], Layout::Nchw)?;
        let logits = self.task.network.logits(self.maps.model.graph(), &x)?;
        let logits = logits.get(0)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let name = self.task.images.name(image);
        let (_, _, height, width) = x.dims4()?;
        let mut maps = PlaneTable::new(width);
        let mut rows = vec![];
        let explained = self.maps.of_one_image(name)?;
        for output in self.outputs_of(&logits) {
            for &method in &explained.methods {
                let found = self.explanation(&explained, method, &x, image, output)?;
                let map = resize(&found.maps, height, width, Interpolation::Bilinear)?;
                let values = map.flatten_all()?.to_vec1::<f32>()?;
                let row = self.row((image, output), &logits, (method, &found, &values));
                maps.push(label_of(&row), &in_shares_of(row.max_abs, &values));
                rows.push(row);
            }
        }
        files.write_frame(&maps_file(name), &maps.to_frame()?)?;
        files.write(&summary_file(name), &rows)
    }

    fn explanation(
        &self,
        explained: &Maps,
        method: Method,
        x: &Tensor,
        image: usize,
        output: usize,
    ) -> Result<Explanation> {
        let images = &self.task.images;
        explained.of(method, x, images.number(image), output).map_err(|e| {
            let reason = format!("{} of {}: {e}", method.title(), images.name(image));
            self.task.network.refused(reason)
        })
    }

    /// The outputs that are explained.
    fn outputs_of(&self, logits: &[f32]) -> Vec<usize> {
        if !self.outputs.is_empty() {
            return self.outputs.clone();
        }
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order.truncate(self.options.top);
        order
    }

    fn row(
        &self,
        (image, output): (usize, usize),
        logits: &[f32],
        (method, found, values): (Method, &Explanation, &[f32]),
    ) -> ExplanationRow {
        ExplanationRow {
            image: self.task.images.name(image).into(),
            output: self.task.classes.name(output).into(),
            logit: logits[output].into(),
            probability: self.task.probabilities(logits)[output],
            label: self.task.label(image, output).unwrap_or_default().into(),
            method,
            sum: values.iter().map(|&value| f64::from(value)).sum(),
            max_abs: values.iter().fold(0f32, |most, value| most.max(value.abs())).into(),
            local_r2: found.local_r2[0],
            completeness_gap: found.completeness_gap[0],
        }
    }
}

fn label_of(row: &ExplanationRow) -> MapLabel {
    MapLabel {
        image: row.image.clone(),
        output: row.output.clone(),
        probability: Fixed(row.probability),
        label: row.label.clone(),
        method: row.method,
        max_abs: Scientific(row.max_abs),
    }
}

fn in_shares_of(max_abs: f64, values: &[f32]) -> Vec<f32> {
    let share = |value: &f32| if max_abs > 0. { value / max_abs as f32 } else { 0. };
    values.iter().map(share).collect()
}
