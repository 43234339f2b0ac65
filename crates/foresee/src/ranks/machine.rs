//! Whether all ranks compute the same bits.

use anyhow::anyhow;
use foresee_ranks::{Communicator, gather_any};
use serde::{Deserialize, Serialize};

use super::host;
use crate::arithmetic::Arithmetic;
use crate::error::Result;
use crate::program::VERSION;

/// What decides the bits of a rank's results besides what it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Machine {
    host: String,
    arithmetic: Arithmetic,
    version: String,
}

impl Machine {
    fn of_this_rank() -> Self {
        Self { host: host(), arithmetic: Arithmetic::of_this_processor(), version: VERSION.into() }
    }

    fn computes_like(&self, other: &Self) -> bool {
        (&self.arithmetic, &self.version) == (&other.arithmetic, &other.version)
    }
}

/// The machine of each rank, as far as it said so as this version does.
pub(super) struct Machines(Vec<Option<Machine>>);

/// Each rank learns of all.
pub(super) fn gather(ranks: &dyn Communicator) -> Result<Machines> {
    let own = serde_json::to_vec(&Machine::of_this_rank())?;
    let sent = gather_any(ranks, &own)?;
    Ok(Machines(sent.iter().map(|bytes| serde_json::from_slice(bytes).ok()).collect()))
}

impl Machines {
    /// Makes sure that all ranks add up alike and have the same version.
    ///
    /// # Errors
    /// The first rank that differs from rank 0, with its host.
    pub fn check(&self) -> Result<()> {
        differing(&self.0).map_or(Ok(()), Err)
    }

    /// How many ranks before this one are on its host.
    pub fn number_on_host(&self, rank: usize) -> usize {
        let host = |rank: usize| Some(&self.0.get(rank)?.as_ref()?.host);
        (0..rank).filter(|&other| host(other).is_some() && host(other) == host(rank)).count()
    }
}

fn differing(all: &[Option<Machine>]) -> Option<anyhow::Error> {
    let first = all.first()?.as_ref();
    let like_first = |other: &Option<Machine>| {
        first.zip(other.as_ref()).is_some_and(|(a, b)| b.computes_like(a))
    };
    let rank = all.iter().position(|each| !like_first(each))?;
    let words = |machine: Option<&Machine>| match machine {
        Some(Machine { host, arithmetic, version }) => {
            format!("{host} computes with {arithmetic} and version {version}")
        }
        None => "an unknown host has another version".into(),
    };
    Some(anyhow!(
        "rank {rank} on {}, rank 0 on {}: the bits of their sums would differ. Start processes of \
         one version on processors of one kind, with the same caches, under systems that let them \
         use the same instructions",
        words(all[rank].as_ref()),
        words(first)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_numbered_on_each_host() {
        let of = |host: &str| Some(Machine { host: host.into(), ..Machine::of_this_rank() });
        let all = Machines(vec![of("a"), of("b"), of("a"), None, of("a"), None, of("b")]);
        let numbers: Vec<usize> = (0..7).map(|rank| all.number_on_host(rank)).collect();
        assert_eq!(numbers, [0, 0, 1, 0, 2, 0, 1]);
    }

    #[test]
    fn a_rank_with_other_instructions_or_another_version_is_named() {
        let own = Machine::of_this_rank();
        let elsewhere = Machine { host: "elsewhere".into(), ..own.clone() };
        let told = |all: &[Option<Machine>]| differing(all).map(|error| error.to_string());
        assert_eq!(told(&[Some(own.clone()), Some(elsewhere.clone())]), None);
        let abacus = serde_json::from_str(r#"{"instructions": "Abacus", "product_sha256": ""}"#);
        let other = Machine { arithmetic: abacus.expect("it is one"), ..elsewhere };
        let said = told(&[Some(own.clone()), Some(own.clone()), Some(other)]).expect("it differs");
        assert!(said.starts_with("rank 2 on elsewhere computes with Abacus"), "{said}");
        let older = Machine { version: "0.0.0".into(), ..own.clone() };
        assert!(told(&[Some(own.clone()), Some(older)]).expect("it differs").contains("0.0.0"));
        assert!(told(&[Some(own), None]).is_some());
        assert!(gather(&foresee_ranks::Alone).is_ok_and(|all| all.check().is_ok()));
    }
}
