//! What is published of the answers: CSV files, and a codebook that says what each column means.

use foresee_people::{Exclusion, Respondent};
use foresee_report::{Record, record};

use super::database::{Given, Person};
use super::design::Design;
use super::materials::{ItemRow, Materials, PictureRow};
use super::session::{Session, Trial};
use crate::artifacts::Row;
use crate::error::Result;

record! {
    /// A person who agreed to take part.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct PersonRow {
        /// From 0, in the order of arrival. Nothing else about a person is exported.
        pub person: usize,
        /// The arm.
        pub arm: String,
        /// Trials answered, with practice and checks.
        pub answered: usize,
        /// 1 if the person withdrew; the answers are then deleted.
        pub withdrawn: usize,
        /// The rule that leaves the person out of the scores; empty for those who count.
        pub excluded: String,
    }
}

impl Row for PersonRow {
    const PATH: &'static str = "data/people.csv";
}

record! {
    /// A person's forecast of one attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct AnswerRow {
        /// The person.
        pub person: usize,
        /// The arm.
        pub arm: String,
        /// The trial's place in what the person was asked, from 0.
        pub place: usize,
        /// practice, counted or check.
        pub trial: String,
        /// The item.
        pub item: usize,
        /// The attribute.
        pub attribute: String,
        /// The probability before, in percent.
        pub before: f64,
        /// The probability after, in percent.
        pub after: f64,
        /// What the person said that it will be.
        pub forecast: f64,
        /// How sure the person was, from 0 to 1: once for all attributes of a trial.
        pub confidence: f64,
        /// How long the trial took: once for all its attributes.
        pub seconds: f64,
    }
}

impl Row for AnswerRow {
    const PATH: &'static str = "data/answers.csv";
}

record! {
    /// What a column means.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct CodebookRow {
        /// The file.
        pub file: String,
        /// Its column.
        pub column: String,
        /// What stands in it.
        pub meaning: String,
    }
}

impl Row for CodebookRow {
    const PATH: &'static str = "data/codebook.csv";
}

/// A person with what they were asked and what they answered.
pub(super) struct Taken {
    pub person: Person,
    pub session: Session,
    pub answers: Vec<Given>,
    /// The answers that count.
    pub respondent: Respondent,
    pub excluded: Option<Exclusion>,
}

impl Taken {
    /// Puts a person's answers together.
    pub fn new(
        design: &Design,
        materials: &Materials,
        person: Person,
        answers: Vec<Given>,
    ) -> Result<Self> {
        let session = Session::new(design, person.seat)?;
        let before = |item: usize| materials.items[item].before.clone();
        let respondent = session.respondent(&answers, before);
        let excluded = session.exclusion(design, &answers, &respondent);
        Ok(Self { person, session, answers, respondent, excluded })
    }

    fn arm(&self, design: &Design) -> String {
        design.choices.arms[self.session.arm].to_string()
    }

    pub fn person_row(&self, design: &Design) -> PersonRow {
        PersonRow {
            person: self.person.number,
            arm: self.arm(design),
            answered: self.answers.len(),
            withdrawn: usize::from(self.person.withdrawn),
            excluded: self.excluded.map(|reason| reason.id().to_owned()).unwrap_or_default(),
        }
    }

    pub fn answer_rows(&self, design: &Design, materials: &Materials) -> Vec<AnswerRow> {
        let of = |given: &Given| {
            let trial = self.session.trials.get(given.place).copied()?;
            let item = materials.items.get(trial.item())?;
            let row = |(k, attribute): (usize, &String)| AnswerRow {
                person: self.person.number,
                arm: self.arm(design),
                place: given.place,
                trial: match trial {
                    Trial::Practice(_) => "practice".into(),
                    Trial::Counted(_) => "counted".into(),
                    Trial::Check { .. } => "check".into(),
                },
                item: trial.item(),
                attribute: attribute.clone(),
                before: item.before[k],
                after: item.after[k],
                forecast: given.after[k],
                confidence: given.confidence,
                seconds: given.seconds,
            };
            Some(design.asked_attributes.iter().enumerate().map(row).collect::<Vec<_>>())
        };
        self.answers.iter().filter_map(of).flatten().collect()
    }
}

/// What each column of the files that can be published means, in their order.
const MEANINGS: [(&str, &[&str], &[&str]); 4] = [
    (
        ItemRow::PATH,
        ItemRow::COLUMNS,
        &[
            "number of the item: those that count come first, face by face; then practice",
            "1 for practice",
            "number of the face in the data set",
            "place of the operation in design.toml, from 0",
            "attribute of CelebA",
            "the network's answer before the operation: probability in percent",
            "the network's answer after the operation",
            "what the contributions of this face forecast that it will be",
            "what the gradients forecast; missing unless the operation only prunes",
        ],
    ),
    (
        PictureRow::PATH,
        PictureRow::COLUMNS,
        &[
            "number of the item",
            "the arm that sees it; face: the face itself, which everybody sees",
            "the item that it belongs to: another one in a shuffled arm",
            "the picture's file",
        ],
    ),
    (
        PersonRow::PATH,
        PersonRow::COLUMNS,
        &[
            "number of the person, in the order of arrival",
            "the person's arm",
            "trials answered, with practice and checks",
            "1 if the person withdrew (the answers are deleted)",
            "rule of design.toml that leaves the person out; empty for those who count",
        ],
    ),
    (
        AnswerRow::PATH,
        AnswerRow::COLUMNS,
        &[
            "number of the person",
            "the person's arm",
            "place of the trial in what the person was asked, from 0",
            "practice, counted, or check (an attention check)",
            "number of the item",
            "attribute of CelebA",
            "the network's answer before: probability in percent",
            "the network's answer after",
            "what the person said that it will be, in whole percents",
            "how sure the person was that the largest change is named, 0 to 1; once a trial",
            "seconds that the trial was looked at; once a trial",
        ],
    ),
];

/// The codebook.
pub(super) fn codebook() -> Vec<CodebookRow> {
    let of = |(file, columns, meanings): (&str, &[&str], &[&str])| {
        let row = |(column, meaning): (&&str, &&str)| CodebookRow {
            file: file.into(),
            column: (*column).into(),
            meaning: (*meaning).into(),
        };
        columns.iter().zip(meanings).map(row).collect::<Vec<_>>()
    };
    MEANINGS.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_meaning() {
        for (file, columns, meanings) in MEANINGS {
            assert_eq!(columns.len(), meanings.len(), "{file}");
        }
        assert_eq!(codebook().len(), 9 + 4 + 5 + 11);
    }
}
