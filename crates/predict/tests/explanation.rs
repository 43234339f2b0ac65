//! Forecasts from the paper's figures, worked by hand.

use foresee_predict::{Explanation, Forecast, ForecastRule, Matrix};

type AnyResult = Result<(), Box<dyn std::error::Error>>;

fn explanation() -> Explanation {
    Explanation {
        correlation: Matrix::from_rows(&[
            vec![1., 0.9, 0.1],
            vec![0.9, 1., -0.2],
            vec![0.1, -0.2, 1.],
        ]),
        mean_masks: Matrix::from_rows(&[vec![0.5, 0.2, 0.8], vec![0.1, 0.6, 0.25]]),
        readout: Matrix::from_rows(&[vec![-2., 1., 0.], vec![1., 1., 1.]]),
        contributions: Matrix::from_rows(&[vec![1., 2., 3.], vec![4., 5., 6.]]),
        filter_norms: vec![3., 2., 1.],
    }
}

/// The effects of one forecast.
fn effects(forecasts: &[Forecast], rule: ForecastRule) -> Vec<Vec<f64>> {
    let forecast = forecasts.iter().find(|f| f.rule == rule);
    forecast.map(|f| f.effects.to_rows()).unwrap_or_default()
}

fn close(rows: &[Vec<f64>], expected: &[[f64; 2]]) -> bool {
    let close = |(row, expected): (&Vec<f64>, &[f64; 2])| {
        row.len() == 2 && row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12)
    };
    rows.len() == expected.len() && rows.iter().zip(expected).all(close)
}

#[test]
fn pruning_is_forecast_from_each_figure() -> AnyResult {
    let forecasts = explanation().of_pruning(&[vec![0], vec![2], vec![0, 1]])?;
    let check = |rule: ForecastRule, expected: &[[f64; 2]]| {
        let effects = effects(&forecasts, rule.clone());
        assert!(close(&effects, expected), "{rule}: {effects:?}");
    };
    // Channel 0 has a duplicate, 2 has none; if 0 and 1 are pruned together, only 2 is kept.
    check(ForecastRule::Uniqueness, &[[0.1, 0.1], [0.9, 0.9], [0.9 + 1.2, 0.9 + 1.2]]);
    check(ForecastRule::MeanMask, &[[0.5, 0.1], [0.8, 0.25], [0.7, 0.7]]);
    check(
        ForecastRule::UniquenessTimesMask,
        &[[0.05, 0.01], [0.72, 0.225], [0.9 * 0.5 + 1.2 * 0.2, 0.9 * 0.1 + 1.2 * 0.6]],
    );
    check(ForecastRule::ReadoutWeight, &[[2., 1.], [0., 1.], [3., 2.]]);
    check(ForecastRule::FilterNorm, &[[3., 3.], [1., 1.], [5., 5.]]);
    check(ForecastRule::Contribution, &[[1., 4.], [3., 6.], [3., 9.]]);
    check(
        ForecastRule::UniquenessTimesContribution,
        &[[0.1, 0.4], [2.7, 5.4], [0.9 + 1.2 * 2., 0.9 * 4. + 1.2 * 5.]],
    );
    // Channel 0 speaks against attribute 0, 1 speaks for it, and 2 says nothing.
    check(ForecastRule::SignedMask, &[[0.5, 0.1], [0., 0.25], [0.5 - 0.2, 0.1 + 0.6]]);
    check(ForecastRule::SignedContribution, &[[1., 4.], [0., 6.], [2. - 1., 4. + 5.]]);
    check(ForecastRule::Nothing, &[[0.; 2]; 3]);
    // Three pairs of channels, six masks, six of these with a sign each.
    let values: Vec<usize> = forecasts.iter().map(|f| f.budget.values).collect();
    assert_eq!(values, [3, 6, 9, 3, 6, 6, 9, 12, 12, 0]);
    assert!(explanation().of_pruning(&[vec![3]]).is_err());
    let damaged = Explanation { filter_norms: vec![1.], ..explanation() };
    assert!(damaged.of_pruning(&[vec![0]]).is_err());
    Ok(())
}

#[test]
fn transforming_is_forecast_from_the_mean_masks() -> AnyResult {
    let forecasts = explanation().of_transforming(&[0, 2], |m| m * m)?;
    let row = |rule: ForecastRule, at: usize| effects(&forecasts, rule)[at].clone();
    assert!(close(&[row(ForecastRule::MaskNearHalf, 0)], &[[1., 0.2]]));
    assert!(close(&[row(ForecastRule::CurveShift, 1)], &[[0.16, 0.1875]]));
    let shift_times_contribution = row(ForecastRule::CurveShiftTimesContribution, 1);
    assert!(close(&[shift_times_contribution], &[[0.2 * 3., 0.75 * 6.]]));
    assert!(close(&[row(ForecastRule::Contribution, 0)], &[[1., 4.]]));
    Ok(())
}
