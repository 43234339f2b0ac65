//! The command line of Foresee. `cargo xtask --help` lists the commands; `data/profiles/quick.toml`
//! explains every setting.

mod attribute;
mod bench;
mod config;
mod cuda_check;
mod data;
mod device;
mod error;
mod evaluate;
mod faces;
mod fidelity;
mod figures;
mod interrupt;
mod lock;
mod measure;
mod memory;
mod output;
mod predict;
mod progress;
mod prune;
mod reproduce;
mod run;
mod soak;
mod statistics;
mod test;
mod train;
mod transform;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Reproduces \"New Perspective of Interpretability of Deep Neural Networks\" (Kimura & Tanaka, 2020), end to end",
    version
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole paper: train, measure, prune, transform, predict, attribute, draw. Goes on
    /// where it was interrupted.
    ///
    /// Without --celeba it draws synthetic faces and needs nothing else. Results are in the run
    /// folder: open report.html.
    ///
    ///   cargo xtask reproduce
    ///   cargo xtask reproduce --profile small --celeba ~/data/celeba --out runs/celeba
    #[command(verbatim_doc_comment)]
    Reproduce(reproduce::ReproduceArgs),
    /// Check everything that CI checks: format, clippy, tests, docs, a smoke run.
    Test,
    /// Stage `train` of a run: fit the network on the run's device, write model.safetensors and its
    /// accuracy.
    Train(FolderArgs),
    /// Stage `measure`: channel correlation, mean masks, top channels, attribute correlation
    /// (Figures 4 to 6, Table 4).
    Measure(RunArgs),
    /// Stage `prune`: plans and curves of semantic channel pruning (Figure 7). With --save also
    /// writes a pruned network.
    Prune(prune::PruneArgs),
    /// Stage `transform`: the mask transformation under noise (Figure 8).
    Transform(RunArgs),
    /// Stage `predict`: how well forecasts from the explanation say what a perturbation changes,
    /// with intervals and negative controls.
    ///
    /// With --study regression it needs no run and takes seconds: the paper's regression models
    /// (Eq. 3 to 7).
    ///
    ///   cargo xtask predict --run runs/celeba
    ///   cargo xtask predict --study regression --out runs/regression
    #[command(verbatim_doc_comment)]
    Predict(predict::PredictArgs),
    /// Stage `attribute`: the attribution methods that the paper reviews beside its masks, on the
    /// same faces, with scores of how good each is.
    ///
    ///   cargo xtask attribute --run runs/celeba
    ///   cargo xtask attribute --run runs/celeba --method lrp --method masks --attribute Smiling --attribute Eyeglasses
    #[command(verbatim_doc_comment)]
    Attribute(attribute::AttributeArgs),
    /// Stage `figures`: draw all figures, tables and report.html from the run's data; needs no
    /// training.
    Figures(FolderArgs),
    /// Judge a model file on faces of a folder.
    Evaluate(evaluate::EvaluateArgs),
    /// Do the paper's claims hold? Many runs over λ and seeds, then one analysis with intervals:
    /// tables/claims, report.html. Hours to days; goes on where it stopped.
    ///
    ///   cargo xtask fidelity --celeba ~/data/celeba --out runs/fidelity --seeds 3 --budget 480
    #[command(verbatim_doc_comment)]
    Fidelity(fidelity::FidelityArgs),
    /// Measure the speed and memory of the kernels, the loader and the sweeps on this machine,
    /// beside PyTorch if it is at hand.
    ///
    /// Each case runs in a process of its own. gflops counts the operations that are executed (the
    /// heads' backward pass computes the masks again), and share_of_peak sets them against the f32
    /// peak that is measured first.
    ///
    ///   cargo xtask bench --json bench.json
    ///   cargo xtask bench --only train-64 --peer ~/torch/bin/python
    #[command(verbatim_doc_comment)]
    Bench(bench::BenchArgs),
    /// Is the GPU right? Every operation and gradient on it against the CPU's in f32 and a plain
    /// composition in f64; exit status 1 if one is not.
    ///
    ///   cargo run --release --package xtask --features cuda -- cuda-check
    #[command(verbatim_doc_comment)]
    CudaCheck(cuda_check::CudaCheckArgs),
    /// Is a run ever lost? Kills a small run at random moments, starts it again, and compares what
    /// it leaves with an uninterrupted run, byte for byte.
    ///
    ///   cargo xtask soak --kills 200
    #[command(verbatim_doc_comment)]
    Soak(soak::SoakArgs),
    /// Make or check folders of faces.
    #[command(subcommand)]
    Data(data::DataCommand),
}

#[derive(Args)]
struct RunArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// cpu, cuda or metal. Default: the run's. What other devices compute differs in the last
    /// digits.
    #[arg(long)]
    device: Option<String>,
}

#[derive(Args)]
struct FolderArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
}

impl RunArgs {
    /// The run and the device that was asked for.
    fn take(&self) -> Result<(run::Run, candle_core::Device)> {
        let run = run::Run::take(&self.run)?;
        let device = device::of_run(self.device.as_deref(), &run)?;
        Ok((run, device))
    }
}

fn main() -> ExitCode {
    memory::keep_freed_memory();
    error::hide_caught_panics();
    if let Err(e) = interrupt::install() {
        eprintln!("warning: Ctrl-C will end the program without saving: {e:#}");
    }
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(error::status(&e))
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Reproduce(args) => reproduce::reproduce(&args),
        Command::Test => test::test(),
        Command::Train(args) => one_stage(&RunArgs { run: args.run, device: None }, train::stage),
        Command::Measure(args) => one_stage(&args, measure::stage),
        Command::Prune(args) => prune::prune(&args),
        Command::Transform(args) => one_stage(&args, transform::stage),
        Command::Predict(args) => predict::predict(&args),
        Command::Attribute(args) => attribute::attribute(&args),
        Command::Figures(args) => figures::stage(&mut run::Run::take(&args.run)?),
        Command::Soak(args) => soak::soak(&args),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Fidelity(args) => fidelity::fidelity(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::CudaCheck(args) => cuda_check::cuda_check(&args),
        Command::Data(command) => data::data(command),
    }
}

fn one_stage(
    args: &RunArgs,
    stage: fn(&mut run::Run, &candle_core::Device) -> Result<()>,
) -> Result<()> {
    let (mut run, device) = args.take()?;
    stage(&mut run, &device)
}
