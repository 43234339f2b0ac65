//! How many threads the program has: one number for all that starts any.

use std::sync::OnceLock;

use clap::Args;

use crate::error::Result;

/// How many threads the program computes with.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct ThreadArgs {
    /// Compute with this many threads. Default: all cores. Results have the same bits for any
    /// number. CANDLE_NUM_THREADS sets those of candle's elementwise operations.
    #[arg(
        long,
        global = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    threads: Option<u16>,
}

static STARTED: OnceLock<std::result::Result<(), String>> = OnceLock::new();

/// Elementwise operations of candle have a pool of their own of so many threads.
const CANDLE: &str = "CANDLE_NUM_THREADS";

/// Starts the threads before any work does. It must be called while the program has one thread.
pub(super) fn start(args: ThreadArgs) {
    // What the program starts inherits these.
    if let Some(threads) = args.threads {
        set("RAYON_NUM_THREADS", &threads.to_string());
    }
    // Who calls candle's pool waits for it by spinning, one caller at a time. Where rayon's threads
    // fill the cores, its threads get none, and most of the time goes into waiting.
    if std::env::var_os(CANDLE).is_none() {
        set(CANDLE, "1");
    }
    let _ = started(args);
}

fn set(name: &str, value: &str) {
    // SAFETY: no other thread runs yet that could read the environment.
    unsafe { std::env::set_var(name, value) };
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
