//! `statistics.safetensors`: what the channels of the trained network do over training images, in
//! f64.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use foresee_perturb::ChannelStatistics;
use foresee_report::frame::write_whole;

use crate::run::Run;

/// Written by the stage `measure`, read by `prune`.
pub const STATISTICS: &str = "statistics.safetensors";

pub fn write(run: &Run, statistics: &ChannelStatistics) -> Result<()> {
    let (k, c) = (statistics.readout.len(), statistics.means.len());
    let table = |rows: &[Vec<f64>]| Tensor::from_vec(rows.concat(), (rows.len(), c), &Device::Cpu);
    let tensors = BTreeMap::from([
        ("features.mean", Tensor::new(statistics.means.as_slice(), &Device::Cpu)?),
        ("features.covariance", table(&statistics.covariance)?),
        ("masks.mean", table(&statistics.mean_masks)?),
        ("pooled.mean", table(&statistics.pooled_means)?),
        ("pooled.covariance", table(&statistics.pooled_covariance.concat())?.reshape((k, c, c))?),
        ("readout", table(&statistics.readout)?),
    ]);
    Ok(write_whole(&run.path(STATISTICS), &safetensors::serialize(tensors, None)?)?)
}

pub fn read(run: &Run) -> Result<ChannelStatistics> {
    let path = run.path(STATISTICS);
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
        .with_context(|| path.display().to_string())?;
    let tensor = |name: &str| {
        tensors.get(name).with_context(|| format!("{}: there is no tensor {name}", path.display()))
    };
    let statistics = ChannelStatistics {
        means: tensor("features.mean")?.to_vec1()?,
        covariance: tensor("features.covariance")?.to_vec2()?,
        mean_masks: tensor("masks.mean")?.to_vec2()?,
        pooled_means: tensor("pooled.mean")?.to_vec2()?,
        pooled_covariance: tensor("pooled.covariance")?.to_vec3()?,
        readout: tensor("readout")?.to_vec2()?,
    };
    ensure!(statistics.check().is_ok(), "{}: its tables do not fit each other", path.display());
    Ok(statistics)
}
