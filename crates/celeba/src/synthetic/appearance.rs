//! Everything about a drawing that is not an attribute.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::canvas::Colour;
use crate::random::{Purpose, stream};

/// What varies from face to face whatever its attributes. Lengths are in pixels, angles in degrees.
pub(crate) struct Appearance {
    details: (u64, u64),
    /// Where the point between the eyes lies.
    pub centre: (f32, f32),
    pub scale: f32,
    pub roll: f32,
    /// -1 (looks left) to 1 (looks right).
    pub yaw: f32,
    pub skin: Colour,
    /// A hair colour that is none of CelebA's four.
    pub other_hair: Colour,
    /// Makes each hair colour lighter or darker, -1 to 1.
    pub hair_tone: f32,
    /// Length of long hair below the eyes.
    pub hair_length: f32,
    pub parting: f32,
    pub iris: Colour,
    pub eye_distance: f32,
    pub face_width: f32,
    pub mouth_height: f32,
    pub background: [Colour; 2],
    pub background_angle: f32,
    pub clothes: Colour,
    pub clothes_detail: Colour,
    pub neckline: f32,
    /// Colour of hats, frames, ties, lipstick…, by what they are.
    pub accent: [Colour; 4],
    /// Style of hats, frames, earrings, necklaces, 0 to 1.
    pub style: [f32; 4],
    pub light_angle: f32,
    pub light: f32,
    pub brightness: f32,
    pub contrast: f32,
    pub tint: Colour,
    pub grain: f32,
}

impl Appearance {
    pub fn draw(seed: u64, face: u64) -> Self {
        let mut rng = stream(seed, Purpose::Face, face << 6);
        let rng = &mut rng;
        let tone: f32 = rng.random();
        Self {
            details: (seed, face),
            centre: (89. + within(rng, 6.), 97. + within(rng, 5.)),
            scale: 1. + within(rng, 0.08),
            roll: within(rng, 9.),
            yaw: within(rng, 1.),
            skin: Colour(92., 58., 42.)
                .towards(Colour(232., 190., 160.), 1. - tone * tone)
                .lighter(within(rng, 0.05)),
            other_hair: Colour(120., 45., 25.).towards(Colour(150., 110., 75.), rng.random()),
            hair_tone: within(rng, 1.),
            hair_length: rng.random_range(38. ..95.),
            parting: within(rng, 14.),
            iris: [Colour(70., 45., 25.), Colour(70., 100., 140.), Colour(80., 110., 70.)]
                [rng.random_range(0..3)]
            .lighter(within(rng, 0.1)),
            eye_distance: 17.5 + within(rng, 1.5),
            face_width: within(rng, 2.),
            mouth_height: 36. + within(rng, 2.),
            background: [any_colour(rng), any_colour(rng)],
            background_angle: rng.random_range(0. ..360.),
            clothes: any_colour(rng),
            clothes_detail: any_colour(rng),
            neckline: rng.random(),
            accent: std::array::from_fn(|_| any_colour(rng)),
            style: std::array::from_fn(|_| rng.random()),
            light_angle: rng.random_range(0. ..360.),
            light: rng.random_range(0. ..0.35),
            brightness: within(rng, 22.),
            contrast: 1. + within(rng, 0.15),
            tint: any_colour(rng),
            grain: rng.random_range(1. ..7.),
        }
    }

    /// Random numbers for the details of one part of the drawing, whatever was drawn before it.
    /// `part` is below 63.
    pub fn details(&self, part: u64) -> ChaCha8Rng {
        stream(self.details.0, Purpose::Face, (self.details.1 << 6) + 1 + part)
    }
}

/// Uniform in ±reach.
pub(crate) fn within(rng: &mut ChaCha8Rng, reach: f32) -> f32 {
    rng.random_range(-reach..=reach)
}

fn any_colour(rng: &mut ChaCha8Rng) -> Colour {
    Colour(rng.random_range(15. ..240.), rng.random_range(15. ..240.), rng.random_range(15. ..240.))
}
