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
use serde::{Deserialize, Serialize};

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
use crate::stages::shared::{self, SharedItems};

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
    write: impl FnOnce(&Parts, Vec<OfParts>) -> Result<()>,
) -> Result<()> {
    let mut kept = None;
    let permuted = opened.and_then(|opened| kept.insert(opened).permuted(ranks));
    let sent = shared::gather_at_all(ranks, permuted)?;
    let opened = kept.context("this rank has opened the run")?;
    let explained = opened.explained(sent, ranks);
    let parts = match &explained {
        Ok(explained) => Parts::new(explained),
        Err(e) => Err(anyhow!("{e:#}")),
    };
    let mut kept = None;
    let own = parts.and_then(|parts| kept.insert(parts).compute_own(ranks));
    let sent = shared::gather(ranks, own)?;
    let parts = kept.context("this rank has computed its share")?;
    if ranks.rank() == 0 { write(&parts, sent) } else { Ok(()) }
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
    fn explained(&self, mut sent: Vec<OfPermuted>, ranks: &World) -> Result<Explained<'_>> {
        let of_cells = take(&mut sent, |of| &mut of.cells);
        let regions = |cells: &Permuted| {
            cells.region_importance(&self.subject, &self.attributes, of_cells, ranks)
        };
        let regions = self.cells.as_ref().map(regions).transpose()?.unwrap_or_default();
        let of_channels = take(&mut sent, |of| &mut of.channels);
        let channels = |channels: &Permuted| channels.importances(of_channels, ranks);
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
#[derive(Serialize, Deserialize)]
struct OfPermuted {
    cells: Found<Permuted>,
    channels: Found<Permuted>,
}

/// What a rank computes of each of the [`Parts`].
#[derive(Serialize, Deserialize)]
struct OfParts {
    dependence: Found<Dependence<'static>>,
    surrogates: Found<Surrogates<'static>>,
    maps: Found<Maps<'static>>,
    scores: Found<Scoring<'static>>,
    checks: Found<Checking<'static>>,
}

/// What a rank finds of the things that it has.
type Found<S> = Vec<<S as SharedItems>::Found>;

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
    fn write(&self, outputs: &mut Outputs, mut sent: Vec<OfParts>, ranks: &World) -> Result<()> {
        let sent = &mut sent;
        self.write_permuted(outputs)?;
        if let Some(dependence) = &self.dependence {
            outputs.write(&dependence.points(take(sent, |of| &mut of.dependence), ranks)?)?;
        }
        if let Some(surrogates) = &self.surrogates {
            outputs.write(&surrogates.rows(take(sent, |of| &mut of.surrogates), ranks)?)?;
        }
        let Comparison { faces, maps } =
            self.maps.comparison(take(sent, |of| &mut of.maps), ranks)?;
        outputs.write(&AttributionFaces(faces))?;
        outputs.write(&AttributionMaps(maps))?;
        self.scoring.write(outputs, take(sent, |of| &mut of.scores), ranks)?;
        self.checking.write(outputs, take(sent, |of| &mut of.checks), ranks)
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
fn take<T, L: Default>(sent: &mut [T], list: impl Fn(&mut T) -> &mut L) -> Vec<L> {
    sent.iter_mut().map(|lists| std::mem::take(list(lists))).collect()
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
