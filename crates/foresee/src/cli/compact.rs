//! `compact`: a model file without the rows of its heads that hardly matter.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;
use foresee_celeba::SplitRule;
use foresee_files::place_of;
use foresee_model::MeasuredChange;
use serde::Serialize;

use super::arguments::trained_run;
use super::json::{JsonArgs, path_text, print_json};
use crate::compaction::{Compaction, Samples, check};
use crate::device;
use crate::error::{Result, input};
use crate::faces;
use crate::output::{Kind, OutputFile, OverwriteArgs};
use crate::provenance::percent;
use crate::run::{DataRecord, Run, owner};
use crate::session::{MODEL, Session, load_model};

#[derive(Args)]
pub struct CompactArgs {
    /// The run's folder, as `reproduce --out` named it: its network is compacted.
    #[arg(long, value_name = "DIR", required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A model file in place of a run. The faces are those of --celeba or --hub; the model of a run
    /// knows the run's.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// With --model: CelebA in any form that `reproduce --celeba` takes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["run", "hub"])]
    celeba: Option<PathBuf>,
    /// With --model: a dataset of the Hugging Face hub, such as tpremoli/CelebA-attrs (in builds
    /// with the feature `hub`).
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "run")]
    hub: Option<String>,
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
    /// cpu, cuda or metal. Default: the run's, or cpu.
    #[arg(long)]
    device: Option<String>,
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
    let subject = Subject::find(args)?;
    let file = subject.output(args)?;
    args.json.check("--out", Some(&file))?;
    let device = subject.device(args)?;
    let (network, card) = load_model(&subject.model, &device)?;
    check(&card, args.tolerance)
        .map_err(|reason| input(format!("{}: {reason}", subject.model.display())))?;
    let (samples, record) = subject.samples(args, &device)?;
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
        true => print_json(&document(args, &subject.model, &samples, &record, &compaction)),
        false => file.print_beside(&summary(&file, &record, &compaction)),
    }
}

/// What is compacted.
struct Subject {
    model: PathBuf,
    /// The run that knows its faces; `None` if the faces are named.
    run: Option<Run>,
}

impl Subject {
    fn find(args: &CompactArgs) -> Result<Self> {
        if let Some(folder) = &args.run {
            let run = trained_run(folder)?;
            return Ok(Self { model: run.path(MODEL), run: Some(run) });
        }
        let Some(model) = args.model.clone() else {
            return Err(input("name a run with --run, or a model file with --model"));
        };
        if args.celeba.is_some() || args.hub.is_some() {
            return Ok(Self { model, run: None });
        }
        match run_of(&model) {
            Some(folder) => Ok(Self { model, run: Some(trained_run(&folder)?) }),
            None => Err(input(format!(
                "{}: only the model of a run knows its faces; name the folder of CelebA with \
                 --celeba",
                model.display()
            ))),
        }
    }

    fn output(&self, args: &CompactArgs) -> Result<OutputFile> {
        let data = self.run.as_ref().map(|run| &run.manifest.data);
        let of_run = data.map(|data| [Some(&data.path), data.splits.as_ref(), data.cache.as_ref()]);
        let paths = of_run.into_iter().flatten().chain([args.celeba.as_ref()]).flatten();
        let reads: Vec<&Path> = paths.chain([&self.model]).map(PathBuf::as_path).collect();
        OutputFile::new("--out", &args.out, Kind::CompactedModel, &reads, args.overwrite)
    }

    fn device(&self, args: &CompactArgs) -> Result<Device> {
        let asked = args.device.as_deref();
        match &self.run {
            Some(run) => device::of_run(asked, run),
            None => device::device(asked.unwrap_or("cpu")),
        }
    }

    /// The faces, and what they are. Images of a folder are checked; those of a run were.
    fn samples(&self, args: &CompactArgs, device: &Device) -> Result<(Samples, DataRecord)> {
        if let Some(run) = &self.run {
            let data = Session::new(device.clone()).data(run)?.clone();
            let samples = Samples::new(data, args.images, args.limit)?;
            return Ok((samples, run.manifest.data.clone()));
        }
        let folder = match (&args.celeba, &args.hub) {
            (Some(folder), _) => folder.clone(),
            (None, Some(name)) => super::hub::fetch(name)?,
            (None, None) => return Err(input("name the folder of CelebA with --celeba")),
        };
        let (data, record) = faces::open(&folder, SplitRule::Official, None, &[])?;
        let samples = Samples::new(data, args.images, args.limit)?;
        faces::check_images(&samples.data, &samples.all())?;
        Ok((samples, record))
    }
}

/// The folder of the run whose trained network this is.
fn run_of(model: &Path) -> Option<PathBuf> {
    let place = place_of(model).ok()?;
    let folder = owner(&place)?;
    (place == folder.join(MODEL)).then(|| folder.to_owned())
}

fn document<'a>(
    args: &CompactArgs,
    model: &Path,
    samples: &Samples,
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

fn summary(file: &OutputFile, record: &DataRecord, compaction: &Compaction) -> String {
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
    if record.synthetic {
        text.push_str("These faces are synthetic: the numbers say nothing about CelebA.\n");
    }
    text
}
