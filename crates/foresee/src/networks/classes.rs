//! What a network's outputs are called.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Result, input};
use crate::hash::sha256;

/// Names shown in a message.
const SHOWN: usize = 8;

/// The names of a network's outputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Classes {
    names: Vec<String>,
    source: NamesOf,
}

/// Where names are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamesOf {
    /// They are numbers.
    Nothing,
    /// The network's file.
    Model,
    /// The user's file, or the folders of the images.
    User,
}

impl Classes {
    /// Numbers as names.
    pub fn numbered(outputs: usize) -> Self {
        Self { names: (0..outputs).map(|k| k.to_string()).collect(), source: NamesOf::Nothing }
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
        Ok(Self { names, source: NamesOf::User })
    }

    /// The same names, as the network's file has them: labels may have others.
    #[must_use]
    pub fn of_model(self) -> Self {
        Self { source: NamesOf::Model, ..self }
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
        self.source != NamesOf::Nothing
    }

    /// Whether the user gave the names.
    pub fn are_given(&self) -> bool {
        self.source == NamesOf::User
    }

    /// SHA-256 of the names.
    pub fn sha256(&self) -> String {
        sha256(self.names.join("\n").as_bytes())
    }

    /// The output of a name, or of a number from 0.
    ///
    /// # Errors
    /// With what is known instead.
    pub fn find(&self, text: &str) -> std::result::Result<usize, String> {
        Ok(self.find_all(&[text])?[0])
    }

    /// The outputs of a column of texts: all are names, or all are numbers from 0.
    ///
    /// # Errors
    /// If one is neither, or all are both and do not mean the same outputs.
    pub fn find_all(&self, texts: &[impl AsRef<str>]) -> std::result::Result<Vec<usize>, String> {
        let places: BTreeMap<&str, usize> =
            self.names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let by_name = |text: &str| places.get(text).copied();
        let by_number = |text: &str| text.parse().ok().filter(|&number| number < self.len());
        let all = |find: &dyn Fn(&str) -> Option<usize>| -> Option<Vec<usize>> {
            texts.iter().map(|text| find(text.as_ref().trim())).collect()
        };
        match (all(&by_name), all(&by_number)) {
            (Some(named), Some(numbered)) if named != numbered => {
                let text = texts.iter().zip(named.iter().zip(&numbered));
                let differs = text.filter(|(_, (a, b))| a != b).map(|(text, _)| text).next();
                let text = differs.map_or("", |text| text.as_ref().trim());
                Err(format!(
                    "`{text}` is the name of one output and the number of another; give the \
                     outputs other names"
                ))
            }
            (Some(found), _) | (None, Some(found)) => Ok(found),
            (None, None) => Err(self.unknown(texts, by_name, by_number)),
        }
    }

    /// Why a column holds neither names nor numbers of outputs.
    fn unknown(
        &self,
        texts: &[impl AsRef<str>],
        by_name: impl Fn(&str) -> Option<usize>,
        by_number: impl Fn(&str) -> Option<usize>,
    ) -> String {
        let last = self.len() - 1;
        let known = match self.are_named() {
            true => format!("{}, or a number from 0 to {last}", self.shown()),
            false => format!("a number from 0 to {last} (--classes gives outputs names)"),
        };
        let row =
            |row: usize| if texts.len() > 1 { format!("row {}: ", row + 1) } else { "".into() };
        let neither = |text: &str| by_name(text).is_none() && by_number(text).is_none();
        match texts.iter().position(|text| neither(text.as_ref().trim())) {
            Some(place) => {
                let text = texts[place].as_ref().trim();
                format!("{}there is no output `{text}`: {known}", row(place))
            }
            None => format!(
                "some classes are names and others are numbers, such as `{}`: give names or \
                 numbers",
                texts
                    .iter()
                    .map(|text| text.as_ref().trim())
                    .find(|text| by_name(text).is_none())
                    .unwrap_or_default()
            ),
        }
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
        assert_eq!(classes.find_all(&["7", "dog"]), Ok(vec![2, 1]));
        assert_eq!(classes.find_all(&["2", "0"]), Ok(vec![2, 0]));
        let mixed = classes.find_all(&["dog", "0"]).unwrap_err();
        assert!(mixed.contains("`0`") && mixed.contains("names or numbers"), "{mixed}");

        // Names that are numbers of other outputs.
        let named = Classes::named(["1", "2", "0"].map(String::from).to_vec()).map_err(input)?;
        let refused = named.find_all(&["0", "1"]).unwrap_err();
        assert!(refused.contains("`0` is the name of one output"), "{refused}");
        let from_one = Classes::named(["1", "2", "3"].map(String::from).to_vec()).map_err(input)?;
        assert_eq!(from_one.find_all(&["1", "3"]), Ok(vec![0, 2]));
        let same = Classes::named(["0", "1", "2"].map(String::from).to_vec()).map_err(input)?;
        assert_eq!(same.find_all(&["0", "2"]), Ok(vec![0, 2]));

        let refused = |outputs| Classes::read(&path, outputs).unwrap_err().to_string();
        assert!(refused(10).contains("has 3 lines, but the network has 10 outputs"));
        std::fs::write(&path, "cat\ndog\ncat\n")?;
        assert!(refused(3).contains("`cat` is in lines 1 and 3"));
        std::fs::write(&path, "cat\n\ndog\n")?;
        assert!(refused(3).contains("line 2 is empty"));
        Ok(())
    }
}
