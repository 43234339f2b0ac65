//! `learn`: active learning with CelebA's labels.

use std::path::PathBuf;

use clap::Args;
use foresee_active::{Combination, Strategy};
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::{FEW_FACES, FacesArgs, at_least_one, one_of};
use super::json::{JsonArgs, path_text, print_json};
use super::time::duration;
use crate::artifacts::{LearningPoint, LearningSummary};
use crate::config::Config;
use crate::device::device;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::learn::{
    Choice, Request, Schedule, TITLE, Work, has_begun, plan, run, summaries, write_page,
};

/// What differs from the profile by default, besides [`FEW_FACES`].
const SMALL: [&str; 2] = ["data.image_size=16", "train.epochs=15"];

#[derive(Args)]
pub struct LearnArgs {
    #[command(flatten)]
    faces: FacesArgs,
    /// The study's folder. Each round is stored in it when it is done.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Strategies, with commas between. Random is always there. Those of a stream decide face by
    /// face; stream_importance and stream_disagreement train a committee in each round.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "random,entropy,k_centre,badge",
        value_parser = one_of(Choice::all().map(Choice::id), Choice::from_id)
    )]
    strategy: Vec<Choice>,
    /// Courses of each strategy, with seeds 0, 1, ….
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Faces that are labelled at first, at random.
    #[arg(long, default_value_t = 100, value_parser = at_least_one)]
    start: usize,
    /// Faces that each round labels.
    #[arg(long, default_value_t = 100, value_parser = at_least_one)]
    step: usize,
    /// Rounds that choose faces.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Passes over the labelled faces in each training, short for --set train.epochs=N.
    /// [default: 15]
    #[arg(long, value_name = "N")]
    passes: Option<usize>,
    /// How scores of the 40 attributes become one score of a face; joint takes all 40 answers as
    /// one class.
    #[arg(
        long,
        default_value = "mean",
        value_parser = one_of(Combination::ALL.map(Combination::id), Combination::from_id)
    )]
    combination: Combination,
    /// Networks of a committee, for stream_importance and stream_disagreement.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=50))]
    committee: u16,
    /// The share of the faces of a stream that is asked about, at most.
    #[arg(long, default_value_t = 0.25)]
    share: f64,
    /// The accuracy that labels are counted for, in percent. [default: what random choice reaches
    /// with all labels]
    #[arg(long, value_name = "PERCENT")]
    target: Option<f64>,
    /// Settings to start from, as in `reproduce`; by default with images of 16 pixels, 16 channels
    /// and 15 passes, so that a study on 8,000 faces takes about 15 minutes on one core.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Replaces one setting, such as data.image_size=24; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Write nothing: say how many rounds are left, and about how long they take.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    json: JsonArgs,
}

/// The study as `--json` prints it.
#[derive(Serialize)]
struct Document {
    folder: String,
    synthetic: bool,
    /// Rounds of all courses, and how many of them are done.
    rounds: usize,
    done: usize,
    /// Seconds of what was left when the command began, an estimate.
    estimated_seconds: f64,
    /// Rows of data/learning_curves.csv.
    points: Rows,
    /// Rows of data/learning_summary.csv; none while nothing is done.
    summary: Option<Rows>,
}

pub(super) fn learn(args: &LearnArgs) -> Result<()> {
    let mut set: Vec<String> = SMALL.into_iter().chain(FEW_FACES).map(String::from).collect();
    set.extend(args.passes.map(|passes| format!("train.epochs={passes}")));
    set.extend(args.set.iter().cloned());
    let config = Config::resolve(&args.profile, None, &set)?;
    config.check_is_of_paper()?;
    if args.faces.skip_bad.is_some() || args.faces.cache.is_some() {
        return Err(input(
            "--skip-bad and --cache: `learn` takes neither; `data check` lists bad images",
        ));
    }
    if args.passes.is_some_and(|passes| passes != config.train.trainer.epochs) {
        return Err(input(
            "--passes and --set train.epochs set the same thing to different values; give one",
        ));
    }
    let target = args.target.map(|percent| percent / 100.);
    if target.is_some_and(|share| !(0. ..=1.).contains(&share)) {
        return Err(input("--target: a number from 0 to 100"));
    }
    if !(args.share > 0. && args.share <= 1.) {
        return Err(input("--share: a number from 0 to 1, above 0"));
    }
    if !args.dry_run {
        check_folder("--out", &args.out, TITLE, has_begun(&args.out), args.overwrite)?;
    }
    let faces = args.faces.folder()?;
    let random = Choice::Pool(Strategy::Random);
    let choices = distinct(std::iter::once(random).chain(args.strategy.iter().copied()));
    let request = Request {
        faces: faces.as_ref(),
        out: &args.out,
        choices: &choices,
        seeds: args.seeds,
        schedule: Schedule { start: args.start, step: args.step, rounds: args.rounds },
        combination: args.combination,
        committee: usize::from(args.committee),
        share: args.share,
        config: &config,
        device: &device(&args.device)?,
        device_name: &args.device,
    };
    let work = match args.dry_run {
        true => plan(&request)?,
        false => run(&request)?,
    };
    if !args.dry_run {
        write_page(&args.out, &work, &config, target)?;
    }
    if args.json.is_asked() {
        return print_json(&document(args, &work, target)?);
    }
    match args.dry_run {
        true => print(&format!(
            "{}\n{}\n{} of {} rounds are done; the others take about {} at this machine's \
             present load.\nNothing was written.\n",
            args.out.display(),
            work.data.description(),
            work.points.len(),
            work.rounds,
            duration(work.seconds)
        )),
        false => Ok(()),
    }
}

fn document(args: &LearnArgs, work: &Work, target: Option<f64>) -> Result<Document> {
    let summary = match work.points.is_empty() {
        true => None,
        false => Some(Rows(LearningSummary::to_frame(&summaries(&work.points, target)?)?)),
    };
    Ok(Document {
        folder: path_text(&args.out),
        synthetic: work.data.synthetic,
        rounds: work.rounds,
        done: work.points.len(),
        estimated_seconds: work.seconds,
        points: Rows(LearningPoint::to_frame(&work.points)?),
        summary,
    })
}
