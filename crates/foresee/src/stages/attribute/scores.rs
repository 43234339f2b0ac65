//! Deletion, insertion and the pointing game for each method on each face.

use candle_core::Tensor;
use foresee_attribution::{Explainer, Method, Pointing, ScoredImages};
use foresee_celeba::ATTRIBUTES;
use rayon::prelude::*;

use super::subject::Subject;
use crate::artifacts::AttributionScore;
use crate::error::Result;
use crate::progress::{Progress, Unit};
use crate::run::Outputs;

/// Faces that are explained together.
const BATCH: usize = 8;

/// A batch of faces that have an attribute.
struct Shown<'a, F> {
    x: Tensor,
    scored: ScoredImages<'a, F>,
    attribute: usize,
    faces: &'a [usize],
    /// Where the attribute is, [B, H, W]; known of drawn faces only.
    regions: Option<Tensor>,
}

pub(super) fn write(
    outputs: &mut Outputs,
    subject: &Subject,
    explainer: &Explainer,
    methods: &[Method],
) -> Result<()> {
    let attributes = subject.run.manifest.config.measure.attribute_indices()?;
    // Of a rare attribute there may be fewer faces than the settings ask for.
    let shown: Vec<(usize, Vec<usize>)> =
        attributes.into_iter().map(|k| (k, subject.faces_with(k))).collect();
    let pairs: usize = shown.iter().map(|(_, faces)| faces.len()).sum();
    let progress = Progress::new("attributing", Unit::Pairs, pairs, 0);
    let mut all = vec![];
    for (attribute, with) in shown {
        for batch in subject.data.batches_in_order(&with, &subject.trained.preprocessing, BATCH) {
            let batch = batch?;
            let x = batch.images.to_device(&subject.session.device)?;
            let target = subject.model.target(attribute);
            let shown = Shown {
                scored: ScoredImages::new(&target, &x)?,
                x,
                attribute,
                faces: &batch.faces,
                regions: regions(subject, &batch.faces, attribute)?,
            };
            // A method uses few cores.
            let each = methods.par_iter().map(|&method| scored(subject, explainer, &shown, method));
            all.extend(each.collect::<Result<Vec<_>>>()?.into_iter().flatten());
            progress.add(batch.faces.len(), || ATTRIBUTES[attribute].into());
        }
    }
    if all.is_empty() {
        tracing::warn!(
            "attribute: no test face has one of measure.attributes, so nothing is scored"
        );
        return Ok(());
    }
    outputs.write(&all)
}

/// Where the faces have the attribute, [B, H, W].
fn regions(subject: &Subject, faces: &[usize], attribute: usize) -> Result<Option<Tensor>> {
    let size = subject.image_size();
    let regions: Option<Vec<Vec<f32>>> =
        faces.iter().map(|&face| subject.region(face, attribute)).collect();
    let Some(regions) = regions else { return Ok(None) };
    let all = Tensor::from_iter(regions.into_iter().flatten(), &subject.session.device)?;
    Ok(Some(all.reshape((faces.len(), size, size))?))
}

fn scored<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    subject: &Subject,
    explainer: &Explainer,
    shown: &Shown<F>,
    method: Method,
) -> Result<Vec<AttributionScore>> {
    let Shown { x, scored, attribute, faces, regions } = shown;
    let explained = explainer.explain(method, &subject.model, x, faces, *attribute)?;
    let steps = subject.settings().steps;
    let scores = scored.score(&explained.maps, regions.as_ref(), steps)?;
    let row = |(i, scores): (usize, foresee_attribution::Scores)| {
        let pointing =
            |value: fn(&Pointing) -> f64| scores.pointing.as_ref().map_or(f64::NAN, value);
        AttributionScore {
            method,
            attribute: ATTRIBUTES[*attribute].into(),
            image: subject.data.name(faces[i]).into(),
            deletion: scores.deletion,
            insertion: scores.insertion,
            pointing_hit: pointing(|p| p.hit),
            pointing_energy: pointing(|p| p.energy),
            region_area: pointing(|p| p.area),
            local_r2: explained.local_r2[i],
            completeness_gap: explained.completeness_gap[i],
        }
    };
    Ok(scores.into_iter().enumerate().map(row).collect())
}
