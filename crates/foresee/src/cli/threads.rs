//! How many threads the program has: one number for all that starts any.

use std::sync::OnceLock;

use clap::Args;

use crate::error::Result;

/// How many threads the program computes with.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct ThreadArgs {
    /// Compute with this many threads. Default: all cores. Results have the same bits for any
    /// number.
    #[arg(
        long,
        global = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    threads: Option<u16>,
}

static STARTED: OnceLock<std::result::Result<(), String>> = OnceLock::new();

/// Starts the threads before any work does. It must be called while the program has one thread.
pub(super) fn start(args: ThreadArgs) {
    if let Some(threads) = args.threads {
        // Elementwise operations of candle have a pool of their own, whose size these decide. What
        // the program starts inherits them.
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
            // SAFETY: no other thread runs yet that could read the environment.
            unsafe { std::env::set_var(name, threads.to_string()) };
        }
    }
    let _ = started(args);
}

/// Where no more threads may be started, this is told here and not by a panic later.
///
/// # Errors
/// If the threads cannot be started.
pub(super) fn check() -> Result<()> {
    started(ThreadArgs::default())
        .clone()
        .map_err(|e| anyhow::anyhow!("threads cannot be started ({e}): see `ulimit -u`"))
}

/// Starts the threads; the first call counts. Without a number rayon takes that of
/// `RAYON_NUM_THREADS`, or all cores.
fn started(args: ThreadArgs) -> &'static std::result::Result<(), String> {
    STARTED.get_or_init(|| {
        let threads = args.threads.map_or(0, usize::from);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().map_err(|e| e.to_string())
    })
}
