//! What people were asked, and what they answered.

use foresee_predict::Effects;
use foresee_stats::Matrix;

use crate::error::{Error, Result};

/// What was observed of each item: by how much each output changes, with its sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Items {
    /// [items, outputs].
    pub observed: Matrix,
    /// The face, or any other thing that is looked at, of each item, from 0, `[items]`. Items of a
    /// face are drawn together by the bootstrap.
    pub faces: Vec<usize>,
    /// A change that is smaller than this, in the unit of the outputs, has no direction.
    pub least_change: f64,
}

/// A person's forecast of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The item's index.
    pub item: usize,
    /// By how much each output will change, with its sign, `[outputs]`.
    pub forecast: Vec<f64>,
    /// How sure the person is that the output with the largest forecast changes most, 0 to 1.
    pub confidence: f64,
    /// How long the answer took.
    pub seconds: f64,
}

/// A person who took part, or a rule in a person's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Respondent {
    /// The person's answers, each to another item.
    pub answers: Vec<Answer>,
}

impl Items {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.observed.rows()
    }

    /// Makes sure that a person's answers fit.
    ///
    /// # Errors
    /// If an item is not there or answered twice, a forecast has another number of outputs, a
    /// number is not finite, or the confidence is not from 0 to 1.
    pub fn check(&self, person: &Respondent) -> Result<()> {
        let mut seen = vec![false; self.count()];
        for answer in &person.answers {
            let wrong = |reason: &str| {
                Err(Error::Answer {
                    what: format!("the answer to item {}", answer.item),
                    reason: reason.into(),
                })
            };
            match seen.get_mut(answer.item) {
                None => return wrong("there is no such item"),
                Some(true) => return wrong("the person answered it before"),
                Some(seen) => *seen = true,
            }
            if answer.forecast.len() != self.observed.columns() {
                return wrong("it has another number of outputs than the item");
            }
            let numbers = answer.forecast.iter().chain([&answer.confidence, &answer.seconds]);
            if numbers.into_iter().any(|v| !v.is_finite()) {
                return wrong("a number is not finite");
            }
            if !(0. ..=1.).contains(&answer.confidence) {
                return wrong("the confidence is not from 0 to 1");
            }
        }
        Ok(())
    }

    /// The absolute changes of a person's items, each an operation, and the absolute forecasts.
    pub(crate) fn effects(&self, person: &Respondent) -> Result<(Effects, Matrix)> {
        let size = |values: &[f64]| values.iter().map(|v| v.abs()).collect::<Vec<_>>();
        let observed = person.answers.iter().map(|a| size(self.observed.row(a.item)));
        let forecast = person.answers.iter().map(|a| size(&a.forecast));
        let count = person.answers.len();
        let observed = Matrix::from_rows(&observed.collect::<Vec<_>>());
        let effects = Effects::new(observed, (0..count).collect(), vec![1.; count])?;
        Ok((effects, Matrix::from_rows(&forecast.collect::<Vec<_>>())))
    }
}
