//! The generator of synthetic faces.

use super::appearance::Appearance;
use super::population::Population;
use super::region::region_shares;
use super::render::render;
use crate::attributes::Labels;
use crate::preprocessing::Crop;

/// A channel must differ by more than this, of 255, for a pixel to belong to a region.
const VISIBLE: u8 = 12;

/// Draws the faces of one seed. Faces are numbered from 0; a face depends on nothing but the seed
/// and its number.
///
/// ```
/// use foresee_celeba::attribute_index;
/// use foresee_celeba::synthetic::{Generator, HEIGHT, WIDTH};
///
/// let generator = Generator::new(7);
/// let eyeglasses = attribute_index("Eyeglasses")?;
/// let labels = generator.labels(0).with(eyeglasses, true);
/// assert_eq!(generator.render(0, labels).len(), 3 * HEIGHT * WIDTH);
/// // Where the glasses are.
/// let region = generator.region(0, labels, eyeglasses);
/// let pixels = region.iter().filter(|inside| **inside).count();
/// assert!(pixels > 0 && pixels < HEIGHT * WIDTH / 2);
/// # Ok::<(), foresee_celeba::Error>(())
/// ```
pub struct Generator {
    seed: u64,
    population: Population,
}

impl Generator {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, population: Population::celeba() }
    }

    /// The attributes of a face. Of attributes that exclude each other in a drawing (the hair
    /// colours and bald; straight, wavy and bald) at most one remains.
    pub fn labels(&self, face: u64) -> Labels {
        self.population.draw(self.seed, face)
    }

    /// Draws a face with any attributes: RGB, row by row, [`WIDTH`](super::WIDTH) ×
    /// [`HEIGHT`](super::HEIGHT). What is not an attribute (pose, light and so on) depends on the
    /// number only.
    pub fn render(&self, face: u64, labels: Labels) -> Vec<u8> {
        render(&Appearance::draw(self.seed, face), labels)
    }

    /// Where an attribute is: the pixels [HEIGHT, WIDTH], row by row, at which the drawings of this
    /// face with and without the attribute differ, all else being equal.
    pub fn region(&self, face: u64, labels: Labels, attribute: usize) -> Vec<bool> {
        let with = self.render(face, labels.with(attribute, true));
        let without = self.render(face, labels.with(attribute, false));
        let pixels = with.chunks_exact(3).zip(without.chunks_exact(3));
        pixels.map(|(a, b)| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > VISIBLE)).collect()
    }

    /// The share of [`region`](Self::region) in each pixel of the network's input [size, size], row
    /// by row, in [0, 1].
    ///
    /// Pixel (x, y) of the w×h pixels that `crop` leaves belongs to cell (⌊x·size/w⌋, ⌊y·size/h⌋),
    /// and the share of a cell is the mean over its pixels. Cells without pixels, which occur where
    /// size exceeds w or h, have share 0.
    pub fn region_shares(
        &self,
        face: u64,
        labels: Labels,
        attribute: usize,
        crop: Crop,
        size: usize,
    ) -> Vec<f64> {
        region_shares(&self.region(face, labels, attribute), crop, size)
    }
}
