//! What one may choose of a study.

use std::fmt;

use foresee_attribution::Method;
use foresee_celeba::ATTRIBUTES;
use foresee_people::ExclusionRules;
use foresee_perturb::{PowerCurve, PruneRule, Takeover};
use serde::{Deserialize, Serialize};

use super::texts::Texts;
use crate::error::{Result, input};
use crate::operate::{Operation, Pruning, Tone};

/// What one may choose of a study: a part of its design file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Choices {
    /// Shown above the page.
    pub title: String,
    /// Decides every draw.
    pub seed: u64,
    /// What is shown to whom. The first that is shuffled is the control; without one, the first
    /// that shows nothing.
    pub arms: Vec<Arm>,
    /// Test faces, each of which meets every operation.
    pub faces: usize,
    /// How many attributes are asked for.
    pub asked: usize,
    /// Which attributes are asked for; if none is named they are drawn.
    pub attributes: Vec<String>,
    /// Trials of each person that count.
    pub trials: usize,
    /// Trials with feedback before them.
    pub practice: usize,
    /// Attention checks among them.
    pub checks: usize,
    /// People who are let in, besides those who gave up.
    pub most_people: usize,
    /// Who has not finished and gives no answer for so many hours has given up: somebody else gets
    /// the same arm and items. So does the place of who withdraws.
    pub given_up_after_hours: f64,
    /// A change of a probability by less than so many percentage points has no direction.
    pub least_change: f64,
    /// Bootstrap samples.
    pub resamples: usize,
    /// Names of the parameters of the link that are kept to know a person again: PROLIFIC_PID,
    /// STUDY_ID, SESSION_ID, workerId, assignmentId or hitId. The first tells people apart. None
    /// is kept otherwise, nor anything else about a person.
    pub identifiers: Vec<String>,
    /// Where people go back to with their code; {code} stands for it.
    pub completion_link: Option<String>,
    /// The code that everybody is given in the end; if empty, each person's own is drawn.
    pub completion_code: String,
    /// Who is left out of the scores.
    pub exclusion: ExclusionRules,
    /// What is done to the network.
    pub operations: Vec<StudyOperation>,
    /// What people read.
    pub texts: Texts,
}

/// Hours after which a person has given up: at least a quarter, and at most a year.
const LEAST_HOURS: f64 = 0.25;
const MOST_HOURS: f64 = 8784.;
/// Bootstrap samples at most.
const MOST_RESAMPLES: usize = 100_000;

/// Names that a link from a platform may bring.
pub(super) const IDENTIFIERS: [&str; 6] =
    ["PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "workerId", "assignmentId", "hitId"];

/// What is shown of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// The mean masks of the channels in question.
    Masks,
    /// What the channels in question add to the logits.
    Contributions,
    /// The correlation among the channels in question and those most like them.
    Correlation,
    /// An attribution method's maps.
    Attribution(Method),
}

/// People who are shown the same kind of explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Arm {
    /// What is shown.
    pub shown: Shown,
    /// Whether it is that of another item: the control.
    pub shuffled: bool,
}

/// How the names of controls begin.
const SHUFFLED: &str = "shuffled_";

impl Shown {
    fn id(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Masks => "masks",
            Self::Contributions => "contributions",
            Self::Correlation => "correlation",
            Self::Attribution(method) => method.id(),
        }
    }

    fn from_id(id: &str) -> Option<Self> {
        let known = [Self::Nothing, Self::Masks, Self::Contributions, Self::Correlation];
        let method = || Method::from_id(id).map(Self::Attribution);
        known.into_iter().find(|shown| shown.id() == id).or_else(method)
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shuffled = if self.shuffled { SHUFFLED } else { "" };
        write!(f, "{shuffled}{}", self.shown.id())
    }
}

impl From<Arm> for String {
    fn from(arm: Arm) -> Self {
        arm.to_string()
    }
}

impl TryFrom<String> for Arm {
    type Error = String;

    fn try_from(id: String) -> std::result::Result<Self, String> {
        id.parse()
    }
}

impl std::str::FromStr for Arm {
    type Err = String;

    fn from_str(id: &str) -> std::result::Result<Self, String> {
        let (shuffled, rest) = match id.strip_prefix(SHUFFLED) {
            Some(rest) => (true, rest),
            None => (false, id),
        };
        match Shown::from_id(rest) {
            Some(Shown::Nothing) if shuffled => Err("nothing cannot be shuffled".into()),
            Some(shown) => Ok(Self { shown, shuffled }),
            None => Err(format!(
                "{id:?} is no arm; give none, masks, contributions, correlation or an attribution \
                 method such as grad-cam, and shuffled_ before it for the control"
            )),
        }
    }
}

impl Arm {
    /// In words.
    pub fn title(self) -> String {
        let shown = match self.shown {
            Shown::Nothing => "no explanation".into(),
            Shown::Masks => "masks".into(),
            Shown::Contributions => "contributions".into(),
            Shown::Correlation => "channel correlation".into(),
            Shown::Attribution(method) => method.title().to_owned(),
        };
        if self.shuffled { format!("{shown}, shuffled") } else { shown }
    }
}

/// What is done to the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StudyOperation {
    /// A share of the channels is pruned.
    Prune {
        /// In which order.
        rule: PruneRule,
        /// Above 0, below 1.
        share: f64,
        /// Of a random order.
        #[serde(default)]
        seed: u64,
        /// Who takes over.
        #[serde(default)]
        takeover: Takeover,
    },
    /// A tone curve on all masks (Eq. 11 and 12).
    ToneCurve {
        /// n.
        n: f64,
        /// β.
        beta: f64,
    },
    /// Noise on the pixels.
    Noise {
        /// Its standard deviation, where pixels are from 0 to 1.
        sigma: f64,
        /// Decides its draw.
        #[serde(default)]
        seed: u64,
    },
}

impl StudyOperation {
    /// On a network of so many channels.
    pub fn of(self, channels: usize) -> Operation {
        let nothing = Operation::default();
        match self {
            Self::Prune { rule, share, seed, takeover } => {
                let count = ((share * channels as f64).round() as usize).clamp(1, channels - 1);
                Operation { pruning: Pruning::Order { rule, seed, count }, takeover, ..nothing }
            }
            Self::ToneCurve { n, beta } => Operation { tone: Some(Tone { n, beta }), ..nothing },
            Self::Noise { sigma, seed } => Operation { sigma, noise_seed: seed, ..nothing },
        }
    }

    /// For people who do not know the paper.
    pub fn words(self, channels: usize) -> String {
        match (self, self.of(channels).pruning) {
            (Self::Prune { rule, takeover, .. }, Pruning::Order { count, .. }) => {
                let which = match rule {
                    PruneRule::Random => "drawn at random".into(),
                    _ => format!("chosen by the rule “{}”", rule.title()),
                };
                let after = match takeover {
                    Takeover::Nothing => "Nothing takes their place.".into(),
                    _ => format!("Others take their place ({}).", takeover.title()),
                };
                format!(
                    "{count} of the network's {channels} channels are removed, {which}. A channel \
                     is a part that looks for one kind of pattern. {after}"
                )
            }
            (Self::ToneCurve { n, beta }, _) => format!(
                "The masks, which say where in the picture the network looks, are made harder: \
                 what is weak becomes weaker, what is strong stronger (tone curve n = {n}, β = \
                 {beta})."
            ),
            (Self::Noise { sigma, .. }, _) => format!(
                "Noise is added to the picture before the network sees it: each pixel moves by \
                 about {:.0} % of the range from black to white.",
                100. * sigma
            ),
            _ => String::new(),
        }
    }

    /// In a few words, for figures and tables.
    pub fn title(self) -> String {
        match self {
            Self::Prune { rule, share, takeover, .. } => {
                let after = match takeover {
                    Takeover::Nothing => String::new(),
                    _ => format!(", {}", takeover.title()),
                };
                format!("{:.0} % pruned ({}){after}", 100. * share, rule.title())
            }
            Self::ToneCurve { n, beta } => format!("tone curve n = {n}, β = {beta}"),
            Self::Noise { sigma, .. } => format!("noise σ = {sigma}"),
        }
    }

    fn check(self) -> Result<()> {
        let wrong = |reason: &str| Err(input(format!("operation `{}`: {reason}", self.title())));
        match self {
            Self::Prune { share, .. } if !(share > 0. && share < 1.) => {
                wrong("share is above 0 and below 1")
            }
            Self::ToneCurve { n, beta } => match PowerCurve::new(n, beta) {
                Ok(_) => Ok(()),
                Err(e) => wrong(&e.to_string()),
            },
            Self::Noise { sigma, .. } if !(sigma > 0. && sigma <= 10.) => {
                wrong("sigma is above 0, at most 10")
            }
            _ => Ok(()),
        }
    }
}

impl Default for Choices {
    fn default() -> Self {
        let prune = |rule, share| StudyOperation::Prune {
            rule,
            share,
            seed: 0,
            takeover: Takeover::Nothing,
        };
        let arm = |shown, shuffled| Arm { shown, shuffled };
        Self {
            title: "What will the network say?".into(),
            seed: 0,
            arms: vec![
                arm(Shown::Nothing, false),
                arm(Shown::Masks, false),
                arm(Shown::Contributions, false),
                arm(Shown::Contributions, true),
            ],
            faces: 24,
            asked: 5,
            attributes: vec![],
            trials: 12,
            practice: 2,
            checks: 2,
            most_people: 400,
            given_up_after_hours: 24.,
            least_change: 2.,
            resamples: 1000,
            identifiers: vec![],
            completion_link: None,
            completion_code: String::new(),
            exclusion: ExclusionRules {
                most_failed_checks: 1,
                least_median_seconds: 3.,
                most_unmoved: 0.8,
            },
            operations: vec![
                prune(PruneRule::FilterNorm, 0.25),
                prune(PruneRule::FilterNorm, 0.5),
                prune(PruneRule::Random, 0.25),
                prune(PruneRule::Random, 0.5),
                StudyOperation::ToneCurve { n: 2., beta: 0. },
                StudyOperation::Noise { sigma: 0.1, seed: 0 },
            ],
            texts: Texts::default(),
        }
    }
}

impl Choices {
    /// The place of the control among the arms.
    pub fn control(&self) -> Option<usize> {
        let shuffled = self.arms.iter().position(|arm| arm.shuffled);
        shuffled.or_else(|| self.arms.iter().position(|arm| arm.shown == Shown::Nothing))
    }

    /// Refuses what cannot be a study.
    pub fn check(&self, test_faces: usize) -> Result<()> {
        let refuse = |reason: String| Err(input(format!("the design: {reason}")));
        if self.arms.is_empty() || self.operations.is_empty() {
            return refuse("it needs an arm and an operation at least".into());
        }
        if (1..self.arms.len()).any(|i| self.arms[..i].contains(&self.arms[i])) {
            return refuse("an arm is named twice; leave one out".into());
        }
        self.operations.iter().try_for_each(|operation| operation.check())?;
        if self.trials == 0 || self.trials > self.faces {
            return refuse(format!(
                "{} trials a person and {} faces: give at least one trial, and as many faces as \
                 trials, or a person would see a face twice",
                self.trials, self.faces
            ));
        }
        if self.faces + self.practice > test_faces {
            return refuse(format!(
                "{} faces and {} for practice, but the run has {test_faces} test faces",
                self.faces, self.practice
            ));
        }
        self.check_attributes()?;
        if let Some(name) = self.identifiers.iter().find(|n| !IDENTIFIERS.contains(&n.as_str())) {
            let known = IDENTIFIERS.join(", ");
            return refuse(format!("identifier {name:?} is not known; give some of {known}"));
        }
        if !(self.least_change >= 0. && self.least_change < 100.) {
            return refuse("least_change is from 0 to 100 percentage points".into());
        }
        if !(1..=MOST_RESAMPLES).contains(&self.resamples) || self.most_people == 0 {
            return refuse(format!(
                "resamples is from 1 to {MOST_RESAMPLES}, and most_people at least 1"
            ));
        }
        if !(LEAST_HOURS..=MOST_HOURS).contains(&self.given_up_after_hours) {
            return refuse(format!(
                "given_up_after_hours is from {LEAST_HOURS} to {MOST_HOURS}: nobody answers at once"
            ));
        }
        let ExclusionRules { least_median_seconds, most_unmoved, .. } = self.exclusion;
        if !(least_median_seconds >= 0. && (0. ..=1.).contains(&most_unmoved)) {
            return refuse(
                "exclusion: least_median_seconds is from 0, most_unmoved from 0 to 1".into(),
            );
        }
        if self.checks > self.trials {
            return refuse(format!(
                "{} attention checks among {} trials; give fewer",
                self.checks, self.trials
            ));
        }
        if self.seed > i64::MAX as u64 {
            return refuse(format!("the seed is at most {}", i64::MAX));
        }
        if self.faces < 2 && self.arms.iter().any(|arm| arm.shuffled) {
            return refuse("a shuffled arm needs two faces at least".into());
        }
        let link = self.completion_link.as_deref();
        if link.is_some_and(|link| !link.starts_with("https://")) {
            return refuse("completion_link begins with https://".into());
        }
        Ok(())
    }

    fn check_attributes(&self) -> Result<()> {
        let named = &self.attributes;
        if let Some(name) = named.iter().find(|name| !ATTRIBUTES.contains(&name.as_str())) {
            return Err(input(format!("{name:?} is not one of CelebA's 40 attributes")));
        }
        if (1..named.len()).any(|i| named[..i].contains(&named[i])) {
            return Err(input("an attribute is named twice; leave one out"));
        }
        let count = if named.is_empty() { self.asked } else { named.len() };
        match (2..=10).contains(&count) {
            true => Ok(()),
            false => Err(input(format!("{count} attributes are asked for; ask for 2 to 10"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_back() -> Result<()> {
        let choices = Choices { completion_code: "C1".into(), ..Choices::default() };
        let text = toml::to_string_pretty(&choices)?;
        assert_eq!(toml::from_str::<Choices>(&text)?, choices);
        let few: Choices = toml::from_str("arms = [\"none\", \"shuffled_grad-cam\"]\ntrials = 3")?;
        assert_eq!((few.trials, few.faces, few.control()), (3, 24, Some(1)));
        assert_eq!(few.arms[1].to_string(), "shuffled_grad-cam");
        few.check(100)
    }

    #[test]
    fn what_cannot_be_a_study_is_refused() {
        for text in [
            "arms = []",
            "arms = [\"none\", \"none\"]",
            "arms = [\"magic\"]",
            "arms = [\"shuffled_none\"]",
            "trials = 25",
            "trials = 0",
            "faces = 99",
            "asked = 1",
            "attributes = [\"Smiling\"]",
            "attributes = [\"Smiling\", \"Smiling\"]",
            "attributes = [\"Smiling\", \"Happy\"]",
            "identifiers = [\"email\"]",
            "completion_link = \"javascript:alert(1)\"",
            "least_change = nan",
            "resamples = 0",
            "people = 3",
            "operations = [{ kind = \"prune\", rule = \"l1\", share = 1.0 }]",
            "operations = [{ kind = \"noise\", sigma = 0.0 }]",
            "operations = [{ kind = \"tone_curve\", n = -1.0, beta = 0.0 }]",
        ] {
            let read = toml::from_str::<Choices>(text);
            assert!(read.is_err() || read.is_ok_and(|c| c.check(100).is_err()), "{text}");
        }
    }
}
