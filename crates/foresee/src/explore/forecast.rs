//! Forecast first: the person says by how much some logits move, and then sees it, beside what
//! rules forecast.

use anyhow::Context;
use foresee_celeba::ATTRIBUTES;
use foresee_predict::{Effects, ForecastRule, Matrix, rank_of_outputs, skill_over_nothing};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::view::View;
use crate::error::{Result, input};
use crate::operate::{Opened, Prepared, contribution, first_order};

/// Attributes that are asked for.
const ASKED: usize = 5;
/// Rounds of a session, at most.
const MOST_ROUNDS: usize = 500;
/// |Δ logit| of a forecast, at most.
const MOST_CHANGE: f64 = 1000.;

/// What the person sends: a forecast, and the rounds before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forecast {
    /// By how much each of the attributes that are asked for moves.
    forecast: Vec<f64>,
    earlier: Vec<Round>,
}

/// A round: what happened, and what was forecast.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    observed: Vec<f64>,
    person: Vec<f64>,
    contribution: Vec<f64>,
    /// Of operations that prune only.
    first_order: Option<Vec<f64>>,
}

/// The answer to a forecast.
#[derive(Serialize)]
pub(super) struct Judged {
    attributes: Vec<usize>,
    round: Round,
    scores: Vec<RuleScore>,
}

/// A rule's scores over the rounds in which it has a forecast; `None` where one is undefined.
#[derive(Serialize)]
struct RuleScore {
    rule: String,
    rounds: usize,
    rank_agreement: Option<f64>,
    skill: Option<f64>,
}

/// The attributes that a seed asks for.
pub(super) fn asked(seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..ATTRIBUTES.len()).collect();
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    all.truncate(ASKED);
    all.sort_unstable();
    all
}

/// Judges a forecast of the view's operation on its face.
pub(super) fn judge(opened: &Opened, view: &View, forecast: Forecast) -> Result<Judged> {
    let seed = view.challenge.ok_or_else(|| input("challenge: give a seed"))?;
    check(&forecast)?;
    let attributes = asked(seed);
    let seen = opened.face(view.face.as_ref())?;
    let prepared = Prepared::new(opened, &view.operation)?;
    let after = prepared.logits(opened, &seen)?;
    let change = |&k: &usize| f64::from(after[k]) - f64::from(seen.logits[k]);
    let contribution = contribution(opened, &seen, &prepared)?;
    let round = Round {
        observed: attributes.iter().map(change).collect(),
        person: forecast.forecast,
        contribution: attributes.iter().map(|&k| contribution[k]).collect(),
        first_order: first_order(opened, &seen, &prepared, &attributes)?,
    };
    if !is_round(&round) {
        return Err(input(format!(
            "what happens, or what a rule forecasts, is beyond ±{MOST_CHANGE}; change less"
        )));
    }
    let mut rounds = forecast.earlier;
    rounds.push(round.clone());
    Ok(Judged { attributes, scores: scores(&rounds)?, round })
}

fn is_list(values: &[f64]) -> bool {
    values.len() == ASKED && values.iter().all(|v| v.is_finite() && v.abs() <= MOST_CHANGE)
}

fn is_round(round: &Round) -> bool {
    [&round.observed, &round.person, &round.contribution].into_iter().all(|values| is_list(values))
        && round.first_order.as_deref().is_none_or(is_list)
}

fn check(forecast: &Forecast) -> Result<()> {
    if !is_list(&forecast.forecast) || !forecast.earlier.iter().all(is_round) {
        return Err(input(format!(
            "a forecast has {ASKED} numbers from -{MOST_CHANGE} to {MOST_CHANGE}"
        )));
    }
    match forecast.earlier.len() < MOST_ROUNDS {
        true => Ok(()),
        false => Err(input(format!(
            "a session has {MOST_ROUNDS} rounds at most; forget them to begin again"
        ))),
    }
}

/// Scores of the person and of the rules over all rounds.
fn scores(rounds: &[Round]) -> Result<Vec<RuleScore>> {
    let person = |round: &Round| Some(round.person.clone());
    let contribution = |round: &Round| Some(round.contribution.clone());
    let first_order = |round: &Round| round.first_order.clone();
    let nothing = |round: &Round| Some(vec![0.; round.observed.len()]);
    type Of<'a> = &'a dyn Fn(&Round) -> Option<Vec<f64>>;
    let rules: [(ForecastRule, Of); 4] = [
        (ForecastRule::custom("you"), &person),
        (ForecastRule::Contribution, &contribution),
        (ForecastRule::FirstOrder, &first_order),
        (ForecastRule::Nothing, &nothing),
    ];
    let mut scores = vec![];
    for (rule, of) in rules {
        let pairs: Vec<(Vec<f64>, Vec<f64>)> =
            rounds.iter().filter_map(|round| Some((round.observed.clone(), of(round)?))).collect();
        if !pairs.is_empty() {
            scores.push(score(&rule, pairs)?);
        }
    }
    Ok(scores)
}

fn score(rule: &ForecastRule, pairs: Vec<(Vec<f64>, Vec<f64>)>) -> Result<RuleScore> {
    let (observed, forecast): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let rounds = observed.len();
    let operations = (0..rounds).collect();
    let effects = Effects::new(Matrix::from_rows(&observed), operations, vec![1.; rounds])
        .context("the scores of forecasts")?;
    let forecast = Matrix::from_rows(&forecast);
    let finite = |value: f64| value.is_finite().then_some(value);
    Ok(RuleScore {
        rule: rule.title().to_owned(),
        rounds,
        rank_agreement: finite(rank_of_outputs(&effects, &forecast)),
        skill: finite(skill_over_nothing(&effects, &forecast)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_asks_for_different_attributes() {
        assert_eq!(asked(3), asked(3));
        assert_ne!(asked(3), asked(4));
        let mut all = asked(3);
        all.dedup();
        assert_eq!(all.len(), ASKED);
    }
}
