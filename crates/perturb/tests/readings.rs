//! Readings of the paper's pruning, by numbers worked by hand.

use foresee_perturb::{
    ChannelStatistics, Cut, Error, Reading, ReadingTables, Reconstruction, Takeover,
};

/// Two attributes and two channels. Attribute 0 varies from image to image, attribute 1 does not.
fn statistics() -> ChannelStatistics {
    let unit = vec![vec![1., 0.], vec![0., 1.]];
    ChannelStatistics {
        means: vec![1., 2.],
        covariance: unit.clone(),
        mean_masks: vec![vec![0.5; 2]; 2],
        pooled_means: vec![vec![1., 1.], vec![3., 1.]],
        pooled_covariance: vec![unit, vec![vec![0.; 2]; 2]],
        readout: vec![vec![1., 2.], vec![1., -1.]],
    }
}

#[test]
fn a_mean_takes_over_by_hand() -> Result<(), Error> {
    let cut = statistics().cut(&[1], Takeover::Mean, false)?;
    let expected = Reconstruction {
        kept: vec![0],
        // Channel 0 is itself, channel 1 its mean.
        weights: vec![vec![1.], vec![0.]],
        offsets: vec![0., 2.],
        readout: vec![vec![1.], vec![1.]],
        // 2·1 and -1·1.
        readout_offsets: vec![2., -1.],
    };
    assert_eq!(cut, Cut::With(expected));
    Ok(())
}

#[test]
fn contributions_correlate_over_attributes_and_images() -> Result<(), Error> {
    let correlation = statistics().contribution_correlation()?;
    // The means are 1 and 2 of attribute 0, 3 and -1 of attribute 1. Between the attributes the
    // variances are 1 and 2.25 and the covariance is -1.5; within them 1/2, 4/2 and 0 come on top.
    let expected = -1.5 / (1.5f64 * 4.25).sqrt();
    assert!((correlation[0][1] - expected).abs() < 1e-12, "{correlation:?}");
    assert_eq!((correlation[0][1], correlation[1][1]), (correlation[1][0], 1.));
    // One channel that contributes the same everywhere.
    let mut constant = statistics();
    constant.readout.iter_mut().for_each(|w| w[1] = 0.);
    assert_eq!(constant.contribution_correlation()?[0][1], 0.);
    constant.means.pop();
    assert!(constant.contribution_correlation().is_err());
    Ok(())
}

#[test]
fn readings_differ_in_what_they_say() -> Result<(), Error> {
    let all = Reading::all();
    assert_eq!(all.len(), 36 + 3 + 1);
    assert!(all.iter().all(|reading| Reading::from_id(&reading.id()) == Some(*reading)));
    assert_eq!(Reading::from_id("semantic"), None);

    let pair =
        |rho: f64, other: f64| vec![vec![1., rho, other], vec![rho, 1., 0.], vec![other, 0., 1.]];
    let tables = ReadingTables {
        norms: [vec![1., 2., 3.], vec![3., 2., 1.], vec![2., 1., 3.]],
        correlations: [pair(0.5, -0.9), pair(-0.5, 0.9), pair(0.1, 0.2)],
    };
    for (id, expected) in [
        // ρ: (0, 1) first, of which 0 goes; then (1, 2).
        ("semantic_lower_filter_positions_signed", &[0, 1][..]),
        // |ρ|: (0, 2) first.
        ("semantic_lower_readout_positions_absolute", &[2, 1]),
        ("semantic_higher_filter_pooled_signed", &[2, 1]),
        ("semantic_lower_contribution_contributions_signed", &[0, 1]),
        ("lowest_readout", &[2, 1, 0]),
        ("lowest_contribution", &[1, 0, 2]),
    ] {
        let reading = Reading::from_id(id).expect(id);
        assert_eq!(tables.order(reading, 5)?.order, expected, "{id}");
    }
    let random = tables.order(Reading::Random, 5)?;
    assert_eq!((random.seed, random.order.len()), (Some(5), 3));
    assert_eq!(random, tables.order(Reading::Random, 5)?);

    let wrong = ReadingTables { norms: [vec![1.; 3], vec![1.; 2], vec![1.; 3]], ..tables };
    assert!(wrong.order(Reading::Random, 0).is_err());
    Ok(())
}
