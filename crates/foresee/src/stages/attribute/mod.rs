//! Stage `attribute`: the attribution methods that the paper reviews beside its own masks, on the
//! same faces, and how good each is.

mod asked;
mod checks;
mod comparison;
mod dependence;
mod overlay;
mod permutation;
mod scores;
mod subject;
mod surrogates;

use anyhow::{Context, anyhow};
use foresee_attribution::{Explainer, Importance, Method, PartKind};
use foresee_ranks::Communicator;

use self::checks::Checking;
use self::comparison::{Comparison, Maps, Rows};
use self::dependence::Dependence;
pub(crate) use self::overlay::{Overlay, map_on_image};
use self::permutation::Permuted;
use self::scores::Scoring;
use self::subject::Subject;
pub(crate) use self::subject::graph_of;
pub use self::subject::model_of;
use self::surrogates::Surrogates;
use crate::artifacts::{
    Artifact, AttributionCheck, AttributionFaces, AttributionMaps, AttributionScore,
    DependencePoint, PermutedParts, RandomisedStep, Row, SurrogateRow,
};
use crate::error::Result;
use crate::ranks::{self, World};
use crate::run::{Inputs, Outputs, Run, Stage};
use crate::session::{MODEL, Session};
use crate::stages::jobs::Job;
use crate::stages::shared::{self, Parcel, SharedItems, unwrap_lists, wrap_lists};

const FORMAT: u32 = 10;

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
        let run = outputs.run();
        let ranks = ranks::of(&session.device);
        shared::call(&ranks, || Job::share(Stage::Attribute, run, &session.device))?;
        together(Opened::new(run, session), &ranks, |parts, sent| {
            parts.write(outputs, sent, &ranks)
        })
    })
}

/// Another rank's part in the stage.
pub(super) fn follow(place: &Result<(Run, Session)>) -> Result<()> {
    let opened = match place {
        Ok((run, session)) => Opened::new(run, session),
        Err(e) => Err(anyhow!("{e:#}")),
    };
    together(opened, &ranks::world(), |_, _| Ok(()))
}

/// The part of each rank, which rank 0 ends by writing what all have computed. Ranks meet twice:
/// some methods need the importance of all cells, and dependence that of all channels.
fn together(
    opened: Result<Opened>,
    ranks: &World,
    write: impl FnOnce(&Parts, &[OfParts]) -> Result<()>,
) -> Result<()> {
    let mut kept = None;
    let permuted = opened.and_then(|opened| kept.insert(opened).permuted(ranks));
    let sent = shared::gather_at_all(ranks, permuted)?;
    let opened = kept.context("this rank has opened the run")?;
    let explained = opened.explained(&sent, ranks);
    let parts = match &explained {
        Ok(explained) => Parts::new(explained),
        Err(e) => Err(anyhow!("{e:#}")),
    };
    let mut kept = None;
    let own = parts.and_then(|parts| kept.insert(parts).compute_own(ranks));
    let sent = shared::gather(ranks, own)?;
    let parts = kept.context("this rank has computed its share")?;
    if ranks.rank() == 0 { write(&parts, &sent) } else { Ok(()) }
}

/// A network, and what is permuted of its inputs and features.
struct Opened<'a> {
    subject: Subject<'a>,
    attributes: Vec<usize>,
    methods: Vec<Method>,
    cells: Option<Permuted>,
    channels: Option<Permuted>,
}

impl<'a> Opened<'a> {
    fn new(run: &'a Run, session: &'a Session) -> Result<Self> {
        let subject = Subject::new(run, session)?;
        let attributes = run.manifest.config.measure.attribute_indices()?;
        let methods = studied_methods(run);
        let cells = Permuted::regions(&subject, &attributes, &methods)?;
        let channels = Permuted::channels(&subject, &attributes)?;
        Ok(Self { subject, attributes, methods, cells, channels })
    }

    /// The importance of this rank's cells and channels.
    fn permuted(&self, ranks: &World) -> Result<OfPermuted> {
        let (cells, channels) = (self.cells.compute_own(ranks)?, self.channels.compute_own(ranks)?);
        Ok(OfPermuted { cells, channels })
    }

    /// What all ranks found permuted, and the methods that rest on it.
    fn explained(&self, sent: &[OfPermuted], ranks: &World) -> Result<Explained<'_>> {
        let of_cells = list(sent, |of| &of.cells);
        let regions = |cells: &Permuted| {
            cells.region_importance(&self.subject, &self.attributes, &of_cells, ranks)
        };
        let regions = self.cells.as_ref().map(regions).transpose()?.unwrap_or_default();
        let channels =
            |channels: &Permuted| channels.importances(&list(sent, |of| &of.channels), ranks);
        let channels = self.channels.as_ref().map(channels).transpose()?.unwrap_or_default();
        let explainer = self.subject.explainer(regions.maps);
        let shown = shown_methods(self.subject.run);
        Ok(Explained { opened: self, regions: regions.importances, channels, explainer, shown })
    }
}

/// What the parts of the stage have in common.
struct Explained<'a> {
    opened: &'a Opened<'a>,
    /// For each attribute, the importance of each cell and channel.
    regions: Vec<Vec<Importance>>,
    channels: Vec<Vec<Importance>>,
    explainer: Explainer,
    shown: Vec<Method>,
}

/// What a rank computes of its cells and channels that are permuted.
struct OfPermuted {
    cells: Vec<f64>,
    channels: Vec<f64>,
}

impl Parcel for OfPermuted {
    fn wrap(&self) -> Result<Vec<u8>> {
        wrap_lists([&self.cells, &self.channels])
    }

    fn unwrap(bytes: &[u8]) -> Result<Self> {
        let [cells, channels] = unwrap_lists(bytes)?;
        Ok(Self { cells, channels })
    }
}

/// What a rank computes of each of the [`Parts`].
struct OfParts {
    dependence: Vec<f64>,
    surrogates: Vec<f64>,
    maps: Vec<f64>,
    scores: Vec<f64>,
    checks: Vec<f64>,
}

impl Parcel for OfParts {
    fn wrap(&self) -> Result<Vec<u8>> {
        let Self { dependence, surrogates, maps, scores, checks } = self;
        wrap_lists([dependence, surrogates, maps, scores, checks])
    }

    fn unwrap(bytes: &[u8]) -> Result<Self> {
        let [dependence, surrogates, maps, scores, checks] = unwrap_lists(bytes)?;
        Ok(Self { dependence, surrogates, maps, scores, checks })
    }
}

/// The parts of the stage that ranks share.
struct Parts<'a> {
    explained: &'a Explained<'a>,
    dependence: Option<Dependence<'a>>,
    surrogates: Option<Surrogates<'a>>,
    maps: Maps<'a>,
    scoring: Scoring<'a>,
    checking: Checking<'a>,
}

impl<'a> Parts<'a> {
    fn new(explained: &'a Explained<'a>) -> Result<Self> {
        let Opened { subject, attributes, methods, channels, .. } = explained.opened;
        let Explained { explainer, shown, .. } = explained;
        let dependence = |permuted: &'a Permuted| {
            let (z, parts) = (&permuted.x, permuted.parts());
            Dependence::new(subject, attributes, z, parts, &explained.channels)
        };
        let rows = Rows::choose(subject, attributes, &[])?;
        Ok(Self {
            explained,
            dependence: channels.as_ref().map(dependence).transpose()?,
            surrogates: Surrogates::new(subject, attributes)?,
            maps: Maps::new(subject, explainer, rows, shown)?,
            scoring: Scoring::new(subject, explainer, attributes, methods),
            checking: Checking::new(subject, explainer, attributes, methods)?,
        })
    }

    fn compute_own(&self, ranks: &World) -> Result<OfParts> {
        Ok(OfParts {
            dependence: self.dependence.compute_own(ranks)?,
            surrogates: self.surrogates.compute_own(ranks)?,
            maps: self.maps.compute_own(ranks)?,
            scores: self.scoring.compute_own(ranks)?,
            checks: self.checking.compute_own(ranks)?,
        })
    }

    /// Writes what all ranks have computed.
    fn write(&self, outputs: &mut Outputs, sent: &[OfParts], ranks: &World) -> Result<()> {
        self.write_permuted(outputs)?;
        if let Some(dependence) = &self.dependence {
            outputs.write(&dependence.points(&list(sent, |of| &of.dependence), ranks)?)?;
        }
        if let Some(surrogates) = &self.surrogates {
            outputs.write(&surrogates.rows(&list(sent, |of| &of.surrogates), ranks)?)?;
        }
        let Comparison { faces, maps } = self.maps.comparison(&list(sent, |of| &of.maps), ranks)?;
        outputs.write(&AttributionFaces(faces))?;
        outputs.write(&AttributionMaps(maps))?;
        self.scoring.write(outputs, &list(sent, |of| &of.scores), ranks)?;
        self.checking.write(outputs, &list(sent, |of| &of.checks), ranks)
    }

    fn write_permuted(&self, outputs: &mut Outputs) -> Result<()> {
        let Explained { opened, regions, channels, .. } = self.explained;
        let Opened { subject, attributes, .. } = opened;
        if !permutation::permutes(subject.run) {
            return Ok(());
        }
        let labels = permutation::other_labels(subject, attributes)?;
        let all = [
            (PartKind::Region, &regions[..]),
            (PartKind::Channel, &channels[..]),
            (PartKind::Attribute, &labels[..]),
        ];
        outputs.write(&permutation::permuted_parts(attributes, &all))
    }
}

/// One of the lists that each rank sent.
fn list<T>(sent: &[T], list: impl Fn(&T) -> &Vec<f64>) -> Vec<Vec<f64>> {
    sent.iter().map(|lists| list(lists).clone()).collect()
}

/// The methods that a run's network and settings allow.
pub(crate) fn available_methods(run: &Run) -> Vec<Method> {
    Method::available(run.manifest.config.model.attention, permutation::permutes(run))
}

/// Those of the available methods that the stage compares.
pub(crate) fn studied_methods(run: &Run) -> Vec<Method> {
    Method::studied(run.manifest.config.model.attention, permutation::permutes(run))
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
    let regions = permutation::regions_alone(&subject, attributes, methods)?.maps;
    let rows = Rows::choose(&subject, attributes, faces)?;
    let references = subject.references(methods)?;
    let explainer = Explainer { references, ..subject.explainer(regions) };
    Maps::new(&subject, &explainer, rows, methods)?.comparison_alone()
}
