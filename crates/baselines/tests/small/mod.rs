//! A system that is small enough for tests.

use foresee_baselines::PandaConfig;

/// Height and width of its images.
pub const SIZE: usize = 32;

pub fn panda(attributes: usize) -> PandaConfig {
    PandaConfig {
        attributes,
        image_size: SIZE,
        part_size: 16,
        width: 8,
        hidden: 8,
        ..Default::default()
    }
}
