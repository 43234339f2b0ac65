//! Scores of groups of people with intervals over people and faces.

use foresee_stats::{Interval, LEVEL, interval_of_resamples};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::answer::{Answer, Items, Respondent};
use crate::draws::{Draw, draw};
use crate::error::{Error, Result};
use crate::scores::{PeopleScore, Scored, Sum};

/// The most that any score can be.
const HIGHEST: f64 = 1.;
/// Wrong forecasts that chance is the mean of.
const SHUFFLES: u64 = 20;

/// People who are scored together: an arm, or a rule in the place of all people.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its people.
    pub people: Vec<Respondent>,
    /// The group whose people these are too, if a rule answers for them: in every bootstrap sample
    /// the same ones are drawn.
    pub like: Option<usize>,
}

/// How it is scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The scores that are asked for.
    pub scores: Vec<PeopleScore>,
    /// Bootstrap samples.
    pub resamples: usize,
    /// Decides every draw.
    pub seed: u64,
}

/// A score of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOfPeople {
    /// The score and its interval over people and faces; without ends for a single person.
    pub interval: Interval,
    /// The mean of the same score of wrong forecasts: each person's answers exchanged among the
    /// person's items, and outputs among outputs.
    pub chance: f64,
}

/// All scores of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScores {
    /// People who were scored.
    pub people: usize,
    /// Their answers.
    pub answers: usize,
    /// The scores.
    pub values: Vec<(PeopleScore, ScoreOfPeople)>,
    /// By sample and score.
    resampled: Vec<Vec<f64>>,
}

/// By how much a group's score is above another's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The score.
    pub score: PeopleScore,
    /// The difference and its interval over people and faces.
    pub interval: Interval,
}

/// People who forecast what operations do to items.
///
/// Intervals are of the pigeonhole bootstrap (Owen, 2007): both people and faces are drawn anew,
/// each face with all its items, so that they hold for other people and for other faces, under the
/// same operations.
///
/// ```
/// use foresee_people::{
///     Answer, Group, Items, Matrix, PeopleScore, PeopleStudy, Respondent, Settings,
/// };
///
/// let observed = Matrix::from_rows(&[vec![8., -1.], vec![0., 3.], vec![-2., 5.]]);
/// let items = Items { observed, faces: vec![0, 1, 2], least_change: 2. };
/// let answer = |item, forecast: [f64; 2]| Answer {
///     item,
///     forecast: forecast.into(),
///     confidence: 0.9,
///     seconds: 12.,
/// };
/// let person = |third| Respondent {
///     answers: vec![answer(0, [5., 0.]), answer(1, [0., 1.]), answer(2, [0., third])],
/// };
/// let group = Group { people: vec![person(4.), person(-4.)], like: None };
/// let scores = PeopleScore::ALL.into();
/// let settings = Settings { scores, resamples: 200, seed: 1 };
/// let study = PeopleStudy::new(&items, &[group], settings)?;
/// // Of the changes by 8, 3, -2 and 5 one person names three directions and leaves one open.
/// let direction = study.scores()[0].get(PeopleScore::Direction).expect("a score");
/// assert_eq!(direction.interval.estimate, (3.5 + 2.5) / 8.);
/// # Ok::<(), foresee_people::Error>(())
/// ```
pub struct PeopleStudy {
    groups: Vec<GroupScores>,
    settings: Settings,
}

impl GroupScores {
    /// A score, if it was asked for.
    pub fn get(&self, score: PeopleScore) -> Option<&ScoreOfPeople> {
        self.values.iter().find(|(of, _)| *of == score).map(|(_, value)| value)
    }
}

impl PeopleStudy {
    /// Scores all groups on the same samples.
    ///
    /// # Errors
    /// If there is no group or no item, a group that is like another has another number of people,
    /// or an answer does not fit the items.
    pub fn new(items: &Items, groups: &[Group], settings: Settings) -> Result<Self> {
        if groups.is_empty() || items.count() == 0 {
            return Err(Error::Empty("there is no group, or no item"));
        }
        if items.faces.len() != items.count() {
            return Err(Error::Design("there must be one face for each item".into()));
        }
        check(items, groups)?;
        let scored = groups
            .iter()
            .map(|group| group.people.iter().map(|person| Scored::new(items, person)).collect())
            .collect::<Result<Vec<Vec<Scored>>>>()?;
        let counts: Vec<usize> = groups
            .iter()
            .map(|group| if group.like.is_some() { 0 } else { group.people.len() })
            .collect();
        let values = |draw: &Draw| -> Vec<Vec<f64>> {
            let of = |(g, people): (usize, &Vec<Scored>)| {
                let drawn = &draw.people[groups[g].like.unwrap_or(g)];
                let times = Some(draw.items.as_slice());
                score_all(&settings.scores, drawn.iter().map(|&i| &people[i]), times)
            };
            scored.iter().enumerate().map(of).collect()
        };
        let resampled: Vec<Vec<Vec<f64>>> = (0..settings.resamples as u64)
            .into_par_iter()
            .map(|number| values(&draw(&items.faces, &counts, settings.seed, number)))
            .collect();
        let group = |(g, people): (usize, &Vec<Scored>)| {
            let own: Vec<Vec<f64>> = resampled.iter().map(|sample| sample[g].clone()).collect();
            let estimates = score_all(&settings.scores, people.iter(), None);
            let chance = chance(items, &groups[g], &settings)?;
            Ok(summary(&groups[g], &settings, estimates, chance, own))
        };
        let groups = scored.iter().enumerate().map(group).collect::<Result<_>>()?;
        Ok(Self { groups, settings })
    }

    /// The scores of each group.
    pub fn scores(&self) -> &[GroupScores] {
        &self.groups
    }

    /// By how much `ours` is above `theirs` in each score, on the same samples.
    pub fn difference(&self, ours: usize, theirs: usize) -> Vec<Difference> {
        let (a, b) = (&self.groups[ours], &self.groups[theirs]);
        let single = a.people < 2 || b.people < 2;
        let difference = |(i, &score): (usize, &PeopleScore)| {
            let of = |group: &GroupScores| group.values[i].1.interval.estimate;
            let estimate = of(a) - of(b);
            let pairs = a.resampled.iter().zip(&b.resampled);
            let values = pairs.map(|(x, y)| x[i] - y[i]).collect();
            Difference { score, interval: interval(estimate, values, f64::INFINITY, single) }
        };
        self.settings.scores.iter().enumerate().map(difference).collect()
    }
}

fn check(items: &Items, groups: &[Group]) -> Result<()> {
    for group in groups {
        group.people.iter().try_for_each(|person| items.check(person))?;
        let like = group.like.map(|like| groups.get(like));
        if like.is_some_and(|like| like.is_none_or(|l| l.people.len() != group.people.len())) {
            return Err(Error::Answer {
                what: "a group that is like another".into(),
                reason: "it has another number of people".into(),
            });
        }
    }
    Ok(())
}

fn interval(estimate: f64, values: Vec<f64>, highest: f64, single: bool) -> Interval {
    match single {
        true => Interval { level: LEVEL, ..Interval::point(estimate) },
        false => interval_of_resamples(estimate, values, highest),
    }
}

/// Every score of these people.
fn score_all<'a>(
    scores: &[PeopleScore],
    people: impl Iterator<Item = &'a Scored<'a>> + Clone,
    times: Option<&[f64]>,
) -> Vec<f64> {
    let one = |&score: &PeopleScore| {
        let mut sum = Sum::default();
        people.clone().for_each(|person| person.add(&mut sum, score, times));
        sum.value(score)
    };
    scores.iter().map(one).collect()
}

fn summary(
    group: &Group,
    settings: &Settings,
    estimates: Vec<f64>,
    chance: Vec<f64>,
    resampled: Vec<Vec<f64>>,
) -> GroupScores {
    let single = group.people.len() < 2;
    let value = |(i, &score): (usize, &PeopleScore)| {
        let values = resampled.iter().map(|sample| sample[i]).collect();
        let interval = interval(estimates[i], values, HIGHEST, single);
        (score, ScoreOfPeople { interval, chance: chance[i] })
    };
    GroupScores {
        people: group.people.len(),
        answers: group.people.iter().map(|person| person.answers.len()).sum(),
        values: settings.scores.iter().enumerate().map(value).collect(),
        resampled,
    }
}

/// The mean of each score over wrong forecasts.
fn chance(items: &Items, group: &Group, settings: &Settings) -> Result<Vec<f64>> {
    let shuffled = |number: u64| -> Result<Vec<f64>> {
        let people: Vec<Respondent> =
            (0..).zip(&group.people).map(|(i, p)| shuffle(p, settings.seed, number, i)).collect();
        let scored =
            people.iter().map(|person| Scored::new(items, person)).collect::<Result<Vec<_>>>()?;
        Ok(score_all(&settings.scores, scored.iter(), None))
    };
    let all = (0..SHUFFLES).into_par_iter().map(shuffled).collect::<Result<Vec<_>>>()?;
    let mean = |i: usize| {
        let finite = all.iter().map(|values| values[i]).filter(|v| v.is_finite());
        let (count, sum) = finite.fold((0., 0.), |(count, sum), v| (count + 1., sum + v));
        sum / count
    };
    Ok((0..settings.scores.len()).map(mean).collect())
}

/// A person's forecasts, exchanged among items and among outputs.
fn shuffle(person: &Respondent, seed: u64, number: u64, index: u64) -> Respondent {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((1 << 63) + number * (1 << 32) + index);
    let mut from: Vec<&Answer> = person.answers.iter().collect();
    from.shuffle(&mut rng);
    let exchange = |(to, from): (&Answer, &Answer)| {
        let mut forecast = from.forecast.clone();
        forecast.shuffle(&mut rng);
        Answer { item: to.item, forecast, confidence: from.confidence, seconds: to.seconds }
    };
    Respondent { answers: person.answers.iter().zip(from).map(exchange).collect() }
}
