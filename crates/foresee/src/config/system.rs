//! Which system a run trains: the paper's network, or one that it is compared with.

use std::path::Path;

use foresee_baselines::{
    AbnConfig, AnetConfig, Depth, LnetsAnetConfig, Maps, MoonConfig, PandaConfig, ResNetConfig,
    Stem,
};
use foresee_celeba::ATTRIBUTES;
use serde::{Deserialize, Serialize};

use super::sections::{Data, crop_of_card};
use crate::error::{Result, input};

/// Which system a run trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct System {
    pub name: SystemName,
    /// Channels of the first stage, of PANDA's parts, or of LNets+ANet's second convolutions.
    pub width: usize,
    /// Layers of an ABN's ResNet.
    pub depth: usize,
    /// Whether ABN has an attention map for each attribute, as its authors' network for CelebA, in
    /// place of one for all.
    pub map_each: bool,
    /// How a ResNet, or an ABN's, begins.
    #[serde(default, skip_serializing_if = "StemChoice::is_auto")]
    pub stem: StemChoice,
    /// A file of weights to begin with; empty: none.
    pub weights: String,
    /// Training images that a person must have for ANet to learn to tell people by them first; 0:
    /// it does not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub identities: usize,
    /// How much it counts, while ANet learns to tell people, that features of the same person are
    /// apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub similarity: f64,
    /// Windows that ANet sees of a face: 1 or 5.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub windows: usize,
}

/// Pixels of a side from which on a ResNet begins as for large images.
const LARGE: usize = 128;

/// How a ResNet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StemChoice {
    /// As is usual for the size of the images.
    #[default]
    Auto,
    /// With a 3×3 convolution.
    Small,
    /// With a 7×7 convolution and a pool, as torchvision's.
    Large,
}

impl StemChoice {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }

    fn of(self, image_size: usize) -> Stem {
        match self {
            Self::Auto if image_size >= LARGE => Stem::Large,
            Self::Auto | Self::Small => Stem::Small,
            Self::Large => Stem::Large,
        }
    }
}

fn is_zero<T: PartialEq + From<u8>>(value: &T) -> bool {
    *value == T::from(0)
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == one()
}

/// Settings of `train` for the paper's network alone, besides the options of its training.
pub(crate) const OF_PAPER: [&str; 5] =
    ["lambda", "sparsity", "sleep", "micro_batch", "gpu_micro_batch"];

/// Sections for the paper's network alone.
const STAGES_OF_PAPER: [&str; 7] =
    ["model", "measure", "prune", "transform", "predict", "attribute", "figures"];

/// The systems of the paper's Table 3 that can be trained. To add one, add it here.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[clap(rename_all = "lowercase")]
pub(crate) enum SystemName {
    /// The paper's network.
    Paper,
    /// A residual network of 18 layers.
    Resnet18,
    /// Of 34 layers.
    Resnet34,
    /// Of 50 layers.
    Resnet50,
    /// Of 101 layers.
    Resnet101,
    /// An attention branch network.
    Abn,
    /// A mixed objective optimization network.
    Moon,
    /// Hand-made features of face regions and support vector machines.
    Facetracer,
    /// Networks of parts of the face and support vector machines.
    Panda,
    /// Networks that find the face, one that sees it, and support vector machines.
    #[serde(rename = "lnets-anet")]
    #[clap(name = "lnets-anet")]
    LnetsAnet,
}

/// A system that is trained like the paper's network.
pub(crate) type Baseline = foresee_baselines::System;

impl SystemName {
    /// All of them, as the table lists them.
    pub const ALL: [Self; 10] = [
        Self::Facetracer,
        Self::Panda,
        Self::LnetsAnet,
        Self::Moon,
        Self::Resnet18,
        Self::Resnet34,
        Self::Resnet50,
        Self::Resnet101,
        Self::Abn,
        Self::Paper,
    ];

    /// Its name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet101 => "resnet101",
            Self::Abn => "abn",
            Self::Moon => "moon",
            Self::Facetracer => "facetracer",
            Self::Panda => "panda",
            Self::LnetsAnet => "lnets-anet",
        }
    }

    /// The system of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.id() == id)
    }

    /// Whether a key, such as `train.lambda`, decides anything of this system's training. Unknown
    /// sections are left to others.
    pub fn takes(self, key: &str) -> bool {
        let Some((section, name)) = key.split_once('.') else { return true };
        match (self, section) {
            (_, "data") => true,
            (Self::Paper, section) => section != "system",
            (Self::Facetracer, "train") => name == "limit",
            (Self::Facetracer, "system") => name == "name",
            (_, "train") => !OF_PAPER.contains(&name),
            (_, "system") => self.takes_of_systems(name),
            (_, section) => !STAGES_OF_PAPER.contains(&section),
        }
    }

    fn takes_of_systems(self, name: &str) -> bool {
        match name {
            "depth" | "map_each" => self == Self::Abn,
            "stem" => !matches!(self, Self::Moon | Self::Panda | Self::LnetsAnet),
            "identities" | "similarity" | "windows" => self == Self::LnetsAnet,
            _ => true,
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Paper => "the paper's network",
            Self::Resnet18 => "ResNet-18",
            Self::Resnet34 => "ResNet-34",
            Self::Resnet50 => "ResNet-50",
            Self::Resnet101 => "ResNet-101",
            Self::Abn => "ABN",
            Self::Moon => "MOON",
            Self::Facetracer => "FaceTracer",
            Self::Panda => "PANDA-l",
            Self::LnetsAnet => "LNets+ANet",
        }
    }
}

impl System {
    /// The network of these settings for these images; `None` of the paper's network, which has
    /// settings of its own, and of what is no network.
    pub fn baseline(&self, data: &Data) -> Result<Option<Baseline>> {
        let resnet = |depth| ResNetConfig {
            depth,
            width: self.width,
            attributes: ATTRIBUTES.len(),
            stem: self.stem.of(data.image_size),
        };
        let system = match self.name {
            SystemName::Paper | SystemName::Facetracer => return Ok(None),
            SystemName::Resnet18 => Baseline::ResNet(resnet(Depth::D18)),
            SystemName::Resnet34 => Baseline::ResNet(resnet(Depth::D34)),
            SystemName::Resnet50 => Baseline::ResNet(resnet(Depth::D50)),
            SystemName::Resnet101 => Baseline::ResNet(resnet(Depth::D101)),
            SystemName::Abn => {
                let resnet = resnet(self.depth()?);
                let maps = if self.map_each { Maps::Attributes } else { Maps::Shared };
                Baseline::Abn(AbnConfig { resnet, maps, ..Default::default() })
            }
            SystemName::Moon => Baseline::Moon(MoonConfig {
                attributes: ATTRIBUTES.len(),
                image_size: [data.image_size; 2],
                width: self.width,
                batch_norm: true,
                ..Default::default()
            }),
            SystemName::Panda => Baseline::Panda(PandaConfig {
                attributes: ATTRIBUTES.len(),
                image_size: data.image_size,
                crop: crop_of_card(data.crop),
                part_size: (data.image_size / 32 * 16).clamp(16, 256),
                width: self.width,
                ..Default::default()
            }),
            SystemName::LnetsAnet => Baseline::LnetsAnet(LnetsAnetConfig {
                attributes: ATTRIBUTES.len(),
                image_size: data.image_size,
                face_size: (data.image_size * 3 / 4).next_multiple_of(16).min(512),
                width: self.width,
                windows: self.windows,
                ..Default::default()
            }),
        };
        system.check().map_err(|e| input(format!("system.name = {}: {e}", self.name.id())))?;
        Ok(Some(system))
    }

    /// LNets+ANet's ANet that tells so many people; `None` of another system.
    pub fn anet(&self, data: &Data, people: usize) -> Result<Option<Baseline>> {
        let Some(Baseline::LnetsAnet(lnets_anet)) = self.baseline(data)? else { return Ok(None) };
        let system = Baseline::Anet(AnetConfig { lnets_anet, people, similarity: self.similarity });
        system.check().map_err(|e| input(format!("system.identities, system.similarity: {e}")))?;
        Ok(Some(system))
    }

    fn depth(&self) -> Result<Depth> {
        let found = Depth::ALL.into_iter().find(|depth| depth.layers() == self.depth);
        found.ok_or_else(|| {
            input(format!("system.depth = {} is not possible: 18, 34, 50 or 101", self.depth))
        })
    }

    /// The file of weights to begin with, if there is one.
    pub fn weights(&self) -> Option<&Path> {
        (!self.weights.is_empty()).then(|| Path::new(&self.weights))
    }

    /// Makes sure that every setting is in its range.
    pub fn check(&self, data: &Data) -> Result<()> {
        self.depth()?;
        self.baseline(data)?;
        let of_anet = self.name == SystemName::LnetsAnet;
        if self.similarity != 0. && self.identities == 0 {
            return Err(input("system.similarity is for an ANet that learns system.identities"));
        }
        if self.windows != 1 && !of_anet {
            let title = self.name.title();
            return Err(input(format!("system.windows is for LNets+ANet, not for {title}")));
        }
        match (self.identities, self.weights()) {
            (1.., _) if !of_anet => {
                return Err(input(format!(
                    "system.identities is for LNets+ANet, not for {}",
                    self.name.title()
                )));
            }
            (1.., Some(_)) => {
                return Err(input(
                    "system.identities and system.weights: ANet begins with either, not with both",
                ));
            }
            _ => {}
        }
        match (self.name, self.weights()) {
            (SystemName::Paper | SystemName::Facetracer, Some(_)) => Err(input(format!(
                "system.weights is for a network other than the paper's, not for {}",
                self.name.title()
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_takes_its_own_settings() {
        use SystemName::{Abn, Facetracer, LnetsAnet, Moon, Paper, Resnet18};
        for (system, takes, takes_not) in [
            (Paper, ["train.lambda", "prune.images"], ["system.width", "system.depth"]),
            (Moon, ["train.epochs", "system.width"], ["train.lambda", "system.stem"]),
            (Abn, ["system.depth", "system.stem"], ["model.channels", "system.windows"]),
            (LnetsAnet, ["system.windows", "data.crop"], ["system.depth", "predict.images"]),
            (Resnet18, ["system.stem", "system.name"], ["train.micro_batch", "system.map_each"]),
            (Facetracer, ["train.limit", "data.image_size"], ["train.epochs", "system.width"]),
        ] {
            assert!(takes.iter().all(|key| system.takes(key)), "{}", system.id());
            assert!(!takes_not.iter().any(|key| system.takes(key)), "{}", system.id());
        }
        // A wrong name is refused as such.
        assert!(Moon.takes("abacus.beads") && Moon.takes("system.beads") && Moon.takes("beads"));
    }
}
