//! The 40 attributes and the labels of a face.

use crate::error::{Error, Result};

/// CelebA's 40 attributes, in the order of `list_attr_celeba.txt`.
pub const ATTRIBUTES: [&str; 40] = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
];

/// The index of an attribute in [`ATTRIBUTES`], 0 to 39. A space may stand for an underscore, and
/// case does not matter.
///
/// ```
/// use foresee_celeba::{ATTRIBUTES, attribute_index};
///
/// assert_eq!(attribute_index("Smiling")?, 31);
/// assert_eq!(ATTRIBUTES[attribute_index("mouth slightly open")?], "Mouth_Slightly_Open");
/// let unknown = attribute_index("Mouse_Slightly_Open").unwrap_err();
/// assert!(unknown.to_string().contains("did you mean Mouth_Slightly_Open?"));
/// # Ok::<(), foresee_celeba::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownAttribute`], with the nearest name.
pub fn attribute_index(name: &str) -> Result<usize> {
    let wanted = normalised(name);
    ATTRIBUTES
        .iter()
        .position(|attribute| normalised(attribute) == wanted)
        .ok_or_else(|| Error::UnknownAttribute { name: name.into(), nearest: nearest(name) })
}

/// An attribute's name for people: "Mouth Slightly Open".
pub fn display_name(attribute: &str) -> String {
    attribute.replace('_', " ")
}

fn normalised(name: &str) -> String {
    name.trim().to_lowercase().replace(' ', "_")
}

/// The attribute that shares most words with a name, counting an equal beginning as one more.
fn nearest(name: &str) -> Option<&'static str> {
    let wanted = normalised(name);
    let similarity = |attribute: &str| {
        let attribute = normalised(attribute);
        attribute.split('_').filter(|word| word.len() > 2 && wanted.contains(word)).count()
            + usize::from(attribute.starts_with(wanted.get(..4).unwrap_or("?")))
    };
    let scored = ATTRIBUTES.into_iter().map(|attribute| (similarity(attribute), attribute));
    let best = scored.rev().max_by_key(|(similarity, _)| *similarity)?;
    (best.0 > 0).then_some(best.1)
}

/// Which of the 40 attributes a face has.
///
/// ```
/// use foresee_celeba::{Labels, attribute_index};
///
/// let smiling = attribute_index("Smiling")?;
/// let labels = Labels::default().with(smiling, true);
/// assert!(labels.has(smiling));
/// assert_eq!(labels.iter().filter(|present| *present).count(), 1);
/// # Ok::<(), foresee_celeba::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Labels(u64);

impl Labels {
    /// Whether the face has the attribute with this index, 0 to 39.
    pub fn has(self, attribute: usize) -> bool {
        self.0 >> attribute & 1 == 1
    }

    /// The same labels, with one attribute present or absent.
    #[must_use]
    pub fn with(self, attribute: usize, present: bool) -> Self {
        Self(self.0 & !(1 << attribute) | u64::from(present) << attribute)
    }

    /// The 40 labels, in the order of [`ATTRIBUTES`].
    pub fn iter(self) -> impl Iterator<Item = bool> {
        (0..ATTRIBUTES.len()).map(move |k| self.has(k))
    }
}

impl FromIterator<bool> for Labels {
    fn from_iter<I: IntoIterator<Item = bool>>(labels: I) -> Self {
        labels
            .into_iter()
            .enumerate()
            .fold(Self::default(), |all, (k, present)| all.with(k, present))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_get_a_suggestion() {
        assert_eq!(attribute_index("smiling").unwrap(), 31);
        assert_eq!(attribute_index("Mouth Slightly Open").unwrap(), 21);
        assert!(
            attribute_index("Mouse_Slightly_Open")
                .unwrap_err()
                .to_string()
                .contains("did you mean Mouth_Slightly_Open")
        );
        assert!(!attribute_index("").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn labels_keep_each_bit() {
        let labels: Labels = (0..40).map(|k| k % 3 == 0).collect();
        assert!(labels.iter().enumerate().all(|(k, present)| present == (k % 3 == 0)));
        assert!(!labels.with(39, false).has(39));
    }
}
