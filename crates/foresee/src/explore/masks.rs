//! What an attribute's answer comes from: its strongest masks, and maps of attribution methods.

use candle_core::DType;
use foresee_attribution::{Interpolation, Method, resize};
use foresee_report::AttributionKind;
use serde::Serialize;

use super::view::{MaskMeasure, View};
use crate::error::{Result, input};
use crate::figures::kind_of;
use crate::operate::{MAP_SIDE, Opened, under_map};
use crate::stages::attribute::{available_methods, map_on_image};

/// Masks that are listed.
const LISTED: usize = 8;

/// A channel's mask for an attribute on a face.
#[derive(Serialize)]
pub(super) struct Strongest {
    channel: usize,
    /// The mean over the pixels of the mask M.
    mask: f32,
    /// What the channel adds to the logit, w·mean(M ⊗ z).
    contribution: f32,
}

/// The channels whose masks, or whose contributions, are strongest for the view's attribute.
pub(super) fn strongest(opened: &Opened, view: &View) -> Result<Vec<Strongest>> {
    check_has_masks(opened)?;
    let seen = opened.face(view.face.as_ref())?;
    let heads = opened.trained()?.network.heads();
    let k = view.attribute;
    let pooled = heads.pool(&seen.features)?;
    let row = |table: &candle_core::Tensor| -> Result<Vec<f32>> {
        Ok(table.detach().get(0)?.get(k)?.to_dtype(DType::F32)?.to_vec1()?)
    };
    let (masks, products) = (row(&pooled.masks)?, row(&pooled.features)?);
    let readout = &heads.readout_weights()?[k];
    let strongest = |(channel, ((&mask, product), weight)): (usize, ((&f32, &f32), &f32))| {
        Strongest { channel, mask, contribution: product * weight }
    };
    let rows = masks.iter().zip(&products).zip(readout).enumerate();
    let mut all: Vec<Strongest> = rows.map(strongest).collect();
    match view.by {
        MaskMeasure::Mask => all.sort_by(|a, b| b.mask.total_cmp(&a.mask)),
        MaskMeasure::Contribution => {
            all.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
        }
    }
    all.truncate(LISTED);
    Ok(all)
}

fn check_has_masks(opened: &Opened) -> Result<()> {
    match opened.has_masks() {
        true => Ok(()),
        false => Err(input(
            "this network has no masks (model.attention = false); choose an attribution method",
        )),
    }
}

/// One channel's mask, or its contribution, over the face; a PNG.
pub(super) fn mask_picture(opened: &Opened, view: &View, channel: usize) -> Result<Vec<u8>> {
    check_has_masks(opened)?;
    let seen = opened.face(view.face.as_ref())?;
    let heads = opened.trained()?.network.heads();
    let mask = heads.masks(&seen.features, &[view.attribute])?.get(0)?.get(0)?.get(channel)?;
    let (map, kind) = match view.by {
        MaskMeasure::Mask => (mask, AttributionKind::Unsigned),
        MaskMeasure::Contribution => {
            let weight = f64::from(heads.readout_weights()?[view.attribute][channel]);
            let z = seen.features.get(0)?.get(channel)?;
            ((mask * z)?.affine(weight, 0.)?, AttributionKind::Signed)
        }
    };
    let map = map.detach().to_dtype(DType::F32)?.unsqueeze(0)?;
    let map = resize(&map, MAP_SIDE, MAP_SIDE, Interpolation::Bilinear)?;
    let map = map.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from);
    under_map(&seen.shown, kind, &map.collect::<Vec<_>>())
}

/// An attribution method's map for the view's attribute over the face; a PNG.
pub(super) fn method_picture(opened: &Opened, view: &View) -> Result<Vec<u8>> {
    let method = view.method.ok_or_else(|| input("method: name an attribution method"))?;
    let methods = available(opened);
    if !methods.contains(&method) {
        let ids: Vec<&str> = methods.iter().map(|method| method.id()).collect();
        return Err(input(format!(
            "method={}: this run does not have it; give one of {}",
            method.id(),
            ids.join(", ")
        )));
    }
    let seen = opened.face(view.face.as_ref())?;
    let asked = (method, view.attribute);
    let image = (&seen.image, seen.number);
    let map = map_on_image(&opened.run, &opened.session, asked, image, MAP_SIDE)?;
    under_map(&seen.shown, kind_of(method), &map)
}

/// The methods that the run's network and settings allow.
pub(super) fn available(opened: &Opened) -> Vec<Method> {
    available_methods(&opened.run)
}
