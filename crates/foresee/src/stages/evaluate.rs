//! The answers of a model file to faces of a folder, which ranks share. It is no stage of a run.

use candle_core::Device;
use foresee_celeba::{CelebA, Preprocessing, SplitRule};
use foresee_model::{ModelCard, Network, Predictions};

use super::jobs::{Job, Question};
use super::shared;
use super::train::{Asked, Classifier};
use crate::device::DeviceKind;
use crate::error::{Result, input};
use crate::faces;
use crate::hash::file_sha256;
use crate::ranks;
use crate::run::DataRecord;
use crate::seen::Seen;
use crate::session::{load_model, preprocessing};

/// A model and its faces, opened.
pub(crate) struct Evaluation {
    pub card: ModelCard,
    pub data: CelebA,
    pub record: DataRecord,
    pub faces: Vec<usize>,
    pub seen: Seen,
    network: Network,
    images: Preprocessing,
    device: Device,
}

impl Evaluation {
    pub fn open(question: &Question, device: Device) -> Result<Self> {
        let Question { model, celeba, split } = question;
        let (network, card) = load_model(model, &device)?;
        let (data, record) = faces::open(celeba, SplitRule::Official, None, &[])?;
        let faces = data.split(*split)?;
        let (images, seen) = (preprocessing(&card), Seen::of(&card, &data, *split));
        Ok(Self { card, data, record, faces, seen, network, images, device })
    }

    /// The answers of all ranks, which other ranks are told to give.
    pub fn answers(&self, question: &Question) -> Result<Predictions> {
        let ranks = ranks::of(&self.device);
        let job = || {
            let [model, celeba] = [&question.model, &question.celeba].map(std::path::absolute);
            let sha256 = [file_sha256(&question.model)?, self.record.sha256.clone()];
            let question = Question { model: model?, celeba: celeba?, split: question.split };
            Ok(Job::Answer { question, sha256, device: DeviceKind::of(&self.device) })
        };
        let asked = self.asked();
        let own = || asked.own_logits(Some("evaluating"), &*self.network.answers(), &ranks);
        asked.predictions(&shared::job(&ranks, job, own)?, &ranks)
    }

    fn asked(&self) -> Asked<'_> {
        Asked { data: &self.data, faces: &self.faces, images: &self.images, device: &self.device }
    }
}

/// Another rank's answers, where its files have these hashes.
pub(super) fn share(
    question: &Question,
    sha256: &[String; 2],
    device: &DeviceKind,
) -> Result<Vec<f64>> {
    let evaluation = Evaluation::open(question, device.open()?)?;
    let own = [file_sha256(&question.model)?, evaluation.record.sha256.clone()];
    if own != *sha256 {
        return Err(input(format!(
            "{} or the faces in {} are not those that rank 0 sees",
            question.model.display(),
            question.celeba.display()
        )));
    }
    let answers = evaluation.network.answers();
    evaluation.asked().own_logits(None, &*answers, &ranks::world())
}
