//! `transform`: the stage of a run, or tone curves on the gates of a network of the user's own.

use std::path::{Path, PathBuf};

use clap::Args;
use foresee_perturb::Curve;
use foresee_report::Record;

use super::arguments::RunOrModelArgs;
use super::json::{JsonArgs, ModelDocument, print_json};
use super::network::{MODEL_HEADING, NetworkArgs};
use super::stage::of_run;
use crate::artifacts::TransformationPoint;
use crate::config::Config;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::networks::task::Task;
use crate::networks::transform::{self, PAGE, TransformOptions};
use crate::output::print;
use crate::run::Stage;
use crate::stages;

#[derive(Args)]
pub struct TransformArgs {
    #[command(flatten)]
    run: RunOrModelArgs,
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    of_model: TransformModelArgs,
}

/// What is done to the gates of a network of the user's own.
#[derive(Args)]
#[group(requires = "model", conflicts_with = "run")]
#[command(next_help_heading = MODEL_HEADING)]
struct TransformModelArgs {
    /// Where data, figure and the page transform.html go.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Standard deviations of the noise on pixels in [0, 1]. Default: those of the profile quick.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = sigma)]
    sigma: Vec<f64>,
    /// A tone curve, such as "power n=2 beta=0.05"; can be given several times. Default: those of
    /// the profile quick.
    #[arg(long, value_name = "CURVE", value_parser = curve)]
    curve: Vec<Curve>,
    /// Only the gate that this node computes; can be given several times. `foresee inspect` lists
    /// them. Default: all.
    #[arg(long, value_name = "NODE")]
    gate: Vec<String>,
    /// Decides the noise. Default: 0.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn sigma(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|sigma| (0. ..=10.).contains(sigma));
    number.ok_or_else(|| "a number from 0 to 10".into())
}

fn curve(text: &str) -> std::result::Result<Curve, String> {
    text.parse().map_err(|e: foresee_perturb::Error| e.to_string())
}

pub(super) fn transform(args: &TransformArgs) -> Result<()> {
    match (&args.run.model, &args.of_model.out) {
        (Some(model), Some(out)) => of_model(args, model, out),
        (Some(_), None) => Err(input("name a folder for the results with --out")),
        (None, _) => {
            of_run(&args.run.run()?, args.json, Stage::Transform, stages::transform::stage)
        }
    }
}

fn of_model(args: &TransformArgs, model: &Path, out: &Path) -> Result<()> {
    let task = Task::open(&args.network.options(model, &[], 0, args.run.model_device()?)?)?;
    let usual = Config::resolve("quick", None, &[])?.transform;
    let TransformModelArgs { sigma, curve, gate, seed, .. } = &args.of_model;
    let sigmas = if sigma.is_empty() { usual.sigmas } else { sigma.clone() };
    let curves = if curve.is_empty() { usual.curves } else { curve.clone() };
    let options = TransformOptions {
        curves: distinct(curves),
        sigmas: distinct(sigmas),
        clip: usual.clip,
        gates: distinct(gate.iter().cloned()),
        seed: seed.unwrap_or(0),
    };
    let points = transform::transform(&task, out, &options)?;
    match args.json.is_asked() {
        true => print_json(&ModelDocument::new(
            (model, out, PAGE),
            [("gate_transformation", TransformationPoint::to_frame(&points)?)],
        )),
        false => print(&transform::table(&points).markdown()),
    }
}
