//! The comparison: maps of methods as columns, attributes as rows, each on a face of its own.

use anyhow::Context;
use candle_core::Tensor;
use foresee_attribution::{Explainer, Method};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_report::{Fixed, PlaneTable, Scientific};
use foresee_stats::sigmoid;
use rayon::prelude::*;

use super::subject::Subject;
use crate::artifacts::{FacePixels, MapKind, MapLabel};
use crate::error::Result;
use crate::ranks::{self, World};
use crate::stages::shared::{Sent, SharedItems};

/// Test faces that a row's face is chosen from, and how many are looked at together.
const LOOKED_AT: usize = 36;
const BATCH: usize = 12;
/// The probability from which the network is sure.
const SURE: f64 = 0.9;

/// A row of the comparison.
struct Row {
    attribute: usize,
    face: usize,
    probability: f64,
}

/// The rows of the comparison.
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    /// For each attribute the faces that are asked for, or else, of the first test faces that have
    /// the attribute, the first that the network is sure of, or if there is none, the one that it
    /// is surest of. If no test face has the attribute, all are looked at.
    pub fn choose(subject: &Subject, attributes: &[usize], faces: &[usize]) -> Result<Self> {
        let row = |attribute: usize, faces: &[usize]| {
            let (face, probability) = surest(subject, faces, attribute)?.with_context(|| {
                format!("there is no test face to show {} on", ATTRIBUTES[attribute])
            })?;
            Ok(Row { attribute, face, probability })
        };
        let rows = attributes.iter().flat_map(|&attribute| -> Vec<Result<Row>> {
            match faces {
                [] => vec![row(attribute, &candidates(subject, attribute))],
                faces => faces.iter().map(|&face| row(attribute, &[face])).collect(),
            }
        });
        Ok(Self(rows.collect::<Result<_>>()?))
    }

    /// The faces, each once.
    fn faces(&self) -> Vec<usize> {
        let mut faces: Vec<usize> = self.0.iter().map(|row| row.face).collect();
        faces.sort_unstable();
        faces.dedup();
        faces
    }
}

fn candidates(subject: &Subject, attribute: usize) -> Vec<usize> {
    let all = || subject.test.iter().copied();
    let with = all().filter(|&face| subject.data.labels(face).has(attribute));
    let with: Vec<usize> = with.take(LOOKED_AT).collect();
    if with.is_empty() { all().take(LOOKED_AT).collect() } else { with }
}

/// The first of these faces with a probability above [`SURE`], or else the first with the greatest.
fn surest(subject: &Subject, faces: &[usize], attribute: usize) -> Result<Option<(usize, f64)>> {
    let mut best: Option<(usize, f64)> = None;
    for batch in subject.data.batches_in_order(faces, &subject.trained.preprocessing, BATCH) {
        let batch = batch?;
        let images = batch.images.to_device(&subject.session.device)?;
        let logits = subject.model.target(attribute).values(&images)?.to_vec1::<f32>()?;
        for (&face, logit) in batch.faces.iter().zip(logits) {
            let p = sigmoid(f64::from(logit));
            if p > SURE {
                return Ok(Some((face, p)));
            }
            if best.is_none_or(|(_, most)| p > most) {
                best = Some((face, p));
            }
        }
    }
    Ok(best)
}

/// Faces and maps, ready to be written.
pub(crate) struct Comparison {
    pub faces: FacePixels,
    pub maps: PlaneTable<MapLabel>,
}

/// The maps of methods for each row.
pub(super) struct Maps<'a> {
    subject: &'a Subject<'a>,
    explainer: &'a Explainer,
    rows: Rows,
    methods: &'a [Method],
    faces: Vec<usize>,
    /// The faces' images, as they are shown and as the network sees them.
    pixels: FacePixels,
    x: Tensor,
    /// A row and a method.
    pairs: Vec<(usize, Method)>,
}

impl<'a> Maps<'a> {
    /// Reads the faces of the rows.
    pub fn new(
        subject: &'a Subject<'a>,
        explainer: &'a Explainer,
        rows: Rows,
        methods: &'a [Method],
    ) -> Result<Self> {
        let faces = rows.faces();
        let images = &subject.trained.preprocessing;
        let batch = subject
            .data
            .batches_in_order(&faces, images, faces.len().max(1))
            .next()
            .context("no face to show")??;
        let names: Vec<&str> = faces.iter().map(|&face| subject.data.name(face)).collect();
        let pixels = FacePixels::new(&names, &batch.images, &images.normalisation)?;
        let x = batch.images.to_device(&subject.session.device)?;
        let of_row = |row: usize| methods.iter().map(move |&method| (row, method));
        let pairs = (0..rows.0.len()).flat_map(of_row).collect();
        Ok(Self { subject, explainer, rows, methods, faces, pixels, x, pairs })
    }

    /// The maps in shares of a method's greatest absolute value over the rows, from what all ranks
    /// computed.
    pub fn comparison(&self, sent: Sent<Self>, ranks: &World) -> Result<Comparison> {
        let mut values = vec![vec![]; self.rows.0.len()];
        for ((row, _), map) in self.by_item(sent, ranks)? {
            values[*row].push(map);
        }
        let maps = table(self.subject, &self.rows, self.methods, &values);
        Ok(Comparison { faces: self.pixels.clone(), maps })
    }

    /// The same, computed by this rank alone.
    pub fn comparison_alone(&self) -> Result<Comparison> {
        let alone = ranks::alone();
        self.comparison(vec![self.compute_own(&alone)?], &alone)
    }

    fn map(&self, row: usize, method: Method) -> Result<Vec<f32>> {
        let Row { attribute, face, .. } = self.rows.0[row];
        let place = self.faces.iter().position(|other| *other == face);
        let x = self.x.narrow(0, place.context("a face was not read")?, 1)?;
        let map = self.explainer.maps(method, &self.subject.model, &x, &[face], attribute)?;
        Ok(map.flatten_all()?.to_vec1()?)
    }
}

/// A row and a method come to a map.
impl SharedItems for Maps<'_> {
    type Item = (usize, Method);
    type Found = Vec<f32>;

    fn items(&self) -> &[Self::Item] {
        &self.pairs
    }

    fn compute(&self, pairs: &[Self::Item]) -> Result<Vec<Self::Found>> {
        // One image does not fill the cores.
        pairs.par_iter().map(|&(row, method)| self.map(row, method)).collect()
    }
}

/// The maps `[row][method]` with their labels, and where drawn faces have the attribute.
fn table(
    subject: &Subject,
    rows: &Rows,
    methods: &[Method],
    maps: &[Vec<Vec<f32>>],
) -> PlaneTable<MapLabel> {
    let greatest = |m: usize| {
        let values = maps.iter().flat_map(|of_row| &of_row[m]);
        values.fold(0f32, |most, v| most.max(v.abs()))
    };
    let mut planes = PlaneTable::new(subject.image_size());
    for (row, of_row) in rows.0.iter().zip(maps) {
        let has = subject.data.labels(row.face).has(row.attribute);
        let label = |kind: MapKind, greatest: f32| MapLabel {
            attribute: ATTRIBUTES[row.attribute].into(),
            face: subject.data.name(row.face).into(),
            split: split_of(subject.data, row.face).into(),
            has: if has { "yes" } else { "no" }.into(),
            probability: Fixed(row.probability),
            method: kind,
            greatest: Scientific(greatest.into()),
        };
        if let Some(region) = subject.region(row.face, row.attribute) {
            planes.push(label(MapKind::Region, 1.), &region);
        }
        for (m, (&method, map)) in methods.iter().zip(of_row).enumerate() {
            let greatest = greatest(m);
            let share = |v: &f32| if greatest > 0. { v / greatest } else { 0. };
            let shares: Vec<f32> = map.iter().map(share).collect();
            planes.push(label(MapKind::Method(method), greatest), &shares);
        }
    }
    planes
}

/// The split that a face is in.
fn split_of(data: &CelebA, face: usize) -> &'static str {
    let holds =
        |split: &Split| data.split(*split).is_ok_and(|faces| faces.binary_search(&face).is_ok());
    let splits = [Split::Train, Split::Val, Split::Test];
    splits.iter().find(|split| holds(split)).map_or("none", |split| split.id())
}
