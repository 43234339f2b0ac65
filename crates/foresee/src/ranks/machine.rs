//! Whether all ranks compute the same bits.

use anyhow::anyhow;
use foresee_kernels::instruction_set;
use foresee_ranks::{Communicator, gather_any};
use serde::{Deserialize, Serialize};

use super::host;
use crate::error::Result;

/// What decides the bits of a rank's results besides what it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Machine {
    host: String,
    /// Sets of instructions add up in other orders.
    instructions: String,
    version: String,
}

impl Machine {
    fn of_this_rank() -> Self {
        Self {
            host: host(),
            instructions: format!("{:?}", instruction_set()),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    fn computes_like(&self, other: &Self) -> bool {
        (&self.instructions, &self.version) == (&other.instructions, &other.version)
    }
}

/// Makes sure that all ranks have the same instructions and version. Each learns of all.
///
/// # Errors
/// The first rank that differs from rank 0, with its host.
pub(super) fn check_all(ranks: &dyn Communicator) -> Result<()> {
    let own = serde_json::to_vec(&Machine::of_this_rank())?;
    let sent = gather_any(ranks, &own)?;
    // A version that sends something else is another version.
    let all: Vec<Option<Machine>> =
        sent.iter().map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    differing(&all).map_or(Ok(()), Err)
}

fn differing(all: &[Option<Machine>]) -> Option<anyhow::Error> {
    let first = all.first()?.as_ref();
    let like_first = |other: &Option<Machine>| {
        first.zip(other.as_ref()).is_some_and(|(a, b)| b.computes_like(a))
    };
    let rank = all.iter().position(|each| !like_first(each))?;
    let words = |machine: Option<&Machine>| match machine {
        Some(Machine { host, instructions, version }) => {
            format!("{host} computes with {instructions} and version {version}")
        }
        None => "an unknown host has another version".into(),
    };
    Some(anyhow!(
        "rank {rank} on {}, rank 0 on {}: the bits of their sums would differ. Start processes of \
         one version on processors of one kind, under systems that let them use the same \
         instructions",
        words(all[rank].as_ref()),
        words(first)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_with_other_instructions_or_another_version_is_named() {
        let own = Machine::of_this_rank();
        let elsewhere = Machine { host: "elsewhere".into(), ..own.clone() };
        let told = |all: &[Option<Machine>]| differing(all).map(|error| error.to_string());
        assert_eq!(told(&[Some(own.clone()), Some(elsewhere.clone())]), None);
        let other = Machine { instructions: "Abacus".into(), ..elsewhere };
        let said = told(&[Some(own.clone()), Some(own.clone()), Some(other)]).expect("it differs");
        assert!(said.starts_with("rank 2 on elsewhere computes with Abacus"), "{said}");
        let older = Machine { version: "0.0.0".into(), ..own.clone() };
        assert!(told(&[Some(own.clone()), Some(older)]).expect("it differs").contains("0.0.0"));
        assert!(told(&[Some(own), None]).is_some());
        assert!(check_all(&foresee_ranks::Alone).is_ok());
    }
}
