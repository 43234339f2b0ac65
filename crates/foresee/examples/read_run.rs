//! Reads a run that `foresee reproduce` made: prints the accuracy of Figure 7 over the number of
//! pruned channels.
//!
//! cargo run --release -p foresee --example read_run -- runs/quick

use std::path::PathBuf;

use foresee::artifacts::PruningCurves;
use foresee::run::Run;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let run = Run::open(&folder.unwrap_or_else(|| "runs/quick".into()))?;
    let curves: PruningCurves = run.read()?;
    println!("rule, takeover, pruned channels, accuracy [%] ± standard error");
    for (point, _) in &curves.points {
        println!(
            "{}, {}, {}, {:.2} ± {:.2}",
            point.rule.title(),
            point.takeover.title(),
            point.pruned,
            100. * point.accuracy,
            100. * point.standard_error
        );
    }
    Ok(())
}
