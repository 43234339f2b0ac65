//! Figure 4: attention masks over faces.

use foresee_celeba::display_name;
use foresee_report::{Face, FaceRow, Figure, face_masks};

use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Artifact, Figure4Faces, Figure4Masks};
use crate::error::Result;
use crate::stages::measure::figure4;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig4_attention_masks",
    caption: "Figure 4: attention masks over faces; the number below each is the channel (feature \
              id).",
    data: &[Figure4Faces::PATH, Figure4Masks::PATH],
    takes: Takes::AttributesAndFaces,
    is_in: always,
    draw,
};

/// The masks that the stage `measure` kept, or, for other attributes and faces, those that the
/// network computes.
fn draw(request: &Request, name: &str) -> Result<Figure> {
    let (run, settings) = (request.run, request.settings);
    let (faces, masks) = if settings.attributes.is_empty() && settings.faces.is_empty() {
        (run.read::<Figure4Faces>()?, run.read::<Figure4Masks>()?)
    } else {
        figure4(run, request.session, &settings.attribute_indices()?, &settings.faces)?
    };
    let (names, faces): (Vec<String>, Vec<Face>) = faces.0.faces().into_iter().unzip();
    let mut rows: Vec<FaceRow> = vec![];
    for plane in masks.0.planes {
        let name = display_name(&plane.label.attribute);
        if rows.last().is_none_or(|row| row.name != name) {
            rows.push(FaceRow { name, masks: vec![vec![]; names.len()] });
        }
        let face = names.iter().position(|name| *name == plane.label.face);
        if let (Some(face), Some(row)) = (face, rows.last_mut()) {
            row.masks[face].push((plane.label.channel, plane.values));
        }
    }
    let source = request.source("these faces");
    Ok(face_masks(name, &faces, &rows, &source, &request.style)?)
}
