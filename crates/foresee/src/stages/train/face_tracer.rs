//! The training of FaceTracer: faces → `face_tracer.safetensors`, the chosen features, accuracies.

use candle_core::Tensor;
use foresee_baselines::{FaceTracer, FaceTracerConfig};
use foresee_celeba::{ATTRIBUTES, CelebA, Normalisation, Preprocessing, Split};
use foresee_files::write_atomic;

use super::classifier::Asked;
use super::examples::{answers_of, some_faces};
use super::write_accuracy;
use crate::artifacts::ChosenFeature;
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::run::{Inputs, Manifest, Run, Stage};
use crate::session::{FACE_TRACER, Session, crop_of_card, images_of};

const FORMAT: u32 = 1;

/// Images of one batch.
const BATCH: usize = 64;

pub(super) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let Manifest { seed, data, config, .. } = run.manifest.clone();
    let settings = (&config.data, config.system.name, config.train.limit, seed, &data.sha256);
    let inputs = Inputs { stage: Stage::Train, format: FORMAT, settings, reads: &[] };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        let test = data.split(Split::Test)?;
        let settings = FaceTracerConfig {
            image_size: config.data.image_size,
            crop: crop_of_card(config.data.crop),
            ..Default::default()
        };
        let chosen = some_faces(&train, settings.pool.max(settings.faces), seed);
        let Examples { images, labels } = read(data, &chosen, &images_of(&config))?;
        let steps = FaceTracer::steps(ATTRIBUTES.len());
        let progress = Progress::new("training", Unit::Steps, steps, 0);
        let step = |n: usize| progress.add(n, String::new);
        let trained = FaceTracer::train(&images, &labels, settings, &step)?;
        drop(images);
        write_atomic(&run.path(FACE_TRACER), &trained.to_bytes()?)?;
        outputs.add(FACE_TRACER);
        outputs.write(&features(&trained))?;
        let (of_run, device) = (images_of(&config), &session.device);
        let answers = |images: &Tensor| answers(&trained, images, &of_run.normalisation);
        let asked = Asked { data, faces: &test, images: &of_run, device };
        let predictions = asked.answer(Some("testing"), &answers)?;
        write_accuracy(outputs, data, &train, &test, &predictions.metrics()?)
    })
}

/// Faces that are learned from.
struct Examples {
    /// Pixels [3, H, W] of each in [0, 1].
    images: Vec<Vec<f32>>,
    /// All labels of each.
    labels: Vec<Vec<bool>>,
}

fn read(data: &CelebA, faces: &[usize], preprocessing: &Preprocessing) -> Result<Examples> {
    let as_they_are = Normalisation { mean: [0.; 3], deviation: [1.; 3] };
    let preprocessing = Preprocessing { normalisation: as_they_are, ..*preprocessing };
    let (mut images, mut labels) = (vec![], vec![]);
    for batch in data.batches_in_order(faces, &preprocessing, BATCH) {
        let batch = batch?;
        images.extend(batch.images.flatten_from(1)?.to_vec2::<f32>()?);
        labels.extend(answers_of(&batch)?);
    }
    Ok(Examples { images, labels })
}

/// The decisions [B, K] on images that are normalised.
pub(crate) fn answers(
    trained: &FaceTracer,
    images: &Tensor,
    normalisation: &Normalisation,
) -> Result<Tensor> {
    let channels = |values: [f32; 3]| Tensor::from_slice(&values, (1, 3, 1, 1), images.device());
    let pixels = images.broadcast_mul(&channels(normalisation.deviation)?)?;
    let pixels = pixels.broadcast_add(&channels(normalisation.mean)?)?;
    let rows = trained.answers(&pixels.flatten_from(1)?.to_vec2::<f32>()?)?;
    let rows: Vec<Vec<f32>> =
        rows.into_iter().map(|row| row.into_iter().map(|v| v as f32).collect()).collect();
    Ok(Tensor::new(rows, images.device())?)
}

fn features(trained: &FaceTracer) -> Vec<ChosenFeature> {
    let mut rows = vec![];
    for (attribute, choice) in ATTRIBUTES.into_iter().zip(trained.choices()) {
        for (place, feature) in choice.features.iter().enumerate() {
            rows.push(ChosenFeature {
                attribute: attribute.into(),
                rank: place + 1,
                region: feature.region.id().into(),
                pixels: feature.pixels.id().into(),
                normalisation: feature.normalisation.id().into(),
                aggregation: feature.aggregation.id().into(),
                balanced_accuracy: choice.accuracy,
            });
        }
    }
    rows
}
