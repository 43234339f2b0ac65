//! Names of CelebA's splits, and the two rules by which they are used.

/// A set of faces.
///
/// ```
/// use foresee_celeba::Split;
///
/// assert_eq!(Split::from_id("val"), Some(Split::Val));
/// assert_eq!(Split::DISJOINT.map(Split::id), ["train", "val", "test"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Split {
    /// To fit the network (0 in `list_eval_partition.txt`).
    Train = 0,
    /// To make choices during training (1).
    Val = 1,
    /// To measure what is reported (2).
    Test = 2,
    /// The three together.
    All,
}

impl Split {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Train, Self::Val, Self::Test, Self::All];
    /// The three splits that share no face, in the order of their numbers in
    /// `list_eval_partition.txt`.
    pub const DISJOINT: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name on the command line and in files: train, val, test or all.
    pub fn id(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::All => "all",
        }
    }

    /// The split with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.id() == id)
    }
}

/// On a command line a split is its [`id`](Split::id).
#[cfg(feature = "clap")]
impl clap::ValueEnum for Split {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(self.id().into())
    }
}

/// How CelebA's partition becomes train, val and test.
///
/// ```
/// use foresee_celeba::{CelebA, Split, SplitRule, synthetic};
///
/// // Of ten faces the partition file has 8 in train, and one each in val and test.
/// let folder = tempfile::tempdir()?;
/// synthetic::write(folder.path(), 10, 7, |_| ())?;
/// let faces = CelebA::open(folder.path(), SplitRule::Paper)?;
/// assert_eq!(faces.split(Split::Train)?.len(), 9);
/// assert!(faces.split(Split::Val).is_err());
/// assert_eq!(faces.split(Split::Test)?, [9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum SplitRule {
    /// As the partition file says: 162,770 / 19,867 / 19,962 faces in the complete CelebA.
    #[default]
    Official,
    /// As in the paper: train and val together are the training images (182,637), and val is empty.
    Paper,
}

impl SplitRule {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Official, Self::Paper];

    /// The name in configuration files: official or paper.
    pub fn id(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Paper => "paper",
        }
    }

    /// The rule with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// Whether `split` contains a face of this part of the partition file; `None` is a face that
    /// the file does not list.
    pub(crate) fn contains(self, split: Split, part: Option<Split>) -> bool {
        match (split, self) {
            (Split::All, _) => part.is_some(),
            (Split::Train, Self::Paper) => matches!(part, Some(Split::Train | Split::Val)),
            (Split::Val, Self::Paper) => false,
            _ => part == Some(split),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        assert!(Split::ALL.into_iter().all(|split| Split::from_id(split.id()) == Some(split)));
        assert!(SplitRule::ALL.into_iter().all(|rule| SplitRule::from_id(rule.id()) == Some(rule)));
        assert_eq!((Split::from_id("Train"), SplitRule::from_id("")), (None, None));
        assert_eq!(Split::DISJOINT.map(|split| split as u8), [0, 1, 2]);
    }

    #[test]
    fn the_papers_rule_trains_on_val_too() {
        let parts = [Some(Split::Train), Some(Split::Val), Some(Split::Test), None];
        let sizes = |rule: SplitRule| {
            Split::ALL.map(|s| parts.iter().filter(|&&part| rule.contains(s, part)).count())
        };
        assert_eq!(sizes(SplitRule::Official), [1, 1, 1, 3]);
        assert_eq!(sizes(SplitRule::Paper), [2, 0, 1, 3]);
    }

    #[cfg(feature = "clap")]
    #[test]
    fn the_command_line_knows_splits_by_their_ids() {
        use clap::ValueEnum;
        assert_eq!(Split::from_str("val", false), Ok(Split::Val));
        assert!(Split::from_str("valid", false).is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn configuration_files_know_rules_by_their_ids() {
        use serde::Deserialize;
        use serde::de::value::{Error, StrDeserializer};
        for rule in SplitRule::ALL {
            let text: StrDeserializer<Error> =
                serde::de::IntoDeserializer::into_deserializer(rule.id());
            assert_eq!(SplitRule::deserialize(text), Ok(rule));
        }
    }
}
