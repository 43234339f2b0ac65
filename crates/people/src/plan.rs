//! How many people are needed, by simulation.

use foresee_stats::Matrix;
use rayon::prelude::*;

use crate::answer::{Items, Respondent};
use crate::assignment::Assignment;
use crate::error::Result;
use crate::scores::PeopleScore;
use crate::simulated::SimulatedPeople;
use crate::study::{Group, PeopleStudy, Settings};

/// What is assumed of people, and what is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan<'a> {
    /// Who sees what; two arms of it are simulated.
    pub assignment: Assignment,
    /// What is observed.
    pub items: &'a Items,
    /// The rule that people follow in part.
    pub rule: &'a Matrix,
    /// How far people with an explanation follow it ([`SimulatedPeople::follows`]).
    pub follows: f64,
    /// How far people of the control do.
    pub control_follows: f64,
    /// [`SimulatedPeople::spread`].
    pub spread: f64,
    /// The score that is compared.
    pub score: PeopleScore,
    /// Studies that are simulated.
    pub studies: usize,
    /// Bootstrap samples of each.
    pub resamples: usize,
}

/// What becomes of so many people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// People of each arm.
    pub people: usize,
    /// The share of studies in which the interval of the difference lies above 0.
    pub power: f64,
    /// The mean difference between the arms.
    pub difference: f64,
    /// The mean width of its interval.
    pub width: f64,
    /// The mean score of the arm.
    pub score: f64,
    /// The mean score of the control.
    pub control: f64,
}

impl Plan<'_> {
    /// What studies with so many people in each arm find.
    ///
    /// # Errors
    /// If the design cannot be balanced, or the rule is not of these items.
    pub fn power(&self, people: usize) -> Result<Power> {
        let found = (0..self.studies as u64)
            .into_par_iter()
            .map(|number| self.study(people, number))
            .collect::<Result<Vec<_>>>()?;
        let mean =
            |of: &dyn Fn(&[f64; 4]) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        Ok(Power {
            people,
            power: mean(&|[low, ..]| f64::from(u8::from(*low > 0.))),
            score: mean(&|[_, _, arm, _]| *arm),
            control: mean(&|[_, _, _, control]| *control),
            difference: mean(&|[_, _, arm, control]| arm - control),
            width: mean(&|[low, high, ..]| high - low),
        })
    }

    /// Ends of the interval of the difference, and the scores of both arms.
    fn study(&self, people: usize, number: u64) -> Result<[f64; 4]> {
        let seed = self.assignment.seed.wrapping_add(1 + number);
        let arm = |follows: f64, arm: u64| -> Result<Group> {
            let simulated = SimulatedPeople {
                rule: self.rule,
                follows,
                spread: self.spread,
                seed: seed.wrapping_mul(2).wrapping_add(arm),
            };
            let person = |p: usize| -> Result<Respondent> {
                let items = self.assignment.of(p * self.assignment.arms)?.items;
                let index =
                    |item: &crate::Item| item.face * self.assignment.operations + item.operation;
                let items: Vec<usize> = items.iter().map(index).collect();
                Ok(simulated.answer(p as u64, &items))
            };
            let people = (0..people).map(person).collect::<Result<_>>()?;
            Ok(Group { people, like: None })
        };
        let groups = [arm(self.follows, 0)?, arm(self.control_follows, 1)?];
        let settings = Settings { scores: vec![self.score], resamples: self.resamples, seed };
        let study = PeopleStudy::new(self.items, &groups, settings)?;
        let interval = study.difference(0, 1)[0].interval;
        let score = |g: usize| study.scores()[g].values[0].1.interval.estimate;
        Ok([interval.low, interval.high, score(0), score(1)])
    }
}

/// The smallest number of people an arm with at least this power, if any is enough.
pub fn needed(found: &[Power], power: f64) -> Option<usize> {
    // A larger group that misses it by chance does not make a smaller one enough.
    let enough = found.iter().rev().take_while(|of| of.power >= power);
    enough.last().map(|of| of.people)
}
