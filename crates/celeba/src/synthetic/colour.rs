//! Colours, and how they are mixed.

/// Red, green and blue, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour(pub f32, pub f32, pub f32);

impl Colour {
    pub const BLACK: Self = Self(12., 10., 10.);
    pub const WHITE: Self = Self(248., 246., 242.);

    /// (1 - share) of this colour and a share of another one.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// Mixes with white if `by` is positive, with black if it is negative.
    pub fn lighter(self, by: f32) -> Self {
        let target = if by > 0. { Self(255., 255., 255.) } else { Self(0., 0., 0.) };
        self.mix(target, by.abs().min(1.))
    }

    /// Sum of the absolute differences in red, green and blue.
    pub fn distance(self, other: Self) -> f32 {
        (self.0 - other.0).abs() + (self.1 - other.1).abs() + (self.2 - other.2).abs()
    }
}
