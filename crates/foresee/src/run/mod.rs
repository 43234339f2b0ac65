//! A run is a folder: its manifest, its stages, and which of them are up to date.

pub(crate) mod checkpoint_files;
mod claim;
mod holder;
mod lock;
mod manifest;
mod plan;
mod record;
mod stage;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use foresee_celeba::synthetic;
use foresee_perturb::Victim;
use foresee_report::frame::{self, DataFrame};
use serde::Serialize;

pub(crate) use self::claim::working_process;
pub(crate) use self::lock::Lock;
pub(crate) use self::manifest::FILE as MANIFEST;
pub use self::manifest::{DataRecord, Manifest, Program, StageRecord};
pub(crate) use self::manifest::{ModelFile, kind_of_faces};
pub(crate) use self::plan::{PlannedStage, StageState};
pub(crate) use self::record::{is_untouched, record, remove_unmade};
pub use self::stage::Stage;
pub(crate) use self::stage::{Inputs, Outputs};
use crate::artifacts::{Artifact, Row, SemanticPlan};
use crate::config::Config;
use crate::energy::Meter;
use crate::error::{OtherRun, Result, input};
use crate::hash::{file_sha256, sha256};
use crate::memory::reset_peak_memory;
use crate::program::program;

/// The column of every CSV file that says what kind of faces its numbers come from.
const MARK: &str = "data";

/// The page in the folder of a run or a study.
pub(crate) const REPORT: &str = "report.html";

/// The file of the trained network in a run's folder.
pub(crate) const MODEL: &str = "model.safetensors";

/// The file of a network that the paper's is compared with.
pub(crate) const NETWORK: &str = "network.onnx";

/// The file of a FaceTracer.
pub(crate) const FACE_TRACER: &str = "face_tracer.safetensors";

/// Images that were left out, in a run's folder.
pub(crate) const BAD_IMAGES: &str = "bad_images.csv";

/// A run's folder, opened.
pub struct Run {
    folder: PathBuf,
    /// What it is made from, and what it holds.
    pub manifest: Manifest,
    /// A run that is only read has none.
    _lock: Option<Lock>,
    /// What the stages would do, if none is to be done.
    plan: Option<Vec<PlannedStage>>,
}

/// What a folder holds, for a run that is to begin there.
enum Held {
    /// No run.
    Nothing,
    /// The same run.
    Same(Box<Manifest>),
    /// Another one that has computed nothing that lasts, with what differs.
    Unfinished(String),
}

impl Run {
    /// Begins a run in a folder, or resumes the one that it holds if that is the same.
    pub(crate) fn begin(
        lock: Lock,
        folder: &Path,
        config: Config,
        seed: u64,
        device: &str,
        data: DataRecord,
    ) -> Result<Self> {
        let fresh = Manifest::new(config, seed, device, data);
        match Self::held(folder, &fresh)? {
            Held::Nothing => Self::start(lock, folder, fresh),
            Held::Same(manifest) => Self::resume(lock, folder, *manifest, fresh),
            Held::Unfinished(differences) => {
                tracing::warn!("starting afresh in {}: {differences}", folder.display());
                checkpoint_files::start_afresh(folder);
                Self::start(lock, folder, fresh)
            }
        }
    }

    /// The run that [`begin`](Self::begin) would give, of which no stage is ever done: each only
    /// says what it would do, which [`planned`](Self::planned) gives. Nothing is written or locked.
    pub(crate) fn plan(
        folder: &Path,
        config: Config,
        seed: u64,
        device: &str,
        data: DataRecord,
    ) -> Result<Self> {
        let fresh = Manifest::new(config, seed, device, data);
        let mut manifest = match Self::held(folder, &fresh)? {
            Held::Same(manifest) => *manifest,
            Held::Nothing | Held::Unfinished(_) => fresh.clone(),
        };
        // Figures may be wanted in another style.
        manifest.config = fresh.config;
        Ok(Self { folder: folder.into(), manifest, _lock: None, plan: Some(vec![]) })
    }

    /// What the stages of a run that is only planned would do, in their order.
    pub(crate) fn planned(&self) -> &[PlannedStage] {
        self.plan.as_deref().unwrap_or_default()
    }

    /// Whether the run is only planned.
    pub(crate) fn is_plan(&self) -> bool {
        self.plan.is_some()
    }

    fn held(folder: &Path, fresh: &Manifest) -> Result<Held> {
        if !Manifest::exists(folder) {
            Self::check_is_free(folder)?;
            return Ok(Held::Nothing);
        }
        let manifest = Manifest::read(folder)?;
        let differences = manifest.differences(fresh)?;
        let is_empty = manifest.stages.is_empty() && !checkpoint_files::exist(folder);
        match (differences.is_empty(), is_empty) {
            (true, _) => Ok(Held::Same(Box::new(manifest))),
            (false, true) => Ok(Held::Unfinished(differences.join("; "))),
            (false, false) => {
                let (folder, differences) = (folder.display(), differences.join("; "));
                Err(OtherRun(format!("{folder} holds another run: {differences}")).into())
            }
        }
    }

    fn start(lock: Lock, folder: &Path, manifest: Manifest) -> Result<Self> {
        manifest.write(folder)?;
        Ok(Self { folder: folder.into(), manifest, _lock: Some(lock), plan: None })
    }

    fn resume(lock: Lock, folder: &Path, mut manifest: Manifest, fresh: Manifest) -> Result<Self> {
        if manifest.program.git_commit != fresh.program.git_commit {
            tracing::warn!(
                "this run was begun by commit {}, this program is built from {}: stages are done \
                 again if the version of their outputs has changed",
                manifest.program.git_commit,
                fresh.program.git_commit
            );
        }
        manifest.warn_of_other_arithmetic();
        // The folder of faces may have moved, and figures may be wanted in another style.
        if manifest.data != fresh.data || manifest.config != fresh.config {
            manifest.data = fresh.data;
            manifest.config = fresh.config;
            manifest.write(folder)?;
        }
        Ok(Self { folder: folder.into(), manifest, _lock: Some(lock), plan: None })
    }

    /// Makes sure that faces may be drawn into a folder: it is free, or holds a run on drawn faces.
    pub(crate) fn check_for_drawing(folder: &Path) -> Result<()> {
        if !Manifest::exists(folder) {
            return Self::check_is_free(folder);
        }
        match Manifest::read(folder)?.data.synthetic {
            true => Ok(()),
            false => Err(OtherRun(format!(
                "{} holds a run on a CelebA folder, which --celeba did not name",
                folder.display()
            ))
            .into()),
        }
    }

    /// Makes sure that a new run may begin in a folder.
    pub(crate) fn check_is_free(folder: &Path) -> Result<()> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        match entries.map(|entry| entry.file_name()).find(|name| !belongs_to_a_new_run(name)) {
            None => Ok(()),
            Some(name) => Err(input(format!(
                "{} is not empty ({}) and holds no run; name a new folder with --out",
                folder.display(),
                name.display()
            ))),
        }
    }

    /// Opens a run's folder to work in it.
    ///
    /// # Errors
    /// If it holds no run, or another process works in it.
    pub fn lock(folder: &Path) -> Result<Self> {
        // A folder that holds no run gets no lock. The manifest is read again under the lock.
        Manifest::read(folder)?;
        let lock = Lock::take(folder)?;
        let manifest = Manifest::read(folder)?;
        manifest.warn_of_other_arithmetic();
        Ok(Self { folder: folder.into(), manifest, _lock: Some(lock), plan: None })
    }

    /// Opens a run's folder to read in it.
    ///
    /// # Errors
    /// If it holds no run of this version.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        Ok(Self { folder: folder.into(), manifest, _lock: None, plan: None })
    }

    /// A run as rank 0 tells of it, to read in its folder.
    pub(crate) fn told(manifest: Manifest, folder: PathBuf) -> Self {
        Self { folder, manifest, _lock: None, plan: None }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads one of the run's data files.
    ///
    /// # Errors
    /// If it is missing, or of another form, such as that of an earlier version.
    pub fn read<A: Artifact>(&self) -> Result<A> {
        A::from_frame(&self.read_frame(A::PATH)?).with_context(|| {
            format!(
                "{} (if an earlier version made it, the command that made the run brings it up to \
                 date)",
                self.path(A::PATH).display()
            )
        })
    }

    /// Reads the one row of a data file.
    pub(crate) fn read_one<R: Row>(&self) -> Result<R> {
        let rows: Vec<R> = self.read()?;
        rows.into_iter().next().with_context(|| format!("{} is empty", R::PATH))
    }

    /// Writes a data file that is no stage's output yet.
    pub(crate) fn write<A: Artifact>(&self, artifact: &A) -> Result<()> {
        self.write_frame(A::PATH, artifact.to_frame()?)
    }

    /// Whether a stage that is done made a file.
    pub(crate) fn made(&self, stage: Stage, file: &str) -> bool {
        self.manifest.stages.get(&stage).is_some_and(|record| record.outputs.contains_key(file))
    }

    /// Writes a frame to a file. Its last column says what kind of faces the numbers come from.
    pub(crate) fn write_frame(&self, file: &str, frame: DataFrame) -> Result<()> {
        let frame = marked(frame, self.manifest.data.kind())?;
        Ok(frame::write_csv(&self.path(file), &frame)?)
    }

    /// Reads the plan of semantic pruning for a victim.
    pub(crate) fn semantic_plan(&self, victim: Victim) -> Result<SemanticPlan> {
        let file = SemanticPlan::path(victim);
        SemanticPlan::from_frame(victim, &self.read_frame(file)?)
            .with_context(|| self.path(file).display().to_string())
    }

    /// Reads a frame without the column that [`write_frame`](Self::write_frame) adds.
    pub(crate) fn read_frame(&self, file: &str) -> Result<DataFrame> {
        Ok(frame::read_csv(&self.path(file))?.drop_many([MARK]))
    }

    /// Does a stage's work, unless it was done already on the same inputs and its outputs are
    /// untouched. Of a run that is only planned it notes what it would do.
    pub(crate) fn stage(
        &mut self,
        inputs: &Inputs<'_, impl Serialize>,
        work: impl FnOnce(&mut Outputs<'_>) -> Result<()>,
    ) -> Result<()> {
        let stage = inputs.stage;
        if self.plan.is_some() {
            self.note(inputs);
            return Ok(());
        }
        let key = self.key(inputs)?;
        match self.state(inputs, &key) {
            StageState::UpToDate => {
                tracing::info!("{stage}: up to date");
                return Ok(());
            }
            StageState::New => {}
            StageState::OtherVersion => tracing::info!("{stage}: {}", StageState::OtherVersion),
            other => tracing::debug!("{stage}: done again, since {other}"),
        }
        reset_peak_memory();
        let start = Instant::now();
        let meter = Meter::start();
        let mut outputs = Outputs::new(self);
        work(&mut outputs).with_context(|| format!("stage {stage}"))?;
        let (files, earlier_seconds) = outputs.finish();
        let mut record = record(&self.folder, (inputs.format, key), files, start)?;
        record.wall_seconds += earlier_seconds;
        // What earlier sessions took is not known.
        record.energy_joules = meter.and_then(Meter::joules).filter(|_| earlier_seconds == 0.);
        let gigabytes = |bytes| format!(", peak memory {:.2} GB", bytes as f64 / 1e9);
        let memory = record.peak_memory_bytes.map_or(String::new(), gigabytes);
        tracing::info!("{stage}: done in {:.0} s{memory}", record.wall_seconds);
        let earlier = self.manifest.stages.insert(stage, record);
        self.manifest.write(&self.folder)?;
        if let Some(earlier) = earlier {
            remove_unmade(&self.folder, &earlier, |file| self.made(stage, file));
        }
        Ok(())
    }

    /// A hash of all that a stage's outputs are made from.
    fn key(&self, inputs: &Inputs<'_, impl Serialize>) -> Result<String> {
        let hashes = inputs.reads.iter().map(|file| file_sha256(&self.path(file)));
        let hashes = hashes.collect::<Result<Vec<_>>>().map_err(|e| {
            let (stage, program) = (inputs.stage, program());
            let command = match stage {
                Stage::Judge => "compare",
                _ => "reproduce",
            };
            input(format!(
                "stage {stage} needs files of an earlier stage: {e:#}; run `{program} {command}` \
                 first"
            ))
        })?;
        for (file, hash) in inputs.reads.iter().zip(&hashes) {
            self.check_is_own(file, hash)?;
        }
        let described = (inputs.stage, inputs.format, &inputs.settings, hashes);
        Ok(sha256(&serde_json::to_vec(&described)?))
    }

    /// Makes sure that a file is the one that a stage of this run made, and not another run's.
    fn check_is_own(&self, file: &str, hash: &str) -> Result<()> {
        let made = |(stage, record): (&Stage, &StageRecord)| {
            (record.outputs.get(file)? != hash).then_some(*stage)
        };
        match self.manifest.stages.iter().find_map(made) {
            None => Ok(()),
            Some(stage) => Err(input(format!(
                "{} is not the file that this run's stage {stage} made: put that back, or give \
                 the command again that began the run, which makes it anew",
                self.path(file).display()
            ))),
        }
    }

    /// The file of the run's network, untouched since it was trained.
    ///
    /// # Errors
    /// If it is another run's. (That it cannot be read is said where it is read.)
    pub(crate) fn own_model(&self) -> Result<PathBuf> {
        let path = self.path(MODEL);
        if let Ok(hash) = file_sha256(&path) {
            self.check_is_own(MODEL, &hash)?;
        }
        Ok(path)
    }
}

/// Writes a data file whose numbers come from no faces at all, which its last column says.
pub(crate) fn write_simulated<A: Artifact>(path: &Path, artifact: &A) -> Result<()> {
    Ok(frame::write_csv(path, &marked(artifact.to_frame()?, "simulated")?)?)
}

/// A frame as the text of a CSV file, marked with the kind of its faces as the files of runs are.
pub(crate) fn marked_csv(frame: DataFrame, kind: &str) -> Result<String> {
    Ok(frame::csv_text(&marked(frame, kind)?)?)
}

/// A frame with a last column that says what kind of data its numbers come from.
fn marked(mut frame: DataFrame, kind: &str) -> Result<DataFrame> {
    let mark = vec![kind; frame.height()];
    frame.with_column(frame::column(MARK, mark))?;
    Ok(frame)
}

/// The run that a file or folder belongs to, if its manifest or one of its stages may write there.
pub(crate) fn owner(place: &Path) -> Option<&Path> {
    place.ancestors().skip(1).find(|folder| {
        let first = place.strip_prefix(folder).ok().and_then(|below| below.iter().next());
        first.is_some_and(belongs_to_a_run) && Manifest::is_of_a_run(folder)
    })
}

/// What a folder with a manifest holds, in words.
pub(crate) fn described(folder: &Path) -> String {
    let what = if Manifest::is_of_a_network(folder) { "results of a network" } else { "run" };
    format!("the {what} in {}", folder.display())
}

/// The run that a folder holds or belongs to.
pub(crate) fn holder(folder: &Path) -> Option<&Path> {
    if Manifest::is_of_a_run(folder) { Some(folder) } else { owner(folder) }
}

fn belongs_to_a_run(name: &OsStr) -> bool {
    let files = [manifest::FILE, REPORT, MODEL, NETWORK, FACE_TRACER, "data", "tables", "figures"];
    let text = name.to_string_lossy();
    files.iter().any(|own| name == *own)
        || text.starts_with("checkpoint.")
        || belongs_to_a_new_run(name)
}

/// Whether an entry of a folder is none of the user's: what a lock leaves, or what operating
/// systems leave in folders that one looks at.
pub(crate) fn is_left_behind(name: &OsStr) -> bool {
    let of_systems = [".DS_Store", "Thumbs.db", "desktop.ini", ".directory"];
    name == lock::FILE
        || of_systems.iter().any(|own| name == *own)
        || name.to_string_lossy().starts_with(claim::FILE)
}

/// Whether a run may begin in a folder with this entry: drawn faces and the list of unreadable
/// images lie there before the manifest does, and what was interrupted leaves hidden names.
fn belongs_to_a_new_run(name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    let unfinished = [synthetic::UNFINISHED, foresee_files::UNFINISHED];
    is_left_behind(name)
        || ["faces", BAD_IMAGES].iter().any(|own| name == *own)
        || unfinished.iter().any(|start| text.starts_with(start))
}
