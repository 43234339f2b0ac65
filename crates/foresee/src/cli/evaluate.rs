//! `evaluate`: a model file on faces of a folder.

use std::path::{Path, PathBuf};

use clap::Args;
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_model::{AttributeMetrics, Metrics, ModelCard, Predictions, majority_accuracy};
use foresee_report::frame::{self, df};
use serde::Serialize;

use super::json::{Compacted, JsonArgs, path_text, print_json};
use crate::device::device;
use crate::error::Result;
use crate::faces;
use crate::output::{Kind, OutputFile, OverwriteArgs, print};
use crate::provenance::{number, percent};
use crate::seen::Seen;
use crate::stages::evaluate::Evaluation;
use crate::stages::jobs::Question;

#[derive(Args)]
pub struct EvaluateArgs {
    /// A model file: of a run, or written by `prune --save` or `compact`.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// CelebA in any form that `reproduce --celeba` takes.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// Which faces of it.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// Also write the probabilities: image,<40 attribute names>. A pipe or device is written into;
    /// - is the standard output, and everything else goes to the standard error then.
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    json: JsonArgs,
}

/// The results as `--json` prints them.
#[derive(Serialize)]
struct Document<'a> {
    model: String,
    trained_on: &'a str,
    /// Whether it was trained on the faces below.
    trained_on_these: Seen,
    /// What is left out of its heads, if anything is.
    compacted: Option<Compacted>,
    faces: String,
    /// `synthetic` or `celeba`.
    kind: &'static str,
    split: &'static str,
    images: usize,
    /// Means over the attributes.
    accuracy: f64,
    balanced_accuracy: f64,
    auc: f64,
    /// Of the majority-class baseline on these faces.
    majority_accuracy: f64,
    attributes: Vec<OfAttribute<'a>>,
    predictions: Option<String>,
}

#[derive(Serialize)]
struct OfAttribute<'a> {
    attribute: &'a str,
    frequency: f64,
    accuracy: f64,
    balanced_accuracy: f64,
    auc: f64,
}

pub(super) fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let device = device(&args.device)?;
    let file = args.predictions.as_deref().map(|path| file(args, path)).transpose()?;
    args.json.check("--predictions", file.as_ref())?;
    let EvaluateArgs { model, celeba, split, .. } = args;
    let question = Question { model: model.clone(), celeba: celeba.clone(), split: *split };
    let evaluation = Evaluation::open(&question, device)?;
    faces::check_images(&evaluation.data, &evaluation.faces)?;
    let predictions = evaluation.answers(&question)?;
    let Evaluation { card, data, record, faces: chosen, seen, .. } = evaluation;
    let metrics = predictions.metrics()?;
    if args.json.is_asked() {
        if let Some(file) = file {
            file.write(table(&data, &chosen, &predictions)?.as_bytes())?;
        }
        return print_json(&document(args, (&card, seen), record.kind(), &metrics));
    }
    let (folder, split) = (args.celeba.display(), args.split.id());
    let head = format!("{folder}: {} faces of split {split}", chosen.len());
    let text = head + &summary((&card, seen), record.synthetic, &metrics);
    let Some(file) = file else { return print(&text) };
    file.print_beside(&text)?;
    file.write(table(&data, &chosen, &predictions)?.as_bytes())
}

fn document<'a>(
    args: &EvaluateArgs,
    (card, trained_on_these): (&'a ModelCard, Seen),
    kind: &'static str,
    metrics: &Metrics,
) -> Document<'a> {
    let of_attribute = |(name, m): (&'a String, &AttributeMetrics)| OfAttribute {
        attribute: name,
        frequency: m.frequency,
        accuracy: m.accuracy,
        balanced_accuracy: m.balanced_accuracy,
        auc: m.auc,
    };
    Document {
        model: path_text(&args.model),
        trained_on: &card.trained_on,
        trained_on_these,
        compacted: Compacted::of(card),
        faces: path_text(&args.celeba),
        kind,
        split: args.split.id(),
        images: metrics.images,
        accuracy: metrics.accuracy(),
        balanced_accuracy: metrics.balanced_accuracy(),
        auc: metrics.auc(),
        majority_accuracy: majority(metrics),
        attributes: card.attributes.iter().zip(&metrics.each).map(of_attribute).collect(),
        predictions: args.predictions.as_deref().map(path_text),
    }
}

/// The accuracy of the majority-class baseline on these faces.
fn majority(metrics: &Metrics) -> f64 {
    let frequencies: Vec<f64> = metrics.each.iter().map(|m| m.frequency).collect();
    majority_accuracy(&frequencies, &frequencies)
}

fn file(args: &EvaluateArgs, path: &Path) -> Result<OutputFile> {
    let reads = [args.model.as_path(), args.celeba.as_path()];
    OutputFile::new("--predictions", path, Kind::Predictions, &reads, args.overwrite)
}

fn summary((card, seen): (&ModelCard, Seen), synthetic: bool, metrics: &Metrics) -> String {
    // A file can say anything, and a terminal would obey control characters.
    let trained_on = card.trained_on.replace(char::is_control, "\u{FFFD}");
    let mut text = format!("\nmodel trained on {trained_on}\n");
    if let Some(compaction) = card.compaction() {
        text.push_str(&format!("{compaction}\n"));
    }
    if let Some(warning) = seen.warning() {
        text.push_str(&format!("{warning}\n"));
    }
    if synthetic {
        text.push_str("These faces are synthetic: the numbers say nothing about CelebA.\n");
    }
    text.push_str(&format!(
        "\n{:<22} {:>9} {:>9} {:>9} {:>7}\n",
        "", "frequency", "accuracy", "balanced", "AUC"
    ));
    for (name, m) in card.attributes.iter().zip(&metrics.each) {
        text.push_str(&format!(
            "{name:<22} {:>9} {:>9} {:>9} {:>7}\n",
            percent(m.frequency),
            percent(m.accuracy),
            percent(m.balanced_accuracy),
            number(m.auc, 4)
        ));
    }
    text.push_str(&format!(
        "{:<22} {:>9} {:>9} {:>9} {:>7}\n",
        "mean",
        "",
        percent(metrics.accuracy()),
        percent(metrics.balanced_accuracy()),
        number(metrics.auc(), 4)
    ));
    let majority = 100. * majority(metrics);
    text + &format!("Majority-class baseline on these faces: {majority:.2} %\n")
}

/// The probabilities as CSV.
fn table(data: &CelebA, faces: &[usize], predictions: &Predictions) -> Result<String> {
    let names: Vec<&str> = faces.iter().map(|&face| data.name(face)).collect();
    let mut table = df!("image" => names)?;
    let rows: Vec<Vec<f64>> = predictions.probabilities().collect();
    for (k, attribute) in ATTRIBUTES.into_iter().enumerate() {
        let column: Vec<String> = rows.iter().map(|row| format!("{:.6}", row[k])).collect();
        table.with_column(frame::column(attribute, column))?;
    }
    Ok(frame::csv_text(&table)?)
}
