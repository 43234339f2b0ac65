//! `fidelity`: do the paper's claims hold? Many runs, and one analysis over them.

mod baseline;
mod by_image;
mod claim;
mod claims;
mod page;
mod plan;
mod predictability;
mod pruning;
mod regions;
mod variants;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use foresee_celeba::SplitRule;

pub(crate) use self::claim::Claim;
pub(crate) use self::page::{title as page_title, write as write_page};
pub(crate) use self::plan::Study;
use crate::artifacts::MaskRegion;
use crate::config::Config;
use crate::error::{Interrupted, Result, input};
use crate::faces::{self, FacesFolder};
use crate::run::{Run, Stage};
use crate::stages::run_all;

/// What the user asks of a study.
pub(crate) struct Request<'a> {
    pub study: &'a Study,
    pub celeba: &'a Path,
    pub out: &'a Path,
    /// Runs of each variant, with seeds 0, 1, ….
    pub seeds: u64,
    /// Begin no run that would end later than this after the start.
    pub budget: Option<Duration>,
    pub device: &'a str,
    /// Assignments for every run.
    pub set: &'a [String],
}

/// The runs of one variant, which differ by their seed.
pub(crate) struct Group {
    pub variant: String,
    /// Whether their faces are drawn, with the run's seed.
    pub drawn: bool,
    pub runs: Vec<Run>,
}

/// What a study's runs left.
pub(crate) struct Finished {
    /// Variants with runs that are done.
    pub groups: Vec<Group>,
    pub failed: Vec<Failed>,
    /// Runs that were asked for.
    pub planned: usize,
}

impl Finished {
    /// An error if a run failed.
    pub fn check(&self) -> Result<()> {
        match self.failed.first() {
            None => Ok(()),
            Some(Failed { variant, seed, reason }) => Err(anyhow::anyhow!(
                "{} of {} runs failed, the analysis is over the others; the first: {variant}, \
                 seed {seed}: {reason}",
                self.failed.len(),
                self.planned
            )),
        }
    }
}

/// A run that ended in an error.
pub(crate) struct Failed {
    pub variant: String,
    pub seed: u64,
    pub reason: String,
}

/// A run of the list.
struct Planned {
    variant: usize,
    seed: u64,
    folder: PathBuf,
    finished: bool,
}

/// Makes the runs that are not done yet.
pub(crate) fn run_study(request: &Request) -> Result<Finished> {
    let study = request.study;
    // All settings, and the faces, are checked before the first of many hours.
    let configs = study
        .variants
        .iter()
        .map(|variant| study.config(variant, request.set))
        .collect::<Result<Vec<_>>>()?;
    if study.variants.iter().any(|variant| !variant.synthetic) {
        faces::open(request.celeba, SplitRule::Official, None, &[])?;
    }
    let planned = plan(request);
    let mut runner = Runner::new(request, &configs, planned.len());
    for (at, run) in planned.iter().enumerate() {
        let left = planned[at..].iter().filter(|run| !run.finished).count();
        runner.run(at, run, left)?;
    }
    let Runner { groups, failed, .. } = runner;
    let groups: Vec<Group> = groups.into_iter().filter(|group| !group.runs.is_empty()).collect();
    Ok(Finished { groups, failed, planned: planned.len() })
}

/// All runs: every variant with the first seed, then with the second, and so on.
fn plan(request: &Request) -> Vec<Planned> {
    let variants = &request.study.variants;
    let run = |(seed, variant): (u64, usize)| {
        let name = format!("{}-seed{seed}", variants[variant].name);
        let folder = request.out.join("runs").join(name);
        let finished =
            Run::open(&folder).is_ok_and(|run| run.manifest.stages.contains_key(&Stage::Figures));
        Planned { variant, seed, folder, finished }
    };
    (0..request.seeds)
        .flat_map(|seed| (0..variants.len()).map(move |variant| (seed, variant)))
        .map(run)
        .collect()
}

/// Makes one run after the other.
struct Runner<'a> {
    request: &'a Request<'a>,
    configs: &'a [Config],
    all: usize,
    start: Instant,
    /// How long the runs that were made now took.
    times: Vec<Duration>,
    groups: Vec<Group>,
    failed: Vec<Failed>,
}

impl<'a> Runner<'a> {
    fn new(request: &'a Request<'a>, configs: &'a [Config], all: usize) -> Self {
        let group = |variant: &plan::Variant| Group {
            variant: variant.name.clone(),
            drawn: variant.synthetic,
            runs: vec![],
        };
        Self {
            request,
            configs,
            all,
            start: Instant::now(),
            times: vec![],
            groups: request.study.variants.iter().map(group).collect(),
            failed: vec![],
        }
    }

    /// Makes or opens a run; `left` are still to be made.
    fn run(&mut self, at: usize, planned: &Planned, left: usize) -> Result<()> {
        let Planned { variant, seed, folder, finished } = planned;
        let name = self.groups[*variant].variant.clone();
        let title = format!("run {} of {}: {name}, seed {seed}", at + 1, self.all);
        let each = mean(&self.times);
        let ends = self.start.elapsed() + each.unwrap_or_default();
        if !finished && self.request.budget.is_some_and(|budget| ends > budget) {
            tracing::info!("{title}: left for later (--budget)");
            return Ok(());
        }
        let rest = |each: Duration| {
            format!(", about {} min for the rest", each.as_secs() * left as u64 / 60)
        };
        tracing::info!("{title}{}", each.map_or(String::new(), rest));
        let began = Instant::now();
        let faces = FacesFolder { path: self.request.celeba.into(), ..FacesFolder::default() };
        let faces = (!self.groups[*variant].drawn).then_some(&faces);
        let config = self.configs[*variant].clone();
        match run_all(config, faces, folder, *seed, self.request.device) {
            Ok(run) => self.groups[*variant].runs.push(run),
            Err(e) if e.is::<Interrupted>() => return Err(e),
            Err(e) => {
                tracing::error!("run {}: {e:#}", folder.display());
                let reason = format!("{e:#}");
                self.failed.push(Failed { variant: name, seed: *seed, reason });
            }
        }
        if !finished {
            self.times.push(began.elapsed());
        }
        Ok(())
    }
}

fn mean(times: &[Duration]) -> Option<Duration> {
    (!times.is_empty()).then(|| times.iter().sum::<Duration>() / times.len() as u32)
}

/// What the claims' tests found.
pub(crate) struct Tested {
    pub claims: Vec<Claim>,
    /// Where masks lie on drawn faces.
    pub regions: Vec<MaskRegion>,
}

/// Tests all claims for all variants.
pub(crate) fn test_claims(groups: &[Group]) -> Result<Tested> {
    let mut claims = vec![];
    let mut rows = vec![];
    for group in groups {
        let focus = match group.drawn {
            true => Some(group.runs.iter().map(regions::measure).collect::<Result<Vec<_>>>()?),
            false => None,
        };
        claims.extend(claims::of_variant(group, groups, focus.as_deref()));
        rows.extend(focus.iter().flatten().flat_map(|seed| seed.rows(&group.variant)));
    }
    Ok(Tested { claims, regions: rows })
}

/// `--budget` in minutes as a duration.
pub(crate) fn budget(minutes: f64) -> Result<Duration> {
    match (0. ..=1e7).contains(&minutes) {
        true => Ok(Duration::from_secs_f64(60. * minutes)),
        false => {
            Err(input(format!("--budget {minutes} is not possible: minutes from 0 to 10000000")))
        }
    }
}
