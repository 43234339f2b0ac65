//! Arguments that several commands share.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use foresee_files::place_of;

use super::network::MODEL_HEADING;
use crate::device;
use crate::error::{Result, input};
use crate::faces::FacesFolder;
use crate::program::program;
use crate::run::{Run, Stage, owner};
use crate::session::{MODEL, check_is_paper};

/// A run's folder and a device.
#[derive(Args)]
pub struct RunArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// cpu, cuda or metal. Default: the run's. What other devices compute differs in the last
    /// digits.
    #[arg(long)]
    pub(crate) device: Option<String>,
}

/// A run's folder and a device, for commands that also work on a network of the user's own.
#[derive(Args)]
pub struct RunOrModelArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    pub(crate) run: Option<PathBuf>,
    /// An ONNX file in place of a run: a network of your own.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "run",
        requires = "images",
        help_heading = MODEL_HEADING
    )]
    pub(crate) model: Option<PathBuf>,
    /// cpu, cuda or metal. Default: the run's, or cpu. What other devices compute differs in the
    /// last digits.
    #[arg(long)]
    pub(crate) device: Option<String>,
}

impl RunOrModelArgs {
    /// The run, if one is named.
    pub(crate) fn run(&self) -> Result<RunArgs> {
        match self.run.clone() {
            Some(run) => Ok(RunArgs { run, device: self.device.clone() }),
            None => Err(input("name a run with --run, or an ONNX file with --model")),
        }
    }

    /// The device for a model.
    pub(crate) fn model_device(&self) -> Result<Device> {
        device::of_model(self.device.as_deref())
    }
}

impl RunArgs {
    /// The run, opened to work in, and the device.
    pub(crate) fn open(&self) -> Result<(Run, Device)> {
        let run = Run::lock(&self.run)?;
        check_is_paper(&run)?;
        let device = device::of_run(self.device.as_deref(), &run)?;
        Ok((run, device))
    }
}

/// A run whose network is trained, opened to read in it.
pub(crate) fn trained_run(folder: &Path) -> Result<Run> {
    let run = Run::open(folder)?;
    check_is_paper(&run)?;
    match run.made(Stage::Train, MODEL) {
        true => run.own_model().map(|_| run),
        false => Err(input(format!(
            "the run in {} is not trained yet: `{} train --run` does that",
            folder.display(),
            program()
        ))),
    }
}

/// A run, or a model file with faces for it.
#[derive(Args)]
pub struct RunOrFileArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR", required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A model file in place of a run. The faces are those of --celeba or --hub; the model of a run
    /// knows the run's.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// With --model: CelebA in any form that `reproduce --celeba` takes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["run", "hub"])]
    celeba: Option<PathBuf>,
    /// With --model: a dataset of the Hugging Face hub, such as tpremoli/CelebA-attrs (in builds
    /// with the feature `hub`).
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "run")]
    hub: Option<String>,
    /// cpu, cuda or metal. Default: the run's, or cpu.
    #[arg(long)]
    device: Option<String>,
}

/// What [`RunOrFileArgs`] name.
pub(crate) enum RunOrFile {
    /// A run whose network is trained.
    Run(Box<Run>),
    /// A model file, and the folder of faces for it.
    File {
        /// The file.
        model: PathBuf,
        /// The folder.
        faces: PathBuf,
    },
}

impl RunOrFileArgs {
    /// What they name.
    pub(crate) fn find(&self) -> Result<RunOrFile> {
        if let Some(folder) = &self.run {
            return Ok(RunOrFile::Run(trained_run(folder)?.into()));
        }
        let Some(model) = self.model.clone() else {
            return Err(input("name a run with --run, or a model file with --model"));
        };
        if model.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx")) {
            return Err(input(format!(
                "{}: this command takes the model files of Foresee; with an ONNX network there are \
                 `{program} explain`, `{program} predict` and `{program} prune`",
                model.display(),
                program = program()
            )));
        }
        match (&self.celeba, &self.hub, run_of(&model)) {
            (Some(faces), _, _) => Ok(RunOrFile::File { model, faces: faces.clone() }),
            (None, Some(name), _) => Ok(RunOrFile::File { model, faces: super::hub::fetch(name)? }),
            (None, None, Some(folder)) => Ok(RunOrFile::Run(trained_run(&folder)?.into())),
            (None, None, None) => Err(input(format!(
                "{}: only the model of a run knows its faces; name the folder of CelebA with \
                 --celeba",
                model.display()
            ))),
        }
    }

    /// The device asked for, or else the run's, or the CPU.
    pub(crate) fn device(&self, of: &RunOrFile) -> Result<Device> {
        match of {
            RunOrFile::Run(run) => device::of_run(self.device.as_deref(), run),
            RunOrFile::File { .. } => device::of_model(self.device.as_deref()),
        }
    }
}

impl RunOrFile {
    /// The model file.
    pub(crate) fn model(&self) -> PathBuf {
        match self {
            Self::Run(run) => run.path(MODEL),
            Self::File { model, .. } => model.clone(),
        }
    }
}

/// The folder of the run whose trained network this is.
fn run_of(model: &Path) -> Option<PathBuf> {
    let place = place_of(model).ok()?;
    let folder = owner(&place)?;
    (place == folder.join(MODEL)).then(|| folder.to_owned())
}

/// Which faces, and how they are read.
#[derive(Args, Clone)]
pub struct FacesArgs {
    /// CelebA: its folder as distributed (also with img_align_celeba.zip not unpacked),
    /// torchvision's root, Kaggle's folder, or a folder of parquet shards. Without it, synthetic
    /// faces are drawn.
    #[arg(long, value_name = "DIR")]
    pub(crate) celeba: Option<PathBuf>,
    /// A dataset of the Hugging Face hub, such as tpremoli/CelebA-attrs (in builds with the feature
    /// `hub`).
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "celeba")]
    pub(crate) hub: Option<String>,
    /// Splits of your own: a CSV with the header image,split and train, val or test for each image.
    #[arg(long, value_name = "FILE")]
    pub(crate) splits: Option<PathBuf>,
    /// Leave out images that cannot be read, if they are no more than this share of all [default: 1
    /// %]; they are listed in bad_images.csv.
    #[arg(
        long,
        value_name = "PERCENT",
        num_args = 0..=1,
        default_missing_value = "1",
        value_parser = percent
    )]
    pub(crate) skip_bad: Option<f64>,
    /// Keep resized images in a file in this folder, so that later epochs and runs need not decode
    /// them again (for runs with train.crop = 1).
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|p| (0. ..=100.).contains(p));
    number.ok_or_else(|| "a number from 0 to 100".into())
}

impl FacesArgs {
    /// Where the faces are, with those of the hub downloaded; `None` if they are to be drawn.
    pub(crate) fn folder(&self) -> Result<Option<FacesFolder>> {
        let path = match (&self.celeba, &self.hub) {
            (Some(folder), _) => folder.clone(),
            (None, Some(name)) => super::hub::fetch(name)?,
            (None, None)
                if self.splits.is_some() || self.skip_bad.is_some() || self.cache.is_some() =>
            {
                return Err(input(
                    "--splits, --skip-bad and --cache are for the faces that --celeba or --hub \
                     names",
                ));
            }
            (None, None) => return Ok(None),
        };
        let Self { splits, skip_bad, cache, .. } = self.clone();
        Ok(Some(FacesFolder { path, splits, skip_bad, cache }))
    }
}

/// Parses one of these names, which `--help` lists.
pub(crate) fn one_of<T: Clone + Send + Sync + 'static>(
    ids: impl IntoIterator<Item = &'static str>,
    from_id: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    let of_id = move |id: String| from_id(&id).ok_or("there is no such name");
    PossibleValuesParser::new(ids).try_map(of_id)
}

/// Settings of networks that learn in seconds from few faces, for `learn` and `label`.
pub(super) const FEW_FACES: [&str; 4] =
    ["model.channels=16", "train.lambda=1e-6", "train.drop_correlated=0", "train.mask_decay=0"];

/// Parses a number from 1.
pub(crate) fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "a number from 1".into())
}
