//! `export`: a trained network for PyTorch and for ONNX runtimes.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;
use foresee_celeba::{CelebA, SplitRule};
use foresee_files::write_folder;

use super::arguments::trained_run;
use crate::error::{Result, input};
use crate::export::{Examples, Source, files, is_export, onnx_model};
use crate::faces;
use crate::output::{Kind, OutputFile, OverwriteArgs, check_new_folder, print};
use crate::run::Run;
use crate::session::{MODEL, Session};

#[derive(Args)]
pub struct ExportArgs {
    /// The run's folder, as `reproduce --out` named it: its network is exported.
    #[arg(long, value_name = "DIR", required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A model file, such as `prune --save` writes, in place of a run.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// With --model: CelebA in any form that `reproduce --celeba` takes, for the exported test. A
    /// run knows its faces.
    #[arg(long, value_name = "DIR", conflicts_with = "run", requires = "pytorch")]
    celeba: Option<PathBuf>,
    /// Write a new folder with the weights, a PyTorch module, the preprocessing, and a test that
    /// compares PyTorch's probabilities with this program's. --overwrite replaces only a folder
    /// that this command wrote.
    #[arg(long, value_name = "DIR", required_unless_present = "onnx")]
    pytorch: Option<PathBuf>,
    /// Write an ONNX model: normalised images in, logits and probabilities out. A pipe or device is
    /// written into; - is the standard output.
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
}

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let run = args.run.as_deref().map(trained_run).transpose()?;
    let model = match (&args.model, &run) {
        (Some(file), _) => file.clone(),
        (None, Some(run)) => run.path(MODEL),
        (None, None) => return Err(input("name a run with --run, or a model file with --model")),
    };
    let (folder, file) = places(args, &model, run.as_ref())?;
    let source = Source::read(&model)?;
    let mut text = String::new();
    if let Some(folder) = folder {
        let data = open_faces(args, run.as_ref())?;
        let examples = Examples::new(&source, data.as_ref())?;
        write_folder(folder, &files(&source, &examples)?)?;
        let folder = folder.display();
        text = format!("{folder}: for PyTorch; test it with `python {folder}/test_export.py`\n");
    }
    let Some(file) = file else { return print(&text) };
    file.write(&onnx_model(&source)?)?;
    file.print_beside(&format!("{text}{}: for ONNX runtimes\n", file.path().display()))
}

/// Where the results go, looked at before the work.
fn places<'a>(
    args: &'a ExportArgs,
    model: &Path,
    run: Option<&Run>,
) -> Result<(Option<&'a Path>, Option<OutputFile>)> {
    let data = run.map(|run| &run.manifest.data);
    let of_run = data.map(|data| [Some(&data.path), data.splits.as_ref(), data.cache.as_ref()]);
    let paths = of_run.into_iter().flatten().chain([args.celeba.as_ref()]).flatten();
    let reads: Vec<&Path> = paths.map(PathBuf::as_path).chain([model]).collect();
    let folder = args.pytorch.as_deref();
    if folder.is_some() && folder == args.onnx.as_deref() {
        return Err(input("--pytorch and --onnx: they name the same place; name two"));
    }
    if let Some(folder) = folder {
        check_new_folder("--pytorch", folder, is_export, &reads, args.overwrite)?;
    }
    let file = |path: &PathBuf| OutputFile::new("--onnx", path, Kind::Onnx, &reads, args.overwrite);
    Ok((folder, args.onnx.as_ref().map(file).transpose()?))
}

/// The faces that the exported test names, if any are known.
fn open_faces(args: &ExportArgs, run: Option<&Run>) -> Result<Option<CelebA>> {
    match (run, &args.celeba) {
        (Some(run), _) => Ok(Some(Session::new(Device::Cpu).data(run)?.clone())),
        (None, Some(folder)) => Ok(Some(faces::open(folder, SplitRule::Official, None, &[])?.0)),
        (None, None) => Ok(None),
    }
}
