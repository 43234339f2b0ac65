//! Stage `transform`: accuracy under input noise with transformed masks (Figure 8).

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_model::{ModelCard, Network};
use foresee_perturb::{Noise, PowerCurve, Tally, ToneCurve, transform_grid};
use foresee_report::frame::{self, DataFrame, df};

use crate::faces;
use crate::progress::Progress;
use crate::run::Run;
use crate::train;

const GRID: &str = "data/mask_transformation.csv";
const BY_IMAGE: &str = "data/mask_transformation_by_image.csv";
const CHOICE: &str = "data/mask_transformation_choice.csv";

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    run.stage(
        "transform",
        &(&config.data, &config.transform, run.manifest.seed),
        &["model.safetensors"],
        |run| {
            let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
            let (network, card) = train::load(&run.folder, device)?;
            let curves = config.curves()?;
            let test = Grid::measure(
                run,
                &network,
                &card,
                &data,
                (Split::Test, config.transform.images),
                &curves,
                device,
            )?;
            run.write_csv(GRID, test.table()?)?;
            run.write_csv(BY_IMAGE, test.by_image(&data)?)?;
            let mut made = vec![GRID.to_owned(), BY_IMAGE.to_owned()];
            // The paper's split has no validation faces.
            if config.transform.validation > 0 && data.split(Split::Val).is_ok() {
                let val = Grid::measure(
                    run,
                    &network,
                    &card,
                    &data,
                    (Split::Val, config.transform.validation),
                    &curves,
                    device,
                )?;
                run.write_csv(CHOICE, choice(&val, &test)?)?;
                made.push(CHOICE.to_owned());
            }
            Ok(made)
        },
    )
}

/// Every σ under every curve, on the faces of one split.
struct Grid<'a> {
    sigmas: &'a [f64],
    curves: &'a [PowerCurve],
    faces: Vec<usize>,
    tallies: Vec<Vec<Tally>>,
}

impl<'a> Grid<'a> {
    fn measure(
        run: &'a Run,
        network: &Network,
        card: &ModelCard,
        data: &CelebA,
        (split, limit): (Split, usize),
        curves: &'a [PowerCurve],
        device: &Device,
    ) -> Result<Self> {
        let config = &run.manifest.config.transform;
        let shapes: Vec<&dyn ToneCurve> =
            curves.iter().map(|curve| curve as &dyn ToneCurve).collect();
        let noise = Noise {
            sigma: 0.,
            clip: config.clip,
            mean: card.mean,
            deviation: card.deviation,
            seed: run.manifest.seed,
        };
        let faces = faces::limited(data.split(split)?, limit);
        let mut progress = Progress::new(&format!("transforming, {split:?} faces"), faces.len(), 0);
        let batches = faces::in_order(data, &faces, &faces::preprocessing(card), 8).map(
            |batch| -> Result<(Tensor, Tensor, Vec<usize>)> {
                let batch = batch?;
                progress.add(batch.faces.len(), || {
                    format!("{} settings", config.sigmas.len() * curves.len())
                });
                Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?, batch.faces))
            },
        );
        let tallies = transform_grid(network, &noise, &config.sigmas, &shapes, batches)?;
        Ok(Self { sigmas: &config.sigmas, curves, faces, tallies })
    }

    /// σ, curve, its tally, and that of the identity on the same noisy images.
    fn points(&self) -> impl Iterator<Item = (f64, &PowerCurve, &Tally, &Tally)> {
        self.sigmas.iter().zip(&self.tallies).flat_map(|(&sigma, row)| {
            self.curves.iter().zip(row).map(move |(curve, tally)| (sigma, curve, tally, &row[0]))
        })
    }

    fn table(&self) -> Result<DataFrame> {
        let column = |value: fn(&(f64, &PowerCurve, &Tally, &Tally)) -> f64| {
            self.points().map(|p| value(&p)).collect::<Vec<_>>()
        };
        let mut table = df!(
            "sigma" => column(|p| p.0),
            "n" => column(|p| rounded(p.1.n())),
            "beta" => column(|p| rounded(p.1.beta())),
            "images" => self.points().map(|p| p.2.images() as i64).collect::<Vec<_>>(),
            "accuracy" => column(|p| p.2.accuracy()),
            "standard_error" => column(|p| p.2.standard_error()),
            "gain" => column(|p| gain(p.2, p.3).0),
            "gain_standard_error" => column(|p| gain(p.2, p.3).1),
        )?;
        for (k, name) in ATTRIBUTES.iter().enumerate() {
            table.with_column(frame::column(
                name,
                self.points().map(|p| p.2.by_attribute()[k]).collect::<Vec<f64>>(),
            ))?;
        }
        Ok(table)
    }

    /// How many attributes of each image are right, under `σ/n/β`.
    fn by_image(&self, data: &CelebA) -> Result<DataFrame> {
        let names: Vec<&str> = self.faces.iter().map(|&face| data.name(face)).collect();
        let mut table = df!("image" => names)?;
        for (sigma, curve, tally, _) in self.points() {
            table.with_column(frame::column(
                &format!("{sigma}/{}/{}", rounded(curve.n()), rounded(curve.beta())),
                tally.right_by_image(),
            ))?;
        }
        Ok(table)
    }
}

/// For each σ the curve that is best on validation faces, and what it gains on test faces, which
/// had no part in the choice.
fn choice(val: &Grid, test: &Grid) -> Result<DataFrame> {
    let mut rows = vec![];
    for ((&sigma, on_val), on_test) in val.sigmas.iter().zip(&val.tallies).zip(&test.tallies) {
        let mut best = 0;
        (1..on_val.len()).for_each(|i| {
            if on_val[i].accuracy() > on_val[best].accuracy() {
                best = i;
            }
        });
        let (gained, error) = gain(&on_test[best], &on_test[0]);
        rows.push((
            sigma,
            &val.curves[best],
            gain(&on_val[best], &on_val[0]).0,
            gained,
            error,
            on_test[best].accuracy(),
        ));
    }
    Ok(df!(
        "sigma" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        "n" => rows.iter().map(|r| rounded(r.1.n())).collect::<Vec<_>>(),
        "beta" => rows.iter().map(|r| rounded(r.1.beta())).collect::<Vec<_>>(),
        "validation_images" => rows.iter().map(|_| val.faces.len() as i64).collect::<Vec<_>>(),
        "validation_gain" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        "test_images" => rows.iter().map(|_| test.faces.len() as i64).collect::<Vec<_>>(),
        "test_gain" => rows.iter().map(|r| r.3).collect::<Vec<_>>(),
        "test_gain_standard_error" => rows.iter().map(|r| r.4).collect::<Vec<_>>(),
        "test_accuracy" => rows.iter().map(|r| r.5).collect::<Vec<_>>(),
    )?)
}

/// What a curve gains over the identity on the same noisy images, and the standard error of that
/// over images.
fn gain(under: &Tally, plain: &Tally) -> (f64, f64) {
    let gains: Vec<f64> =
        under.by_image.iter().zip(&plain.by_image).map(|(a, b)| f64::from(a - b)).collect();
    let n = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    (mean, (gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n * (n - 1.).max(1.))).sqrt())
}

/// n and β are kept in single precision: 0.1 is written as 0.1.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
