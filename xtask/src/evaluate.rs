//! `evaluate`: a model file on faces of a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use foresee_celeba::{ATTRIBUTES, CelebA, Split, SplitRule};
use foresee_model::{Metrics, ModelCard, Network, Predictions, majority_accuracy};
use foresee_report::frame::write_whole;

use crate::device::device;
use crate::error::input;
use crate::output::print;
use crate::progress::Progress;
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
    /// CelebA in any form that `reproduce --celeba` takes.
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
    if let Some(path) = &args.predictions {
        check_target(path)?;
    }
    let (network, card) = Network::load(&args.model, &device)?;
    if card.attributes != ATTRIBUTES {
        return Err(input(format!(
            "{} predicts other attributes than CelebA's 40, in their order",
            args.model.display()
        )));
    }
    let (data, record) = faces::open(&args.celeba, SplitRule::Official, None, &[])?;
    let split = match args.split {
        SplitName::Train => Split::Train,
        SplitName::Val => Split::Val,
        SplitName::Test => Split::Test,
        SplitName::All => Split::All,
    };
    let chosen = data.split(split)?;
    let progress = Progress::new("evaluating", chosen.len(), 0);
    let predictions =
        train::predict(progress, &network, &data, &chosen, &faces::preprocessing(&card), &device)?;
    let head =
        format!("{}: {} faces of split {}", args.celeba.display(), chosen.len(), split.name());
    print(&(head + &summary(&card, record.synthetic, &predictions.metrics()?)))?;
    match &args.predictions {
        Some(path) => write_predictions(path, &data, &chosen, &predictions),
        None => Ok(()),
    }
}

/// A file that cannot be written is told before the work.
fn check_target(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    match (path.is_dir(), folder.is_some_and(|folder| folder.exists() && !folder.is_dir())) {
        (true, _) => {
            Err(input(format!("--predictions {}: is a folder; name a file", path.display())))
        }
        (_, true) => Err(input(format!("--predictions {}: its folder is a file", path.display()))),
        _ => Ok(()),
    }
}

fn summary(card: &ModelCard, synthetic: bool, metrics: &Metrics) -> String {
    let mut text = format!("\nmodel trained on {}\n", card.trained_on);
    if synthetic {
        text.push_str("These faces are synthetic: the numbers say nothing about CelebA.\n");
    }
    text.push_str(&format!(
        "\n{:<22} {:>9} {:>9} {:>9} {:>7}\n",
        "", "frequency", "accuracy", "balanced", "AUC"
    ));
    for (name, m) in card.attributes.iter().zip(&metrics.each) {
        let (frequency, accuracy, balanced) =
            (100. * m.frequency, 100. * m.accuracy, 100. * m.balanced_accuracy);
        text.push_str(&format!(
            "{name:<22} {frequency:>9.2} {accuracy:>9.2} {balanced:>9.2} {:>7.4}\n",
            m.auc
        ));
    }
    let (mean, balanced) = (100. * metrics.accuracy(), 100. * metrics.balanced_accuracy());
    text.push_str(&format!(
        "{:<22} {:>9} {mean:>9.2} {balanced:>9.2} {:>7.4}\n",
        "mean",
        "",
        metrics.auc()
    ));
    let here: Vec<f64> = metrics.each.iter().map(|m| m.frequency).collect();
    text + &format!(
        "Always answering what most of these faces have: {:.2} %\n",
        100. * majority_accuracy(&here, &here)
    )
}

fn write_predictions(
    path: &Path,
    data: &CelebA,
    faces: &[usize],
    predictions: &Predictions,
) -> Result<()> {
    let mut csv = format!("image,{}\n", ATTRIBUTES.join(","));
    for (&face, row) in faces.iter().zip(predictions.probabilities()) {
        let values: Vec<String> = row.iter().map(|p| format!("{p:.6}")).collect();
        csv.push_str(&format!("{},{}\n", data.name(face), values.join(",")));
    }
    write_whole(path, csv.as_bytes())?;
    print(&format!("probabilities: {}\n", path.display()))
}
