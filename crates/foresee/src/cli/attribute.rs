//! `attribute`: the stage, and a figure of chosen methods, attributes and faces.

use std::path::PathBuf;

use clap::Args;
use foresee_attribution::Method;
use foresee_celeba::attribute_index;

use super::arguments::RunArgs;
use super::json::{JsonArgs, RunDocument, path_text, print_json};
use crate::artifacts::{ChosenFaces, ChosenMaps};
use crate::error::{Result, input};
use crate::faces;
use crate::figures::attributions;
use crate::output::print;
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages::attribute::{available_methods, compare, stage, studied_methods};
use crate::stages::figures;
use crate::tables;

/// The figure of what was chosen.
const CHOSEN: &str = "attribution_chosen";

#[derive(Args)]
pub struct AttributeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Score on so many test faces with each attribute instead of the run's attribute.images.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    images: Option<u64>,
    /// Score with other settings of the run's section [attribute]; can be given several times. The
    /// manifest then says so, and `reproduce` on this folder needs the same settings.
    #[arg(long, value_name = "attribute.KEY=VALUE")]
    set: Vec<String>,
    /// Draw these methods only, into figures/attribution_chosen; can be given several times. Also
    /// methods that the stage does not compare.
    #[arg(long, value_enum)]
    method: Vec<Method>,
    /// Draw these attributes instead of the run's, such as Smiling; can be given several times.
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// Draw this image of the run's faces in every row instead of faces that have the attribute,
    /// such as 000123.jpg.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn attribute(args: &AttributeArgs) -> Result<()> {
    let (mut run, device) = args.run.open()?;
    let images = args.images.map(|images| format!("attribute.images={images}"));
    let set: Vec<String> = args.set.iter().cloned().chain(images).collect();
    run.manifest.config = run.manifest.config.with_attribute(&set)?;
    if run.manifest.config.attribute.images == 0 {
        return Err(input(format!(
            "{}: its setting attribute.images is 0, which leaves this stage out; give --images N",
            run.folder().display()
        )));
    }
    let session = Session::new(device);
    // What is asked for wrongly is refused before anything is computed.
    let chosen = Chosen::new(args, &run, &session)?;
    stage(&mut run, &session)?;
    figures::renew(&mut run, &session)?;
    let drawn = chosen.map(|chosen| draw(&chosen, &run, &session)).transpose()?;
    if args.json.is_asked() {
        let figures = drawn.map(|paths| paths.iter().map(|path| path_text(path)).collect());
        let mut document = RunDocument::of_stage(&run, Stage::Attribute)?;
        document.figures = figures;
        return print_json(&document);
    }
    match drawn {
        Some(paths) => paths.iter().try_for_each(|path| print(&format!("{}\n", path.display()))),
        None => tables::attribution(&run)?
            .iter()
            .try_for_each(|table| print(&format!("{}\n", table.markdown()))),
    }
}

/// What `--method`, `--attribute` and `--image` ask for.
struct Chosen {
    methods: Vec<Method>,
    attributes: Vec<usize>,
    faces: Vec<usize>,
}

impl Chosen {
    fn new(args: &AttributeArgs, run: &Run, session: &Session) -> Result<Option<Self>> {
        if args.method.is_empty() && args.attribute.is_empty() && args.image.is_none() {
            return Ok(None);
        }
        let methods = methods(&args.method, run)?;
        let attributes = match args.attribute.as_slice() {
            [] => run.manifest.config.measure.attribute_indices()?,
            names => names.iter().map(|name| Ok(attribute_index(name)?)).collect::<Result<_>>()?,
        };
        let faces = match &args.image {
            Some(image) => faces::named(session.data(run)?, std::slice::from_ref(image))
                .map_err(|e| input(format!("--image {e}")))?,
            None => vec![],
        };
        Ok(Some(Self { methods, attributes, faces }))
    }
}

fn methods(asked: &[Method], run: &Run) -> Result<Vec<Method>> {
    let available = available_methods(run);
    match asked.iter().find(|method| !available.contains(method)) {
        Some(method) => {
            let names: Vec<&str> = available.iter().map(|method| method.id()).collect();
            Err(input(format!(
                "--method {}: {}; this run has {}",
                method.id(),
                needs(*method),
                names.join(", ")
            )))
        }
        None if asked.is_empty() => Ok(studied_methods(run)),
        None => Ok(asked.to_vec()),
    }
}

/// Why a network or a run may not have a method.
fn needs(method: Method) -> &'static str {
    match method {
        Method::Masks | Method::MeanMask => "the network has no masks (model.attention = false)",
        Method::Cam => {
            "CAM needs average pooling and a linear readout behind the features, and this network \
             has masks there"
        }
        Method::PermutationRegions => {
            "attribute.permutation_images is 0, or there are fewer than two test faces"
        }
        _ => "not possible",
    }
}

/// Draws it; the files.
fn draw(chosen: &Chosen, run: &Run, session: &Session) -> Result<Vec<PathBuf>> {
    let Chosen { methods, attributes, faces } = chosen;
    let comparison = compare(run, session, attributes, faces, methods)?;
    let faces = ChosenFaces(comparison.faces);
    let maps = ChosenMaps(comparison.maps);
    run.write(&faces)?;
    run.write(&maps)?;
    let style = run.manifest.config.figures.style()?;
    let figure = attributions(run, CHOSEN, &faces.0, &maps.0, &style)?;
    Ok(figure.save(&run.path("figures"))?)
}
