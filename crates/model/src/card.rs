//! `model.safetensors`: a network with a card that describes it.

use std::path::Path;

use candle_core::Device;
use foresee_files::write_atomic;
use serde::{Deserialize, Serialize};

use foresee_kernels::Rows;

use crate::config::NetworkConfig;
use crate::conventions::Conventions;
use crate::error::{Error, Result};
use crate::file::{Contents, encode, set_tensors};
use crate::left_out::LeftOut;
use crate::network::Network;

/// The largest height and width of images that a card can have.
const LARGEST_IMAGE: usize = 8192;

/// Which part of a face image the network sees, before it is resized to a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// The largest centred square.
    #[default]
    Square,
    /// All of it, squeezed.
    Whole,
}

impl Crop {
    /// All crops.
    pub const ALL: [Self; 2] = [Self::Square, Self::Whole];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Square => "centred squares",
            Self::Whole => "whole images",
        }
    }

    /// The name in files, such as a model's card.
    pub fn id(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Whole => "whole",
        }
    }

    /// The crop of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|crop| crop.id() == id)
    }
}

/// What a model file says about its network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The architecture.
    pub network: NetworkConfig,
    /// Names of the K attributes, in the order of the logits.
    pub attributes: Vec<String>,
    /// Height and width of the images it was trained on.
    pub image_size: usize,
    /// Which part of a face the images show. Older files leave out [`Crop::Square`].
    #[serde(default)]
    pub crop: Crop,
    /// Mean that was subtracted from pixels in [0, 1], for each colour channel.
    pub mean: [f32; 3],
    /// Standard deviation that pixels were divided by afterwards, for each colour channel.
    pub deviation: [f32; 3],
    /// The rest of the preprocessing, and the threshold. Older files leave it out.
    #[serde(default)]
    pub conventions: Conventions,
    /// Seed of the initial weights and of the training.
    pub seed: u64,
    /// The training images, in words for people.
    pub trained_on: String,
    /// SHA-256 of a line for each image in the split that it was trained on, sorted: the image's
    /// name, a space, its labels as 0 or 1, and a line feed. Older files leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_split_sha256: Option<String>,
    /// For a pruned network: which channels of the unpruned network it kept, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_channels: Option<Vec<usize>>,
    /// For a compacted network: which rows of its heads it has, and what leaving out the others
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

impl ModelCard {
    /// Why this cannot be the card of a network, if it cannot.
    fn problem(&self) -> Option<String> {
        if self.attributes.len() != self.network.attributes {
            return Some(format!(
                "its card names {} attributes, but its network has {}",
                self.attributes.len(),
                self.network.attributes
            ));
        }
        if !(1..=LARGEST_IMAGE).contains(&self.image_size) {
            return Some(format!(
                "its card has an image size of {}, expected 1 to {LARGEST_IMAGE}",
                self.image_size
            ));
        }
        if self.conventions != Conventions::default() {
            return Some(format!(
                "its card asks for {:?}, but this version of Foresee knows {:?} only",
                self.conventions,
                Conventions::default()
            ));
        }
        let NetworkConfig { attributes, channels, .. } = self.network;
        let left_out = self.left_out.as_ref();
        if let Some(reason) = left_out.and_then(|rows| rows.problem(attributes, channels)) {
            return Some(reason);
        }
        let means = self.mean.iter().all(|m| m.is_finite());
        let deviations = self.deviation.iter().all(|d| *d > 0. && d.is_finite());
        (!means || !deviations).then(|| {
            format!(
                "its card has a normalisation by {:?} and {:?}, expected finite means and \
                 positive deviations",
                self.mean, self.deviation
            )
        })
    }
}

impl ModelCard {
    /// What is left out of the heads, in words, if anything is.
    pub fn compaction(&self) -> Option<String> {
        Some(self.left_out.as_ref()?.title(self.network.channels))
    }

    /// The card of this card's network after pruning. `kept` are the channels that it kept.
    ///
    /// Of a compacted network it names the rows that are left of those kept. What compacting
    /// changed was measured before the pruning, so the new card does not state it.
    ///
    /// ```
    /// use candle_core::Device;
    /// use foresee_model::{Conventions, Crop, ModelCard, Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 1, channels: 4, ..Default::default() };
    /// let network = Network::new(config.clone(), 7, &Device::Cpu)?;
    /// let card = ModelCard {
    ///     network: config,
    ///     attributes: vec!["Smiling".into()],
    ///     image_size: 32,
    ///     crop: Crop::Square,
    ///     mean: [0.5; 3],
    ///     deviation: [0.5; 3],
    ///     conventions: Conventions::default(),
    ///     seed: 7,
    ///     trained_on: "nothing".into(),
    ///     training_split_sha256: None,
    ///     kept_channels: None,
    ///     left_out: None,
    /// };
    /// let pruned = card.pruned(&network.keep_channels(&[0, 3])?, &[0, 3]);
    /// assert_eq!((pruned.network.channels, pruned.kept_channels), (2, Some(vec![0, 3])));
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    #[must_use]
    pub fn pruned(&self, pruned: &Network, kept: &[usize]) -> Self {
        let left_out = self
            .left_out
            .as_ref()
            .map(|before| LeftOut::new(pruned.heads().rows(), before.tolerance, before.chosen_on));
        Self {
            network: pruned.config().clone(),
            kept_channels: Some(kept.to_vec()),
            left_out,
            ..self.clone()
        }
    }
}

impl ModelCard {
    /// The card of a model file, without its tensors.
    ///
    /// # Errors
    /// If the file is not a model file of Foresee.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Contents::open(path)?.card)
    }
}

impl Network {
    /// Writes the network with its card. The file appears only when it is complete.
    ///
    /// ```
    /// use candle_core::Device;
    /// use foresee_model::{Conventions, Crop, ModelCard, Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 1, channels: 4, ..Default::default() };
    /// let network = Network::new(config.clone(), 7, &Device::Cpu)?;
    /// let card = ModelCard {
    ///     network: config,
    ///     attributes: vec!["Smiling".into()],
    ///     image_size: 32,
    ///     crop: Crop::Square,
    ///     mean: [0.5; 3],
    ///     deviation: [0.5; 3],
    ///     conventions: Conventions::default(),
    ///     seed: 7,
    ///     trained_on: "nothing".into(),
    ///     training_split_sha256: None,
    ///     kept_channels: None,
    ///     left_out: None,
    /// };
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("model.safetensors");
    /// network.save(&path, &card)?;
    /// let (loaded, its_card) = Network::load(&path, &Device::Cpu)?;
    /// assert_eq!(its_card, card);
    /// assert_eq!(loaded.heads().readout_weights()?, network.heads().readout_weights()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written, and [`Error::CardRows`] if
    /// [`ModelCard::left_out`] names other rows than [`Heads::rows`](crate::Heads::rows).
    pub fn save(&self, path: &Path, card: &ModelCard) -> Result<()> {
        write_atomic(path, &self.to_bytes(card)?).map_err(Error::Write)
    }

    /// The bytes of the file that [`save`](Self::save) writes.
    ///
    /// # Errors
    /// [`Error::Write`] if the tensors cannot be read, and [`Error::CardRows`] as
    /// [`save`](Self::save).
    pub fn to_bytes(&self, card: &ModelCard) -> Result<Vec<u8>> {
        let rows = self.heads().rows();
        let is_of_card = match &card.left_out {
            Some(left_out) => left_out.kept == rows.kept(),
            None => rows.is_all(),
        };
        if !is_of_card {
            return Err(Error::CardRows);
        }
        let tensors =
            self.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor()));
        encode(tensors.collect(), card)
    }

    /// Reads a network and its card.
    ///
    /// A file is checked before memory is taken for what it claims: its card is compared with its
    /// length and its tensors.
    ///
    /// # Errors
    /// If the file is not a model file of Foresee, or if a tensor is missing, is not one of the
    /// network's, has another shape or type, or holds a value that is not finite.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, ModelCard)> {
        let file = Contents::<ModelCard>::open(path)?;
        let card = file.card.clone();
        if let Some(reason) = card.problem() {
            return Err(Error::File { path: path.into(), reason });
        }
        card.network.check()?;
        // The masks' weights are nearly all of a network's memory.
        let NetworkConfig { attributes: k, channels: c, mask_kernel: n, .. } = card.network;
        file.check_tensor("heads.mask.weight", &[k * c, c, n, n])?;
        let network = Self::new(card.network.clone(), card.seed, device)?;
        set_tensors(network.tensors(), path, &file.tensors(network.tensors(), device)?)?;
        let Some(left_out) = &card.left_out else { return Ok((network, card)) };
        let network = network.with_rows(Rows::new(c, left_out.kept.clone())?)?;
        match network.heads().left_out_are_shut()? {
            true => Ok((network, card)),
            false => Err(Error::File {
                path: path.into(),
                reason: "its card leaves out rows of the heads whose masks are not shut: it is \
                         damaged, or its weights were changed"
                    .into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crop_is_the_same_in_every_form() {
        for crop in Crop::ALL {
            assert_eq!(Crop::from_id(crop.id()), Some(crop));
            assert_eq!(serde_json::to_value(crop).unwrap(), crop.id());
        }
        assert_eq!(Crop::from_id("round"), None);
    }

    #[test]
    fn a_card_states_its_preprocessing_and_older_cards_mean_the_same() {
        let older = json!({
            "network": NetworkConfig { attributes: 1, ..Default::default() },
            "attributes": ["Smiling"], "image_size": 32, "mean": [0.5, 0.5, 0.5],
            "deviation": [0.5, 0.5, 0.5], "seed": 0, "trained_on": "nothing"
        });
        let card: ModelCard = serde_json::from_value(older).unwrap();
        assert_eq!(card.problem(), None);
        let now = serde_json::to_value(&card).unwrap();
        assert_eq!(now["crop"], "square");
        let conventions = json!({
            "channel_order": "RGB", "value_range": [0., 1.], "filter": "bilinear_antialias",
            "threshold": 0.5
        });
        assert_eq!(now["conventions"], conventions);
        let mut others = now.clone();
        others["conventions"]["threshold"] = json!(0.25);
        let card: ModelCard = serde_json::from_value(others).unwrap();
        assert!(card.problem().unwrap().contains("threshold: 0.25"));
        let mut unknown = now;
        unknown["conventions"]["filter"] = json!("nearest");
        assert!(serde_json::from_value::<ModelCard>(unknown).is_err());
    }
}
