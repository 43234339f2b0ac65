//! Stage `transform`: accuracy under input noise with transformed masks (Figure 8).

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_celeba::{ATTRIBUTES, Split};
use foresee_perturb::{Noise, Tally, ToneCurve, transform_grid};
use foresee_report::frame::{self, df};

use crate::faces;
use crate::progress::Progress;
use crate::run::Run;
use crate::train;

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    run.stage("transform", &(&config.data, &config.transform, run.manifest.seed), &["model.safetensors"], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let (network, card) = train::load(&run.folder, device)?;
        let curves = config.curves()?;
        let shapes: Vec<&dyn ToneCurve> = curves.iter().map(|curve| curve as &dyn ToneCurve).collect();
        let noise = Noise { sigma: 0., clip: config.transform.clip, mean: card.mean, deviation: card.deviation, seed: run.manifest.seed };
        let test = faces::limited(data.split(Split::Test)?, config.transform.images);
        let mut progress = Progress::new("transforming", test.len(), 0);
        let batches = faces::in_order(&data, &test, &faces::preprocessing(&card), 8).map(|batch| -> Result<(Tensor, Tensor, Vec<usize>)> {
            let batch = batch?;
            progress.add(batch.faces.len(), || format!("{} settings", config.transform.sigmas.len() * curves.len()));
            Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?, batch.faces))
        });
        let tallies = transform_grid(&network, &noise, &config.transform.sigmas, &shapes, batches)?;
        let points = || {
            config
                .transform
                .sigmas
                .iter()
                .zip(&tallies)
                .flat_map(|(&sigma, row)| curves.iter().zip(row).map(move |(curve, tally)| (sigma, curve, tally, &row[0])))
        };
        let mut grid = df!(
            "sigma" => points().map(|p| p.0).collect::<Vec<_>>(),
            "n" => points().map(|p| rounded(p.1.n())).collect::<Vec<_>>(),
            "beta" => points().map(|p| rounded(p.1.beta())).collect::<Vec<_>>(),
            "images" => points().map(|p| p.2.images() as i64).collect::<Vec<_>>(),
            "accuracy" => points().map(|p| p.2.accuracy()).collect::<Vec<_>>(),
            "standard_error" => points().map(|p| p.2.standard_error()).collect::<Vec<_>>(),
            "gain" => points().map(|p| gain(p.2, p.3).0).collect::<Vec<_>>(),
            "gain_standard_error" => points().map(|p| gain(p.2, p.3).1).collect::<Vec<_>>(),
        )?;
        for (k, name) in ATTRIBUTES.iter().enumerate() {
            grid.with_column(frame::column(name, points().map(|p| p.2.by_attribute()[k]).collect::<Vec<f64>>()))?;
        }
        run.write_csv("data/mask_transformation.csv", grid)?;
        Ok(vec!["data/mask_transformation.csv".into()])
    })
}

/// What a curve gains over the identity on the same noisy images, and the standard error of that over images.
fn gain(under: &Tally, plain: &Tally) -> (f64, f64) {
    let gains: Vec<f64> = under.by_image.iter().zip(&plain.by_image).map(|(a, b)| f64::from(a - b)).collect();
    let n = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    (mean, (gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n * (n - 1.).max(1.))).sqrt())
}

/// n and β are kept in single precision: 0.1 is written as 0.1.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
