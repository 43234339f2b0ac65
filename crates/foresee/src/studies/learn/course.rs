//! The rounds of one strategy with one seed.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use foresee_active::{
    Decision, Model, Pool, Settings, Stream, StreamRule, StreamSettings, choose, in_random_order,
};
use foresee_celeba::CelebA;
use foresee_files::write_atomic;
use foresee_model::{Metrics, Network};
use foresee_stats::mean;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::paper::{Examples, Paper, train};
use super::{COURSES, Choice, Request};
use crate::artifacts::LearningPoint;
use crate::error::{Result, input};
use crate::interrupt::Patience;
use crate::progress::Progress;
use crate::session::images_of;
use crate::stages::train::{Asked, Classifier};

/// Faces of a stream that the networks are asked about at once; each is still decided on alone.
const LOOK: usize = 256;
/// How often the faces of a stream come again, at most.
const WALKS: u64 = 50;

/// A round that is done. The network of round r is trained on what the rounds up to r added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Round {
    /// Images that were labelled before this round's training, with what each counts.
    added: Vec<(String, f64)>,
    /// Faces of the stream that came by before they were found.
    seen: usize,
    accuracy: f64,
    balanced_accuracy: f64,
    seconds: f64,
}

/// How far apart the seeds of two courses are.
const SEEDS_APART: u64 = 1_000_000_000;

/// A strategy with a seed, and its rounds.
pub(super) struct Course {
    pub choice: Choice,
    seed: u64,
    path: PathBuf,
    pub rounds: Vec<Round>,
    /// What each labelled face counts.
    weights: HashMap<usize, f64>,
    /// Labelled faces in their order.
    labelled: Vec<usize>,
}

/// What all courses share.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub request: &'a Request<'a>,
    pub data: &'a CelebA,
    /// Faces that can be labelled.
    pub pool: &'a [usize],
    /// Faces that networks are judged on.
    pub test: &'a [usize],
    pub progress: &'a Progress,
    pub patience: &'a Patience,
}

impl<'a> Setting<'a> {
    fn paper(&self, network: Network) -> Paper<'a> {
        let Request { config, device, .. } = *self.request;
        Paper { network, data: self.data, config, device }
    }

    fn judge(&self, network: &Network) -> Result<Metrics> {
        let images = &images_of(self.request.config);
        let Self { data, test: faces, request: Request { device, .. }, .. } = *self;
        let asked = Asked { data, faces, images, device };
        Ok(asked.answer(None, &*network.answers())?.metrics()?)
    }
}

/// What the next round is trained on.
struct Added {
    faces: Vec<(usize, f64)>,
    seen: usize,
}

impl Course {
    /// The rounds that are done already.
    pub fn read(out: &Path, choice: Choice, seed: u64, data: &CelebA) -> Result<Self> {
        let path = out.join(COURSES).join(format!("{}-seed{seed}.json", choice.id()));
        let rounds: Vec<Round> = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| input(format!("{} is damaged: {e}; remove it", path.display())))?,
            Err(e) if e.kind() == ErrorKind::NotFound => vec![],
            Err(e) => return Err(input(format!("{}: {e}; remove it", path.display()))),
        };
        let face_of: HashMap<&str, usize> =
            (0..data.len()).map(|face| (data.name(face), face)).collect();
        let mut course =
            Self { choice, seed, path, rounds: vec![], weights: HashMap::new(), labelled: vec![] };
        for round in rounds {
            for (name, weight) in &round.added {
                let face = face_of.get(name.as_str()).ok_or_else(|| {
                    input(format!("{}: there is no image {name}", course.path.display()))
                })?;
                course.weights.insert(*face, *weight);
                course.labelled.push(*face);
            }
            course.rounds.push(round);
        }
        Ok(course)
    }

    pub fn points(&self, kind: &str) -> Vec<LearningPoint> {
        let mut labels = 0;
        let point = |(number, round): (usize, &Round)| {
            labels += round.added.len();
            LearningPoint {
                strategy: self.choice.id().into(),
                seed: self.seed,
                round: number,
                labels,
                accuracy: round.accuracy,
                balanced_accuracy: round.balanced_accuracy,
                seconds: round.seconds,
                data: kind.into(),
            }
        };
        self.rounds.iter().enumerate().map(point).collect()
    }

    /// A seed of this course's round, a thousand apart from the next. The first round is the same
    /// for every strategy. No two seeds of a study share one, nor is one a seed of the study.
    fn round_seed(&self, round: usize) -> u64 {
        (self.seed + 1) * SEEDS_APART + 1000 * round as u64
    }

    /// A seed of the order in which a stream's faces come for this time.
    fn walk_seed(&self, walk: u64) -> u64 {
        (self.seed + 1) * SEEDS_APART + SEEDS_APART / 2 + walk
    }

    /// Does the rounds that are left. A signal ends it between two steps; the round is then lost.
    pub fn go_on(&mut self, setting: &Setting) -> Result<()> {
        // A round that is resumed needs the network of the one before.
        let mut network = None;
        while self.rounds.len() <= setting.request.schedule.rounds {
            let start = Instant::now();
            let number = self.rounds.len();
            let added = match number {
                0 => self.first(setting),
                _ => self.choose(setting, network.take())?,
            };
            for &(face, weight) in &added.faces {
                self.weights.insert(face, weight);
                self.labelled.push(face);
            }
            let trained = self.fit(setting, &self.labelled, self.round_seed(number), true)?;
            let metrics = setting.judge(&trained)?;
            let name = |&(face, weight): &(usize, f64)| (setting.data.name(face).into(), weight);
            self.rounds.push(Round {
                added: added.faces.iter().map(name).collect(),
                seen: added.seen,
                accuracy: metrics.accuracy(),
                balanced_accuracy: metrics.balanced_accuracy(),
                seconds: start.elapsed().as_secs_f64(),
            });
            write_atomic(&self.path, &serde_json::to_vec(&self.rounds)?)?;
            network = Some(trained);
        }
        Ok(())
    }

    /// The first labels, at random: the same for all strategies of a seed.
    fn first(&self, setting: &Setting) -> Added {
        let order = in_random_order(setting.pool, self.seed).into_iter();
        let first = order.take(setting.request.schedule.start);
        Added { faces: first.map(|face| (face, 1.)).collect(), seen: 0 }
    }

    /// The faces that the strategy chooses with the network of the round before.
    fn choose(&self, setting: &Setting, network: Option<Network>) -> Result<Added> {
        let Setting { request, pool, .. } = *setting;
        let seed = self.round_seed(self.rounds.len() - 1);
        let strategy = match self.choice {
            Choice::Stream(rule) => {
                let models = match rule.needs_committee() {
                    true => self.committee(setting, seed)?,
                    false => vec![setting.paper(self.network(setting, network, seed)?)],
                };
                return self.ask_stream(request, rule, pool, &models);
            }
            Choice::Pool(strategy) => strategy,
        };
        let network = match strategy.asks_the_model() {
            true => self.network(setting, network, seed)?,
            // It is not asked.
            false => Network::new(request.config.model.clone(), 0, request.device)?,
        };
        let unlabelled = self.unlabelled(pool);
        let pool = Pool { unlabelled: &unlabelled, labelled: &self.labelled };
        let settings = Settings { combination: request.combination, seed };
        let step = request.schedule.step;
        let chosen = choose(&setting.paper(network), pool, strategy, step, settings)?;
        Ok(Added { faces: chosen.into_iter().map(|face| (face, 1.)).collect(), seen: 0 })
    }

    /// The network of the round before, trained again if the program was stopped in between.
    fn network(&self, setting: &Setting, network: Option<Network>, seed: u64) -> Result<Network> {
        match network {
            Some(network) => Ok(network),
            None => self.fit(setting, &self.labelled, seed, false),
        }
    }

    /// Networks with other seeds, each on a bootstrap of the labelled faces.
    fn committee<'a>(&self, setting: &Setting<'a>, seed: u64) -> Result<Vec<Paper<'a>>> {
        let member = |member: usize| {
            let seed = seed + 1 + member as u64;
            let drawn = bootstrap(&self.labelled, seed);
            Ok(setting.paper(self.fit(setting, &drawn, seed, true)?))
        };
        (0..setting.request.committee).map(member).collect()
    }

    /// A network trained from scratch on labelled faces, with their weights if these differ.
    fn fit(
        &self,
        setting: &Setting,
        labelled: &[usize],
        seed: u64,
        is_counted: bool,
    ) -> Result<Network> {
        let Setting { request, data, progress, patience, .. } = *setting;
        let step = |images: usize| -> Result<()> {
            if is_counted {
                progress.add(images, || format!("{}, seed {}", self.choice.id(), self.seed));
            }
            Ok(patience.interrupted().map_or(Ok(()), Err)?)
        };
        let all: Vec<f64> = labelled.iter().map(|face| self.weights[face]).collect();
        let mean = mean(&all);
        let weight = |face: usize| (self.weights[&face] / mean) as f32;
        let differ = all.iter().any(|weight| *weight != 1.);
        let examples = Examples {
            data,
            faces: labelled,
            labels: &|_, labels| Ok(labels),
            weight: differ.then_some(&weight as &dyn Fn(usize) -> f32),
        };
        train(&examples, request.config, seed, request.device, &step)
    }

    fn unlabelled(&self, pool: &[usize]) -> Vec<usize> {
        let labelled: HashSet<&usize> = self.labelled.iter().collect();
        pool.iter().copied().filter(|face| !labelled.contains(face)).collect()
    }

    /// Lets the stream go on until enough labels are asked for. Its order is random; when it ends,
    /// the faces that passed come again. The threshold begins anew with each network, whose
    /// certainty is another.
    fn ask_stream(
        &self,
        request: &Request,
        rule: StreamRule,
        pool: &[usize],
        committee: &[Paper],
    ) -> Result<Added> {
        let first: HashSet<usize> =
            self.labelled.iter().copied().take(request.schedule.start).collect();
        let mut stream_order = in_random_order(pool, self.walk_seed(0));
        stream_order.retain(|face| !first.contains(face));
        let gone: usize = self.rounds.iter().map(|round| round.seen).sum();
        let rest = &stream_order[gone.min(stream_order.len())..];
        let step = request.schedule.step;
        let settings =
            StreamSettings { labels: step, share: request.share, ..StreamSettings::default() };
        let mut stream = Stream::new(rule, settings, self.seed)?;
        let mut faces = vec![];
        let mut walk = 0u64;
        let mut rest = rest.to_vec();
        while faces.len() < step && walk <= WALKS {
            for look in rest.chunks(LOOK) {
                if faces.len() < step {
                    self.look(look, committee, &mut stream, step, &mut faces)?;
                }
            }
            // The faces that passed come again, in another order.
            walk += 1;
            let asked: HashSet<usize> = faces.iter().map(|(face, _)| *face).collect();
            rest = in_random_order(&self.unlabelled(pool), self.walk_seed(walk));
            rest.retain(|face| !asked.contains(face));
        }
        match faces.len() == step {
            true => Ok(Added { faces, seen: stream.seen() }),
            false => Err(input(format!(
                "{}, seed {}: the stream asked for {} of {step} labels although its faces came \
                 {WALKS} times; raise --share, or lower --step or --rounds",
                self.choice.id(),
                self.seed,
                faces.len()
            ))),
        }
    }

    /// Decides on some faces of a stream, one by one, until enough labels are asked for.
    fn look(
        &self,
        look: &[usize],
        committee: &[Paper],
        stream: &mut Stream,
        step: usize,
        faces: &mut Vec<(usize, f64)>,
    ) -> Result<()> {
        let answers = committee
            .iter()
            .map(|member| member.answers(look))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(foresee_active::Error::Model)?;
        for (row, &face) in look.iter().enumerate() {
            if faces.len() == step {
                break;
            }
            let members: Vec<&[f32]> =
                answers.iter().map(|answers| answers.probabilities.row(row)).collect();
            if let Decision::Ask { weight } = stream.decide(face, &members)? {
                faces.push((face, weight));
            }
        }
        Ok(())
    }
}

/// As many of these faces, drawn with replacement.
fn bootstrap(faces: &[usize], seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..faces.len()).map(|_| faces[rng.random_range(0..faces.len())]).collect()
}
