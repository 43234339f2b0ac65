//! Attribution methods as rows, attributes as columns.

use std::path::Path;

use anyhow::Context;
use foresee_attribution::{Method, Reading};
use foresee_celeba::display_name;
use foresee_report::{
    AttributionColumn, AttributionKind, AttributionMethod, Face, Figure, PlaneTable, Style,
    face_attributions,
};

use super::{Drawing, Needs, Request, Takes};
use crate::artifacts::{
    Artifact, AttributionFaces, AttributionMaps, FacePixels, MapKind, MapLabel,
};
use crate::error::Result;
use crate::provenance::source;
use crate::run::{Run, Stage};

/// Of methods, attributes and faces that are chosen by hand.
pub(crate) const CHOSEN: &str = "Attribution methods. Of signed methods red speaks for the \
                                 attribute and blue against it; of the others the deeper colour \
                                 counts more. A method has one scale for all faces.";

pub(super) const DRAWING: Drawing = Drawing {
    name: "attribution_comparison",
    caption: "Each attribute on a face that has it and of which the network is sure, if there is \
              one. Of signed methods red speaks for the attribute and blue against it; of the \
              others the deeper colour counts more. A method has one scale for all faces.",
    caption_of_chosen: Some(CHOSEN),
    data: &[AttributionMaps::PATH, AttributionFaces::PATH],
    takes: Takes::AttributesAndFaces,
    needs: Some(Needs::Maps),
    is_in: |run| run.manifest.stages.contains_key(&Stage::Attribute),
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let (run, style) = (request.run, &request.style);
    if let Some((faces, maps)) = &request.computed.comparison {
        return attributions(run, name, faces, maps, style);
    }
    let (faces, maps): (AttributionFaces, AttributionMaps) = (run.read()?, run.read()?);
    attributions(run, name, &faces.0, &maps.0, style)
}

/// The figure of these maps.
pub(crate) fn attributions(
    run: &Run,
    name: &str,
    faces: &FacePixels,
    maps: &PlaneTable<MapLabel>,
    style: &Style,
) -> Result<Figure> {
    let faces = faces.faces();
    let mut methods: Vec<Method> = vec![];
    let mut splits: Vec<&str> = vec![];
    let mut columns: Vec<(&MapLabel, AttributionColumn)> = vec![];
    for plane in &maps.planes {
        let label = &plane.label;
        let same =
            |first: &MapLabel| (&first.attribute, &first.face) == (&label.attribute, &label.face);
        if columns.last().is_none_or(|(first, _)| !same(first)) {
            columns.push((label, column_of(label, &faces)?));
            splits.push(&label.split);
        }
        let Some((_, column)) = columns.last_mut() else { continue };
        match label.method {
            MapKind::Region => {
                column.region = Some(plane.values.iter().map(|&inside| inside > 0.5).collect());
            }
            MapKind::Method(method) => {
                if !methods.contains(&method) {
                    methods.push(method);
                }
                let greatest = label.greatest.0;
                column.maps.push(plane.values.iter().map(|share| share * greatest).collect());
            }
        }
    }
    splits.sort_unstable();
    splits.dedup();
    let methods: Vec<AttributionMethod> = methods.into_iter().map(described).collect();
    let columns: Vec<AttributionColumn> = columns.into_iter().map(|(_, column)| column).collect();
    let source = source(run, &format!("the {} faces named", splits.join(" and ")));
    Ok(face_attributions(name, &methods, &columns, &source, style)?)
}

fn column_of(label: &MapLabel, faces: &[(String, Face)]) -> Result<AttributionColumn> {
    let (_, face) = faces
        .iter()
        .find(|(name, _)| *name == label.face)
        .with_context(|| format!("the pixels of {} are missing", label.face))?;
    let absent = match (label.has.as_str(), label.probability.0 < 0.5) {
        ("no", _) => "\n(does not have it)",
        (_, true) => "\n(the network says no)",
        _ => "",
    };
    let attribute = display_name(&label.attribute);
    // Columns are narrow.
    let file = Path::new(&label.face).file_stem().unwrap_or_default().display();
    let name = format!("{attribute}\np\u{a0}=\u{a0}{:.2}\n{file}{absent}", label.probability.0);
    Ok(AttributionColumn { name, face: face.clone(), region: None, maps: vec![] })
}

fn described(method: Method) -> AttributionMethod {
    AttributionMethod { name: method.title().into(), kind: kind_of(method) }
}

/// What a method's values mean.
pub(crate) fn kind_of(method: Method) -> AttributionKind {
    match method.reading() {
        Reading::Signed => AttributionKind::Signed,
        Reading::Unsigned => AttributionKind::Unsigned,
        Reading::Global => AttributionKind::Global,
    }
}
