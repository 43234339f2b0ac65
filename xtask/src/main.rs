//! The workshop: `cargo xtask --help` lists what it does itself (test, soak, bench, growth,
//! cuda-check, book) and what it hands to the program `foresee`.

mod bench;
mod book;
mod cuda_check;
mod growth;
mod shell;
mod soak;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use foresee::cli;

#[derive(Parser)]
#[command(name = "cargo xtask", about = cli::ABOUT, version = cli::VERSION)]
#[command(after_help = cli::ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    global: cli::GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Foresee(Box<cli::Command>),
    /// Check everything that CI checks: format, clippy, tests, docs, the book, packages.
    #[command(after_help = "Environment: FORESEE_CELEBA (real faces), PROPTEST_CASES, CXX")]
    Test,
    /// Build the book into target/book, and check its links and the commands that it shows.
    Book,
    /// Measure the speed and memory of the kernels, the loader and the sweeps on this machine,
    /// beside PyTorch if it is at hand.
    ///
    /// Each case runs in a process of its own. gflops counts the operations that are executed (for
    /// larger images the heads' backward pass computes the masks again), and share_of_peak sets
    /// them against the f32 peak that is measured first. Cases *-trained have the masks that a
    /// trained network keeps, and train-run-small is a whole training, computed from single steps.
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
    /// How does the cost of training grow? Times steps over pixels, channels and attributes, counts
    /// what ranks send, and reckons an epoch of CelebA for 1 to 256 ranks.
    ///
    ///   cargo xtask growth --out growth --latency 200 --bandwidth 1
    #[command(verbatim_doc_comment)]
    Growth(growth::GrowthArgs),
    /// Is a run ever lost? Kills a small run at random moments, starts it again, and compares what
    /// it leaves with an uninterrupted run, byte for byte.
    ///
    ///   cargo xtask soak --kills 200
    #[command(verbatim_doc_comment)]
    Soak(soak::SoakArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::set_up("cargo xtask", &cli.global);
    cli::exit_code(run(cli.command))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Foresee(command) => cli::run(*command),
        Command::Test => test::test(),
        Command::Book => book::book(),
        Command::Bench(args) => bench::bench(&args),
        Command::CudaCheck(args) => cuda_check::cuda_check(&args),
        Command::Growth(args) => growth::growth(&args),
        Command::Soak(args) => soak::soak(&args),
    }
}
