//! `study`: a forward simulation study with people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use foresee_people::{PeopleScore, needed};
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::{RunArgs, trained_run};
use super::json::{JsonArgs, path_text, print_json};
use crate::device;
use crate::error::{Result, input};
use crate::operate::Opened;
use crate::output::{OverwriteArgs, check_new_folder, print};
use crate::studies::people::{
    Choices, Database, Design, MakeRequest, Materials, PlanRequest, PowerRow, Study, analyse,
    is_study, make, plan, router, simulate, write_report,
};
use crate::web::{ServeOptions, serve};

/// The commands, in the order in which a study is made.
#[derive(Subcommand)]
pub enum StudyCommand {
    /// Draw a study on a run: faces, operations, arms, and what each person is asked.
    ///
    /// It writes a folder with design.toml, which can be preregistered, and all that people will be
    /// shown. Give choices of your own as a TOML file; what it leaves out keeps its default. The
    /// part [choices] of any design.toml shows all of them.
    ///
    ///   foresee study new --run runs/celeba --out study
    ///   foresee study new --run runs/celeba --out study --choices mine.toml
    ///   foresee study new --run runs/celeba --out study --arms none,lrp,shuffled_lrp
    #[command(verbatim_doc_comment)]
    New(NewArgs),
    /// Say how many people are needed, by simulation.
    ///
    /// Simulated people follow the contributions of the face in part, and guess in part. Those with
    /// an explanation follow them further. How far is an assumption that you give.
    ///
    ///   foresee study plan study
    ///   foresee study plan study --follows 0.5 --control 0.3 --people 20,40,80
    #[command(verbatim_doc_comment)]
    Plan(PlanArgs),
    /// Ask people: serve the study's page until Ctrl-C.
    ///
    /// It prints a link. Answers are in answers.sqlite in the study's folder as soon as they are
    /// given; start it again and it goes on.
    ///
    ///   foresee study serve study
    ///   foresee study serve study --address 0.0.0.0 --port 8080
    #[command(verbatim_doc_comment)]
    Serve(StudyServeArgs),
    /// Let people who do not exist answer, to see what comes out. All of it is marked so.
    ///
    ///   foresee study simulate study --people 80
    ///   foresee study score study --simulated
    #[command(verbatim_doc_comment)]
    Simulate(SimulateArgs),
    /// Score what people answered: figures, tables, report.html, and CSV files with a codebook.
    ///
    ///   foresee study score study
    #[command(verbatim_doc_comment)]
    Score(ScoreArgs),
}

#[derive(Args)]
pub struct NewArgs {
    #[command(flatten)]
    run: RunArgs,
    /// The study's folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A TOML file of choices.
    #[arg(long, value_name = "FILE")]
    choices: Option<PathBuf>,
    /// What is shown: none, masks, contributions, correlation or an attribution method; shuffled_
    /// before it makes a control.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    arms: Vec<String>,
    /// Decides every draw. Default: that of the choices, 0.
    #[arg(long)]
    seed: Option<u64>,
    /// Trials of each person that count.
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Test faces.
    #[arg(long, value_name = "N")]
    faces: Option<usize>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
}

#[derive(Args)]
pub struct PlanArgs {
    /// The study's folder.
    study: PathBuf,
    /// Numbers of people of each arm to try.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10, 20, 40, 80])]
    people: Vec<usize>,
    /// How far people with an explanation follow the contributions: 0 guesses, 1 follows.
    #[arg(long, value_name = "W", default_value_t = 0.5)]
    follows: f64,
    /// How far people of the control do.
    #[arg(long, value_name = "W", default_value_t = 0.3)]
    control: f64,
    /// Standard deviation of that between people.
    #[arg(long, value_name = "SD", default_value_t = 0.15)]
    spread: f64,
    /// The score that is compared: skill, rank_of_outputs, rank_of_items, locality, direction or
    /// largest.
    #[arg(long, value_name = "NAME", default_value = "rank_of_outputs")]
    score: String,
    /// The share of studies that shall find the difference.
    #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
    power: f64,
    /// Studies that are simulated.
    #[arg(long, value_name = "N", default_value_t = 100)]
    studies: usize,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Args)]
pub struct StudyServeArgs {
    /// The study's folder.
    study: PathBuf,
    #[command(flatten)]
    serve: ServeOptions,
}

#[derive(Args)]
pub struct SimulateArgs {
    /// The study's folder. Their answers are kept in `simulated` in it.
    study: PathBuf,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 80)]
    people: usize,
}

#[derive(Args)]
pub struct ScoreArgs {
    /// The study's folder.
    study: PathBuf,
    /// Score the simulated people in its place.
    #[arg(long)]
    simulated: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// Bootstrap samples of each simulated study.
const PLAN_RESAMPLES: usize = 200;
/// People an arm, simulated studies and simulated people at most.
const MOST: usize = 100_000;

pub(super) fn study(command: &StudyCommand) -> Result<()> {
    match command {
        StudyCommand::New(args) => new(args),
        StudyCommand::Plan(args) => planned(args),
        StudyCommand::Serve(args) => served(args),
        StudyCommand::Simulate(args) => simulated(args),
        StudyCommand::Score(args) => scored(args),
    }
}

fn choices(args: &NewArgs) -> Result<Choices> {
    let mut choices = match &args.choices {
        None => Choices::default(),
        Some(file) => {
            let shown = file.display();
            let text = std::fs::read_to_string(file)
                .map_err(|e| input(format!("--choices {shown}: {e}")))?;
            toml::from_str(&text).map_err(|e| input(format!("--choices {shown}: {e}")))?
        }
    };
    if !args.arms.is_empty() {
        let arm = |id: &String| id.parse().map_err(|e| input(format!("--arms: {e}")));
        choices.arms = args.arms.iter().map(arm).collect::<Result<_>>()?;
    }
    choices.seed = args.seed.unwrap_or(choices.seed);
    choices.trials = args.trials.unwrap_or(choices.trials);
    choices.faces = args.faces.unwrap_or(choices.faces);
    Ok(choices)
}

fn new(args: &NewArgs) -> Result<()> {
    let choices = choices(args)?;
    let reads = [args.run.run.as_path()];
    check_new_folder("--out", &args.out, is_study, &reads, args.overwrite)?;
    let run = trained_run(&args.run.run)?;
    let device = device::of_run(args.run.device.as_deref(), &run)?;
    let opened = Opened::open(run, device)?;
    make(MakeRequest { opened: &opened, choices, out: &args.out })?;
    let out = args.out.display();
    tracing::info!(
        "{out}/design.toml is the design: read it, replace the text of consent, and preregister it"
    );
    Ok(())
}

/// The answer to `plan` as `--json` prints it.
#[derive(Serialize)]
struct PlanDocument<'a> {
    /// No person has answered.
    simulated: bool,
    score: &'a str,
    power: f64,
    needed: Option<usize>,
    /// Rows of data/power.csv.
    tried: Rows,
}

fn planned(args: &PlanArgs) -> Result<()> {
    let is_share = |v: f64| (0. ..=1.).contains(&v);
    if ![args.follows, args.control, args.spread, args.power].into_iter().all(is_share) {
        return Err(input("--follows, --control, --spread and --power are from 0 to 1"));
    }
    let ascending = args.people.windows(2).all(|pair| pair[0] < pair[1]);
    let in_range = |n: &usize| (2..=MOST).contains(n);
    if !ascending || !args.people.iter().all(in_range) || !(1..=MOST).contains(&args.studies) {
        return Err(input("--people: give numbers from 2, ascending; --studies is at least 1"));
    }
    let score = PeopleScore::from_id(&args.score).filter(|score| score.is_of_rules());
    let score = score.ok_or_else(|| {
        let known = PeopleScore::ALL.into_iter().filter(|score| score.is_of_rules());
        let known: Vec<&str> = known.map(PeopleScore::id).collect();
        input(format!("--score {:?}: give one of {}", args.score, known.join(", ")))
    })?;
    let found = plan(&PlanRequest {
        study: &args.study,
        people: &args.people,
        follows: args.follows,
        control_follows: args.control,
        spread: args.spread,
        score,
        studies: args.studies,
        resamples: PLAN_RESAMPLES,
    })?;
    let enough = needed(&found, args.power);
    if args.json.is_asked() {
        let rows: Vec<PowerRow> = found.iter().map(PowerRow::from).collect();
        let tried = Rows(PowerRow::to_frame(&rows)?);
        let document = PlanDocument {
            simulated: true,
            score: score.id(),
            power: args.power,
            needed: enough,
            tried,
        };
        return print_json(&document);
    }
    let mut text = format!(
        "{} simulated studies each; SIMULATED PEOPLE who follow the contributions with {} and {}\n",
        args.studies, args.follows, args.control
    );
    for of in &found {
        text.push_str(&format!(
            "{:6} people an arm: power {:.2}; {} {:.3} against {:.3}, interval of the difference \
             {:.3} wide\n",
            of.people,
            of.power,
            score.title(),
            of.score,
            of.control,
            of.width
        ));
    }
    text.push_str(&match enough {
        Some(people) => {
            format!("{people} people an arm are enough for a power of {}\n", args.power)
        }
        None => format!("more people are needed for a power of {}\n", args.power),
    });
    print(&text)
}

fn served(args: &StudyServeArgs) -> Result<()> {
    let study = open(&args.study)?;
    // People come back to the link that they had.
    let remember = args.study.join("served.json");
    serve(&args.serve, Some(&remember), |guard| Ok(router(study, guard)))
}

fn open(folder: &Path) -> Result<Study> {
    let (design, hash) = Design::read(folder)?;
    let materials = Materials::read(folder, &design)?;
    let database = Database::open(folder, &hash, false)?;
    Ok(Study { design, materials, database })
}

fn simulated(args: &SimulateArgs) -> Result<()> {
    if !(1..=MOST).contains(&args.people) {
        return Err(input(format!("--people is from 1 to {MOST}")));
    }
    simulate(&args.study, args.people)
}

/// The scores as `--json` prints them.
#[derive(Serialize)]
struct ScoreDocument {
    folder: String,
    simulated: bool,
    synthetic: bool,
    admitted: usize,
    withdrawn: usize,
    excluded: BTreeMap<&'static str, usize>,
    scores: Rows,
    contrasts: Rows,
}

fn scored(args: &ScoreArgs) -> Result<()> {
    let analysis = analyse(&args.study, args.simulated)?;
    write_report(&analysis)?;
    tracing::info!("open {}", analysis.folder.join("report.html").display());
    if args.json.is_asked() {
        print_json(&ScoreDocument {
            folder: path_text(&analysis.folder),
            simulated: analysis.simulated,
            synthetic: analysis.synthetic(),
            admitted: analysis.admitted,
            withdrawn: analysis.withdrawn,
            excluded: analysis.excluded.iter().copied().collect(),
            scores: Rows(Record::to_frame(&analysis.scores)?),
            contrasts: Rows(Record::to_frame(&analysis.contrasts)?),
        })?;
    }
    Ok(())
}
