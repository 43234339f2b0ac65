//! Forecasts: what is expected of each perturbation before the perturbed model is run.

use std::fmt;

use foresee_stats::Matrix;

use crate::definition::Change;
use crate::error::{Error, Result};

/// What a forecast is read from, or how it is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForecastRule {
    /// 1 - the highest correlation with a channel that is kept: the loss of a duplicate changes
    /// nothing.
    Uniqueness,
    /// The mean mask of the channel.
    MeanMask,
    /// [`Uniqueness`](Self::Uniqueness) times [`MeanMask`](Self::MeanMask), as the paper argues.
    UniquenessTimesMask,
    /// The L1 norm of the channel's filter.
    FilterNorm,
    /// The channel's readout weight |w|.
    ReadoutWeight,
    /// The channel's mean contribution |w·p| to the logit.
    Contribution,
    /// [`Uniqueness`](Self::Uniqueness) times [`Contribution`](Self::Contribution).
    UniquenessTimesContribution,
    /// [`MeanMask`](Self::MeanMask) with the sign of the channel's readout weight.
    SignedMask,
    /// [`Contribution`](Self::Contribution) with the sign of the channel's readout weight.
    SignedContribution,
    /// Under a tone curve, masks near 0.5 change most.
    MaskNearHalf,
    /// Under a tone curve, how far it moves the mean mask.
    CurveShift,
    /// [`CurveShift`](Self::CurveShift) times |w·p|/M, what the channel contributes for each unit
    /// of mask.
    CurveShiftTimesContribution,
    /// The first-order change Σ a·∂f/∂a over the activations a that go, with its sign.
    FirstOrder,
    /// [`FirstOrder`](Self::FirstOrder) and half of the curvature along the channels that go, which
    /// one probe tells: the network in which they are closed a part of the way.
    SecondOrder,
    /// Nothing changes.
    Nothing,
    /// Without an explanation: each output changes as in the mean of all other operations of the
    /// same strength ([`Study::mean_of_others`](crate::Study::mean_of_others)).
    MeanOfOthers,
    /// Linear extrapolation from one small probe.
    LinearProbe,
    /// Attributes with similar masks change together (Table 4).
    SimilarMasks,
    /// The stronger the perturbation, the larger the change.
    Monotone,
    /// Only the perturbed component changes, by as much as it was perturbed.
    OneComponent,
    /// A forecast of your own, with its title.
    Custom(String),
}

/// How the ids of your own forecasts begin.
const CUSTOM: &str = "custom:";

impl ForecastRule {
    /// All forecasts that this crate makes.
    pub const ALL: [Self; 20] = [
        Self::Uniqueness,
        Self::MeanMask,
        Self::UniquenessTimesMask,
        Self::FilterNorm,
        Self::ReadoutWeight,
        Self::Contribution,
        Self::UniquenessTimesContribution,
        Self::SignedMask,
        Self::SignedContribution,
        Self::MaskNearHalf,
        Self::CurveShift,
        Self::CurveShiftTimesContribution,
        Self::FirstOrder,
        Self::SecondOrder,
        Self::Nothing,
        Self::MeanOfOthers,
        Self::LinearProbe,
        Self::SimilarMasks,
        Self::Monotone,
        Self::OneComponent,
    ];

    /// A forecast of your own.
    pub fn custom(title: &str) -> Self {
        Self::Custom(title.to_owned())
    }

    /// The name in files: a word, or for a forecast of your own `custom:` and its title.
    pub fn id(&self) -> String {
        match self {
            Self::Uniqueness => "uniqueness".into(),
            Self::MeanMask => "mean_mask".into(),
            Self::UniquenessTimesMask => "uniqueness_times_mask".into(),
            Self::FilterNorm => "filter_norm".into(),
            Self::ReadoutWeight => "readout_weight".into(),
            Self::Contribution => "contribution".into(),
            Self::UniquenessTimesContribution => "uniqueness_times_contribution".into(),
            Self::SignedMask => "signed_mask".into(),
            Self::SignedContribution => "signed_contribution".into(),
            Self::MaskNearHalf => "mask_near_half".into(),
            Self::CurveShift => "curve_shift".into(),
            Self::CurveShiftTimesContribution => "curve_shift_times_contribution".into(),
            Self::FirstOrder => "first_order".into(),
            Self::SecondOrder => "second_order".into(),
            Self::Nothing => "nothing".into(),
            Self::MeanOfOthers => "mean_of_others".into(),
            Self::LinearProbe => "linear_probe".into(),
            Self::SimilarMasks => "similar_masks".into(),
            Self::Monotone => "monotone".into(),
            Self::OneComponent => "one_component".into(),
            Self::Custom(title) => format!("{CUSTOM}{title}"),
        }
    }

    /// The name in figures and tables.
    pub fn title(&self) -> &str {
        match self {
            Self::Uniqueness => "a duplicate changes nothing",
            Self::MeanMask => "attributes with high mean masks change (Figure 5)",
            Self::UniquenessTimesMask => "uniqueness × mean mask (the paper)",
            Self::FilterNorm => "filter norm",
            Self::ReadoutWeight => "readout weights |w|",
            Self::Contribution => "contribution |w·p|",
            Self::UniquenessTimesContribution => "a duplicate's contribution changes nothing |w·p|",
            Self::SignedMask => "mean masks add up with the readout's signs (Figure 5)",
            Self::SignedContribution => "contributions |w·p| add up with the readout's signs",
            Self::MaskNearHalf => "masks near 0.5 change most (Figure 5)",
            Self::CurveShift => "as the curve moves the mean mask (Figure 5)",
            Self::CurveShiftTimesContribution => "as the curve moves the mean mask, × |w·p|/M",
            Self::FirstOrder => "first order Σ a·∂f/∂a",
            Self::SecondOrder => "second order, curvature from one probe",
            Self::Nothing => "nothing changes",
            Self::MeanOfOthers => "no explanation: the others' mean, by output",
            Self::LinearProbe => "linear from one small probe",
            Self::SimilarMasks => "attributes with similar masks change together (Table 4)",
            Self::Monotone => "the stronger, the more",
            Self::OneComponent => "only this component changes, by this much",
            Self::Custom(title) => title,
        }
    }

    /// The rule with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        match id.strip_prefix(CUSTOM) {
            Some(title) => Some(Self::custom(title)),
            None => Self::ALL.into_iter().find(|rule| rule.id() == id),
        }
    }
}

impl fmt::Display for ForecastRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What a score is of: one forecast, or how much better one is than another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One forecast.
    Forecast(ForecastRule),
    /// The difference between the scores of two forecasts.
    Difference {
        /// The forecast whose score counts positive.
        ours: ForecastRule,
        /// The forecast whose score is subtracted.
        theirs: ForecastRule,
    },
}

/// Between the ids of two forecasts.
const MINUS: &str = "-minus-";

impl Subject {
    /// The name in files: the forecast's id, or two ids with `-minus-` between them.
    pub fn id(&self) -> String {
        match self {
            Self::Forecast(rule) => rule.id(),
            Self::Difference { ours, theirs } => format!("{}{MINUS}{}", ours.id(), theirs.id()),
        }
    }

    /// The name in figures and tables, such as `filter norm` or
    /// `filter norm minus nothing changes`.
    pub fn title(&self) -> String {
        match self {
            Self::Forecast(rule) => rule.title().to_owned(),
            Self::Difference { ours, theirs } => {
                format!("{} minus {}", ours.title(), theirs.title())
            }
        }
    }

    /// The subject with this id. Titles of your own forecasts must not contain `-minus-`.
    pub fn from_id(id: &str) -> Option<Self> {
        match id.split_once(MINUS) {
            Some((ours, theirs)) => Some(Self::Difference {
                ours: ForecastRule::from_id(ours)?,
                theirs: ForecastRule::from_id(theirs)?,
            }),
            None => ForecastRule::from_id(id).map(Self::Forecast),
        }
    }

    /// Whether this is a difference between two forecasts.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Difference { .. })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.title())
    }
}

/// The unit of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// That of the outputs: the forecast says by how much they change.
    Outputs,
    /// Any: the forecast says where more changes and where less. Its scale and zero are then fitted
    /// on what all other operations changed (two numbers).
    Any,
}

/// What a forecast needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Numbers of the explanation.
    pub values: usize,
    /// Perturbed models that are run beforehand.
    pub probes: usize,
}

/// What a person who has seen an explanation expects of each perturbation before the perturbed
/// model is run: for each change that [`observe`](crate::observe) returns, in that order, how much
/// each output will change.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What it is read from.
    pub rule: ForecastRule,
    /// [changes, outputs], none negative.
    pub effects: Matrix,
    /// The unit of the effects.
    pub unit: Unit,
    /// What it was made from.
    pub budget: Budget,
}

impl Forecast {
    /// "Nothing changes".
    pub fn nothing(changes: usize, outputs: usize) -> Self {
        Self {
            rule: ForecastRule::Nothing,
            effects: Matrix::zeros(changes, outputs),
            unit: Unit::Outputs,
            budget: Budget::default(),
        }
    }

    /// Linear extrapolation: the effect of each operation at a small strength, observed once, grows
    /// in proportion to the strength. `probes` holds the change of each operation at the probe's
    /// strength; the forecast is for each of `strengths`.
    ///
    /// ```
    /// use foresee_predict::{Change, Forecast, Matrix};
    ///
    /// let probe = Change {
    ///     number: 0,
    ///     operation: "noise".into(),
    ///     strength: 0.5,
    ///     by_item: Matrix::from_rows(&[vec![1., -2.]]),
    /// };
    /// let forecast = Forecast::linear(&[probe], &[1., 2.])?;
    /// // At twice the strength twice the change, whatever its sign.
    /// assert_eq!(forecast.effects, Matrix::from_rows(&[vec![2., 4.], vec![4., 8.]]));
    /// assert_eq!(forecast.budget.probes, 1);
    /// # Ok::<(), foresee_predict::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a probe has the strength 0.
    pub fn linear(probes: &[Change], strengths: &[f64]) -> Result<Self> {
        let mut rows = vec![];
        for probe in probes {
            if probe.strength == 0. {
                return Err(Error::Value {
                    what: format!("the probe by {}", probe.operation),
                    value: 0.,
                    expected: "another strength",
                });
            }
            let effect = probe.mean_effect();
            rows.extend(strengths.iter().map(|s| {
                effect.iter().map(|e| e * (s / probe.strength).abs()).collect::<Vec<_>>()
            }));
        }
        let values = probes.iter().map(|probe| probe.by_item.columns()).sum();
        Ok(Self {
            rule: ForecastRule::LinearProbe,
            effects: Matrix::from_rows(&rows),
            unit: Unit::Outputs,
            budget: Budget { values, probes: probes.len() },
        })
    }
}
