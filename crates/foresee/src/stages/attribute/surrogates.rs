//! Sparse linear models and trees of each attribute's mean masks, if the network has masks, and of
//! the features' means, that say its logit.

use candle_core::{DType, Device, Tensor};
use foresee_attribution::{AttributeSurrogate, MIN_SURROGATE_ROWS, attribute_surrogates};
use foresee_celeba::ATTRIBUTES;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::subject::Subject;
use crate::artifacts::SurrogateRow;
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::ranks::World;
use crate::stages::shared::{Sent, SharedItems};

/// Faces at once through the network.
const BATCH: usize = 16;

/// Faces whose logits surrogates are to say.
pub(super) struct Surrogates<'a> {
    subject: &'a Subject<'a>,
    attributes: &'a [usize],
    asked: Asked,
    /// Batches of faces.
    batches: Vec<Vec<usize>>,
}

impl<'a> Surrogates<'a> {
    /// If the settings ask for surrogates, and there are faces enough.
    pub fn new(subject: &'a Subject<'a>, attributes: &'a [usize]) -> Result<Option<Self>> {
        let images = subject.settings().surrogate_images;
        if images == 0 {
            return Ok(None);
        }
        if subject.run.manifest.data.test < MIN_SURROGATE_ROWS {
            tracing::info!(
                "attribute: surrogates are left out: they need {MIN_SURROGATE_ROWS} test faces"
            );
            return Ok(None);
        }
        let test = faces::first(subject.test.clone(), images);
        let batches = test.chunks(BATCH).map(<[usize]>::to_vec).collect();
        let asked = Asked::new(&subject.trained.network, attributes)?;
        Ok(Some(Self { subject, attributes, asked, batches }))
    }

    /// The surrogates, fitted to what all ranks computed.
    pub fn rows(&self, sent: Sent<Self>, ranks: &World) -> Result<Vec<SurrogateRow>> {
        let config = self.subject.trained.network.config();
        let (attributes, channels) = (self.attributes.len(), config.channels);
        let found: Vec<_> = self.by_item(sent, ranks)?.into_iter().map(|(_, of)| of).collect();
        let n = self.batches.iter().map(Vec::len).sum::<usize>();
        let table = |numbers: fn(&OfBatch) -> &[f64], shape: &[usize]| {
            Tensor::from_vec(found.iter().flat_map(numbers).copied().collect(), shape, &Device::Cpu)
        };
        let logits = table(|of| &of.logits, &[n, attributes])?;
        let means = table(|of| &of.means, &[n, channels])?;
        let masks = config
            .attention
            .then(|| table(|of| &of.mask_means, &[n, attributes, channels]))
            .transpose()?;
        let (columns, seed) = (self.asked.columns(), self.subject.seed);
        let found = attribute_surrogates(masks.as_ref(), &means, &logits, &columns, seed)?;
        let row = |found| surrogate_row(self.attributes, found);
        Ok(found.iter().map(row).collect())
    }
}

/// What the network answers on a batch of B faces.
#[derive(Serialize, Deserialize)]
pub(super) struct OfBatch {
    /// [B, K].
    logits: Vec<f64>,
    /// Means of channels, [B, C].
    means: Vec<f64>,
    /// Mean masks, [B, K, C]; empty if the network has none.
    mask_means: Vec<f64>,
}

impl SharedItems for Surrogates<'_> {
    type Item = Vec<usize>;
    type Found = OfBatch;

    fn items(&self) -> &[Vec<usize>] {
        &self.batches
    }

    fn compute(&self, batches: &[Vec<usize>]) -> Result<Vec<OfBatch>> {
        let Subject { session, trained, data, .. } = self.subject;
        let faces = batches.concat();
        let progress = Progress::new("asking for surrogates", Unit::Images, faces.len(), 0);
        let mut all = vec![];
        for batch in data.batches_in_order(&faces, &trained.preprocessing, BATCH) {
            let batch = batch?;
            let images = batch.images.to_device(&session.device)?;
            let z = trained.network.extractor().forward(&images)?;
            let output = self.asked.output_of_features(&z)?;
            let mask_means = match trained.network.config().attention {
                true => numbers(&output.mask_means)?,
                false => vec![],
            };
            let (logits, means) = (numbers(&output.logits)?, numbers(&z.mean((2, 3))?)?);
            all.push(OfBatch { logits, means, mask_means });
            progress.add(batch.faces.len(), String::new);
        }
        Ok(all)
    }
}

fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.detach().to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// The attribute's number is that of the whole network; the surrogate's own is its column's.
fn surrogate_row(attributes: &[usize], found: &AttributeSurrogate) -> SurrogateRow {
    let surrogate = &found.surrogate;
    SurrogateRow {
        attribute: ATTRIBUTES[attributes[found.attribute]].into(),
        inputs: found.inputs,
        surrogate: found.kind,
        r2_fitted: surrogate.fitted.r2,
        r2_held_out: surrogate.held_out.r2,
        agreement_held_out: surrogate.held_out.agreement,
        faces_fitted: surrogate.fitted.rows as f64,
        faces_held_out: surrogate.held_out.rows as f64,
        model: surrogate.model.to_string(),
    }
}
