//! What a study of pruning compares.

use foresee_perturb::{
    ChannelStatistics, Cut, Error, Norm, PruneInputs, PruneOrder, PruneRule, PruneStudy, Takeover,
};

const STUDY: PruneStudy =
    PruneStudy { norm: Norm::Filter, absolute: false, takeover: true, random_orders: 5, seed: 7 };

/// Three independent channels, one attribute.
fn statistics() -> ChannelStatistics {
    let diagonal = vec![vec![1., 0., 0.], vec![0., 4., 0.], vec![0., 0., 2.]];
    ChannelStatistics {
        means: vec![0.; 3],
        covariance: diagonal.clone(),
        mean_masks: vec![vec![0.5; 3]],
        pooled_means: vec![vec![0.; 3]],
        pooled_covariance: vec![diagonal],
        readout: vec![vec![1., 1., 1.]],
    }
}

#[test]
fn counts_end_with_one_channel_left() {
    assert_eq!(PruneStudy::counts(10, 4), [0, 4, 8, 9]);
    assert_eq!(PruneStudy::counts(9, 4), [0, 4, 8]);
    assert_eq!(PruneStudy::counts(1, 16), [0]);
}

#[test]
fn orders_and_takeovers_are_those_of_figure_7() -> Result<(), Error> {
    let statistics = statistics();
    let correlation = vec![vec![1., 0.9, 0.1], vec![0.9, 1., 0.2], vec![0.1, 0.2, 1.]];
    let identity: Vec<Vec<f64>> =
        (0..3).map(|i| (0..3).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let inputs = PruneInputs {
        correlation: &correlation,
        filter_norms: &[1., 2., 3.],
        readout_norms: &[3., 2., 1.],
        mask_gram: Some(&identity),
        statistics: &statistics,
    };
    let plans = STUDY.plans(&inputs)?;
    // (0, 1) loses its channel of lower norm, 0; then (1, 2) loses 1.
    assert_eq!(plans[0].order(), [0, 1]);
    assert_eq!(plans[1].order(), [1, 2]);
    let by_readout = PruneStudy { norm: Norm::Readout, ..STUDY }.plans(&inputs)?;
    assert_eq!(by_readout[0].order(), [1, 2]);

    let orders = STUDY.orders(&plans, &inputs)?;
    let rules: Vec<PruneRule> = orders.iter().map(|order| order.rule).collect();
    assert_eq!(rules[..5], PruneRule::ALL[..5]);
    assert_eq!(rules[5..], [PruneRule::Random; 5]);
    assert_eq!(orders[2].order, [0, 1, 2]);
    assert_eq!(orders[3].order, [2, 1, 0]);
    // The shares of the variance are 1, 4 and 2.
    assert_eq!(orders[4].order, [0, 2, 1]);
    assert_eq!(orders[5], PruneOrder::random(3, 7));
    assert_eq!(orders[9], PruneOrder::random(3, 11));

    let even = PruneInputs { readout_norms: &[1.; 3], ..inputs };
    let rules = STUDY.orders(&plans, &even)?.into_iter().map(|order| order.rule);
    assert!(rules.into_iter().all(|rule| rule != PruneRule::ReadoutNorm));

    let takeovers: Vec<usize> = orders.iter().map(|order| STUDY.takeovers(order).len()).collect();
    assert_eq!(takeovers, [3, 3, 2, 1, 3, 3, 3, 3, 1, 1]);

    let curves = STUDY.curves(&plans, &inputs, &[0, 2])?;
    assert_eq!(curves.len(), takeovers.iter().sum::<usize>());
    assert_eq!(curves[0].cuts, [Cut::Plain(vec![0, 1, 2]), Cut::Plain(vec![2])]);
    assert_eq!((curves[1].takeover, curves[1].cuts[1].kept()), (Takeover::Partner, &[2][..]));

    let plain = PruneStudy { takeover: false, ..STUDY };
    let curves = plain.curves(&plans, &inputs, &[1])?;
    // Without takeovers there is no lasso either.
    assert_eq!(curves.len(), 9);
    assert!(curves.iter().all(|curve| curve.takeover == Takeover::Nothing));
    Ok(())
}
