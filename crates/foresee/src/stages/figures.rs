//! Stage `figures`: every figure, every table and the report, from the run's files alone.

use candle_core::Device;
use foresee_celeba::ATTRIBUTES;
use foresee_model::Network;
use foresee_report::{Architecture, Figure, Table};

use super::attribute;
use crate::artifacts::{
    Accuracy, Artifact, AttributeAccuracy, AttributeNeighbour, AttributionFaces, AttributionMaps,
    Channel, ChannelCorrelation, Figure4Faces, Figure4Masks, GroupMember, MeanMasks, PruningCurves,
    RegressionReport, Row, ScoredForecasts, TopChannel, TrainingStep, TransformationCurves,
    Validation,
};
use crate::error::Result;
use crate::run::{Inputs, Outputs, REPORT, Run, Stage};
use crate::session::MODEL;
use crate::{figures, pages, tables};

const FORMAT: u32 = 4;

/// The files that every run's figures are drawn from.
const READS: [&str; 15] = [
    MODEL,
    TrainingStep::PATH,
    Validation::PATH,
    Accuracy::PATH,
    AttributeAccuracy::PATH,
    Channel::PATH,
    ChannelCorrelation::PATH,
    MeanMasks::PATH,
    AttributeNeighbour::PATH,
    GroupMember::PATH,
    TopChannel::PATH,
    Figure4Faces::PATH,
    Figure4Masks::PATH,
    PruningCurves::PATH,
    TransformationCurves::PATH,
];

/// The figure of all methods on faces.
const COMPARISON: &str = "attribution_comparison";

/// Draws anew what is drawn already, after a stage was done by itself.
pub(crate) fn renew(run: &mut Run) -> Result<()> {
    match run.manifest.stages.contains_key(&Stage::Figures) {
        true => stage(run),
        false => Ok(()),
    }
}

pub(crate) fn stage(run: &mut Run) -> Result<()> {
    let manifest = run.manifest.clone();
    let predicted = manifest.config.predict.images > 0;
    let attributed = manifest.stages.contains_key(&Stage::Attribute);
    let mut reads = READS.to_vec();
    if predicted {
        reads.extend([ScoredForecasts::PATH, RegressionReport::PATH]);
    }
    if attributed {
        let made = |file: &&str| run.made(Stage::Attribute, file);
        reads.extend(attribute::FILES.iter().copied().filter(made));
    }
    let settings = (&manifest.config, manifest.data.description(), manifest.seed);
    let inputs = Inputs { stage: Stage::Figures, format: FORMAT, settings, reads: &reads };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let architecture = architecture(run)?;
        let mut drawn = Drawn {
            figures: figures::of_the_paper(run, &architecture)?,
            tables: tables::of_the_paper(run, &architecture)?,
        };
        if predicted {
            drawn.predictability(run)?;
        }
        if attributed {
            drawn.attribution(run)?;
        }
        drawn.save(outputs)
    })
}

/// What is drawn of a run.
struct Drawn {
    figures: Vec<Figure>,
    tables: Vec<Table>,
}

impl Drawn {
    /// What the stage `predict` found.
    fn predictability(&mut self, run: &Run) -> Result<()> {
        self.figures.push(figures::predictability(run)?);
        self.tables.push(tables::predictability(run)?);
        let report: RegressionReport = run.read()?;
        let source = pages::regression::source();
        self.figures.extend(figures::regression(&report, &source)?);
        self.tables.push(tables::regression(&report, &source));
        Ok(())
    }

    /// What the stage `attribute` found.
    fn attribution(&mut self, run: &Run) -> Result<()> {
        let faces: AttributionFaces = run.read()?;
        let maps: AttributionMaps = run.read()?;
        self.figures.push(figures::attributions(run, COMPARISON, &faces.0, &maps.0)?);
        self.tables.extend(tables::attribution(run)?);
        Ok(())
    }

    fn save(&self, outputs: &mut Outputs) -> Result<()> {
        let run = outputs.run();
        outputs.add(REPORT);
        for figure in &self.figures {
            outputs.add_written(figure.save(&run.path("figures"))?);
        }
        for table in &self.tables {
            outputs.add_written(table.save(&run.path("tables"))?);
        }
        pages::run::write(run, &self.figures, &self.tables)
    }
}

fn architecture(run: &Run) -> Result<Architecture> {
    let (network, _) = Network::load(&run.path(MODEL), &Device::Cpu)?;
    let config = network.config();
    Ok(Architecture {
        image_size: run.manifest.config.data.image_size,
        blocks: network.extractor().plan(),
        attributes: ATTRIBUTES.len(),
        mask_kernel: config.attention.then_some(config.mask_kernel),
        parameters: network.parameters(),
    })
}
