//! Newer requests of a page overtake older ones: what nobody looks at any more is not computed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::parameters::Parameters;
use crate::error::Result;

/// Pages that are remembered.
const MOST_PAGES: usize = 256;

/// The newest request of each page and kind.
#[derive(Default, Clone)]
pub(super) struct Turns(Arc<Mutex<HashMap<(u64, &'static str), u64>>>);

/// A request's place among those of its page.
pub(super) struct Turn {
    turns: Turns,
    /// The page, the kind of request, and its number; `None` if the page counts none.
    place: Option<((u64, &'static str), u64)>,
}

impl Turns {
    /// A request of a kind begins.
    pub fn begin(&self, given: &Parameters, kind: &'static str) -> Result<Turn> {
        let expected = "a whole number from 0";
        let tab = given.number("tab", 0u64.., expected)?;
        let number = given.number("turn", 0u64.., expected)?;
        let place = tab.zip(number).map(|(tab, number)| ((tab, kind), number));
        if let Some((key, number)) = place {
            let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.len() >= MOST_PAGES && !newest.contains_key(&key) {
                newest.clear();
            }
            let newest = newest.entry(key).or_default();
            *newest = number.max(*newest);
        }
        Ok(Turn { turns: self.clone(), place })
    }
}

impl Turn {
    /// Whether a newer request has come.
    pub fn is_overtaken(&self) -> bool {
        self.place.is_some_and(|(key, number)| {
            let newest = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
            newest.get(&key).is_some_and(|newest| *newest > number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(tab: u64, turn: u64) -> Result<Parameters> {
        let pairs = [("tab", tab), ("turn", turn)];
        Parameters::new(pairs.map(|(name, n)| (name.to_owned(), n.to_string())).into())
    }

    #[test]
    fn a_newer_request_of_the_same_page_overtakes() -> Result<()> {
        let turns = Turns::default();
        let first = turns.begin(&given(1, 1)?, "operate")?;
        let other_kind = turns.begin(&given(1, 2)?, "population")?;
        let other_page = turns.begin(&given(2, 2)?, "operate")?;
        assert!(!first.is_overtaken());
        let second = turns.begin(&given(1, 2)?, "operate")?;
        assert!(first.is_overtaken() && !second.is_overtaken());
        assert!(!other_kind.is_overtaken() && !other_page.is_overtaken());
        assert!(!turns.begin(&Parameters::default(), "operate")?.is_overtaken());
        Ok(())
    }
}
