//! The parts of a picture, one file each. Every attribute is drawn in the file of the part where it
//! shows: freckles would go to `skin.rs`, a scarf to a file of its own.

pub(super) mod background;
pub(super) mod camera;
pub(super) mod clothes;
pub(super) mod earrings;
pub(super) mod eyebrows;
pub(super) mod eyeglasses;
pub(super) mod eyes;
pub(super) mod facial_hair;
pub(super) mod hair;
pub(super) mod hat;
pub(super) mod head;
pub(super) mod lighting;
pub(super) mod mouth;
pub(super) mod necklace;
pub(super) mod necktie;
pub(super) mod nose;
pub(super) mod skin;
