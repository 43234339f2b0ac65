//! Whether a network may have been trained on the faces that it is asked about.

use foresee_celeba::{CelebA, Split};
use foresee_model::ModelCard;
use serde::{Deserialize, Serialize};

use crate::hash::sha256;

/// What a model file says of faces of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// It was trained on them, or on a part of them.
    Yes,
    /// They are of another split of the same list.
    No,
    /// It was trained on another list of faces, or does not say on which.
    #[default]
    NotKnown,
}

impl Seen {
    /// Of the faces of this split, as the folder itself splits its faces.
    pub fn of(card: &ModelCard, data: &CelebA, split: Split) -> Self {
        let in_any = |splits: &[Split]| -> String {
            let is_in = |&face: &usize| data.partition(face).is_some_and(|of| splits.contains(&of));
            hash_of_split(data, &(0..data.len()).filter(is_in).collect::<Vec<_>>())
        };
        let Some(trained) = &card.training_split_sha256 else { return Self::NotKnown };
        // The paper trains on the validation split too.
        let lists = [&[Split::Train][..], &[Split::Train, Split::Val]];
        match lists.into_iter().find(|splits| in_any(splits) == *trained) {
            Some(splits) if split == Split::All || splits.contains(&split) => Self::Yes,
            Some(_) => Self::No,
            None => Self::NotKnown,
        }
    }

    /// What to know of an accuracy on such faces.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Yes => Some(
                "The network was trained on faces of this split. On others it is most likely less \
                 accurate.",
            ),
            Self::NotKnown => Some(
                "The network was trained on another list of faces, or its file does not say on \
                 which. If some of these were among them, the accuracy is too high.",
            ),
        }
    }
}

/// [`ModelCard::training_split_sha256`] of these faces.
pub(crate) fn hash_of_split(data: &CelebA, faces: &[usize]) -> String {
    let line = |&face: &usize| {
        let labels = data.labels(face);
        let labels: String = labels.iter().map(|present| if present { '1' } else { '0' }).collect();
        format!("{} {labels}\n", data.name(face))
    };
    let mut lines: Vec<String> = faces.iter().map(line).collect();
    lines.sort_unstable();
    sha256(lines.concat().as_bytes())
}
