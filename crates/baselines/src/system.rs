//! The systems by name: what each is built of, and by which loss it is trained.

use candle_core::{Device, Tensor};
use foresee_model::{Batch, Loss, weighted_bce_with_logits};
use serde::{Deserialize, Serialize};

use crate::abn::AbnConfig;
use crate::anet::{AnetConfig, dissimilarity, softmax_cross_entropy};
use crate::error::Result;
use crate::layers::Built;
use crate::lnets_anet::LnetsAnetConfig;
use crate::mixed_objective::mixed_objective;
use crate::moon::MoonConfig;
use crate::panda::PandaConfig;
use crate::resnet::ResNetConfig;

/// A system with its settings. To add one, add it here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// A residual network.
    ResNet(ResNetConfig),
    /// An Attention Branch Network.
    Abn(AbnConfig),
    /// A Mixed Objective Optimization Network.
    Moon(MoonConfig),
    /// PANDA-l: networks of parts of the face.
    Panda(PandaConfig),
    /// LNets+ANet: networks that find the face, and one that sees it.
    #[serde(rename = "lnets-anet")]
    LnetsAnet(LnetsAnetConfig),
    /// ANet alone, which tells people.
    Anet(AnetConfig),
}

impl System {
    /// The name for people.
    pub fn title(&self) -> String {
        match self {
            Self::ResNet(config) => format!("ResNet-{}", config.depth.layers()),
            Self::Abn(config) => {
                format!("ABN on a ResNet-{}", config.resnet.depth.layers())
            }
            Self::Moon(_) => "MOON".into(),
            Self::Panda(_) => "PANDA-l".into(),
            Self::LnetsAnet(_) => "LNets+ANet".into(),
            Self::Anet(_) => "ANet on identities".into(),
        }
    }

    /// K, the number of answers.
    pub fn attributes(&self) -> usize {
        match self {
            Self::ResNet(config) => config.attributes,
            Self::Abn(config) => config.resnet.attributes,
            Self::Moon(config) => config.attributes,
            Self::Panda(config) => config.attributes,
            Self::LnetsAnet(config) => config.attributes,
            Self::Anet(config) => config.people,
        }
    }

    /// Checks that every setting is possible.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) if a value is outside its range.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::ResNet(config) => config.check(),
            Self::Abn(config) => config.check(),
            Self::Moon(config) => config.check(),
            Self::Panda(config) => config.check(),
            Self::LnetsAnet(config) => config.check(),
            Self::Anet(config) => config.check(),
        }
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        match self {
            Self::ResNet(config) => config.build(seed, device),
            Self::Abn(config) => config.build(seed, device),
            Self::Moon(config) => config.build(seed, device),
            Self::Panda(config) => config.build(seed, device),
            Self::LnetsAnet(config) => config.build(seed, device),
            Self::Anet(config) => config.build(seed, device),
        }
    }

    /// The loss of the graph's outputs. The answers are the first output.
    pub(crate) fn loss(&self, outputs: &[Tensor], batch: &Batch) -> Result<Loss> {
        let Batch { labels, weights, .. } = *batch;
        // Answers of several networks side by side have the labels of each.
        let entropy = |logits: &Tensor| {
            let networks = logits.dim(1)? / labels.dim(1)?;
            weighted_bce_with_logits(logits, &labels.repeat((1, networks))?, weights)
        };
        Ok(match self {
            Self::ResNet(_) => Loss::of_classification(entropy(&outputs[0])?)?,
            Self::Abn(_) => {
                let (classification, sparsity) = (entropy(&outputs[0])?, entropy(&outputs[1])?);
                Loss { total: (&classification + &sparsity)?, classification, sparsity }
            }
            Self::Panda(_) | Self::LnetsAnet(_) => {
                let classification = entropy(&outputs[0])?;
                let sparsity = entropy(&Tensor::cat(&outputs[1..], 1)?)?;
                Loss { total: (&classification + &sparsity)?, classification, sparsity }
            }
            Self::Anet(AnetConfig { similarity, .. }) => {
                let classification = softmax_cross_entropy(&outputs[0], labels, weights)?;
                if *similarity == 0. {
                    return Ok(Loss::of_classification(classification)?);
                }
                let sparsity = (dissimilarity(&outputs[1], labels, weights)? * *similarity)?;
                Loss { total: (&classification + &sparsity)?, classification, sparsity }
            }
            Self::Moon(MoonConfig { class_weights, .. }) => Loss::of_classification(
                mixed_objective(&outputs[0], labels, class_weights, weights)?,
            )?,
        })
    }

    /// The output that is a mask, if there is one.
    pub(crate) fn mask<'a>(&self, outputs: &'a [Tensor]) -> Option<&'a Tensor> {
        match self {
            Self::Abn(_) => outputs.get(2),
            Self::ResNet(_)
            | Self::Moon(_)
            | Self::Panda(_)
            | Self::LnetsAnet(_)
            | Self::Anet(_) => None,
        }
    }

    /// Whether a tensor belongs to the answers: weights of a network with other answers, such as
    /// ImageNet's 1000 classes, do not have it.
    pub(crate) fn is_of_answers(&self, tensor: &str) -> bool {
        let prefixes: &[&str] = match self {
            Self::ResNet(_) => &["fc."],
            Self::Abn(_) => &[
                "fc.",
                "output_per.",
                "layer4_att.",
                "conv_att.",
                "att_layer4.",
                "att_conv",
                "bn_att",
            ],
            Self::Moon(_) => &["classifier."],
            Self::Panda(_) => &["svm.", "heads."],
            // A file can be of an ANet alone, such as one that was trained on identities.
            Self::LnetsAnet(_) => &["svm.", "anet.head.", "lnet_o.", "lnet_s."],
            Self::Anet(_) => &["people."],
        };
        prefixes.iter().any(|prefix| tensor.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_losses_of_both_branches_by_hand() -> Result<()> {
        let abn = System::Abn(AbnConfig::default());
        // Logits of 0 are wrong by ln 2 each; those of ln 3 by ln(4/3) for a yes, ln 4 for a no.
        let zeros = Tensor::new(&[[0f32, 0.]], &Device::Cpu)?;
        let threes = Tensor::new(&[[3f32.ln(); 2]], &Device::Cpu)?;
        let labels = &Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
        let of = |weights| {
            let batch = Batch { images: labels, labels, weights };
            let loss = abn.loss(&[zeros.clone(), threes.clone()], &batch)?;
            let values = [&loss.classification, &loss.sparsity, &loss.total];
            values.into_iter().map(|t| Ok(t.to_scalar::<f32>()?)).collect::<Result<Vec<_>>>()
        };
        let perception = 2. * 2f32.ln();
        let attention = (4f32 / 3.).ln() + 4f32.ln();
        let expected = [perception, attention, perception + attention];
        for (found, expected) in of(None)?.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
        for (found, expected) in of(Some(&[0.5]))?.iter().zip(expected) {
            assert!((found - 0.5 * expected).abs() < 1e-6, "{found}, expected half of {expected}");
        }
        Ok(())
    }
}
