//! `study new`: draws a study and makes its items.

use std::path::Path;

use foresee_celeba::ATTRIBUTES;
use foresee_stats::sigmoid;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::choices::{Choices, StudyOperation};
use super::design::{Design, FORM};
use super::materials::{ItemRow, PictureRow};
use super::pictures::Pictures;
use super::rows::write_rows;
use crate::artifacts::Row;
use crate::error::{Result, input};
use crate::hash::file_sha256;
use crate::operate::{FaceId, Opened, Prepared, Seen, contribution, first_order};
use crate::progress::{Progress, Unit};
use crate::provenance::source;
use crate::session::MODEL;

/// What is asked of `make`.
pub(crate) struct MakeRequest<'a> {
    pub opened: &'a Opened,
    pub choices: Choices,
    pub out: &'a Path,
}

/// Streams of the seed.
const FACES: u64 = 1;
const ATTRIBUTES_STREAM: u64 = 2;

/// Whether a folder only holds a study that nobody answered.
pub(crate) fn is_study(folder: &Path) -> bool {
    Design::path(folder).is_file() && !folder.join(super::database::ANSWERS).exists()
}

/// A face under an operation, for all attributes.
struct Outcome {
    face: usize,
    operation: usize,
    before: Vec<f64>,
    after: Vec<f64>,
    by_contribution: Vec<f64>,
    by_first_order: Vec<f64>,
}

/// Makes the study's folder. The design comes last: without it, there is no study.
pub(crate) fn make(request: MakeRequest<'_>) -> Result<Design> {
    let MakeRequest { opened, choices, out } = request;
    choices.check(opened.test.len())?;
    check_operations(opened, &choices)?;
    let (faces, practice_faces) = draw_faces(opened, &choices);
    let pairs = pairs(&faces, &practice_faces, choices.operations.len());
    let progress = Progress::new("making items", Unit::Images, 2 * pairs.len(), 0);
    let outcomes = outcomes(opened, &choices.operations, &pairs, &progress)?;
    let counted = faces.len() * choices.operations.len();
    let asked = asked(&choices, &outcomes[..counted]);
    let rows = rows(&outcomes, &asked, counted);
    let kind = opened.run.manifest.data.kind();
    write_rows(out, &rows, kind)?;
    let pictures = Pictures { opened, choices: &choices, asked: &asked, out };
    write_rows(out, &pictures.make(&pairs, counted, &progress)?, kind)?;
    let hash = |file: &str| file_sha256(&out.join(file));
    let design = Design {
        form: FORM,
        data: source(&opened.run, "").data,
        synthetic: opened.run.manifest.data.synthetic,
        model_sha256: file_sha256(&opened.run.path(MODEL))?,
        materials_sha256: vec![hash(ItemRow::PATH)?, hash(PictureRow::PATH)?],
        channels: opened.channels(),
        asked_attributes: asked.iter().map(|&k| ATTRIBUTES[k].to_owned()).collect(),
        test_faces: faces,
        practice_faces,
        choices,
    };
    design.write(out)?;
    Ok(design)
}

fn check_operations(opened: &Opened, choices: &Choices) -> Result<()> {
    let needs_masks =
        |operation: &&StudyOperation| matches!(operation, StudyOperation::ToneCurve { .. });
    if !opened.has_masks() && choices.operations.iter().any(|o| needs_masks(&o)) {
        return Err(input("this network has no masks, so a tone curve does nothing; leave it out"));
    }
    if opened.channels() < 2 {
        return Err(input("this network has a single channel, which cannot be pruned"));
    }
    Ok(())
}

fn draw_faces(opened: &Opened, choices: &Choices) -> (Vec<usize>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(choices.seed);
    rng.set_stream(FACES);
    let mut faces = opened.test.clone();
    faces.shuffle(&mut rng);
    let practice = faces[choices.faces..choices.faces + choices.practice].to_vec();
    faces.truncate(choices.faces);
    (faces, practice)
}

/// Faces and operations, item by item.
fn pairs(faces: &[usize], practice: &[usize], operations: usize) -> Vec<(usize, usize)> {
    let counted = faces.iter().flat_map(|&face| (0..operations).map(move |o| (face, o)));
    let practice = practice.iter().enumerate().map(|(i, &face)| (face, i % operations));
    counted.chain(practice).collect()
}

fn outcomes(
    opened: &Opened,
    operations: &[StudyOperation],
    pairs: &[(usize, usize)],
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let channels = opened.channels();
    let prepared = operations
        .iter()
        .map(|operation| Prepared::new(opened, &operation.of(channels)))
        .collect::<Result<Vec<_>>>()?;
    let outcome = |&(face, operation): &(usize, usize)| {
        let seen = opened.face(Some(&FaceId::Test(face)))?;
        let found = outcome(opened, &seen, &prepared[operation], (face, operation));
        progress.add(1, String::new);
        found
    };
    pairs.iter().map(outcome).collect()
}

fn outcome(
    opened: &Opened,
    seen: &Seen,
    prepared: &Prepared,
    (face, operation): (usize, usize),
) -> Result<Outcome> {
    let percent = |logit: f64| 100. * sigmoid(logit);
    let moved = |changes: &[f64]| {
        let logits = seen.logits.iter().zip(changes);
        logits.map(|(logit, change)| percent(f64::from(*logit) + change)).collect::<Vec<_>>()
    };
    let all: Vec<usize> = (0..ATTRIBUTES.len()).collect();
    let first_order = first_order(opened, seen, prepared, &all)?;
    Ok(Outcome {
        face,
        operation,
        before: moved(&[0.; ATTRIBUTES.len()]),
        after: prepared.logits(opened, seen)?.iter().map(|l| percent((*l).into())).collect(),
        by_contribution: moved(&contribution(opened, seen, prepared)?),
        by_first_order: match first_order {
            Some(changes) => moved(&changes),
            None => vec![f64::NAN; ATTRIBUTES.len()],
        },
    })
}

/// The attributes that are asked for: those that are named, or one from each of as many groups of
/// the half of all attributes that changes most, from large to small.
fn asked(choices: &Choices, outcomes: &[Outcome]) -> Vec<usize> {
    if !choices.attributes.is_empty() {
        let index = |name: &String| ATTRIBUTES.iter().position(|attribute| attribute == name);
        return choices.attributes.iter().filter_map(index).collect();
    }
    let change = |k: usize| outcomes.iter().map(|o| (o.after[k] - o.before[k]).abs()).sum::<f64>();
    let mut order: Vec<(f64, usize)> = (0..ATTRIBUTES.len()).map(|k| (change(k), k)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let half = &order[..ATTRIBUTES.len() / 2];
    let mut rng = ChaCha8Rng::seed_from_u64(choices.seed);
    rng.set_stream(ATTRIBUTES_STREAM);
    let group =
        |i: usize| &half[i * half.len() / choices.asked..(i + 1) * half.len() / choices.asked];
    let drawn = (0..choices.asked).filter_map(|i| group(i).choose(&mut rng)).map(|(_, k)| *k);
    let mut drawn: Vec<usize> = drawn.collect();
    drawn.sort_unstable();
    drawn
}

fn rows(outcomes: &[Outcome], asked: &[usize], counted: usize) -> Vec<ItemRow> {
    let of = |(item, outcome): (usize, &Outcome)| {
        let row = |&k: &usize| ItemRow {
            item,
            practice: usize::from(item >= counted),
            face: outcome.face,
            operation: outcome.operation,
            attribute: ATTRIBUTES[k].to_owned(),
            before: outcome.before[k],
            after: outcome.after[k],
            by_contribution: outcome.by_contribution[k],
            by_first_order: outcome.by_first_order[k],
        };
        asked.iter().map(row).collect::<Vec<_>>()
    };
    outcomes.iter().enumerate().flat_map(of).collect()
}
