//! `statistics.safetensors`: what the channels of the trained network do over training images, in
//! f64.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};
use foresee_files::write_atomic;
use foresee_perturb::ChannelStatistics;

use crate::error::Result;

const MEANS: &str = "features.mean";
const COVARIANCE: &str = "features.covariance";
const MEAN_MASKS: &str = "masks.mean";
const POOLED_MEANS: &str = "pooled.mean";
const POOLED_COVARIANCE: &str = "pooled.covariance";
const READOUT: &str = "readout";

/// The file of a run's [`ChannelStatistics`].
pub struct ChannelStatisticsFile;

impl ChannelStatisticsFile {
    /// Its place in the run's folder.
    pub const PATH: &'static str = "statistics.safetensors";

    pub(crate) fn write(run: &Path, statistics: &ChannelStatistics) -> Result<()> {
        Ok(write_atomic(&run.join(Self::PATH), &encode(statistics)?)?)
    }

    /// Reads the statistics of the run in a folder.
    ///
    /// # Errors
    /// If the file is missing, lacks a tensor, or its tensors do not fit each other.
    pub fn read(run: &Path) -> Result<ChannelStatistics> {
        let path = run.join(Self::PATH);
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .with_context(|| path.display().to_string())?;
        let tensor = |name: &str| {
            tensors
                .get(name)
                .with_context(|| format!("{}: there is no tensor {name}", path.display()))
        };
        let statistics = ChannelStatistics {
            means: tensor(MEANS)?.to_vec1()?,
            covariance: tensor(COVARIANCE)?.to_vec2()?,
            mean_masks: tensor(MEAN_MASKS)?.to_vec2()?,
            pooled_means: tensor(POOLED_MEANS)?.to_vec2()?,
            pooled_covariance: tensor(POOLED_COVARIANCE)?.to_vec3()?,
            readout: tensor(READOUT)?.to_vec2()?,
        };
        ensure!(statistics.check().is_ok(), "{}: its tables do not fit each other", path.display());
        Ok(statistics)
    }
}

fn encode(statistics: &ChannelStatistics) -> Result<Vec<u8>> {
    let k = statistics.readout.len();
    let c = statistics.means.len();
    let table = |rows: &[Vec<f64>]| Tensor::from_vec(rows.concat(), (rows.len(), c), &Device::Cpu);
    let pooled = table(&statistics.pooled_covariance.concat())?.reshape((k, c, c))?;
    let tensors = BTreeMap::from([
        (MEANS, Tensor::new(statistics.means.as_slice(), &Device::Cpu)?),
        (COVARIANCE, table(&statistics.covariance)?),
        (MEAN_MASKS, table(&statistics.mean_masks)?),
        (POOLED_MEANS, table(&statistics.pooled_means)?),
        (POOLED_COVARIANCE, pooled),
        (READOUT, table(&statistics.readout)?),
    ]);
    Ok(safetensors::serialize(tensors, None)?)
}
