//! Deletion, insertion and the pointing game for each method on each face.

use anyhow::Context;
use candle_core::Tensor;
use foresee_attribution::{Explainer, Method, Pointing, ScoredImages, Scores};
use foresee_celeba::ATTRIBUTES;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::artifacts::AttributionScore;
use crate::error::Result;
use crate::progress::{Progress, Unit};
use crate::ranks::World;
use crate::run::Outputs;
use crate::stages::shared::{Sent, SharedItems};

/// Faces that are explained together.
const BATCH: usize = 8;

/// Faces on which methods are scored.
pub(super) struct Scoring<'a> {
    subject: &'a Subject<'a>,
    explainer: &'a Explainer,
    methods: &'a [Method],
    /// An attribute and faces that have it, as many as are explained together.
    batches: Vec<(usize, Vec<usize>)>,
}

/// A batch of faces that have an attribute.
struct Shown<'a, F> {
    x: Tensor,
    scored: ScoredImages<'a, F>,
    attribute: usize,
    faces: &'a [usize],
    /// Where the attribute is, [B, H, W]; known of drawn faces only.
    regions: Option<Tensor>,
}

/// How good a method's map of a face is.
#[derive(Serialize, Deserialize)]
pub(super) struct OfFace {
    scores: Scores,
    local_r2: f64,
    completeness_gap: f64,
}

impl<'a> Scoring<'a> {
    /// On faces that have the attributes, as many as the settings say.
    pub fn new(
        subject: &'a Subject<'a>,
        explainer: &'a Explainer,
        attributes: &[usize],
        methods: &'a [Method],
    ) -> Self {
        // Of a rare attribute there may be fewer faces than the settings ask for.
        let of_attribute = |&attribute: &usize| {
            let faces = subject.faces_with(attribute);
            faces.chunks(BATCH).map(|faces| (attribute, faces.to_vec())).collect::<Vec<_>>()
        };
        let batches = attributes.iter().flat_map(of_attribute).collect();
        Self { subject, explainer, methods, batches }
    }

    /// Writes the scores of all batches, which ranks have computed.
    pub fn write(&self, outputs: &mut Outputs, sent: Sent<Self>, ranks: &World) -> Result<()> {
        let mut rows = vec![];
        for ((attribute, faces), by_method) in self.by_item(sent, ranks)? {
            for (&method, by_face) in self.methods.iter().zip(by_method) {
                let name = |&face| self.subject.data.name(face);
                let each = faces.iter().map(name).zip(&by_face);
                rows.extend(each.map(|(image, of)| row(method, *attribute, image, of)));
            }
        }
        if rows.is_empty() {
            tracing::warn!(
                "attribute: no test face has one of measure.attributes, so nothing is scored"
            );
            return Ok(());
        }
        outputs.write(&rows)
    }

    /// The scores of each method on each face of a batch.
    fn of_batch(&self, attribute: usize, faces: &[usize]) -> Result<Vec<Vec<OfFace>>> {
        let subject = self.subject;
        let images = &subject.trained.preprocessing;
        let mut batches = subject.data.batches_in_order(faces, images, BATCH);
        let batch = batches.next().context("faces make a batch")??;
        let x = batch.images.to_device(&subject.session.device)?;
        let target = subject.model.target(attribute);
        let shown = Shown {
            scored: ScoredImages::new(&target, &x)?,
            x,
            attribute,
            faces,
            regions: regions(subject, faces, attribute)?,
        };
        // A method uses few cores.
        let methods = self.methods.par_iter();
        let each = methods.map(|&method| scored(subject, self.explainer, &shown, method));
        each.collect()
    }
}

/// A batch comes to the scores of each method on each face.
impl SharedItems for Scoring<'_> {
    type Item = (usize, Vec<usize>);
    type Found = Vec<Vec<OfFace>>;

    fn items(&self) -> &[Self::Item] {
        &self.batches
    }

    fn compute(&self, batches: &[Self::Item]) -> Result<Vec<Self::Found>> {
        let pairs: usize = batches.iter().map(|(_, faces)| faces.len()).sum();
        let progress = Progress::new("attributing", Unit::Pairs, pairs, 0);
        let mut all = vec![];
        for (attribute, faces) in batches {
            all.push(self.of_batch(*attribute, faces)?);
            progress.add(faces.len(), || ATTRIBUTES[*attribute].into());
        }
        Ok(all)
    }
}

fn row(method: Method, attribute: usize, image: &str, of: &OfFace) -> AttributionScore {
    let OfFace { scores, local_r2, completeness_gap } = *of;
    let pointing = |value: fn(&Pointing) -> f64| scores.pointing.as_ref().map_or(f64::NAN, value);
    AttributionScore {
        method,
        attribute: ATTRIBUTES[attribute].into(),
        image: image.into(),
        deletion: scores.deletion,
        insertion: scores.insertion,
        pointing_hit: pointing(|p| p.hit),
        pointing_energy: pointing(|p| p.energy),
        region_area: pointing(|p| p.area),
        local_r2,
        completeness_gap,
    }
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
) -> Result<Vec<OfFace>> {
    let Shown { x, scored, attribute, faces, regions } = shown;
    let explained = explainer.explain(method, &subject.model, x, faces, *attribute)?;
    let steps = subject.settings().steps;
    let scores = scored.score(&explained.maps, regions.as_ref(), steps)?;
    let of_face = |(face, scores)| OfFace {
        scores,
        local_r2: explained.local_r2[face],
        completeness_gap: explained.completeness_gap[face],
    };
    Ok(scores.into_iter().enumerate().map(of_face).collect())
}
