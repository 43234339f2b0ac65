//! What is looked at: the state that a link holds.

use foresee_attribution::Method;
use foresee_celeba::ATTRIBUTES;
use foresee_perturb::{PruneRule, Takeover};

use super::parameters::Parameters;
use crate::error::{Result, input};
use crate::operate::{FaceId, Operation, Pruning, Tone};

/// What of a mask is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaskMeasure {
    /// The mask M.
    Mask,
    /// What it lets through to the logit, w·M ⊗ z.
    Contribution,
}

impl MaskMeasure {
    pub const ALL: [Self; 2] = [Self::Mask, Self::Contribution];

    pub fn id(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Contribution => "contribution",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Mask => "mask M",
            Self::Contribution => "contribution w·(M ⊗ z)",
        }
    }

    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.id() == id)
    }
}

/// How the faces are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As the data set has them.
    Order,
    /// The largest log loss first.
    MostWrong,
    /// The logits nearest to 0 first.
    LeastCertain,
}

impl Sort {
    pub const ALL: [Self; 3] = [Self::Order, Self::MostWrong, Self::LeastCertain];

    pub fn id(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::MostWrong => "wrong",
            Self::LeastCertain => "uncertain",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Order => "in order",
            Self::MostWrong => "most wrong first",
            Self::LeastCertain => "least certain first",
        }
    }

    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.id() == id)
    }
}

/// Which faces are offered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listing {
    /// Only faces with an attribute, or without it.
    pub filter: Option<(usize, bool)>,
    pub sort: Sort,
    /// The attribute that is sorted by; `None` for all.
    pub of: Option<usize>,
    pub page: usize,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub face: Option<FaceId>,
    pub attribute: usize,
    pub by: MaskMeasure,
    pub method: Option<Method>,
    pub operation: Operation,
    /// Test faces that the operation is tried on.
    pub people: usize,
    /// Forecast first: the seed of the attributes that are asked for.
    pub challenge: Option<u64>,
    pub listing: Listing,
}

/// Test faces that an operation is tried on, at most.
pub(super) const MOST_PEOPLE: usize = 200;
/// The attribute that is looked at first: Smiling.
const FIRST_ATTRIBUTE: usize = 31;
/// |β| at most: the paper's are below 1.
const MOST_BETA: f64 = 10.;

impl Operation {
    fn read(given: &Parameters, channels: usize) -> Result<Self> {
        let seed = "a whole number from 0";
        let n = given.number("n", 0f64..=1000., "a number above 0, up to 1000")?;
        let beta = given.number("beta", -MOST_BETA..=MOST_BETA, "a number from -10 to 10")?;
        let tone = match (n, beta) {
            (None, None) => None,
            _ => Some(Tone { n: n.unwrap_or(1.), beta: beta.unwrap_or(0.) }),
        };
        tone.map(Tone::curve).transpose()?;
        let ids = Takeover::ALL.map(Takeover::id);
        Ok(Self {
            tone,
            sigma: given.number("sigma", 0f64..=10., "a number from 0 to 10")?.unwrap_or(0.),
            noise_seed: given.number("noise_seed", 0u64.., seed)?.unwrap_or(0),
            pruning: Pruning::read(given, channels)?,
            takeover: given.one_of("takeover", Takeover::from_id, &ids)?.unwrap_or_default(),
        })
    }

    /// As the text of a link.
    pub fn query(&self) -> String {
        joined(&self.pairs())
    }

    /// As parameters of a link.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![];
        if let Some(Tone { n, beta }) = self.tone {
            pairs.extend([("n", n.to_string()), ("beta", beta.to_string())]);
        }
        if self.sigma > 0. {
            pairs.push(("sigma", self.sigma.to_string()));
        }
        if self.noise_seed > 0 {
            pairs.push(("noise_seed", self.noise_seed.to_string()));
        }
        match &self.pruning {
            Pruning::Order { rule, seed, count } => {
                pairs.extend([("rule", rule.id().into()), ("count", count.to_string())]);
                if *seed > 0 {
                    pairs.push(("order_seed", seed.to_string()));
                }
            }
            Pruning::Channels(channels) if !channels.is_empty() => {
                let named: Vec<String> = channels.iter().map(usize::to_string).collect();
                pairs.push(("channels", named.join(",")));
            }
            Pruning::Channels(_) => {}
        }
        if self.takeover != Takeover::Nothing {
            pairs.push(("takeover", self.takeover.id().into()));
        }
        pairs
    }
}

impl Pruning {
    fn read(given: &Parameters, channels: usize) -> Result<Self> {
        let seed = given.number("order_seed", 0u64.., "a whole number from 0")?.unwrap_or(0);
        let expected = format!(
            "a whole number from 0 to {}: of {channels} channels one stays at least",
            channels.saturating_sub(1)
        );
        let count = given.number("count", 0..channels, &expected)?;
        let rule = given.one_of("rule", PruneRule::from_id, &PruneRule::ALL.map(PruneRule::id))?;
        match (rule, given.text("channels")) {
            (Some(_), Some(_)) => Err(input("give channels or rule and count, not both")),
            (Some(rule), None) => Ok(Self::Order { rule, seed, count: count.unwrap_or(0) }),
            (None, _) if count.is_some() => {
                Err(input("count is of a rule; give rule, such as lower"))
            }
            (None, text) => Self::of_list(text.unwrap_or_default(), channels),
        }
    }

    /// Of numbers between commas.
    fn of_list(text: &str, channels: usize) -> Result<Self> {
        let mut pruned = vec![];
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let channel = word.parse().ok().filter(|channel| *channel < channels);
            match channel.filter(|channel| !pruned.contains(channel)) {
                Some(channel) => pruned.push(channel),
                None => {
                    let most = channels.saturating_sub(1);
                    return Err(input(format!(
                        "channels: give different numbers from 0 to {most} between commas"
                    )));
                }
            }
        }
        match pruned.len() < channels {
            true => Ok(Self::Channels(pruned)),
            false => Err(input("channels: one channel stays at least; leave one out")),
        }
    }
}

impl Listing {
    fn read(given: &Parameters) -> Result<Self> {
        let filter = attribute(given, "filter")?;
        let has = given.one_of("has", yes_or_no, &["yes", "no"])?.unwrap_or(true);
        let sorts = Sort::ALL.map(Sort::id);
        Ok(Self {
            filter: filter.map(|attribute| (attribute, has)),
            sort: given.one_of("sort", Sort::from_id, &sorts)?.unwrap_or(Sort::Order),
            of: attribute(given, "of")?,
            page: given.number("page", 0..=1_000_000, "a page from 0")?.unwrap_or(0),
        })
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// An attribute's index, 0 to 39.
fn attribute(given: &Parameters, name: &str) -> Result<Option<usize>> {
    given.number(name, 0..ATTRIBUTES.len(), "an attribute's number from 0 to 39")
}

impl View {
    /// Of the parameters of a link to a network of so many channels.
    pub fn read(given: &Parameters, channels: usize) -> Result<Self> {
        let measures = MaskMeasure::ALL.map(MaskMeasure::id);
        let by = given.one_of("by", MaskMeasure::from_id, &measures)?;
        let methods = Method::ALL.map(Method::id);
        let people = format!("a whole number from 1 to {MOST_PEOPLE}");
        let people = given.number("people", 1..=MOST_PEOPLE, &people)?;
        let face = "a face's number, or the name that an upload was given";
        Ok(Self {
            face: given.one_of("face", |text| text.parse().ok(), &[face])?,
            attribute: attribute(given, "attribute")?.unwrap_or(FIRST_ATTRIBUTE),
            by: by.unwrap_or(MaskMeasure::Mask),
            method: given.one_of("method", Method::from_id, &methods)?,
            operation: Operation::read(given, channels)?,
            people: people.unwrap_or(MOST_PEOPLE),
            challenge: given.number("challenge", 0u64.., "a whole number from 0")?,
            listing: Listing::read(given)?,
        })
    }

    /// As the parameters of a link that gives the face, the attribute and the operation again.
    pub fn query(&self) -> String {
        let mut pairs = vec![("attribute", self.attribute.to_string())];
        if let Some(face) = &self.face {
            pairs.push(("face", face.to_string()));
        }
        pairs.extend(self.operation.pairs());
        joined(&pairs)
    }
}

/// Parameters as they stand in a link.
fn joined(pairs: &[(&str, String)]) -> String {
    let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    text.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(query: &str) -> Result<View> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        View::read(&Parameters::new(pairs.collect())?, 8)
    }

    #[test]
    fn a_view_is_read_back_from_its_link() -> Result<()> {
        for query in [
            "attribute=3&face=17&n=2&beta=0.05&sigma=0.1&noise_seed=4&rule=random&count=3\
             &order_seed=9&takeover=partner",
            "attribute=0&face=u0123456789abcdef&channels=7,0,3&takeover=least_squares",
            "attribute=39",
        ] {
            assert_eq!(view(query)?.query(), query);
        }
        assert_eq!(view("")?.operation, Operation::default());
        Ok(())
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for query in [
            "attribute=40",
            "n=0",
            "n=1e9",
            "beta=inf",
            "sigma=-1",
            "sigma=NaN",
            "count=8&rule=l1",
            "count=3",
            "channels=8",
            "channels=1,1",
            "channels=0,1,2,3,4,5,6,7",
            "rule=best",
            "rule=l1&channels=1",
            "face=../../etc/passwd",
            "face=u01",
            "people=201",
            "people=0",
            "takeover=all",
            "has=maybe",
            "sort=name",
            "by=z",
            "method=magic",
            "challenge=-1",
        ] {
            assert!(view(query).is_err(), "{query}");
        }
    }
}
