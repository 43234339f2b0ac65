//! `compare`: the systems of the paper's Table 3, trained on the same faces by the same loader and
//! schedule, and compared. Each system with each seed is a run of its own, which is done once.

mod figures;
mod forecasts;
mod page;
mod plan;
mod results;
mod settings;
mod tables;

use std::path::Path;

use foresee_celeba::synthetic;

pub(crate) use self::page::{TITLE, write as write_page};
pub(crate) use self::plan::{Planned, plan};
pub(crate) use self::results::Results;
use crate::config::{Config, SystemName};
use crate::device::device;
use crate::error::{Result, input};
use crate::faces::{self, FacesFolder};
use crate::run::{Lock, Manifest, Run, Stage};
use crate::session::Session;
use crate::stages::{begin, judge, train};
use crate::studies::runs::{Kind, MadeRun, Outcome, StudyRun, make_each};

/// What the user asks of the comparison.
pub(crate) struct Request<'a> {
    /// The systems, each with its settings.
    pub systems: &'a [(SystemName, Config)],
    /// Trainings of each, with seeds 0, 1, ….
    pub seeds: u64,
    pub faces: Option<&'a FacesFolder>,
    pub out: &'a Path,
    pub device: &'a str,
    /// Only the run of this number in the list.
    pub only: Option<usize>,
}

/// A run of the list.
pub(crate) type Entry<'a> = MadeRun<'a, SystemName>;

impl Kind for SystemName {
    // It is trained and judged.
    const LAST: Stage = Stage::Judge;

    fn title(&self) -> String {
        SystemName::title(*self).into()
    }
}

impl Request<'_> {
    /// All runs: every system with the first seed, then with the second, and so on.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let entry = |seed: u64, (system, config)| Entry {
            kind: system,
            config,
            seed,
            device: self.device,
            folder: self.out.join("runs").join(format!("{}-seed{seed}", SystemName::id(system))),
        };
        let systems = || self.systems.iter().map(|(system, config)| (*system, config));
        (0..self.seeds).flat_map(|seed| systems().map(move |of| entry(seed, of))).collect()
    }

    /// The faces. Synthetic ones are drawn once for all.
    fn folder(&self) -> Result<FacesFolder> {
        if let Some(folder) = self.faces {
            return Ok(folder.clone());
        }
        let path = self.out.join("faces");
        let count = self.systems.first().map_or(0, |(_, c)| c.data.synthetic_faces);
        if !path.exists() {
            let _lock = Lock::wait(self.out)?;
            if !path.exists() {
                faces::synthesize(&path, count, 0)?;
            }
        }
        if !synthetic::is_up_to_date(&path, count, 0) {
            return Err(input(format!(
                "{} holds other faces than {count} that are drawn with seed 0; name another --out",
                path.display()
            )));
        }
        Ok(FacesFolder { path, ..FacesFolder::default() })
    }
}

/// Makes the runs that are not done on these faces.
pub(crate) fn run(request: &Request) -> Result<Outcome> {
    let faces = request.folder()?;
    let entries = request.entries();
    check_faces(request, &faces, &entries)?;
    make_each(request.out, &entries, request.only, |number, entry| {
        if entry.is_done() && is_up_to_date(entry, &faces)? {
            return Ok(());
        }
        tracing::info!("run {number} ({}), of {}", entry.title(), entries.len());
        make(entry, &faces)
    })
}

/// Refuses faces that the runs of the folder were not made with, before anything is trained.
fn check_faces(request: &Request, faces: &FacesFolder, entries: &[Entry]) -> Result<()> {
    let Some((_, config)) = request.systems.first() else { return Ok(()) };
    let begun = entries.iter().filter_map(|entry| {
        let run = Manifest::read(&entry.folder).ok()?;
        (entry.is_same(&run) && !run.stages.is_empty()).then_some((entry, run))
    });
    let begun: Vec<(&Entry, Manifest)> = begun.collect();
    if begun.is_empty() {
        return Ok(());
    }
    let (_, given) = faces::open_unchecked(faces, config)?;
    let other = |(_, run): &&(&Entry, Manifest)| {
        run.data.left_out.is_empty() && run.data.sha256 != given.sha256
    };
    match begun.iter().find(other) {
        None => Ok(()),
        Some((entry, run)) => Err(input(format!(
            "{} is of the faces in {}, and those in {} are others: give the same faces, name \
             another --out, or remove that folder if it was begun by mistake",
            entry.folder.display(),
            run.data.path.display(),
            faces.path.display()
        ))),
    }
}

/// Whether all that a run was made from is as it was, with what it reads besides the faces, such as
/// landmarks.
fn is_up_to_date(entry: &Entry, faces: &FacesFolder) -> Result<bool> {
    let held = Manifest::read(&entry.folder)?;
    let config = entry.config.clone();
    let mut run = Run::plan(&entry.folder, config, entry.seed, entry.device, held.data.clone())?;
    let left_out = &held.data.left_out;
    let (data, _) =
        faces::open(&faces.path, held.config.data.split, faces.splits.as_deref(), left_out)?;
    let session = Session::with_data(device(entry.device)?, data);
    train::stage(&mut run, &session)?;
    judge::stage(&mut run, &session)?;
    Ok(run.planned().iter().all(|planned| !planned.state.runs()))
}

fn make(entry: &Entry, faces: &FacesFolder) -> Result<()> {
    let config = entry.config.clone();
    let (mut run, session) = begin(config, Some(faces), &entry.folder, entry.seed, entry.device)?;
    train::stage(&mut run, &session)?;
    judge::stage(&mut run, &session)
}

/// The runs that are done, which must be on the same faces.
pub(crate) fn done(request: &Request) -> Result<Vec<(SystemName, Run)>> {
    let done = request.entries().into_iter().filter(StudyRun::is_done);
    let done = done.map(|entry| Ok((entry.kind, Run::open(&entry.folder)?)));
    let done: Vec<(SystemName, Run)> = done.collect::<Result<_>>()?;
    let hash = |(_, run): &(SystemName, Run)| run.manifest.data.sha256.clone();
    if let Some(other) = done.iter().find(|run| hash(run) != hash(&done[0])) {
        return Err(input(format!(
            "{} and {} are of different faces, and cannot be compared; remove the one that was \
             made by mistake, or name another --out",
            done[0].1.folder().display(),
            other.1.folder().display()
        )));
    }
    Ok(done)
}
