//! `evaluate`: a model file on faces of a folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use foresee_celeba::{ATTRIBUTES, Split, SplitRule};
use foresee_model::{Network, majority_accuracy};
use foresee_report::frame::write_whole;

use crate::device::device;
use crate::error::input;
use crate::{faces, train};

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Val,
    Test,
    All,
}

#[derive(Args)]
pub struct EvaluateArgs {
    /// A model.safetensors of a run.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// A folder as CelebA is distributed.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// Which faces of it.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Also write the probabilities: image,<40 attribute names>.
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
}

pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let device = device(&args.device)?;
    let (network, card) = Network::load(&args.model, &device)?;
    if card.attributes != ATTRIBUTES {
        return Err(input(format!("{} predicts other attributes than CelebA's 40, in their order", args.model.display())));
    }
    let (data, record) = faces::open(&args.celeba, SplitRule::Official)?;
    let split = match args.split {
        SplitName::Train => Split::Train,
        SplitName::Val => Split::Val,
        SplitName::Test => Split::Test,
        SplitName::All => Split::All,
    };
    let chosen = data.split(split)?;
    let predictions = train::predict("evaluating", &network, &data, &chosen, card.image_size, &device)?;
    let metrics = predictions.metrics()?;

    println!("{}: {} faces of split {}", args.celeba.display(), metrics.images, split.name());
    println!("model trained on {}", card.trained_on);
    if record.synthetic {
        println!("These faces are synthetic: the numbers say nothing about CelebA.");
    }
    println!("\n{:<22} {:>9} {:>9} {:>9} {:>7}", "", "frequency", "accuracy", "balanced", "AUC");
    for (name, m) in card.attributes.iter().zip(&metrics.each) {
        println!("{name:<22} {:>9.2} {:>9.2} {:>9.2} {:>7.4}", 100. * m.frequency, 100. * m.accuracy, 100. * m.balanced_accuracy, m.auc);
    }
    let (mean, balanced) = (100. * metrics.accuracy(), 100. * metrics.balanced_accuracy());
    println!("{:<22} {:>9} {mean:>9.2} {balanced:>9.2} {:>7.4}", "mean", "", metrics.auc());
    let here: Vec<f64> = metrics.each.iter().map(|m| m.frequency).collect();
    println!("Always answering what most of these faces have: {:.2} %", 100. * majority_accuracy(&here, &here));

    if let Some(path) = &args.predictions {
        let mut csv = format!("image,{}\n", card.attributes.join(","));
        for (&face, row) in chosen.iter().zip(predictions.probabilities()) {
            let values: Vec<String> = row.iter().map(|p| format!("{p:.6}")).collect();
            csv.push_str(&format!("{},{}\n", data.name(face), values.join(",")));
        }
        write_whole(path, csv.as_bytes())?;
        println!("probabilities: {}", path.display());
    }
    Ok(())
}
