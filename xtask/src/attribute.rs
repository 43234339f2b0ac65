//! Stage `attribute`: the attribution methods that the paper reviews beside its own masks, on the same faces, and how good each is.

mod checks;
mod global;
mod method;
mod network;
mod scores;
mod tables;

pub use method::title;
pub use network::layers_of;
pub use tables::all as tables;

use anyhow::{Context, Result};
use candle_core::Device;
use clap::Args;
use foresee_celeba::{CelebA, Split, attribute_index};

use crate::error::input;
use crate::measure::{Grid, shown_faces, write_faces};
use crate::output::print;
use crate::run::Run;
use crate::{RunArgs, faces, figures};
use checks::{CASCADE, CHECKS};
use global::{DEPENDENCE, PERMUTATION, SURROGATE};
use method::{Explainer, Method};
use network::Explained;
use scores::SCORES;

pub const MAPS: &str = "data/attribution_maps.csv";
pub const FACES: &str = "data/attribution_faces.csv";
/// All that the stage writes; the last ones depend on the settings.
pub const FILES: [&str; 8] = [SCORES, MAPS, FACES, CHECKS, CASCADE, PERMUTATION, DEPENDENCE, SURROGATE];

#[derive(Args)]
pub struct AttributeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Score on so many test faces with each attribute instead of the run's attribute.images.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    images: Option<u64>,
    /// Score with other settings of the run's section [attribute]; can be given several times. The manifest then says so, and `reproduce` on this folder
    /// needs the same settings.
    #[arg(long, value_name = "attribute.KEY=VALUE")]
    set: Vec<String>,
    /// Draw these methods only, into figures/attribution_chosen; can be given several times.
    #[arg(long, value_enum)]
    method: Vec<Method>,
    /// Draw these attributes instead of the run's, such as Smiling; can be given several times.
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// Draw this image of the run's faces instead of the one of the comparison, such as 000123.jpg.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

/// The stage, and the figure that `--method`, `--attribute` or `--image` ask for.
pub fn attribute(args: &AttributeArgs) -> Result<()> {
    let (mut run, device) = args.run.take()?;
    let more = args.images.map(|images| format!("attribute.images={images}"));
    let set: Vec<String> = args.set.iter().cloned().chain(more).collect();
    run.manifest.config = run.manifest.config.with_attribute(&set)?;
    if run.manifest.config.attribute.images == 0 {
        return Err(input(format!("{}: its setting attribute.images is 0, which leaves this stage out; give --images N", run.folder.display())));
    }
    // What is asked for wrongly is told before anything is computed.
    let wanted = chosen(args, &run)?;
    stage(&mut run, &device)?;
    if run.manifest.stages.contains_key("figures") {
        figures::stage(&mut run)?;
    }
    let Some(Chosen { data, face, methods, names }) = wanted else {
        return tables::all(&run)?.iter().try_for_each(|table| print(&format!("{}\n", table.markdown())));
    };
    let files = ["data/attribution_chosen_faces.csv", "data/attribution_chosen_maps.csv"];
    let explained = Explained::load(&run, &device)?;
    let importance = global::regions(&run, &data, &explained, &names, methods.contains(&Method::PermutationRegions))?;
    write_comparison(&run, &data, &explained, face, &Explainer::new(&run, importance.maps), (&methods, &names), files)?;
    let figure = figures::attributions(&run, "attribution_chosen", files)?;
    figure.save(&run.path("figures"))?.iter().try_for_each(|path| print(&format!("{}\n", path.display())))
}

/// What `--method`, `--attribute` and `--image` ask for.
struct Chosen {
    data: CelebA,
    face: usize,
    methods: Vec<Method>,
    names: Vec<String>,
}

fn chosen(args: &AttributeArgs, run: &Run) -> Result<Option<Chosen>> {
    if args.method.is_empty() && args.attribute.is_empty() && args.image.is_none() {
        return Ok(None);
    }
    let config = &run.manifest.config;
    let possible = Method::possible(run);
    let methods = if args.method.is_empty() { possible.clone() } else { args.method.clone() };
    if let Some(method) = methods.iter().find(|method| !possible.contains(method)) {
        let possible: Vec<String> = possible.into_iter().map(Method::name).collect();
        return Err(input(format!("--method {}: {}; this run has {}", method.name(), method.needs(), possible.join(", "))));
    }
    let names = if args.attribute.is_empty() { config.measure.attributes.clone() } else { args.attribute.clone() };
    for name in &names {
        attribute_index(name)?;
    }
    let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
    let face = match &args.image {
        None => shown_faces(&data, &data.split(Split::Test)?, &names, 1)?[0],
        Some(image) => (0..data.len())
            .find(|&face| data.name(face) == *image)
            .ok_or_else(|| input(format!("--image {image}: the run's faces have no such image; their names are like {}", data.name(0))))?,
    };
    Ok(Some(Chosen { data, face, methods, names }))
}

/// The stage; left out if no images are asked for.
pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.attribute.images == 0 {
        tracing::info!("attribute: left out (attribute.images = 0)");
        return Ok(());
    }
    let inputs = (&config.data, &config.attribute, &config.measure.attributes, run.manifest.seed);
    run.stage("attribute", &inputs, &["model.safetensors"], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let names = &config.measure.attributes;
        let explained = Explained::load(run, device)?;
        let possible = Method::possible(run);
        let mut made = vec![];
        let importance = global::regions(run, &data, &explained, names, possible.contains(&Method::PermutationRegions))?;
        made.extend(global::write(run, &data, &explained, &importance)?);
        let explainer = Explainer::new(run, importance.maps);
        let face = *shown_faces(&data, &data.split(Split::Test)?, names, 1)?.first().context("no test face to show")?;
        let shown: Vec<Method> = possible.iter().copied().filter(|method| *method != Method::Chance).collect();
        write_comparison(run, &data, &explained, face, &explainer, (&shown, names), [FACES, MAPS])?;
        made.extend(scores::write(run, &data, &explained, &explainer, &possible)?);
        made.extend(checks::write(run, &data, &explained, &explainer, &possible)?);
        made.extend([MAPS, FACES].map(String::from));
        remove_others(run, &made);
        Ok(made)
    })
}

/// Removes what other settings left: files that are not `made` now, and the tables, which the stage `figures` makes anew.
fn remove_others(run: &Run, made: &[String]) {
    let files = FILES.iter().filter(|file| !made.iter().any(|made| made == *file)).map(|file| (*file).to_owned());
    let tables =
        ["checks", "permutation", "surrogate"].iter().flat_map(|name| ["csv", "md", "tex"].map(|e| format!("tables/attribution_{name}.{e}")));
    files.chain(tables).for_each(|file| drop(std::fs::remove_file(run.path(&file))));
}

/// Whether the stage wrote this file.
pub fn has(run: &Run, file: &str) -> bool {
    run.manifest.stages.get("attribute").is_some_and(|stage| stage.outputs.contains_key(file))
}

/// Maps of methods for attributes on one face, each divided by its largest absolute value.
fn write_comparison(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    face: usize,
    explainer: &Explainer,
    (methods, names): (&[Method], &[String]),
    files: [&str; 2],
) -> Result<()> {
    let batch = faces::in_order(data, &[face], &explained.preprocessing, 1).next().context("no face to show")??;
    let x = batch.images.to_device(&explained.device)?;
    write_faces(run, data, &[face], (&batch.images, &explained.preprocessing.normalisation), files[0])?;
    let mut grid = Grid::new(explained.preprocessing.image_size, &["attribute", "probability", "method"]);
    let logits = explained.network.forward(&x)?.logits.get(0)?.to_vec1::<f32>()?;
    for name in names {
        let k = attribute_index(name)?;
        let probability = format!("{:.4}", 1. / (1. + (-f64::from(logits[k])).exp()));
        for method in methods {
            let map: Vec<f32> = explainer.maps(*method, &explained.layers, &x, k)?.flatten_all()?.to_vec1()?;
            let most = map.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
            grid.push(&[name, &probability, &method.name()], &map.iter().map(|v| v / most).collect::<Vec<_>>());
        }
    }
    grid.write(run, files[1])
}

/// Test faces in an order that the seed decides.
fn shuffled_test_faces(run: &Run, data: &CelebA) -> Result<Vec<usize>> {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    let mut test = data.split(Split::Test)?;
    test.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(run.manifest.seed));
    Ok(test)
}
