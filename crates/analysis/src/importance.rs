//! How important is a channel to an attribute?

/// What the importance of a channel c to an attribute k is, as a mean over images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Importance {
    /// The mean mask, as in the paper.
    Mask,
    /// The mean contribution |w·p| to the logit, with w the readout weight of the channel and p its
    /// pooled product.
    Contribution,
}

impl Importance {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Mask, Self::Contribution];

    /// The kind for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mask => "mean mask",
            Self::Contribution => "mean |w·p|",
        }
    }

    /// The kind in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Contribution => "contribution",
        }
    }

    /// The kind of an [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        assert!(Importance::ALL.iter().all(|kind| Importance::from_id(kind.id()) == Some(*kind)));
        assert_eq!(Importance::from_id("Mask"), None);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_reads_ids() {
        use serde::Deserialize;
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};

        for kind in Importance::ALL {
            let id: StrDeserializer<Error> = kind.id().into_deserializer();
            assert_eq!(Importance::deserialize(id), Ok(kind));
        }
    }
}
