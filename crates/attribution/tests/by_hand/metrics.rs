//! Measures of attributions.

use candle_core::Tensor;
use foresee_attribution::*;

use crate::{AnyResult, assert_near, row, tensor, values};

#[test]
fn deletion_and_insertion_curves() -> AnyResult {
    let (target, x) = (Target::new(|x: &Tensor| x.sum_keepdim(1), 0).batch(2), row(&[1., 2., 3.]));
    let found = deletion(&target, &x, &x, None, 3)?;
    assert_eq!(found[0].values, [6., 3., 1., 0.]);
    assert_near(&[found[0].area()], &[7. / 3.]);
    let found = insertion(&target, &x, &x, None, 3)?;
    assert_eq!(found[0].values, [0., 3., 5., 6.]);
    assert_near(&[found[0].area()], &[11. / 3.]);
    // Pixels with all channels.
    let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let images = tensor(&[1., 2., 10., 20.], &[1, 2, 1, 2]);
    assert_eq!(
        deletion(&target, &images, &tensor(&[0., 1.], &[1, 1, 2]), None, 2)?[0].values,
        [33., 11., 0.]
    );
    assert!(deletion(&target, &images, &tensor(&[0., f64::NAN], &[1, 1, 2]), None, 2).is_err());
    assert!(
        deletion(&target, &images.narrow(0, 0, 0)?, &tensor(&[], &[0, 1, 2]), None, 2).is_err()
    );
    assert_eq!(Curve { values: vec![2.] }.area(), 2.);
    assert!(Curve { values: vec![] }.area().is_nan());
    Ok(())
}

/// A map that says nothing is scored alike whatever half of the image counts, and every map of a
/// call in the same order.
#[test]
fn equal_pixels_go_in_no_order_of_places() -> AnyResult {
    let (side, half) = (32usize, 32 * 16);
    let inside: [&dyn Fn(usize) -> bool; 4] =
        [&|at| at / 32 < 16, &|at| at / 32 >= 16, &|at| at % 32 < 16, &|at| at % 2 == 0];
    for inside in inside {
        let counts = tensor(
            &(0..side * side).map(|at| f64::from(u8::from(inside(at)))).collect::<Vec<_>>(),
            &[1, side, side],
        );
        let target =
            Target::new(|x: &Tensor| x.broadcast_mul(&counts)?.flatten_from(1)?.sum_keepdim(1), 0);
        let (x, zeros) = (
            tensor(&vec![1.; 2 * side * side], &[2, 1, side, side]),
            tensor(&vec![0.; 2 * side * side], &[2, side, side]),
        );
        let curves = deletion(&target, &x, &zeros, None, 2)?;
        assert_eq!(curves[0], curves[1]);
        // Half of the pixels hold half of those that count, but for chance: the hypergeometric
        // deviation is √(512·½·½·512/1023) = 8.
        assert!((curves[0].values[1] - half as f64 / 2.).abs() < 5. * 8., "{:?}", curves[0]);
    }
    Ok(())
}

#[test]
fn a_blurred_image_keeps_its_colours() -> AnyResult {
    assert_near(&values(&blur(&tensor(&[0.3; 24], &[1, 2, 3, 4]), 1.5)?), &[0.3; 24]);
    // With exp(-1/2σ²) = 1/2 a pixel between two weighs 1/2 : 1 : 1/2, and at the border 1 : 1/2 :
    // 1/16.
    let sigma = (0.5 / 2f64.ln()).sqrt();
    assert_near(
        &values(&blur(&tensor(&[0., 1., 0.], &[1, 1, 1, 3]), sigma)?),
        &[0.5 / 1.5625, 0.5, 0.5 / 1.5625],
    );
    assert_near(
        &values(&blur(&tensor(&[0., 1., 0.], &[1, 1, 3, 1]), sigma)?),
        &[0.5 / 1.5625, 0.5, 0.5 / 1.5625],
    );
    Ok(())
}

#[test]
fn pointing() -> AnyResult {
    let maps = tensor(&[0., 3., -1., 1., 2., 2., 0., 0., 1., 1., 1., 1.], &[3, 2, 2]);
    let regions = tensor(&[0., 1., 0., 0., 1., 0., 0., 0., 0., 0., 0., 0.], &[3, 2, 2]);
    let found = pointing_game(&maps, &regions, 0.)?;
    assert_eq!(found[0], Some(Pointing { hit: 1., energy: 0.75, area: 0.25 }));
    assert_eq!(found[1], Some(Pointing { hit: 0.5, energy: 0.5, area: 0.25 }));
    assert_eq!(found[2], None);
    assert_eq!(pointing_game(&maps, &regions, 1.)?[1].map(|p| p.hit), Some(1.));
    Ok(())
}

#[test]
fn infidelity_and_sensitivity_to_noise() -> AnyResult {
    let (target, x) =
        (Target::new(|x: &Tensor| x.matmul(&tensor(&[2., 3.], &[2, 1])), 0), row(&[1., 1.]));
    let given = || [Ok(row(&[1., 0.])), Ok(row(&[0., 1.]))];
    assert_near(
        &infidelity_with_perturbations(&target, &x, &row(&[2., 3.]), given(), Scaling::None)?,
        &[0.],
    );
    // Of one perturbation I = (1, 2) that takes 8 from f, φ = (1, 1) says 3.
    let known = || [Ok((row(&[1., 2.]), vec![8.]))];
    assert_near(&infidelity_from_changes(&row(&[1., 1.]), known(), Scaling::None)?, &[25.]);
    assert!(infidelity_from_changes(&row(&[1.]), known(), Scaling::None).is_err());
    assert_near(
        &infidelity_with_perturbations(&target, &x, &row(&[0., 0.]), given(), Scaling::None)?,
        &[6.5],
    );
    assert_near(
        &infidelity_with_perturbations(&target, &x, &row(&[1., 1.5]), given(), Scaling::Best)?,
        &[0.],
    );
    // The wrong sign is as good as the right one only where the factor may be negative.
    let wrong =
        |scaling| infidelity_with_perturbations(&target, &x, &row(&[-1., -1.5]), given(), scaling);
    assert_near(&[wrong(Scaling::Best)?, wrong(Scaling::BestFromZero)?].concat(), &[0., 6.5]);
    assert_near(
        &infidelity_with_perturbations(
            &target,
            &x,
            &row(&[1., 1.5]),
            given(),
            Scaling::BestFromZero,
        )?,
        &[0.],
    );
    assert_near(&infidelity(&target, &x, &row(&[2., 3.]), &Infidelity::default())?, &[0.]);
    // With φ = 0 it is the variance of w·I, 0.1²·13.
    let drawn = infidelity(
        &target,
        &x,
        &row(&[0., 0.]),
        &Infidelity { samples: 4000, ..Default::default() },
    )?;
    assert!((drawn[0] / 0.13 - 1.).abs() < 5. * (2. / 4000f64).sqrt(), "{drawn:?}");
    let square = |x: &Tensor| Ok(x.sqr()?);
    assert_near(
        &max_sensitivity_with_perturbations(
            square,
            &row(&[1.]),
            [Ok(row(&[0.1])), Ok(row(&[-0.2]))],
        )?,
        &[0.36],
    );
    // An explanation that is no number does not count as steady.
    let root = |x: &Tensor| Ok(x.sqrt()?);
    for given in [[0.1, -2.], [-2., 0.1]] {
        let found =
            max_sensitivity_with_perturbations(root, &row(&[1.]), given.map(|r| Ok(row(&[r]))));
        assert!(
            matches!(&found, Err(Error::NotFinite(what)) if what == "the explanation"),
            "{found:?}"
        );
    }
    // ‖x + r - x‖/‖x‖ ≤ radius·√2/√2.
    let drawn = max_sensitivity(
        |x| Ok(x.clone()),
        &x,
        &MaxSensitivity { samples: 500, ..Default::default() },
    )?[0];
    assert!(drawn <= 0.02 && drawn > 0.017, "{drawn}");
    Ok(())
}

#[test]
fn an_explanation_that_ignores_the_model_is_found_out() -> AnyResult {
    let correlation =
        |a: &[f64], b: &[f64]| rank_correlation(&row(a), &row(b)).map(|found| found[0]);
    assert_eq!(correlation(&[1., 2., 3., 4.], &[1., 3., 2., 9.])?, Some(0.8));
    assert_eq!(correlation(&[1., 2., 3.], &[-1., -2., -3.])?, Some(-1.));
    assert_eq!(correlation(&[1., 1., 1.], &[1., 2., 3.])?, None);
    // Ranks 0.5, 0.5, 2 and 0, 1, 2.
    assert!((correlation(&[1., 1., 2.], &[1., 2., 3.])?.unwrap() - 0.75f64.sqrt()).abs() < 1e-12);
    let cascade = || [("all".to_string(), [4., 1., 2.])];
    let x = row(&[1., 2., 3.]);
    let edges = |_: &[f64; 3], x: &Tensor| Ok(x.clone());
    assert_eq!(
        randomisation_check(edges, &[1., 2., 3.], cascade(), &x, false)?[0].correlations,
        [Some(1.)]
    );
    let weights = |w: &[f64; 3], _: &Tensor| Ok(row(w));
    assert_eq!(
        randomisation_check(weights, &[1., 2., 3.], cascade(), &x, true)?[0].correlations,
        [Some(-0.5)]
    );
    Ok(())
}

#[test]
fn occlusions_of_an_image() -> AnyResult {
    // f = 3·Σx: a patch of 2×2 ones takes 12.
    let target =
        Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1)?.affine(3., 0.), 0).batch(7);
    let (x, map) = (tensor(&[1.; 64], &[1, 1, 8, 8]), tensor(&[1.; 64], &[1, 8, 8]));
    let occlusions = Occlusions::new(&target, &x, 3, 0)?;
    assert_near(&[occlusions.infidelity(&map)?], &[0.]);
    // A map of the wrong sign is worth no more than one of zeros.
    assert_near(&[occlusions.infidelity(&map.neg()?)?], &[144.]);
    assert_near(&[occlusions.infidelity_of_zeros()?], &[144.]);
    // Half of the map is right: of patches that lie across, the part inside. Other streams have
    // other patches.
    let half = tensor(&[[1.; 32], [0.; 32]].concat(), &[1, 8, 8]);
    let of_half = occlusions.infidelity(&half)?;
    assert!(of_half > 0. && of_half < 144.);
    let others = Occlusions::new(&target, &x, 3, 1)?;
    assert!((others.infidelity(&half)? - of_half).abs() > 1e-9);
    assert!(Occlusions::new(&target, &tensor(&[0.; 8], &[2, 1, 2, 2]), 0, 0).is_err());
    Ok(())
}

#[test]
fn checks_of_a_method() -> AnyResult {
    // A model is a weight for each pixel, and its map is input times weight.
    let x = tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]);
    let model = |weights: &[f64]| tensor(weights, &[1, 1, 2, 2]);
    let explain = |model: &Tensor, x: &Tensor| Ok((x * model)?.squeeze(1)?);
    let original = model(&[1., 1., 1., 1.]);
    let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let occlusions = Occlusions::new(&target, &x, 0, 0)?;
    let cascade = [
        ("last".to_owned(), model(&[-2., -2., -2., -2.])),
        ("first".to_owned(), model(&[24., 6., 2., 1.])),
        ("nothing".to_owned(), model(&[0., 0., 0., 0.])),
    ];
    let options = MaxSensitivity::default();
    let check =
        |is_local| check_method(explain, &original, &cascade, &x, &occlusions, &options, is_local);
    let found = check(true)?;
    assert_near(&[found.infidelity], &[0.]);
    assert_eq!(found.infidelity_of_zeros, occlusions.infidelity_of_zeros()?);
    // ‖r‖/‖x‖ with |r_i| ≤ 0.02 is at most 0.02·2/√30.
    assert!(found.max_sensitivity > 0. && found.max_sensitivity <= 0.02 * 2. / 30f64.sqrt());
    // |map| has the same order, the opposite one (24, 12, 6, 4), and does not vary.
    assert_near(&found.cascade[..2], &[1., -1.]);
    assert!(found.cascade.len() == 3 && found.cascade[2].is_nan());
    let global = check(false)?;
    assert_eq!((global.infidelity, global.cascade.len()), (found.infidelity, 0));
    assert!(global.max_sensitivity.is_nan());
    Ok(())
}

#[test]
fn scores_of_maps() -> AnyResult {
    let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
    let (x, map) =
        (tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]), tensor(&[1., 2., 3., 4.], &[1, 2, 2]));
    let region = tensor(&[0., 0., 0., 1.], &[1, 2, 2]);
    let found = score(&target, &x, &map, Some(&region), 4)?;
    // f falls from 10 over 6, 3 and 1 to 0.
    assert_near(&[found[0].deletion], &[(5. + 6. + 3. + 1.) / 4.]);
    let blurred = blur(&x, 2. / 6.)?;
    let insertion = insertion(&target, &x, &map, Some(&blurred), 4)?;
    assert_eq!(found[0].insertion, insertion[0].area());
    assert_eq!(found[0].pointing, Some(Pointing { hit: 1., energy: 0.4, area: 0.25 }));
    assert_eq!(score(&target, &x, &map, None, 4)?[0].pointing, None);
    Ok(())
}
