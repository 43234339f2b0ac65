//! The curves of all readings. Readings that prune the same channels share what is measured.

use std::collections::HashMap;

use foresee_model::Network;
use foresee_perturb::{
    ChannelStatistics, Cut, PruneOrder, Reading, ReadingTables, Takeover, Tally, prune_curves,
};

use super::measured::Settings;
use super::tables::Images;
use crate::artifacts::{ReadImage, ReadImages, ReadingPoint, curve_name};
use crate::error::{Result, input};
use crate::progress::{Progress, Unit};

/// What every reading is measured with.
pub(super) const TAKEOVERS: [Takeover; 2] = [Takeover::Nothing, Takeover::Mean];

/// Where a smaller network is: its list, and its place in it.
type Place = (usize, usize);

/// A reading with a takeover.
struct Curve {
    order: PruneOrder<Reading>,
    takeover: Takeover,
    /// For each number of pruned channels.
    places: Vec<Place>,
}

/// All curves, and the distinct networks that they are made of.
pub(super) struct Curves {
    counts: Vec<usize>,
    curves: Vec<Curve>,
    /// Networks of one list are cut from each other.
    lists: Vec<Vec<Cut>>,
}

impl Curves {
    /// Of a network with these tables. `seed` is that of the first random order.
    pub fn new(
        tables: &ReadingTables,
        statistics: &ChannelStatistics,
        seed: u64,
        settings: Settings,
    ) -> Result<Self> {
        let channels = statistics.means.len();
        let counts: Vec<usize> = (0..channels).step_by(settings.step).collect();
        if counts.len() < 2 {
            return Err(input(format!(
                "--step {} is not possible: the network has {channels} channels",
                settings.step
            )));
        }
        let mut all = Self { counts, curves: vec![], lists: vec![] };
        let mut known = HashMap::new();
        for reading in Reading::all() {
            let orders = if reading == Reading::Random { settings.random_orders } else { 1 };
            for i in 0..orders {
                let order = tables.order(reading, seed.wrapping_add(i))?;
                for takeover in TAKEOVERS {
                    all.add(&order, takeover, statistics, &mut known)?;
                }
            }
        }
        Ok(all)
    }

    /// Adds a curve. Without a takeover, and with means, a network is known by the channels that it
    /// keeps, in whatever order the others went.
    fn add(
        &mut self,
        order: &PruneOrder<Reading>,
        takeover: Takeover,
        statistics: &ChannelStatistics,
        known: &mut HashMap<(Takeover, Vec<usize>), Place>,
    ) -> Result<()> {
        let (channels, list) = (statistics.means.len(), self.lists.len());
        let mut cuts: Vec<Cut> = vec![];
        let mut places = vec![];
        for &count in &self.counts {
            let key = (takeover, order.kept(channels, count));
            let place = match known.get(&key) {
                Some(&place) => place,
                None => {
                    cuts.push(statistics.cut(order.pruned(count), takeover, false)?);
                    known.insert(key, (list, cuts.len() - 1));
                    (list, cuts.len() - 1)
                }
            };
            places.push(place);
        }
        self.lists.push(cuts);
        self.curves.push(Curve { order: order.clone(), takeover, places });
        Ok(())
    }

    /// A tally for each distinct network.
    pub fn measure(
        &self,
        network: &Network,
        images: &Images,
        test: &[usize],
    ) -> Result<Vec<Vec<Tally>>> {
        let networks = self.lists.iter().map(Vec::len).sum::<usize>();
        let progress = Progress::new("readings", Unit::Images, test.len(), 0);
        let each = || format!("each through {networks} networks");
        prune_curves(network, &self.lists, images.batches(test, &progress, each))
    }

    /// Every reading at every number of pruned channels.
    pub fn points(&self, tallies: &[Vec<Tally>]) -> Vec<ReadingPoint> {
        let of_curve = |curve: &Curve| {
            let point = |(&pruned, &(list, at)): (&usize, &Place)| {
                let tally = &tallies[list][at];
                ReadingPoint {
                    reading: curve.order.rule,
                    seed: curve.order.seed,
                    takeover: curve.takeover,
                    pruned,
                    correct: tally.correct.iter().sum::<u64>() as usize,
                    images: tally.images(),
                }
            };
            self.counts.iter().zip(&curve.places).map(point).collect::<Vec<_>>()
        };
        self.curves.iter().flat_map(of_curve).collect()
    }

    /// What the curves count of each image, over all points but that of nothing pruned.
    pub fn by_image(
        &self,
        tallies: &[Vec<Tally>],
        images: impl Iterator<Item = String>,
    ) -> ReadImages {
        let sums = |curve: &Curve| {
            let points = self.counts.iter().zip(&curve.places).filter(|(count, _)| **count > 0);
            points.fold(vec![], |mut sums: Vec<i64>, (_, &(list, at))| {
                let correct = tallies[list][at].correct_by_image();
                sums.resize(correct.len(), 0);
                sums.iter_mut().zip(correct).for_each(|(sum, more)| *sum += more);
                sums
            })
        };
        let columns: Vec<Vec<i64>> = self.curves.iter().map(sums).collect();
        let name = |c: &Curve| curve_name(c.order.rule, c.order.seed, c.takeover);
        let mut table = ReadImages::new(self.curves.iter().map(name));
        let row = |(i, image): (usize, String)| {
            let cells = columns.iter().map(|column| column.get(i).copied().unwrap_or(0));
            (ReadImage { image }, cells.collect())
        };
        table.rows.extend(images.enumerate().map(row));
        table
    }
}
