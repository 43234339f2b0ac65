//! Training for noise and for tone curves on the masks.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::config::TrainConfig;

/// The deviation that images are normalised with.
const DEVIATION: f64 = 0.5;

/// Adds Gaussian noise to every other image, or a tone curve, or both in proportion.
pub(super) struct Noise {
    /// The greatest standard deviation, of pixels in [0, 1].
    most: f64,
}

impl Noise {
    /// `None` if there is neither noise nor a curve.
    pub fn new(config: &TrainConfig) -> Option<Self> {
        let TrainConfig { noise, curve, .. } = *config;
        (noise > 0. || curve > 0.).then_some(Self { most: noise })
    }

    /// The image's share of the greatest noise and of the greatest β, 0 to 1. Its noise, of so many
    /// values, is put behind `noise`.
    pub fn draw(&self, rng: &mut ChaCha8Rng, values: usize, noise: &mut Vec<f32>) -> f64 {
        let some = rng.random_bool(0.5);
        let share = if some { rng.random_range(0f64..1.) } else { 0. };
        if self.most > 0. {
            let sigma = (share * self.most / DEVIATION) as f32;
            let value = |_| if some { sigma * rng.sample::<f32, _>(StandardNormal) } else { 0. };
            noise.extend((0..values).map(value));
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_share_tells_the_noise() {
        let config = TrainConfig { noise: 0.3, ..Default::default() };
        let noise = Noise::new(&config).unwrap();
        let mut clean = 0;
        for stream in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            rng.set_stream(stream);
            let mut values = vec![];
            let share = noise.draw(&mut rng, 4000, &mut values);
            let variance = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / 4000.;
            // σ of pixels in [0, 1] is the share of 0.3; normalised, they are twice as far apart.
            let expected = share * 0.3 * 2.;
            assert!((variance.sqrt() - expected).abs() < 0.05 * expected + 1e-6);
            assert!((0. ..=1.).contains(&share));
            clean += usize::from(share == 0.);
        }
        assert!((70..130).contains(&clean), "{clean} of 200");
        assert!(Noise::new(&TrainConfig::default()).is_none());
    }

    #[test]
    fn curves_alone_add_no_noise() {
        let noise = Noise::new(&TrainConfig { curve: 0.1, ..Default::default() }).unwrap();
        let mut values = vec![];
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let shares: Vec<f64> = (0..50).map(|_| noise.draw(&mut rng, 10, &mut values)).collect();
        assert!(values.is_empty() && shares.iter().any(|&share| share > 0.2));
    }
}
