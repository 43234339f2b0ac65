//! Names that nothing else has: ONNX lets nodes share a name, or have none.

use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number that a name's next double gets.
    next: HashMap<String, usize>,
}

impl Names {
    /// Takes a name; false if it is taken already.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.into())
    }

    /// The name, with a number behind it if it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
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
        let mut names = Names::default();
        assert!(names.take("x_2"));
        let unique: Vec<String> = (0..3).map(|_| names.unique("x")).collect();
        assert_eq!(unique, ["x", "x_3", "x_4"]);
        assert!(!names.take("x"));
    }
}
