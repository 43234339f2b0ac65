//! Stage `transform`: accuracy under input noise with transformed masks (Figure 8).

use anyhow::Context;
use candle_core::Tensor;
use foresee_celeba::{Batch, CelebA, Split};
use foresee_model::majority_accuracy;
use foresee_perturb::{Curve, Noise, Tally, ToneCurve, ValidationChoice, transform_grid};

use crate::artifacts::{
    TransformationChoice, TransformationCurves, TransformationPoint, TransformedImage,
};
use crate::config::{Transform, with_identity};
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit, counted};
use crate::ranks;
use crate::run::{Inputs, Run, Stage};
use crate::session::{MODEL, Session, Trained};
use crate::stages::jobs::Job;
use crate::stages::shared::{self, Table};

const FORMAT: u32 = 6;

/// Images of one batch.
const BATCH: usize = 8;

/// The place of the identity among the curves.
const BASELINE: usize = 0;

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    let seed = run.manifest.seed;
    let inputs = Inputs {
        stage: Stage::Transform,
        format: FORMAT,
        settings: (&config.data, &config.transform, seed),
        reads: &[MODEL],
    };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let sweep = Sweep::new(run, session)?;
        let ranks = ranks::of(&session.device);
        let job = || Job::share(Stage::Transform, run, &session.device);
        let parts = shared::job(&ranks, job, || sweep.measure())?;
        let splits = sweep.splits()?;
        let faces: Vec<&[usize]> = splits.iter().map(|(_, faces)| &faces[..]).collect();
        let mut tallies = shared::tables(parts, &faces, BATCH, &ranks)?.into_iter();
        let mut grids = splits.into_iter().zip(&mut tallies);
        let mut grid = || {
            let ((_, faces), tallies) = grids.next()?;
            Some(Grid { sigmas: &config.transform.sigmas, curves: &sweep.curves, faces, tallies })
        };
        let test = grid().context("there is a test split")?;
        let in_train = data.frequencies(&data.split(Split::Train)?);
        let majority = majority_accuracy(&in_train, &data.frequencies(&test.faces));
        outputs.write(&test.table(majority))?;
        outputs.write(&test.by_image(data))?;
        if let Some(val) = grid() {
            outputs.write(&choices(&val, &test)?)?;
        }
        Ok(())
    })
}

/// What another rank counts of the stage.
pub(super) fn share(run: &Run, session: &Session) -> Result<Vec<Table>> {
    Sweep::new(run, session)?.measure()
}

/// What is measured.
struct Sweep<'a> {
    settings: &'a Transform,
    curves: Vec<Curve>,
    seed: u64,
    trained: &'a Trained,
    data: &'a CelebA,
    session: &'a Session,
}

impl<'a> Sweep<'a> {
    fn new(run: &'a Run, session: &'a Session) -> Result<Self> {
        let settings = &run.manifest.config.transform;
        Ok(Self {
            settings,
            curves: with_identity(&settings.curves),
            seed: run.manifest.seed,
            trained: session.trained(run)?,
            data: session.data(run)?,
            session,
        })
    }

    /// The splits that are measured on, and their faces: the test split, and the validation split
    /// if there is one.
    fn splits(&self) -> Result<Vec<(Split, Vec<usize>)>> {
        let Transform { images, validation, .. } = *self.settings;
        let test = faces::first(self.data.split(Split::Test)?, images);
        let mut splits = vec![(Split::Test, test)];
        // The paper's split has no validation faces.
        if let (1.., Ok(val)) = (validation, self.data.split(Split::Val)) {
            splits.push((Split::Val, faces::first(val, validation)));
        }
        Ok(splits)
    }

    /// For each split every σ under every curve, on this rank's share of its faces.
    fn measure(&self) -> Result<Vec<Table>> {
        let ranks = ranks::of(&self.session.device);
        let of_split = |(split, faces): (Split, Vec<usize>)| {
            self.measure_on(split, shared::own(&faces, BATCH, &ranks))
        };
        self.splits()?.into_iter().map(of_split).collect()
    }

    fn measure_on(&self, split: Split, faces: &[usize]) -> Result<Table> {
        let card = &self.trained.card;
        let curves: Vec<&dyn ToneCurve> =
            self.curves.iter().map(|curve| curve as &dyn ToneCurve).collect();
        let noise = Noise {
            sigma: 0.,
            clip: self.settings.clip,
            mean: card.mean.to_vec(),
            deviation: card.deviation.to_vec(),
            seed: self.seed,
        };
        let title = format!("transforming, {} faces", split.id());
        let progress = Progress::new(&title, Unit::Images, faces.len(), 0);
        let count = self.settings.sigmas.len() * curves.len();
        let each = || format!("each with {count} settings");
        let size =
            |batch: &foresee_celeba::Result<Batch>| batch.as_ref().map_or(0, |b| b.faces.len());
        let batches = self.data.batches_in_order(faces, &self.trained.preprocessing, BATCH);
        let device = &self.session.device;
        let batches = counted(batches, &progress, size, each).map(
            |batch| -> Result<(Tensor, Tensor, Vec<usize>)> {
                let batch = batch?;
                let images = batch.images.to_device(device)?;
                Ok((images, batch.labels.to_device(device)?, batch.faces))
            },
        );
        let sigmas = &self.settings.sigmas;
        transform_grid(&self.trained.network, &noise, sigmas, &curves, batches)
    }
}

/// A tally for every σ and curve.
struct Grid<'a> {
    sigmas: &'a [f64],
    curves: &'a [Curve],
    faces: Vec<usize>,
    tallies: Table,
}

impl Grid<'_> {
    /// σ, curve, its tally, and that of the identity on the same noisy images.
    fn points(&self) -> impl Iterator<Item = (f64, &Curve, &Tally, &Tally)> {
        self.sigmas.iter().zip(&self.tallies).flat_map(|(&sigma, row)| {
            let point = move |(curve, tally)| (sigma, curve, tally, &row[BASELINE]);
            self.curves.iter().zip(row).map(point)
        })
    }

    /// With the accuracy of the majority-class baseline.
    fn table(&self, majority: f64) -> TransformationCurves {
        let point = |(sigma, curve, tally, baseline): (f64, &Curve, &Tally, &Tally)| {
            TransformationPoint::new(sigma, curve, [tally, baseline], majority)
        };
        let with_attributes =
            |item: (f64, &Curve, &Tally, &Tally)| (point(item), item.2.by_attribute());
        TransformationCurves { points: self.points().map(with_attributes).collect() }
    }

    fn by_image(&self, data: &CelebA) -> Vec<TransformedImage> {
        let of_point = |(sigma, curve, tally, _): (f64, &Curve, &Tally, &Tally)| {
            let correct = tally.correct_by_image();
            let row = |(&face, correct): (&usize, i64)| TransformedImage {
                image: data.name(face).into(),
                sigma,
                curve: curve.clone(),
                correct: correct as usize,
            };
            self.faces.iter().zip(correct).map(row).collect::<Vec<_>>()
        };
        self.points().flat_map(of_point).collect()
    }
}

/// For each σ the curve that is best on validation faces, judged on test faces, which had no part
/// in the choice.
fn choices(val: &Grid, test: &Grid) -> Result<Vec<TransformationChoice>> {
    let tallies = val.tallies.iter().zip(&test.tallies);
    let rows = val.sigmas.iter().zip(tallies).map(|(&sigma, (on_val, on_test))| {
        let choice = ValidationChoice::new(on_val, on_test, BASELINE)?;
        Ok(TransformationChoice {
            sigma,
            curve: val.curves[choice.index].clone(),
            validation_images: val.faces.len(),
            validation_gain: choice.validation_gain.mean,
            test_images: test.faces.len(),
            test_gain: choice.test_gain.mean,
            test_gain_standard_error: choice.test_gain.standard_error,
            test_accuracy: choice.test_accuracy,
        })
    });
    rows.collect()
}
