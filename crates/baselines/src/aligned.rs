//! Where CelebA's aligned images, 178 by 218 pixels, are seen.

use foresee_model::Crop;

/// Columns of CelebA's images, all of which are seen.
pub(crate) const COLUMNS: f32 = 178.;

/// The first row of CelebA's images that a crop shows, and the row behind the last.
pub(crate) fn rows(crop: Crop) -> (f32, f32) {
    match crop {
        Crop::Square => (20., 198.),
        Crop::Whole => (0., 218.),
    }
}
