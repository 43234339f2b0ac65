//! The rounds of one strategy with one seed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use foresee_active::{
    Decision, Model, Pool, Settings, Stream, StreamRule, StreamSettings, choose, in_random_order,
};
use foresee_celeba::CelebA;
use foresee_files::write_atomic;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::paper::{Examples, Paper, preprocessing, train};
use super::{Choice, Request};
use crate::artifacts::LearningPoint;
use crate::error::{Result, input};
use crate::interrupt::Patience;
use crate::progress::Progress;
use crate::stages::train::predict;

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

/// What the next round is trained on.
struct Added {
    faces: Vec<(usize, f64)>,
    seen: usize,
}

impl Course {
    /// The rounds that are done already.
    pub fn read(out: &Path, choice: Choice, seed: u64, data: &CelebA) -> Result<Self> {
        let path = out.join("courses").join(format!("{}-seed{seed}.json", choice.id()));
        let rounds: Vec<Round> = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| input(format!("{} is damaged: {e}; remove it", path.display())))?,
            Err(_) => vec![],
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

    /// A seed of this course's round. The first round is the same for every strategy.
    fn round_seed(&self, round: usize) -> u64 {
        self.seed * 1000 + round as u64
    }

    /// Does the rounds that are left. A signal ends it between two steps; the round is then lost.
    pub fn go_on(
        &mut self,
        request: &Request,
        data: &CelebA,
        pool: &[usize],
        test: &[usize],
        progress: &Progress,
        patience: &Patience,
    ) -> Result<()> {
        let step = |images: usize| -> Result<()> {
            let (choice, seed) = (self.choice.id(), self.seed);
            progress.add(images, || format!("{choice}, seed {seed}"));
            Ok(patience.interrupted().map_or(Ok(()), Err)?)
        };
        // A round that is resumed needs the network of the one before.
        let mut network = None;
        let given = |_: &[usize], labels| Ok(labels);
        while self.rounds.len() <= request.schedule.rounds {
            let start = Instant::now();
            let number = self.rounds.len();
            let paper =
                |network| Paper { network, data, config: request.config, device: request.device };
            let fit = |labelled: &[usize],
                       weights: &HashMap<usize, f64>,
                       seed,
                       step: &dyn Fn(usize) -> Result<()>| {
                let mean =
                    labelled.iter().map(|face| weights[face]).sum::<f64>() / labelled.len() as f64;
                let weight = |face: usize| (weights[&face] / mean) as f32;
                let differ = labelled.iter().any(|face| weights[face] != 1.);
                let weight = differ.then_some(&weight as &dyn Fn(usize) -> f32);
                let examples = Examples { data, faces: labelled, labels: &given, weight };
                train(&examples, request.config, seed, request.device, step)
            };
            let quiet = |_: usize| Ok(patience.interrupted().map_or(Ok(()), Err)?);
            let added = if number == 0 {
                let first = in_random_order(pool, self.seed).into_iter();
                let faces = first.take(request.schedule.start).map(|face| (face, 1.)).collect();
                Added { faces, seen: 0 }
            } else {
                let seed = self.round_seed(number - 1);
                let now = match network.take() {
                    Some(network) => network,
                    None if !self.choice.asks_the_model() => foresee_model::Network::new(
                        request.config.model.clone(),
                        0,
                        request.device,
                    )?,
                    None => fit(&self.labelled, &self.weights, seed, &quiet)?,
                };
                let mut committee = vec![paper(now)];
                if self.choice.needs_committee() {
                    committee.clear();
                    for member in 0..request.committee as u64 {
                        let seed = (seed * 100) + 1 + member;
                        let drawn = bootstrap(&self.labelled, seed);
                        committee.push(paper(fit(&drawn, &self.weights, seed, &step)?));
                    }
                }
                match self.choice {
                    Choice::Pool(strategy) => {
                        let unlabelled = self.unlabelled(pool);
                        let pool = Pool { unlabelled: &unlabelled, labelled: &self.labelled };
                        let settings = Settings { combination: request.combination, seed };
                        let step = request.schedule.step;
                        let chosen = choose(&committee[0], pool, strategy, step, settings)?;
                        Added { faces: chosen.into_iter().map(|f| (f, 1.)).collect(), seen: 0 }
                    }
                    Choice::Stream(rule) => self.ask_stream(request, rule, pool, &committee)?,
                }
            };
            for &(face, weight) in &added.faces {
                self.weights.insert(face, weight);
                self.labelled.push(face);
            }
            let trained = fit(&self.labelled, &self.weights, self.round_seed(number), &step)?;
            let images = preprocessing(request.config);
            let metrics =
                predict(Progress::hidden(), &trained, data, test, &images, request.device)?
                    .metrics()?;
            let name = |&(face, weight): &(usize, f64)| (data.name(face).to_owned(), weight);
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
        let mut stream_order = in_random_order(pool, self.seed ^ 0x5eed);
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
            rest = in_random_order(&self.unlabelled(pool), self.seed ^ (0x5eed << 16 | walk));
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
}

impl Course {
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
