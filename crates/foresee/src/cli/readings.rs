//! `readings`: the map of readings, on the networks of a study.

use std::path::{Path, PathBuf};

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::{Rows, read_csv};
use serde::Serialize;

use super::array::{ArrayArgs, ListedRun, list};
use super::json::{JsonArgs, path_text, print_json};
use crate::artifacts::{ReadingRow, Row};
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::readings::{Faces, Request, Settings, StudiedRun, TITLE, measure, write_page};
use crate::studies::runs::{Outcome, has_begun};

#[derive(Args)]
pub struct ReadingsArgs {
    /// The folder of a study, as `fidelity --out` named it.
    #[arg(value_name = "STUDY")]
    study: PathBuf,
    /// The study's faces, as `fidelity --celeba` named them.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// Where it goes: each run is a folder in runs/. Default: readings in the study's folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// cpu, cuda or metal, wherever the networks were trained.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Test faces; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    images: usize,
    /// Measure every N pruned channels.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    step: usize,
    /// Random orders, which are chance.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=1000)
    )]
    random_orders: u64,
    #[command(flatten)]
    array: ArrayArgs,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    json: JsonArgs,
}

/// The map as `--json` prints it.
#[derive(Serialize)]
struct Document {
    folder: String,
    runs: Vec<ListedRun>,
    /// Rows of data/readings.csv, if there was an analysis.
    readings: Option<Rows>,
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a number from 1".into()),
    }
}

pub(super) fn readings(args: &ReadingsArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.study.join("readings"));
    let request = Request {
        study: &args.study,
        celeba: &args.celeba,
        out: &out,
        settings: Settings {
            images: args.images,
            step: args.step,
            random_orders: args.random_orders,
        },
        device: &args.device,
    };
    let mut faces = Faces::default();
    let runs = request.runs(&mut faces)?;
    let only = args.array.only(runs.len())?;
    if args.array.list && !args.json.is_asked() {
        return print(&list(&out, &runs));
    }
    if args.array.list {
        return print_json(&document(&out, &runs, &Outcome::default(), false)?);
    }
    let begun = has_begun(&runs, only);
    check_folder("--out", &out, TITLE, begun, args.overwrite)?;
    let outcome = match args.array.analyse {
        true => Outcome::default(),
        false => measure(&request, &runs, &mut faces, only)?,
    };
    let is_analysed = only.is_none() && write_page(&request, &runs)?;
    if args.array.analyse && !is_analysed {
        return Err(input("no run is measured yet, so there is nothing to analyse"));
    }
    if args.json.is_asked() {
        print_json(&document(&out, &runs, &outcome, is_analysed)?)?;
    }
    outcome.check(&runs, only)
}

fn document(
    out: &Path,
    runs: &[StudiedRun],
    outcome: &Outcome,
    is_analysed: bool,
) -> Result<Document> {
    let listed = |(number, run)| ListedRun::new(out, number, run, outcome);
    let rows = || -> Result<Rows> {
        let written = read_csv(&out.join(<ReadingRow as Row>::PATH))?;
        Ok(Rows(ReadingRow::to_frame(&ReadingRow::from_frame(&written)?)?))
    };
    Ok(Document {
        folder: path_text(out),
        runs: runs.iter().enumerate().map(listed).collect(),
        readings: is_analysed.then(rows).transpose()?,
    })
}
