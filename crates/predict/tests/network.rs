//! The study of a network, on a network whose changes can be worked by hand.
#![cfg(feature = "network")]

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{D, Device, Result, Tensor};
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Cut, GatedModel, PruneOrder, PruneRule, ToneCurve,
};
use foresee_predict::{
    Explanation, ForecastRule, Matrix, NetworkOperation, NetworkStudy, NetworkStudySettings,
    ScoreRule, ScoredForecast, Subject,
};

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Masks m [K][C].
const MASKS: [[f32; 4]; 2] = [[0.5, 0.25, 0.75, 0.5], [0.125, 0.5, 0.25, 0.125]];
/// Readout weights w [K][C], none negative.
const WEIGHTS: [[f32; 4]; 2] = [[1., 2., 0.5, 0.25], [2., 0.25, 1., 0.5]];
/// Colours of the images, none negative.
const IMAGES: [[f32; 3]; 6] =
    [[0., 1., 2.], [1., 1., 0.], [2., 0., 1.], [3., 2., 1.], [0., 0., 0.], [1., 3., 4.]];

/// Channels are the three colours and twice the first one. Every mask is the same everywhere.
/// Logits are Σ_c w_kc·m_kc·mean(z_c) + b_k.
#[derive(Clone)]
struct Toy {
    masks: Vec<Vec<f32>>,
    readout: Vec<Vec<f32>>,
    bias: Vec<f32>,
}

impl Toy {
    fn read_out(&self, z: &Tensor, masks: &[Vec<f32>]) -> Result<Tensor> {
        let products: Vec<Vec<f32>> = masks
            .iter()
            .zip(&self.readout)
            .map(|(masks, weights)| masks.iter().zip(weights).map(|(m, w)| m * w).collect())
            .collect();
        let logits = z.mean((2, 3))?.matmul(&Tensor::new(products, &Device::Cpu)?.t()?)?;
        logits.broadcast_add(&Tensor::new(self.bias.as_slice(), &Device::Cpu)?)
    }
}

impl GatedModel for Toy {
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        Tensor::cat(&[images, &(images.narrow(1, 0, 1)? * 2.)?], 1)
    }

    fn logits_with_curves(
        &self,
        features: &Tensor,
        curves: &[&dyn ToneCurve],
    ) -> Result<Vec<Tensor>> {
        let transformed = |curve: &&dyn ToneCurve| {
            let mut masks = self.masks.clone();
            for (k, row) in masks.iter_mut().enumerate() {
                for (c, mask) in row.iter_mut().enumerate() {
                    curve.apply(k, c, std::slice::from_mut(mask));
                }
            }
            self.read_out(features, &masks)
        };
        curves.iter().map(transformed).collect()
    }
}

impl AttentionModel for Toy {
    fn channels(&self) -> usize {
        self.masks[0].len()
    }

    fn logits(&self, features: &Tensor) -> Result<Tensor> {
        self.read_out(features, &self.masks)
    }

    fn cut(&self, cut: &Cut) -> Result<Self> {
        let select = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
            rows.iter().map(|row| cut.kept().iter().map(|&c| row[c]).collect()).collect()
        };
        let masks = select(&self.masks);
        let plain = Self { masks, readout: select(&self.readout), bias: self.bias.clone() };
        let Cut::With(stand_in) = cut else { return Ok(plain) };
        let offsets = self.bias.iter().zip(&stand_in.readout_offsets);
        let bias = offsets.map(|(b, offset)| b + offset).collect();
        Ok(Self { readout: stand_in.readout.clone(), bias, ..plain })
    }
}

fn toy() -> Toy {
    Toy {
        masks: MASKS.map(|row| row.to_vec()).to_vec(),
        readout: WEIGHTS.map(|row| row.to_vec()).to_vec(),
        bias: vec![0.5, -0.5],
    }
}

/// Means and covariance of the four channels over the images.
fn moments() -> (Vec<f64>, Vec<Vec<f64>>) {
    let z = IMAGES.map(|[r, g, b]| [r, g, b, 2. * r].map(f64::from));
    let mean = |value: &dyn Fn(&[f64; 4]) -> f64| z.iter().map(value).sum::<f64>() / 6.;
    let means: Vec<f64> = (0..4).map(|c| mean(&|z| z[c])).collect();
    let covariance = |i: usize, j: usize| mean(&|z| (z[i] - means[i]) * (z[j] - means[j]));
    let rows = (0..4).map(|i| (0..4).map(|j| covariance(i, j)).collect()).collect();
    (means, rows)
}

/// A table [K][C] of a mask, a weight and a channel's mean.
fn table(entry: impl Fn(f64, f64, f64) -> f64) -> Vec<Vec<f64>> {
    let (means, _) = moments();
    let row = |k: usize| {
        let value = |c: usize| entry(f64::from(MASKS[k][c]), f64::from(WEIGHTS[k][c]), means[c]);
        (0..4).map(value).collect()
    };
    (0..2).map(row).collect()
}

/// Runs the study; also how many images it said that it ran, and how many it had announced.
fn run(
    network: &Toy,
    settings: NetworkStudySettings,
) -> AnyResult<(Vec<ScoredForecast>, usize, usize)> {
    let (means, covariance) = moments();
    let correlation: Vec<Vec<f64>> = (0..4)
        .map(|i| {
            let rho = |j: usize| covariance[i][j] / (covariance[i][i] * covariance[j][j]).sqrt();
            (0..4).map(rho).collect()
        })
        .collect();
    let explanation = Explanation {
        correlation: Matrix::from_rows(&correlation),
        mean_masks: Matrix::from_rows(&table(|m, _, _| m)),
        readout: Matrix::from_rows(&table(|_, w, _| w)),
        contributions: Matrix::from_rows(&table(|m, w, z| m * w * z)),
        filter_norms: vec![1., 2., 3., 4.],
    };
    let statistics = ChannelStatistics {
        means,
        covariance: covariance.clone(),
        mean_masks: table(|m, _, _| m),
        pooled_means: table(|m, _, z| m * z),
        pooled_covariance: vec![covariance; 2],
        readout: table(|_, w, _| w),
    };
    let order = |rule, order: &[usize]| PruneOrder { rule, seed: None, order: order.to_vec() };
    let orders = [order(PruneRule::Lower, &[0, 2, 1]), order(PruneRule::Higher, &[3, 1, 2])];
    let images = Tensor::new(&IMAGES, &Device::Cpu)?.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
    let batches = [
        (images.narrow(0, 0, 4)?, (0..4).collect::<Vec<_>>()),
        (images.narrow(0, 4, 2)?, vec![4, 5]),
    ];
    let done = AtomicUsize::new(0);
    let progress = |images: usize| {
        done.fetch_add(images, Ordering::Relaxed);
    };
    let study = NetworkStudy {
        network,
        batches: &batches,
        explanation: &explanation,
        statistics: &statistics,
        semantic_orders: &orders,
        attribute_correlation: &Matrix::from_rows(&[vec![1., 0.2], vec![0.2, 1.]]),
        settings,
        progress: &progress,
    };
    let rows = study.run()?;
    let done = done.load(Ordering::Relaxed);
    check_parts(&study, &rows)?;
    Ok((rows, done, study.images_to_run()))
}

/// What is observed batch by batch, each by another process, comes to the same scores.
fn check_parts(study: &NetworkStudy<Toy>, rows: &[ScoredForecast]) -> AnyResult {
    let of = |batches: &[(Tensor, Vec<usize>)]| {
        NetworkStudy { batches, settings: study.settings.clone(), ..*study }.observe()
    };
    let parts = study.batches.iter().map(|batch| of(std::slice::from_ref(batch)));
    let parts = parts.map(|part| Ok(part?.to_values())).collect::<AnyResult<Vec<_>>>()?;
    // A process may have no batch.
    let mut observed = of(&[])?;
    observed.replace(&parts)?;
    // NaN is not equal to itself.
    assert_eq!(format!("{:?}", study.score(&observed)?), format!("{rows:?}"));
    assert!(observed.replace(&[vec![0.]]).is_err());
    Ok(())
}

fn settings() -> NetworkStudySettings {
    NetworkStudySettings {
        channels: 0,
        resamples: 5,
        seed: 3,
        absolute: false,
        attention: true,
        sigmas: vec![0.2, 0., 0.1, 0.2],
        clip: false,
        mean: [0.; 3],
        deviation: [1.; 3],
    }
}

fn estimate(
    rows: &[ScoredForecast],
    operation: NetworkOperation,
    rule: ForecastRule,
    score: ScoreRule,
) -> AnyResult<f64> {
    let subject = Subject::Forecast(rule);
    let found = rows
        .iter()
        .find(|row| (row.operation, row.score) == (operation, score) && row.subject == subject);
    Ok(found.ok_or("no such row")?.value.interval.estimate)
}

#[test]
fn what_decides_the_change_forecasts_it() -> AnyResult {
    let (rows, _, _) = run(&toy(), settings())?;
    let skill = |operation, rule| estimate(&rows, operation, rule, ScoreRule::Skill);
    let contribution = ForecastRule::Contribution;
    // A pruned channel's product w·m·z is missing from the logit; none of them is negative, so the
    // products of many channels add up.
    for operation in [NetworkOperation::PruneOne, NetworkOperation::PruneMany] {
        let found = skill(operation, contribution.clone())?;
        assert!((found - 1.).abs() < 1e-6, "{operation:?}: {found}");
        for score in [ScoreRule::RankOfOutputs, ScoreRule::RankOfOperations] {
            let found = estimate(&rows, operation, contribution.clone(), score)?;
            assert!((found - 1.).abs() < 1e-12, "{operation:?}: {found}");
        }
    }
    // The mask moves from m to g(m), so the logit changes by w·z·(g(m) - m).
    let by_curve = ForecastRule::CurveShiftTimesContribution;
    let found = skill(NetworkOperation::TransformOne, by_curve)?;
    assert!((found - 1.).abs() < 1e-6, "{found}");
    // Channels 0 and 3 are duplicates, each of which takes over for the other.
    let partner = NetworkOperation::PruneOneWithPartner;
    let with_uniqueness = skill(partner, ForecastRule::UniquenessTimesContribution)?;
    assert!(with_uniqueness > skill(partner, contribution)?);
    // Without clipping the logits are linear in the noise.
    for operation in [NetworkOperation::PruneMany, NetworkOperation::Noise] {
        let found = estimate(&rows, operation, ForecastRule::Monotone, ScoreRule::Monotonicity)?;
        assert_eq!(found, 1., "{operation:?}");
    }
    Ok(())
}

#[test]
fn rows_come_operation_by_operation() -> AnyResult {
    let (rows, done, announced) = run(&toy(), settings())?;
    assert_eq!(done, announced);
    // 1 + 4 passes over 6 images each time that channels are pruned or transformed alone; 1 + 10
    // orders · 2 counts when many are pruned; noise of a probe, and 4 draws at 2 σ.
    assert_eq!(announced, 6 * (3 * 5 + 1 + 10 * 2 + 2 + 1 + 4 * 2));
    let mut operations: Vec<NetworkOperation> = rows.iter().map(|row| row.operation).collect();
    operations.dedup();
    assert_eq!(operations, NetworkOperation::OF_MASKED_NETWORK);
    let of = |operation| rows.iter().filter(move |row| row.operation == operation);
    // Four scores of 8 forecasts and of 5 differences, three of what is said without any and of
    // each difference from that, and one more.
    assert_eq!(of(NetworkOperation::PruneOne).count(), 4 * 13 + 3 * 3 + 1);
    assert_eq!(of(NetworkOperation::PruneOneWithPartner).count(), 4 * 13 + 3 * 3);
    // Two more forecasts have signs.
    assert_eq!(of(NetworkOperation::PruneMany).count(), 4 * 15 + 3 * 3 + 1);
    assert_eq!(of(NetworkOperation::TransformOne).count(), 4 * 7 + 3 * 2);
    assert_eq!(of(NetworkOperation::Noise).count(), 4 * 2 + 3 * 2 + 1);
    let perturbations = |operation| of(operation).next().map(|row| row.perturbations);
    assert_eq!(perturbations(NetworkOperation::PruneOne), Some(4));
    assert_eq!(perturbations(NetworkOperation::PruneManyDecisions), Some(20));
    assert_eq!(perturbations(NetworkOperation::Noise), Some(8));
    assert!(rows.iter().all(|row| row.images == 6));
    let last = rows.last().ok_or("no rows")?;
    assert_eq!(last.subject, Subject::Forecast(ForecastRule::Monotone));
    // The probe of the noise is one run for two outputs.
    let linear = Subject::Forecast(ForecastRule::LinearProbe);
    let row = rows.iter().find(|row| row.subject == linear).ok_or("no probe")?;
    assert_eq!((row.budget.values, row.budget.probes), (2, 1));
    Ok(())
}

#[test]
fn operations_that_are_not_possible_are_left_out() -> AnyResult {
    let few =
        NetworkStudySettings { channels: 2, attention: false, sigmas: vec![0.], ..settings() };
    let (rows, done, announced) = run(&toy(), few)?;
    assert_eq!(done, announced);
    assert_eq!(rows.last().ok_or("no rows")?.operation, NetworkOperation::PruneManyDecisions);
    assert_eq!(rows[0].perturbations, 2);
    Ok(())
}
