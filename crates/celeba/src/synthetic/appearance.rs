//! Everything about a drawing that is not an attribute.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::colour::Colour;
use crate::random::{Purpose, stream};

/// What varies from face to face whatever its attributes. Lengths are in pixels, angles in degrees.
pub(crate) struct Appearance {
    seed: u64,
    face: u64,
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
    /// Where the hair is parted, right of the centre.
    pub parting: f32,
    pub iris: Colour,
    pub eye_distance: f32,
    pub face_width: f32,
    pub mouth_height: f32,
    pub background: [Colour; 2],
    pub background_angle: f32,
    pub clothes: Colour,
    pub clothes_detail: Colour,
    /// Depth of the neckline, 0 to 1.
    pub neckline: f32,
    /// Colours of hats, frames, ties, lipstick and so on.
    pub accent: [Colour; 4],
    /// Styles of hats, frames, earrings and necklaces, 0 to 1.
    pub style: [f32; 4],
    pub light_angle: f32,
    pub light: f32,
    pub brightness: f32,
    pub contrast: f32,
    pub tint: Colour,
    pub grain: f32,
}

/// A part of the drawing with random details of its own. The numbers are part of what decides a
/// face; they must not change.
#[derive(Clone, Copy)]
pub(crate) enum Detail {
    Background = 0,
    Grain = 1,
    Blemishes = 2,
    Wrinkles = 3,
    Bangs = 4,
    Stubble = 5,
    Beard = 6,
}

impl Appearance {
    /// Draws the appearance of a face. The order of the fields is the order of the random numbers.
    pub fn draw(seed: u64, face: u64) -> Self {
        let mut rng = stream(seed, Purpose::Face, face << 6);
        let rng = &mut rng;
        let tone: f32 = rng.random();
        Self {
            seed,
            face,
            centre: (89. + jitter(rng, 6.), 97. + jitter(rng, 5.)),
            scale: 1. + jitter(rng, 0.08),
            roll: jitter(rng, 9.),
            yaw: jitter(rng, 1.),
            skin: Colour(92., 58., 42.)
                .mix(Colour(232., 190., 160.), 1. - tone * tone)
                .lighter(jitter(rng, 0.05)),
            other_hair: Colour(120., 45., 25.).mix(Colour(150., 110., 75.), rng.random()),
            hair_tone: jitter(rng, 1.),
            hair_length: rng.random_range(38. ..95.),
            parting: jitter(rng, 14.),
            iris: [Colour(70., 45., 25.), Colour(70., 100., 140.), Colour(80., 110., 70.)]
                [rng.random_range(0..3)]
            .lighter(jitter(rng, 0.1)),
            eye_distance: 17.5 + jitter(rng, 1.5),
            face_width: jitter(rng, 2.),
            mouth_height: 36. + jitter(rng, 2.),
            background: [any_colour(rng), any_colour(rng)],
            background_angle: rng.random_range(0. ..360.),
            clothes: any_colour(rng),
            clothes_detail: any_colour(rng),
            neckline: rng.random(),
            accent: std::array::from_fn(|_| any_colour(rng)),
            style: std::array::from_fn(|_| rng.random()),
            light_angle: rng.random_range(0. ..360.),
            light: rng.random_range(0. ..0.35),
            brightness: jitter(rng, 22.),
            contrast: 1. + jitter(rng, 0.15),
            tint: any_colour(rng),
            grain: rng.random_range(1. ..7.),
        }
    }

    /// Random numbers for the details of one part of the drawing. They do not depend on what else
    /// is drawn.
    pub fn details(&self, part: Detail) -> ChaCha8Rng {
        stream(self.seed, Purpose::Face, (self.face << 6) + 1 + part as u64)
    }
}

/// Uniform in ±reach.
pub(crate) fn jitter(rng: &mut ChaCha8Rng, reach: f32) -> f32 {
    rng.random_range(-reach..=reach)
}

fn any_colour(rng: &mut ChaCha8Rng) -> Colour {
    Colour(rng.random_range(15. ..240.), rng.random_range(15. ..240.), rng.random_range(15. ..240.))
}
