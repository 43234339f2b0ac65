//! `attribute`: the stage, and a figure of chosen methods, attributes and faces.

use std::path::{Path, PathBuf};

use clap::Args;
use foresee_attribution::Method;
use foresee_celeba::{ATTRIBUTES, attribute_index};
use foresee_files::write_atomic;
use foresee_report::About;

use super::arguments::RunArgs;
use super::json::{JsonArgs, RunDocument, path_text, print_json};
use crate::artifacts::{Artifact, ChosenFaces, ChosenMaps};
use crate::error::{Result, input};
use crate::faces;
use crate::figures::{CHOSEN_ATTRIBUTIONS, attributions};
use crate::output::{Kind, OutputFile, OverwriteArgs, print};
use crate::program::quoted;
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages::attribute::{Overlay, available_methods, compare, stage, studied_methods};
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
    /// Draw this image of the run's faces for every attribute instead of faces that have it, such
    /// as 000123.jpg. With --overlay also the file of any image.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Write one PNG: the map of one --method for one --attribute over one --image.
    #[arg(long, requires_all = ["image", "method", "attribute"], conflicts_with = "images")]
    overlay: bool,
    /// Where the overlay goes. Default: figures/overlay_METHOD_ATTRIBUTE_IMAGE.png in the run's
    /// folder.
    #[arg(long, value_name = "FILE", requires = "overlay")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn attribute(args: &AttributeArgs) -> Result<()> {
    let (mut run, device) = args.run.open()?;
    if args.overlay {
        run.manifest.config = run.manifest.config.with_attribute(&args.set)?;
        return draw_overlay(args, &run, &Session::new(device));
    }
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
    image: Option<String>,
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
        Ok(Some(Self { methods, attributes, faces, image: args.image.clone() }))
    }
}

impl Chosen {
    /// The command that draws it in the run's folder.
    fn command(&self) -> String {
        let mut command = "foresee attribute --run .".to_owned();
        self.methods.iter().for_each(|method| command += &format!(" --method {}", method.id()));
        for &attribute in &self.attributes {
            command += &format!(" --attribute {}", ATTRIBUTES[attribute]);
        }
        if let Some(image) = &self.image {
            command += &format!(" --image {}", quoted(image));
        }
        command
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

fn draw_overlay(args: &AttributeArgs, run: &Run, session: &Session) -> Result<()> {
    let ([method], [attribute], Some(image)) =
        (args.method.as_slice(), args.attribute.as_slice(), &args.image)
    else {
        return Err(input("--overlay is of one --method, one --attribute and one --image"));
    };
    methods(&[*method], run)?;
    let overlay = Overlay { method: *method, attribute: attribute_index(attribute)?, image };
    let file = match &args.out {
        Some(out) => {
            if out.extension().is_some_and(|extension| !extension.eq_ignore_ascii_case("png")) {
                return Err(input(format!("--out {}: an overlay is a .png", out.display())));
            }
            let reads = [Path::new(image)];
            Some(OutputFile::new("--out", out, Kind::Figure, &reads, args.overwrite)?)
        }
        None => None,
    };
    args.json.check("--out", file.as_ref())?;
    if file.is_none() && overlay.is_own_file(session.data(run)?) {
        return Err(input("--overlay of an image of your own needs --out FILE"));
    }
    let png = overlay.draw(run, session)?;
    let path = match &file {
        Some(file) => {
            file.write(&png)?;
            file.path().to_owned()
        }
        None => {
            let image = Path::new(image).file_stem().unwrap_or_default().display();
            let attribute = ATTRIBUTES[overlay.attribute];
            let path =
                run.path(&format!("figures/overlay_{}_{attribute}_{image}.png", method.id()));
            write_atomic(&path, &png)?;
            path
        }
    };
    if args.json.is_asked() {
        let mut document = RunDocument::new(run, &[]);
        document.figures = Some(vec![path_text(&path)]);
        return print_json(&document);
    }
    let told = format!("{}\n", path.display());
    file.map_or_else(|| print(&told), |file| file.print_beside(&told))
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
        Method::Attention => "it is for networks with an attention map, by `explain --model`",
        _ => "not possible",
    }
}

/// Draws it; the files.
fn draw(chosen: &Chosen, run: &Run, session: &Session) -> Result<Vec<PathBuf>> {
    let Chosen { methods, attributes, faces, .. } = chosen;
    let comparison = compare(run, session, attributes, faces, methods)?;
    let faces = ChosenFaces(comparison.faces);
    let maps = ChosenMaps(comparison.maps);
    run.write(&faces)?;
    run.write(&maps)?;
    let style = run.manifest.config.figures.style()?;
    let figure = attributions(run, CHOSEN, &faces.0, &maps.0, &style)?.about(About {
        caption: CHOSEN_ATTRIBUTIONS.into(),
        data: vec![ChosenMaps::PATH.into(), ChosenFaces::PATH.into()],
        command: chosen.command(),
    });
    Ok(figure.save(&run.path("figures"))?)
}
