//! `readings`: the map of readings, on the networks of a study.

use std::path::PathBuf;

use clap::Args;

use super::array::{ArrayArgs, list};
use crate::error::Result;
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::readings::{Faces, Request, Settings, TITLE, measure};
use crate::studies::runs::{Outcome, StudyRun};

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
    if args.array.list {
        return print(&list(&out, &runs));
    }
    check_folder("--out", &out, TITLE, args.overwrite)?;
    let outcome = match args.array.analyse {
        true => Outcome::default(),
        false => measure(&request, &runs, &mut faces, only)?,
    };
    let done = runs.iter().filter(|run| run.is_done()).count();
    tracing::info!("{done} of {} runs are measured: {}", runs.len(), out.display());
    outcome.check(&runs, only)
}
