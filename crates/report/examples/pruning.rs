//! Draws how the accuracy of some attributes falls as channels of a run's network are pruned:
//! `cargo run --release -p foresee-report --example pruning -- RUN Smiling Eyeglasses`.

use std::path::PathBuf;

use foresee_report::{Curve, LineStyle, Panel, Record, Source, Style, curves, frame, record};

record! {
    /// A point of Figure 7. Each attribute's accuracy stands in a further column.
    struct PruningPoint {
        /// Which channels are pruned first.
        rule: String,
        /// How many channels are pruned.
        pruned: usize,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let run = PathBuf::from(arguments.next().ok_or("name a run folder and some attributes")?);
    let table = frame::read_csv(&run.join("data/channel_pruning.csv"))?;
    let points = PruningPoint::from_frame(&table)?;
    let mut lines = vec![];
    for (colour, name) in arguments.enumerate() {
        let accuracy: Vec<f64> = frame::values(&table, &name)?;
        let rows = points.iter().zip(accuracy).filter(|(point, _)| point.rule == "lower");
        let line = rows.map(|(point, accuracy)| (point.pruned as f64, 100. * accuracy));
        lines.push(Curve::new(name.replace('_', " "), line.collect(), colour, LineStyle::Solid));
    }
    let panel = Panel {
        title: String::new(),
        x: "pruned channels".into(),
        y: "accuracy [%]".into(),
        curves: lines,
        levels: vec![],
    };
    // A run on synthetic faces keeps them beside its results.
    let source = Source {
        data: format!("semantic pruning (lower norm), {}", run.display()),
        synthetic: run.join("faces").exists(),
    };
    for file in curves("pruning_by_attribute", &[panel], &source, &Style::default())?
        .save(&run.join("figures"))?
    {
        println!("{}", file.display());
    }
    Ok(())
}
