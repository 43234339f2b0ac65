//! `data/attribution_scores.csv`: deletion, insertion and the pointing game for each method on each
//! face.

use anyhow::Result;
use candle_core::Tensor;
use foresee_attribution::{Pointing, blur, deletion, insertion, pointing_game};
use foresee_celeba::synthetic::Generator;
use foresee_celeba::{ATTRIBUTES, CelebA, attribute_index};
use foresee_report::frame::df;
use rayon::prelude::*;

use super::method::{Explainer, Method};
use super::network::Explained;
use super::shuffled_test_faces;
use crate::faces;
use crate::progress::Progress;
use crate::run::Run;

pub const SCORES: &str = "data/attribution_scores.csv";

/// Pixels are inserted into the face out of focus by this share of its side.
const BLUR: f64 = 1. / 6.;

/// One method on one face that has the attribute.
struct Scored {
    method: Method,
    attribute: usize,
    image: String,
    deletion: f64,
    insertion: f64,
    point: Option<Pointing>,
    /// How well LIME's linear model fits around the face.
    local_r2: f64,
}

/// A batch of faces that have attribute k.
struct Shown<'a> {
    x: Tensor,
    k: usize,
    faces: &'a [usize],
    names: Vec<&'a str>,
    /// Where the attribute is, [B, H, W]; known of drawn faces only.
    regions: Option<Tensor>,
}

/// The first test faces, in an order that the seed decides, that have attribute k.
pub fn faces_with(run: &Run, data: &CelebA, k: usize) -> Result<Vec<usize>> {
    let test = shuffled_test_faces(run, data)?;
    Ok(test
        .into_iter()
        .filter(|&face| data.labels(face).has(k))
        .take(run.manifest.config.attribute.images)
        .collect())
}

/// 1 where attribute k is on a face, pixel by pixel as the network sees it; known of drawn faces
/// only.
pub fn region(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    face: usize,
    k: usize,
) -> Option<Vec<f32>> {
    let (crop, size) = (explained.preprocessing.crop, explained.preprocessing.image_size);
    let region = || Generator::new(run.manifest.seed).region(face as u64, data.labels(face), k);
    let shares = data.is_synthetic().then(|| faces::shrink(&region(), crop, size));
    shares
        .map(|shares| shares.into_iter().map(|share| if share >= 0.5 { 1. } else { 0. }).collect())
}

pub fn write(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    explainer: &Explainer,
    methods: &[Method],
) -> Result<Vec<String>> {
    let config = &run.manifest.config;
    let size = explained.preprocessing.image_size;
    let mut progress =
        Progress::new("attributing", config.measure.attributes.len() * config.attribute.images, 0);
    let mut all = vec![];
    for name in &config.measure.attributes {
        let k = attribute_index(name)?;
        for batch in faces::in_order(data, &faces_with(run, data, k)?, &explained.preprocessing, 8)
        {
            let batch = batch?;
            let regions: Option<Vec<Vec<f32>>> =
                batch.faces.iter().map(|&face| region(run, data, explained, face, k)).collect();
            let regions = regions
                .map(|regions| Tensor::from_iter(regions.into_iter().flatten(), &explained.device));
            let shown = Shown {
                x: batch.images.to_device(&explained.device)?,
                k,
                faces: &batch.faces,
                names: batch.faces.iter().map(|&face| data.name(face)).collect(),
                regions: regions
                    .transpose()?
                    .map(|regions| regions.reshape((batch.faces.len(), size, size)))
                    .transpose()?,
            };
            // Layers use one core each.
            let each = methods.par_iter().map(|&method| {
                scored(explained, explainer, &shown, method, config.attribute.steps)
            });
            all.extend(each.collect::<Result<Vec<_>>>()?.into_iter().flatten());
            progress.add(batch.faces.len(), || name.clone());
        }
    }
    if all.is_empty() {
        tracing::warn!(
            "attribute: no test face has one of measure.attributes, so nothing is scored"
        );
        return Ok(vec![]);
    }
    let column = |value: fn(&Scored) -> f64| all.iter().map(value).collect::<Vec<_>>();
    let point = |value: fn(&Pointing) -> f64| {
        all.iter().map(|s| s.point.as_ref().map_or(f64::NAN, value)).collect::<Vec<_>>()
    };
    let table = df!(
        "method" => all.iter().map(|s| s.method.name()).collect::<Vec<_>>(),
        "attribute" => all.iter().map(|s| ATTRIBUTES[s.attribute]).collect::<Vec<_>>(),
        "image" => all.iter().map(|s| s.image.clone()).collect::<Vec<_>>(),
        "deletion" => column(|s| s.deletion),
        "insertion" => column(|s| s.insertion),
        "pointing_hit" => point(|p| p.hit),
        "pointing_energy" => point(|p| p.energy),
        "region_area" => point(|p| p.area),
        "local_r2" => column(|s| s.local_r2),
    )?;
    run.write_csv(SCORES, table)?;
    Ok(vec![SCORES.into()])
}

fn scored(
    explained: &Explained,
    explainer: &Explainer,
    shown: &Shown,
    method: Method,
    steps: usize,
) -> Result<Vec<Scored>> {
    let Shown { x, k, faces, names, regions } = shown;
    let (maps, fits) = match method {
        Method::Lime => {
            let lime = explainer.lime(&explained.layers, x, *k)?;
            (
                lime.attribution.narrow(1, 0, 1)?.squeeze(1)?,
                lime.fits.iter().map(|fit| fit.r2).collect(),
            )
        }
        _ => (
            explainer.maps(method, &explained.layers, (x, faces), *k)?,
            vec![f64::NAN; names.len()],
        ),
    };
    let target = explained.layers.target(*k);
    let blurred = blur(x, BLUR * x.dim(3)? as f64)?;
    let (out, into) = (
        deletion(&target, x, &maps, None, steps)?,
        insertion(&target, x, &maps, Some(&blurred), steps)?,
    );
    let points = match regions {
        Some(regions) => pointing_game(&maps, regions, 0.)?,
        None => vec![None; names.len()],
    };
    let row = |i: usize| Scored {
        method,
        attribute: *k,
        image: names[i].into(),
        deletion: out[i].area(),
        insertion: into[i].area(),
        point: points[i],
        local_r2: fits[i],
    };
    Ok((0..names.len()).map(row).collect())
}
