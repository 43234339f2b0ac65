//! Stage `attribute`: the attribution methods that the paper reviews beside its own masks, on the
//! same faces, and how good each is.

mod asked;
mod checks;
mod comparison;
mod global;
mod overlay;
mod scores;
mod subject;

use anyhow::Context;
use foresee_attribution::{Explainer, Method, RegionImportance};

use self::comparison::{Comparison, Rows};
pub(crate) use self::overlay::{Overlay, map_on_image};
use self::subject::Subject;
pub(crate) use self::subject::graph_of;
pub use self::subject::model_of;
use crate::artifacts::{
    Artifact, AttributionCheck, AttributionFaces, AttributionMaps, AttributionScore,
    DependencePoint, PermutedParts, RandomisedStep, Row, SurrogateRow,
};
use crate::error::Result;
use crate::ranks::{self, World};
use crate::run::{Inputs, Run, Stage};
use crate::session::{MODEL, Session};
use crate::stages::jobs::Job;
use crate::stages::shared;

const FORMAT: u32 = 9;

/// All that the stage writes; which of these depends on the settings and the faces.
pub(crate) const FILES: [&str; 8] = [
    AttributionScore::PATH,
    AttributionMaps::PATH,
    AttributionFaces::PATH,
    AttributionCheck::PATH,
    RandomisedStep::PATH,
    PermutedParts::PATH,
    DependencePoint::PATH,
    SurrogateRow::PATH,
];

/// The stage; left out if no images are asked for.
pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.attribute.images == 0 {
        tracing::info!("attribute: left out (attribute.images = 0)");
        return Ok(());
    }
    let seed = run.manifest.seed;
    let attributes = &config.measure.attributes;
    let inputs = Inputs {
        stage: Stage::Attribute,
        format: FORMAT,
        settings: (&config.data, &config.attribute, attributes, seed),
        reads: &[MODEL],
    };
    run.stage(&inputs, |outputs| {
        let subject = Subject::new(outputs.run(), session)?;
        let methods = studied_methods(outputs.run());
        let attributes = config.measure.attribute_indices()?;
        let ranks = ranks::of(&session.device);
        let job = || Job::share(Stage::Attribute, subject.run);
        let mut regions = None;
        let parts = shared::job(&ranks, job, || {
            let regions = regions.insert(global::regions(&subject, &attributes, &methods)?);
            collect(&subject, regions, &methods, &ranks)
        })?;
        let regions = regions.context("this rank has collected its share")?;
        global::write(outputs, &subject, &attributes, &regions)?;
        let explainer = subject.explainer(regions.maps);
        let rows = Rows::choose(&subject, &attributes, &[])?;
        let comparison =
            Comparison::new(&subject, &explainer, &rows, &shown_methods(outputs.run()))?;
        outputs.write(&AttributionFaces(comparison.faces))?;
        outputs.write(&AttributionMaps(comparison.maps))?;
        let of_all = |i: usize| parts.iter().flat_map(|part| &part[i]).copied().collect::<Vec<_>>();
        scores::write(outputs, &subject, &methods, &of_all(0))?;
        checks::write(outputs, &subject, &methods, &of_all(1))
    })
}

/// What another rank collects for the stage.
pub(super) fn share(run: &Run, session: &Session) -> Result<[Vec<f64>; 2]> {
    let (subject, methods) = (Subject::new(run, session)?, studied_methods(run));
    let attributes = run.manifest.config.measure.attribute_indices()?;
    let regions = global::regions(&subject, &attributes, &methods)?;
    collect(&subject, &regions, &methods, &ranks::world())
}

/// Scores and checks of this rank's share of faces.
fn collect(
    subject: &Subject,
    regions: &RegionImportance,
    methods: &[Method],
    ranks: &World,
) -> Result<[Vec<f64>; 2]> {
    let explainer = subject.explainer(regions.maps.clone());
    let scores = scores::collect(subject, &explainer, methods, ranks)?;
    Ok([scores, checks::collect(subject, &explainer, methods, ranks)?])
}

/// The methods that a run's network and settings allow.
pub(crate) fn available_methods(run: &Run) -> Vec<Method> {
    Method::available(run.manifest.config.model.attention, global::permutes(run))
}

/// Those of the available methods that the stage compares.
pub(crate) fn studied_methods(run: &Run) -> Vec<Method> {
    Method::studied(run.manifest.config.model.attention, global::permutes(run))
}

/// The methods that the figure of all methods shows.
pub(crate) fn shown_methods(run: &Run) -> Vec<Method> {
    studied_methods(run).into_iter().filter(|method| *method != Method::Chance).collect()
}

/// Maps of methods for attributes on these faces, or, if none are given, on faces that have them.
pub(crate) fn compare(
    run: &Run,
    session: &Session,
    attributes: &[usize],
    faces: &[usize],
    methods: &[Method],
) -> Result<Comparison> {
    let subject = Subject::new(run, session)?;
    let regions = global::regions(&subject, attributes, methods)?.maps;
    let rows = Rows::choose(&subject, attributes, faces)?;
    let references = subject.references(methods)?;
    let explainer = Explainer { references, ..subject.explainer(regions) };
    Comparison::new(&subject, &explainer, &rows, methods)
}
