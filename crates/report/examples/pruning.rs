//! Draws a figure of a run's pruning curve, by attribute: `cargo run --release -p foresee-report
//! --example pruning -- RUN Smiling Eyeglasses`.

use std::path::PathBuf;

use foresee_report::{Band, Curve, Panel, Source, curves, frame};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let run = PathBuf::from(arguments.next().ok_or("name a run folder and some attributes")?);
    let attributes: Vec<String> = arguments.collect();
    let table = frame::read_csv(&run.join("data/channel_pruning.csv"))?;
    let (rule, pruned) = (frame::texts(&table, "rule")?, frame::numbers(&table, "pruned")?);
    let mut lines = vec![];
    for (colour, name) in attributes.iter().enumerate() {
        let accuracy = frame::numbers(&table, name)?;
        let points = (0..rule.len())
            .filter(|&i| rule[i] == "lower")
            .map(|i| (pruned[i], 100. * accuracy[i]))
            .collect();
        lines.push(Curve {
            name: name.replace('_', " "),
            points,
            spread: vec![],
            band: Band::Filled,
            colour,
            dash: 0,
        });
    }
    let panel = Panel {
        title: String::new(),
        x: "pruned channels".into(),
        y: "accuracy [%]".into(),
        curves: lines,
        levels: vec![],
    };
    // A run that drew its own faces keeps them beside its results.
    let source = Source {
        data: format!("semantic pruning (lower norm), {}", run.display()),
        synthetic: run.join("faces").exists(),
    };
    for file in curves("pruning_by_attribute", &[panel], &source)?.save(&run.join("figures"))? {
        println!("{}", file.display());
    }
    Ok(())
}
