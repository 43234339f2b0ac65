//! `readings`: the map of readings. On networks that a study has trained, accuracy under every
//! cheap reading of the paper's pruning.

mod analysis;
mod curves;
mod measured;
mod page;
mod shut_rows;
mod tables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use candle_core::Device;
use foresee_celeba::{CelebA, Split, SplitRule};
use foresee_report::Record;
use foresee_report::frame::write_csv;

use self::curves::Curves;
use self::measured::MadeFrom;
use crate::artifacts::{ChannelStatisticsFile, READ_IMAGES, ReadingPoint, Row, ShutRows};
use crate::device::device;
use crate::error::{Result, input};
use crate::faces;
use crate::run::{Lock, MODEL, Manifest, Run, Stage};
use crate::session::{check_is_paper, load_model, preprocessing};
use crate::studies::runs::{Outcome, StudyRun, make_each};

pub(crate) use self::measured::Settings;
pub(crate) use self::page::write as write_page;

/// The page's title.
pub(crate) const TITLE: &str = "Under which readings does the paper's pruning hold?";

/// What the user asks.
pub(crate) struct Request<'a> {
    /// The folder of `fidelity`.
    pub study: &'a Path,
    pub celeba: &'a Path,
    pub out: &'a Path,
    pub settings: Settings,
    /// Where the networks are computed, wherever they were trained.
    pub device: &'a str,
}

/// A run of the study, and where what is measured of it lies.
pub(crate) struct StudiedRun {
    name: String,
    run: Run,
    folder: PathBuf,
    made_from: MadeFrom,
}

impl StudyRun for StudiedRun {
    fn title(&self) -> String {
        self.name.clone()
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn is_done(&self) -> bool {
        self.made_from.is_of(&self.folder)
    }

    /// There is no manifest.
    fn is_same(&self, _: &Manifest) -> bool {
        false
    }
}

/// The faces that a run may be of: a rule of splits, a list of splits, and what is left out.
type FacesKey = (SplitRule, Option<PathBuf>, Vec<String>);

/// The study's faces as each of its runs sees them, each opened once, with their hash.
#[derive(Default)]
pub(crate) struct Faces(HashMap<FacesKey, (CelebA, String)>);

impl Faces {
    /// The faces of a run, if it is of these.
    fn of(&mut self, celeba: &Path, run: &Run) -> Result<Option<&CelebA>> {
        let (data, rule) = (&run.manifest.data, run.manifest.config.data.split);
        let key = (rule, data.splits.clone(), data.left_out.clone());
        if !self.0.contains_key(&key) {
            let (faces, record) =
                faces::open(celeba, rule, data.splits.as_deref(), &data.left_out)?;
            self.0.insert(key.clone(), (faces, record.sha256));
        }
        let found = self.0.get(&key).filter(|(_, hash)| *hash == data.sha256);
        Ok(found.map(|(faces, _)| faces))
    }
}

impl Request<'_> {
    /// The runs of the study by their names: those with masks that are measured, on these faces.
    pub fn runs(&self, faces: &mut Faces) -> Result<Vec<StudiedRun>> {
        let folder = self.study.join("runs");
        let entries = std::fs::read_dir(&folder).map_err(|e| {
            input(format!("{}: {e}; name the folder that `fidelity --out` named", folder.display()))
        })?;
        let mut folders = vec![];
        for entry in entries {
            folders.push(entry?.path());
        }
        folders.retain(|folder| Manifest::is_of_a_run(folder));
        folders.sort();
        let mut runs = vec![];
        for folder in folders {
            runs.extend(self.studied(&folder, faces)?);
        }
        match runs.is_empty() {
            false => Ok(runs),
            true => Err(input(format!(
                "no run in {} has masks, is measured, and is of the faces in {}",
                folder.display(),
                self.celeba.display()
            ))),
        }
    }

    /// A run, unless it is of other faces, has no masks, or is not measured yet.
    fn studied(&self, folder: &Path, faces: &mut Faces) -> Result<Option<StudiedRun>> {
        let run = Run::open(folder)?;
        let is_measured =
            run.made(Stage::Train, MODEL) && run.made(Stage::Measure, ChannelStatisticsFile::PATH);
        let has_masks = check_is_paper(&run).is_ok() && run.manifest.config.model.attention;
        if !is_measured || !has_masks || faces.of(self.celeba, &run)?.is_none() {
            tracing::debug!("{}: left out", folder.display());
            return Ok(None);
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let made_from = MadeFrom::new(&run, self.settings);
        let folder = self.out.join("runs").join(&name);
        Ok(Some(StudiedRun { name, run, folder, made_from }))
    }
}

/// Measures the runs that are not measured yet, or only the one of a number.
pub(crate) fn measure(
    request: &Request,
    runs: &[StudiedRun],
    faces: &mut Faces,
    only: Option<usize>,
) -> Result<Outcome> {
    let device = device(request.device)?;
    make_each(request.out, runs, only, |number, studied| {
        let title = format!("run {number} ({}), of {}", studied.name, runs.len());
        if studied.is_done() {
            tracing::info!("{title}: up to date");
            return Ok(());
        }
        tracing::info!("{title}");
        let data = faces.of(request.celeba, &studied.run)?.context("the faces have changed")?;
        let _lock = Lock::take(&studied.folder)?;
        // Another process may have finished it in between.
        match studied.is_done() {
            true => Ok(()),
            false => measure_run(studied, data, &device),
        }
    })
}

/// Images of one batch: what small networks take on a GPU hardly depends on it.
fn batch(device: &Device) -> usize {
    if device.is_cpu() { 32 } else { 256 }
}

fn measure_run(studied: &StudiedRun, data: &CelebA, device: &Device) -> Result<()> {
    let StudiedRun { run, folder, made_from, .. } = studied;
    let (network, card) = load_model(&run.own_model()?, device)?;
    let network = network.frozen();
    let settings = made_from.settings();
    let images =
        tables::Images { data, preprocessing: preprocessing(&card), device, batch: batch(device) };
    let train = faces::first(data.split(Split::Train)?, run.manifest.config.measure.images);
    let (tables, rows) = tables::collect(run, &network, &images, &train)?;
    let test = faces::first(data.split(Split::Test)?, settings.images);
    let statistics = ChannelStatisticsFile::read(run.folder())?;
    let curves = Curves::new(&tables, &statistics, run.manifest.seed, settings)?;
    let tallies = curves.measure(&network, &images, &test)?;
    let shut = shut_rows::measure(&network, &rows, &images, &test)?;
    made_from.forget(folder);
    let points = ReadingPoint::to_frame(&curves.points(&tallies))?;
    write_csv(&folder.join(<ReadingPoint as Row>::PATH), &points)?;
    let names = test.iter().map(|&face| data.name(face).to_owned());
    write_csv(&folder.join(READ_IMAGES), &curves.by_image(&tallies, names).to_frame()?)?;
    write_csv(&folder.join(<ShutRows as Row>::PATH), &ShutRows::to_frame(&shut)?)?;
    made_from.write(folder)
}
