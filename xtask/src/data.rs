//! `data`: make, fetch and check faces, and count their attributes.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;
use clap::Subcommand;
use foresee_analysis::{Matrix, row_correlation};
use foresee_celeba::{ATTRIBUTES, CelebA, Split, SplitRule, Status};
use foresee_report::frame::{self, df};

use crate::error::input;
use crate::faces;
use crate::output::print;
use crate::progress::Progress;

#[derive(Subcommand)]
pub enum DataCommand {
    /// Draw synthetic faces into a new folder, in CelebA's layout.
    Synthesize {
        /// The folder to make.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many faces; 80 % are training, 10 % validation, 10 % test faces.
        #[arg(long, default_value_t = 4000)]
        faces: usize,
        /// Decides all of them.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Download a dataset of the Hugging Face hub to its cache (HF_HOME); prints the folder, which
    /// --celeba takes.
    ///
    ///   cargo run --release --package xtask --features hub -- data fetch tpremoli/CelebA-attrs
    #[command(verbatim_doc_comment)]
    Fetch {
        /// The dataset, such as tpremoli/CelebA-attrs (1.4 GB) or flwrlabs/celeba (11.7 GB).
        #[arg(value_name = "OWNER/NAME")]
        name: String,
    },
    /// Check CelebA in any of its forms: counts, checksums, splits and attributes against the
    /// published ones. Exit status 2 if something is wrong.
    Check {
        /// The folder, or img_align_celeba.zip.
        path: PathBuf,
        /// Also decode every image, and take the archive's checksum.
        #[arg(long)]
        deep: bool,
    },
    /// Count how often attributes occur, alone and together: attribute_frequencies.csv and
    /// attribute_correlation.csv.
    Stats {
        /// The folder, or img_align_celeba.zip.
        path: PathBuf,
        /// Where to write the two files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Also write faces.csv there: a row for each face with its split and all annotations.
        #[arg(long)]
        faces: bool,
    },
}

pub fn data(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Synthesize { out, faces, seed } => {
            if !(1..=999_999).contains(&faces) {
                return Err(input(format!(
                    "--faces {faces} is not possible: a number from 1 to 999999"
                )));
            }
            faces::synthesize(&out, faces, seed)?;
            print(&format!("{}: {faces} synthetic faces\n", out.display()))
        }
        DataCommand::Fetch { name } => print(&format!("{}\n", faces::fetch(&name)?.display())),
        DataCommand::Check { path, deep } => check(&path, deep),
        DataCommand::Stats { path, out, faces } => stats(&path, &out, faces),
    }
}

fn check(path: &Path, deep: bool) -> Result<()> {
    let progress = Mutex::new(None);
    let findings = foresee_celeba::check(path, deep, |n, all| {
        if let Ok(mut progress) = progress.lock() {
            progress.get_or_insert_with(|| Progress::new("decoding", all, 0)).add(n, String::new);
        }
    });
    drop(progress);
    let width = findings.iter().map(|f| f.what.chars().count()).max().unwrap_or_default();
    let mut text = format!("{}\n", path.display());
    for finding in &findings {
        text.push_str(&format!(
            "{:<8} {:<width$}  {}\n",
            finding.status.word(),
            finding.what,
            finding.told
        ));
    }
    if !deep {
        text.push_str("--deep also decodes every image\n");
    }
    print(&text)?;
    match findings.iter().filter(|f| f.status == Status::Wrong).count() {
        0 => Ok(()),
        n => {
            Err(input(format!("{}: {n} of {} findings are wrong", path.display(), findings.len())))
        }
    }
}

fn stats(path: &Path, out: &Path, faces: bool) -> Result<()> {
    let data = CelebA::open(path, SplitRule::Official)?;
    let kind = if data.is_synthetic() { "synthetic" } else { "celeba" };
    let of = |split| data.split(split).map(|faces| data.frequencies(&faces).to_vec());
    let all: Vec<usize> = (0..data.len()).collect();
    let mut table = df!(
        "attribute" => ATTRIBUTES.to_vec(),
        "faces" => data.frequencies(&all).map(|f| (f * data.len() as f64).round() as i64).to_vec(),
        "frequency" => data.frequencies(&all).to_vec(),
    )?;
    for split in [Split::Train, Split::Val, Split::Test] {
        if let Ok(frequencies) = of(split) {
            table
                .with_column(frame::column(&format!("frequency_{}", split.name()), frequencies))?;
        }
    }
    table.with_column(frame::column("data", vec![kind; ATTRIBUTES.len()]))?;
    let values = |k: usize| {
        all.iter().map(|&face| f64::from(u8::from(data.labels(face).has(k)))).collect::<Vec<_>>()
    };
    let correlation = row_correlation(&Matrix::from_rows(
        &(0..ATTRIBUTES.len()).map(values).collect::<Vec<_>>(),
    ))?;
    let mut pairs = df!("attribute" => ATTRIBUTES.to_vec())?;
    for (k, name) in ATTRIBUTES.into_iter().enumerate() {
        pairs.with_column(frame::column(
            name,
            (0..ATTRIBUTES.len()).map(|i| correlation.get(i, k)).collect::<Vec<f64>>(),
        ))?;
    }
    pairs.with_column(frame::column("data", vec![kind; ATTRIBUTES.len()]))?;
    let files =
        ["attribute_frequencies.csv", "attribute_correlation.csv"].map(|name| out.join(name));
    frame::write_csv(&files[0], table)?;
    frame::write_csv(&files[1], pairs)?;
    if faces {
        frame::write_csv(&out.join("faces.csv"), data.frame()?)?;
    }
    print(&format!("{} faces: {}, {}\n", data.len(), files[0].display(), files[1].display()))
}
