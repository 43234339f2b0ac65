//! What a network's outputs are called.

use std::path::Path;

use crate::error::{Result, input};

/// Names shown in a message.
const SHOWN: usize = 8;

/// The names of a network's outputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Classes {
    names: Vec<String>,
    /// Whether a file names them.
    are_named: bool,
}

impl Classes {
    /// Numbers as names.
    pub fn numbered(outputs: usize) -> Self {
        Self { names: (0..outputs).map(|k| k.to_string()).collect(), are_named: false }
    }

    /// One name a line, as many as the network has outputs.
    ///
    /// # Errors
    /// If the file cannot be read, has another number of names, or a name twice.
    pub fn read(path: &Path, outputs: usize) -> Result<Self> {
        let failed = |reason: String| input(format!("--classes {}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        if names.len() != outputs {
            let count = names.len();
            return Err(failed(format!(
                "has {count} lines, but the network has {outputs} outputs; write one name a line, \
                 in the order of the outputs"
            )));
        }
        Self::named(names).map_err(failed)
    }

    /// Outputs of these names.
    ///
    /// # Errors
    /// If a name is empty or there twice.
    pub fn named(names: Vec<String>) -> std::result::Result<Self, String> {
        for (line, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(format!("line {} is empty", line + 1));
            }
            if let Some(first) = names[..line].iter().position(|other| other == name) {
                return Err(format!("`{name}` is in lines {} and {}", first + 1, line + 1));
            }
        }
        Ok(Self { names, are_named: true })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of an output.
    pub fn name(&self, output: usize) -> &str {
        &self.names[output]
    }

    /// All of them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the outputs have names, and not only numbers.
    pub fn are_named(&self) -> bool {
        self.are_named
    }

    /// The output of a name, or of a number from 0.
    ///
    /// # Errors
    /// With what is known instead.
    pub fn find(&self, text: &str) -> std::result::Result<usize, String> {
        let text = text.trim();
        let by_name = self.names.iter().position(|name| name == text);
        let number = || text.parse().ok().filter(|&number: &usize| number < self.len());
        by_name.or_else(number).ok_or_else(|| {
            let last = self.len() - 1;
            let known = match self.are_named {
                true => format!("{}, or a number from 0 to {last}", self.shown()),
                false => format!("a number from 0 to {last} (--classes gives outputs names)"),
            };
            format!("there is no output `{text}`: {known}")
        })
    }

    fn shown(&self) -> String {
        let more = if self.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", self.names[..self.len().min(SHOWN)].join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_found() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("classes.txt");
        std::fs::write(&path, "\u{feff}cat\r\ndog\r\n7\r\n")?;
        let classes = Classes::read(&path, 3)?;
        assert_eq!(classes.names(), ["cat", "dog", "7"]);
        assert_eq!(
            (classes.find("dog"), classes.find("0"), classes.find("7")),
            (Ok(1), Ok(0), Ok(2))
        );
        let unknown = classes.find("cow").unwrap_err();
        assert!(unknown.contains("`cow`") && unknown.contains("cat, dog, 7"), "{unknown}");
        assert!(Classes::numbered(3).find("3").is_err());
        assert_eq!(Classes::numbered(3).find("2"), Ok(2));

        let refused = |outputs| Classes::read(&path, outputs).unwrap_err().to_string();
        assert!(refused(10).contains("has 3 lines, but the network has 10 outputs"));
        std::fs::write(&path, "cat\ndog\ncat\n")?;
        assert!(refused(3).contains("`cat` is in lines 1 and 3"));
        std::fs::write(&path, "cat\n\ndog\n")?;
        assert!(refused(3).contains("line 2 is empty"));
        Ok(())
    }
}
