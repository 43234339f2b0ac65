//! A run of a network that a model file holds, in place of one that the stage `train` made: the
//! network, faces, and the statistics of the stage `measure`.

use std::path::Path;

use anyhow::Context;
use candle_core::Device;
use foresee_celeba::{Split, SplitRule};

use super::measure;
use crate::config::Config;
use crate::error::Result;
use crate::faces;
use crate::run::{Lock, ModelFile, Run};
use crate::seen::Seen;
use crate::session::{MODEL, Session, load_model, preprocessing};

/// Makes a run of the network of a model file in an empty folder. Its statistics are taken over the
/// first training faces of the folder `faces`, as many as the profile `quick` takes.
pub(crate) fn adopt(
    model: &Path,
    faces: &Path,
    out: &Path,
    device: Device,
) -> Result<(Run, Session)> {
    let (network, card) = load_model(model, &device)?;
    let (data, record) = faces::open(faces, SplitRule::Official, None, &[])?;
    tracing::info!("{}", record.description());
    let mut config = Config::resolve("quick", None, &[])?;
    config.model = network.config().clone();
    config.data.image_size = card.image_size;
    config.data.crop = preprocessing(&card).crop;
    let device_id = crate::device::id(&device);
    let mut run = Run::begin(Lock::take(out)?, out, config, card.seed, device_id, record)?;
    run.manifest.model_file =
        Some(ModelFile::new(model, &card, Seen::of(&card, &data, Split::Test)));
    let here = run.path(MODEL);
    std::fs::copy(model, &here).with_context(|| format!("copying to {}", here.display()))?;
    let session = Session::with_data(device, data);
    measure::stage(&mut run, &session)?;
    Ok((run, session))
}
