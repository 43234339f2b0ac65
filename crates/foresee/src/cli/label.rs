//! `label`: a person answers in the browser, and a network learns in between.

use std::path::PathBuf;

use clap::Args;
use foresee_active::Strategy;
use foresee_celeba::attribute_index;

use super::arguments::at_least_one;
use crate::config::Config;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::label::{LabelOptions, Labeller, ToLabel, serve};
use crate::run;
use crate::web::ServeOptions;

/// What differs from the profile by default: a network that learns in seconds.
const SMALL: [&str; 5] = [
    "data.image_size=24",
    "model.channels=16",
    "train.epochs=60",
    "train.drop_correlated=0",
    "train.mask_decay=0",
];
/// What else differs from the profile `quick`, whose λ is for its own size.
const OF_QUICK: &str = "train.lambda=1e-6";

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
    /// How faces are chosen: random, least_confidence, margin, entropy, expected_gradient, k_centre
    /// or badge.
    #[arg(long, default_value = "entropy", value_parser = strategy)]
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

fn strategy(text: &str) -> std::result::Result<Strategy, String> {
    let known = || Strategy::ALL.map(Strategy::id).join(", ");
    Strategy::from_id(text).ok_or_else(|| format!("the strategies are {}", known()))
}

pub(super) fn label(args: &LabelArgs) -> Result<()> {
    let mut set: Vec<String> = SMALL.map(String::from).to_vec();
    set.extend((args.profile == "quick").then(|| OF_QUICK.into()));
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
