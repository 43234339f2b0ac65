//! Surrogates of a network's attributes, with a control without masks.

use candle_core::Tensor;
use rayon::prelude::*;

use super::surrogate::{Surrogate, SurrogateKind, SurrogateOptions, global_surrogate};
use crate::error::{Error, Result};

/// What a surrogate of a logit takes as inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurrogateInputs {
    /// The attribute's mean mask of each channel.
    MeanMasks,
    /// The mean of each channel of the features: the control without masks.
    MeanFeatures,
}

impl SurrogateInputs {
    /// Both inputs.
    pub const ALL: [Self; 2] = [Self::MeanMasks, Self::MeanFeatures];

    /// As in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::MeanMasks => "mean_masks",
            Self::MeanFeatures => "mean_features",
        }
    }

    /// The inputs of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|inputs| inputs.id() == id)
    }

    /// As in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::MeanMasks => "mean masks",
            Self::MeanFeatures => "mean features",
        }
    }
}

/// A surrogate of one attribute's logit.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeSurrogate {
    /// The attribute's number.
    pub attribute: usize,
    /// What the surrogate takes as inputs.
    pub inputs: SurrogateInputs,
    /// What kind of model it is.
    pub kind: SurrogateKind,
    /// The model and its fidelity.
    pub surrogate: Surrogate,
}

/// Surrogates of each kind ([`SurrogateKind::ALL`]) of the attributes' logits: of each attribute's
/// mean masks, if the network has masks, and as the control of the features' means. What masks say
/// is worth the difference to what the features say without them.
///
/// `mean_masks` are [N, K, C] with one row for each of the K `attributes`, `mean_features` [N, C],
/// and `logits` [N, L] those of all attributes of the network. The seed decides which rows are held
/// out. In the order of the attributes, then of the inputs, then of the kinds.
///
/// # Errors
/// If the shapes do not fit each other, or as for [`global_surrogate`].
pub fn attribute_surrogates(
    mean_masks: Option<&Tensor>,
    mean_features: &Tensor,
    logits: &Tensor,
    attributes: &[usize],
    seed: u64,
) -> Result<Vec<AttributeSurrogate>> {
    if let Some(masks) = mean_masks
        && (masks.rank() != 3 || masks.dims()[1] != attributes.len())
    {
        let expected = format!("[N, {}, C], a row for each attribute,", attributes.len());
        return Err(Error::shape("the mean masks", masks.dims(), expected));
    }
    let outputs = logits.dims().get(1).copied().unwrap_or(0);
    if let Some(&target) = attributes.iter().find(|&&attribute| attribute >= outputs) {
        return Err(Error::Target { target, shape: logits.dims().to_vec() });
    }
    let mut fits = vec![];
    for (row, &attribute) in attributes.iter().enumerate() {
        let y = logits.narrow(1, attribute, 1)?.squeeze(1)?;
        if let Some(masks) = mean_masks {
            let x = masks.narrow(1, row, 1)?.squeeze(1)?;
            fits.push((attribute, SurrogateInputs::MeanMasks, x, y.clone()));
        }
        fits.push((attribute, SurrogateInputs::MeanFeatures, mean_features.clone(), y));
    }
    fits.par_iter()
        .flat_map(|fit| SurrogateKind::ALL.into_par_iter().map(move |kind| (fit, kind)))
        .map(|((attribute, inputs, x, y), kind)| {
            let options = SurrogateOptions { kind, seed, ..SurrogateOptions::default() };
            let surrogate = global_surrogate(x, y, &options)?;
            Ok(AttributeSurrogate { attribute: *attribute, inputs: *inputs, kind, surrogate })
        })
        .collect()
}
