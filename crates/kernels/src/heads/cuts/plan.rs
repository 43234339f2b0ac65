//! A walk as lists of factors: what is put into the left operand of each step, and which weights it
//! is multiplied with.

use super::panels::Panel;
use super::source::Source;
use super::walk::Step;
use crate::factor::Factor;
use crate::heads::dims::CHUNK;
use crate::product::{COLUMNS, ROW_GROUP, columns_padded, pitch};

/// Pixels whose logits are in cache together with the changes of all steps.
pub(super) const ROWS: usize = ROW_GROUP;

/// Factors of a block of pixels at most: they stay in the second-level cache.
const BLOCK_FACTORS: usize = 64 << 10;

/// How a walk is computed. Channels are named by their places in an order of its own, in which
/// those that change together lie together.
pub(super) struct Plan {
    /// The steps, first to last.
    pub steps: Vec<PlannedStep>,
    /// Distance of two pixels in the left operands of all steps.
    pub pitch: usize,
    /// Pixels that are worked on at once, whole groups of rows.
    pub block: usize,
    /// What each panel does at each step, [panels, steps].
    pub works: Vec<Work>,
}

/// What is computed at a step.
pub(super) struct PlannedStep {
    /// Its cut.
    pub cut: usize,
    /// Whether the masks' logits begin with their biases.
    pub fresh: bool,
    /// Where its factors begin in a pixel's left operands.
    pub start: usize,
    /// Its factors' terms, [factors, TERMS]; those of whole blocks of factors.
    pub terms: Vec<Term>,
    /// Its factors among those of all channels.
    pub runs: Vec<Run>,
    /// The channels that are reconstructed anew.
    pub mix: Mix,
}

/// A term of a left operand: the change of ẑ at one place.
#[derive(Clone, Copy)]
pub(super) enum Term {
    /// No change.
    Same,
    /// ẑ becomes this value.
    To {
        /// The place.
        place: usize,
        /// The value.
        value: Value,
    },
}

/// What ẑ becomes.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// 0.
    Zero,
    /// The feature itself.
    Own,
    /// A column of the step's [`Mix`].
    Mix(usize),
}

/// Neighbouring numbers in an ascending list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    /// Where they begin in the list.
    pub place: usize,
    /// The first of them.
    pub first: usize,
    /// How many they are.
    pub length: usize,
}

/// Reconstructed channels as a matrix product.
pub(super) struct Mix {
    /// [columns/32, places that are read, 32].
    pub weights: Vec<f32>,
    /// `[columns]`, in whole panels.
    pub offsets: Vec<f32>,
    /// The places that are read.
    pub runs: Vec<Run>,
    /// How many they are.
    pub places: usize,
}

/// What a panel does at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Work {
    /// Nothing: neither this cut nor a later one needs its masks.
    Nothing,
    /// The change is added to the masks' logits.
    Add,
    /// Also, the masks are summed.
    AddAndSum,
}

impl Plan {
    /// The plan of a walk of these factors.
    pub fn new<F: Factor>(
        walk: &[Step],
        sources: &[Vec<Source>],
        order: &[usize],
        panels: &[Panel],
    ) -> Self {
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &channel)| places[channel] = place);
        let mut steps = vec![];
        let mut factors = 0;
        for step in walk {
            let channels = (order, places.as_slice());
            let step = PlannedStep::new::<F>(step, &sources[step.cut], channels, factors);
            factors += step.factors::<F>();
            steps.push(step);
        }
        let block = (BLOCK_FACTORS / factors.max(1)).clamp(ROWS, CHUNK) / ROWS * ROWS;
        let works = panels.iter().flat_map(|panel| works(&steps, panel)).collect();
        Self { steps, pitch: pitch(factors), block, works }
    }
}

impl PlannedStep {
    fn new<F: Factor>(
        step: &Step,
        sources: &[Source],
        (order, places): (&[usize], &[usize]),
        start: usize,
    ) -> Self {
        let mut changed: Vec<usize> = step.changed.iter().map(|&channel| places[channel]).collect();
        changed.sort_unstable();
        let mut factors: Vec<usize> = changed.iter().map(|place| place / F::TERMS).collect();
        factors.dedup();
        let mut mixes = vec![];
        let mut term = |place: usize| {
            if changed.binary_search(&place).is_err() {
                return Term::Same;
            }
            let value = match &sources[order[place]] {
                Source::Zero => Value::Zero,
                Source::Own => Value::Own,
                Source::Mix { terms, offset } => {
                    mixes.push((terms.as_slice(), *offset));
                    Value::Mix(mixes.len() - 1)
                }
            };
            Term::To { place, value }
        };
        let mut all_terms: Vec<Term> = factors
            .iter()
            .flat_map(|factor| factor * F::TERMS..(factor + 1) * F::TERMS)
            .map(&mut term)
            .collect();
        all_terms.resize(factors.len().next_multiple_of(F::BLOCK) * F::TERMS, Term::Same);
        Self {
            cut: step.cut,
            fresh: step.fresh,
            start,
            terms: all_terms,
            runs: runs(&factors),
            mix: Mix::new(&mixes, places),
        }
    }

    /// How many factors it has, in whole blocks.
    pub fn factors<F: Factor>(&self) -> usize {
        self.terms.len() / F::TERMS
    }
}

impl Mix {
    /// The columns Σ s·z_q + t, each with its channels q and their s, and with its t.
    fn new(columns: &[(&[(usize, f32)], f32)], places: &[usize]) -> Self {
        let mut is_read = vec![false; places.len()];
        for (terms, _) in columns {
            terms.iter().for_each(|(channel, _)| is_read[places[*channel]] = true);
        }
        let read: Vec<usize> = (0..places.len()).filter(|&place| is_read[place]).collect();
        let mut row_of = vec![0; places.len()];
        read.iter().enumerate().for_each(|(row, &place)| row_of[place] = row);
        let padded = columns_padded(columns.len());
        let mut weights = vec![0f32; padded * read.len()];
        let mut offsets = vec![0f32; padded];
        for (column, (terms, offset)) in columns.iter().enumerate() {
            offsets[column] = *offset;
            let panel = &mut weights[column / COLUMNS * read.len() * COLUMNS..];
            for (channel, weight) in *terms {
                panel[row_of[places[*channel]] * COLUMNS + column % COLUMNS] = *weight;
            }
        }
        Self { weights, offsets, runs: runs(&read), places: read.len() }
    }
}

fn runs(ascending: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    for (place, &number) in ascending.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.first + run.length == number => run.length += 1,
            _ => runs.push(Run { place, first: number, length: 1 }),
        }
    }
    runs
}

/// What a panel does at each step: nothing after the last cut that has one of its rows, until the
/// logits begin anew.
fn works(steps: &[PlannedStep], panel: &Panel) -> Vec<Work> {
    let mut works = vec![Work::Nothing; steps.len()];
    let mut is_needed = false;
    for (work, step) in works.iter_mut().zip(steps).rev() {
        let sums = panel.has_rows_of(step.cut);
        is_needed |= sums;
        if is_needed {
            *work = if sums { Work::AddAndSum } else { Work::Add };
        }
        if step.fresh {
            is_needed = false;
        }
    }
    works
}

#[cfg(test)]
mod tests {
    use super::{Run, runs};

    #[test]
    fn neighbours_are_one_run() {
        let run = |place, first, length| Run { place, first, length };
        assert_eq!(runs(&[1, 2, 5, 7, 8, 9]), [run(0, 1, 2), run(2, 5, 1), run(3, 7, 3)]);
        assert!(runs(&[]).is_empty());
    }
}
