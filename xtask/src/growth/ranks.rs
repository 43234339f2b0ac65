//! What a step costs on several ranks: counted, and reckoned.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use foresee_model::SharedBatch;
use foresee_ranks::{Counted, on_threads};
use foresee_report::record;

use super::GrowthArgs;
use super::steps::{BASE, MICRO_BATCH};

record! {
    /// A step of the paper's network on ranks.
    pub struct Ranks {
        pub ranks: usize,
        /// That the rank which sends most sends in a step, counted for up to 8 ranks.
        pub sent_bytes: f64,
        /// The same, over the bytes of the gradients.
        pub of_gradients: f64,
        /// Meetings of all ranks in a step.
        pub meetings: usize,
        /// Reckoned for the asked-for batch, latency and bandwidth.
        pub step_seconds: f64,
        pub epoch_hours: f64,
        /// Of the speed of as many ranks that need not talk.
        pub efficiency: f64,
    }
}

/// Bytes that a rank sends in a step of so many micro-batches of one small image, at most, and the
/// meetings of all ranks. Neither depends on the images.
fn traffic(ranks: usize, micro_batches: usize) -> Result<(usize, usize)> {
    let each = on_threads(ranks, |ranks| -> Result<(usize, usize)> {
        let counted = Counted::new(ranks);
        let mut trainer = BASE.trainer()?;
        let batch = SharedBatch::new(&counted, micro_batches, 1);
        let own = batch.images().len();
        let images = Tensor::zeros((own, 3, 8, 8), DType::F32, &Device::Cpu)?;
        let labels = Tensor::zeros((own, BASE.attributes), DType::F32, &Device::Cpu)?;
        trainer.step_of_ranks(&images, &labels, &batch)?;
        Ok((counted.sent(), counted.meetings()))
    });
    Ok(each.into_iter().collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or_default())
}

/// Ranks on the network that is asked about. `micro_batch` is the time of a step of 8 images.
pub fn reckon(args: &GrowthArgs, micro_batch: f64) -> Result<Vec<Ranks>> {
    let gradients = (4 * BASE.trainer()?.network().parameters()) as f64;
    let micro_batches = args.batch.div_ceil(MICRO_BATCH);
    let steps = (args.faces / args.batch).max(1) as f64;
    let row = |ranks: usize| -> Result<Ranks> {
        let measured = traffic(ranks.min(8), micro_batches)?;
        let of_all = |n: usize| (n - 1) as f64 / n as f64;
        let grows = if ranks <= 8 { 1. } else { of_all(ranks) / of_all(8) };
        let sent_bytes = measured.0 as f64 * grows;
        let hops = (ranks as f64).log2().ceil();
        let talk = measured.1 as f64 * hops * args.latency * 1e-6
            + 8. * sent_bytes / (args.bandwidth * 1e9);
        let work = micro_batch * micro_batches.div_ceil(ranks) as f64;
        let step_seconds = work + talk;
        Ok(Ranks {
            ranks,
            sent_bytes,
            of_gradients: sent_bytes / gradients,
            meetings: measured.1,
            step_seconds,
            epoch_hours: steps * step_seconds / 3600.,
            efficiency: micro_batch * micro_batches as f64 / (ranks as f64 * step_seconds),
        })
    };
    [1, 2, 3, 4, 8, 16, 32, 64, 128, 256].into_iter().map(row).collect()
}
