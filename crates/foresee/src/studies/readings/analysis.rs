//! Every reading against chance, over the seeds of each training.

use anyhow::{Context, ensure};
use foresee_celeba::ATTRIBUTES;
use foresee_perturb::{Norm, Reading, ReadingNorm, Takeover};
use foresee_report::Record;
use foresee_report::frame::read_csv;
use foresee_stats::{
    AgainstChance, Interval, LEVEL, MARGIN, SeedMeans, crossed_test, holm, mean,
    mean_over_seeds_and_images, pooled_deviation, standard_deviation,
};
use rayon::prelude::*;

use super::StudiedRun;
use super::curves::TAKEOVERS;
use crate::artifacts::{
    READ_IMAGES, ReadImages, ReadingPoint, ReadingRow, Row, ShutRows, curve_name,
};
use crate::error::Result;
use crate::run::Run;
use crate::studies::fidelity::run_name;
use crate::studies::runs::StudyRun;

/// The runs of one training, which differ by their seed, and what was measured of them.
pub(super) struct Training<'a> {
    pub variant: String,
    pub runs: Vec<&'a Run>,
    tables: Vec<Tables>,
}

impl Training<'_> {
    /// Whether it matters which channels go: half of them in random order cost the least gain that
    /// counts. Where they do not, as in a network that has learned nothing, every order is as good,
    /// and its small spread over seeds says nothing of other trainings.
    fn selects(&self) -> bool {
        let lost = |table: &Tables| {
            let half = self.runs[0].manifest.config.model.channels / 2;
            let counts = table.counts();
            let near = counts.into_iter().min_by_key(|count| count.abs_diff(half)).unwrap_or(0);
            let chance = |pruned| table.at(Reading::Random, Takeover::Nothing, pruned);
            chance(0) - chance(near)
        };
        mean(&self.tables.iter().map(lost).collect::<Vec<_>>()) >= MARGIN
    }
}

/// What was measured of a run.
struct Tables {
    points: Vec<ReadingPoint>,
    images: ReadImages,
    shut: Vec<ShutRows>,
}

impl Tables {
    fn read(run: &StudiedRun) -> Result<Self> {
        let path = |file: &str| run.folder().join(file);
        Ok(Self {
            points: ReadingPoint::from_frame(&read_csv(&path(<ReadingPoint as Row>::PATH))?)?,
            images: ReadImages::from_frame(&read_csv(&path(READ_IMAGES))?)?,
            shut: ShutRows::from_frame(&read_csv(&path(<ShutRows as Row>::PATH))?)?,
        })
    }

    /// Numbers of pruned channels above 0.
    fn counts(&self) -> Vec<usize> {
        let first = self.points.first().map(|p| (p.reading, p.takeover));
        let of_first = self.points.iter().filter(|p| Some((p.reading, p.takeover)) == first);
        of_first.map(|p| p.pruned).filter(|&pruned| pruned > 0).collect()
    }

    /// The orders of a reading; `None` of one that is not random.
    fn orders(&self, reading: Reading, takeover: Takeover) -> Vec<Option<u64>> {
        let first = |p: &&ReadingPoint| (p.reading, p.takeover, p.pruned) == (reading, takeover, 0);
        self.points.iter().filter(first).map(|p| p.seed).collect()
    }

    /// Mean accuracy of each image over all points above 0, in percent, the mean over these orders.
    fn by_image(&self, (reading, takeover): Way, orders: &[Option<u64>]) -> Result<Vec<f64>> {
        let answers = (self.counts().len() * ATTRIBUTES.len() * orders.len()) as f64;
        let mut sums = vec![0i64; self.images.rows.len()];
        for seed in orders {
            let name = curve_name(reading, *seed, takeover);
            let column = self.images.column(&name);
            let column = column.with_context(|| format!("{READ_IMAGES} has no `{name}`"))?;
            sums.iter_mut().zip(column).for_each(|(sum, more)| *sum += more);
        }
        Ok(sums.into_iter().map(|sum| 100. * sum as f64 / answers).collect())
    }

    /// Accuracy at a number of pruned channels, in percent; of chance the mean over its orders.
    fn at(&self, reading: Reading, takeover: Takeover, pruned: usize) -> f64 {
        let own =
            |p: &&ReadingPoint| (p.reading, p.takeover, p.pruned) == (reading, takeover, pruned);
        let accuracy =
            |p: &ReadingPoint| 100. * p.correct as f64 / (p.images * ATTRIBUTES.len()) as f64;
        mean(&self.points.iter().filter(own).map(accuracy).collect::<Vec<_>>())
    }
}

/// The trainings of the runs that are measured, by their variant's name.
pub(super) fn trainings(runs: &[StudiedRun]) -> Result<Vec<Training<'_>>> {
    let mut trainings: Vec<Training> = vec![];
    for studied in runs.iter().filter(|run| run.is_done()) {
        let suffix = run_name("", studied.run.manifest.seed);
        let variant = studied.name.strip_suffix(&suffix).unwrap_or(&studied.name).to_owned();
        let tables = Tables::read(studied)?;
        let found = trainings.iter_mut().find(|training| training.variant == variant);
        let Some(training) = found else {
            trainings.push(Training { variant, runs: vec![&studied.run], tables: vec![tables] });
            continue;
        };
        ensure!(
            settings(training.runs[0])? == settings(&studied.run)?,
            "{} has other settings than other seeds of {variant}",
            studied.name
        );
        training.runs.push(&studied.run);
        training.tables.push(tables);
    }
    Ok(trainings)
}

/// What decides a network and its statistics: later stages are not read.
fn settings(run: &Run) -> Result<Vec<(String, String)>> {
    run.manifest.config.keys_of(&["data", "model", "train", "measure"])
}

/// A reading with a takeover.
pub(super) type Way = (Reading, Takeover);

/// A reading of one training, compared with chance.
struct Compared {
    way: Way,
    training: usize,
    /// The gain over chance with the same takeover.
    gain: SeedMeans,
    /// Its standard error over images.
    error_of_images: f64,
    /// The gain over chance without a takeover.
    gain_without: Interval,
}

/// All readings but chance itself, each with each takeover; and chance with takeovers, which is
/// compared with chance without. Those by norms of the readout are left out where all channels have
/// the same.
fn ways(training: &Training) -> impl Iterator<Item = Way> {
    let with = |reading: Reading| TAKEOVERS.map(|takeover| (reading, takeover));
    let all = Reading::all().into_iter().flat_map(with);
    let has_norms = training.runs[0].manifest.config.model.readout.is_trained();
    all.filter(|way| *way != (Reading::Random, Takeover::Nothing))
        .filter(move |way| has_norms || way.0.norm() != Some(ReadingNorm::Of(Norm::Readout)))
}

/// Every reading of every training, with Holm's correction over all of them.
pub(super) fn rows(trainings: &[Training]) -> Result<Vec<ReadingRow>> {
    let mut pairs = vec![];
    for (training, of) in trainings.iter().enumerate() {
        pairs.extend(ways(of).map(|way| (training, way)));
    }
    let compare = |&(training, way): &(usize, Way)| compare(trainings, training, way);
    let compared = pairs.par_iter().map(compare).collect::<Result<Vec<_>>>()?;
    let selects: Vec<bool> = trainings.iter().map(Training::selects).collect();
    let tested: Vec<&Compared> = compared.iter().filter(|own| selects[own.training]).collect();
    let p_value = |own: &Compared| match selects[own.training] {
        true => p_value(own, &tested),
        false => f64::NAN,
    };
    let p: Vec<f64> = compared.iter().map(p_value).collect();
    let corrected = holm(&p);
    let row = |((own, p), corrected)| row(trainings, own, p, corrected);
    Ok(compared.iter().zip(p).zip(corrected).map(row).collect())
}

fn compare(trainings: &[Training], training: usize, way: Way) -> Result<Compared> {
    let tables = &trainings[training].tables;
    let over = |takeover| gains(tables, way, (Reading::Random, takeover));
    let gains = over(way.1)?;
    let images = gains.first().map_or(0, Vec::len);
    let of_image = |i: usize| gains.iter().map(|seed| seed[i]).sum::<f64>() / gains.len() as f64;
    let mut gain = mean_over_seeds_and_images(&gains, LEVEL)?;
    if tables.len() == 1 {
        gain.seeds = vec![gain.interval.estimate];
    }
    let means: Vec<f64> = (0..images).map(of_image).collect();
    Ok(Compared {
        way,
        training,
        error_of_images: standard_deviation(&means) / (images as f64).sqrt(),
        gain_without: match way.1 {
            Takeover::Nothing => gain.interval,
            _ => mean_over_seeds_and_images(&over(Takeover::Nothing)?, LEVEL)?.interval,
        },
        gain,
    })
}

/// Accuracy of each image in one way less that by chance: of each training, or of each random order
/// of the only one, so that the interval knows how much the orders differ.
fn gains(tables: &[Tables], way: Way, chance: Way) -> Result<Vec<Vec<f64>>> {
    let less = |table: &Tables, orders: &[Option<u64>]| {
        // The same orders with another takeover are compared order by order.
        let own = match way.0 == chance.0 {
            true => table.by_image(way, orders)?,
            false => table.by_image(way, &table.orders(way.0, way.1))?,
        };
        let own = own.into_iter();
        let chance = table.by_image(chance, orders)?;
        Ok(own.zip(chance).map(|(own, chance)| own - chance).collect())
    };
    let orders = |table: &Tables| table.orders(chance.0, chance.1);
    match tables {
        [table] => orders(table).iter().map(|order| less(table, &[*order])).collect(),
        _ => tables.iter().map(|table| less(table, &orders(table))).collect(),
    }
}

/// The p-value of a gain over chance with the same takeover. Its spread over seeds is taken to be
/// that of the reading in all trainings: two degrees of freedom reject nothing after a correction
/// for hundreds of tests. NaN if no training has a second seed.
fn p_value(own: &Compared, all: &[&Compared]) -> f64 {
    if own.way.0 == Reading::Random {
        return f64::NAN;
    }
    let same = all.iter().filter(|other| other.way == own.way);
    let seeds: Vec<Vec<f64>> = same.map(|other| other.gain.seeds.clone()).collect();
    let (deviation, freedom) = pooled_deviation(&seeds);
    if freedom == 0. {
        return f64::NAN;
    }
    let of_seeds = deviation / (own.gain.seeds.len() as f64).sqrt();
    crossed_test(own.gain.interval.estimate, own.error_of_images, of_seeds, freedom)
}

fn row(trainings: &[Training], own: &Compared, p: f64, corrected: f64) -> ReadingRow {
    let Training { variant, runs, tables } = &trainings[own.training];
    let ((reading, takeover), gain) = (own.way, own.gain.interval);
    let channels = runs[0].manifest.config.model.channels;
    let over_tables =
        |of: &dyn Fn(&Tables) -> f64| mean(&tables.iter().map(of).collect::<Vec<_>>());
    let at = |share: f64| {
        let counts = tables[0].counts();
        let wanted = (share * channels as f64) as usize;
        let pruned = counts.into_iter().min_by_key(|&count| count.abs_diff(wanted)).unwrap_or(0);
        let own = over_tables(&|table| table.at(reading, takeover, pruned));
        (own, own - over_tables(&|table| table.at(Reading::Random, takeover, pruned)))
    };
    let accuracy = over_tables(&|table| table.at(reading, takeover, 0));
    let ((half, gain_at_half), (_, gain_at_three_quarters)) = (at(0.5), at(0.75));
    let seeds: Vec<String> = own.gain.seeds.iter().map(ToString::to_string).collect();
    let chance = reading == Reading::Random;
    let finite = |value: f64| if chance { f64::NAN } else { value };
    ReadingRow {
        variant: variant.clone(),
        reading,
        takeover,
        gain: finite(gain.estimate),
        low: finite(gain.low),
        high: finite(gain.high),
        seeds: if chance { String::new() } else { seeds.join(" ") },
        p,
        corrected_p: corrected,
        verdict: AgainstChance::new(corrected, &gain, &own.gain.seeds, MARGIN),
        gain_without: own.gain_without.estimate,
        low_without: own.gain_without.low,
        high_without: own.gain_without.high,
        gain_at_half: finite(gain_at_half),
        gain_at_three_quarters: finite(gain_at_three_quarters),
        lost_at_half: accuracy - half,
        accuracy,
        data: runs[0].manifest.data.kind().into(),
    }
}

/// What leaving out shut rows changes: means over the seeds of a training, for each share.
pub(super) fn shut_rows(training: &Training) -> Vec<ShutRows> {
    let tables = &training.tables;
    let shares = tables[0].shut.iter().enumerate();
    let of_share = |(i, first): (usize, &ShutRows)| {
        let each = || tables.iter().filter_map(|table| table.shut.get(i));
        let total = |of: fn(&ShutRows) -> usize| each().map(of).sum::<usize>();
        let average = |of: fn(&ShutRows) -> f64| mean(&each().map(of).collect::<Vec<_>>());
        ShutRows {
            share: first.share,
            gone: total(|row| row.gone),
            rows: total(|row| row.rows),
            correct: total(|row| row.correct),
            images: total(|row| row.images),
            foretold_change: average(|row| row.foretold_change),
            mean_change: average(|row| row.mean_change),
            greatest_change: each().map(|row| row.greatest_change).fold(0., f64::max),
            flipped: total(|row| row.flipped),
        }
    };
    shares.map(of_share).collect()
}
