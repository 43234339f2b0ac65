//! `predict`: how well forecasts that a person could make say what a perturbation changes.

mod network;
pub mod regression;
mod scores;

use std::path::PathBuf;

use anyhow::Result;
use candle_core::Device;
use clap::{Args, ValueEnum};
use foresee_report::frame;

pub use scores::{OTHERS, SCORES, distinct, figure, read, score, table};

use crate::device::of_run;
use crate::error::input;
use crate::figures;
use crate::output::print;
use crate::run::Run;
use crate::statistics::STATISTICS;

#[derive(Args)]
pub struct PredictArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR", required_unless_present = "study", conflicts_with = "study")]
    run: Option<PathBuf>,
    /// cpu, cuda or metal. Default: the run's.
    #[arg(long, requires = "run")]
    device: Option<String>,
    /// Another run's folder, to compare with: its scores are printed beside this run's.
    #[arg(long, value_name = "DIR", requires = "run")]
    against: Option<PathBuf>,
    /// A study that needs no run: the paper's regression models (Eq. 3 to 7).
    #[arg(long, value_enum, requires = "out")]
    study: Option<StudyName>,
    /// The study's folder.
    #[arg(long, value_name = "DIR", requires = "study")]
    out: Option<PathBuf>,
    /// Data sets of the study.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum StudyName {
    Regression,
}

pub fn predict(args: &PredictArgs) -> Result<()> {
    if let (Some(StudyName::Regression), Some(out)) = (args.study, &args.out) {
        return regression::study(out, args.seeds);
    }
    let folder = args.run.as_ref().ok_or_else(|| input("name a run with --run"))?;
    let mut run = Run::take(folder)?;
    if run.manifest.config.predict.images == 0 {
        return Err(input(format!(
            "{}: its setting predict.images is 0, which leaves this stage out",
            folder.display()
        )));
    }
    let device = of_run(args.device.as_deref(), &run)?;
    stage(&mut run, &device)?;
    figures::stage(&mut run)?;
    let mut shown = table(&run)?.markdown();
    if let Some(other) = &args.against {
        let other = Run::open(other)?;
        shown.push_str(&format!("\n{}\n", other.folder.display()));
        shown.push_str(&table(&other)?.markdown());
    }
    print(&shown)
}

/// The stage; left out if no images are asked for.
pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.predict.images == 0 {
        return Ok(());
    }
    let reads = [
        "model.safetensors",
        STATISTICS,
        "data/channels.csv",
        "data/channel_correlation.csv",
        "data/mean_masks.csv",
        "data/mean_contributions.csv",
        "data/attribute_correlation.csv",
        "data/prune_plan_lower.csv",
        "data/prune_plan_higher.csv",
    ];
    run.stage(
        "predict",
        &(&config.data, &config.predict, &config.transform.sigmas, run.manifest.seed),
        &reads,
        |run| {
            let rows = network::all(run, device)?;
            run.write_csv(SCORES, scores::frame(&rows)?)?;
            let regression = regression::measure(20, config.predict.resamples)?;
            frame::write_csv(&run.path(regression::TABLE), regression)?;
            Ok(vec![SCORES.into(), regression::TABLE.into()])
        },
    )
}
