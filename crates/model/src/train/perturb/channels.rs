//! Training for pruning: images that pass the heads without some channels.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::TrainConfig;

/// Leaves channels out of every other image's features, as many as are drawn, so that the heads
/// answer from what is left: dropout of whole channels (Srivastava et al., 2014; Tompson et al.,
/// 2015) without its rescaling, since pruning does not rescale either. In a fixed order it is
/// nested dropout (Rippel et al., 2014).
pub(super) struct Leaver<'a> {
    channels: usize,
    /// The most channels that leave at random.
    random: usize,
    /// The most channels that leave in the order, and the order.
    ordered: Option<(usize, &'a [usize])>,
}

impl<'a> Leaver<'a> {
    /// `None` if no channel may leave.
    pub fn new(config: &TrainConfig, order: Option<&'a [usize]>, channels: usize) -> Option<Self> {
        let most = |share: f64| config.leaving(share, channels);
        let random = most(config.drop);
        let ordered = order.map(|order| (most(config.drop_correlated), order));
        let ordered = ordered.filter(|(most, _)| *most > 0);
        (random > 0 || ordered.is_some()).then_some(Self { channels, random, ordered })
    }

    /// 0 for each channel that leaves, otherwise 1.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut keep = vec![1.; self.channels];
        let some = rng.random_bool(0.5);
        let in_order = rng.random_bool(0.5);
        if !some {
            return keep;
        }
        let ordered = self.ordered.filter(|_| in_order || self.random == 0);
        let most = ordered.map_or(self.random, |(most, _)| most);
        if most == 0 {
            return keep;
        }
        let count = rng.random_range(1..=most);
        match ordered {
            Some((_, order)) => order[..count].iter().for_each(|&channel| keep[channel] = 0.),
            None => {
                let mut channels: Vec<usize> = (0..self.channels).collect();
                let (leaving, _) = channels.partial_shuffle(rng, count);
                leaving.iter().for_each(|&channel| keep[channel] = 0.);
            }
        }
        keep
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn left_out(config: &TrainConfig, order: Option<&[usize]>) -> Vec<Vec<usize>> {
        let leaver = Leaver::new(config, order, 8).unwrap();
        let of_image = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            rng.set_stream(stream);
            let keep = leaver.draw(&mut rng);
            (0..8).filter(|&c| keep[c] == 0.).collect()
        };
        (0..400).map(of_image).collect()
    }

    #[test]
    fn every_other_image_loses_up_to_the_share() {
        let config = TrainConfig { drop: 0.5, ..Default::default() };
        let drawn = left_out(&config, None);
        let none = drawn.iter().filter(|left| left.is_empty()).count();
        assert!((150..250).contains(&none), "{none} of 400");
        let most = drawn.iter().map(Vec::len).max().unwrap();
        assert_eq!(most, 4);
        // Every channel leaves at times, and about as often as another.
        let times = |c: &usize| drawn.iter().filter(|left| left.contains(c)).count();
        let times: Vec<usize> = (0..8).map(|c| times(&c)).collect();
        assert!(times.iter().all(|t| (35..90).contains(t)), "{times:?}");
    }

    #[test]
    fn channels_leave_in_the_order() {
        let config = TrainConfig { drop_correlated: 0.25, ..Default::default() };
        let order = [5, 2, 7, 0, 1, 3, 4, 6];
        for left in left_out(&config, Some(&order)) {
            assert!([&[][..], &[5], &[2, 5]].contains(&&left[..]), "{left:?}");
        }
        assert!(Leaver::new(&config, None, 8).is_none());
        assert!(Leaver::new(&TrainConfig::default(), Some(&order), 8).is_none());
        // One channel stays, whatever the share.
        let all = TrainConfig { drop: 1., ..Default::default() };
        assert_eq!(left_out(&all, None).iter().map(Vec::len).max(), Some(7));
    }
}
