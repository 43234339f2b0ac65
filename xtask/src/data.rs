//! `data`: make and check folders of faces.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use foresee_celeba::{ATTRIBUTES, Split, SplitRule};

use crate::error::input;
use crate::faces;
use crate::output::print;

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
            print(&format!("{}: {faces} synthetic faces\n", out.display()))
        }
        DataCommand::Check { folder, deep } => check(&folder, deep),
    }
}

fn check(folder: &std::path::Path, deep: bool) -> Result<()> {
    let (data, record) = faces::open(folder, SplitRule::Official)?;
    let all = data.split(Split::All)?;
    let mut text = format!("{}: {}\n", folder.display(), record.description());
    for (name, frequency) in ATTRIBUTES.iter().zip(data.frequencies(&all)) {
        text.push_str(&format!("{name:<22} {:>6.2} %\n", 100. * frequency));
    }
    if deep {
        faces::decode_all(&data, &all)?;
        text.push_str(&format!("all {} images decode\n", all.len()));
    }
    print(&text)
}
