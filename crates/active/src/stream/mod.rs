//! Stream-based selection: each item is decided on as it comes, and not seen again.

mod committee;
mod importance;
mod threshold;

pub use self::committee::{mean_kl, vote_entropy};
pub use self::importance::query_probability;
use self::threshold::Threshold;
use crate::answers::check_probabilities;
use crate::combine::Combination;
use crate::error::{Error, Result};
use crate::random::{Purpose, draw};
use crate::uncertainty::least_confidence;

/// How a stream decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamRule {
    /// Ask if the model is less certain than a threshold that moves with the budget (Žliobaitė,
    /// Bifet, Pfahringer & Holmes, 2014).
    Uncertainty,
    /// Ask at random, more likely where a committee's losses differ, and weigh each label by one
    /// over that probability (Beygelzimer, Dasgupta & Langford, 2009).
    Importance,
    /// Ask if a committee disagrees by more than such a threshold: vote entropy (Dagan & Engelson,
    /// 1995). Dasgupta, Hsu & Monteleoni (2008) ask where hypotheses that are consistent with all
    /// labels disagree; a committee stands in for these.
    Disagreement,
}

impl StreamRule {
    /// All rules.
    pub const ALL: [Self; 3] = [Self::Uncertainty, Self::Importance, Self::Disagreement];

    /// The name in files and commands.
    pub fn id(self) -> &'static str {
        match self {
            Self::Uncertainty => "stream_uncertainty",
            Self::Importance => "stream_importance",
            Self::Disagreement => "stream_disagreement",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Uncertainty => "stream: uncertainty",
            Self::Importance => "stream: importance-weighted",
            Self::Disagreement => "stream: disagreement",
        }
    }

    /// The rule with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// Whether it needs several models.
    pub fn needs_committee(self) -> bool {
        self != Self::Uncertainty
    }
}

/// What bounds a stream, and how it adapts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamSettings {
    /// Labels at most, over the whole stream.
    pub labels: usize,
    /// Labels at most as a share of the items seen so far, in (0, 1]; not for
    /// [`Importance`](StreamRule::Importance), whose weights must not depend on it.
    pub share: f64,
    /// By how much of itself the threshold moves, in (0, 1). Default 0.01, as published.
    pub step: f64,
    /// The lowest probability of [`Importance`](StreamRule::Importance), in (0, 1]. Default 0.1, as
    /// published. No weight is above one over it.
    pub least_probability: f64,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { labels: usize::MAX, share: 0.2, step: 0.01, least_probability: 0.1 }
    }
}

/// Whether to ask for an item's label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// It goes by without a label.
    Pass,
    /// Its label is asked for.
    Ask {
        /// What the item counts in training: 1, or one over the probability that it was asked.
        weight: f64,
    },
}

/// A stream of items, and how many were asked.
///
/// ```
/// use foresee_active::{Decision, Stream, StreamRule, StreamSettings};
///
/// let settings = StreamSettings { labels: 1, share: 1., ..Default::default() };
/// let mut stream = Stream::new(StreamRule::Uncertainty, settings, 7)?;
/// // The threshold is 1 at first: whatever is not certain is asked.
/// assert_eq!(stream.decide(0, &[&[0.6, 0.1]])?, Decision::Ask { weight: 1. });
/// assert_eq!(stream.decide(1, &[&[0.5, 0.5]])?, Decision::Pass);
/// assert_eq!((stream.seen(), stream.asked()), (2, 1));
/// # Ok::<(), foresee_active::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    rule: StreamRule,
    settings: StreamSettings,
    seed: u64,
    threshold: Threshold,
    seen: usize,
    asked: usize,
}

impl Stream {
    /// A stream that begins.
    ///
    /// # Errors
    /// If a setting is outside of its range.
    pub fn new(rule: StreamRule, settings: StreamSettings, seed: u64) -> Result<Self> {
        let StreamSettings { share, step, least_probability, .. } = settings;
        let ranges = [
            ("a stream's share", share, share > 0. && share <= 1.),
            ("a threshold's step", step, step > 0. && step < 1.),
            (
                "the lowest probability of a query",
                least_probability,
                least_probability > 0. && least_probability <= 1.,
            ),
        ];
        match ranges.into_iter().find(|(.., is_possible)| !is_possible) {
            Some((what, value, _)) => {
                Err(Error::Value { what, value, expected: "a number from 0 to 1, above 0" })
            }
            None => Ok(Self {
                rule,
                settings,
                seed,
                threshold: Threshold::new(step, share),
                seen: 0,
                asked: 0,
            }),
        }
    }

    /// Items that came by.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Labels that were asked for.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Decides on the next item, from the probabilities `[K]` that each member of the committee
    /// gives it. [`Uncertainty`](StreamRule::Uncertainty) takes their mean; one member is enough.
    ///
    /// # Errors
    /// If there is no member, their numbers of outputs differ, or a probability is none.
    pub fn decide(&mut self, item: usize, committee: &[&[f32]]) -> Result<Decision> {
        check(committee)?;
        self.seen += 1;
        if self.asked >= self.settings.labels {
            return Ok(Decision::Pass);
        }
        let decision = match self.rule {
            StreamRule::Importance => self.weigh(item, committee),
            _ if (self.asked + 1) as f64 > self.settings.share * self.seen as f64 => Decision::Pass,
            StreamRule::Uncertainty => {
                let mean = committee::mean(committee);
                self.compare(1. - least_confidence(&mean, Combination::Mean))
            }
            StreamRule::Disagreement => {
                self.compare(1. - vote_entropy(committee) / std::f64::consts::LN_2)
            }
        };
        self.asked += usize::from(decision != Decision::Pass);
        Ok(decision)
    }

    fn compare(&mut self, certainty: f64) -> Decision {
        match self.threshold.asks(certainty) {
            true => Decision::Ask { weight: 1. },
            false => Decision::Pass,
        }
    }

    fn weigh(&self, item: usize, committee: &[&[f32]]) -> Decision {
        let p = query_probability(committee, self.settings.least_probability);
        match draw(self.seed, Purpose::Query, self.seen, item) <= p {
            true => Decision::Ask { weight: 1. / p },
            false => Decision::Pass,
        }
    }
}

fn check(committee: &[&[f32]]) -> Result<()> {
    let outputs = committee.first().map_or(0, |first| first.len());
    if outputs == 0 || committee.iter().any(|member| member.len() != outputs) {
        return Err(Error::Shape {
            what: "a committee",
            expected: "one member or more, all with as many outputs, at least one".into(),
            got: format!("{:?} outputs", committee.iter().map(|m| m.len()).collect::<Vec<_>>()),
        });
    }
    committee.iter().try_for_each(|member| check_probabilities(member))
}
