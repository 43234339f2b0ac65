//! `fidelity`: a study over many runs.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::output::{OverwriteArgs, check_folder};
use crate::studies::fidelity::{Request, Study, budget, page_title, run_study, write_page};

#[derive(Args)]
pub struct FidelityArgs {
    /// A folder as CelebA is distributed.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// The study's folder: each run is a folder in it, the analysis is in data/, tables/, figures/
    /// and report.html.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Runs of each variant, with seeds 0, 1, ….
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Begin no run that would end later than this after the start; the analysis is then over those
    /// that are done. Give the command again to go on.
    #[arg(long, value_name = "MINUTES")]
    budget: Option<f64>,
    /// Which runs: fidelity, trained, architecture or accuracy, or a file in their form
    /// (data/studies).
    #[arg(long, value_name = "NAME|FILE", default_value = "fidelity")]
    study: String,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replaces one setting in every run, such as data.image_size=24; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
}

pub(super) fn fidelity(args: &FidelityArgs) -> Result<()> {
    let study = Study::read(&args.study)?;
    check_folder("--out", &args.out, page_title(study.claims), args.overwrite)?;
    let finished = run_study(&Request {
        study: &study,
        celeba: &args.celeba,
        out: &args.out,
        seeds: args.seeds,
        budget: args.budget.map(budget).transpose()?,
        device: &args.device,
        set: &args.set,
    })?;
    write_page(&args.out, &finished, study.claims)?;
    finished.check()
}
