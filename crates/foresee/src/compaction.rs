//! A trained network without the rows of its heads that hardly matter: which go, and what that
//! changes on other faces.

use candle_core::{Device, Tensor};
use foresee_celeba::{Batch, CelebA, Split};
use foresee_model::{
    LeftOut, MeasuredChange, Metrics, ModelCard, Network, Predictions, RowStatistics, Selection,
};

use crate::error::{Result, input};
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::session::{check_finite, preprocessing};

/// Images of one batch.
const BATCH: usize = 16;
/// From fewer faces than this a deviation is hardly known.
const FEW_FACES: usize = 100;

/// Faces to choose rows on, and others to measure the change on.
pub(crate) struct Samples {
    pub data: CelebA,
    /// Training faces, to choose on.
    pub train: Vec<usize>,
    /// Where the others are from.
    pub split: Split,
    pub judged: Vec<usize>,
}

impl Samples {
    /// The first `images` training faces, and the first `limit` validation faces, or test faces if
    /// there are no validation faces; 0 means all.
    pub fn new(data: CelebA, images: usize, limit: usize) -> Result<Self> {
        let train = faces::first(data.split(Split::Train)?, images);
        if train.len() < 2 {
            return Err(input(format!(
                "rows are chosen by how much their contributions vary from face to face, which one \
                 training face does not tell; take {FEW_FACES} or more (--images)"
            )));
        }
        // The paper's split has no validation faces.
        let (split, judged) = match data.split(Split::Val) {
            Ok(faces) => (Split::Val, faces),
            Err(_) => (Split::Test, data.split(Split::Test)?),
        };
        let judged = faces::first(judged, limit);
        Ok(Self { data, train, split, judged })
    }

    /// All of them.
    pub fn all(&self) -> Vec<usize> {
        [self.train.as_slice(), &self.judged].concat()
    }
}

/// A compacted network, and what compacting changed.
pub(crate) struct Compaction {
    pub network: Network,
    /// Its card.
    pub card: ModelCard,
    pub left_out: LeftOut,
    pub measured: MeasuredChange,
    /// The tolerance of the network that was compacted, if it was before.
    pub earlier_tolerance: Option<f64>,
    /// Which rows were chosen to stay, and what makes up for the others.
    pub selection: Selection,
    /// Before and after, on the faces that the change was measured on.
    pub metrics: [Metrics; 2],
}

impl Compaction {
    /// Compacts a network that [`check`] lets pass.
    pub fn new(
        network: &Network,
        card: &ModelCard,
        tolerance: f64,
        samples: &Samples,
        device: &Device,
    ) -> Result<Self> {
        let chosen_on = samples.train.len();
        if chosen_on < FEW_FACES {
            tracing::warn!(
                "rows are chosen on {chosen_on} faces only, which hardly tell how much they vary \
                 on others"
            );
        }
        let stream = Stream { samples, card, device };
        let earlier_tolerance = card.left_out.as_ref().map(|left_out| left_out.tolerance);
        // What was left out before has spent its part.
        let rest = tolerance - earlier_tolerance.unwrap_or(0.);
        let selection = stream.row_statistics(network)?.select(rest)?;
        let compacted = network.compact(&selection)?;
        let [before, after] = stream.predict_both(network, &compacted)?;
        let measured = before.change(&after, samples.split.id())?;
        let mut left_out = LeftOut::new(compacted.heads().rows(), tolerance, chosen_on);
        left_out.measured = Some(measured.clone());
        Ok(Self {
            network: compacted,
            card: ModelCard { left_out: Some(left_out.clone()), ..card.clone() },
            left_out,
            measured,
            earlier_tolerance,
            selection,
            metrics: [before.metrics()?, after.metrics()?],
        })
    }

    /// Attributes that keep no row: their answer is the same for every face.
    pub fn constant_attributes(&self) -> Vec<&str> {
        let each = self.card.attributes.iter().zip(&self.left_out.kept);
        each.filter(|(_, kept)| kept.is_empty()).map(|(name, _)| name.as_str()).collect()
    }
}

/// Why a network cannot be compacted at a tolerance, if it cannot.
pub(crate) fn check(card: &ModelCard, tolerance: f64) -> std::result::Result<(), String> {
    if !card.network.attention {
        return Err("has no masks (model.attention = false), so it has no rows to leave out".into());
    }
    match &card.left_out {
        Some(earlier) if tolerance < earlier.tolerance => Err(format!(
            "is compacted already, at tolerance {}, and {tolerance} would promise less change than \
             that; compact the original, or give {} or more",
            earlier.tolerance, earlier.tolerance
        )),
        _ => Ok(()),
    }
}

/// Faces on their way through a network.
struct Stream<'a> {
    samples: &'a Samples,
    card: &'a ModelCard,
    device: &'a Device,
}

impl Stream<'_> {
    /// What each row contributes to its logit on the training faces.
    fn row_statistics(&self, network: &Network) -> Result<RowStatistics> {
        let network = network.frozen();
        let mut statistics = RowStatistics::new(&network)?;
        self.each("choosing rows", &network, &self.samples.train, |batch, z| {
            let pooled = network.heads().pool(z)?;
            let logits = network.heads().read_out(&pooled.features)?;
            check_finite(&logits, &self.samples.data, batch)?;
            Ok(statistics.add(&pooled.features)?)
        })?;
        Ok(statistics)
    }

    /// Logits of the other faces before and after a change of the heads. Both networks have the
    /// same extractor, which sees each face once.
    fn predict_both(&self, before: &Network, after: &Network) -> Result<[Predictions; 2]> {
        let networks = [before.frozen(), after.frozen()];
        let mut predictions = [Predictions::default(), Predictions::default()];
        self.each("measuring the change", &networks[0], &self.samples.judged, |batch, z| {
            for (network, predictions) in networks.iter().zip(&mut predictions) {
                let logits = network.forward_features(z)?.logits;
                check_finite(&logits, &self.samples.data, batch)?;
                predictions.add(&logits, &batch.labels)?;
            }
            Ok(())
        })?;
        Ok(predictions)
    }

    /// Passes each batch of faces on with its features z [B, C, H, W].
    fn each(
        &self,
        title: &str,
        network: &Network,
        faces: &[usize],
        mut work: impl FnMut(&Batch, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let progress = Progress::new(title, Unit::Images, faces.len(), 0);
        let images = preprocessing(self.card);
        for batch in self.samples.data.batches_in_order(faces, &images, BATCH) {
            let batch = batch?;
            let z = network.extractor().forward(&batch.images.to_device(self.device)?)?;
            work(&batch, &z)?;
            progress.add(batch.faces.len(), String::new);
        }
        Ok(())
    }
}
