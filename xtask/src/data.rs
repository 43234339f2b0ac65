//! `data`: make and check folders of faces.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use foresee_celeba::{ATTRIBUTES, CelebA, Split, SplitRule};

use crate::error::input;
use crate::faces;
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
    /// Check a folder as CelebA is distributed: annotations, partition, images.
    Check {
        /// The folder.
        folder: PathBuf,
        /// Also decode every image.
        #[arg(long)]
        deep: bool,
    },
}

pub fn data(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Synthesize { out, faces, seed } => {
            if !(1..=999_999).contains(&faces) {
                return Err(input(format!("--faces {faces} is not possible: a number from 1 to 999999")));
            }
            faces::synthesize(&out, faces, seed)?;
            println!("{}: {faces} synthetic faces", out.display());
            Ok(())
        }
        DataCommand::Check { folder, deep } => check(&folder, deep),
    }
}

fn check(folder: &std::path::Path, deep: bool) -> Result<()> {
    let (data, record) = faces::open(folder, SplitRule::Official)?;
    println!("{}: {}", folder.display(), record.description());
    let all = data.split(Split::All)?;
    let frequencies = data.frequencies(&all);
    for (name, frequency) in ATTRIBUTES.iter().zip(frequencies) {
        println!("{name:<22} {:>6.2} %", 100. * frequency);
    }
    if deep {
        decode_all(&data, &all)?;
        println!("all {} images decode", all.len());
    }
    Ok(())
}

/// Reads every one of these images, so that a damaged one is found before hours are spent.
pub fn decode_all(data: &CelebA, faces: &[usize]) -> Result<()> {
    let mut progress = Progress::new("checking images", faces.len(), 0);
    for batch in faces::in_order(data, faces, 16, 256) {
        progress.add(batch?.faces.len(), String::new);
    }
    Ok(())
}
