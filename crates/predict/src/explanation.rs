//! What a person sees of a network with attention masks, and what they would say of a perturbation.

use foresee_analysis::Matrix;

use crate::definition::{Budget, Forecast, Unit};
use crate::error::{Error, Result};

/// The paper's pictures as numbers. C channels, K attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Correlation among channels [C, C] (Figure 6).
    pub correlation: Matrix,
    /// Mean masks [K, C] (Figure 5).
    pub mean_masks: Matrix,
    /// Readout weights w [K, C].
    pub readout: Matrix,
    /// Mean |w·p| [K, C]: what a channel gives to an attribute's logit.
    pub contributions: Matrix,
    /// L1 norm of each channel's filter, `[C]`.
    pub filter_norms: Vec<f64>,
}

/// What pruning one channel does to each attribute, by a rule: (name, numbers seen, effect of
/// channel c on attribute k given the channels that are gone too).
type Rule<'a> = (&'static str, usize, Box<dyn Fn(usize, usize, &[usize]) -> f64 + 'a>);

impl Explanation {
    /// # Errors
    /// If the tables are not of one number of channels and attributes.
    pub fn check(&self) -> Result<()> {
        let (k, c) = (self.mean_masks.rows(), self.mean_masks.columns());
        let tables = [
            ("the correlation of channels", &self.correlation, (c, c)),
            ("the readout", &self.readout, (k, c)),
            ("the contributions", &self.contributions, (k, c)),
        ];
        for (what, table, expected) in tables {
            if (table.rows(), table.columns()) != expected {
                let got = format!("[{}, {}]", table.rows(), table.columns());
                return Err(Error::Shape {
                    what: what.into(),
                    expected: format!("[{}, {}]", expected.0, expected.1),
                    got,
                });
            }
        }
        match self.filter_norms.len() == c {
            true => Ok(()),
            false => Err(Error::Shape {
                what: "the filters' norms".into(),
                expected: c.to_string(),
                got: self.filter_norms.len().to_string(),
            }),
        }
    }

    /// 1 - the highest correlation with a channel that stays: 0 for a duplicate, whose loss the
    /// paper says one does not notice.
    fn loneliness(&self, channel: usize, gone: &[usize]) -> f64 {
        let others =
            (0..self.correlation.rows()).filter(|other| *other != channel && !gone.contains(other));
        (1. - others.map(|other| self.correlation.get(channel, other)).fold(-1., f64::max)).max(0.)
    }

    fn rules(&self) -> Vec<Rule<'_>> {
        let (k, c) = (self.mean_masks.rows(), self.mean_masks.columns());
        let pairs = c * (c - 1) / 2;
        vec![
            (
                "a duplicate changes nothing (Figure 6)",
                pairs,
                Box::new(|c, _, gone| self.loneliness(c, gone)),
            ),
            (
                "attributes with high mean masks change (Figure 5)",
                k * c,
                Box::new(|c, k, _| self.mean_masks.get(k, c).abs()),
            ),
            (
                "both, multiplied (the paper)",
                pairs + k * c,
                Box::new(|c, k, gone| self.loneliness(c, gone) * self.mean_masks.get(k, c).abs()),
            ),
            ("filter norm", c, Box::new(|c, _, _| self.filter_norms[c])),
            ("readout weights |w|", k * c, Box::new(|c, k, _| self.readout.get(k, c).abs())),
            ("contribution |w·p|", k * c, Box::new(|c, k, _| self.contributions.get(k, c).abs())),
            (
                "a duplicate's contribution changes nothing |w·p|",
                pairs + k * c,
                Box::new(|c, k, gone| {
                    self.loneliness(c, gone) * self.contributions.get(k, c).abs()
                }),
            ),
        ]
    }

    /// Forecasts of what pruning changes: a set of channels for each perturbation, whose effects
    /// add up.
    ///
    /// # Errors
    /// If the tables do not fit each other, or there is no such channel.
    pub fn of_pruning(&self, pruned: &[Vec<usize>]) -> Result<Vec<Forecast>> {
        self.check()?;
        let (attributes, channels) = (self.mean_masks.rows(), self.mean_masks.columns());
        if let Some(channel) = pruned.iter().flatten().find(|&&c| c >= channels) {
            return Err(Error::Shape {
                what: "a pruned channel".into(),
                expected: format!("one of {channels}"),
                got: channel.to_string(),
            });
        }
        let make = |(name, values, rule): Rule| {
            let effect = |gone: &Vec<usize>| {
                (0..attributes).map(|k| gone.iter().map(|&c| rule(c, k, gone)).sum()).collect()
            };
            Forecast {
                name: name.into(),
                effects: Matrix::from_rows(&pruned.iter().map(effect).collect::<Vec<Vec<f64>>>()),
                unit: Unit::Any,
                budget: Budget { values, probes: 0 },
            }
        };
        Ok(self
            .rules()
            .into_iter()
            .map(make)
            .chain([Forecast::nothing(pruned.len(), attributes)])
            .collect())
    }

    /// Forecasts of what a tone curve on the masks of one channel at a time changes, for some
    /// channels in turn. `curve` is the curve itself.
    ///
    /// # Errors
    /// If the tables do not fit each other.
    pub fn of_transforming(
        &self,
        channels: &[usize],
        curve: impl Fn(f64) -> f64,
    ) -> Result<Vec<Forecast>> {
        self.check()?;
        let (k, c) = (self.mean_masks.rows(), self.mean_masks.columns());
        let mask = |k: usize, c: usize| self.mean_masks.get(k, c);
        let moved = |k: usize, c: usize| (curve(mask(k, c)) - mask(k, c)).abs();
        let make = |name: &str, values: usize, rule: &dyn Fn(usize, usize) -> f64| Forecast {
            name: name.into(),
            effects: Matrix::from_rows(
                &channels
                    .iter()
                    .map(|&c| (0..k).map(|k| rule(k, c)).collect())
                    .collect::<Vec<Vec<f64>>>(),
            ),
            unit: Unit::Any,
            budget: Budget { values, probes: 0 },
        };
        Ok(vec![
            make("masks near 0.5 change most (Figure 5)", k * c, &|k, c| {
                (1. - (2. * mask(k, c) - 1.).abs()).max(0.)
            }),
            make("as the curve moves the mean mask (Figure 5)", k * c, &moved),
            make("the same, times what the channel gives |w·p|/M", 2 * k * c, &|k, c| {
                if mask(k, c) > 1e-6 {
                    moved(k, c) * self.contributions.get(k, c).abs() / mask(k, c)
                } else {
                    0.
                }
            }),
            make("contribution |w·p|", k * c, &|k, c| self.contributions.get(k, c).abs()),
            Forecast::nothing(channels.len(), k),
        ])
    }
}

/// Which outputs change much together: the correlation [outputs, outputs] of their effects over the
/// perturbations.
///
/// # Errors
/// If there is only one perturbation.
pub fn together(effects: &Matrix) -> Result<Matrix> {
    if effects.rows() < 2 {
        return Err(Error::Empty(
            "which outputs change together shows in two perturbations at least",
        ));
    }
    let columns: Vec<Vec<f64>> = (0..effects.columns())
        .map(|k| (0..effects.rows()).map(|row| effects.get(row, k)).collect())
        .collect();
    Ok(foresee_analysis::row_correlation(&Matrix::from_rows(&columns))?)
}
