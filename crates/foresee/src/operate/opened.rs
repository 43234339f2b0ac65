//! A run, opened to be explored: its network, its test faces, and what is kept between requests.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use candle_core::{Device, Tensor};
use foresee_celeba::{CelebA, Preprocessing, Split};
use foresee_perturb::{Cut, GatedModel, Noise, PruneOrder, PruneRule, Takeover};
use foresee_report::Face;

use super::face_id::FaceId;
use super::operation::Pruning;
use super::recent::Recent;
use super::uploads::Uploads;

use crate::artifacts::FacePixels;
use crate::error::{Result, input};
use crate::hash::file_sha256;
use crate::program::program;
use crate::run::Run;
use crate::session::{MODEL, Session, Trained};
use crate::stages::adopt::adopt;
use crate::stages::prune::{PruneTables, study};

/// Pixels a side of a map over a face.
pub(crate) const MAP_SIDE: usize = 192;

/// Faces whose features are kept.
const KEPT_FACES: usize = 4;
/// Cuts that are kept.
const KEPT_CUTS: usize = 16;

/// A run, opened to be explored.
pub struct Opened {
    /// What tells its network from others.
    pub(crate) key: String,
    pub(crate) run: Run,
    pub(crate) session: Session,
    /// Test faces, ascending.
    pub(crate) test: Vec<usize>,
    pub(super) uploads: Uploads,
    tables: OnceLock<PruneTables>,
    orders: OnceLock<Vec<PruneOrder>>,
    faces: Recent<FaceId, Seen>,
    cuts: Recent<CutKey, Cut>,
}

/// The pruned channels and the takeover.
type CutKey = (Vec<usize>, Takeover);

/// A face as the network sees it.
pub(crate) struct Seen {
    pub id: FaceId,
    /// The number that decides its noise: of an upload the one behind the last.
    pub number: usize,
    /// [1, 3, H, W].
    pub image: Tensor,
    /// [1, C, H, W].
    pub features: Tensor,
    /// Logits without an operation, `[K]`.
    pub logits: Vec<f32>,
    /// Its pixels under maps, [`MAP_SIDE`] a side.
    pub shown: Face,
}

/// Refuses logits that are not finite.
pub(crate) fn finite(logits: Vec<f32>) -> Result<Vec<f32>> {
    match logits.iter().all(|logit| logit.is_finite()) {
        true => Ok(logits),
        false => Err(input("the logits of this face are not finite under this operation")),
    }
}

impl Opened {
    /// Opens the network and the faces of a run.
    ///
    /// # Errors
    /// If the run is not trained, or its faces are not those that it was made with.
    pub fn open(run: Run, device: Device) -> Result<Self> {
        Self::with(run, Session::new(device))
    }

    /// Opens the network of a model file with the faces of a folder. What it needs on
    /// the disk is in the empty folder `scratch`, which has to last as long.
    ///
    /// # Errors
    /// If either cannot be read, or the statistics of the network cannot be taken.
    pub fn open_model(model: &Path, faces: &Path, scratch: &Path, device: Device) -> Result<Self> {
        let (run, session) = adopt(model, faces, scratch, device)?;
        Self::with(run, session)
    }

    fn with(run: Run, session: Session) -> Result<Self> {
        let test = session.data(&run)?.split(Split::Test)?;
        if test.is_empty() {
            return Err(input("there is no test face to explore"));
        }
        session.trained(&run)?;
        let key = file_sha256(&run.path(MODEL))?[..16].to_owned();
        Ok(Self {
            key,
            run,
            session,
            test,
            uploads: Uploads::default(),
            tables: OnceLock::new(),
            orders: OnceLock::new(),
            faces: Recent::new(KEPT_FACES),
            cuts: Recent::new(KEPT_CUTS),
        })
    }

    pub(crate) fn trained(&self) -> Result<&Trained> {
        self.session.trained(&self.run)
    }

    pub(crate) fn data(&self) -> Result<&CelebA> {
        self.session.data(&self.run)
    }

    /// C.
    pub(crate) fn channels(&self) -> usize {
        self.run.manifest.config.model.channels
    }

    /// Whether the network has masks.
    pub(crate) fn has_masks(&self) -> bool {
        self.run.manifest.config.model.attention
    }

    /// A face of the test split or an upload; the first test face if none is named.
    pub(crate) fn face(&self, id: Option<&FaceId>) -> Result<Arc<Seen>> {
        let id = id.cloned().unwrap_or(FaceId::Test(self.test[0]));
        self.faces.get(id, |id| {
            let trained = self.trained()?;
            let image = self.image(id, trained.preprocessing.image_size)?;
            let features = trained.network.features(&image)?;
            let logits = trained.network.forward_features(&features)?.logits;
            let number = match id {
                FaceId::Test(number) => *number,
                FaceId::Upload(_) => self.data()?.len(),
            };
            Ok(Seen {
                id: id.clone(),
                number,
                image,
                features,
                logits: finite(logits.detach().squeeze(0)?.to_vec1()?)?,
                shown: self.pixels(id, MAP_SIDE)?,
            })
        })
    }

    /// Keeps an image of the person's own, if it can be decoded; its name.
    pub(crate) fn upload(&self, file: &[u8]) -> Result<String> {
        let read = self.trained()?.preprocessing.read_bytes(file);
        read.map_err(|reason| input(format!("the image {reason}")))?;
        Ok(self.uploads.keep(file))
    }

    /// What is seen of a face at so many pixels a side, [1, 3, size, size].
    pub(crate) fn image(&self, id: &FaceId, size: usize) -> Result<Tensor> {
        let preprocessing = Preprocessing { image_size: size, ..self.trained()?.preprocessing };
        let pixels = match id {
            FaceId::Test(face) => {
                self.check_is_test_face(*face)?;
                let data = self.data()?;
                let bytes = data.image_bytes(*face)?;
                let read = preprocessing.read_bytes(&bytes);
                read.map_err(|reason| anyhow::anyhow!("{} {reason}", data.name(*face)))?
            }
            FaceId::Upload(name) => {
                let bytes = self.uploads.get(name)?;
                let read = preprocessing.read_bytes(&bytes);
                read.map_err(|reason| input(format!("the image {reason}")))?
            }
        };
        Ok(Tensor::from_vec(pixels, (1, 3, size, size), &Device::Cpu)?
            .to_device(&self.session.device)?)
    }

    /// Refuses a face that is neither of the test split nor an upload that is still kept.
    pub(crate) fn check_face(&self, id: &FaceId) -> Result<()> {
        match id {
            FaceId::Test(face) => self.check_is_test_face(*face),
            FaceId::Upload(name) => self.uploads.get(name).map(drop),
        }
    }

    fn check_is_test_face(&self, face: usize) -> Result<()> {
        match self.test.binary_search(&face) {
            Ok(_) => Ok(()),
            Err(_) => Err(input(format!(
                "face {face} is none of the run's {} test faces; choose one of the list",
                self.test.len()
            ))),
        }
    }

    /// The pixels of a face, to be drawn.
    pub(crate) fn pixels(&self, id: &FaceId, size: usize) -> Result<Face> {
        let image = self.image(id, size)?;
        let normalisation = &self.trained()?.preprocessing.normalisation;
        let pixels = FacePixels::new(&["face"], &image, normalisation)?;
        Ok(pixels.faces().pop().context("a face has no pixels")?.1)
    }

    /// The noise of the run, as the stage `transform` adds it.
    pub(crate) fn noise(&self, sigma: f64, seed: u64) -> Result<Noise> {
        let card = &self.trained()?.card;
        Ok(Noise {
            sigma,
            clip: self.run.manifest.config.transform.clip,
            mean: card.mean.to_vec(),
            deviation: card.deviation.to_vec(),
            seed,
        })
    }

    /// What orders and takeovers are made from.
    pub(crate) fn tables(&self) -> Result<&PruneTables> {
        if let Some(tables) = self.tables.get() {
            return Ok(tables);
        }
        let read = PruneTables::read(&self.run, &self.trained()?.network, true);
        let tables = read.map_err(|e| {
            let folder = self.run.folder().display();
            input(format!(
                "orders of pruning and takeovers need the statistics of the run, which `{} measure \
                 --run {folder}` makes ({e:#})",
                program()
            ))
        })?;
        Ok(self.tables.get_or_init(|| tables))
    }

    /// The order of a rule, as the stage `prune` makes it.
    fn order(&self, rule: PruneRule, seed: u64) -> Result<PruneOrder> {
        if rule == PruneRule::Random {
            return Ok(PruneOrder::random(self.channels(), seed));
        }
        let orders = match self.orders.get() {
            Some(orders) => orders,
            None => {
                let inputs = self.tables()?.inputs();
                let all = foresee_perturb::PruneStudy { takeover: true, ..study(&self.run) };
                let orders = all.orders(&all.plans(&inputs)?, &inputs)?;
                self.orders.get_or_init(|| orders)
            }
        };
        let order = orders.iter().find(|order| order.rule == rule).cloned();
        order.with_context(|| format!("there is no order {}", rule.id()))
    }

    /// The channels that go, the first to go first.
    pub(crate) fn pruned(&self, pruning: &Pruning) -> Result<Vec<usize>> {
        Ok(match pruning {
            Pruning::Channels(channels) => channels.clone(),
            Pruning::Order { count: 0, .. } => vec![],
            Pruning::Order { rule, seed, count } => {
                self.order(*rule, *seed)?.pruned(*count).to_vec()
            }
        })
    }

    /// The smaller network, if any channel goes.
    pub(crate) fn cut(&self, pruned: &[usize], takeover: Takeover) -> Result<Option<Arc<Cut>>> {
        if pruned.is_empty() {
            return Ok(None);
        }
        if takeover == Takeover::Nothing {
            let kept = (0..self.channels()).filter(|c| !pruned.contains(c)).collect();
            return Ok(Some(Arc::new(Cut::Plain(kept))));
        }
        let absolute = self.run.manifest.config.prune.absolute;
        let make = |(pruned, takeover): &CutKey| {
            Ok(self.tables()?.statistics.cut(pruned, *takeover, absolute)?)
        };
        self.cuts.get((pruned.to_vec(), takeover), make).map(Some)
    }
}
