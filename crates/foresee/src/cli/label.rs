//! `label`: a person answers in the browser, and a network learns in between.

use std::path::PathBuf;

use clap::Args;
use foresee_active::Strategy;
use foresee_celeba::attribute_index;

use super::arguments::{FEW_FACES, at_least_one, one_of};
use crate::config::Config;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::label::{LabelOptions, Labeller, ToLabel, serve};
use crate::run;
use crate::web::ServeOptions;

/// What differs from the profile by default, besides [`FEW_FACES`].
const SMALL: [&str; 2] = ["data.image_size=24", "train.epochs=60"];

#[derive(Args)]
pub struct LabelArgs {
    /// CelebA in any form that `reproduce --celeba` takes; its labels are not looked at.
    #[arg(long, value_name = "DIR", required_unless_present = "images")]
    celeba: Option<PathBuf>,
    /// A folder of JPEG or PNG images of your own.
    #[arg(long, value_name = "DIR", conflicts_with = "celeba")]
    images: Option<PathBuf>,
    /// What is asked about each face: attributes of CelebA, with commas between.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    attribute: Vec<String>,
    /// Where answers are kept. Give it again to go on.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How faces are chosen.
    #[arg(
        long,
        default_value = "entropy",
        value_parser = one_of(Strategy::ALL.map(Strategy::id), Strategy::from_id)
    )]
    strategy: Strategy,
    /// The network learns again after so many more faces that it may learn from.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    every: usize,
    /// Faces at most among which the network chooses.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one)]
    pool: usize,
    /// Decides everything that is random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Settings to start from, as in `reproduce`; by default with images of 24 pixels, 16 channels
    /// and 60 passes.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Replaces one setting, such as train.epochs=30; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    serve: ServeOptions,
}

pub(super) fn label(args: &LabelArgs) -> Result<()> {
    let mut set: Vec<String> = SMALL.into_iter().chain(FEW_FACES).map(String::from).collect();
    set.extend(args.set.iter().cloned());
    let config = Config::resolve(&args.profile, None, &set)?;
    config.check_is_of_paper()?;
    let attributes = args
        .attribute
        .iter()
        .map(|name| Ok(attribute_index(name)?))
        .collect::<Result<Vec<usize>>>()?;
    let out = &args.out;
    if out.exists() && !out.is_dir() {
        return Err(input(format!("--out {}: is a file; name a folder", out.display())));
    }
    if let Some(run) = run::holder(out) {
        let (out, run) = (out.display(), run::described(run));
        return Err(input(format!("--out {out}: it belongs to {run}; name another folder")));
    }
    let faces = match (&args.celeba, &args.images) {
        (Some(celeba), _) => ToLabel::Faces(celeba),
        (None, Some(images)) => ToLabel::Images(images),
        (None, None) => return Err(input("name faces with --celeba, or images with --images")),
    };
    let labeller = Labeller::open(LabelOptions {
        faces,
        out,
        attributes: distinct(attributes),
        strategy: args.strategy,
        every: args.every,
        pool: args.pool,
        config,
        seed: args.seed,
    })?;
    serve(labeller, &args.serve)
}
