//! `runs`: the runs below a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::json::{Faces, JsonArgs, path_text, print_json};
use super::time::utc;
use crate::artifacts::{Accuracy, Row};
use crate::config::Config;
use crate::error::{Result, input};
use crate::output::print;
use crate::provenance::percent;
use crate::run::{Manifest, Run, Stage};

/// How deep folders are looked through: those of a study are two below its own.
const DEPTH: usize = 5;

/// Settings that the table shows by themselves.
const SHOWN: [&str; 5] =
    ["data.image_size", "train.epochs", "train.lambda", "train.sparsity", "model.attention"];

#[derive(Args)]
pub struct RunsArgs {
    /// The folder to look through.
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    folder: String,
    runs: Vec<Listed>,
}

/// A folder with a manifest.
#[derive(Serialize)]
struct Listed {
    folder: String,
    /// When its manifest was last written: when a stage ended.
    changed: Option<String>,
    /// Of all files in it.
    bytes: u64,
    /// Why its manifest cannot be read, if it cannot.
    problem: Option<String>,
    /// What the manifest says.
    run: Option<Described>,
}

/// A run.
#[derive(Serialize)]
struct Described {
    faces: Faces,
    seed: u64,
    device: String,
    /// The version of the program that began it.
    foresee: String,
    image_size: usize,
    epochs: usize,
    lambda: f64,
    /// Image size, epochs and λ in words.
    #[serde(skip)]
    title: String,
    /// Settings that differ from the profile quick.
    settings: BTreeMap<String, Value>,
    /// Those that are done.
    stages: Vec<Stage>,
    wall_seconds: f64,
    /// On test faces, if it is trained.
    accuracy: Option<Measured>,
}

/// Means over all attributes, on test faces.
#[derive(Serialize)]
struct Measured {
    images: usize,
    accuracy: f64,
    balanced_accuracy: f64,
    auc: f64,
    /// Of the majority class of the training faces: the baseline.
    majority_accuracy: f64,
}

pub(super) fn runs(args: &RunsArgs) -> Result<()> {
    if !args.folder.is_dir() {
        return Err(input(format!(
            "{}: there is no such folder; name the folder with the runs",
            args.folder.display()
        )));
    }
    let mut folders = vec![];
    find(&args.folder, DEPTH, &mut folders);
    let quick = Config::resolve("quick", None, &[])?;
    let runs: Vec<Listed> =
        folders.iter().map(|folder| Listed::new(folder, &quick)).collect::<Result<_>>()?;
    if args.json.is_asked() {
        return print_json(&Document { folder: path_text(&args.folder), runs });
    }
    match runs.is_empty() {
        true => print(&format!("{}: no run\n", args.folder.display())),
        false => print(&table(&runs)),
    }
}

/// Finds folders with a manifest, in the order of their names. What lies in these is their own.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if Manifest::is_of_a_network(folder) {
        return;
    }
    if Manifest::exists(folder) {
        found.push(folder.into());
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // A link may lead back.
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut below: Vec<PathBuf> = entries.filter(is_folder).map(|entry| entry.path()).collect();
    below.sort();
    if depth > 0 {
        below.iter().for_each(|folder| find(folder, depth - 1, found));
    }
}

impl Listed {
    fn new(folder: &Path, quick: &Config) -> Result<Self> {
        let (run, problem) = match Manifest::look(folder) {
            Ok(manifest) => (Some(Described::new(folder, &manifest, quick)?), None),
            Err(problem) => (None, Some(problem)),
        };
        Ok(Self {
            folder: path_text(folder),
            changed: Manifest::written(folder).map(utc),
            bytes: bytes(folder),
            problem,
            run,
        })
    }

    /// Its line in the table.
    fn cells(&self) -> Vec<String> {
        let changed = self.changed.as_deref().unwrap_or("–").replace('T', " ");
        let size = format!("{:.1} MB", self.bytes as f64 / 1e6);
        let mut cells = vec![self.folder.clone()];
        match (&self.run, &self.problem) {
            (Some(run), _) => cells.extend(run.cells()),
            (None, problem) => {
                cells.push(problem.clone().unwrap_or_default());
                cells.extend(std::iter::repeat_n(String::new(), 4));
            }
        }
        // The minute is enough for a table.
        cells.extend([changed.chars().take(16).collect(), size]);
        cells
    }
}

impl Described {
    fn new(folder: &Path, manifest: &Manifest, quick: &Config) -> Result<Self> {
        let config = &manifest.config;
        Ok(Self {
            faces: (&manifest.data).into(),
            seed: manifest.seed,
            device: manifest.device.clone(),
            foresee: manifest.program.foresee.clone(),
            image_size: config.data.image_size,
            epochs: config.train.trainer.epochs,
            lambda: config.train.trainer.lambda,
            title: format!(
                "{} px, {} epochs, {}",
                config.data.image_size,
                config.train.trainer.epochs,
                config.sparsity_title()
            ),
            settings: config.differing(quick)?,
            stages: manifest.stages.keys().copied().collect(),
            // The sum of nothing is -0.
            wall_seconds: 0. + manifest.stages.values().map(|s| s.wall_seconds).sum::<f64>(),
            accuracy: measured(folder),
        })
    }

    fn cells(&self) -> [String; 5] {
        let others = self.settings.keys().filter(|key| !SHOWN.contains(&key.as_str())).count();
        let settings = match others {
            0 => self.title.clone(),
            n => format!("{}, {n} more", self.title),
        };
        let stages: Vec<&str> = self.stages.iter().map(|stage| stage.id()).collect();
        let stages = match stages.as_slice() {
            [] => "none".into(),
            all if all.len() == Stage::ALL.len() => "all".into(),
            some => some.join(", "),
        };
        let accuracy = self.accuracy.as_ref().map_or("–".into(), |found| {
            format!("{} ({})", percent(found.accuracy), percent(found.majority_accuracy))
        });
        [self.faces.title(), settings, self.seed.to_string(), stages, accuracy]
    }
}

/// The accuracy of a run that is trained, if its file can be read.
fn measured(folder: &Path) -> Option<Measured> {
    let run = Run::open(folder).ok().filter(|run| run.made(Stage::Train, Accuracy::PATH))?;
    let found: Accuracy = run.read_one().ok()?;
    Some(Measured {
        images: found.images,
        accuracy: found.accuracy,
        balanced_accuracy: found.balanced_accuracy,
        auc: found.auc,
        majority_accuracy: found.majority_accuracy,
    })
}

/// The bytes of all files in a folder. What cannot be looked at does not count, and what a link
/// leads to neither.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of_entry = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    };
    entries.map(of_entry).sum()
}

fn table(runs: &[Listed]) -> String {
    let header = [
        "folder",
        "faces",
        "settings (and how many more differ from quick)",
        "seed",
        "stages",
        "accuracy (majority) [%]",
        "changed (UTC)",
        "size",
    ];
    let header: Vec<String> = header.map(String::from).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(runs.iter().map(Listed::cells)).collect();
    // A reason is as long as it is.
    let is_reason = |row: &[String]| row.get(2).is_some_and(String::is_empty);
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| column != 1 || !is_reason(row));
        cells.filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).filter(|(cell, _)| !is_reason(row) || !cell.is_empty());
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
