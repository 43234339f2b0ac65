//! Names that nothing else has.

use std::collections::{HashMap, HashSet};

/// The names that are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The number that a name's next double gets.
    next: HashMap<String, usize>,
}

impl Names {
    /// These names are taken.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { taken: names.into_iter().map(String::from).collect(), next: HashMap::new() }
    }

    /// Takes a name; false if it is taken already.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.into())
    }

    /// Takes this name, or the first of `name_2`, `name_3`, ... that is free.
    pub(crate) fn unique(&mut self, name: &str) -> String {
        if self.take(name) {
            return name.into();
        }
        let mut next = self.next.get(name).copied().unwrap_or(2);
        let mut unique = format!("{name}_{next}");
        while !self.take(&unique) {
            next += 1;
            unique = format!("{name}_{next}");
        }
        self.next.insert(name.into(), next + 1);
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn doubles_are_numbered() {
        let mut names = Names::of(["x_2"]);
        let unique: Vec<String> = (0..3).map(|_| names.unique("x")).collect();
        assert_eq!(unique, ["x", "x_3", "x_4"]);
        assert!(!names.take("x"));
    }
}
