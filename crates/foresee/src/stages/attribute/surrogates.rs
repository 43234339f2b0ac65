//! Sparse linear models and trees of each attribute's mean masks, if the network has masks, and of
//! the features' means, that say its logit.

use candle_core::{DType, Device, Tensor};
use foresee_attribution::{AttributeSurrogate, MIN_SURROGATE_ROWS, attribute_surrogates};
use foresee_celeba::ATTRIBUTES;

use super::asked::Asked;
use super::subject::Subject;
use crate::artifacts::SurrogateRow;
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::ranks::World;
use crate::stages::shared::SharedItems;

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
    pub fn rows(&self, sent: &[Vec<f64>], ranks: &World) -> Result<Vec<SurrogateRow>> {
        let widths = self.widths();
        let mut columns = [const { vec![] }; 3];
        for (faces, numbers) in self.by_item(sent, ranks)? {
            let mut rest = &numbers[..];
            for (column, width) in columns.iter_mut().zip(widths) {
                let (own, others) = rest.split_at(faces.len() * width);
                column.extend_from_slice(own);
                rest = others;
            }
        }
        let n = self.batches.iter().map(Vec::len).sum::<usize>();
        let [logits, means, masks] = columns;
        let [attributes, channels, with_masks] = widths;
        let logits = Tensor::from_vec(logits, (n, attributes), &Device::Cpu)?;
        let means = Tensor::from_vec(means, (n, channels), &Device::Cpu)?;
        let masks = (with_masks > 0)
            .then(|| Tensor::from_vec(masks, (n, attributes, channels), &Device::Cpu))
            .transpose()?;
        let (columns, seed) = (self.asked.columns(), self.subject.seed);
        let found = attribute_surrogates(masks.as_ref(), &means, &logits, &columns, seed)?;
        let row = |found| surrogate_row(self.attributes, found);
        Ok(found.iter().map(row).collect())
    }

    /// Numbers of a face: logits, means of channels and mean masks, which not all networks have.
    fn widths(&self) -> [usize; 3] {
        let config = self.subject.trained.network.config();
        let (attributes, channels) = (self.attributes.len(), config.channels);
        [attributes, channels, if config.attention { attributes * channels } else { 0 }]
    }
}

/// A batch comes to the logits of its faces, then the means of their channels, then mean masks.
impl SharedItems for Surrogates<'_> {
    type Item = Vec<usize>;

    fn items(&self) -> &[Vec<usize>] {
        &self.batches
    }

    fn count(&self, faces: &Vec<usize>) -> usize {
        faces.len() * self.widths().iter().sum::<usize>()
    }

    fn compute(&self, batches: &[Vec<usize>]) -> Result<Vec<f64>> {
        let Subject { session, trained, data, .. } = self.subject;
        let faces = batches.concat();
        let progress = Progress::new("asking for surrogates", Unit::Images, faces.len(), 0);
        let mut all = vec![];
        for batch in data.batches_in_order(&faces, &trained.preprocessing, BATCH) {
            let batch = batch?;
            let images = batch.images.to_device(&session.device)?;
            let z = trained.network.extractor().forward(&images)?;
            let output = self.asked.output_of_features(&z)?;
            all.extend(numbers(&output.logits)?);
            all.extend(numbers(&z.mean((2, 3))?)?);
            if trained.network.config().attention {
                all.extend(numbers(&output.mask_means)?);
            }
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
