//! LIME and global surrogates.

use candle_core::{Device, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, assert_near, row, tensor, values};

#[test]
fn lime_finds_a_linear_models_terms() -> AnyResult {
    let target = Target::new(|x: &Tensor| x.matmul(&tensor(&[3., -1.], &[2, 1])), 0).batch(3);
    let segments = Tensor::new(&[0u32, 1], &Device::Cpu)?;
    // All four samples, of (nearly) equal weight: ZᵀZ about its mean is the unit matrix.
    let all = || vec![vec![false, false], vec![true, false], vec![false, true], vec![true, true]];
    let options = |penalty| Lime { penalty, width: 1e6, ..Default::default() };
    let fit = |penalty| {
        lime_with_perturbations(
            &target,
            &row(&[1., 1.]),
            &segments,
            None,
            |_| all(),
            &options(penalty),
        )
        .map(|result| result.fits[0].clone())
    };
    assert_near(&fit(Penalty::Ridge { alpha: 0. })?.weights, &[3., -1.]);
    assert_near(&[fit(Penalty::Ridge { alpha: 0. })?.r2], &[1.]);
    assert_near(&fit(Penalty::Ridge { alpha: 1. })?.weights, &[1.5, -0.5]);
    // Of the mean square each term is a quarter: the lasso takes 4α from each.
    assert_near(&fit(Penalty::Lasso { alpha: 0.1 })?.weights, &[2.6, -0.6]);
    // Drawn samples; entries of a segment share its weight.
    let target = Target::new(|x: &Tensor| x.matmul(&tensor(&[3., -1., 2.], &[3, 1])), 0);
    let segments = Tensor::new(&[0u32, 1, 1], &Device::Cpu)?;
    let exact = Lime { penalty: Penalty::Ridge { alpha: 0. }, samples: 50, ..Default::default() };
    let x = tensor(&[1., 1., 1., 0.5, 2., 1.], &[2, 3]);
    assert_near(
        &values(&lime(&target, &x, &segments, None, &exact)?.attribution),
        &[3., 1., 1., 1.5, 0., 0.],
    );
    Ok(())
}

#[test]
fn surrogates_of_what_they_can_say_are_faithful() -> AnyResult {
    let x = tensor(
        &(0..400 * 5).map(|i| (0.7 * f64::from(i * i)).sin()).collect::<Vec<_>>(),
        &[400, 5],
    );
    let column = |j| x.narrow(1, j, 1).and_then(|c| c.squeeze(1));
    let y = (((column(0)? * 2.)? - column(3)?)? + 1.)?;
    let found = global_surrogate(
        &x,
        &y,
        &SurrogateOptions { kind: SurrogateKind::Sparse { max_columns: 2 }, ..Default::default() },
    )?;
    let SurrogateModel::Sparse(fit) = &found.model else { panic!("a sparse model was asked for") };
    assert!(
        fit.weights.iter().zip([2., 0., 0., -1., 0.]).all(|(a, b)| (a - b).abs() < 1e-6)
            && (fit.intercept - 1.).abs() < 1e-6,
        "{fit:?}"
    );
    assert!(
        found.held_out.r2 > 1. - 1e-9
            && found.held_out.rows == 120
            && found.held_out.agreement == 1.
    );
    // A step needs one split.
    let y = column(2)?.gt(0.3)?.to_dtype(candle_core::DType::F64)?.affine(2., -1.)?;
    let options = SurrogateOptions {
        kind: SurrogateKind::Tree { max_depth: 1, min_rows: 5 },
        ..Default::default()
    };
    let found = global_surrogate(&x, &y, &options)?;
    let SurrogateModel::Tree(Tree::Split { column, threshold, .. }) = &found.model else {
        panic!("no split was found")
    };
    assert!(*column == 2 && (threshold - 0.3).abs() < 0.05, "{threshold}");
    assert!(found.held_out.agreement > 0.95 && found.fitted.r2 == 1.);
    // Noise cannot be said: rows that were not seen tell.
    let noise = tensor(
        &(0..400).map(|i| (12.9 * f64::from(i * i * i % 1009)).sin()).collect::<Vec<_>>(),
        &[400],
    );
    assert!(global_surrogate(&x, &noise, &options)?.held_out.r2 < 0.1);
    Ok(())
}

#[test]
fn surrogates_in_words() {
    let fit = Fit { weights: vec![0., -0.5, 2.], intercept: 1., r2: 1. };
    assert_eq!(SurrogateModel::Sparse(fit).to_string(), "1.000 +2.000 c2 -0.500 c1");
    let leaf = |value| Box::new(Tree::Leaf { value, rows: 5 });
    let inner = Tree::Split { column: 1, threshold: 0.25, below: leaf(1.), above: leaf(2.) };
    let tree = Tree::Split { column: 3, threshold: 0.5, below: leaf(-0.75), above: inner.into() };
    assert_eq!(
        SurrogateModel::Tree(tree).to_string(),
        "(c3 ≤ 0.5000? -0.750 : (c1 ≤ 0.2500? 1.000 : 2.000))"
    );
}

#[test]
fn surrogates_of_masks_have_a_control() -> AnyResult {
    let wave = |n: usize, f: f64, shape: &[usize]| {
        tensor(&(0..n).map(|i| (f * (i * i) as f64).sin()).collect::<Vec<_>>(), shape)
    };
    let (masks, features) = (wave(400, 0.7, &[100, 2, 2]), wave(200, 1.9, &[100, 2]));
    // The logit of attribute 2, the second one of the masks, is 3 times its mask 0.
    let logit = (masks.narrow(1, 1, 1)?.narrow(2, 0, 1)?.squeeze(2)? * 3.)?;
    let logits = Tensor::cat(&[&logit.zeros_like()?, &logit.zeros_like()?, &logit], 1)?;
    let found = attribute_surrogates(Some(&masks), &features, &logits, &[0, 2], 0)?;
    let order: Vec<_> = found.iter().map(|s| (s.attribute, s.inputs.id(), s.kind.id())).collect();
    let of = |attribute| {
        [
            (attribute, "mean_masks", "sparse_linear"),
            (attribute, "mean_masks", "tree"),
            (attribute, "mean_features", "sparse_linear"),
            (attribute, "mean_features", "tree"),
        ]
    };
    assert_eq!(order, [of(0), of(2)].concat());
    let r2 = |at: usize| found[at].surrogate.held_out.r2;
    assert!(r2(4) > 1. - 1e-9 && r2(6) < 0.5, "{} and {}", r2(4), r2(6));
    let direct = global_surrogate(
        &features,
        &logit.squeeze(1)?,
        &SurrogateOptions { kind: SurrogateKind::ALL[1], ..Default::default() },
    )?;
    assert_eq!(found[7].surrogate, direct);
    let control = attribute_surrogates(None, &features, &logits, &[2], 0)?;
    assert!(control.iter().all(|s| s.inputs == SurrogateInputs::MeanFeatures));
    assert_eq!(control.len(), 2);
    Ok(())
}
