//! The last few things that were made, to be had again.

use std::sync::{Arc, Mutex, PoisonError};

/// Things by their keys, the latest first.
pub(super) struct Recent<K, V> {
    kept: Mutex<Vec<(K, Arc<V>)>>,
    most: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    /// Keeps this many, at least one.
    pub fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most }
    }

    /// What is kept, or else made. Two who ask at once may both make it.
    pub fn get<E>(&self, key: K, make: impl FnOnce(&K) -> Result<V, E>) -> Result<Arc<V>, E> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().iter().find(|(other, _)| *other == key).map(|(_, made)| made.clone());
        if let Some(found) = found {
            return Ok(found);
        }
        let made = Arc::new(make(&key)?);
        let mut kept = kept();
        kept.insert(0, (key, made.clone()));
        kept.truncate(self.most.max(1));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_last_are_kept() -> Result<(), Infallible> {
        let recent = Recent::new(2);
        for key in [1, 2, 3] {
            assert_eq!(*recent.get(key, |key| Ok::<_, Infallible>(10 * key))?, 10 * key);
        }
        let again = |key| recent.get(key, |_| Ok::<_, Infallible>(0));
        assert_eq!((*again(3)?, *again(2)?, *again(1)?), (30, 20, 0));
        Ok(())
    }
}
