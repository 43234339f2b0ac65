//! Scores of people.

use foresee_predict::{
    Effects, SquaredErrors, Unit, locality, rank_of_operations, rank_of_outputs, squared_errors,
};
use foresee_stats::Matrix;

use crate::answer::{Answer, Items, Respondent};
use crate::error::Result;

/// How people are scored. The first four are the scores of rules (`foresee_predict`), of the
/// absolute changes: each item of a person counts as an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeopleScore {
    /// `foresee_predict::skill`, with errors added up over people: against the mean change of the
    /// person's other items. 0 for who knows that mean and no more.
    Skill,
    /// `foresee_predict::rank_of_outputs`: which outputs of an item change most. An item for which
    /// all outputs are forecast alike counts 0.
    RankOfOutputs,
    /// `foresee_predict::rank_of_operations`: which of the person's items change most.
    RankOfItems,
    /// `foresee_predict::locality`, in which such an item counts 0 as well.
    Locality,
    /// The share of changes of at least [`Items::least_change`] whose direction is forecast. Who
    /// forecasts no change at all is right in half. 0.5 by chance.
    Direction,
    /// The share of items in which the output with the largest forecast changes most; of several
    /// with the same forecast each counts a part. One over the number of outputs by chance.
    Largest,
    /// The mean confidence minus [`Largest`](Self::Largest). 0 for who knows how much they know.
    Overconfidence,
    /// The Brier score of the confidence, the mean of (confidence - right)². 0 is best.
    Brier,
}

impl PeopleScore {
    /// All scores, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Skill,
        Self::RankOfOutputs,
        Self::RankOfItems,
        Self::Locality,
        Self::Direction,
        Self::Largest,
        Self::Overconfidence,
        Self::Brier,
    ];

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::RankOfOutputs => "rank_of_outputs",
            Self::RankOfItems => "rank_of_items",
            Self::Locality => "locality",
            Self::Direction => "direction",
            Self::Largest => "largest",
            Self::Overconfidence => "overconfidence",
            Self::Brier => "brier",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::RankOfOutputs => "rank agreement, outputs",
            Self::RankOfItems => "rank agreement, items",
            Self::Direction => "direction",
            Self::Largest => "largest change named",
            Self::Brier => "Brier score of the confidence",
            other => other.id(),
        }
    }

    /// The score with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|score| score.id() == id)
    }

    /// Whether a rule, which has no confidence, has it.
    pub fn is_of_rules(self) -> bool {
        !matches!(self, Self::Overconfidence | Self::Brier)
    }
}

/// A person's answers, ready to be scored again and again.
pub(crate) struct Scored<'a> {
    effects: Effects,
    forecast: Matrix,
    answers: &'a [Answer],
    /// Of each answer, right and counted changes in [`PeopleScore::Direction`].
    directions: Vec<(f64, f64)>,
    /// Of each answer, [`PeopleScore::Largest`].
    largest: Vec<f64>,
}

/// A sum over people.
#[derive(Default)]
pub(crate) struct Sum {
    errors: SquaredErrors,
    total: f64,
    people: f64,
}

impl Sum {
    pub fn value(&self, score: PeopleScore) -> f64 {
        match score {
            PeopleScore::Skill => self.errors.skill(),
            _ => self.total / self.people,
        }
    }
}

impl<'a> Scored<'a> {
    pub fn new(items: &Items, person: &'a Respondent) -> Result<Self> {
        let (effects, forecast) = items.effects(person)?;
        let observed = |answer: &Answer| items.observed.row(answer.item);
        let answers = &person.answers;
        let direction = |a: &Answer| directions(observed(a), &a.forecast, items.least_change);
        Ok(Self {
            directions: answers.iter().map(direction).collect(),
            largest: answers.iter().map(|a| largest(observed(a), &a.forecast)).collect(),
            effects,
            forecast,
            answers,
        })
    }

    /// Adds the person, with each item as often as `times` says.
    pub fn add(&self, sum: &mut Sum, score: PeopleScore, times: Option<&[f64]>) {
        let weights = match times {
            None => vec![1.; self.answers.len()],
            Some(times) => self.answers.iter().map(|answer| times[answer.item]).collect(),
        };
        let value = match score {
            PeopleScore::Direction => {
                let (mut right, mut counted) = (0., 0.);
                for (weight, (r, c)) in weights.iter().zip(&self.directions) {
                    right += weight * r;
                    counted += weight * c;
                }
                right / counted
            }
            PeopleScore::Largest => mean(&weights, |i| self.largest[i]),
            PeopleScore::Overconfidence => {
                mean(&weights, |i| self.answers[i].confidence - self.largest[i])
            }
            PeopleScore::Brier => mean(&weights, |i| {
                let (sure, right) = (self.answers[i].confidence, self.largest[i]);
                // What is right in part is right that often.
                right * (sure - 1.).powi(2) + (1. - right) * sure.powi(2)
            }),
            _ => return self.add_score_of_rules(sum, score, weights),
        };
        add_finite(sum, value);
    }

    fn add_score_of_rules(&self, sum: &mut Sum, score: PeopleScore, weights: Vec<f64>) {
        let effects = Effects { weights, ..self.effects.clone() };
        match score {
            PeopleScore::Skill => {
                let errors = squared_errors(&effects, &self.forecast, Unit::Outputs);
                if errors.mean.is_finite() {
                    sum.errors += errors;
                }
            }
            PeopleScore::RankOfOutputs => {
                add_finite(sum, self.all_told(&effects, rank_of_outputs));
            }
            PeopleScore::RankOfItems => {
                add_finite(sum, rank_of_operations(&effects, &self.forecast));
            }
            _ => add_finite(sum, self.all_told(&effects, locality)),
        }
    }

    /// A mean over items in which those count 0 for which the person forecast the same of all
    /// outputs: who names no output has not named the right one.
    fn all_told(&self, effects: &Effects, score: fn(&Effects, &Matrix) -> f64) -> f64 {
        let is_even = |row: &[f64]| row.iter().all(|value| *value == row[0]);
        let (mut named, mut all) = (0., 0.);
        for (i, weight) in effects.weights.iter().enumerate() {
            if !is_even(effects.values.row(i)) {
                all += weight;
                named += weight * f64::from(u8::from(!is_even(self.forecast.row(i))));
            }
        }
        match named > 0. {
            true => score(effects, &self.forecast) * named / all,
            false if all > 0. => 0.,
            false => f64::NAN,
        }
    }
}

/// A person for whom a score has no meaning is left out.
fn add_finite(sum: &mut Sum, value: f64) {
    if value.is_finite() {
        sum.total += value;
        sum.people += 1.;
    }
}

fn mean(weights: &[f64], of: impl Fn(usize) -> f64) -> f64 {
    let total: f64 = weights.iter().enumerate().map(|(i, weight)| weight * of(i)).sum();
    total / weights.iter().sum::<f64>()
}

/// How many changes that count have the forecast direction, and how many count.
fn directions(observed: &[f64], forecast: &[f64], least: f64) -> (f64, f64) {
    let counted = observed.iter().zip(forecast).filter(|(o, _)| o.abs() >= least && **o != 0.);
    counted.fold((0., 0.), |(right, count), (o, f)| {
        let agrees = match *f == 0. {
            true => 0.5,
            false => f64::from(u8::from((*o > 0.) == (*f > 0.))),
        };
        (right + agrees, count + 1.)
    })
}

/// How much of the largest forecast lies on the output that changes most.
pub(crate) fn largest(observed: &[f64], forecast: &[f64]) -> f64 {
    let most = |values: &[f64]| values.iter().fold(0f64, |most, v| most.max(v.abs()));
    let (changed, named) = (most(observed), most(forecast));
    let pairs = || observed.iter().zip(forecast).filter(|(_, f)| f.abs() == named);
    let right = pairs().filter(|(o, _)| o.abs() == changed).count();
    right as f64 / pairs().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(observed: Vec<Vec<f64>>, forecast: Vec<Vec<f64>>, confidence: f64) -> [f64; 8] {
        let faces = (0..observed.len()).collect();
        let items = Items { observed: Matrix::from_rows(&observed), faces, least_change: 1. };
        let answer = |(item, forecast)| Answer { item, forecast, confidence, seconds: 1. };
        let person = Respondent { answers: forecast.into_iter().enumerate().map(answer).collect() };
        items.check(&person).unwrap();
        let scored = Scored::new(&items, &person).unwrap();
        PeopleScore::ALL.map(|score| {
            let mut sum = Sum::default();
            scored.add(&mut sum, score, None);
            sum.value(score)
        })
    }

    #[test]
    fn worked_by_hand() {
        let observed = vec![vec![3., -1., 0.5], vec![0., 2., -4.]];
        let perfect = one(observed.clone(), observed.clone(), 1.);
        assert_eq!(perfect, [1., 1., 1., 1., 1., 1., 0., 0.]);
        // Of the four changes of at least 1, two have the right direction and one is left open.
        let forecast = vec![vec![2., 1., 0.], vec![0., 1., 0.]];
        let found = one(observed, forecast, 0.8);
        assert_eq!(found[4], (1. + 0. + 1. + 0.5) / 4.);
        // Item 0 is named right, item 1 wrong.
        assert_eq!(found[5], 0.5);
        assert!((found[6] - 0.3).abs() < 1e-12);
        assert!((found[7] - (0.04 + 0.64) / 2.).abs() < 1e-12);
        // Errors of absolute changes: item 0 (1, 0, 0.5), item 1 (0, 1, 4). The mean of the other
        // item is 2 and 1.5: (1, -1, -1.5) and (-1.5, 0.5, 2.5).
        let skill = 1. - (1.25 + 17.) / (4.25 + 8.75);
        assert!((found[0] - skill).abs() < 1e-12);
        // Sums of 4.5 and 6 are forecast as 3 and 1.
        assert_eq!(found[2], -1.);
    }

    #[test]
    fn who_names_no_output_has_not_named_the_right_one() {
        let observed = vec![vec![3., -1., 0.5], vec![0., 2., -4.], vec![1., 1., 1.]];
        // Item 0 is right, item 1 forecast alike, and item 2 has no order.
        let forecast = vec![vec![3., -1., 0.5], vec![2., 2., 2.], vec![0., 1., 0.]];
        let found = one(observed.clone(), forecast, 0.5);
        assert_eq!((found[1], found[3]), (0.5, 0.5));
        let nothing = one(observed, vec![vec![0.; 3]; 3], 0.5);
        assert_eq!((nothing[1], nothing[3]), (0., 0.));
    }

    #[test]
    fn several_largest_forecasts_count_a_part() {
        assert_eq!(largest(&[5., 1.], &[0., 0.]), 0.5);
        assert_eq!(largest(&[-5., 1., 2.], &[-3., 3., 0.]), 0.5);
        assert_eq!(largest(&[-5., 1., 2.], &[0., 3., 0.]), 0.);
    }
}
