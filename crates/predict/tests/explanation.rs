//! What a person reads off the paper's figures, by hand.

use foresee_predict::{Explanation, Matrix, together};

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

#[test]
fn pruning_is_forecast_from_each_picture() -> AnyResult {
    let forecasts = explanation().of_pruning(&[vec![0], vec![2], vec![0, 1]])?;
    let of = |name: &str| {
        forecasts
            .iter()
            .find(|f| f.name.contains(name))
            .map(|f| f.effects.to_rows())
            .ok_or("no such forecast")
    };
    let close = |a: &[Vec<f64>], b: &[[f64; 2]]| {
        a.iter().zip(b).all(|(a, b)| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12))
    };
    // Channel 0 has a duplicate, 2 has none; of 0 and 1 together only channel 2 is left to stand
    // in.
    assert!(close(&of("a duplicate")?, &[[0.1, 0.1], [0.9, 0.9], [0.9 + 1.2, 0.9 + 1.2]]));
    assert!(close(&of("high mean masks")?, &[[0.5, 0.1], [0.8, 0.25], [0.7, 0.7]]));
    assert!(close(
        &of("multiplied")?,
        &[[0.05, 0.01], [0.72, 0.225], [0.9 * 0.5 + 1.2 * 0.2, 0.9 * 0.1 + 1.2 * 0.6]]
    ));
    assert!(close(&of("readout")?, &[[2., 1.], [0., 1.], [3., 2.]]));
    assert!(close(&of("filter norm")?, &[[3., 3.], [1., 1.], [5., 5.]]));
    assert!(close(&of("contribution")?, &[[1., 4.], [3., 6.], [3., 9.]]));
    assert!(close(&of("nothing changes")?, &[[0.; 2]; 3]));
    assert!(explanation().of_pruning(&[vec![3]]).is_err());
    assert!(
        Explanation { filter_norms: vec![1.], ..explanation() }.of_pruning(&[vec![0]]).is_err()
    );
    Ok(())
}

#[test]
fn transforming_is_forecast_from_the_mean_masks() -> AnyResult {
    let forecasts = explanation().of_transforming(&[0, 2], |m| m * m)?;
    let row = |name: &str, channel: usize| {
        forecasts
            .iter()
            .find(|f| f.name.contains(name))
            .map(|f| f.effects.row(channel).to_vec())
            .ok_or("no such")
    };
    assert!(row("near 0.5", 0)?.iter().zip([1., 0.2]).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(row("as the curve", 1)?.iter().zip([0.16, 0.1875]).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(
        row("the same", 1)?.iter().zip([0.2 * 3., 0.75 * 6.]).all(|(a, b)| (a - b).abs() < 1e-12)
    );
    Ok(())
}

#[test]
fn outputs_that_change_under_the_same_perturbations_change_together() -> AnyResult {
    let rho =
        together(&Matrix::from_rows(&[vec![1., 2., 0.], vec![2., 4., -1.], vec![3., 6., -2.]]))?;
    assert!((rho.get(0, 1) - 1.).abs() < 1e-12 && (rho.get(0, 2) + 1.).abs() < 1e-12);
    Ok(())
}
