//! Stage `attribute`: the attribution methods that the paper reviews beside its own masks, on the
//! same faces, and how good each is.

mod checks;
mod global;
mod labels;
mod method;
mod network;
mod scores;
mod tables;

pub use method::{reading, title};
pub use network::layers_of;
pub use tables::all as tables;

use anyhow::{Context, Result};
use candle_core::Device;
use clap::Args;
use foresee_celeba::{ATTRIBUTES, CelebA, Split, attribute_index};

use crate::error::input;
use crate::measure::{Grid, write_faces};
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
/// Grows with every change of what the stage computes or of its files, so that runs of before do it
/// again.
const FORMAT: u32 = 2;
/// All that the stage writes; the last ones depend on the settings.
pub const FILES: [&str; 8] =
    [SCORES, MAPS, FACES, CHECKS, CASCADE, PERMUTATION, DEPENDENCE, SURROGATE];

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
    /// Draw these methods only, into figures/attribution_chosen; can be given several times.
    #[arg(long, value_enum)]
    method: Vec<Method>,
    /// Draw these attributes instead of the run's, such as Smiling; can be given several times.
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// Draw this image of the run's faces in every row instead of faces that have the attribute,
    /// such as 000123.jpg.
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
        return Err(input(format!(
            "{}: its setting attribute.images is 0, which leaves this stage out; give --images N",
            run.folder.display()
        )));
    }
    // What is asked for wrongly is told before anything is computed.
    let wanted = chosen(args, &run)?;
    stage(&mut run, &device)?;
    if run.manifest.stages.contains_key("figures") {
        figures::stage(&mut run)?;
    }
    let Some(Chosen { data, image, methods, names }) = wanted else {
        return tables::all(&run)?
            .iter()
            .try_for_each(|table| print(&format!("{}\n", table.markdown())));
    };
    let files = ["data/attribution_chosen_faces.csv", "data/attribution_chosen_maps.csv"];
    let explained = Explained::load(&run, &device)?;
    let importance = global::regions(
        &run,
        &data,
        &explained,
        &names,
        methods.contains(&Method::PermutationRegions),
    )?;
    let rows = rows(&run, &data, &explained, &names, image)?;
    write_comparison(
        &run,
        &data,
        &explained,
        &rows,
        &Explainer::new(&run, importance.maps),
        &methods,
        files,
    )?;
    let figure = figures::attributions(&run, "attribution_chosen", files)?;
    figure
        .save(&run.path("figures"))?
        .iter()
        .try_for_each(|path| print(&format!("{}\n", path.display())))
}

/// What `--method`, `--attribute` and `--image` ask for.
struct Chosen {
    data: CelebA,
    image: Option<usize>,
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
        return Err(input(format!(
            "--method {}: {}; this run has {}",
            method.name(),
            method.needs(),
            possible.join(", ")
        )));
    }
    let names = if args.attribute.is_empty() {
        config.measure.attributes.clone()
    } else {
        args.attribute.clone()
    };
    for name in &names {
        attribute_index(name)?;
    }
    let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
    let face = |image: &String| {
        let found = (0..data.len()).find(|&face| data.name(face) == *image);
        found.ok_or_else(|| {
            input(format!(
                "--image {image}: the run's faces have no such image; their names are like {}",
                data.name(0)
            ))
        })
    };
    let image = args.image.as_ref().map(face).transpose()?;
    Ok(Some(Chosen { data, image, methods, names }))
}

/// The stage; left out if no images are asked for.
pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.attribute.images == 0 {
        tracing::info!("attribute: left out (attribute.images = 0)");
        return Ok(());
    }
    let inputs =
        (FORMAT, &config.data, &config.attribute, &config.measure.attributes, run.manifest.seed);
    run.stage("attribute", &inputs, &["model.safetensors"], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let names = &config.measure.attributes;
        let explained = Explained::load(run, device)?;
        let possible = Method::possible(run);
        let mut made = vec![];
        let importance = global::regions(
            run,
            &data,
            &explained,
            names,
            possible.contains(&Method::PermutationRegions),
        )?;
        made.extend(global::write(run, &data, &explained, &importance)?);
        let explainer = Explainer::new(run, importance.maps);
        let rows = rows(run, &data, &explained, names, None)?;
        let shown: Vec<Method> =
            possible.iter().copied().filter(|method| *method != Method::Chance).collect();
        write_comparison(run, &data, &explained, &rows, &explainer, &shown, [FACES, MAPS])?;
        made.extend(scores::write(run, &data, &explained, &explainer, &possible)?);
        made.extend(checks::write(run, &data, &explained, &explainer, &possible)?);
        made.extend([MAPS, FACES].map(String::from));
        remove_others(run, &made);
        Ok(made)
    })
}

/// Removes what other settings left: files that are not `made` now, and the tables, which the stage
/// `figures` makes anew.
fn remove_others(run: &Run, made: &[String]) {
    let files = FILES
        .iter()
        .filter(|file| !made.iter().any(|made| made == *file))
        .map(|file| (*file).to_owned());
    let tables = ["checks", "permutation", "surrogate"]
        .iter()
        .flat_map(|name| ["csv", "md", "tex"].map(|e| format!("tables/attribution_{name}.{e}")));
    files.chain(tables).for_each(|file| drop(std::fs::remove_file(run.path(&file))));
}

/// Whether the stage wrote this file.
pub fn has(run: &Run, file: &str) -> bool {
    run.manifest.stages.get("attribute").is_some_and(|stage| stage.outputs.contains_key(file))
}

/// The pixels at which a drawn face has an attribute stand among the maps under this name.
pub const REGION: &str = "region";

/// Maps of methods for each row, in shares of a method's greatest absolute value over the rows,
/// which stands beside them.
fn write_comparison(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    rows: &[Row],
    explainer: &Explainer,
    methods: &[Method],
    files: [&str; 2],
) -> Result<()> {
    let mut faces: Vec<usize> = rows.iter().map(|row| row.face).collect();
    faces.sort_unstable();
    faces.dedup();
    let batch = faces::in_order(data, &faces, &explained.preprocessing, faces.len().max(1))
        .next()
        .context("no face to show")??;
    write_faces(
        run,
        data,
        &batch.faces,
        (&batch.images, &explained.preprocessing.normalisation),
        files[0],
    )?;
    let images = batch.images.to_device(&explained.device)?;
    let place = |row: &Row| {
        batch.faces.iter().position(|face| *face == row.face).context("a face was not read")
    };
    let mut maps: Vec<Vec<Vec<f32>>> = vec![];
    for row in rows {
        let x = images.narrow(0, place(row)?, 1)?;
        let map = |&method: &Method| {
            Ok(explainer
                .maps(method, &explained.layers, (&x, &[row.face]), row.attribute)?
                .flatten_all()?
                .to_vec1()?)
        };
        maps.push(methods.iter().map(map).collect::<Result<_>>()?);
    }
    let greatest = |m: usize| {
        maps.iter()
            .flat_map(|of_row| &of_row[m])
            .fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()))
    };
    let mut grid = Grid::new(
        explained.preprocessing.image_size,
        &["attribute", "face", "split", "has", "probability", "method", "greatest"],
    );
    for (row, of_row) in rows.iter().zip(&maps) {
        let (name, has) = (
            ATTRIBUTES[row.attribute],
            if data.labels(row.face).has(row.attribute) { "yes" } else { "no" },
        );
        let probability = format!("{:.4}", row.probability);
        let mut push = |method: &str, greatest: f32, map: &[f32]| {
            let labels = [
                name,
                data.name(row.face),
                split_of(data, row.face),
                has,
                &probability,
                method,
                &format!("{greatest:e}"),
            ];
            grid.push(&labels, &map.iter().map(|v| v / greatest).collect::<Vec<_>>());
        };
        if let Some(region) = scores::region(run, data, explained, row.face, row.attribute) {
            push(REGION, 1., &region);
        }
        methods
            .iter()
            .zip(of_row)
            .enumerate()
            .for_each(|(m, (method, map))| push(&method.name(), greatest(m), map));
    }
    grid.write(run, files[1])
}

/// Test faces that a row's face is chosen from, and how many are looked at together.
const LOOKED_AT: usize = 36;
const AT_ONCE: usize = 12;
/// The probability from which the network is sure.
const SURE: f64 = 0.9;

/// A row of the comparison.
struct Row {
    attribute: usize,
    face: usize,
    probability: f64,
}

/// For each attribute the image that is asked for, or else, of the first test faces that have the
/// attribute, in an order that the seed decides, the first of which the network is sure, or if it
/// is of none, that of which it is surest. If no test face has the attribute, all are looked at.
fn rows(
    run: &Run,
    data: &CelebA,
    explained: &Explained,
    names: &[String],
    image: Option<usize>,
) -> Result<Vec<Row>> {
    let test = if image.is_none() { shuffled_test_faces(run, data)? } else { vec![] };
    let row = |name: &String| {
        let k = attribute_index(name)?;
        let with: Vec<usize> =
            test.iter().copied().filter(|&face| data.labels(face).has(k)).take(LOOKED_AT).collect();
        let faces = match image {
            Some(face) => vec![face],
            None if with.is_empty() => test.iter().copied().take(LOOKED_AT).collect(),
            None => with,
        };
        let (face, probability) = surest(data, explained, &faces, k)?
            .with_context(|| format!("there is no test face to show {name} on"))?;
        Ok(Row { attribute: k, face, probability })
    };
    names.iter().map(row).collect()
}

/// The first of these faces with a probability of attribute k above [`SURE`], or else the first
/// with the greatest.
fn surest(
    data: &CelebA,
    explained: &Explained,
    faces: &[usize],
    k: usize,
) -> Result<Option<(usize, f64)>> {
    let mut best: Option<(usize, f64)> = None;
    for batch in faces::in_order(data, faces, &explained.preprocessing, AT_ONCE) {
        let batch = batch?;
        let logits = explained
            .layers
            .target(k)
            .values(&batch.images.to_device(&explained.device)?)?
            .to_vec1::<f32>()?;
        for (&face, logit) in batch.faces.iter().zip(logits) {
            let p = 1. / (1. + (-f64::from(logit)).exp());
            if p > SURE {
                return Ok(Some((face, p)));
            }
            if best.is_none_or(|(_, most)| p > most) {
                best = Some((face, p));
            }
        }
    }
    Ok(best)
}

/// The split that a face is in.
fn split_of(data: &CelebA, face: usize) -> &'static str {
    let of =
        |split: &Split| data.split(*split).is_ok_and(|faces| faces.binary_search(&face).is_ok());
    [Split::Train, Split::Val, Split::Test]
        .iter()
        .find(|split| of(split))
        .map_or("none", |split| split.name())
}

/// Test faces in an order that the seed decides.
fn shuffled_test_faces(run: &Run, data: &CelebA) -> Result<Vec<usize>> {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    let mut test = data.split(Split::Test)?;
    test.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(run.manifest.seed));
    Ok(test)
}
