//! What the masks of a cut read in place of each channel.

use super::ChannelCut;

/// ẑ_c of a cut.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// 0: the channel is pruned.
    Zero,
    /// z_c: the channel is kept.
    Own,
    /// Σ s·z_q + t over kept channels q.
    Mix {
        /// Each q with its s, where that is not 0.
        terms: Vec<(usize, f32)>,
        /// t.
        offset: f32,
    },
}

impl Source {
    /// Whether it is finite for finite features.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Zero | Self::Own => true,
            Self::Mix { terms, offset } => {
                offset.is_finite() && terms.iter().all(|(_, weight)| weight.is_finite())
            }
        }
    }
}

/// The source of each of C channels.
pub(super) fn sources(cut: &ChannelCut, channels: usize) -> Vec<Source> {
    let Some(stand_in) = &cut.stand_in else {
        let mut sources = vec![Source::Zero; channels];
        cut.kept.iter().for_each(|&channel| sources[channel] = Source::Own);
        return sources;
    };
    let rows = stand_in.weights.iter().zip(stand_in.offsets).enumerate();
    rows.map(|(channel, (row, &offset))| {
        let terms: Vec<(usize, f32)> =
            cut.kept.iter().copied().zip(row.iter().copied()).filter(|(_, s)| *s != 0.).collect();
        match terms.as_slice() {
            [] if offset == 0. => Source::Zero,
            [(q, s)] if *q == channel && *s == 1. && offset == 0. => Source::Own,
            _ => Source::Mix { terms, offset },
        }
    })
    .collect()
}
