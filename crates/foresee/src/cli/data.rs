//! `data`: make, fetch and check faces, and count their attributes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Subcommand;
use foresee_celeba::{ATTRIBUTES, CelebA, Finding, Split, SplitRule, Status};
use foresee_report::frame::{self, DataFrame, Rows, df};
use serde::Serialize;

use super::environment::HUB_ENVIRONMENT;
use super::hub;
use super::json::{JsonArgs, path_text, print_json};
use crate::error::{Result, input};
use crate::faces;
use crate::output::{Kind, OutputFile, OverwriteArgs, print};
use crate::progress::{Progress, Unit};
use crate::run::kind_of_faces;

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
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Download a dataset of the Hugging Face hub to its cache (HF_HOME); prints the folder, which
    /// --celeba takes.
    ///
    ///   cargo run --release --package foresee --features hub -- \
    ///     data fetch tpremoli/CelebA-attrs
    #[command(verbatim_doc_comment, after_help = HUB_ENVIRONMENT)]
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
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Count how often attributes occur, alone and together: attribute_frequencies.csv and
    /// attribute_correlation.csv.
    Stats {
        /// The folder, or img_align_celeba.zip.
        path: PathBuf,
        /// The folder for the files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Also write faces.csv there: a row for each face with its split and all annotations.
        #[arg(long)]
        faces: bool,
        #[command(flatten)]
        overwrite: OverwriteArgs,
        #[command(flatten)]
        json: JsonArgs,
    },
}

/// Faces that were drawn, as `--json` prints them.
#[derive(Serialize)]
struct Drawn {
    folder: String,
    faces: usize,
    seed: u64,
}

/// A check, as `--json` prints it.
#[derive(Serialize)]
struct Checked<'a> {
    path: String,
    deep: bool,
    findings: &'a [Finding],
    /// How many of these are wrong.
    wrong: usize,
}

/// Counts, as `--json` prints them.
#[derive(Serialize)]
struct Counted {
    path: String,
    faces: usize,
    files: Vec<String>,
    /// Rows of the files of these names.
    attribute_frequencies: Rows,
    attribute_correlation: Rows,
}

pub(super) fn data(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Synthesize { out, faces, seed, json } => {
            if !(1..=999_999).contains(&faces) {
                return Err(input(format!(
                    "--faces {faces} is not possible: a number from 1 to 999999"
                )));
            }
            faces::synthesize(&out, faces, seed)?;
            if json.is_asked() {
                return print_json(&Drawn { folder: path_text(&out), faces, seed });
            }
            print(&format!("{}: {faces} synthetic faces\n", out.display()))
        }
        DataCommand::Fetch { name } => print(&format!("{}\n", hub::fetch(&name)?.display())),
        DataCommand::Check { path, deep, json } => check(&path, deep, json),
        DataCommand::Stats { path, out, faces, overwrite, json } => {
            let counted = stats(&path, &out, faces, overwrite)?;
            match json.is_asked() {
                true => print_json(&counted),
                false => {
                    let files = counted.files[..2].join(", ");
                    print(&format!("{} faces: {files}\n", counted.faces))
                }
            }
        }
    }
}

fn check(path: &Path, deep: bool, json: JsonArgs) -> Result<()> {
    let progress = OnceLock::new();
    let findings = foresee_celeba::check(path, deep, |n, all| {
        let progress = progress.get_or_init(|| Progress::new("decoding", Unit::Images, all, 0));
        progress.add(n, String::new);
    });
    drop(progress);
    let wrong = findings.iter().filter(|f| f.status == Status::Wrong).count();
    match json.is_asked() {
        true => print_json(&Checked { path: path_text(path), deep, findings: &findings, wrong })?,
        false => print(&findings_text(path, deep, &findings))?,
    }
    match wrong {
        0 => Ok(()),
        n => {
            Err(input(format!("{}: {n} of {} findings are wrong", path.display(), findings.len())))
        }
    }
}

fn findings_text(path: &Path, deep: bool, findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.item.chars().count()).max().unwrap_or_default();
    let mut text = format!("{}\n", path.display());
    for finding in findings {
        let status = finding.status.title();
        text.push_str(&format!("{status:<8} {:<width$}  {}\n", finding.item, finding.message));
    }
    if !deep {
        text.push_str("--deep also decodes every image\n");
    }
    text
}

/// Counts, and writes the files.
fn stats(path: &Path, out: &Path, faces: bool, overwrite: OverwriteArgs) -> Result<Counted> {
    if out == Path::new("-") {
        return Err(input("--out -: several files are written; name a folder"));
    }
    let file = |name: &str, start: &'static str| {
        OutputFile::new("--out", &out.join(name), Kind::Text(start), &[path], overwrite)
    };
    let counted_file = file("attribute_frequencies.csv", "attribute,faces,frequency")?;
    let pairs_file = file("attribute_correlation.csv", "attribute,5_o_Clock_Shadow,")?;
    let faces_file = faces.then(|| file("faces.csv", "image,split,")).transpose()?;
    let data = CelebA::open(path, SplitRule::Official)?;
    let kind = kind_of_faces(data.is_synthetic());
    let mark = frame::column("data", vec![kind; ATTRIBUTES.len()]);
    let mut counted = frequencies(&data)?;
    counted.with_column(mark.clone())?;
    let mut pairs = correlation(&data)?;
    pairs.with_column(mark)?;
    counted_file.write(frame::csv_text(&counted)?.as_bytes())?;
    pairs_file.write(frame::csv_text(&pairs)?.as_bytes())?;
    if let Some(file) = &faces_file {
        file.write(frame::csv_text(&data.data_frame()?)?.as_bytes())?;
    }
    let files = [Some(&counted_file), Some(&pairs_file), faces_file.as_ref()];
    Ok(Counted {
        path: path_text(path),
        faces: data.len(),
        files: files.into_iter().flatten().map(|file| path_text(file.path())).collect(),
        attribute_frequencies: Rows(counted),
        attribute_correlation: Rows(pairs),
    })
}

/// How often each attribute occurs, in all faces and in each split.
fn frequencies(data: &CelebA) -> Result<DataFrame> {
    let all: Vec<usize> = (0..data.len()).collect();
    let shares = data.frequencies(&all);
    let mut table = df!(
        "attribute" => ATTRIBUTES.to_vec(),
        "faces" => shares.map(|f| (f * data.len() as f64).round() as i64).to_vec(),
        "frequency" => shares.to_vec(),
    )?;
    for split in Split::DISJOINT {
        if let Ok(faces) = data.split(split) {
            let shares = data.frequencies(&faces).to_vec();
            table.with_column(frame::column(&format!("frequency_{}", split.id()), shares))?;
        }
    }
    Ok(table)
}

/// How attributes occur together: the correlation of their labels. An attribute that all faces
/// have, or none, has none.
fn correlation(data: &CelebA) -> Result<DataFrame> {
    let all: Vec<usize> = (0..data.len()).collect();
    let correlation = faces::label_correlation(data, &all)?;
    let shares = data.frequencies(&all);
    let varies = |k: usize| shares[k] > 0. && shares[k] < 1.;
    let mut pairs = df!("attribute" => ATTRIBUTES.to_vec())?;
    for (k, name) in ATTRIBUTES.into_iter().enumerate() {
        let of = |i: usize| (varies(i) && varies(k)).then(|| correlation.get(i, k));
        let column: Vec<Option<f64>> = (0..ATTRIBUTES.len()).map(of).collect();
        pairs.with_column(frame::column(name, column))?;
    }
    Ok(pairs)
}
