//! Permutation importance and partial dependence.

use candle_core::{Device, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, assert_near, tensor};

#[test]
fn permuting_what_is_not_used_changes_nothing() -> AnyResult {
    // The model answers x₀ and is right; of two inputs a permutation leaves all (error 0) or swaps
    // (error 1).
    let x = tensor(&[0., 7., 1., 9.], &[2, 2]);
    let parts = [Part::index("used", &[2], 0)?, Part::index("ignored", &[2], 1)?];
    let error = |f: &Tensor| Ok((f - x.narrow(1, 0, 1)?)?.sqr()?.mean_all()?.to_scalar::<f64>()?);
    let options = Permutation { repeats: 20, batch: 1, seed: 0 };
    let found = permutation_importance(|x| x.narrow(1, 0, 1), error, &x, &parts, &options)?;
    assert!(
        [0., 1.].iter().all(|e| found[0].permuted.contains(e))
            && found[0].permuted.iter().all(|e| *e == 0. || *e == 1.),
        "{:?}",
        found[0]
    );
    assert!(found[0].increase() > 0. && found[0].standard_deviation() > 0.);
    assert_eq!((found[1].increase(), found[1].standard_deviation()), (0., 0.));
    // Several errors at once are those of each alone.
    let both = |f: &Tensor| Ok(vec![error(f)?, 2. * error(f)?]);
    let several = permutation_importances(|x| x.narrow(1, 0, 1), both, &x, &parts, &options)?;
    assert_eq!((&several[0][0], &several[1][0]), (&found[0], &found[1]));
    assert_eq!(several[0][1].increase(), 2. * found[0].increase());
    // Regions of images: the model sees the left half alone.
    let images = tensor(&(0..24).map(|i| f64::from(i * i % 7)).collect::<Vec<_>>(), &[3, 2, 2, 2]);
    let halves = Part::grid(&[2, 2, 2], 1, 2)?;
    let left = |x: &Tensor| x.narrow(3, 0, 1)?.sum((1, 2));
    let error = |f: &Tensor| Ok((f - left(&images)?)?.sqr()?.mean_all()?.to_scalar::<f64>()?);
    let found = permutation_importance(left, error, &images, &halves, &options)?;
    assert!(found[0].increase() > 0. && found[1].increase() == 0.);
    Ok(())
}

#[test]
fn dependence() -> AnyResult {
    let target =
        Target::new(|x: &Tensor| x.narrow(1, 0, 1)?.sqr()? + x.narrow(1, 1, 1)?, 0).batch(1);
    let (x, part) = (tensor(&[5., 1., 5., 3.], &[2, 2]), Part::index("first", &[2], 0)?);
    let found = partial_dependence(&target, &x, &part, &[0., 1., 2.])?;
    assert_eq!(found.curves, [[1., 2., 5.], [3., 4., 7.]]);
    assert_near(&found.mean(), &[2., 3., 6.]);
    assert_near(&found.standard_deviation(), &[2f64.sqrt(); 3]);
    assert_near(&found.centred().standard_deviation(), &[0.; 3]);
    assert_near(&quantile_grid(&x, &Part::index("second", &[2], 1)?, 3)?, &[1., 2., 3.]);
    assert_near(&quantile_grid(&x, &part, 3)?, &[5.]);
    Ok(())
}

#[test]
fn log_losses_of_attributes() -> AnyResult {
    // -ln(1/2), and -ln sigmoid(2) for answers that are right.
    let logits = tensor(&[0., 2., 0., -2.], &[2, 2]);
    let labels = tensor(&[1., 1., 0., 0.], &[2, 2]);
    let right = (-2f64).exp().ln_1p();
    assert_near(&log_losses(&logits, &labels)?, &[2f64.ln(), right]);
    // A wrong answer costs 2 more; a logit of 1000 does not overflow.
    assert_near(
        &log_losses(&logits, &tensor(&[1., 0., 0., 1.], &[2, 2]))?,
        &[2f64.ln(), right + 2.],
    );
    assert_near(&log_losses(&tensor(&[-1000.], &[1, 1]), &tensor(&[1.], &[1, 1]))?, &[1000.]);
    assert!(log_losses(&logits, &tensor(&[1.], &[1, 1])).is_err());
    Ok(())
}

#[test]
fn importance_for_each_attribute() -> AnyResult {
    // Logits (0, x₀) for labels (0, 1) and (0, 0): a swap costs attribute 1 a loss of 2.
    let x = tensor(&[2., 7., -2., 9.], &[2, 2]);
    let labels = tensor(&[0., 1., 0., 0.], &[2, 2]);
    let parts = [Part::index("used", &[2], 0)?, Part::index("ignored", &[2], 1)?];
    let model = |x: &Tensor| {
        let logit = x.narrow(1, 0, 1)?;
        Tensor::cat(&[logit.zeros_like()?, logit], 1)
    };
    let options = Permutation { repeats: 20, ..Default::default() };
    let mut done = vec![];
    let found = attribute_importances(model, &x, &labels, &parts, &[1, 0], &options, |part| {
        done.push(part.name.clone());
    })?;
    assert_eq!(done, ["used", "ignored"]);
    assert_eq!((found.len(), found[0].len()), (2, 2));
    let right = (-2f64).exp().ln_1p();
    assert_near(&[found[0][0].error, found[1][0].error], &[right, 2f64.ln()]);
    let swaps = found[0][0].permuted.iter().filter(|loss| **loss > right + 1.).count();
    assert!(swaps > 0);
    assert_near(&[found[0][0].increase()], &[2. * swaps as f64 / 20.]);
    for unused in [&found[0][1], &found[1][0], &found[1][1]] {
        assert_eq!(unused.increase(), 0.);
    }
    assert_eq!((most_important(&found[0]), most_important(&[])), (Some(0), None));
    assert!(attribute_importances(model, &x, &labels, &parts, &[2], &options, |_| {}).is_err());
    Ok(())
}

#[test]
fn importance_of_regions_is_a_map() -> AnyResult {
    // The logit is the first of 2×2 pixels.
    let x = tensor(&[2., 1., 3., 5., -2., 4., 0., 7.], &[2, 1, 2, 2]);
    let labels = tensor(&[1., 0.], &[2, 1]);
    let model = |x: &Tensor| x.flatten_from(1)?.narrow(1, 0, 1);
    let options = Permutation { repeats: 20, ..Default::default() };
    // A grid has at most as many rows as the image.
    let found = region_importances(model, &x, &labels, &[0], 9, &options, |_| {})?;
    let names: Vec<&str> = found.importances[0].iter().map(|cell| &cell.part[..]).collect();
    assert_eq!(names, ["0, 0", "0, 1", "1, 0", "1, 1"]);
    let increase = found.importances[0][0].increase() as f32;
    assert!(increase > 0.);
    assert_eq!(found.maps[&0].to_vec3::<f32>()?, [[[increase, 0.], [0., 0.]]]);
    Ok(())
}

#[test]
fn labels_that_say_another_label_are_important() -> AnyResult {
    // Label a is b, and c has nothing to do with them.
    let rows = |n: usize| -> AnyResult<Tensor> {
        let row = |i: usize| [i % 2, i % 2, i / 2 % 2].map(|bit| bit as f64);
        Ok(Tensor::from_iter((0..n).flat_map(row), &Device::Cpu)?.reshape((n, 3))?)
    };
    let options = Permutation { repeats: 5, ..Default::default() };
    let (train, test) = (rows(40)?, rows(10)?);
    let mut done = 0;
    let found = label_importances(&train, &test, &["a", "b", "c"], &[0], &options, |_| done += 1)?;
    assert_eq!(done, 3);
    let [b, c] = &found[0][..] else { panic!("{found:?}") };
    assert_eq!((&b.part[..], &c.part[..]), ("b", "c"));
    // Probabilities are cut to 0.99, and to 0.01 for each of up to 10 rows that are wrong.
    let (right, wrong) = (-(0.99f64.ln()), -(0.01f64.ln()));
    assert!((b.error - right).abs() < 1e-6);
    for permuted in &b.permuted {
        let rows = (permuted - right) / (wrong - right) * 10.;
        assert!((rows - rows.round()).abs() < 1e-6, "{rows}");
    }
    assert!(b.increase() > 0.);
    assert_eq!(c.increase(), 0.);
    let few = label_importances(&rows(9)?, &test, &["a", "b", "c"], &[0], &options, |_| {})?;
    assert!(few.is_empty());
    assert!(label_importances(&train, &test, &["a", "b"], &[0], &options, |_| {}).is_err());
    Ok(())
}
