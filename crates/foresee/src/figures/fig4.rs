//! Figure 4: attention masks over faces.

use foresee_celeba::display_name;
use foresee_report::{Face, FaceRow, Figure, face_masks};

use crate::artifacts::{Figure4Faces, Figure4Masks};
use crate::error::Result;
use crate::provenance::source;
use crate::run::Run;

pub(super) fn attention_masks(run: &Run) -> Result<Figure> {
    let (names, faces): (Vec<String>, Vec<Face>) =
        run.read::<Figure4Faces>()?.0.faces().into_iter().unzip();
    let mut rows: Vec<FaceRow> = vec![];
    for plane in run.read::<Figure4Masks>()?.0.planes {
        let name = display_name(&plane.label.attribute);
        if rows.last().is_none_or(|row| row.name != name) {
            rows.push(FaceRow { name, masks: vec![vec![]; names.len()] });
        }
        let face = names.iter().position(|name| *name == plane.label.face);
        if let (Some(face), Some(row)) = (face, rows.last_mut()) {
            row.masks[face].push((plane.label.channel, plane.values));
        }
    }
    let source = source(run, "these test faces");
    Ok(face_masks("fig4_attention_masks", &faces, &rows, &source)?)
}
