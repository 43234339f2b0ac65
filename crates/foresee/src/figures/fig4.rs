//! Figure 4: attention masks over faces.

use foresee_celeba::display_name;
use foresee_report::{ChannelMask, Face, FaceRow, Figure, face_masks};

use super::{Drawing, Needs, Request, Takes, always};
use crate::artifacts::{Artifact, Figure4Faces, Figure4Masks, MaskLabel};
use crate::error::Result;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig4_attention_masks",
    caption: "Figure 4: attention masks over faces; the number below each is the channel (feature \
              id), + if its readout weight is positive, so that the channel speaks for the \
              attribute, and \u{2212} if it is negative. A bar beside masks: the face has the \
              attribute.",
    caption_of_chosen: None,
    data: &[Figure4Faces::PATH, Figure4Masks::PATH],
    takes: Takes::AttributesAndFaces,
    needs: Some(Needs::Masks),
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    match &request.computed.figure4 {
        Some((faces, masks)) => of(request, name, faces, masks),
        None => of(request, name, &request.run.read()?, &request.run.read()?),
    }
}

fn of(request: &Request, name: &str, faces: &Figure4Faces, masks: &Figure4Masks) -> Result<Figure> {
    let (names, faces): (Vec<String>, Vec<Face>) = faces.0.faces().into_iter().unzip();
    let mut rows: Vec<FaceRow> = vec![];
    for plane in &masks.0.planes {
        let name = display_name(&plane.label.attribute);
        if rows.last().is_none_or(|row| row.name != name) {
            rows.push(FaceRow { name, faces: vec![(false, vec![]); names.len()] });
        }
        let face = names.iter().position(|name| *name == plane.label.face);
        if let (Some(face), Some(row)) = (face, rows.last_mut()) {
            let MaskLabel { label, channel, weight, .. } = plane.label;
            let (present, masks) = &mut row.faces[face];
            *present = label == 1;
            masks.push(ChannelMask { channel, weight, mask: plane.values.clone() });
        }
    }
    let source = request.source("these faces");
    Ok(face_masks(name, &faces, &rows, &source, &request.style)?)
}
