//! What the parts of a drawing need to know of the face: its attributes, its appearance, and the
//! colours that follow from both.

use super::appearance::Appearance;
use super::colour::Colour;
use crate::attributes::{Labels, attribute_index};

const PALE: Colour = Colour(250., 236., 230.);
const HAIR_COLOURS: [(&str, Colour); 4] = [
    ("Gray_Hair", Colour(172., 172., 174.)),
    ("Black_Hair", Colour(22., 20., 22.)),
    ("Blond_Hair", Colour(222., 188., 112.)),
    ("Brown_Hair", Colour(88., 56., 34.)),
];

pub(crate) struct Look<'a> {
    labels: Labels,
    pub appearance: &'a Appearance,
    pub skin: Colour,
    pub hair: Colour,
}

impl<'a> Look<'a> {
    pub fn new(appearance: &'a Appearance, labels: Labels) -> Self {
        let mut look =
            Self { labels, appearance, skin: appearance.skin, hair: appearance.other_hair };
        if look.has("Pale_Skin") {
            look.skin = appearance.skin.mix(PALE, 0.8);
        }
        if let Some((_, colour)) = HAIR_COLOURS.into_iter().find(|(name, _)| look.has(name)) {
            look.hair = colour;
        }
        look.hair = look.hair.lighter(appearance.hair_tone * 0.06);
        look
    }

    /// Whether the face has an attribute, by its name in `ATTRIBUTES`.
    pub fn has(&self, attribute: &str) -> bool {
        self.labels.has(attribute_index(attribute).expect("one of the 40 attributes"))
    }

    /// Where a point of the face appears when the head is turned to the side. `depth` is how far
    /// the point stands out from the face, in pixels.
    pub fn project(&self, (x, y): (f32, f32), depth: f32) -> (f32, f32) {
        let yaw = self.appearance.yaw;
        (x * (1. - 0.1 * yaw * x.signum()) + yaw * depth, y)
    }
}
