//! `compact`: a model file without the rows of its heads that hardly matter.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;
use foresee_celeba::SplitRule;
use foresee_model::MeasuredChange;
use serde::Serialize;

use super::arguments::{RunOrFile, RunOrFileArgs};
use super::json::{JsonArgs, path_text, print_json};
use crate::compaction::{Compaction, Samples, check};
use crate::error::{Result, input};
use crate::faces;
use crate::output::{Kind, OutputFile, OverwriteArgs};
use crate::provenance::percent;
use crate::run::DataRecord;
use crate::seen::Seen;
use crate::session::{MODEL, Session, load_model};

#[derive(Args)]
pub struct CompactArgs {
    #[command(flatten)]
    subject: RunOrFileArgs,
    /// Largest standard deviation that each logit's change may have (a bound, over training faces):
    /// rows go as long as the standard deviations of what they contribute stay below this in sum.
    /// 0 leaves out nothing.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 1e-3,
        value_parser = tolerance,
        allow_negative_numbers = true
    )]
    tolerance: f64,
    /// Where the compacted model goes; it loads like any model. A pipe or device is written into; -
    /// is the standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// Choose the rows on so many training faces; 0: all.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    images: usize,
    /// Measure the change on so many validation faces, or test faces if there are no validation
    /// faces; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,
    #[command(flatten)]
    json: JsonArgs,
}

fn tolerance(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|t| *t >= 0. && t.is_finite());
    // -0 is 0.
    number.map(f64::abs).ok_or_else(|| "a number of 0 or more".into())
}

/// The results as `--json` prints them.
#[derive(Serialize)]
struct Document<'a> {
    model: String,
    out: String,
    faces: String,
    /// `synthetic` or `celeba`.
    kind: &'static str,
    tolerance: f64,
    /// Of the model that was read, if it is compacted already.
    earlier_tolerance: Option<f64>,
    /// Training faces on which the rows were chosen.
    chosen_on: usize,
    /// Of all attributes, K·C.
    rows: usize,
    rows_kept: usize,
    fewest_rows: usize,
    most_rows: usize,
    /// Of the arithmetic with all rows.
    share_of_heads: f64,
    share_of_network: f64,
    measured: &'a MeasuredChange,
    /// Whether the network was trained on the faces that the change was measured on.
    trained_on_these: Seen,
    /// Means over the attributes, on the faces that the change was measured on.
    accuracy_before: f64,
    accuracy_after: f64,
    attributes: Vec<OfAttribute<'a>>,
}

#[derive(Serialize)]
struct OfAttribute<'a> {
    attribute: &'a str,
    rows_kept: usize,
    /// What its bias gains: the mean contribution of the rows that went.
    constant: f64,
    /// Bound on the standard deviation of its logit's change, on the training faces.
    deviation: f64,
    accuracy_before: f64,
    accuracy_after: f64,
}

pub(super) fn compact(args: &CompactArgs) -> Result<()> {
    let subject = args.subject.find()?;
    let file = output(args, &subject)?;
    args.json.check("--out", Some(&file))?;
    let device = args.subject.device(&subject)?;
    let model = subject.model();
    let (network, card) = load_model(&model, &device)?;
    check(&card, args.tolerance)
        .map_err(|reason| input(format!("{}: {reason}", model.display())))?;
    let (samples, record) = samples(args, &subject, &device)?;
    let seen = Seen::of(&card, &samples.data, samples.split);
    let compaction = Compaction::new(&network, &card, args.tolerance, &samples, &device)?;
    let constant = compaction.constant_attributes();
    if !constant.is_empty() {
        tracing::warn!(
            "these attributes keep no row, so they get the same answer for every face: {}",
            constant.join(", ")
        );
    }
    file.write(&compaction.network.to_bytes(&compaction.card)?)?;
    match args.json.is_asked() {
        true => print_json(&document(args, &model, (&samples, seen), &record, &compaction)),
        false => file.print_beside(&summary(&file, &record, seen, &compaction)),
    }
}

/// Where the compacted model goes.
fn output(args: &CompactArgs, subject: &RunOrFile) -> Result<OutputFile> {
    let reads: Vec<PathBuf> = match subject {
        RunOrFile::Run(run) => {
            let data = &run.manifest.data;
            let others = [data.splits.clone(), data.cache.clone()].into_iter().flatten();
            others.chain([data.path.clone(), run.path(MODEL)]).collect()
        }
        RunOrFile::File { model, faces } => vec![model.clone(), faces.clone()],
    };
    let reads: Vec<&Path> = reads.iter().map(PathBuf::as_path).collect();
    OutputFile::new("--out", &args.out, Kind::CompactedModel, &reads, args.overwrite)
}

/// The faces, and what they are. Images of a folder are checked; those of a run were.
fn samples(
    args: &CompactArgs,
    subject: &RunOrFile,
    device: &Device,
) -> Result<(Samples, DataRecord)> {
    match subject {
        RunOrFile::Run(run) => {
            let data = Session::new(device.clone()).data(run)?.clone();
            let samples = Samples::new(data, args.images, args.limit)?;
            Ok((samples, run.manifest.data.clone()))
        }
        RunOrFile::File { faces: folder, .. } => {
            let (data, record) = faces::open(folder, SplitRule::Official, None, &[])?;
            let samples = Samples::new(data, args.images, args.limit)?;
            faces::check_images(&samples.data, &samples.all())?;
            Ok((samples, record))
        }
    }
}

fn document<'a>(
    args: &CompactArgs,
    model: &Path,
    (samples, trained_on_these): (&Samples, Seen),
    record: &DataRecord,
    compaction: &'a Compaction,
) -> Document<'a> {
    let Compaction { card, left_out, measured, metrics: [before, after], .. } = compaction;
    let arithmetic = compaction.network.arithmetic();
    let (fewest_rows, most_rows) = left_out.range().unwrap_or_default();
    Document {
        model: path_text(model),
        out: path_text(&args.out),
        faces: path_text(samples.data.root()),
        kind: record.kind(),
        tolerance: left_out.tolerance,
        earlier_tolerance: compaction.earlier_tolerance,
        chosen_on: left_out.chosen_on,
        rows: card.network.attributes * card.network.channels,
        rows_kept: left_out.rows(),
        fewest_rows,
        most_rows,
        share_of_heads: arithmetic.share_of_heads(),
        share_of_network: arithmetic.share(),
        measured,
        trained_on_these,
        accuracy_before: before.accuracy(),
        accuracy_after: after.accuracy(),
        attributes: of_attributes(compaction),
    }
}

fn of_attributes(compaction: &Compaction) -> Vec<OfAttribute<'_>> {
    let Compaction { card, left_out, selection, metrics: [before, after], .. } = compaction;
    let each = card.attributes.iter().enumerate();
    each.map(|(k, attribute)| OfAttribute {
        attribute,
        rows_kept: left_out.kept[k].len(),
        constant: selection.constants[k],
        deviation: selection.deviations[k],
        accuracy_before: before.each[k].accuracy,
        accuracy_after: after.each[k].accuracy,
    })
    .collect()
}

fn summary(file: &OutputFile, record: &DataRecord, seen: Seen, compaction: &Compaction) -> String {
    let Compaction { card, left_out, metrics: [before, after], .. } = compaction;
    let channels = card.network.channels;
    let (fewest, most) = left_out.range().unwrap_or_default();
    let arithmetic = compaction.network.arithmetic();
    let mut text = format!(
        "{}: {}\nof an attribute's {channels} rows, {fewest} to {most} are kept\narithmetic left: \
         {} % of the heads', {} % of the network's\naccuracy on these {} faces: {} % before, {} % \
         after\n",
        file.path().display(),
        left_out.title(channels),
        percent(arithmetic.share_of_heads()),
        percent(arithmetic.share()),
        compaction.measured.split,
        percent(before.accuracy()),
        percent(after.accuracy()),
    );
    if let Some(earlier) = compaction.earlier_tolerance {
        text.push_str(&format!(
            "It was compacted before, at tolerance {earlier}: the tolerance is for both together, \
             but what changed is measured from there on.\n"
        ));
    }
    if let Some(warning) = seen.warning() {
        text.push_str(&format!("{warning}\n"));
    }
    if record.synthetic {
        text.push_str("These faces are synthetic: the numbers say nothing about CelebA.\n");
    }
    text
}
