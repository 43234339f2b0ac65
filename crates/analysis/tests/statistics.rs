//! Streamed statistics against two-pass formulas in f64, and properties that always hold.

use candle_core::{Device, Tensor};
use foresee_analysis::{
    ChannelCorrelation, CorrelationSamples, Error, FeatureBatch, FeatureStatistics, Matrix,
    MeanMasks, groups, neighbours, similar_order, top_channels,
};
use foresee_stats::row_correlation;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Features with a large mean and a small spread, on which sums of squares in f32 fail.
fn features(batch: usize) -> AnyResult<Tensor> {
    let (b, c, h, w) = (3, 6, 40, 30);
    let values: Vec<f32> = (0..b * c * h * w)
        .map(|i| {
            let (image, channel, pixel) = (i / (c * h * w), i / (h * w) % c, i % (h * w));
            let wave = |f: f64| ((pixel as f64 + 37. * (image + 3 * batch) as f64) * f).sin();
            (match channel {
                0 => 1000. + wave(0.3),
                1 => -500. - 2. * wave(0.3),
                2 => wave(0.3) + wave(1.7),
                3 => wave(2.9),
                4 => 7.,
                _ => 10. * batch as f64 + wave(0.9),
            }) as f32
        })
        .collect();
    Ok(Tensor::from_vec(values, (b, c, h, w), &Device::Cpu)?)
}

fn two_pass(batches: &[Tensor]) -> AnyResult<Vec<Vec<f64>>> {
    let mut channels = vec![vec![]; 6];
    for batch in batches {
        for (c, channel) in channels.iter_mut().enumerate() {
            channel.extend(
                batch.narrow(1, c, 1)?.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from),
            );
        }
    }
    let centred: Vec<Vec<f64>> = channels
        .iter()
        .map(|x| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            x.iter().map(|v| v - mean).collect()
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    Ok(centred
        .iter()
        .map(|a| centred.iter().map(|b| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).collect())
        .collect())
}

/// The means are a million times the spread, which leaves four binary digits of the spread in f32.
#[test]
fn a_large_mean_costs_no_digits() -> AnyResult {
    let draw = |i: usize, a: usize| ((i * a) % 10_007) as f64 / 10_007.;
    let channel = |c: usize, i: usize| match c {
        0 => 1e6 + draw(i, 7919),
        1 => -1e6 + draw(i, 7919) - 2. * draw(i, 104_729),
        2 => 1e6 + draw(i, 1_299_709),
        _ => f64::from(0.1f32),
    };
    // Two images of 100×100 positions, so parts of other lengths, in f32 as a network has them.
    let (images, positions) = (2, 100 * 100);
    let value = |image: usize, c: usize, i: usize| channel(c, image * positions + i) as f32;
    let mut streamed = ChannelCorrelation::new(4);
    let mut samples = vec![vec![]; 4];
    for image in 0..images {
        let mut values: Vec<f32> = vec![];
        for (c, samples) in samples.iter_mut().enumerate() {
            values.extend((0..positions).map(|i| value(image, c, i)));
            samples.extend((0..positions).map(|i| f64::from(value(image, c, i))));
        }
        streamed.add(&Tensor::from_vec(values, (1, 4, 100, 100), &Device::Cpu)?)?;
    }
    let n = (images * positions) as f64;
    let means: Vec<f64> = samples.iter().map(|x| x[0] + mean_from(x, x[0])).collect();
    let covariance = streamed.covariance();
    for i in 0..3 {
        assert!((streamed.means()[i] - means[i]).abs() < 1e-9, "{i}");
        for j in 0..3 {
            let pairs = samples[i].iter().zip(&samples[j]);
            let sum: f64 = pairs.map(|(x, y)| (x - means[i]) * (y - means[j])).sum();
            let (found, expected) = (covariance.get(i, j), sum / n);
            assert!((found - expected).abs() < 1e-13, "{i} {j}: {found} and {expected}");
        }
    }
    // 0.1 is no sum of a few powers of 2, so its mean is rounded; its variance is not.
    let found = streamed.finish()?;
    assert_eq!(covariance.row(3), [0.; 4]);
    assert_eq!(found.row(3), [0., 0., 0., 1.]);
    assert_eq!(streamed.means()[3], f64::from(0.1f32));
    Ok(())
}

/// The mean of values less an origin.
fn mean_from(values: &[f64], origin: f64) -> f64 {
    values.iter().map(|value| value - origin).sum::<f64>() / values.len() as f64
}

fn check_correlation(got: &Matrix, expected: &[Vec<f64>]) {
    for (i, row) in expected.iter().enumerate() {
        for (j, &expected) in row.iter().enumerate() {
            if i == 4 || j == 4 {
                assert_eq!(
                    got.get(i, j),
                    f64::from(u8::from(i == j)),
                    "a constant channel correlates with nothing"
                );
            } else {
                assert!(
                    (got.get(i, j) - expected).abs() < 1e-11,
                    "{i} {j}: {} and {expected}",
                    got.get(i, j)
                );
            }
        }
    }
    assert!(got.get(0, 1) < -0.9999);
}

#[test]
fn channel_correlation_is_the_two_pass_one() -> AnyResult {
    let batches = (0..4).map(features).collect::<AnyResult<Vec<_>>>()?;
    let mut streamed = ChannelCorrelation::new(6);
    assert!(matches!(streamed.finish(), Err(Error::Empty(_))));
    for batch in &batches {
        streamed.add(batch)?;
    }
    assert_eq!(streamed.samples(), 4 * 3 * 40 * 30);
    // Parts that are merged have the same correlation, though each has an origin of its own.
    let mut merged = ChannelCorrelation::new(6);
    for pair in batches.chunks(2) {
        let mut part = ChannelCorrelation::new(6);
        pair.iter().try_for_each(|batch| part.add(batch))?;
        merged.merge(&part)?;
    }
    assert!(merged.merge(&ChannelCorrelation::new(5)).is_err());
    assert_eq!(merged.samples(), streamed.samples());
    let expected = two_pass(&batches)?;
    check_correlation(&merged.finish()?, &expected);
    check_correlation(&streamed.finish()?, &expected);
    assert!((streamed.means()[4] - 7.).abs() < 1e-6 && streamed.standard_deviations()[4] < 1e-6);
    assert!(streamed.add(&features(0)?.narrow(1, 0, 5)?).is_err());
    streamed.add(&(features(0)? * f64::NAN)?)?;
    assert!(matches!(streamed.finish(), Err(Error::NotFinite(_))));
    Ok(())
}

#[test]
fn mean_masks_are_means_whatever_the_batches() -> AnyResult {
    let all = Tensor::rand(0f32, 1., (5, 2, 3), &Device::Cpu)?;
    let mut at_once = MeanMasks::new(2, 3);
    at_once.add(&all)?;
    let mut parts = MeanMasks::new(2, 3);
    parts.add(&all.narrow(0, 0, 4)?)?;
    parts.add(&all.narrow(0, 4, 1)?)?;
    assert_eq!(at_once.finish()?, parts.finish()?);
    let expected = all.mean(0)?.to_vec2::<f32>()?;
    assert!((at_once.finish()?.get(1, 2) - f64::from(expected[1][2])).abs() < 1e-6);
    assert!(parts.add(&Tensor::zeros((1, 3, 2), candle_core::DType::F32, &Device::Cpu)?).is_err());
    Ok(())
}

#[test]
fn rankings_and_groups_by_hand() -> AnyResult {
    let table = Matrix::from_rows(&[
        vec![0.1, 0.9, 0.5, 0.2],
        vec![0.2, 1.0, 0.6, 0.2],
        vec![0.9, 0.1, 0.3, 0.8],
        vec![0.8, 0.0, 0.3, 0.9],
    ]);
    assert_eq!(top_channels(&table, 0, 2), [1, 2]);
    let correlation = row_correlation(&table)?;
    assert!((correlation.get(2, 3) - correlation.get(3, 2)).abs() < 1e-15);
    let near = neighbours(&correlation, 0, 2);
    assert_eq!(near[0].0, 1);
    assert!(near[0].1 > 0.99 && near.len() == 2);
    assert_eq!(groups(&correlation, 0.5)?, [vec![0, 1], vec![2, 3]]);
    assert_eq!(groups(&correlation, 0.9999)?.len(), 4);
    assert!(matches!(groups(&Matrix::zeros(2, 3), 0.5), Err(Error::Shape { .. })));
    let nan = Matrix::from_rows(&[vec![1., f64::NAN], vec![f64::NAN, 1.]]);
    assert!(matches!(similar_order(&nan), Err(Error::NotFinite(_))));
    let order = similar_order(&correlation)?;
    let place = |k: usize| order.iter().position(|&o| o == k).unwrap() as i64;
    assert_eq!(((place(0) - place(1)).abs(), (place(2) - place(3)).abs(), order.len()), (1, 1, 4));
    Ok(())
}

#[test]
fn parts_are_merged_and_sent() -> AnyResult {
    let readout = Tensor::new(&[[2f32, -1.], [0.5, 1.]], &Device::Cpu)?;
    let empty = FeatureStatistics::new(&readout)?;
    let random = |dims: &[usize], mean: f32| Tensor::randn(mean, 1., dims, &Device::Cpu);
    let (z, products) = (random(&[5, 2, 3, 4], 1e3)?, random(&[5, 2, 2], 0.)?);
    let masks = random(&[5, 2, 2], 0.)?;
    let of = |first: usize, images: usize| -> AnyResult<FeatureStatistics> {
        let mut statistics = empty.clone();
        statistics.add(&FeatureBatch {
            features: &z.narrow(0, first, images)?,
            products: &products.narrow(0, first, images)?,
            masks: &masks.narrow(0, first, images)?,
        })?;
        Ok(statistics)
    };
    let mut merged = empty.clone();
    for (first, images) in [(0, 2), (2, 1), (3, 2)] {
        // As another process would have it.
        merged.merge(&empty.with_values(&of(first, images)?.to_values())?)?;
    }
    merged.merge(&empty)?;
    let [found, whole] = [merged, of(0, 5)?].map(|s| s.finish(CorrelationSamples::Positions));
    let (found, whole) = (found?, whole?);
    for (found, whole) in [
        (&found.correlation, &whole.correlation),
        (&found.covariance, &whole.covariance),
        (&found.masks, &whole.masks),
        (&found.contributions, &whole.contributions),
        (&found.product_means, &whole.product_means),
        (&found.product_covariances[1], &whole.product_covariances[1]),
    ] {
        for (found, whole) in found.to_rows().concat().iter().zip(whole.to_rows().concat()) {
            assert!((found - whole).abs() <= 1e-6 * (1. + whole.abs()), "{found} {whole}");
        }
    }
    assert!(empty.with_values(&[0.; 3]).is_err());
    let other = FeatureStatistics::new(&Tensor::new(&[[2f32]], &Device::Cpu)?)?;
    assert!(empty.clone().merge(&other).is_err());
    Ok(())
}
