//! What one person is asked, in which order.

use foresee_people::{Answer, Exclusion, Finished, Respondent};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::database::Given;
use super::design::Design;
use crate::error::Result;

/// Stream of the seed, before the person's number.
const CHECKS: u64 = 1 << 61;
/// How far from the end of a slider an attention check still counts as passed.
const NEAR: f64 = 5.;

/// A trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// With feedback.
    Practice(usize),
    /// One that counts.
    Counted(usize),
    /// An attention check on this item: all sliders to the right end, or to the left.
    Check {
        /// The item whose face is shown.
        item: usize,
        /// Which end.
        right: bool,
    },
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Session {
    /// The place of the person's arm in the design.
    pub arm: usize,
    /// In order.
    pub trials: Vec<Trial>,
}

impl Trial {
    pub fn item(self) -> usize {
        match self {
            Self::Practice(item) | Self::Counted(item) | Self::Check { item, .. } => item,
        }
    }

    /// What is said in place of the operation.
    pub fn instruction(self) -> Option<&'static str> {
        match self {
            Self::Check { right: true, .. } => {
                Some("In this picture nothing is to be forecast: please set every slider to 100 %.")
            }
            Self::Check { right: false, .. } => {
                Some("In this picture nothing is to be forecast: please set every slider to 0 %.")
            }
            _ => None,
        }
    }
}

impl Session {
    /// Of the person with this number.
    pub fn new(design: &Design, person: usize) -> Result<Self> {
        let assigned = design.assignment().of(person)?;
        let operations = design.choices.operations.len();
        let counted = design.choices.faces * operations;
        let practice = (0..design.choices.practice).map(|i| Trial::Practice(counted + i));
        let index = |item: &foresee_people::Item| item.face * operations + item.operation;
        let mut trials: Vec<Trial> =
            assigned.items.iter().map(|item| Trial::Counted(index(item))).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(design.choices.seed);
        rng.set_stream(CHECKS + person as u64);
        let checks = design.choices.checks.min(trials.len());
        let mut places = sample(&mut rng, trials.len(), checks).into_vec();
        places.sort_unstable();
        for (number, place) in places.into_iter().enumerate().rev() {
            let item = trials[place].item();
            trials.insert(place, Trial::Check { item, right: number % 2 == 0 });
        }
        Ok(Self { arm: assigned.arm, trials: practice.chain(trials).collect() })
    }

    /// The answers that count.
    pub fn respondent(&self, answers: &[Given], before: impl Fn(usize) -> Vec<f64>) -> Respondent {
        let answer = |given: &Given| match self.trials.get(given.place)? {
            Trial::Counted(item) => {
                // Sliders stand at whole percents, and the answer before is shown so.
                let change = given.after.iter().zip(before(*item)).map(|(a, b)| a - b.round());
                Some(Answer {
                    item: *item,
                    forecast: change.collect(),
                    confidence: given.confidence,
                    seconds: given.seconds,
                })
            }
            _ => None,
        };
        Respondent { answers: answers.iter().filter_map(answer).collect() }
    }

    /// Why a person is left out, if at all.
    pub fn exclusion(
        &self,
        design: &Design,
        answers: &[Given],
        person: &Respondent,
    ) -> Option<Exclusion> {
        let failed = answers.iter().filter(|given| match self.trials.get(given.place) {
            Some(Trial::Check { right, .. }) => {
                let end = if *right { 100. } else { 0. };
                given.after.iter().any(|after: &f64| (after - end).abs() > NEAR)
            }
            _ => false,
        });
        let finished = answers.len() >= self.trials.len();
        let seen = Finished { finished, failed_checks: failed.count() };
        design.choices.exclusion.of(person, seen)
    }
}
