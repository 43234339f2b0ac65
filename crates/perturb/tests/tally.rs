//! Counts and gains worked by hand.

use candle_core::{Device, Tensor};
use foresee_perturb::{Error, PairedGain, Tally, ValidationChoice};

/// A tally of two attributes whose accuracy on each image is given.
fn tally(by_image: &[f32]) -> Tally {
    let correct = by_image.iter().sum::<f32>() as u64;
    Tally { correct: vec![correct; 2], by_image: by_image.to_vec(), ranks: vec![] }
}

#[test]
fn logits_above_0_predict_the_attribute() -> Result<(), Error> {
    let logits = Tensor::new(&[[1f32, -1.], [2., 0.], [-1., -3.]], &Device::Cpu)?;
    let labels = Tensor::new(&[[1f32, 0.], [0., 0.], [1., 0.]], &Device::Cpu)?;
    let mut tally = Tally::default();
    tally.add(&logits, &labels)?;
    assert_eq!(tally.correct, [1, 3]);
    assert_eq!(tally.by_image, [1., 0.5, 0.5]);
    assert_eq!(tally.correct_by_image(), [2, 1, 1]);
    assert_eq!(tally.by_attribute(), [1. / 3., 1.]);
    assert_eq!(tally.accuracy(), 4. / 6.);
    // Deviations 1/3, -1/6, -1/6: √((1/9 + 1/36 + 1/36)/(3·2)) = 1/6.
    assert!((tally.standard_error() - 1. / 6.).abs() < 1e-12);
    Ok(())
}

#[test]
fn classes_are_counted_by_their_ranks() -> Result<(), Error> {
    let logits = Tensor::new(
        &[[0.1f32, 0.9, 0.5], [3., 1., 3.], [-2., -1., -3.], [0., 0., 0.]],
        &Device::Cpu,
    )?;
    let classes = Tensor::new(&[1u32, 2, 2, 0], &Device::Cpu)?;
    let mut tally = Tally::default();
    // In two batches.
    tally.add(&logits.narrow(0, 0, 3)?, &classes.narrow(0, 0, 3)?)?;
    tally.add(&logits.narrow(0, 3, 1)?, &classes.narrow(0, 3, 1)?)?;
    // Of equal logits the lower number comes first.
    assert_eq!(tally.ranks, [0, 1, 2, 0]);
    assert_eq!((tally.images(), tally.accuracy()), (4, 0.5));
    assert_eq!((&tally.correct[..], &tally.by_image[..]), (&[2u64][..], &[1f32, 0., 0., 1.][..]));
    assert_eq!((tally.by_attribute(), tally.correct_by_image()), (vec![0.5], vec![1, 0, 0, 1]));
    // Deviations of 1/2: √(4·(1/4)/(4·3)).
    assert!((tally.standard_error() - (1f64 / 12.).sqrt()).abs() < 1e-12);
    let two = tally.top_k(2)?;
    assert_eq!((two.accuracy(), tally.top_k(3)?.accuracy()), (0.75, 1.));
    assert_eq!((two.paired_gain(&tally).mean, two.top_k(1)?), (0.25, tally.clone()));
    Ok(())
}

#[test]
fn attributes_and_classes_are_not_mixed() -> Result<(), Error> {
    let logits = Tensor::new(&[[1f32, -1.]], &Device::Cpu)?;
    let labels = Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
    let classes = Tensor::new(&[0u32], &Device::Cpu)?;
    let mut attributes = Tally::default();
    attributes.add(&logits, &labels)?;
    assert!(matches!(attributes.add(&logits, &classes), Err(Error::Labels(_))));
    assert!(matches!(attributes.top_k(1), Err(Error::Labels(_))));
    let mut tally = Tally::default();
    tally.add(&logits, &classes)?;
    assert!(matches!(tally.add(&logits, &labels), Err(Error::Labels(_))));
    let nan = (&logits * f64::NAN)?;
    assert!(matches!(tally.add(&nan, &classes), Err(Error::Model(_))));
    assert_eq!(tally.images(), 1);
    Ok(())
}

#[test]
fn a_paired_gain_is_the_mean_difference_by_image() {
    let gain = tally(&[1., 0.5, 1., 0.5]).paired_gain(&tally(&[0.5, 0.5, 0.5, 0.5]));
    // Gains 0.5, 0, 0.5, 0: mean 0.25, standard error √(4·0.0625/(4·3)).
    assert_eq!(gain.mean, 0.25);
    assert!((gain.standard_error - (0.25f64 / 12.).sqrt()).abs() < 1e-12);
    let nothing = tally(&[1., 0.5]).paired_gain(&tally(&[1., 0.5]));
    assert_eq!(nothing, PairedGain { mean: 0., standard_error: 0. });
    // The spread of one image is not known.
    let one = tally(&[1.]);
    assert!(one.paired_gain(&tally(&[0.5])).standard_error.is_nan());
    assert!(one.standard_error().is_nan());
}

#[test]
fn the_best_setting_on_validation_images_is_judged_on_test_images() -> Result<(), Error> {
    let plain = tally(&[1., 0., 0., 1.]);
    let better = tally(&[1., 1., 0., 1.]);
    let perfect = tally(&[1., 1., 1., 1.]);
    let validation = [plain.clone(), better.clone(), better.clone()];
    let test = [better.clone(), plain.clone(), perfect];
    let choice = ValidationChoice::new(&validation, &test, 0)?;
    assert_eq!((choice.index, choice.test_accuracy), (1, 0.5));
    assert_eq!((choice.validation_gain.mean, choice.test_gain.mean), (0.25, -0.25));
    // Of equally good settings the baseline is chosen.
    let choice = ValidationChoice::new(&validation, &test, 2)?;
    assert_eq!((choice.index, choice.test_gain.mean), (2, 0.));
    for (test, baseline) in [(&test[..2], 0), (&test[..], 3)] {
        assert!(matches!(
            ValidationChoice::new(&validation, test, baseline),
            Err(Error::Settings { validation: 3, .. })
        ));
    }
    Ok(())
}

#[test]
fn damaged_logits_and_other_numbers_of_attributes_are_refused() -> Result<(), Error> {
    let device = Device::Cpu;
    let labels = Tensor::new(&[[0f32, 1.]], &device)?;
    let mut tally = Tally::default();
    let damaged = Tensor::new(&[[f32::NAN, 1.]], &device)?;
    let error = tally.add(&damaged, &labels).unwrap_err().to_string();
    assert!(error.contains("logit 0 of image 0 of the batch is NaN"), "{error}");
    assert_eq!(tally, Tally::default());
    tally.add(&Tensor::new(&[[-1f32, 1.]], &device)?, &labels)?;
    let three = Tensor::new(&[[0f32, 1., 1.]], &device)?;
    assert!(tally.add(&three, &three).is_err());
    assert_eq!(tally.accuracy(), 1.);
    Ok(())
}
