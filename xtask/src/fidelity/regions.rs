//! Do the masks look where the attribute is? On drawn faces one knows where that is.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_analysis::{Interval, Matrix, Verdict, concentration, crossed_interval, top_channels};
use foresee_celeba::synthetic::Generator;
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_model::Network;
use foresee_report::frame;

use super::claims::{Claim, LEVEL, RESAMPLES};
use crate::progress::Progress;
use crate::run::Run;
use crate::{faces, train};

/// Faces with the attribute on which its masks are looked at.
const FACES: usize = 20;
/// Faces in a batch: the masks of one attribute on all of them are in memory at once.
const BATCH: usize = 16;
/// Channels of an attribute, as in Figure 4.
const TOP: usize = 3;
/// Attributes that are seen nearly everywhere, such as blur, have no place to look at.
const LARGEST: f64 = 0.8;
/// Share of the attributes that must be focused for the claim to hold.
const MOST: f64 = 0.9;
/// A concentration below this is none that anyone would care for.
const LEAST: f64 = 1.1;

/// One attribute of one seed: how many times as much of its masks' mass lies in its region as would
/// if it were spread evenly, and the same for the masks of the other attributes in that region.
pub struct Focus {
    pub attribute: &'static str,
    pub faces: usize,
    pub area: f64,
    pub own: f64,
    pub others: f64,
}

/// Focus of each attribute that test faces show.
pub fn focus(run: &Run) -> Result<Vec<Focus>> {
    let data =
        faces::reopen(&run.manifest.data, &run.folder, run.manifest.config.data.split.into())?;
    let (network, card) = train::load(&run.folder, &Device::Cpu)?;
    let generator = Generator::new(run.manifest.seed);
    let test = data.split(Split::Test)?;
    let shown: Vec<Vec<usize>> = (0..ATTRIBUTES.len())
        .map(|k| {
            test.iter().copied().filter(|&face| data.labels(face).has(k)).take(FACES).collect()
        })
        .collect();
    let mut wanted = shown.concat();
    wanted.sort_unstable();
    wanted.dedup();
    let importance = Matrix::from_rows(&frame::rows(&run.read_csv("data/mean_masks.csv")?, 1)?);
    let maps = maps(&network, &data, &wanted, &faces::preprocessing(&card), &importance)?;
    let mut out = vec![];
    for (k, shown) in shown.iter().enumerate() {
        let (mut areas, mut own, mut others) = (vec![], vec![], vec![]);
        for &face in shown {
            let region = faces::shrink(
                &generator.region(face as u64, data.labels(face), k),
                faces::preprocessing(&card).crop,
                card.image_size,
            );
            let at: Vec<Option<f64>> =
                maps[&face].iter().map(|map| concentration(map, &region)).collect();
            let Some(value) = at[k] else { continue };
            areas.push(region.iter().sum::<f64>() / region.len() as f64);
            own.push(value);
            others.push(mean(
                &at.iter()
                    .enumerate()
                    .filter(|(other, _)| *other != k)
                    .filter_map(|(_, v)| *v)
                    .collect::<Vec<_>>(),
            ));
        }
        if !own.is_empty() {
            out.push(Focus {
                attribute: ATTRIBUTES[k],
                faces: own.len(),
                area: mean(&areas),
                own: mean(&own),
                others: mean(&others),
            });
        }
    }
    Ok(out)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// For each face and attribute the mean of its top channels' masks, each of mass 1: `[K][H·W]`.
fn maps(
    network: &Network,
    data: &CelebA,
    faces: &[usize],
    images: &foresee_celeba::Preprocessing,
    importance: &Matrix,
) -> Result<BTreeMap<usize, Vec<Vec<f64>>>> {
    let mut progress = Progress::new("looking where masks are", faces.len(), 0);
    let mut maps = BTreeMap::new();
    for batch in faces::in_order(data, faces, images, BATCH) {
        let batch = batch?;
        let z = network.extractor().forward(&batch.images)?;
        for k in 0..ATTRIBUTES.len() {
            let masks = network.heads().masks(&z, &[k])?.squeeze(1)?;
            for (i, &face) in batch.faces.iter().enumerate() {
                maps.entry(face)
                    .or_insert_with(Vec::new)
                    .push(mean_map(&masks.get(i)?, &top_channels(importance, k, TOP))?);
            }
        }
        progress.add(batch.faces.len(), String::new);
    }
    Ok(maps)
}

/// The mean of some channels of masks [C, H, W], each divided by its sum.
fn mean_map(masks: &Tensor, channels: &[usize]) -> Result<Vec<f64>> {
    let mut map = vec![];
    for &channel in channels {
        let mask: Vec<f32> = masks.get(channel)?.flatten_all()?.to_vec1()?;
        let mass: f64 = mask.iter().map(|&m| f64::from(m)).sum();
        map.resize(mask.len(), 0.);
        if mass > 0. {
            map.iter_mut()
                .zip(mask)
                .for_each(|(sum, m)| *sum += f64::from(m) / mass / channels.len() as f64);
        }
    }
    Ok(map)
}

/// What the masks' mass in an attribute's region is compared with.
type Against = (&'static str, &'static str, fn(&Focus) -> f64);

const EVENLY: Against = (
    "masks of the top channels lie where the attribute is (drawn faces)",
    "masks' mass in the attribute's region over the region's area, geometric mean over attributes and seeds",
    |focus| focus.own,
);
const OTHERS: Against = (
    "masks of the top channels lie where the attribute is more than other attributes' masks do (drawn faces)",
    "masks' mass in the attribute's region over that of the other attributes' masks, geometric mean over attributes and seeds",
    |focus| focus.own / focus.others,
);

/// The claims about real faces, of which nobody knows where an attribute is.
pub fn not_testable() -> [Claim; 2] {
    [EVENLY, OTHERS].map(|(text, _, _)| {
        Claim::not_testable(text, "the regions of attributes are known on drawn faces only")
    })
}

/// Points that a network must be above the majority for its masks to be asked where they look.
const LEARNED: f64 = 3.;

/// The claims over all seeds of a variant on drawn faces, whose networks are so many points above
/// the majority.
pub fn claims(seeds: &[Vec<Focus>], learned: f64) -> Vec<Claim> {
    if learned < LEARNED {
        let why = format!(
            "the networks are {learned:.1} points above the majority only: {LEARNED} are asked for"
        );
        return [EVENLY, OTHERS].map(|(text, _, _)| Claim::not_testable(text, &why)).into();
    }
    [EVENLY, OTHERS]
        .map(|against| {
            claim(seeds, against)
                .unwrap_or_else(|e| Claim::not_testable(against.0, &format!("{e:#}")))
        })
        .into()
}

/// The interval is over attributes and seeds.
fn claim(seeds: &[Vec<Focus>], (text, statistic, value): Against) -> Result<Claim> {
    let of = |seed: &[Focus], name: &str| {
        seed.iter()
            .find(|f| f.attribute == name && f.area < LARGEST)
            .map(|f| value(f).max(1e-6).ln())
    };
    let names: Vec<&str> = ATTRIBUTES
        .into_iter()
        .filter(|name| seeds.iter().all(|seed| of(seed, name).is_some()))
        .collect();
    // [seed][attribute]
    let logs: Vec<Vec<f64>> =
        seeds.iter().map(|seed| names.iter().filter_map(|name| of(seed, name)).collect()).collect();
    let log = crossed_interval([seeds.len(), names.len()], RESAMPLES, LEVEL, 0, |seeds, drawn| {
        mean(
            &seeds
                .iter()
                .map(|&s| mean(&drawn.iter().map(|&a| logs[s][a]).collect::<Vec<_>>()))
                .collect::<Vec<_>>(),
        )
    })?;
    let by_attribute: Vec<f64> = (0..names.len())
        .map(|a| mean(&logs.iter().map(|seed| seed[a]).collect::<Vec<_>>()))
        .collect();
    let focused = by_attribute.iter().filter(|v| **v > 0.).count();
    let verdict = match Verdict::of_gain(
        &log,
        &logs.iter().map(|seed| mean(seed)).collect::<Vec<_>>(),
        LEAST.ln(),
    ) {
        Verdict::Holds if (focused as f64) < MOST * names.len() as f64 => Verdict::InPart,
        verdict => verdict,
    };
    let mut ordered: Vec<(&str, f64)> =
        names.iter().copied().zip(by_attribute.iter().map(|v| v.exp())).collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1));
    let show = |list: &[(&str, f64)]| {
        list.iter().map(|(name, v)| format!("{name} {v:.1}")).collect::<Vec<_>>().join(", ")
    };
    let why = format!(
        "{focused} of {} attributes above 1; most: {}; least: {}",
        names.len(),
        show(&ordered[..ordered.len().min(4)]),
        show(&ordered[ordered.len().saturating_sub(4)..])
    );
    let interval =
        Interval { estimate: log.estimate.exp(), low: log.low.exp(), high: log.high.exp() };
    Ok(Claim::new(
        text,
        statistic,
        interval,
        logs.iter().map(|seed| mean(seed).exp()).collect(),
        verdict,
        why,
    ))
}
