//! `study plan`: how many people are needed.

use std::path::Path;

use foresee_people::{PeopleScore, Plan, Power};
use foresee_report::record;

use super::analysis::kind;
use super::design::Design;
use super::materials::Materials;
use super::rows::write_rows;
use crate::artifacts::Row;
use crate::error::Result;
use crate::progress::{Progress, Unit};

record! {
    /// What becomes of so many people.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct PowerRow {
        /// People of each arm who count.
        pub people: usize,
        /// Share of simulated studies in which the difference's interval lies above 0.
        pub power: f64,
        /// Mean difference between the arm and the control.
        pub difference: f64,
        /// Mean width of its interval.
        pub width: f64,
        /// Mean score of the arm.
        pub arm: f64,
        /// Mean score of the control.
        pub control: f64,
    }
}

impl Row for PowerRow {
    const PATH: &'static str = "data/power.csv";
}

impl From<&Power> for PowerRow {
    fn from(power: &Power) -> Self {
        Self {
            people: power.people,
            power: power.power,
            difference: power.difference,
            width: power.width,
            arm: power.score,
            control: power.control,
        }
    }
}

/// What is asked of `plan`.
pub(crate) struct PlanRequest<'a> {
    pub study: &'a Path,
    /// Numbers of people of each arm, ascending.
    pub people: &'a [usize],
    /// How far people with an explanation follow the contributions, 0 to 1, and those without.
    pub follows: f64,
    pub control_follows: f64,
    pub spread: f64,
    pub score: PeopleScore,
    pub studies: usize,
    pub resamples: usize,
}

/// Simulates studies with more and more people, and writes data/power.csv.
pub(crate) fn plan(request: &PlanRequest<'_>) -> Result<Vec<Power>> {
    let (design, _) = Design::read(request.study)?;
    let materials = Materials::read(request.study, &design)?;
    let items = materials.observed(&design);
    let rule = materials.changes(&design, |item| &item.by_contribution);
    let plan = Plan {
        assignment: design.assignment(),
        items: &items,
        rule: &rule,
        follows: request.follows,
        control_follows: request.control_follows,
        spread: request.spread,
        score: request.score,
        studies: request.studies,
        resamples: request.resamples,
    };
    let progress = Progress::new("simulating studies", Unit::Sizes, request.people.len(), 0);
    let mut found = vec![];
    for &people in request.people {
        found.push(plan.power(people)?);
        progress.add(1, || format!("{people} people an arm"));
    }
    let rows: Vec<PowerRow> = found.iter().map(PowerRow::from).collect();
    write_rows(request.study, &rows, &kind(&design, true))?;
    Ok(found)
}
