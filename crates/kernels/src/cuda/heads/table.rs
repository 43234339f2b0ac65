//! The kept rows of heads of which some are left out, as `cuda/heads.cu` takes them.

use super::PANEL;
use crate::rows::Rows;

/// No row, no slot.
const NONE: u32 = u32::MAX;

/// Slots for the kept rows, 128 to a panel. The channels of a panel ascend and are of the same 128.
/// The rows of 128 channels are dealt to as few panels as hold them, so that these are equally full
/// and each has rows of most channels: the gradients of a panel's features are work for all warps.
pub(super) struct Table {
    pub panels: usize,
    /// One after another:
    ///
    /// * the row k·C + c of each slot, or [`NONE`] in slots that are empty,
    /// * its channel, in empty slots that of the panel's last row,
    /// * for each panel how many of its slots come before each of its 128 channels, and how many
    ///   there are,
    /// * the slot of each row, or [`NONE`].
    pub words: Vec<u32>,
}

impl Table {
    /// `None` if no row is left out.
    pub fn new(rows: &Rows) -> Option<Self> {
        if rows.is_all() {
            return None;
        }
        let channels = rows.channels();
        let panels = panels(rows);
        let mut slots = vec![NONE; rows.attributes() * channels];
        let (mut of_slots, mut channel_of_slots, mut starts) = (vec![], vec![], vec![]);
        for (panel, own) in panels.iter().enumerate() {
            for (slot, &row) in own.iter().enumerate() {
                slots[row] = (panel * PANEL + slot) as u32;
                of_slots.push(row as u32);
                channel_of_slots.push((row % channels) as u32);
            }
            let last = channel_of_slots.last().copied().unwrap_or(0);
            of_slots.resize((panel + 1) * PANEL, NONE);
            channel_of_slots.resize((panel + 1) * PANEL, last);
            let before = |c: usize| own.partition_point(|row| row % channels % PANEL < c) as u32;
            starts.extend((0..=PANEL).map(before));
        }
        let words = [of_slots, channel_of_slots, starts, slots].concat();
        Some(Self { panels: panels.len(), words })
    }
}

/// The rows k·C + c of each panel, none of which is empty.
fn panels(rows: &Rows) -> Vec<Vec<usize>> {
    let mut of_channel = vec![vec![]; rows.channels()];
    for k in 0..rows.attributes() {
        rows.of(k).iter().for_each(|&c| of_channel[c].push(k * rows.channels() + c));
    }
    let mut panels: Vec<Vec<usize>> = vec![];
    for of_channels in of_channel.chunks(PANEL) {
        let rows = of_channels.concat();
        let count = rows.len().div_ceil(PANEL);
        let panel = |first| rows.iter().skip(first).step_by(count).copied().collect::<Vec<_>>();
        panels.extend((0..count).map(panel));
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attribute k has every (k+2)-th channel.
    fn some(attributes: usize, channels: usize) -> Rows {
        let kept = (0..attributes).map(|k| (0..channels).step_by(k + 2).collect()).collect();
        Rows::new(channels, kept).unwrap()
    }

    #[test]
    fn every_kept_row_has_a_slot_beside_rows_of_its_channels() {
        for (attributes, channels) in [(1, 2), (3, 5), (7, 128), (5, 300)] {
            let rows = some(attributes, channels);
            let Table { panels, words } = Table::new(&rows).unwrap();
            let (of_slots, rest) = words.split_at(panels * PANEL);
            let (channel_of_slots, rest) = rest.split_at(panels * PANEL);
            let (starts, slots) = rest.split_at(panels * (PANEL + 1));
            assert_eq!(slots.len(), attributes * channels);
            assert_eq!(slots.iter().filter(|&&slot| slot != NONE).count(), rows.count());
            assert_eq!(of_slots.iter().filter(|&&row| row != NONE).count(), rows.count());
            for (k, c) in (0..attributes).flat_map(|k| rows.of(k).iter().map(move |&c| (k, c))) {
                let slot = slots[k * channels + c] as usize;
                assert_eq!(of_slots[slot] as usize, k * channels + c);
                assert_eq!(channel_of_slots[slot] as usize, c);
                let starts = &starts[slot / PANEL * (PANEL + 1)..][c % PANEL..];
                assert!((starts[0]..starts[1]).contains(&((slot % PANEL) as u32)));
            }
            for (of, starts) in channel_of_slots.chunks(PANEL).zip(starts.chunks(PANEL + 1)) {
                assert!(of.is_sorted() && of[0] as usize / PANEL == of[PANEL - 1] as usize / PANEL);
                assert!(starts[0] == 0 && starts[PANEL] > 0);
            }
        }
    }

    /// 64 + 43 + 32 + 26 + 22 + 19 + 16 = 222 rows of the same 128 channels.
    #[test]
    fn panels_are_as_few_as_hold_the_rows_and_equally_full() {
        let rows = some(7, 128);
        let lengths: Vec<usize> = panels(&rows).iter().map(Vec::len).collect();
        assert_eq!(lengths, [111, 111]);
        assert_eq!(Table::new(&Rows::new(4, vec![vec![]; 2]).unwrap()).unwrap().panels, 0);
        assert!(Table::new(&Rows::all(2, 4)).is_none());
    }
}
