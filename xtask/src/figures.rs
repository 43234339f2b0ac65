//! Stage `figures`: every figure, every table and the report, from the run's files alone.

mod page;
mod plots;
mod tables;

pub use self::plots::attributions;

use anyhow::Result;
use candle_core::Device;
use foresee_celeba::ATTRIBUTES;
use foresee_report::frame;
use foresee_report::{Architecture, Figure, Source, Table};

use crate::run::Run;
use crate::{attribute, predict, train};

/// The files that figures are drawn from.
const READS: [&str; 15] = [
    "model.safetensors",
    "data/training.csv",
    "data/validation.csv",
    "data/accuracy.csv",
    "data/accuracy_per_attribute.csv",
    "data/channels.csv",
    "data/channel_correlation.csv",
    "data/mean_masks.csv",
    "data/attribute_neighbours.csv",
    "data/attribute_groups.csv",
    "data/top_channels.csv",
    "data/figure4_faces.csv",
    "data/figure4_masks.csv",
    "data/channel_pruning.csv",
    "data/mask_transformation.csv",
];

pub fn stage(run: &mut Run) -> Result<()> {
    let description =
        (run.manifest.config.clone(), run.manifest.data.description(), run.manifest.seed);
    let predicted = run.manifest.config.predict.images > 0;
    let more: &[&str] =
        if predicted { &[predict::SCORES, predict::regression::TABLE] } else { &[] };
    let attributed = run.manifest.stages.contains_key("attribute");
    let attributed_files: Vec<&str> = if attributed {
        attribute::FILES.into_iter().filter(|file| attribute::has(run, file)).collect()
    } else {
        vec![]
    };
    run.stage("figures", &description, &[&READS, more, &attributed_files].concat(), |run| {
        let architecture = architecture(run)?;
        let (mut figures, mut tables) =
            (plots::all(run, &architecture)?, tables::all(run, &architecture)?);
        if predicted {
            predictability(run, &mut figures, &mut tables)?;
        }
        if attributed {
            figures.push(attributions(
                run,
                "attribution_comparison",
                [attribute::FACES, attribute::MAPS],
            )?);
            tables.extend(attribute::tables(run)?);
        }
        let mut made = vec!["report.html".to_owned()];
        for figure in &figures {
            figure.save(&run.path("figures"))?;
            made.extend(
                ["png", "svg", "pdf"]
                    .map(|extension| format!("figures/{}.{extension}", figure.name())),
            );
        }
        for table in &tables {
            table.save(&run.path("tables"))?;
            made.extend(
                ["csv", "md", "tex"].map(|extension| format!("tables/{}.{extension}", table.name)),
            );
        }
        page::write(run, &figures, &tables)?;
        Ok(made)
    })
}

/// What the stage `predict` found.
fn predictability(run: &Run, figures: &mut Vec<Figure>, tables: &mut Vec<Table>) -> Result<()> {
    let source = source(run, &images(run, predict::SCORES)?);
    figures.push(predict::figure(run, &source)?);
    tables.push(predict::table(run)?.measured_on(&source));
    let regression = frame::read_csv(&run.path(predict::regression::TABLE))?;
    figures.extend(predict::regression::figures(&regression)?);
    tables.push(predict::regression::table(&regression)?);
    Ok(())
}

/// What is written on every figure and table: what the network was trained on, and what the numbers
/// were `measured` on, if anything.
pub fn source(run: &Run, measured: &str) -> Source {
    let m = &run.manifest;
    let trained = some_of(m.data.train, m.config.train.limit);
    let mut data = format!(
        "{}: trained on {trained} at {} px, {} epochs, {}, seed {}",
        m.data.kind_in_words(),
        m.config.data.image_size,
        m.config.train.epochs,
        m.config.sparsity_in_words(),
        m.seed
    );
    if !measured.is_empty() {
        data.push_str(&format!("; measured on {measured}"));
    }
    Source { data, synthetic: m.data.synthetic }
}

/// How many of `all` faces a setting takes, 0 meaning all.
fn some_of(all: usize, limit: usize) -> usize {
    if limit == 0 { all } else { limit.min(all) }
}

/// How many images a table of accuracies was measured on.
fn images(run: &Run, file: &str) -> Result<String> {
    let images = frame::numbers(&run.read_csv(file)?, "images")?;
    Ok(format!("{} test faces", images.first().copied().unwrap_or(0.)))
}

fn architecture(run: &Run) -> Result<Architecture> {
    let (network, _) = train::load(&run.folder, &Device::Cpu)?;
    Ok(Architecture {
        image_size: run.manifest.config.data.image_size,
        blocks: network.extractor().plan(),
        attributes: ATTRIBUTES.len(),
        mask_kernel: network.config().mask_kernel,
        parameters: network.parameters(),
    })
}

/// The figure of this name.
fn figure<'a>(figures: &'a [Figure], name: &str) -> Option<&'a Figure> {
    figures.iter().find(|figure| figure.name() == name)
}

/// The table of this name.
fn table<'a>(tables: &'a [Table], name: &str) -> Option<&'a Table> {
    tables.iter().find(|table| table.name == name)
}

fn percent(share: f64) -> String {
    if share.is_nan() { "–".into() } else { format!("{:.2}", 100. * share) }
}
