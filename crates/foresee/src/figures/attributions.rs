//! Attribution methods as columns, attributes as rows.

use anyhow::Context;
use foresee_attribution::{Method, Reading};
use foresee_celeba::display_name;
use foresee_report::{
    AttributionKind, AttributionMethod, AttributionRow, Face, Figure, PlaneTable, face_attributions,
};

use crate::artifacts::{FacePixels, MapKind, MapLabel};
use crate::error::Result;
use crate::provenance::source;
use crate::run::Run;

pub(crate) fn attributions(
    run: &Run,
    name: &str,
    faces: &FacePixels,
    maps: &PlaneTable<MapLabel>,
) -> Result<Figure> {
    let faces = faces.faces();
    let mut methods: Vec<Method> = vec![];
    let mut splits: Vec<&str> = vec![];
    let mut rows: Vec<(&MapLabel, AttributionRow)> = vec![];
    for plane in &maps.planes {
        let label = &plane.label;
        let same =
            |first: &MapLabel| (&first.attribute, &first.face) == (&label.attribute, &label.face);
        if rows.last().is_none_or(|(first, _)| !same(first)) {
            rows.push((label, row(label, &faces)?));
            splits.push(&label.split);
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        match label.method {
            MapKind::Region => {
                row.region = Some(plane.values.iter().map(|&inside| inside > 0.5).collect());
            }
            MapKind::Method(method) => {
                if !methods.contains(&method) {
                    methods.push(method);
                }
                let greatest = label.greatest.0;
                row.maps.push(plane.values.iter().map(|share| share * greatest).collect());
            }
        }
    }
    splits.sort_unstable();
    splits.dedup();
    let methods: Vec<AttributionMethod> = methods.into_iter().map(column).collect();
    let rows: Vec<AttributionRow> = rows.into_iter().map(|(_, row)| row).collect();
    let source = source(run, &format!("the {} faces named", splits.join(" and ")));
    Ok(face_attributions(name, &methods, &rows, &source)?)
}

fn row(label: &MapLabel, faces: &[(String, Face)]) -> Result<AttributionRow> {
    let (_, face) = faces
        .iter()
        .find(|(name, _)| *name == label.face)
        .with_context(|| format!("the pixels of {} are missing", label.face))?;
    let absent = if label.has == "no" { "\n(it has it not)" } else { "" };
    let attribute = display_name(&label.attribute);
    let name =
        format!("{attribute}\np\u{a0}=\u{a0}{:.2}\n{}{absent}", label.probability.0, label.face);
    Ok(AttributionRow { name, face: face.clone(), region: None, maps: vec![] })
}

fn column(method: Method) -> AttributionMethod {
    let kind = match method.reading() {
        Reading::Signed => AttributionKind::Signed,
        Reading::Unsigned => AttributionKind::Unsigned,
        Reading::Global => AttributionKind::Global,
    };
    AttributionMethod { name: method.title().into(), kind }
}
