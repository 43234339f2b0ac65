//! Who sees what: arms and items, balanced and drawn from one seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// A face, or any other thing that is looked at, under an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    /// The face's index.
    pub face: usize,
    /// The operation's index.
    pub operation: usize,
}

/// How items and arms are given to people. Every face meets every operation.
///
/// Arms come in blocks: of so many people as there are arms, each gets another. Within an arm the
/// trials are taken one after the other from a list that holds every item once before any comes
/// again, so two items never differ by more than one in how many people of an arm saw them. A
/// person sees no face twice. If the number of trials divides the number of faces, a person meets
/// every operation equally often, or once more; else some people meet them less evenly. The k-th
/// person of each arm sees the same items, so that arms differ in the explanation only; the order
/// of the trials is each person's own.
///
/// ```
/// use foresee_people::Assignment;
///
/// let design = Assignment { arms: 3, faces: 24, operations: 6, trials: 12, seed: 7 };
/// let person = design.of(0)?;
/// assert_eq!(person.items.len(), 12);
/// let with_operation = |k| person.items.iter().filter(|item| item.operation == k).count();
/// assert!((0..6).all(|k| with_operation(k) == 2));
/// # Ok::<(), foresee_people::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Arms.
    pub arms: usize,
    /// Faces.
    pub faces: usize,
    /// Operations.
    pub operations: usize,
    /// Trials of each person, at most the number of faces.
    pub trials: usize,
    /// Decides every draw.
    pub seed: u64,
}

/// What a person is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The arm.
    pub arm: usize,
    /// The items in the order of the trials.
    pub items: Vec<Item>,
}

/// Streams of the seed.
const ARMS: u64 = 1 << 62;
const FACES: u64 = 2 << 62;

impl Assignment {
    /// What the person with this number (from 0, in the order of arrival) is given.
    ///
    /// # Errors
    /// If there is no arm, no trial or no operation, or a person would see a face twice.
    pub fn of(&self, person: usize) -> Result<Assigned> {
        self.check()?;
        let (block, place) = (person / self.arms, person % self.arms);
        let arm = self.order(self.arms, ARMS + block as u64)[place];
        Ok(Assigned { arm, items: self.items(arm, block) })
    }

    fn check(&self) -> Result<()> {
        let wrong = |reason: String| Err(Error::Design(reason));
        if self.arms == 0 || self.operations == 0 || self.trials == 0 {
            return wrong("there must be an arm, an operation and a trial at least".into());
        }
        if self.trials > self.faces {
            return wrong(format!(
                "{} trials a person and {} faces: a person would see a face twice; give at least \
                 as many faces as trials",
                self.trials, self.faces
            ));
        }
        Ok(())
    }

    /// The items of the `number`-th person of an arm.
    fn items(&self, arm: usize, number: usize) -> Vec<Item> {
        let faces = self.order(self.faces, FACES);
        let item = |at: usize| {
            // Every walk over the faces begins with the next operation.
            let (walk, place) = (at / self.faces, at % self.faces);
            Item { face: faces[place], operation: (place + walk) % self.operations }
        };
        let first = number * self.trials;
        let mut items: Vec<Item> = (first..first + self.trials).map(item).collect();
        let stream = (number * self.arms + arm) as u64;
        items.shuffle(&mut self.rng(stream));
        items
    }

    fn order(&self, count: usize, stream: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut self.rng(stream));
        order
    }

    fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn people_and_items_are_balanced(
            arms in 1usize..5,
            faces in 1usize..20,
            operations in 1usize..8,
            share in 0.0f64..1.0,
            people in 1usize..120,
            seed in any::<u64>(),
        ) {
            let trials = 1 + (share * (faces - 1) as f64) as usize;
            let design = Assignment { arms, faces, operations, trials, seed };
            let mut in_arm = vec![0usize; arms];
            let mut seen: HashMap<(usize, Item), usize> = HashMap::new();
            for person in 0..people {
                let given = design.of(person).unwrap();
                in_arm[given.arm] += 1;
                let mut of_person: Vec<usize> = given.items.iter().map(|item| item.face).collect();
                of_person.sort_unstable();
                of_person.dedup();
                prop_assert_eq!(of_person.len(), trials, "a face twice");
                for item in given.items {
                    *seen.entry((given.arm, item)).or_default() += 1;
                }
            }
            prop_assert!(in_arm.iter().max().unwrap() - in_arm.iter().min().unwrap() <= 1);
            for arm in 0..arms {
                let count = |face, operation| {
                    seen.get(&(arm, Item { face, operation })).copied().unwrap_or(0)
                };
                let counts: Vec<usize> =
                    (0..faces).flat_map(|f| (0..operations).map(move |o| (f, o)))
                        .map(|(f, o)| count(f, o)).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
        }

        #[test]
        fn a_person_meets_every_operation_equally_often(
            operations in 1usize..8,
            rounds in 1usize..4,
            walks in 1usize..4,
            person in 0usize..60,
        ) {
            // A person's trials lie within one walk over the faces.
            let trials = rounds * operations;
            let design = Assignment { arms: 2, faces: walks * trials, operations, trials, seed: 3 };
            let given = design.of(person).unwrap();
            for operation in 0..operations {
                let met = given.items.iter().filter(|item| item.operation == operation).count();
                prop_assert_eq!(met, rounds);
            }
        }
    }

    #[test]
    fn arms_see_the_same_items() {
        let design = Assignment { arms: 3, faces: 10, operations: 4, trials: 5, seed: 1 };
        let sorted = |person: usize| {
            let mut items = design.of(person).unwrap().items;
            items.sort_unstable();
            items
        };
        assert_eq!(sorted(3), sorted(4));
        assert_eq!(sorted(4), sorted(5));
        assert_ne!(sorted(2), sorted(3));
        assert_ne!(design.of(3).unwrap().items, design.of(4).unwrap().items);
        let wrong = Assignment { trials: 11, ..design };
        assert!(wrong.of(0).unwrap_err().to_string().contains("twice"));
    }
}
