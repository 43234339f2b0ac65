/// The variable uncertainty rule of Žliobaitė, Bifet, Pfahringer & Holmes (2014, "Active learning
/// with drifting streaming data", section III-C): ask if the certainty is below θ. Each label makes
/// θ smaller by the share s, each item that passes makes it larger.
///
/// Two things differ. As published a pass moves θ by s too, so that θ settles where half of all
/// items are asked, and a smaller budget then cuts in whatever comes. Here a pass moves it by
/// s·b/(1 - b), at most s, where b is the budget's share: θ settles where the budget is spent. They
/// estimate what was spent over a window; here it is counted, so that it is never exceeded.
#[derive(Debug, Clone)]
pub(super) struct Threshold {
    theta: f64,
    down: f64,
    up: f64,
}

impl Threshold {
    /// For this step s and the budget's share b, in (0, 1].
    pub fn new(step: f64, share: f64) -> Self {
        let up = if share < 0.5 { step * share / (1. - share) } else { step };
        Self { theta: 1., down: 1. - step, up: 1. + up }
    }

    /// Whether an item of this certainty is asked; moves the threshold.
    pub fn asks(&mut self, certainty: f64) -> bool {
        let asks = certainty < self.theta;
        self.theta *= if asks { self.down } else { self.up };
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_moves_by_its_share() {
        let mut threshold = Threshold::new(0.1, 1.);
        assert!(threshold.asks(0.95));
        assert!((threshold.theta - 0.9).abs() < 1e-12);
        assert!(!threshold.asks(0.95));
        assert!((threshold.theta - 0.99).abs() < 1e-12);
        assert!(threshold.asks(0.95));
        // A budget of a fifth: a quarter of the step upwards.
        let mut threshold = Threshold::new(0.1, 0.2);
        assert!(!threshold.asks(1.));
        assert!((threshold.theta - 1.025).abs() < 1e-12);
    }
}
