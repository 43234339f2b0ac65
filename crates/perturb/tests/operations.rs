//! The operations against the paper's formulas and against properties that always hold.

use candle_core::{Device, Tensor};
use foresee_model::{Network, NetworkConfig};
use foresee_perturb::{
    AttentionModel, Cut, Error, GatedModel, Identity, Noise, Norm, Only, PowerCurve, PruneOrder,
    PrunePlan, PruneRule, ToneCurve, Victim, add_noise, logits_under, prune_curves, transform_grid,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug)]
struct Failed(#[expect(dead_code, reason = "shown when a test fails")] String);

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        Self(e.to_string())
    }
}

fn network() -> AnyResult<Network> {
    Ok(Network::new(
        NetworkConfig { attributes: 4, channels: 10, ..Default::default() },
        5,
        &Device::Cpu,
    )?)
}

fn batch() -> AnyResult<(Tensor, Tensor, Vec<usize>)> {
    let values: Vec<f32> =
        (0..6 * 3 * 64).map(|i| ((i * 7919) % 1000) as f32 / 500. - 1.).collect();
    let labels: Vec<f32> = (0..24).map(|i| (i % 3 % 2) as f32).collect();
    Ok((
        Tensor::from_vec(values, (6, 3, 8, 8), &Device::Cpu)?,
        Tensor::from_vec(labels, (6, 4), &Device::Cpu)?,
        (10..16).collect(),
    ))
}

/// Eq. 11 and 12 as written, in f64.
fn g(m: f64, n: f64, beta: f64) -> f64 {
    let h = if m < 0.5 { (m / 0.5).powf(n) / 2. } else { 1. - ((1. - m) / 0.5).powf(n) / 2. };
    (1. + beta) * h - beta
}

#[test]
fn the_power_curve_is_eq_11_and_12() -> AnyResult {
    for n in [0.5, 1., 1.7, 2., 3., 5.] {
        for beta in [0., 0.1, 0.5, -0.2] {
            let mut masks: Vec<f32> = (0..=1000).map(|i| i as f32 / 1000.).collect();
            let expected: Vec<f64> = masks.iter().map(|&m| g(f64::from(m), n, beta)).collect();
            PowerCurve::new(n, beta)?.apply(0, 0, &mut masks);
            for (got, expected) in masks.iter().zip(expected) {
                assert!(
                    (f64::from(*got) - expected).abs() < 1e-6,
                    "n = {n}, β = {beta}: {got} and {expected}"
                );
            }
            // Symmetric about 0.5 (the paper on h), monotone.
            if beta == 0. {
                assert!(
                    masks.iter().zip(masks.iter().rev()).all(|(a, b)| (a + b - 1.).abs() < 1e-6)
                );
            }
            assert!(masks.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6));
        }
    }
    assert!(
        PowerCurve::new(0., 0.).is_err()
            && PowerCurve::new(f64::NAN, 0.).is_err()
            && PowerCurve::new(1., f64::INFINITY).is_err()
    );
    Ok(())
}

#[test]
fn the_identity_changes_no_bit_and_chosen_masks_only_are_changed() -> AnyResult {
    let network = network()?;
    let (images, _, _) = batch()?;
    let features = network.features(&images)?;
    let plain = network.logits(&features)?.to_vec2::<f32>()?;
    let identity = PowerCurve::new(1., 0.)?;
    let strong = PowerCurve::new(3., 0.5)?;
    let first = Only::new(strong, Some(vec![0]), None);
    let under = network.logits_with_curves(&features, &[&Identity, &identity, &strong, &first])?;
    let under: Vec<_> = under.iter().map(|t| t.to_vec2::<f32>()).collect::<Result<_, _>>()?;
    assert_eq!(plain, under[0]);
    assert_eq!(plain, under[1]);
    for image in 0..6 {
        assert_ne!(plain[image][1], under[2][image][1]);
        assert_eq!(under[3][image][0], under[2][image][0]);
        assert_eq!(under[3][image][1..], plain[image][1..]);
    }
    Ok(())
}

#[test]
fn plans_scan_pairs_in_order_and_prune_each_channel_once() -> AnyResult {
    let correlation = vec![
        vec![1., 0.9, 0.2, -0.95],
        vec![0.9, 1., 0.8, 0.1],
        vec![0.2, 0.8, 1., 0.3],
        vec![-0.95, 0.1, 0.3, 1.],
    ];
    let norms = [4., 3., 2., 1.];
    let lower = PrunePlan::semantic(&correlation, &norms, Victim::Lower, false)?;
    // (0,1) prunes 1; (1,2) is skipped; (2,3) prunes 3; (0,2) prunes 2.
    assert_eq!(lower.order(), [1, 3, 2]);
    assert_eq!(
        (lower.steps[0].pair, lower.steps[0].correlation, lower.steps[0].norms),
        ([0, 1], 0.9, [4., 3.])
    );
    assert_eq!(
        PrunePlan::semantic(&correlation, &norms, Victim::Higher, false)?.order(),
        [0, 1, 2]
    );
    assert_eq!(PrunePlan::semantic(&correlation, &norms, Victim::Lower, true)?.order()[0], 3);
    let by_norm = PruneOrder::by_norm(Norm::Filter, &norms);
    assert_eq!((by_norm.rule, by_norm.order), (PruneRule::FilterNorm, vec![3, 2, 1, 0]));
    let semantic = PruneOrder::semantic(&lower);
    assert_eq!((semantic.rule, semantic.order), (PruneRule::Lower, vec![1, 3, 2]));
    assert!(matches!(
        PrunePlan::semantic(&correlation[..3], &norms, Victim::Lower, false),
        Err(Error::Channels { got: 3, channels: 4, .. })
    ));

    let random = PruneOrder::random(10, 3);
    assert_eq!(random, PruneOrder::random(10, 3));
    assert_ne!(random.order, PruneOrder::random(10, 4).order);
    let mut sorted = random.order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..10).collect::<Vec<_>>());
    assert_eq!(random.kept(10, 4).len(), 6);
    Ok(())
}

#[test]
fn pruning_physically_is_masking_at_every_point_of_a_curve() -> AnyResult {
    let network = network()?;
    let (images, labels, _) = batch()?;
    let orders = [PruneOrder::random(10, 1), PruneOrder::random(10, 2)];
    let counts = [0, 3, 9];
    let curves = orders.each_ref().map(|order| order.cuts(10, &counts));
    let tallies = prune_curves(
        &network,
        &curves,
        std::iter::once(Ok::<_, Failed>((images.clone(), labels.clone()))),
    )
    .expect("a curve");
    let features = network.features(&images)?;
    for (order, tallies) in orders.iter().zip(&tallies) {
        for (&count, tally) in counts.iter().zip(tallies) {
            let kept = order.kept(10, count);
            let mask: Vec<f32> = (0..10).map(|c| f32::from(u8::from(kept.contains(&c)))).collect();
            let masked = network.logits(&features.broadcast_mul(&Tensor::from_vec(
                mask,
                (1, 10, 1, 1),
                &Device::Cpu,
            )?)?)?;
            let mut expected = foresee_perturb::Tally::default();
            expected.add(&masked, &labels)?;
            assert_eq!(tally, &expected, "{count} pruned");
        }
    }
    assert_eq!(tallies[0][0], tallies[1][0]);
    Ok(())
}

#[test]
fn noise_is_seeded_scaled_and_clipped() -> AnyResult {
    let (images, labels, numbers) = batch()?;
    let noise =
        Noise { sigma: 0.2, clip: true, mean: vec![0.5; 3], deviation: vec![0.5; 3], seed: 9 };
    let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let plain = values(images.clone());
    assert_eq!(values(add_noise(&images, &numbers, &Noise { sigma: 0., ..noise.clone() })?), plain);
    let noisy = values(add_noise(&images, &numbers, &noise)?);
    assert_eq!(noisy, values(add_noise(&images, &numbers, &noise)?));
    assert_ne!(noisy, values(add_noise(&images, &numbers, &Noise { seed: 10, ..noise.clone() })?));
    assert!(noisy.iter().all(|v| (-1. ..=1.).contains(v)));
    // An image's noise is its own, whatever the batch.
    let last = values(add_noise(&images.narrow(0, 5, 1)?, &numbers[5..], &noise)?);
    assert_eq!(last, noisy[5 * 192..]);
    let open = values(add_noise(&images, &numbers, &Noise { clip: false, ..noise.clone() })?);
    let deviation =
        (open.iter().zip(&plain).map(|(a, b)| f64::from((a - b) / 2.).powi(2)).sum::<f64>()
            / plain.len() as f64)
            .sqrt();
    assert!((deviation - 0.2).abs() < 0.01, "{deviation}");
    assert!(add_noise(&images, &numbers, &Noise { sigma: -1., ..noise.clone() }).is_err());

    let network = network()?;
    let curve = PowerCurve::new(2., 0.1)?;
    let batches =
        || std::iter::once(Ok::<_, Failed>((images.clone(), labels.clone(), numbers.clone())));
    let grid = transform_grid(&network, &noise, &[0., 0.2], &[&Identity, &curve], batches())
        .expect("a grid");
    let mut expected = foresee_perturb::Tally::default();
    expected.add(&network.logits(&network.features(&images)?)?, &labels)?;
    assert_eq!(grid[0][0], expected);
    assert_eq!((grid.len(), grid[1].len(), grid[1][1].images()), (2, 2, 6));
    assert!((expected.accuracy() - expected.by_attribute().iter().sum::<f64>() / 4.).abs() < 1e-6);
    Ok(())
}

#[test]
fn both_operations_at_once_are_one_after_the_other() -> AnyResult {
    let network = network()?;
    let features = network.features(&batch()?.0)?;
    let curve = PowerCurve::new(2., 0.1)?;
    let kept = vec![0, 2, 3, 7, 9];
    let cut = Cut::Plain(kept.clone());
    let under = |cut, curve| -> AnyResult<Vec<Vec<f32>>> {
        Ok(logits_under(&network, &features, cut, curve)?.to_vec2()?)
    };
    // The masks as they are, transformed entry by entry, and the products read out by hand.
    let smaller = network.keep_channels(&kept)?;
    let index = Tensor::new(&[0u32, 2, 3, 7, 9], &Device::Cpu)?;
    let z = features.contiguous()?.index_select(&index, 1)?;
    let mut masks = smaller.heads().masks(&z, &[0, 1, 2, 3])?.flatten_all()?.to_vec1::<f32>()?;
    masks.iter_mut().for_each(|m| *m = g(f64::from(*m), 2., 0.1f32.into()) as f32);
    let masks = Tensor::from_vec(masks, (6, 4, 5, 8, 8), &Device::Cpu)?;
    let pooled = masks.broadcast_mul(&z.unsqueeze(1)?)?.mean((3, 4))?;
    let by_hand = smaller.heads().read_out(&pooled)?.to_vec2::<f32>()?;
    let both = under(Some(&cut), Some(&curve))?;
    for (a, b) in both.concat().iter().zip(by_hand.concat()) {
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
    }
    let everything = Cut::Plain((0..10).collect());
    assert_eq!(under(Some(&everything), Some(&Identity))?, under(None, None)?);
    assert_eq!(under(None, None)?, network.logits(&features)?.to_vec2::<f32>()?);
    let curved = network.logits_with_curves(&features, &[&curve])?.remove(0);
    assert_eq!(under(Some(&everything), Some(&curve))?, curved.to_vec2::<f32>()?);
    Ok(())
}
