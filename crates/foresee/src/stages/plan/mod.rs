//! What a run would do and take, without doing it: nothing is written.

mod cost;
mod pace;

use std::path::Path;

use candle_core::Device;
use foresee_celeba::{CelebA, Split};

pub(crate) use self::cost::Cost;
pub(crate) use self::pace::training_pace;
use super::{all, check_drawn_by_a_run, check_faces_of_figures, check_names, has_faces, left_out};
use crate::config::Config;
use crate::device::device;
use crate::error::{Result, input};
use crate::faces::{self, FacesFolder};
use crate::run::{DataRecord, Manifest, Run};
use crate::session::Session;

/// A run, planned.
pub(crate) struct Plan {
    /// The run that [`run_all`](super::run_all) would begin or resume, with what each of its stages
    /// would do.
    pub run: Run,
    /// Whether its faces are drawn first.
    pub draws: bool,
    pub cost: Cost,
}

/// Plans what [`run_all`](super::run_all) would do with the same arguments. What refuses these is
/// refused here, too; images are not read.
///
/// # Errors
/// As of a run.
pub(crate) fn plan(
    config: Config,
    folder: Option<&FacesFolder>,
    out: &Path,
    seed: u64,
    device_name: &str,
) -> Result<Plan> {
    config.check_is_of_paper()?;
    check_folder_can_be_made(out)?;
    let device = device(device_name)?;
    check_names(folder, out)?;
    let faces = match folder {
        Some(folder) => given(folder, &config, out)?,
        None => drawn(&config, out, seed)?,
    };
    let Faces { data, record, draws } = faces;
    if let Some(data) = &data {
        // A run needs both.
        data.split(Split::Train)?;
        data.split(Split::Test)?;
        check_faces_of_figures(&config, data)?;
    }
    let mut run = Run::plan(out, config, seed, device_name, record)?;
    all(&mut run, &Session::new(Device::Cpu))?;
    let cost = Cost::new(&run, data.as_ref(), draws, &device)?;
    Ok(Plan { run, draws, cost })
}

/// Refuses a place where no folder can be: at, or below, a file.
fn check_folder_can_be_made(out: &Path) -> Result<()> {
    match out.ancestors().find(|path| path.exists()) {
        Some(file) if !file.is_dir() => {
            Err(input(format!("--out {}: {} is a file", out.display(), file.display())))
        }
        _ => Ok(()),
    }
}

/// The faces of a run that is planned.
struct Faces {
    /// None if they are not drawn yet.
    data: Option<CelebA>,
    record: DataRecord,
    draws: bool,
}

fn given(folder: &FacesFolder, config: &Config, out: &Path) -> Result<Faces> {
    let (data, record) = match left_out(out)? {
        Some(names) => {
            let splits = folder.splits.as_deref();
            faces::open(&folder.path, config.data.split, splits, &names)?
        }
        None => faces::open_unchecked(folder, config)?,
    };
    let record = DataRecord { cache: folder.cache.clone(), ..record };
    Ok(Faces { data: Some(data), record, draws: false })
}

fn drawn(config: &Config, out: &Path, seed: u64) -> Result<Faces> {
    let folder = out.join("faces");
    let count = config.data.synthetic_faces;
    if has_faces(out, &folder, count, seed) {
        let (data, record) = faces::open(&folder, config.data.split, None, &[])?;
        return Ok(Faces { data: Some(data), record, draws: false });
    }
    Run::check_for_drawing(out)?;
    check_drawn_by_a_run(out, &folder)?;
    // Of a run whose faces are gone, the same are drawn again, unless its settings differ.
    let held = if Manifest::exists(out) { Some(Manifest::read(out)?.data) } else { None };
    let path = std::path::absolute(&folder).unwrap_or(folder);
    let mut record = DataRecord::to_draw(path, count, config.data.split);
    record.sha256 = held.map_or(String::new(), |data| data.sha256);
    Ok(Faces { data: None, record, draws: true })
}
