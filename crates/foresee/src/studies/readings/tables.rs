//! What the orders of all readings are made from: files of the run, and one pass over its training
//! images.

use candle_core::{Device, Tensor};
use foresee_analysis::{ChannelCorrelation as Streamed, Matrix};
use foresee_celeba::{Batch, CelebA, Preprocessing};
use foresee_model::{Network, RowStatistics};
use foresee_perturb::ReadingTables;
use foresee_stats::correlation_of_covariance;

use crate::artifacts::{Channel, ChannelStatisticsFile, MeanContributions};
use crate::error::{Result, input};
use crate::progress::{Progress, Unit, counted};
use crate::run::Run;

/// Faces on their way to a network.
pub(super) struct Images<'a> {
    pub data: &'a CelebA,
    pub preprocessing: Preprocessing,
    pub device: &'a Device,
    pub batch: usize,
}

impl Images<'_> {
    /// Batches of faces and their labels, on the device, with a progress bar.
    pub fn batches<'p>(
        &self,
        faces: &[usize],
        progress: &'p Progress,
        message: impl Fn() -> String + 'p,
    ) -> impl Iterator<Item = Result<(Tensor, Tensor)>> {
        let size =
            |batch: &foresee_celeba::Result<Batch>| batch.as_ref().map_or(0, |b| b.faces.len());
        let batches = self.data.batches_in_order(faces, &self.preprocessing, self.batch);
        counted(batches, progress, size, message).map(|batch| {
            let batch = batch?;
            Ok((batch.images.to_device(self.device)?, batch.labels.to_device(self.device)?))
        })
    }
}

/// The norms and correlations of a run's channels, and what each row of its heads contributes.
pub(super) fn collect(
    run: &Run,
    network: &Network,
    images: &Images,
    train: &[usize],
) -> Result<(ReadingTables, RowStatistics)> {
    let statistics = ChannelStatisticsFile::read(run.folder())?;
    let channels: Vec<Channel> = run.read()?;
    let mut rows = RowStatistics::new(network)?;
    let mut pooled = Streamed::new(channels.len());
    let progress = Progress::new("channels", Unit::Images, train.len(), 0);
    for batch in images.batches(train, &progress, String::new) {
        let z = network.extractor().forward(&batch?.0)?;
        pooled.add(&z.mean_keepdim((2, 3))?)?;
        rows.add(&network.heads().pool(&z)?.features)?;
    }
    let positions = correlation_of_covariance(&Matrix::from_rows(&statistics.covariance))
        .ok_or_else(|| input("the covariance of the features is not finite"))?;
    let contributions = run.read::<MeanContributions>()?.matrix();
    let mean = |c: usize| {
        let of = |k: usize| contributions.get(k, c);
        (0..contributions.rows()).map(of).sum::<f64>() / contributions.rows() as f64
    };
    let tables = ReadingTables {
        norms: [
            channels.iter().map(|c| c.filter_l1).collect(),
            channels.iter().map(|c| c.readout_l1).collect(),
            (0..contributions.columns()).map(mean).collect(),
        ],
        correlations: [
            positions.to_rows(),
            pooled.finish()?.to_rows(),
            statistics.contribution_correlation()?,
        ],
    };
    Ok((tables, rows))
}
