//! `fidelity`: do the paper's claims hold? Many runs of `reproduce`, and one analysis over them.

mod claims;
mod over_lambda;
mod page;
mod predictability;
mod pruning;
mod regions;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use foresee_celeba::SplitRule;
use serde::Deserialize;

use crate::config::Config;
use crate::error::input;
use crate::faces::{self, FacesArgs};
use crate::interrupt::Interrupted;
use crate::reproduce::whole;
use crate::run::Run;

#[derive(Args)]
pub struct FidelityArgs {
    /// A folder as CelebA is distributed.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// The study's folder: each run is a folder in it, the analysis is in data/, tables/, figures/
    /// and report.html.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Runs of each variant, with seeds 0, 1, ….
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Begin no run that would end later than this after the start; the analysis is then over those
    /// that are done. Give the command again to go on.
    #[arg(long, value_name = "MINUTES")]
    budget: Option<f64>,
    /// Another list of runs, in the form of data/studies/fidelity.toml.
    #[arg(long, value_name = "FILE")]
    study: Option<PathBuf>,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replaces one setting in every run, such as data.image_size=24; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Study {
    profile: String,
    #[serde(default)]
    set: Vec<String>,
    /// Whether the paper's claims are tested; without, the variants are only set beside each other.
    #[serde(default = "yes")]
    claims: bool,
    variant: Vec<Variant>,
}

fn yes() -> bool {
    true
}

/// One kind of run.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    #[serde(default)]
    synthetic: bool,
    #[serde(default)]
    set: Vec<String>,
}

/// A run of the study that is done.
struct Done {
    variant: String,
    /// Its faces are drawn, with the run's seed.
    synthetic: bool,
    run: Run,
}

/// A run that ended in an error.
struct Failed {
    variant: String,
    seed: u64,
    why: String,
}

pub fn fidelity(args: &FidelityArgs) -> Result<()> {
    let study = Study::read(args.study.as_deref())?;
    // All settings, and the faces, are checked before the first of many hours.
    let configs = study
        .variant
        .iter()
        .map(|variant| study.config(variant, &args.set))
        .collect::<Result<Vec<_>>>()?;
    if let Some(minutes) = args.budget.filter(|minutes| !(0. ..=1e7).contains(minutes)) {
        return Err(input(format!(
            "--budget {minutes} is not possible: minutes from 0 to 10000000"
        )));
    }
    if study.variant.iter().any(|variant| !variant.synthetic) {
        faces::open(&args.celeba, SplitRule::Official, None, &[])?;
    }
    let start = Instant::now();
    let planned: Vec<(u64, usize)> =
        (0..args.seeds).flat_map(|seed| (0..study.variant.len()).map(move |v| (seed, v))).collect();
    let folder = |seed: u64, v: usize| {
        args.out.join("runs").join(format!("{}-seed{seed}", study.variant[v].name))
    };
    let finished: Vec<bool> = planned
        .iter()
        .map(|&(seed, v)| {
            Run::open(&folder(seed, v)).is_ok_and(|run| run.manifest.stages.contains_key("figures"))
        })
        .collect();
    let (mut done, mut failed, mut fresh) = (vec![], vec![], vec![]);
    for (at, &(seed, v)) in planned.iter().enumerate() {
        let (variant, out, each) = (&study.variant[v], folder(seed, v), mean(&fresh));
        let to_do = finished[at..].iter().filter(|finished| !**finished).count();
        if !finished[at]
            && args.budget.is_some_and(|minutes| {
                start.elapsed() + each.unwrap_or_default() > Duration::from_secs_f64(60. * minutes)
            })
        {
            tracing::info!(
                "run {} of {}, {}, seed {seed}: left for later (--budget)",
                at + 1,
                planned.len(),
                variant.name
            );
            continue;
        }
        let left = each.map_or(String::new(), |each| {
            format!(", about {} min for the rest", each.as_secs() * to_do as u64 / 60)
        });
        tracing::info!("run {} of {}: {}, seed {seed}{left}", at + 1, planned.len(), variant.name);
        let began = Instant::now();
        let faces =
            if variant.synthetic { FacesArgs::default() } else { FacesArgs::folder(&args.celeba) };
        match whole(configs[v].clone(), &faces, &out, seed, &args.device) {
            Ok(run) => {
                done.push(Done { variant: variant.name.clone(), synthetic: variant.synthetic, run })
            }
            Err(e) if e.is::<Interrupted>() => return Err(e),
            Err(e) => {
                tracing::error!("run {}: {e:#}", out.display());
                failed.push(Failed { variant: variant.name.clone(), seed, why: format!("{e:#}") });
            }
        }
        if !finished[at] {
            fresh.push(began.elapsed());
        }
    }
    page::write(&args.out, &done, &failed, planned.len(), study.claims)?;
    match failed.first() {
        None => Ok(()),
        Some(Failed { variant, seed, why }) => Err(anyhow::anyhow!(
            "{} of {} runs failed, the analysis is over the others; the first: {variant}, seed {seed}: {why}",
            failed.len(),
            planned.len()
        )),
    }
}

fn mean(times: &[Duration]) -> Option<Duration> {
    (!times.is_empty()).then(|| times.iter().sum::<Duration>() / times.len() as u32)
}

impl Study {
    fn read(file: Option<&Path>) -> Result<Self> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|e| input(format!("study {}: {e}", path.display())))?,
            None => include_str!("../../data/studies/fidelity.toml").into(),
        };
        let study: Self =
            toml::from_str(&text).map_err(|e| input(format!("study: {}", e.to_string().trim())))?;
        for (i, variant) in study.variant.iter().enumerate() {
            let plain =
                variant.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                    && !variant.name.starts_with('.');
            if !plain
                || variant.name.is_empty()
                || study.variant[..i].iter().any(|other| other.name == variant.name)
            {
                return Err(input(format!(
                    "study: the variant's name `{}` must be its own, of letters, digits, - and _",
                    variant.name
                )));
            }
        }
        Ok(study)
    }

    fn config(&self, variant: &Variant, over: &[String]) -> Result<Config> {
        let set: Vec<String> = self.set.iter().chain(&variant.set).chain(over).cloned().collect();
        Config::resolve(&self.profile, None, &set)
            .map_err(|e| input(format!("study, variant {}: {e:#}", variant.name)))
    }
}

/// The runs of each variant, in the study's order.
fn by_variant(done: &[Done]) -> Vec<(&str, Vec<&Run>)> {
    let mut groups: Vec<(&str, Vec<&Run>)> = vec![];
    for Done { variant, run, .. } in done {
        match groups.iter_mut().find(|(name, _)| name == variant) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((variant, vec![run])),
        }
    }
    groups
}
