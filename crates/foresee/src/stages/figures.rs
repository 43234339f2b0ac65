//! Stage `figures`: every figure, every table and the report, from the run's files alone.

use foresee_report::{Figure, Table};

use super::{attribute, measure};
use crate::artifacts::{
    Accuracy, Artifact, AttributeAccuracy, AttributeNeighbour, Channel, GroupMember, MeanMasks,
    RegressionReport, Row, ScoredForecasts, TopChannel,
};
use crate::config::Figures;
use crate::error::Result;
use crate::faces;
use crate::figures::architecture::architecture;
use crate::figures::{self, Computed, Drawing, Needs, Request};
use crate::hash::sha256;
use crate::provenance::simulated;
use crate::run::{Inputs, Outputs, REPORT, Run, Stage};
use crate::session::{MODEL, Session};
use crate::{pages, tables};

const FORMAT: u32 = 7;

/// The files that every run's tables are made from.
const TABLES_READ: [&str; 8] = [
    MODEL,
    Accuracy::PATH,
    AttributeAccuracy::PATH,
    <Channel as Row>::PATH,
    MeanMasks::PATH,
    AttributeNeighbour::PATH,
    GroupMember::PATH,
    TopChannel::PATH,
];

/// Draws anew what is drawn already, after a stage was done by itself.
pub(crate) fn renew(run: &mut Run, session: &Session) -> Result<()> {
    match run.manifest.stages.contains_key(&Stage::Figures) {
        true => stage(run, session),
        false => Ok(()),
    }
}

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let manifest = run.manifest.clone();
    let reads = reads(run);
    let style = manifest.config.figures.style()?;
    let font = sha256(style.font.data());
    let settings = (&manifest.config, manifest.data.description(), manifest.seed, font);
    let inputs = Inputs { stage: Stage::Figures, format: FORMAT, settings, reads: &reads };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let settings = &manifest.config.figures;
        let drawings = figures::of(run);
        let computed = computed(run, session, settings, &drawings)?;
        let request = Request { run, computed, settings, style, panels: &[] };
        let figures = drawings.into_iter().map(|drawing| drawing.draw(&request));
        let figures = figures.collect::<Result<Vec<Figure>>>()?;
        save(outputs, &figures, &all_tables(run)?)
    })
}

/// What the drawings need for the attributes and faces that the settings name; nothing if they name
/// none.
pub(crate) fn computed(
    run: &Run,
    session: &Session,
    settings: &Figures,
    drawings: &[&Drawing],
) -> Result<Computed> {
    let mut computed = Computed::default();
    let is_asked = !settings.attributes.is_empty() || !settings.faces.is_empty();
    if !is_asked || drawings.iter().all(|drawing| drawing.needs.is_none()) {
        return Ok(computed);
    }
    let attributes = match settings.attribute_indices()? {
        none if none.is_empty() => run.manifest.config.measure.attribute_indices()?,
        named => named,
    };
    let faces = faces::named(session.data(run)?, &settings.faces)?;
    let draws = |subject| drawings.iter().any(|drawing| drawing.needs == Some(subject));
    if draws(Needs::Masks) {
        computed.figure4 = Some(measure::figure4(run, session, &attributes, &faces)?);
    }
    if draws(Needs::Maps) {
        let methods = attribute::shown_methods(run);
        let comparison = attribute::compare(run, session, &attributes, &faces, &methods)?;
        computed.comparison = Some((comparison.faces, comparison.maps));
    }
    Ok(computed)
}

/// The files that a run's figures and tables are made from, each once.
fn reads(run: &Run) -> Vec<&'static str> {
    let mut reads = TABLES_READ.to_vec();
    reads.extend(figures::of(run).into_iter().flat_map(|drawing| drawing.data));
    if run.manifest.config.predict.images > 0 {
        reads.extend([ScoredForecasts::PATH, RegressionReport::PATH]);
    }
    let made = |file: &&str| run.made(Stage::Attribute, file);
    reads.extend(attribute::FILES.iter().copied().filter(made));
    let mut seen = vec![];
    reads.retain(|file| {
        let is_new = !seen.contains(file);
        seen.push(*file);
        is_new
    });
    reads
}

fn all_tables(run: &Run) -> Result<Vec<Table>> {
    let mut all = tables::of_the_paper(run, &architecture(run)?)?;
    if run.manifest.config.predict.images > 0 {
        all.push(tables::predictability(run)?);
        let report: RegressionReport = run.read()?;
        all.push(tables::regression(&report, &simulated()));
    }
    if run.manifest.stages.contains_key(&Stage::Attribute) {
        all.extend(tables::attribution(run)?);
    }
    Ok(all)
}

fn save(outputs: &mut Outputs, figures: &[Figure], tables: &[Table]) -> Result<()> {
    let run = outputs.run();
    outputs.add(REPORT);
    for figure in figures {
        outputs.add_written(figure.save(&run.path("figures"))?);
    }
    for table in tables {
        outputs.add_written(table.save(&run.path("tables"))?);
    }
    pages::run::write(run, figures, tables)
}
