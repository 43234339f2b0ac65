//! `study simulate`: people who do not exist answer a study, to try it out.

use std::path::{Path, PathBuf};

use foresee_people::SimulatedPeople;

use super::database::{Admission, Database, Given};
use super::design::Design;
use super::materials::Materials;
use super::session::{Session, Trial};
use crate::error::{Result, input};

/// The folder of their answers in the study's folder.
pub(super) const SIMULATED: &str = "simulated";

/// How far simulated people follow the contributions of the face: those who see an explanation,
/// and all others; and how much they differ from each other.
const FOLLOWS: (f64, f64, f64) = (0.5, 0.25, 0.15);

/// Lets so many people who do not exist answer the study. Those of arms with an explanation that is
/// not shuffled follow the contributions further.
pub(crate) fn simulate(study: &Path, people: usize) -> Result<()> {
    let (design, hash) = Design::read(study)?;
    let materials = Materials::read(study, &design)?;
    let folder = study.join(SIMULATED);
    if folder.exists() {
        return Err(input(format!(
            "{} has simulated people already; remove it to draw others",
            folder.display()
        )));
    }
    // Whole or not at all.
    let begun = tempfolder(study)?;
    let database = Database::open(&begun, &hash, true)?;
    let rule = materials.changes(&design, |item| &item.by_contribution);
    for number in 0..people {
        let session = Session::new(&design, number)?;
        let arm = design.choices.arms[session.arm];
        let (with, without, spread) = FOLLOWS;
        let explained = arm.shown != super::choices::Shown::Nothing && !arm.shuffled;
        let follows = if explained { with } else { without };
        let simulated = SimulatedPeople { rule: &rule, follows, spread, seed: design.choices.seed };
        answer(&database, &materials, &session, &simulated, number)?;
    }
    drop(database);
    Ok(std::fs::rename(&begun, &folder)?)
}

/// An empty folder beside the one that it becomes.
fn tempfolder(study: &Path) -> Result<PathBuf> {
    let begun = study.join(".simulated");
    if begun.exists() {
        std::fs::remove_dir_all(&begun)?;
    }
    std::fs::create_dir(&begun)?;
    Ok(begun)
}

fn answer(
    database: &Database,
    materials: &Materials,
    session: &Session,
    people: &SimulatedPeople,
    number: usize,
) -> Result<()> {
    let items: Vec<usize> = session
        .trials
        .iter()
        .filter_map(|trial| if let Trial::Counted(item) = trial { Some(*item) } else { None })
        .collect();
    let mut answers = people.answer(number as u64, &items).answers.into_iter();
    // Nobody gives up.
    let trials = session.trials.len();
    let admission = Admission { most: usize::MAX, trials, now: 0, patience: i64::MAX };
    let person = database.admit(None, "{}", "", admission)?;
    let person = person.map_or(number, |person| person.number);
    for (place, trial) in session.trials.iter().enumerate() {
        let before = &materials.items[trial.item()].before;
        let asked = before.len();
        let given = match trial {
            Trial::Check { right, .. } => {
                let end = if *right { 100. } else { 0. };
                Given { place, after: vec![end; asked], confidence: 0.5, seconds: 8. }
            }
            Trial::Counted(_) => {
                let Some(answer) = answers.next() else { break };
                let moved = before.iter().zip(&answer.forecast);
                let after = moved.map(|(b, change)| (b + change).round().clamp(0., 100.)).collect();
                let (confidence, seconds) = (answer.confidence, answer.seconds);
                Given { place, after, confidence, seconds }
            }
            Trial::Practice(_) => {
                let after = before.iter().map(|b| b.round()).collect();
                Given { place, after, confidence: 0.5, seconds: 20. }
            }
        };
        database.answer(person, &given, 0)?;
    }
    Ok(())
}
