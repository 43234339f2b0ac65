//! The parameters of a request: names and texts, which are checked as they are read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeBounds;
use std::str::FromStr;

use crate::error::{Result, input};

/// All parameters that any address takes.
const KNOWN: [&str; 25] = [
    "attribute",
    "beta",
    "by",
    "challenge",
    "channel",
    "channels",
    "count",
    "face",
    "filter",
    "format",
    "has",
    "method",
    "n",
    "noise_seed",
    "of",
    "order_seed",
    "page",
    "people",
    "rule",
    "sigma",
    "sort",
    "tab",
    "takeover",
    "token",
    "turn",
];

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Of pairs as they stand in a link; each name may stand once, and an empty text counts as
    /// missing.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            if !KNOWN.contains(&name.as_str()) {
                let known = KNOWN.join(", ");
                return Err(input(format!("there is no parameter {name:?}; they are {known}")));
            }
            if !value.is_empty() && all.insert(name.clone(), value).is_some() {
                return Err(input(format!("{name} is given twice; leave one out")));
            }
        }
        Ok(Self(all))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number in a range, if it is given.
    pub fn number<T, R>(&self, name: &str, range: R, expected: &str) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display,
        R: RangeBounds<T>,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| unexpected(name, text, expected))
    }

    /// One of some things by its id, if it is given.
    pub fn one_of<T>(
        &self,
        name: &str,
        from_id: impl Fn(&str) -> Option<T>,
        ids: &[&str],
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = from_id(text).map(Some);
        found.ok_or_else(|| unexpected(name, text, &format!("one of {}", ids.join(", "))))
    }
}

/// What is wrong with a parameter.
fn unexpected(name: &str, text: &str, expected: &str) -> anyhow::Error {
    let start: String = text.chars().take(40).collect();
    input(format!("{name}={start:?}: give {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Result<Parameters> {
        Parameters::new(pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
    }

    #[test]
    fn numbers_are_checked() -> Result<()> {
        let given = parameters(&[("n", "2.5"), ("count", "-1"), ("sigma", "NaN"), ("face", "")])?;
        assert_eq!(given.number("n", 0f64..=3., "a number")?, Some(2.5));
        assert_eq!(given.number("face", 0usize.., "a number")?, None);
        assert!(given.number("count", 0usize.., "a number").is_err());
        let error = given.number("sigma", 0f64..=10., "a number from 0 to 10").unwrap_err();
        assert_eq!(error.to_string(), "sigma=\"NaN\": give a number from 0 to 10");
        assert!(parameters(&[("n", "1"), ("n", "2")]).is_err());
        assert!(parameters(&[("path", "/etc/passwd")]).is_err());
        Ok(())
    }
}
