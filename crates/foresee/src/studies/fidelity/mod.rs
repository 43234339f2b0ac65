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

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::time::{Duration, Instant};

use foresee_celeba::SplitRule;

pub(crate) use self::claim::Claim;
pub(crate) use self::page::{title as page_title, write as write_page};
pub(crate) use self::plan::Study;
use crate::artifacts::MaskRegion;
use crate::config::Config;
use crate::error::{Busy, Result, input};
use crate::faces::{self, FacesFolder};
use crate::run::{Run, Stage};
use crate::stages::run_all;
use crate::studies::runs::{Kind, MadeRun, Outcome, StudyRun, make_each};

/// What the user asks of a study.
pub(crate) struct Request<'a> {
    pub study: &'a Study,
    /// The settings of each variant.
    pub configs: &'a [Config],
    pub celeba: &'a Path,
    pub out: &'a Path,
    /// Runs of each variant, with seeds 0, 1, ….
    pub seeds: u64,
    /// Begin no run that would end later than this after the start.
    pub budget: Option<Duration>,
    pub device: &'a str,
    /// Only the run of this number in the list.
    pub only: Option<usize>,
}

/// The name of the folder of a variant's run.
pub(crate) fn run_name(variant: &str, seed: u64) -> String {
    format!("{variant}-seed{seed}")
}

/// The runs of one variant, which differ by their seed.
pub(crate) struct Group {
    pub variant: String,
    /// Whether their faces are drawn, with the run's seed.
    pub drawn: bool,
    pub runs: Vec<Run>,
}

/// A run of the list.
pub(crate) type Planned<'a> = MadeRun<'a, &'a plan::Variant>;

impl Kind for &plan::Variant {
    const LAST: Stage = Stage::Figures;

    fn title(&self) -> String {
        self.name.clone()
    }
}

/// The hash of the study's faces under each rule of splits that a variant has.
pub(crate) type FaceHashes = HashMap<SplitRule, String>;

impl Request<'_> {
    /// All runs: every variant with the first seed, then with the second, and so on.
    pub fn runs<'r>(&'r self) -> Vec<Planned<'r>> {
        let run = |seed: u64, (variant, config): (&'r plan::Variant, &'r Config)| Planned {
            kind: variant,
            seed,
            config,
            device: self.device,
            folder: self.out.join("runs").join(run_name(&variant.name, seed)),
        };
        let variants = || self.study.variants.iter().zip(self.configs);
        (0..self.seeds).flat_map(|seed| variants().map(move |of| run(seed, of))).collect()
    }

    /// Opens the faces. That is done before the first of many hours.
    pub fn open_faces(&self) -> Result<FaceHashes> {
        let mut hashes = FaceHashes::new();
        let variants = self.study.variants.iter().zip(self.configs);
        for (_, config) in variants.filter(|(variant, _)| !variant.synthetic) {
            let rule = config.data.split;
            if let Entry::Vacant(hash) = hashes.entry(rule) {
                let (_, record) = faces::open(self.celeba, rule, None, &[])?;
                hash.insert(record.sha256);
            }
        }
        Ok(hashes)
    }
}

/// Makes the runs that are not done yet.
pub(crate) fn make(request: &Request) -> Result<Outcome> {
    let runs = request.runs();
    let mut maker = Maker { request, start: Instant::now(), times: vec![] };
    make_each(request.out, &runs, request.only, |number, run| {
        let left = runs[number..].iter().filter(|run| !run.is_done()).count();
        maker.make(&format!("run {number} ({}), of {}", run.title(), runs.len()), run, left)
    })
}

/// Makes one run after the other.
struct Maker<'a> {
    request: &'a Request<'a>,
    start: Instant,
    /// How long the runs that were made now took.
    times: Vec<Duration>,
}

impl Maker<'_> {
    /// Makes a run, or checks one that is done; `left` are still to be made.
    fn make(&mut self, title: &str, run: &Planned, left: usize) -> Result<()> {
        let is_done = run.is_done();
        let each = mean(&self.times);
        let ends = self.start.elapsed() + each.unwrap_or_default();
        if !is_done && self.request.budget.is_some_and(|budget| ends > budget) {
            tracing::info!("{title}: left for later (--budget)");
            return Ok(());
        }
        let rest = |each: Duration| {
            format!(", about {} min for the rest", each.as_secs() * left as u64 / 60)
        };
        tracing::info!("{title}{}", each.map_or(String::new(), rest));
        let began = Instant::now();
        let faces = FacesFolder { path: self.request.celeba.into(), ..FacesFolder::default() };
        let faces = (!run.kind.synthetic).then_some(&faces);
        match run_all(run.config.clone(), faces, &run.folder, run.seed, run.device) {
            // Another process is checking it.
            Err(e) if is_done && e.is::<Busy>() => return Ok(()),
            made => drop(made?),
        }
        if !is_done {
            self.times.push(began.elapsed());
        }
        Ok(())
    }
}

fn mean(times: &[Duration]) -> Option<Duration> {
    (!times.is_empty()).then(|| times.iter().sum::<Duration>() / times.len() as u32)
}

/// The runs that are done, by variant. They must be on the study's faces.
pub(crate) fn done(
    request: &Request,
    hashes: &FaceHashes,
    outcome: &Outcome,
) -> Result<Vec<Group>> {
    let group = |variant: &plan::Variant| Group {
        variant: variant.name.clone(),
        drawn: variant.synthetic,
        runs: vec![],
    };
    let mut groups: Vec<Group> = request.study.variants.iter().map(group).collect();
    for (number, planned) in request.runs().iter().enumerate() {
        let has_failed = outcome.failed.iter().any(|failed| failed.number == number);
        if has_failed || !planned.is_done() {
            continue;
        }
        let run = Run::open(&planned.folder)?;
        let hash = hashes.get(&planned.config.data.split);
        if !planned.kind.synthetic && hash != Some(&run.manifest.data.sha256) {
            return Err(input(format!(
                "{} is of other faces than {}; name these, or another --out",
                planned.folder.display(),
                request.celeba.display()
            )));
        }
        groups[number % request.configs.len()].runs.push(run);
    }
    groups.retain(|group| !group.runs.is_empty());
    Ok(groups)
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
        claims.extend(claims::of_variant(group, groups, focus.as_deref())?);
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
