//! The log and the progress of long work, on the standard error. Whatever becomes of that, the work
//! goes on: lines that cannot be written are dropped.

use std::io::{IsTerminal, Write};

use clap::{ArgAction, Args};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::progress::{self, Shown};

/// What is written to the standard error.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Show warnings and errors only, and no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Also show each file that is written and why a stage is done again; -vv shows what libraries
    /// say
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Begin each line with the time
    #[arg(long, global = true)]
    timestamps: bool,
    /// Write each line as a JSON object, progress too: for schedulers
    #[arg(long, global = true)]
    log_json: bool,
}

/// Starts the log. The options decide what is shown, then `RUST_LOG`.
pub(super) fn start(args: &LogArgs) {
    let terminal = std::io::stderr().is_terminal();
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    progress::show(match terminal && !dumb && !args.quiet {
        _ if args.log_json => Shown::Json,
        true => Shown::Bars,
        false => Shown::Lines,
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(args.filter())
        .with_writer(StandardError)
        .with_target(false)
        .log_internal_errors(false);
    if args.log_json {
        log.json().flatten_event(true).init();
    } else if args.timestamps {
        log.with_ansi(colours()).init();
    } else {
        log.without_time().with_ansi(colours()).init();
    }
}

impl LogArgs {
    fn filter(&self) -> EnvFilter {
        let asked = match (self.quiet, self.verbose) {
            (true, _) => Some("warn".to_owned()),
            (_, 0) => None,
            (_, 1) => Some("info,foresee=debug".into()),
            _ => Some("debug".into()),
        };
        let environment = || std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
        let text = asked.or_else(environment).unwrap_or_else(|| "info".into());
        EnvFilter::try_new(text).unwrap_or_else(|_| "info".into())
    }
}

/// As `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and `TERM` say; else on a terminal only.
fn colours() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// The standard error, which may be full, closed, or a pipe that nobody reads: no error.
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = std::io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_the_filter() {
        let filter =
            |quiet, verbose| LogArgs { quiet, verbose, ..Default::default() }.filter().to_string();
        assert_eq!(filter(true, 0), "warn");
        assert!(filter(false, 1).contains("foresee=debug"));
        assert_eq!(filter(false, 2), "debug");
    }
}
