//! What a card says about the rows that are left out of the heads.

use foresee_kernels::Rows;
use serde::{Deserialize, Serialize};

use crate::change::MeasuredChange;

/// What is left out of the heads of a compacted network. The weights of these rows are shut in the
/// file too, so that a reader that does not know of this computes the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// For each attribute the channels that it keeps masks for, ascending.
    pub kept: Vec<Vec<usize>>,
    /// What the rows were chosen by, in units of the logits
    /// ([`RowStatistics::select`](crate::RowStatistics::select)).
    pub tolerance: f64,
    /// How many training images they were chosen on.
    pub chosen_on: usize,
    /// What leaving them out changed, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredChange>,
}

impl LeftOut {
    /// What is left out of heads that compute these rows. It is not measured yet what that changes.
    pub fn new(rows: &Rows, tolerance: f64, chosen_on: usize) -> Self {
        Self { kept: rows.kept().to_vec(), tolerance, chosen_on, measured: None }
    }

    /// Why these cannot be rows of such a network, if they cannot.
    pub(crate) fn problem(&self, attributes: usize, channels: usize) -> Option<String> {
        if self.kept.len() != attributes {
            return Some(format!(
                "its card lists kept rows of {} attributes, but its network has {attributes}",
                self.kept.len()
            ));
        }
        if let Err(e) = Rows::new(channels, self.kept.clone()) {
            return Some(format!("its card lists kept rows that cannot be: {e}"));
        }
        let measured = self.measured.iter().flat_map(|change| [change.mean, change.greatest]);
        let mut numbers = measured.chain([self.tolerance]);
        (!numbers.all(|v| v >= 0. && v.is_finite()))
            .then(|| "its card states a tolerance or a change that is no number from 0".into())
    }

    /// How many rows are kept, of all attributes.
    pub fn rows(&self) -> usize {
        self.kept.iter().map(Vec::len).sum()
    }

    /// The fewest and the most rows that an attribute keeps. `None` if there is no attribute.
    pub fn range(&self) -> Option<(usize, usize)> {
        let counts = || self.kept.iter().map(Vec::len);
        counts().min().zip(counts().max())
    }

    /// In words, such as `compacted at tolerance 0.001: 1240 of 5120 rows kept, chosen on 1000
    /// training faces; on 800 val faces the logits moved by …`. `channels` is the network's C.
    pub fn title(&self, channels: usize) -> String {
        let text = format!(
            "compacted at tolerance {}: {} of {} rows kept, chosen on {} training faces",
            self.tolerance,
            self.rows(),
            self.kept.len() * channels,
            self.chosen_on
        );
        match &self.measured {
            Some(change) => format!("{text}; {}", change.title()),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::{Crop, ModelCard, Network, NetworkConfig};

    fn card(network: &Network, left_out: Option<LeftOut>) -> ModelCard {
        ModelCard {
            network: network.config().clone(),
            attributes: vec!["Smiling".into(), "Young".into()],
            image_size: 9,
            crop: Crop::Square,
            mean: [0.5; 3],
            deviation: [0.5; 3],
            conventions: Default::default(),
            seed: 4,
            trained_on: "nothing".into(),
            training_split_sha256: None,
            kept_channels: None,
            left_out,
        }
    }

    fn left_out() -> LeftOut {
        LeftOut {
            kept: vec![vec![0, 2, 3], vec![1]],
            tolerance: 0.001,
            chosen_on: 10,
            measured: Some(MeasuredChange {
                faces: 3,
                split: "val".into(),
                mean: 0.0002,
                greatest: 0.0055,
                answers: 6,
                flipped: 0,
            }),
        }
    }

    fn network() -> Network {
        let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
        Network::new(config, 7, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_card_says_what_is_left_out() {
        let network = network();
        assert_eq!(card(&network, None).compaction(), None);
        let left_out = left_out();
        assert_eq!((left_out.rows(), left_out.range()), (4, Some((1, 3))));
        assert_eq!(
            card(&network, Some(left_out)).compaction().unwrap(),
            "compacted at tolerance 0.001: 4 of 8 rows kept, chosen on 10 training faces; on 3 val \
             faces the logits moved by 2.0e-4 in the mean and by 5.5e-3 at most, and 0 of 6 \
             answers flipped"
        );
    }

    #[test]
    fn what_cannot_be_left_out_is_told() {
        let problem = |change: fn(&mut LeftOut)| {
            let mut left_out = left_out();
            change(&mut left_out);
            left_out.problem(2, 4).unwrap_or_default()
        };
        assert_eq!(problem(|_| ()), "");
        let fewer = problem(|left_out| left_out.kept.truncate(1));
        assert_eq!(fewer, "its card lists kept rows of 1 attributes, but its network has 2");
        let more = problem(|left_out| left_out.kept.push(vec![]));
        assert_eq!(more, "its card lists kept rows of 3 attributes, but its network has 2");
        for wrong in [
            |left_out: &mut LeftOut| left_out.kept[1] = vec![2, 1],
            |left_out: &mut LeftOut| left_out.kept[1] = vec![1, 1],
            |left_out: &mut LeftOut| left_out.kept[1] = vec![1, 4],
        ] {
            let told = problem(wrong);
            assert!(told.starts_with("its card lists kept rows that cannot be: "), "{told}");
            assert!(told.contains("attribute 1 must ascend and be below"), "{told}");
        }
        for wrong in [
            |left_out: &mut LeftOut| left_out.tolerance = -1.,
            |left_out: &mut LeftOut| left_out.tolerance = f64::NAN,
            |left_out: &mut LeftOut| measured(left_out).mean = -0.5,
            |left_out: &mut LeftOut| measured(left_out).greatest = f64::INFINITY,
        ] {
            assert!(problem(wrong).contains("that is no number from 0"));
        }
    }

    fn measured(left_out: &mut LeftOut) -> &mut MeasuredChange {
        left_out.measured.as_mut().unwrap()
    }

    #[test]
    fn kept_rows_follow_kept_channels() {
        let rows = Rows::new(4, left_out().kept).unwrap();
        let network = network().with_rows(rows).unwrap();
        let card = card(&network, Some(left_out()));
        // Channels 0 and 3 go: 1 and 2 are now 0 and 1.
        let pruned = card.pruned(&network.keep_channels(&[1, 2]).unwrap(), &[1, 2]);
        assert_eq!(pruned.kept_channels, Some(vec![1, 2]));
        let expected = LeftOut { kept: vec![vec![1], vec![0]], measured: None, ..left_out() };
        assert_eq!(pruned.left_out, Some(expected));
    }
}
