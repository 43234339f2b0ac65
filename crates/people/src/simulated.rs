//! Simulated people, for planning and for tests. They are no evidence about people.

use foresee_stats::Matrix;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal};

use crate::answer::{Answer, Respondent};

/// People who follow a rule in part: their forecast of an item is w·rule + (1 - w)·guess. The guess
/// is the rule's forecast of another item with outputs exchanged and signs drawn. w is each
/// person's own, normal around `follows` and cut to 0 to 1. With w = 0 they guess.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedPeople<'a> {
    /// What the rule forecasts, [items, outputs], with signs.
    pub rule: &'a Matrix,
    /// The mean of w.
    pub follows: f64,
    /// The standard deviation of w between people.
    pub spread: f64,
    /// Decides every draw.
    pub seed: u64,
}

/// The logarithm of the median time of an answer in seconds, and its standard deviation.
const LOG_SECONDS: (f64, f64) = (3., 0.5);
/// The standard deviation of the confidence around what it should be.
const UNSURE: f64 = 0.15;

impl SimulatedPeople<'_> {
    /// The person with this number answers these items.
    pub fn answer(&self, person: u64, items: &[usize]) -> Respondent {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(person);
        let normal = |mean: f64, deviation: f64, rng: &mut ChaCha8Rng| {
            let drawn = Normal::new(mean, deviation.max(0.)).map(|normal| normal.sample(rng));
            drawn.unwrap_or(mean).clamp(0., 1.)
        };
        let w = normal(self.follows, self.spread, &mut rng);
        let by_chance = 1. / self.rule.columns() as f64;
        let sure = by_chance + w * (1. - by_chance);
        let answers = items
            .iter()
            .map(|&item| {
                let guess = self.guess(&mut rng);
                let mix = |(r, g): (&f64, f64)| w * r + (1. - w) * g;
                let (median, deviation) = LOG_SECONDS;
                let time = LogNormal::new(median, deviation).map(|time| time.sample(&mut rng));
                Answer {
                    item,
                    forecast: self.rule.row(item).iter().zip(guess).map(mix).collect(),
                    confidence: normal(sure, UNSURE, &mut rng),
                    seconds: time.unwrap_or(1.),
                }
            })
            .collect();
        Respondent { answers }
    }

    fn guess(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let other = rng.random_range(0..self.rule.rows());
        let mut guess = self.rule.row(other).to_vec();
        guess.shuffle(rng);
        let sign = |rng: &mut ChaCha8Rng| [-1., 1.].choose(rng).copied().unwrap_or(1.);
        guess.iter_mut().for_each(|g| *g *= sign(rng));
        guess
    }
}
