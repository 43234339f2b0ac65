//! Networks that are trained and answer.

use candle_core::{DType, Device, Tensor};
use foresee_baselines::Baseline;
use foresee_celeba::{ATTRIBUTES, CelebA, Preprocessing};
use foresee_model::{Network, Predictions, Trainable};
use foresee_ranks::Communicator;

use crate::error::Result;
use crate::progress::{Progress, Unit};
use crate::ranks::{self, World};
use crate::session::check_finite;
use crate::stages::shared;

/// Images of one batch.
const BATCH: usize = 32;

/// What gives the logits [B, K] of images.
pub(crate) type Answers<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;

/// A network that is trained and answers.
pub(crate) trait Classifier: Trainable {
    /// What gives its logits in evaluation mode.
    fn answers(&self) -> Box<Answers<'_>>;

    /// Parameters that are trained.
    fn trained_parameters(&self) -> usize {
        self.trainable().iter().map(|(_, var)| var.elem_count()).sum()
    }
}

impl Classifier for Network {
    fn answers(&self) -> Box<Answers<'_>> {
        let network = self.frozen();
        Box::new(move |images| Ok(network.forward(images)?.logits))
    }
}

impl Classifier for Baseline {
    fn answers(&self) -> Box<Answers<'_>> {
        Box::new(|images| Ok(self.forward(images)?.detach()))
    }
}

/// Faces that a network is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub data: &'a CelebA,
    pub faces: &'a [usize],
    pub images: &'a Preprocessing,
    pub device: &'a Device,
}

impl Asked<'_> {
    /// The logits of all faces, with their labels. `title` says what progress is of; `None`: it is
    /// not shown.
    pub fn answer(&self, title: Option<&str>, answers: &Answers) -> Result<Predictions> {
        let alone = ranks::alone();
        self.predictions(&[self.own_logits(title, answers, &alone)?], &alone)
    }

    /// The same of ranks, each of which answers a share: with rank 0, `None` at the others.
    pub fn answer_together(
        &self,
        title: Option<&str>,
        answers: &Answers,
        ranks: &World,
    ) -> Result<Option<Predictions>> {
        let parts = shared::gather(ranks, self.own_logits(title, answers, ranks))?;
        (ranks.rank() == 0).then(|| self.predictions(&parts, ranks)).transpose()
    }

    /// The logits of this rank's faces, one image behind the other.
    pub fn own_logits(
        &self,
        title: Option<&str>,
        answers: &Answers,
        ranks: &World,
    ) -> Result<Vec<f64>> {
        let own = shared::own(self.faces, BATCH, ranks);
        let progress = |title| Progress::new(title, Unit::Images, own.len(), 0);
        let progress = title.map_or_else(Progress::hidden, progress);
        let mut all = vec![];
        for batch in self.data.batches_in_order(own, self.images, BATCH) {
            let batch = batch?;
            let logits = answers(&batch.images.to_device(self.device)?)?;
            check_finite(&logits, self.data, &batch)?;
            all.extend(logits.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?);
            progress.add(batch.faces.len(), String::new);
        }
        Ok(all)
    }

    /// What the logits of ranks are together.
    pub fn predictions(&self, parts: &[Vec<f64>], ranks: &World) -> Result<Predictions> {
        let shape = (self.faces.len(), ATTRIBUTES.len());
        shared::check_faces(parts, ATTRIBUTES.len(), (self.faces, BATCH), ranks)?;
        let logits = parts.concat();
        let logits = Tensor::from_vec(logits, shape, &Device::Cpu)?.to_dtype(DType::F32)?;
        let labels = self.faces.iter().flat_map(|&face| self.data.labels(face).iter());
        let labels = labels.map(|has| f32::from(u8::from(has)));
        let labels = Tensor::from_iter(labels, &Device::Cpu)?.reshape(shape)?;
        let mut predictions = Predictions::default();
        predictions.add(&logits, &labels)?;
        Ok(predictions)
    }
}
