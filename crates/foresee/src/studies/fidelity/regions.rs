//! Where the masks of networks on drawn faces lie.

use std::collections::BTreeMap;

use anyhow::Context;
use candle_core::Device;
use foresee_analysis::{Focus, RegionFocus, mean_map, top_channels};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_stats::Matrix;

use crate::artifacts::{MaskRegion, MeanMasks};
use crate::error::Result;
use crate::progress::{Progress, Unit};
use crate::run::{Run, kind_of_faces};
use crate::session::{Session, Trained};

/// Faces with the attribute on which its masks are looked at.
const FACES: usize = 20;
/// Faces in a batch: the masks of one attribute on all of them are in memory at once.
const BATCH: usize = 16;
/// Channels of an attribute, as in Figure 4.
const TOP: usize = 3;

/// Where the masks of one run lie.
pub(crate) struct SeedFocus {
    pub seed: u64,
    /// Of each attribute that test faces show.
    pub focus: Vec<Focus>,
}

impl SeedFocus {
    /// As rows of the study's data file.
    pub fn rows(&self, variant: &str) -> Vec<MaskRegion> {
        let row = |focus: &Focus| MaskRegion {
            variant: variant.into(),
            seed: self.seed,
            attribute: ATTRIBUTES[focus.attribute].into(),
            faces: focus.images,
            area: focus.area,
            mask_mass_over_area: focus.own,
            others_mass_over_area: focus.others,
            data: kind_of_faces(true).into(),
        };
        self.focus.iter().map(row).collect()
    }
}

/// Looks where the masks of a run on drawn faces lie.
pub(crate) fn measure(run: &Run) -> Result<SeedFocus> {
    let session = Session::new(Device::Cpu);
    let data = session.data(run)?;
    let trained = session.trained(run)?;
    let seed = run.manifest.seed;
    let test = data.split(Split::Test)?;
    let shown: Vec<Vec<usize>> = (0..ATTRIBUTES.len())
        .map(|k| {
            let with = test.iter().copied().filter(|&face| data.labels(face).has(k));
            with.take(FACES).collect()
        })
        .collect();
    let mut faces = shown.concat();
    faces.sort_unstable();
    faces.dedup();
    let importance = run.read::<MeanMasks>()?.matrix();
    let maps = maps(trained, data, &faces, &importance)?;
    let generator = data.generator().context("the folder of the faces does not say their seed")?;
    let images = trained.preprocessing;
    let of_face = |k: usize, face: usize| {
        let labels = data.labels(face);
        let region =
            generator.region_shares(face as u64, labels, k, images.crop, images.image_size);
        RegionFocus::new(&maps[&face], &region, k)
    };
    let focus = shown.iter().enumerate().filter_map(|(k, faces)| {
        let each: Vec<RegionFocus> = faces.iter().filter_map(|&face| of_face(k, face)).collect();
        Focus::new(k, &each)
    });
    Ok(SeedFocus { seed, focus: focus.collect() })
}

/// For each face and attribute the mean of its top channels' masks, each of mass 1: `[K][H·W]`.
fn maps(
    trained: &Trained,
    data: &CelebA,
    faces: &[usize],
    importance: &Matrix,
) -> Result<BTreeMap<usize, Vec<Vec<f64>>>> {
    let network = &trained.network;
    let progress = Progress::new("looking where masks are", Unit::Images, faces.len(), 0);
    let mut maps = BTreeMap::new();
    for batch in data.batches_in_order(faces, &trained.preprocessing, BATCH) {
        let batch = batch?;
        let z = network.extractor().forward(&batch.images)?;
        for k in 0..ATTRIBUTES.len() {
            let channels = top_channels(importance, k, TOP);
            let masks = network.heads().masks(&z, &[k])?.squeeze(1)?;
            for (i, &face) in batch.faces.iter().enumerate() {
                let map = mean_map(&masks.get(i)?, &channels)?;
                maps.entry(face).or_insert_with(Vec::new).push(map);
            }
        }
        progress.add(batch.faces.len(), String::new);
    }
    Ok(maps)
}
