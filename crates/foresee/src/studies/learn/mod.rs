//! `learn`: active learning with CelebA's labels as the person who answers. Every strategy and seed
//! is a course of rounds, each of which is stored when it is done.

mod choice;
mod course;
mod page;
mod paper;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use foresee_active::Combination;
use foresee_celeba::{ATTRIBUTES, CelebA, Split, synthetic};
use foresee_files::write_atomic;
use foresee_model::{Network, Trainer};
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::choice::Choice;
use self::course::{Course, Setting};
pub(crate) use self::page::{TITLE, summaries, write as write_page};
pub(crate) use self::paper::{Examples, Paper, train};
use crate::artifacts::LearningPoint;
use crate::config::Config;
use crate::error::{Result, input};
use crate::faces::{self, FacesFolder};
use crate::interrupt::Patience;
use crate::progress::{Progress, Unit};
use crate::provenance::first_of;
use crate::run::{DataRecord, Lock};

/// What decides the courses, and is stored beside them.
const SETTINGS: &str = "learn.json";
const COURSES: &str = "courses";
/// The seed of drawn faces.
const DRAWN_WITH: u64 = 0;

/// How many faces are labelled when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Schedule {
    /// Faces that are labelled at first, at random.
    pub start: usize,
    /// Faces that each round adds.
    pub step: usize,
    /// Rounds that choose.
    pub rounds: usize,
}

/// What the user asks of the study.
pub(crate) struct Request<'a> {
    pub faces: Option<&'a FacesFolder>,
    pub out: &'a Path,
    pub choices: &'a [Choice],
    pub seeds: u64,
    pub schedule: Schedule,
    pub combination: Combination,
    /// Networks that a committee has.
    pub committee: usize,
    /// The share of a stream that is asked about, at most.
    pub share: f64,
    pub config: &'a Config,
    pub device: &'a Device,
    pub device_name: &'a str,
}

/// What decides a course besides its strategy and seed.
#[derive(Serialize)]
struct Settings<'a> {
    faces_sha256: &'a str,
    schedule: Schedule,
    combination: &'static str,
    committee: usize,
    share: f64,
    data: Value,
    model: Value,
    train: Value,
    device: &'a str,
}

/// What is done, or would be.
pub(crate) struct Work {
    pub data: DataRecord,
    pub points: Vec<LearningPoint>,
    /// Rounds of all courses.
    pub rounds: usize,
    /// Seconds of those that are left, roughly.
    pub seconds: f64,
}

impl Request<'_> {
    fn courses(&self) -> impl Iterator<Item = (u64, Choice)> {
        (0..self.seeds).flat_map(|seed| self.choices.iter().map(move |&choice| (seed, choice)))
    }

    /// The faces. Synthetic ones are drawn if they are not there.
    fn open(&self, may_draw: bool) -> Result<(CelebA, DataRecord)> {
        let rule = self.config.data.split;
        match self.faces {
            Some(folder) => faces::open(&folder.path, rule, folder.splits.as_deref(), &[]),
            None => {
                let (folder, count) = (self.out.join("faces"), self.config.data.synthetic_faces);
                if !folder.exists() && may_draw {
                    let drawn = DataRecord::to_draw(folder.clone(), count, rule);
                    self.check_pool(first_of(drawn.train, self.config.train.limit))?;
                    faces::synthesize(&folder, count, DRAWN_WITH)?;
                }
                // Of a study that has begun, the settings say whether they are the same.
                if !has_begun(self.out) && !synthetic::is_up_to_date(&folder, count, DRAWN_WITH) {
                    return Err(input(format!(
                        "{} does not hold the {count} faces drawn with seed {DRAWN_WITH} that \
                         these settings need; name another folder with --out",
                        folder.display()
                    )));
                }
                faces::open(&folder, rule, None, &[])
            }
        }
    }

    /// The faces that can be labelled.
    fn pool(&self, data: &CelebA) -> Result<Vec<usize>> {
        let pool = faces::first(data.split(Split::Train)?, self.config.train.limit);
        self.check_pool(pool.len())?;
        Ok(pool)
    }

    /// Makes sure that there are as many training faces as are to be labelled.
    fn check_pool(&self, faces: usize) -> Result<()> {
        let Schedule { start, step, rounds } = self.schedule;
        match start + step * rounds <= faces {
            true => Ok(()),
            false => Err(input(format!(
                "{start} labels and {rounds} rounds of {step} are more than the {faces} training \
                 faces; lower --start, --step or --rounds"
            ))),
        }
    }

    fn settings(&self, record: &DataRecord) -> Result<Value> {
        let config = self.config;
        Ok(serde_json::to_value(Settings {
            faces_sha256: &record.sha256,
            schedule: self.schedule,
            combination: self.combination.id(),
            committee: self.committee,
            share: self.share,
            data: serde_json::to_value(&config.data)?,
            model: serde_json::to_value(&config.model)?,
            train: serde_json::to_value(&config.train)?,
            device: self.device_name,
        })?)
    }

    /// Makes sure that the folder holds no courses of other settings.
    fn check_settings(&self, settings: &Value) -> Result<()> {
        let path = self.out.join(SETTINGS);
        let refuse = |reason: String| {
            let path = path.display();
            input(format!("{path} {reason}; put it back, or name another folder with --out"))
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // Without it nobody knows what the courses are of.
            Err(e) if e.kind() == ErrorKind::NotFound => match self.out.join(COURSES).exists() {
                true => return Err(refuse("is missing beside courses".into())),
                false => return Ok(()),
            },
            Err(e) => return Err(refuse(format!("cannot be read ({e})"))),
        };
        let held: Value =
            serde_json::from_str(&text).map_err(|e| refuse(format!("is damaged ({e})")))?;
        let keys = settings.as_object().into_iter().flatten();
        let differing: Vec<&str> =
            keys.filter(|(k, v)| held.get(k) != Some(v)).map(|(key, _)| key.as_str()).collect();
        match differing.is_empty() {
            true => Ok(()),
            false => Err(input(format!(
                "--out {}: holds a study of other settings ({}); name another folder",
                self.out.display(),
                differing.join(", ")
            ))),
        }
    }

    /// Images that are trained on in a round that ends with so many labels.
    fn trained_in(&self, choice: Choice, round: usize) -> usize {
        let Schedule { start, step, rounds } = self.schedule;
        let members = if choice.needs_committee() && round < rounds { self.committee } else { 0 };
        (start + step * round) * self.config.train.trainer.epochs * (1 + members)
    }

    /// Seconds of the rounds that are not done, from some steps that are measured now.
    fn estimate(&self, pool: usize, test: usize, open: &[(Choice, usize)]) -> Result<f64> {
        let [training, inference] = self.pace()?;
        let of = |&(choice, round): &(Choice, usize)| {
            let passes = if choice.asks_the_model() { pool + test } else { test };
            self.trained_in(choice, round) as f64 * training + passes as f64 * inference
        };
        // The sum of nothing is -0.
        Ok(0. + open.iter().map(of).sum::<f64>())
    }

    /// Seconds that an image takes in training and in inference.
    fn pace(&self) -> Result<[f64; 2]> {
        const BATCH: usize = 32;
        const GOES: usize = 4;
        let Config { data, model, train, .. } = self.config;
        let network = Network::new(model.clone(), 0, self.device)?;
        let shape = (BATCH, 3, data.image_size, data.image_size);
        let images = Tensor::rand(-1f32, 1., shape, self.device)?;
        let labels = Tensor::zeros((BATCH, ATTRIBUTES.len()), images.dtype(), self.device)?;
        let mut trainer = Trainer::new(network, train.trainer.clone(), 1000)?;
        trainer.step(&images, &labels)?;
        let seconds = |start: Instant| start.elapsed().as_secs_f64() / (GOES * BATCH) as f64;
        let start = Instant::now();
        for _ in 0..GOES {
            trainer.step(&images, &labels)?;
        }
        let training = seconds(start);
        let frozen = trainer.network().frozen();
        let start = Instant::now();
        for _ in 0..GOES {
            frozen.forward(&images)?.logits.to_vec2::<f32>()?;
        }
        Ok([training, seconds(start)])
    }
}

/// Whether a study was begun in a folder.
pub(crate) fn has_begun(out: &Path) -> bool {
    out.join(SETTINGS).exists()
}

/// Rounds that are not done: the choice and the number.
fn open_rounds(request: &Request, courses: &[Course]) -> Vec<(Choice, usize)> {
    let rounds = request.schedule.rounds;
    let open = |course: &Course| {
        let choice = course.choice;
        (course.rounds.len()..=rounds).map(move |round| (choice, round))
    };
    courses.iter().flat_map(open).collect()
}

fn points(courses: &[Course], record: &DataRecord) -> Vec<LearningPoint> {
    courses.iter().flat_map(|course| course.points(record.kind())).collect()
}

/// Says what is left to be done.
pub(crate) fn plan(request: &Request) -> Result<Work> {
    let rounds = request.courses().count() * (request.schedule.rounds + 1);
    if request.faces.is_none() && !request.out.join("faces").exists() {
        let config = &request.config.data;
        let path = request.out.join("faces");
        let data = DataRecord::to_draw(path, config.synthetic_faces, config.split);
        let open: Vec<(Choice, usize)> = request
            .courses()
            .flat_map(|(_, choice)| (0..=request.schedule.rounds).map(move |r| (choice, r)))
            .collect();
        let pool = first_of(data.train, request.config.train.limit);
        request.check_pool(pool)?;
        let seconds = request.estimate(pool, data.test, &open)?;
        return Ok(Work { data, points: vec![], rounds, seconds });
    }
    let (data, record) = request.open(false)?;
    let pool = request.pool(&data)?;
    request.check_settings(&request.settings(&record)?)?;
    let courses = read(request, &data)?;
    let seconds = request.estimate(pool.len(), record.test, &open_rounds(request, &courses))?;
    Ok(Work { points: points(&courses, &record), data: record, rounds, seconds })
}

fn read(request: &Request, data: &CelebA) -> Result<Vec<Course>> {
    request.courses().map(|(seed, choice)| Course::read(request.out, choice, seed, data)).collect()
}

/// Does all rounds that are not done.
pub(crate) fn run(request: &Request) -> Result<Work> {
    let _lock = Lock::take(request.out)?;
    let (data, record) = request.open(true)?;
    let pool = request.pool(&data)?;
    let test = data.split(Split::Test)?;
    let settings = request.settings(&record)?;
    request.check_settings(&settings)?;
    let text = serde_json::to_string_pretty(&settings)? + "\n";
    write_atomic(&request.out.join(SETTINGS), text.as_bytes())?;
    let mut courses = read(request, &data)?;
    let open = open_rounds(request, &courses);
    let rounds = request.courses().count() * (request.schedule.rounds + 1);
    let seconds = request.estimate(pool.len(), test.len(), &open)?;
    tracing::info!(
        "{} of {rounds} rounds are to be done, about {:.0} minutes; each trains from scratch",
        open.len(),
        (seconds / 60.).ceil()
    );
    let total: usize = open.iter().map(|&(c, round)| request.trained_in(c, round)).sum();
    let progress = Progress::new("learning", Unit::Images, total, 0);
    let patience = Patience::begin();
    let setting = Setting {
        request,
        data: &data,
        pool: &pool,
        test: &test,
        progress: &progress,
        patience: &patience,
    };
    courses.iter_mut().try_for_each(|course| course.go_on(&setting))?;
    Ok(Work { points: points(&courses, &record), data: record, rounds, seconds })
}
