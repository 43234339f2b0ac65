//! Takeovers: what must hold exactly, and what least squares promise.

use candle_core::{Device, Tensor};
use foresee_model::{Network, NetworkConfig, Rows};
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Cut, Error, PruneOrder, PruneRule, Reconstruction, Takeover,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const K: usize = 3;
const C: usize = 8;

fn network() -> AnyResult<Network> {
    Ok(Network::new(
        NetworkConfig { attributes: K, channels: C, ..Default::default() },
        3,
        &Device::Cpu,
    )?)
}

/// Features [6, C, 5, 4] in which the channels are mixtures of `rank` sources.
fn features(rank: usize) -> AnyResult<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut random = |n: usize| (0..n).map(|_| rng.random_range(-1f32..1.)).collect::<Vec<_>>();
    let sources = Tensor::from_vec(random(6 * rank * 20), (6, rank, 20), &Device::Cpu)?;
    let mix = Tensor::from_vec(random(C * rank), (1, C, rank), &Device::Cpu)?;
    Ok(mix.broadcast_matmul(&sources)?.reshape((6, C, 5, 4))?)
}

fn moments(samples: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = samples.len() as f64;
    let mean: Vec<f64> = (0..C).map(|c| samples.iter().map(|s| s[c]).sum::<f64>() / n).collect();
    let covariance = |i: usize, j: usize| {
        samples.iter().map(|s| (s[i] - mean[i]) * (s[j] - mean[j])).sum::<f64>() / n
    };
    let covariance = (0..C).map(|i| (0..C).map(|j| covariance(i, j)).collect()).collect();
    (mean, covariance)
}

fn rows(tensor: &Tensor) -> AnyResult<Vec<Vec<f64>>> {
    Ok(tensor
        .to_vec2::<f32>()?
        .into_iter()
        .map(|row| row.into_iter().map(f64::from).collect())
        .collect())
}

fn statistics(network: &Network, z: &Tensor) -> AnyResult<ChannelStatistics> {
    let (means, covariance) =
        moments(&rows(&z.permute((0, 2, 3, 1))?.reshape(((), C))?.contiguous()?)?);
    let pooled = network.heads().pool(z)?;
    let of: Vec<_> = (0..K)
        .map(|k| Ok(moments(&rows(&pooled.features.narrow(1, k, 1)?.squeeze(1)?.contiguous()?)?)))
        .collect::<AnyResult<_>>()?;
    let (pooled_means, pooled_covariance) = of.into_iter().unzip();
    let readout = network
        .heads()
        .readout_weights()?
        .into_iter()
        .map(|row| row.into_iter().map(f64::from).collect())
        .collect();
    Ok(ChannelStatistics {
        means,
        covariance,
        mean_masks: rows(&pooled.masks.mean(0)?)?,
        pooled_means,
        pooled_covariance,
        readout,
    })
}

fn order(channels: &[usize]) -> PruneOrder {
    PruneOrder { rule: PruneRule::Lower, seed: None, order: channels.to_vec() }
}

fn kept_features(z: &Tensor, kept: &[usize]) -> AnyResult<Tensor> {
    Ok(z.index_select(&Tensor::from_iter(kept.iter().map(|&c| c as u32), &Device::Cpu)?, 1)?)
}

/// Mean squared change of the logits.
fn change(network: &Network, cut: &Cut, z: &Tensor) -> AnyResult<f64> {
    let small = network.cut(cut)?.logits(&kept_features(z, cut.kept())?)?;
    Ok(f64::from((small - network.logits(z)?)?.sqr()?.mean_all()?.to_scalar::<f32>()?))
}

fn stand_in(cut: &Cut) -> AnyResult<&Reconstruction> {
    match cut {
        Cut::With(stand_in) => Ok(stand_in),
        Cut::Plain(_) => Err("a plain cut".into()),
    }
}

#[test]
fn pruning_a_duplicate_changes_nothing() -> AnyResult {
    let network = network()?;
    // Channel 5 is twice channel 2, and both have the same masks.
    let z = features(C)?;
    let planes: Vec<Tensor> = (0..C)
        .map(|c| if c == 5 { z.narrow(1, 2, 1)? * 2. } else { z.narrow(1, c, 1) })
        .collect::<Result<_, _>>()?;
    let z = Tensor::cat(&planes, 1)?;
    for (name, var) in network.tensors() {
        if name.starts_with("heads.mask") {
            let each: Vec<Tensor> = (0..K * C)
                .map(|row| var.narrow(0, if row % C == 5 { row - 3 } else { row }, 1))
                .collect::<Result<_, _>>()?;
            var.set(&Tensor::cat(&each, 0)?.contiguous()?)?;
        }
    }
    let statistics = statistics(&network, &z)?;
    for takeover in [Takeover::Partner, Takeover::LeastSquares] {
        for victim in [2, 5] {
            let cuts = statistics.cuts(&order(&[victim]), &[1], takeover, false)?;
            let changed = change(&network, &cuts[0], &z)?;
            assert!(changed < 1e-10, "{takeover:?} of {victim}: {changed}");
        }
    }
    let plain = statistics.cuts(&order(&[5]), &[1], Takeover::Nothing, false)?;
    assert!(change(&network, &plain[0], &z)? > 1e-6);
    Ok(())
}

#[test]
fn the_smaller_network_is_the_unpruned_one_on_reconstructed_features() -> AnyResult {
    let network = network()?;
    let z = features(C)?;
    let statistics = statistics(&network, &z)?;
    for takeover in [Takeover::Partner, Takeover::LeastSquares, Takeover::Mean] {
        let cut = statistics.cuts(&order(&[1, 7, 4, 0]), &[3], takeover, true)?.remove(0);
        let stand_in = stand_in(&cut)?;
        assert_eq!(stand_in.kept, [0, 2, 3, 5, 6]);
        // Masks from S·z_Q + t in the unpruned network; then the products of the kept ones, pooled,
        // and the readout of the stand-in.
        let z_q = kept_features(&z, &stand_in.kept)?;
        let s = Tensor::new(stand_in.weights.clone(), &Device::Cpu)?.unsqueeze(0)?;
        let t = Tensor::new(stand_in.offsets.clone(), &Device::Cpu)?.reshape((1, C, 1))?;
        let reconstructed =
            s.broadcast_matmul(&z_q.flatten_from(2)?)?.broadcast_add(&t)?.reshape(z.shape())?;
        let bias = network
            .tensors()
            .into_iter()
            .find(|(name, _)| name == "heads.readout.bias")
            .ok_or("no bias")?
            .1
            .to_vec1::<f32>()?;
        let small = network.cut(&cut)?.logits(&z_q)?.to_vec2::<f32>()?;
        for k in 0..K {
            let masks = network.heads().masks(&reconstructed, &[k])?.squeeze(1)?;
            let masks = kept_features(&masks, &stand_in.kept)?;
            let pooled = (masks * &z_q)?.mean((2, 3))?.to_vec2::<f32>()?;
            for (image, pooled) in pooled.iter().enumerate() {
                let logit: f32 =
                    pooled.iter().zip(&stand_in.readout[k]).map(|(p, v)| p * v).sum::<f32>()
                        + bias[k]
                        + stand_in.readout_offsets[k];
                assert!(
                    (logit - small[image][k]).abs() < 1e-5,
                    "{takeover:?}: {logit} and {}",
                    small[image][k]
                );
            }
        }
    }
    Ok(())
}

#[test]
fn least_squares_restore_what_the_kept_channels_span() -> AnyResult {
    let network = network()?;
    let z = features(4)?;
    let statistics = statistics(&network, &z)?;
    let cuts = statistics.cuts(&order(&[0, 3, 6]), &[0, 3], Takeover::LeastSquares, false)?;
    assert!(change(&network, &cuts[0], &z)? < 1e-8);
    // Five channels span the four sources: the masks' convolution is given the same.
    let stand_in = stand_in(&cuts[1])?;
    let s = Tensor::new(stand_in.weights.clone(), &Device::Cpu)?.unsqueeze(0)?;
    let reconstructed = s.broadcast_matmul(&kept_features(&z, &stand_in.kept)?.flatten_from(2)?)?;
    let reconstructed = reconstructed
        .broadcast_add(&Tensor::new(stand_in.offsets.clone(), &Device::Cpu)?.reshape((1, C, 1))?)?;
    let error = (reconstructed - z.flatten_from(2)?)?.abs()?.flatten_all()?;
    assert!(error.to_vec1::<f32>()?.iter().all(|error| *error < 1e-3), "{error}");
    let plain = change(
        &network,
        &statistics.cuts(&order(&[0, 3, 6]), &[3], Takeover::Nothing, false)?[0],
        &z,
    )?;
    let repaired = change(&network, &cuts[1], &z)?;
    assert!(repaired < 0.05 * plain, "{repaired} and {plain}");
    Ok(())
}

#[test]
fn a_stand_in_that_changes_nothing_is_plain_pruning() -> AnyResult {
    let network = network()?;
    let z = features(C)?;
    let kept = vec![1, 2, 6];
    let weights =
        (0..C).map(|c| kept.iter().map(|&q| f32::from(u8::from(q == c))).collect()).collect();
    let readout = network
        .heads()
        .readout_weights()?
        .into_iter()
        .map(|row| kept.iter().map(|&q| row[q]).collect())
        .collect();
    let plain = Reconstruction {
        kept: kept.clone(),
        weights,
        offsets: vec![0.; C],
        readout,
        readout_offsets: vec![0.; K],
    };
    let z_q = kept_features(&z, &kept)?;
    let a = network.cut(&Cut::With(plain.clone()))?.logits(&z_q)?.to_vec2::<f32>()?;
    assert_eq!(a, network.cut(&Cut::Plain(kept))?.logits(&z_q)?.to_vec2::<f32>()?);
    assert!(network.cut(&Cut::With(Reconstruction { offsets: vec![], ..plain })).is_err());
    Ok(())
}

#[test]
fn constant_and_closed_channels_are_taken_over_too() -> AnyResult {
    let network = network()?;
    let z = features(C)?;
    // Channel 4 is 0.7 everywhere: it correlates with nothing.
    let planes: Vec<Tensor> = (0..C)
        .map(|c| if c == 4 { z.narrow(1, 4, 1)?.zeros_like()? + 0.7 } else { z.narrow(1, c, 1) })
        .collect::<Result<_, _>>()?;
    let z = Tensor::cat(&planes, 1)?;
    let mut statistics = statistics(&network, &z)?;
    statistics.mean_masks.iter_mut().for_each(|row| row[0] = 0.);
    for takeover in [Takeover::Partner, Takeover::LeastSquares, Takeover::Mean] {
        for pruned in [vec![4], vec![4, 1, 2, 3, 5, 6, 7]] {
            let changed = |takeover| -> AnyResult<f64> {
                let cuts = statistics.cuts(&order(&pruned), &[pruned.len()], takeover, false)?;
                change(&network, &cuts[0], &z)
            };
            let (changed, without) = (changed(takeover)?, changed(Takeover::Nothing)?);
            assert!(changed.is_finite(), "{takeover:?} of {pruned:?}: {changed}");
            // What is constant is known without the others.
            assert!(
                pruned.len() > 1 || changed < 0.2 * without,
                "{takeover:?}: {changed} {without}"
            );
        }
    }
    // A covariance that rounding has made slightly indefinite.
    let mut rounded = statistics.clone();
    rounded
        .pooled_covariance
        .iter_mut()
        .for_each(|rows| (0..C).for_each(|c| rows[c][c] *= 1. - 1e-4));
    let cuts = rounded.cuts(&order(&[1]), &[1], Takeover::LeastSquares, false)?;
    assert!(change(&network, &cuts[0], &z)?.is_finite());
    statistics.means.pop();
    let wrong = statistics.cuts(&order(&[1]), &[1], Takeover::Nothing, false);
    assert!(matches!(wrong, Err(Error::Table { channels: 7, .. })));
    Ok(())
}

#[test]
fn the_lasso_keeps_what_contributes_most_to_the_next_layer() -> AnyResult {
    // Independent channels: they enter by their share of the variance.
    let diagonal = |values: &[f64]| {
        (0..values.len())
            .map(|i| (0..values.len()).map(|j| if i == j { values[i] } else { 0. }).collect())
            .collect::<Vec<Vec<f64>>>()
    };
    let order = PruneOrder::lasso(&diagonal(&[1., 4., 2., 0.]), &diagonal(&[1., 1., 3., 1.]))?;
    assert_eq!(order.order, [3, 0, 1, 2]);
    // Channel 0 is a copy of channel 1 at half its size: one of the two is enough, and the larger
    // is kept.
    let covariance = vec![vec![0.25, 0.5, 0.], vec![0.5, 1., 0.], vec![0., 0., 0.3]];
    let gram = vec![vec![1.; 3]; 3];
    assert_eq!(PruneOrder::lasso(&covariance, &gram)?.order[0], 0);
    assert!(PruneOrder::lasso(&covariance, &gram[..2]).is_err());
    Ok(())
}

/// The networks of sweeps: those of a curve, each channel alone, with what is taken over, of all
/// rows and of some, and masks of 3×3, which are run one by one.
#[test]
fn the_logits_of_many_cuts_are_those_of_the_smaller_networks() -> AnyResult {
    let z = features(C)?;
    for mask_kernel in [1, 3] {
        let config =
            NetworkConfig { attributes: K, channels: C, mask_kernel, ..Default::default() };
        let all = Network::new(config, 3, &Device::Cpu)?;
        let some = Rows::new(C, vec![vec![0, 2, 3, 7], vec![], (0..C).collect()])?;
        for network in [all.with_rows(some)?, all.clone()] {
            let statistics = statistics(&network, &z)?;
            let curve = order(&[4, 1, 6, 0, 2, 7, 3]);
            let mut cuts = vec![];
            for takeover in Takeover::ALL {
                cuts.extend(statistics.cuts(&curve, &[1, 2, 4, 5, 7], takeover, false)?);
                for channel in 0..C {
                    cuts.push(statistics.cut(&[channel], takeover, false)?);
                }
            }
            let found = network.logits_of_cuts(&z, &cuts.iter().collect::<Vec<_>>())?;
            assert_eq!(found.len(), cuts.len());
            for (cut, found) in cuts.iter().zip(&found) {
                let small = network.cut(cut)?.logits(&kept_features(&z, cut.kept())?)?;
                let off = (found - small)?.abs()?.flatten_all()?;
                let near = off.to_vec1::<f32>()?.iter().all(|off| *off < 2e-5);
                assert!(near, "masks of {mask_kernel}, {:?}: {off}", cut.kept());
            }
        }
        let network = all;
        let none = Cut::Plain(vec![]);
        assert!(network.logits_of_cuts(&z, &[&none]).is_err());
    }
    Ok(())
}
