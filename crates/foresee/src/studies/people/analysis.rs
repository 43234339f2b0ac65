//! `study score`: how well people forecast, by arm, beside rules and chance.

use std::path::{Path, PathBuf};

use foresee_people::{
    Answer, Group, Interval, Items, Matrix, PeopleScore, PeopleStudy, Respondent, Settings,
    reliability,
};
use foresee_report::record;

use super::choices::Arm;
use super::database::{ANSWERS, Database};
use super::design::Design;
use super::export::{Taken, codebook};
use super::materials::Materials;
use super::rows::write_rows;
use super::simulate::SIMULATED;
use crate::artifacts::Row;
use crate::error::{Result, input};
use crate::run::kind_of_faces;

/// The group of all people.
pub(super) const EVERYBODY: &str = "everybody";
/// How the name of a group begins whose answers are those of a rule.
pub(super) const RULE: &str = "rule_";

record! {
    /// A score of people.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct ScoreRow {
        /// An arm, everybody, or a rule in everybody's place.
        pub group: String,
        /// The same in words.
        pub title: String,
        /// The score.
        #[id]
        pub score: PeopleScore,
        /// Its value.
        pub estimate: f64,
        /// Lower end of its interval over people and faces.
        pub low: f64,
        /// Upper end.
        pub high: f64,
        /// The same score with answers exchanged among items, and outputs among outputs.
        pub chance: f64,
        /// People who count.
        pub people: usize,
        /// Their answers.
        pub answers: usize,
    }
}

impl Row for ScoreRow {
    const PATH: &'static str = "data/scores.csv";
}

record! {
    /// By how much one group's score is above another's.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct ContrastRow {
        /// The group, in words.
        pub group: String,
        /// The one that it is compared with, in words.
        pub against: String,
        /// The score.
        #[id]
        pub score: PeopleScore,
        /// The difference.
        pub difference: f64,
        /// Lower end of its interval.
        pub low: f64,
        /// Upper end.
        pub high: f64,
    }
}

impl Row for ContrastRow {
    const PATH: &'static str = "data/contrasts.csv";
}

record! {
    /// Answers of about the same confidence.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct CalibrationRow {
        /// The arm, in words.
        pub group: String,
        /// Mean confidence, 0 to 1.
        pub confidence: f64,
        /// Share in which the largest change was named.
        pub right: f64,
        /// Answers.
        pub answers: usize,
    }
}

impl Row for CalibrationRow {
    const PATH: &'static str = "data/calibration.csv";
}

/// What was found.
pub(crate) struct Analysis {
    /// Where it is written.
    pub folder: PathBuf,
    pub design: Design,
    pub design_sha256: String,
    pub simulated: bool,
    /// Everybody who agreed to take part.
    pub admitted: usize,
    /// How many are left out, by the reason's id.
    pub excluded: Vec<(&'static str, usize)>,
    pub withdrawn: usize,
    /// Of each arm, who agreed and who counts.
    pub arms: Vec<(Arm, usize, usize)>,
    pub scores: Vec<ScoreRow>,
    pub contrasts: Vec<ContrastRow>,
    pub calibration: Vec<CalibrationRow>,
}

impl Analysis {
    /// Whether the faces are drawn.
    pub fn synthetic(&self) -> bool {
        self.design.synthetic
    }
}

/// People who are scored together.
struct Named {
    id: String,
    title: String,
    group: Group,
    is_rule: bool,
}

/// Scores a study, or the people who were simulated for it, and writes its data files.
pub(crate) fn analyse(study: &Path, simulated: bool) -> Result<Analysis> {
    let (design, design_sha256) = Design::read(study)?;
    let materials = Materials::read(study, &design)?;
    let folder = if simulated { study.join(SIMULATED) } else { study.to_owned() };
    let taken = taken(&folder, &design, &design_sha256, &materials, simulated)?;
    let kind = kind(&design, simulated);
    let people: Vec<_> = taken.iter().map(|taken| taken.person_row(&design)).collect();
    let answers: Vec<_> =
        taken.iter().flat_map(|taken| taken.answer_rows(&design, &materials)).collect();
    write_rows(&folder, &people, &kind)?;
    write_rows(&folder, &answers, &kind)?;
    write_rows(&folder, &codebook(), &kind)?;
    let named = groups(&design, &materials, &taken)?;
    let items = materials.observed(&design);
    let (scores, contrasts) = scores(&design, &items, &named)?;
    let calibration = calibration(&items, &named);
    write_rows(&folder, &scores, &kind)?;
    write_rows(&folder, &contrasts, &kind)?;
    write_rows(&folder, &calibration, &kind)?;
    let left_out = |reason: foresee_people::Exclusion| {
        let here = taken.iter().filter(|t| !t.person.withdrawn && t.excluded == Some(reason));
        (reason.id(), here.count())
    };
    Ok(Analysis {
        folder,
        design_sha256,
        simulated,
        admitted: taken.len(),
        excluded: foresee_people::Exclusion::ALL.map(left_out).to_vec(),
        withdrawn: taken.iter().filter(|taken| taken.person.withdrawn).count(),
        arms: arms(&design, &taken),
        scores,
        contrasts,
        calibration,
        design,
    })
}

/// Whom and what numbers come from.
pub(super) fn kind(design: &Design, simulated: bool) -> String {
    let people = if simulated { "simulated people" } else { "people" };
    let faces = kind_of_faces(design.synthetic);
    format!("{people}, {faces}")
}

fn taken(
    folder: &Path,
    design: &Design,
    hash: &str,
    materials: &Materials,
    simulated: bool,
) -> Result<Vec<Taken>> {
    if !folder.join(ANSWERS).is_file() {
        let how =
            if simulated { "`study simulate` makes some" } else { "`study serve` asks people" };
        return Err(input(format!("{} has no answers: {how}", folder.display())));
    }
    let everybody = Database::open(folder, hash, simulated)?.everybody()?;
    let taken = everybody.into_iter().map(|(p, answers)| Taken::new(design, materials, p, answers));
    taken.collect()
}

fn counts(taken: &Taken) -> bool {
    taken.excluded.is_none() && !taken.person.withdrawn
}

fn arms(design: &Design, taken: &[Taken]) -> Vec<(Arm, usize, usize)> {
    let of = |(i, arm): (usize, &Arm)| {
        let all = || taken.iter().filter(|taken| taken.session.arm == i);
        (*arm, all().count(), all().filter(|taken| counts(taken)).count())
    };
    design.choices.arms.iter().enumerate().map(of).collect()
}

/// The arms with somebody in them, everybody, and rules in everybody's place.
fn groups(design: &Design, materials: &Materials, taken: &[Taken]) -> Result<Vec<Named>> {
    let mut named = vec![];
    for (i, arm) in design.choices.arms.iter().enumerate() {
        let of_arm = taken.iter().filter(|taken| counts(taken) && taken.session.arm == i);
        let people: Vec<Respondent> = of_arm.map(|taken| taken.respondent.clone()).collect();
        if !people.is_empty() {
            let group = Group { people, like: None };
            named.push(Named { id: arm.to_string(), title: arm.title(), group, is_rule: false });
        }
    }
    let all: Vec<Respondent> =
        named.iter().flat_map(|named| named.group.people.iter().cloned()).collect();
    if all.is_empty() {
        return Err(input("nobody counts yet: all are left out by the rules of the design"));
    }
    let everybody = named.len();
    let group = Group { people: all.clone(), like: None };
    named.push(Named { id: EVERYBODY.into(), title: EVERYBODY.into(), group, is_rule: false });
    for (id, title, rule) in rules(design, materials) {
        let group = Group { people: followed(&all, &rule), like: Some(everybody) };
        named.push(Named { id: format!("{RULE}{id}"), title, group, is_rule: true });
    }
    Ok(named)
}

/// What rules forecast of the items.
fn rules(design: &Design, materials: &Materials) -> Vec<(&'static str, String, Matrix)> {
    let contribution = materials.changes(design, |item| &item.by_contribution);
    let first_order = materials.changes(design, |item| &item.by_first_order);
    let nothing = Matrix::zeros(contribution.rows(), contribution.columns());
    let mut rules = vec![("contribution", "rule: contributions of the face".into(), contribution)];
    if first_order.to_rows().iter().flatten().all(|change| change.is_finite()) {
        rules.push(("first_order", "rule: first order".into(), first_order));
    }
    rules.push(("nothing", "rule: nothing changes".into(), nothing));
    rules
}

/// The same people, if they had followed a rule.
fn followed(people: &[Respondent], rule: &Matrix) -> Vec<Respondent> {
    let answer = |a: &Answer| Answer { forecast: rule.row(a.item).to_vec(), ..a.clone() };
    let person = |p: &Respondent| Respondent { answers: p.answers.iter().map(answer).collect() };
    people.iter().map(person).collect()
}

fn scores(
    design: &Design,
    items: &Items,
    named: &[Named],
) -> Result<(Vec<ScoreRow>, Vec<ContrastRow>)> {
    let choices = &design.choices;
    let settings = Settings {
        scores: PeopleScore::ALL.into(),
        resamples: choices.resamples,
        seed: choices.seed,
    };
    let groups: Vec<Group> = named.iter().map(|named| named.group.clone()).collect();
    let study = PeopleStudy::new(items, &groups, settings)?;
    let mut rows = vec![];
    for (named, found) in named.iter().zip(study.scores()) {
        for (score, value) in &found.values {
            if named.is_rule && !score.is_of_rules() {
                continue;
            }
            let Interval { estimate, low, high, .. } = value.interval;
            rows.push(ScoreRow {
                group: named.id.clone(),
                title: named.title.clone(),
                score: *score,
                estimate,
                low,
                high,
                chance: value.chance,
                people: found.people,
                answers: found.answers,
            });
        }
    }
    Ok((rows, contrasts(design, &study, named)))
}

/// Each arm against the control, and everybody against the rule with the best skill.
fn contrasts(design: &Design, study: &PeopleStudy, named: &[Named]) -> Vec<ContrastRow> {
    let mut rows = vec![];
    let mut add = |ours: usize, theirs: usize, of_rules: bool| {
        for difference in study.difference(ours, theirs) {
            if of_rules && !difference.score.is_of_rules() {
                continue;
            }
            let Interval { estimate, low, high, .. } = difference.interval;
            rows.push(ContrastRow {
                group: named[ours].title.clone(),
                against: named[theirs].title.clone(),
                score: difference.score,
                difference: estimate,
                low,
                high,
            });
        }
    };
    let control = design.choices.control().map(|i| design.choices.arms[i].to_string());
    let place = |id: &str| named.iter().position(|named| named.id == id);
    if let Some(control) = control.and_then(|id| place(&id)) {
        let arms = named.iter().position(|named| named.id == "everybody").unwrap_or(0);
        (0..arms).filter(|arm| *arm != control).for_each(|arm| add(arm, control, false));
    }
    let skill = |i: &usize| {
        let value = study.scores()[*i].get(PeopleScore::Skill).map(|s| s.interval.estimate);
        value.filter(|value| value.is_finite()).unwrap_or(f64::NEG_INFINITY)
    };
    let rules = (0..named.len()).filter(|i| named[*i].is_rule);
    if let Some(best) = rules.max_by(|a, b| skill(a).total_cmp(&skill(b))) {
        let people = (0..named.len()).filter(|i| !named[*i].is_rule);
        people.for_each(|group| add(group, best, true));
    }
    rows
}

fn calibration(items: &Items, named: &[Named]) -> Vec<CalibrationRow> {
    let of = |named: &Named| {
        let bins = reliability(items, &named.group.people);
        let row = |bin: foresee_people::ReliabilityBin| CalibrationRow {
            group: named.title.clone(),
            confidence: bin.confidence,
            right: bin.right,
            answers: bin.answers,
        };
        bins.into_iter().map(row).collect::<Vec<_>>()
    };
    named.iter().filter(|named| !named.is_rule).flat_map(of).collect()
}
