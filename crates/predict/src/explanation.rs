//! What a person sees of a network with attention masks, and the forecasts that follow from it.

use foresee_stats::Matrix;

use crate::error::{Error, Result};
use crate::forecast::{Budget, Forecast, ForecastRule, Unit};

/// Mean masks up to this count as closed, so that they contribute nothing.
pub(crate) const CLOSED_MASK: f64 = 1e-6;

/// The figures of the paper as numbers. C channels, K attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Correlation among channels [C, C] (Figure 6).
    pub correlation: Matrix,
    /// Mean masks [K, C] (Figure 5).
    pub mean_masks: Matrix,
    /// Readout weights w [K, C].
    pub readout: Matrix,
    /// Mean |w·p| [K, C]: what a channel contributes to an attribute's logit.
    pub contributions: Matrix,
    /// L1 norm of each channel's filter, `[C]`.
    pub filter_norms: Vec<f64>,
}

/// A forecast of what pruning one channel changes.
struct PruningForecast {
    rule: ForecastRule,
    /// How many numbers of the explanation it sees, given K and C.
    values: fn(usize, usize) -> usize,
    /// The effect of pruning channel c on attribute k when all of `pruned` are pruned, from (c, k,
    /// pruned). What is forecast is the size of their sum.
    effect: fn(&Explanation, usize, usize, &[usize]) -> f64,
}

/// The forecasts of pruning. A new one is one entry here, and its names in [`ForecastRule`].
const PRUNING_FORECASTS: [PruningForecast; 7] = [
    PruningForecast {
        rule: ForecastRule::Uniqueness,
        values: |_, channels| pairs(channels),
        effect: |shown, c, _, pruned| uniqueness(&shown.correlation, c, pruned),
    },
    PruningForecast {
        rule: ForecastRule::MeanMask,
        values: |attributes, channels| attributes * channels,
        effect: |shown, c, k, _| shown.mean_masks.get(k, c).abs(),
    },
    PruningForecast {
        rule: ForecastRule::UniquenessTimesMask,
        values: |attributes, channels| pairs(channels) + attributes * channels,
        effect: |shown, c, k, pruned| {
            uniqueness(&shown.correlation, c, pruned) * shown.mean_masks.get(k, c).abs()
        },
    },
    PruningForecast {
        rule: ForecastRule::FilterNorm,
        values: |_, channels| channels,
        effect: |shown, c, _, _| shown.filter_norms[c],
    },
    PruningForecast {
        rule: ForecastRule::ReadoutWeight,
        values: |attributes, channels| attributes * channels,
        effect: |shown, c, k, _| shown.readout.get(k, c).abs(),
    },
    PruningForecast {
        rule: ForecastRule::Contribution,
        values: |attributes, channels| attributes * channels,
        effect: |shown, c, k, _| shown.contributions.get(k, c).abs(),
    },
    PruningForecast {
        rule: ForecastRule::UniquenessTimesContribution,
        values: |attributes, channels| pairs(channels) + attributes * channels,
        effect: |shown, c, k, pruned| {
            uniqueness(&shown.correlation, c, pruned) * shown.contributions.get(k, c).abs()
        },
    },
];

/// The forecasts in which channels that speak for an attribute and others against it make up for
/// each other. They differ from those above where several channels go.
const SIGNED_FORECASTS: [PruningForecast; 2] = [
    PruningForecast {
        rule: ForecastRule::SignedMask,
        values: |attributes, channels| 2 * attributes * channels,
        effect: |shown, c, k, _| sign(shown, c, k) * shown.mean_masks.get(k, c).abs(),
    },
    PruningForecast {
        rule: ForecastRule::SignedContribution,
        values: |attributes, channels| 2 * attributes * channels,
        effect: |shown, c, k, _| sign(shown, c, k) * shown.contributions.get(k, c).abs(),
    },
];

/// Whether channel c speaks for attribute k, 1, or against it, -1, or says nothing, 0.
fn sign(shown: &Explanation, c: usize, k: usize) -> f64 {
    let weight = shown.readout.get(k, c);
    if weight == 0. { 0. } else { weight.signum() }
}

/// Number of pairs of channels.
fn pairs(channels: usize) -> usize {
    channels * channels.saturating_sub(1) / 2
}

impl Explanation {
    /// Makes sure that all tables are for one number of channels and attributes.
    ///
    /// # Errors
    /// If one is not.
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

    /// Forecasts of what pruning changes. `pruned` holds a set of channels for each perturbation,
    /// whose effects add up.
    ///
    /// ```
    /// use foresee_predict::{Explanation, ForecastRule, Matrix};
    ///
    /// // Two channels that correlate by 0.75, and one attribute.
    /// let explanation = Explanation {
    ///     correlation: Matrix::from_rows(&[vec![1., 0.75], vec![0.75, 1.]]),
    ///     mean_masks: Matrix::from_rows(&[vec![0.8, 0.4]]),
    ///     readout: Matrix::from_rows(&[vec![1., -1.]]),
    ///     contributions: Matrix::from_rows(&[vec![0.5, 0.1]]),
    ///     filter_norms: vec![1., 2.],
    /// };
    /// // Either channel alone is pruned.
    /// let forecasts = explanation.of_pruning(&[vec![0], vec![1]])?;
    /// let of = |rule: ForecastRule| forecasts.iter().find(|f| f.rule == rule).map(|f| &f.effects);
    /// let masks = Matrix::from_rows(&[vec![0.8], vec![0.4]]);
    /// assert_eq!(of(ForecastRule::MeanMask), Some(&masks));
    /// let unique = Matrix::from_rows(&[vec![0.25], vec![0.25]]);
    /// assert_eq!(of(ForecastRule::Uniqueness), Some(&unique));
    ///
    /// // Both: what the second says against the attribute makes up for a part of the first.
    /// let forecasts = explanation.of_pruning(&[vec![0, 1]])?;
    /// let of = |rule: ForecastRule| forecasts.iter().find(|f| f.rule == rule).map(|f| &f.effects);
    /// let (sum, difference) = (vec![vec![0.5 + 0.1]], vec![vec![0.5 - 0.1]]);
    /// assert_eq!(of(ForecastRule::Contribution), Some(&Matrix::from_rows(&sum)));
    /// assert_eq!(of(ForecastRule::SignedContribution), Some(&Matrix::from_rows(&difference)));
    /// # Ok::<(), foresee_predict::Error>(())
    /// ```
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
        let forecast = |PruningForecast { rule, values, effect }: PruningForecast| {
            let effects = |pruned: &Vec<usize>| {
                let sum = |k| pruned.iter().map(|&c| effect(self, c, k, pruned)).sum::<f64>();
                (0..attributes).map(|k| sum(k).abs()).collect()
            };
            Forecast {
                rule,
                effects: Matrix::from_rows(&pruned.iter().map(effects).collect::<Vec<Vec<f64>>>()),
                unit: Unit::Any,
                budget: Budget { values: values(attributes, channels), probes: 0 },
            }
        };
        let several = pruned.iter().any(|channels| channels.len() > 1);
        let signed = SIGNED_FORECASTS.into_iter().filter(|_| several);
        let all = PRUNING_FORECASTS.into_iter().chain(signed);
        let mut forecasts: Vec<Forecast> = all.map(forecast).collect();
        forecasts.push(Forecast::nothing(pruned.len(), attributes));
        Ok(forecasts)
    }

    /// Forecasts of what a tone curve on the masks of one channel changes, for each of `channels`
    /// in turn. `curve` is the curve itself, from a mask to the transformed mask.
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
        let shift = |k: usize, c: usize| (curve(mask(k, c)) - mask(k, c)).abs();
        let contribution = |k: usize, c: usize| self.contributions.get(k, c).abs();
        let near_half = |k: usize, c: usize| (1. - (2. * mask(k, c) - 1.).abs()).max(0.);
        let shift_times_contribution = |k: usize, c: usize| match mask(k, c) > CLOSED_MASK {
            true => shift(k, c) * contribution(k, c) / mask(k, c),
            false => 0.,
        };
        let forecast = |rule, values, effect: &dyn Fn(usize, usize) -> f64| {
            let effects = |&c: &usize| (0..k).map(|k| effect(k, c)).collect();
            Forecast {
                rule,
                effects: Matrix::from_rows(
                    &channels.iter().map(effects).collect::<Vec<Vec<f64>>>(),
                ),
                unit: Unit::Any,
                budget: Budget { values, probes: 0 },
            }
        };
        Ok(vec![
            forecast(ForecastRule::MaskNearHalf, k * c, &near_half),
            forecast(ForecastRule::CurveShift, k * c, &shift),
            forecast(
                ForecastRule::CurveShiftTimesContribution,
                2 * k * c,
                &shift_times_contribution,
            ),
            forecast(ForecastRule::Contribution, k * c, &contribution),
            Forecast::nothing(channels.len(), k),
        ])
    }
}

/// 1 - the highest correlation with a channel that is kept: 0 for a duplicate, whose loss changes
/// nothing, as the paper argues.
pub(crate) fn uniqueness(correlation: &Matrix, channel: usize, pruned: &[usize]) -> f64 {
    let kept = (0..correlation.rows()).filter(|other| *other != channel && !pruned.contains(other));
    (1. - kept.map(|other| correlation.get(channel, other)).fold(-1., f64::max)).max(0.)
}
