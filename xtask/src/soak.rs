//! `soak`: a run that is killed and started again ends with the same bytes as one that was not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use foresee::config::Config;
use foresee::error::input;
use foresee::hash::file_sha256;
use foresee::output::print;
use foresee::run::{Run, Stage};
use foresee_report::{Record, frame, record};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What differs from the profile `smoke`: more steps to be killed in, so many that masks fall
/// asleep, and a checkpoint at each.
const SETTINGS: &str = "train.epochs=8 train.batch_size=8 train.average=0.9 train.sleep=0.8 \
                        train.checkpoint_seconds=0";

/// What must be the same, besides model.safetensors; of the figures PNG and SVG.
const COMPARED: [&str; 3] = ["data", "tables", "figures"];

#[derive(Args)]
pub struct SoakArgs {
    /// How many runs are killed, in turn by SIGKILL, SIGTERM and Ctrl-C, at moments spread over the
    /// time that an uninterrupted run takes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    kills: u32,
    /// Where the runs and soak.csv are kept. Default: a temporary folder, which stays if a run was
    /// not the same.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Decides the moments.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replaces one setting of the small run, such as train.epochs=10; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

record! {
    /// A killed run.
    struct Kill {
        /// From 1.
        kill: usize,
        /// How it was killed.
        signal: String,
        /// After how long.
        after_seconds: f64,
        /// The last stage that it had finished.
        finished: String,
        /// Files that were not the same in the end, with spaces between.
        different_files: String,
    }
}

pub fn soak(args: &SoakArgs) -> Result<()> {
    let set: Vec<String> =
        SETTINGS.split(' ').map(String::from).chain(args.set.iter().cloned()).collect();
    Config::resolve("smoke", None, &set)?;
    let mut temporary = None;
    let folder = match &args.out {
        Some(out) if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) => {
            return Err(input(format!(
                "{} is not empty; name a new folder with --out",
                out.display()
            )));
        }
        Some(out) => out.clone(),
        None => temporary.insert(tempfile::tempdir()?).path().into(),
    };
    std::fs::create_dir_all(&folder)
        .map_err(|e| input(format!("{}: {e}; name another folder with --out", folder.display())))?;
    let kills = kill_all(args, &Runs { folder: folder.clone(), set });
    let all_same = |kills: &Vec<Kill>| kills.iter().all(|kill| kill.different_files.is_empty());
    if !kills.as_ref().is_ok_and(all_same) {
        // What went wrong can be looked at.
        temporary.map(tempfile::TempDir::keep);
    }
    report(&folder, &kills?)
}

fn kill_all(args: &SoakArgs, runs: &Runs) -> Result<Vec<Kill>> {
    let (expected, mut whole) = runs.reference()?;
    let mut random = ChaCha8Rng::seed_from_u64(args.seed);
    let bar = ProgressBar::new(args.kills.into()).with_style(ProgressStyle::with_template(
        "killing {wide_bar} {pos}/{len} ETA {eta} {msg}",
    )?);
    let mut kills: Vec<Kill> = vec![];
    while kills.len() < args.kills as usize {
        // One in each part of the run.
        let part = kills.len() as f64 + random.random_range(0. ..1.);
        let after = whole.mul_f64(part / f64::from(args.kills));
        let kill = match runs.kill(kills.len(), after, &expected)? {
            Outcome::Killed(kill) => kill,
            // Other work on the machine may have slowed down those before.
            Outcome::Ended(took) => {
                whole = whole.min(took);
                continue;
            }
        };
        let same = kills.iter().filter(|k| k.different_files.is_empty()).count()
            + usize::from(kill.different_files.is_empty());
        kills.push(kill);
        bar.set_message(format!("{same} the same"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(kills)
}

/// Small runs in folders of their own.
struct Runs {
    folder: PathBuf,
    set: Vec<String>,
}

enum Outcome {
    Killed(Kill),
    /// It took so long, and was not killed.
    Ended(Duration),
}

/// How often it is looked whether a run has ended.
const STEP: Duration = Duration::from_millis(10);

impl Runs {
    /// The hashes that an uninterrupted run leaves, and the time it takes.
    fn reference(&self) -> Result<(BTreeMap<String, String>, Duration)> {
        let start = Instant::now();
        let status = self.start("uninterrupted")?.wait()?;
        self.succeeded("uninterrupted", status)?;
        Ok((hashes(&self.folder.join("uninterrupted"))?, start.elapsed()))
    }

    /// Starts a run, kills it, starts it again; unless it ends before.
    fn kill(
        &self,
        number: usize,
        after: Duration,
        expected: &BTreeMap<String, String>,
    ) -> Result<Outcome> {
        let name = format!("killed-{number}");
        let out = self.folder.join(&name);
        let start = Instant::now();
        let mut child = self.start(&name)?;
        loop {
            if let Some(status) = child.try_wait()? {
                self.succeeded(&name, status)?;
                std::fs::remove_dir_all(&out)?;
                return Ok(Outcome::Ended(start.elapsed()));
            }
            let rest = after.saturating_sub(start.elapsed());
            if rest.is_zero() {
                break;
            }
            std::thread::sleep(STEP.min(rest));
        }
        let signal = send(&mut child, number)?;
        child.wait()?;
        let finished = finished(&out);
        ensure!(keeps_the_training(&out), "{name}: its training was lost");
        let status = self.start(&name)?.wait()?;
        self.succeeded(&name, status)?;
        let found = hashes(&out)?;
        let all: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let differs = |file: &&String| expected.get(*file) != found.get(*file);
        let different: Vec<String> = all.into_iter().filter(differs).cloned().collect();
        if different.is_empty() {
            std::fs::remove_dir_all(&out)?;
        }
        Ok(Outcome::Killed(Kill {
            kill: number + 1,
            signal: signal.into(),
            after_seconds: after.as_secs_f64(),
            finished: finished.into(),
            different_files: different.join(" "),
        }))
    }

    fn start(&self, name: &str) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.log(name))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["reproduce", "--profile", "smoke", "--out"]).arg(self.folder.join(name));
        command.stderr(log.try_clone()?).stdout(log);
        command.args(self.set.iter().flat_map(|setting| ["--set", setting]));
        command.spawn().context("starting a run")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn succeeded(&self, name: &str, status: ExitStatus) -> Result<()> {
        match status.success() {
            true => Ok(()),
            false => bail!(
                "the run {name} ended with {status}: {}",
                std::fs::read_to_string(self.log(name)).unwrap_or_default().trim()
            ),
        }
    }
}

/// Ends a run, each time in another way; how.
#[cfg(unix)]
fn send(child: &mut Child, number: usize) -> Result<&'static str> {
    use rustix::process::{Pid, Signal, kill_process};
    let (name, signal) =
        [("SIGKILL", Signal::KILL), ("SIGTERM", Signal::TERM), ("SIGINT", Signal::INT)][number % 3];
    kill_process(Pid::from_child(child), signal)
        .or_else(|e| if e == rustix::io::Errno::SRCH { Ok(()) } else { Err(e) })?;
    Ok(name)
}

#[cfg(not(unix))]
fn send(child: &mut Child, _: usize) -> Result<&'static str> {
    child.kill()?;
    Ok("killed")
}

/// The last stage that a killed run had finished.
fn finished(run: &Path) -> &'static str {
    let Ok(run) = Run::open(run) else { return "nothing" };
    let done = |stage: &&Stage| run.manifest.stages.contains_key(stage);
    Stage::ALL.iter().rev().find(done).map_or("faces", |stage| stage.id())
}

/// Whether a training that has made its model is in the manifest, or has its checkpoint still.
fn keeps_the_training(run: &Path) -> bool {
    let is_there = |file: &str| run.join(file).exists();
    !is_there("model.safetensors") || finished(run) != "faces" || is_there("checkpoint.safetensors")
}

/// Hashes of all files that must be the same.
fn hashes(run: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::from([(
        "model.safetensors".to_owned(),
        file_sha256(&run.join("model.safetensors"))?,
    )]);
    for part in COMPARED {
        for entry in std::fs::read_dir(run.join(part))
            .with_context(|| format!("{} of {}", part, run.display()))?
        {
            let path = entry?.path();
            found.insert(path.strip_prefix(run)?.display().to_string(), file_sha256(&path)?);
        }
    }
    Ok(found)
}

fn report(folder: &Path, kills: &[Kill]) -> Result<()> {
    frame::write_csv(&folder.join("soak.csv"), &Kill::to_frame(kills)?)?;
    let mut stages: BTreeMap<&str, usize> = BTreeMap::new();
    kills.iter().for_each(|kill| *stages.entry(kill.finished.as_str()).or_default() += 1);
    let stages: Vec<String> =
        stages.iter().map(|(stage, count)| format!("{stage} {count}")).collect();
    let same = kills.iter().filter(|kill| kill.different_files.is_empty()).count();
    print(&format!(
        "{same} of {} killed runs ended with the same bytes as the uninterrupted one (killed \
         after: {})\n",
        kills.len(),
        stages.join(", ")
    ))?;
    match kills.iter().find(|kill| !kill.different_files.is_empty()) {
        None => Ok(()),
        Some(kill) => bail!(
            "{} after {:.2} s, behind {}: {} differ; the runs are in {}",
            kill.signal,
            kill.after_seconds,
            kill.finished,
            kill.different_files,
            folder.display()
        ),
    }
}
