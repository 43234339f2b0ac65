//! Measures of attributions: worked by hand, beside Quantus 0.6, pytorch-grad-cam 1.5 and the
//! papers' formulas (`fixtures/measures.py`), and what must hold for every input.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use foresee_attribution::*;
use proptest::prelude::*;

/// Explained in the fixture.
const TARGET: usize = 1;
/// Removed by ROAD in the fixture.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn row(values: &[f64]) -> Tensor {
    tensor(values, &[1, values.len()])
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_near(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < tolerance;
    assert!(got.iter().zip(expected).all(near), "{got:?}, not {expected:?}");
}

/// The sum of all entries.
fn sum() -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor>> {
    Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0).batch(2)
}

#[test]
fn sensitivity_n_by_hand() -> AnyResult {
    let x = row(&[2., 1., 3.]);
    let alone = |_| vec![vec![0], vec![1], vec![2]];
    let found = |attribution: &[f64]| {
        sensitivity_n_with_subsets(&sum(), &x, &row(attribution), None, alone).map(|found| found[0])
    };
    // f falls by 2, 1, 3: deviations 0, -1, 1, and -1, 0, 1 of the attribution, 1/√(2·2).
    assert_near(&[found(&[1., 2., 3.])?.unwrap()], &[0.5], 1e-12);
    assert_near(&[found(&[-2., -1., -3.])?.unwrap()], &[-1.], 1e-12);
    assert_eq!(found(&[1., 1., 1.])?, None);
    // From another baseline f falls by 1, 0, 2.
    let baseline = row(&[1., 1., 1.]);
    let other = sensitivity_n_with_subsets(&sum(), &x, &x, Some(&baseline), alone)?;
    assert_near(&[other[0].unwrap()], &[1.], 1e-12);
    let constant = Target::new(|x: &Tensor| x.zeros_like()?.sum_keepdim(1), 0);
    assert_eq!(sensitivity_n_with_subsets(&constant, &x, &x, None, alone)?, [None]);
    // A pixel with all its channels: 1 + 10, 2 + 20, 4 + 40.
    let images = tensor(&[1., 2., 4., 10., 20., 40.], &[1, 2, 1, 3]);
    let map = tensor(&[1., 2., 4.], &[1, 1, 3]);
    let pixels = sensitivity_n_with_subsets(&sum(), &images, &map, None, alone)?;
    assert_near(&[pixels[0].unwrap()], &[1.], 1e-12);
    Ok(())
}

#[test]
fn subsets_are_drawn_by_seed_and_input() -> AnyResult {
    let entries = |from: usize| (0..20).map(|i| ((i + from) * 7 % 20) as f64).collect::<Vec<_>>();
    let x = tensor(&entries(0).repeat(2), &[2, 20]);
    let attribution = tensor(&entries(3).repeat(2), &[2, 20]);
    let found = |seed| {
        let options = SensitivityN { seed, ..SensitivityN::default() };
        sensitivity_n(&sum(), &x, &attribution, None, 5, &options)
    };
    assert_eq!(found(0)?, found(0)?);
    assert_ne!(found(0)?, found(1)?);
    assert_ne!(found(0)?[0], found(0)?[1]);
    Ok(())
}

#[test]
fn imputation_by_hand() -> AnyResult {
    let filled = |image: &[f64], removed: &[f64], h: usize, w: usize| {
        linear_imputation(&tensor(image, &[1, 1, h, w]), &tensor(removed, &[1, h, w]))
            .map(|x| values(&x))
    };
    // Between neighbours that weigh the same, a straight line.
    assert_near(&filled(&[0., 9., 9., 3.], &[0., 1., 1., 0.], 1, 4)?, &[0., 1., 2., 3.], 1e-12);
    // 12/12 at a corner and 6/6 at an edge.
    let image = [12., 6., 0., 0., 9., 0., 0., 0., 0.];
    let removed = [0., 0., 0., 0., 1., 0., 0., 0., 0.];
    assert_near(&filled(&image, &removed, 3, 3)?[4..5], &[2.], 1e-12);
    // In the image's corner three neighbours are left: (4/6 + 2/6 + 10/12)/(1/6 + 1/6 + 1/12).
    let corner = filled(&[9., 4., 2., 10.], &[1., 0., 0., 0.], 2, 2)?;
    assert_near(&corner, &[4.4, 4., 2., 10.], 1e-12);
    // Channels for themselves, images for themselves.
    let x = tensor(&[0., 9., 2., 10., 9., 30., 9., 5., 7., 9., 1., 3.], &[2, 2, 1, 3]);
    let found = linear_imputation(&x, &tensor(&[0., 1., 0., 1., 0., 0.], &[2, 1, 3]))?;
    let expected = [0., 1., 2., 10., 20., 30., 5., 5., 7., 1., 1., 3.];
    assert_near(&values(&found), &expected, 1e-12);
    Ok(())
}

#[test]
fn road_by_hand() -> AnyResult {
    let (x, map) =
        (tensor(&[0., 1., 2., 4.], &[1, 1, 1, 4]), tensor(&[0., 3., 2., 1.], &[1, 1, 4]));
    let ones = || Ok(x.ones_like()?);
    let found = road_with_noise(&sum(), &x, &map, &[0., 0.5], [ones(), ones()])?;
    // Without 1 and 2 the line from 0 to 4 is left, with the sum 8; without 0 and 4, their
    // neighbours' 1 and 2, with the sum 6. Noise adds 1 to each of two pixels.
    assert_near(&found[0].most_relevant_first, &[7., 10.], 1e-12);
    assert_near(&found[0].least_relevant_first, &[7., 8.], 1e-12);
    assert_near(&[found[0].combined()], &[(15. - 17.) / 4.], 1e-12);
    let drawn = road(&sum(), &x, &map, &Road { shares: vec![0.5], ..Road::default() })?;
    let away = (drawn[0].most_relevant_first[0] - 8.).abs();
    // The noise of two pixels has the deviation 0.01·√2.
    assert!(away > 0. && away < 5. * 0.01 * 2f64.sqrt(), "{away}");
    let plain = Road { shares: vec![0.5], deviation: 0., seed: 0 };
    assert_near(&road(&sum(), &x, &map, &plain)?[0].most_relevant_first, &[8.], 1e-12);
    Ok(())
}

#[test]
fn segments_by_hand() -> AnyResult {
    // A small segment with the greatest mean, and a large one with the greatest sum.
    let (x, segments) = (row(&[3., 2., 2., 2.]), tensor(&[0., 1., 1., 1.], &[4]));
    let curve = &selectivity(&sum(), &x, &x, &segments, None)?[0];
    assert_eq!(curve.values, [9., 3., 0.]);
    assert_near(&[curve.area()], &[(4.5 + 3.) / 2.], 1e-12);
    // f/f(x) goes from 1 over 6/9 to 0.
    assert_near(&irof(&sum(), &x, &x, &segments, None)?, &[1. - (0.5 + 6. / 9.) / 2.], 1e-12);
    // Removals that do not change f.
    assert_near(&irof(&sum(), &x, &x, &segments, Some(&x))?, &[0.], 1e-12);
    assert!(matches!(irof(&sum(), &x.neg()?, &x, &segments, None), Err(Error::Degenerate(_))));
    Ok(())
}

/// A map of one value ranks no segment, whatever their sizes: rounding of means must not.
#[test]
fn segments_of_one_value_are_equal() -> AnyResult {
    let sizes = [1, 3, 7, 11, 2];
    let numbers = sizes.iter().enumerate().flat_map(|(i, &size)| vec![i as f64; size]);
    let segments: Vec<f64> = numbers.collect();
    let x = tensor(&segments.iter().map(|s| s + 1.).collect::<Vec<_>>(), &[1, 24]);
    let segments = tensor(&segments, &[24]);
    let area = |value: f64| irof(&sum(), &x, &tensor(&[value; 24], &[1, 24]), &segments, None);
    assert_eq!(area(0.1)?, area(0.)?);
    assert_eq!(area(0.3)?, area(0.)?);
    Ok(())
}

#[test]
fn shapes_of_maps_by_hand() -> AnyResult {
    let maps = tensor(&[1., -2., 3., 0., 0., 0., 0., -5., 0.], &[3, 1, 3]);
    // (-2·1 + 0·2 + 2·3)/(3·6); one of three has everything.
    let found = sparseness(&maps)?;
    assert_near(&[found[0].unwrap(), found[2].unwrap()], &[2. / 9., 2. / 3.], 1e-12);
    assert_eq!(found[1], None);
    // Shares 1/4, 1/4, 1/2.
    let found = complexity(&row(&[1., -1., 2.]))?;
    assert_near(&[found[0].unwrap()], &[1.5 * 2f64.ln()], 1e-12);
    assert_eq!(complexity(&maps)?[1..], [None, Some(0.)]);
    // Sums that would overflow, and squares that would vanish.
    for unit in [1e308, 1e-308] {
        let scaled = (&maps.narrow(0, 0, 1)? * (unit / 3.))?;
        assert_near(&[sparseness(&scaled)?[0].unwrap()], &[2. / 9.], 1e-9);
        assert!(complexity(&scaled)?[0].is_some_and(|found| found > 0. && found < 3f64.ln()));
    }
    Ok(())
}

#[test]
fn localisation_by_hand() -> AnyResult {
    let maps = [[2., 1., 1., 1.], [1., 1., 1., 1.], [-1., -2., -3., -4.], [1., 2., 3., 4.]];
    let regions = [[0., 1., 1., 0.], [1., 0., 0., 0.], [1., 0., 0., 1.], [0., 0., 0., 0.]];
    let found =
        localisation(&tensor(&maps.concat(), &[4, 2, 2]), &tensor(&regions.concat(), &[4, 2, 2]))?;
    // 2 of 5. Of the two greatest one is outside, and the other is one of three, two of them
    // inside.
    let first = found[0].unwrap();
    assert_near(&[first.mass, first.weighted_mass], &[0.4, 0.8], 1e-12);
    assert_near(&[first.rank, first.area], &[1. / 3., 0.5], 1e-12);
    // One value ranks nothing, and its mass is that of chance.
    let constant = found[1].unwrap();
    assert_near(&[constant.mass, constant.weighted_mass], &[0.25, 1.], 1e-12);
    assert!(constant.rank.is_nan());
    // There is no positive value, and an order.
    let negative = found[2].unwrap();
    assert!(negative.mass.is_nan() && negative.weighted_mass.is_nan());
    assert_eq!(negative.rank, 0.5);
    assert_eq!(found[3], None);
    Ok(())
}

#[test]
fn structural_similarity_by_hand() -> AnyResult {
    let ramp = [-3., -2., -1., 0., 1., 2., 3.];
    let of = |a: &[f64], b: &[f64]| structural_similarity(&row(a), &row(b)).map(|found| found[0]);
    assert_near(&[of(&ramp, &ramp)?.unwrap()], &[1.], 1e-12);
    // In shares of the range 6 the variance is (28/36)/6, and the means are 0.
    let variance = 28. / 36. / 6.;
    let expected = (-2. * variance + 9e-4) / (2. * variance + 9e-4);
    assert_near(&[of(&ramp, &ramp.map(|v| -v))?.unwrap()], &[expected], 1e-12);
    // Constants differ in their means only.
    assert_near(&[of(&[0.; 7], &[1e-200; 7])?.unwrap()], &[1e-4 / 1.0001], 1e-12);
    assert_eq!(of(&[2.; 7], &[2.; 7])?, None);
    Ok(())
}

#[test]
fn random_logits_by_hand() -> AnyResult {
    let x = tensor(&(0..1400).map(|i| (i * i % 97) as f64).collect::<Vec<_>>(), &[200, 7]);
    // An explanation that does not look at the output.
    let same = |_: usize, x: &Tensor| Ok(x.clone());
    let found = random_logit(same, &x, 2, 4, 0)?;
    for similarity in &found {
        let both = [similarity.ssim.unwrap(), similarity.rank_correlation.unwrap()];
        assert_near(&both, &[1., 1.], 1e-12);
    }
    // Each of the others is drawn for a third of the inputs, within five deviations.
    let five = 5. * (200. / 3. * 2. / 3f64).sqrt();
    for other in [0, 1, 3] {
        let drawn = found.iter().filter(|similarity| similarity.other == other).count() as f64;
        assert!((drawn - 200. / 3.).abs() < five, "{other}: {drawn}");
    }
    assert!(found.iter().all(|similarity| similarity.other != 2));
    assert_eq!(found, random_logit(same, &x, 2, 4, 0)?);
    // The explanation of output 1 has the opposite order, and that of 0 none.
    let by_output = |output: usize, x: &Tensor| Ok(x.affine([0., -1., 1.][output], 0.)?);
    let one = x.narrow(0, 0, 1)?;
    let of = |other: usize| random_logit_with_others(by_output, &one, 2, |_| other);
    assert_eq!(of(1)?[0].rank_correlation, Some(-1.));
    assert_eq!(of(0)?[0].rank_correlation, None);
    assert!(of(0)?[0].ssim.is_some());
    Ok(())
}

/// Each input that has no answer is refused, by the name of what is wrong with it.
#[test]
fn what_has_no_measure_is_refused() -> AnyResult {
    let (x, image) = (row(&[1., 2., 3.]), tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]));
    let (map, nan) = (tensor(&[1., 2., 3., 4.], &[1, 2, 2]), tensor(&[f64::NAN; 4], &[1, 2, 2]));
    let parameter = |found: Result<()>, name: &str| match found {
        Err(Error::Parameter { parameter, .. }) => assert_eq!(parameter, name),
        other => panic!("{name}: {other:?}"),
    };
    let subsets = |given: &[&[usize]]| {
        let given: Vec<Vec<usize>> = given.iter().map(|subset| subset.to_vec()).collect();
        sensitivity_n_with_subsets(&sum(), &x, &x, None, |_| given.clone()).map(drop)
    };
    parameter(subsets(&[&[0], &[1]]), "subsets");
    parameter(subsets(&[&[0], &[1], &[0, 1]]), "subsets");
    parameter(subsets(&[&[], &[], &[]]), "subsets");
    parameter(subsets(&[&[0], &[1], &[3]]), "subset");
    parameter(subsets(&[&[0, 0], &[1, 2], &[0, 1]]), "subset");
    for n in [0, 3] {
        let found = sensitivity_n(&sum(), &x, &x, None, n, &SensitivityN::default());
        parameter(found.map(drop), "n");
    }
    let options = |shares: &[f64], deviation| Road { shares: shares.to_vec(), deviation, seed: 0 };
    let of_road = |map: &Tensor, options| road(&sum(), &image, map, &options).map(drop);
    parameter(of_road(&map, options(&[], 0.)), "shares");
    for share in [-0.1, 0.9, 1., f64::NAN] {
        parameter(of_road(&map, options(&[share], 0.)), "share");
    }
    parameter(of_road(&map, options(&[0.5], -1.)), "deviation");
    parameter(of_road(&nan, options(&[0.5], 0.)), "attribution");
    let too_few = road_with_noise(&sum(), &image, &map, &[0.5], []);
    parameter(too_few.map(drop), "noise");
    parameter(localisation(&nan, &map).map(drop), "maps");
    parameter(random_logit(|_, x| Ok(x.clone()), &x, 0, 1, 0).map(drop), "outputs");
    parameter(random_logit(|_, x| Ok(x.clone()), &x, 2, 2, 0).map(drop), "output");
    let same = random_logit_with_others(|_, x| Ok(x.clone()), &x, 2, |_| 2);
    parameter(same.map(drop), "other output");
    assert!(matches!(linear_imputation(&image, &map), Err(Error::Degenerate(_))));
    let unfinished = (&image * f64::NAN)?;
    let nothing = map.zeros_like()?;
    assert!(matches!(linear_imputation(&unfinished, &nothing), Err(Error::NotFinite(_))));
    assert!(matches!(sparseness(&nan), Err(Error::NotFinite(_))));
    assert!(matches!(complexity(&nan), Err(Error::NotFinite(_))));
    for empty in [tensor(&[], &[0, 3]), tensor(&[], &[1, 0]), tensor(&[1.], &[1])] {
        assert!(matches!(sparseness(&empty), Err(Error::Shape { .. })));
    }
    assert!(matches!(structural_similarity(&map, &map), Err(Error::Shape { .. })));
    assert!(matches!(structural_similarity(&x, &map), Err(Error::Shape { .. })));
    assert!(matches!(localisation(&map, &image), Err(Error::Shape { .. })));
    Ok(())
}

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn load() -> AnyResult<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/measures.safetensors");
        Ok(Self(candle_core::safetensors::load(path, &Device::Cpu)?))
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        values(self.get(name))
    }

    /// The fixture's network for its grey or coloured images.
    fn target(
        &self,
        images: &str,
        probability: bool,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor>> {
        let of = |name: &str| self.get(&format!("{images}.{name}")).clone();
        let (first, second) = (of("first"), of("second"));
        let model = move |x: &Tensor| {
            let y = x.flatten_from(1)?.matmul(&first)?.tanh()?.matmul(&second)?;
            if probability { candle_nn::ops::sigmoid(&y) } else { Ok(y) }
        };
        Target::new(model, TARGET).batch(3)
    }
}

/// All of a list.
fn every(found: &[Option<f64>]) -> Vec<f64> {
    found.iter().map(|found| found.expect("a number")).collect()
}

#[test]
fn the_fixtures_network_is_ours() -> AnyResult {
    let golden = Golden::load()?;
    for images in ["grey", "colour"] {
        let found = golden.target(images, false).values(golden.get(&format!("{images}.x")))?;
        let expected = golden.get(&format!("{images}.logits")).narrow(1, TARGET, 1)?;
        assert_near(&values(&found), &values(&expected), 1e-12);
    }
    Ok(())
}

#[test]
fn sensitivity_n_is_the_papers() -> AnyResult {
    let golden = Golden::load()?;
    for images in ["grey", "colour"] {
        let of = |name: &str| golden.get(&format!("{images}.{name}"));
        let given = golden.get(&format!("sensitivity_n.{images}.subsets")).to_vec3::<f64>()?;
        let subsets = |input: usize| -> Vec<Vec<usize>> {
            let whole = |subset: &Vec<f64>| subset.iter().map(|&i| i as usize).collect();
            given[input].iter().map(whole).collect()
        };
        let target = golden.target(images, false);
        let found = sensitivity_n_with_subsets(&target, of("x"), of("maps"), None, subsets)?;
        let expected = golden.numbers(&format!("sensitivity_n.{images}.formula"));
        assert_near(&every(&found), &expected, 1e-12);
    }
    Ok(())
}

#[test]
fn road_is_that_of_quantus() -> AnyResult {
    let golden = Golden::load()?;
    let (x, maps) = (golden.get("grey.x"), golden.get("grey.maps"));
    let noise = golden.get("road.noise");
    let given = (0..SHARES.len()).map(|share| Ok(noise.get(share)?));
    let found = road_with_noise(&golden.target("grey", false), x, maps, &SHARES, given)?;
    let curves: Vec<f64> =
        found.iter().flat_map(|curves| curves.most_relevant_first.clone()).collect();
    assert_near(&curves, &golden.numbers("road.quantus"), 1e-12);
    // Its images: noise is where a pixel was removed.
    let imputed = golden.get("road.imputed.quantus");
    for share in 0..SHARES.len() {
        let noise = noise.get(share)?;
        let removed = noise.ne(0.)?.squeeze(1)?;
        let found = (linear_imputation(x, &removed)? + noise)?;
        assert_near(&values(&found), &values(&imputed.get(share)?), 1e-12);
    }
    Ok(())
}

/// In `f32`, as pytorch-grad-cam computes.
#[test]
fn road_is_that_of_pytorch_grad_cam() -> AnyResult {
    let golden = Golden::load()?;
    let (x, maps) = (golden.get("colour.x"), golden.get("colour.maps"));
    let options = Road { shares: SHARES.to_vec(), deviation: 0., seed: 0 };
    let found = road(&golden.target("colour", false), x, maps, &options)?;
    let all = |of: fn(&RoadCurves) -> Vec<f64>| found.iter().flat_map(of).collect::<Vec<_>>();
    let most = all(|curves| curves.most_relevant_first.clone());
    assert_near(&most, &golden.numbers("road.most.grad_cam"), 1e-6);
    let least = all(|curves| curves.least_relevant_first.clone());
    assert_near(&least, &golden.numbers("road.least.grad_cam"), 1e-6);
    let combined = all(|curves| vec![curves.combined()]);
    assert_near(&combined, &golden.numbers("road.combined.grad_cam"), 1e-6);
    Ok(())
}

#[test]
fn removals_of_segments_are_those_of_quantus() -> AnyResult {
    let golden = Golden::load()?;
    let (x, maps) = (golden.get("grey.x"), golden.get("grey.maps"));
    let segments = golden.get("irof.segments");
    let found = irof(&golden.target("grey", true), x, maps, segments, None)?;
    assert_near(&found, &golden.numbers("irof.formula"), 1e-12);
    // Quantus leaves out f(x)/f(x) = 1, and does not divide by the number of segments, 5.
    let first = golden.numbers("irof.first");
    let quantus: Vec<f64> =
        found.iter().zip(first).map(|(found, first)| 5. * found + (1. + first) / 2.).collect();
    assert_near(&quantus, &golden.numbers("irof.quantus"), 1e-12);
    let (x, maps) = (golden.get("colour.x"), golden.get("colour.maps"));
    let segments = golden.get("selectivity.segments");
    let found = selectivity(&golden.target("colour", false), x, maps, segments, None)?;
    let after: Vec<f64> = found.iter().flat_map(|curve| curve.values[1..].to_vec()).collect();
    assert_near(&after, &golden.numbers("selectivity.quantus"), 1e-12);
    Ok(())
}

#[test]
fn shapes_of_maps_are_those_of_quantus() -> AnyResult {
    let golden = Golden::load()?;
    let maps = golden.get("grey.maps");
    let (sparse, complex) = (every(&sparseness(maps)?), every(&complexity(maps)?));
    assert_near(&sparse, &golden.numbers("sparseness.formula"), 1e-12);
    assert_near(&sparse, &golden.numbers("sparseness.quantus"), 1e-12);
    assert_near(&complex, &golden.numbers("complexity.formula"), 1e-12);
    assert_near(&complex, &golden.numbers("complexity.quantus"), 1e-9);
    Ok(())
}

#[test]
fn localisation_is_that_of_quantus() -> AnyResult {
    let golden = Golden::load()?;
    let found = localisation(golden.get("grey.maps"), golden.get("localisation.regions"))?;
    let all = |of: fn(&Localisation) -> f64| found.iter().flatten().map(of).collect::<Vec<_>>();
    let mass = all(|found| found.mass);
    assert_near(&mass, &golden.numbers("localisation.mass.quantus"), 1e-12);
    // Quantus adds 1e-9 to the sum.
    assert_near(&mass, &golden.numbers("localisation.mu.quantus"), 1e-9);
    let weighted = all(|found| found.weighted_mass);
    assert_near(&weighted, &golden.numbers("localisation.weighted.formula"), 1e-12);
    assert_near(&all(|found| found.rank), &golden.numbers("localisation.rank.quantus"), 1e-12);
    Ok(())
}

#[test]
fn similarities_are_those_of_scikit_image_and_quantus() -> AnyResult {
    let golden = Golden::load()?;
    let maps = golden.get("random_logit.maps");
    let others: Vec<usize> =
        golden.numbers("random_logit.others").iter().map(|&other| other as usize).collect();
    // The maps, or each of them in one row, stand for the inputs.
    let similarities = |inputs: &Tensor, expected: &str| -> AnyResult {
        let explain = |output: usize, x: &Tensor| Ok(x.narrow(1, output, 1)?.squeeze(1)?);
        let found = random_logit_with_others(explain, inputs, TARGET, |input| others[input])?;
        let ssim: Vec<Option<f64>> = found.iter().map(|found| found.ssim).collect();
        let ranks: Vec<Option<f64>> = found.iter().map(|found| found.rank_correlation).collect();
        assert_near(&every(&ssim), &golden.numbers(expected), 1e-12);
        assert_near(&every(&ranks), &golden.numbers("random_logit.rank.scipy"), 1e-12);
        Ok(())
    };
    similarities(maps, "random_logit.ssim.skimage")?;
    similarities(&maps.flatten_from(2)?, "random_logit.flat.quantus")
}

/// Distinct numbers in another order, and as many random ones.
fn numbers(n: usize) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let order = Just((0..n).map(|i| i as f64).collect::<Vec<_>>()).prop_shuffle();
    (order, proptest::collection::vec(-1f64..1., n))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    })]

    /// Ancona et al.: gradient times input has sensitivity-n for every n if f is linear.
    #[test]
    fn of_a_linear_model_sensitivity_n_is_one((x, w) in numbers(12), n in 1..12usize) {
        let (x, w) = (row(&x), row(&w));
        let target = Target::new(|x: &Tensor| x.broadcast_mul(&w)?.sum_keepdim(1), 0).batch(7);
        let attribution = (&x * &w).unwrap();
        let found = sensitivity_n(&target, &x, &attribution, None, n, &SensitivityN::default());
        let found = found.unwrap()[0].unwrap();
        prop_assert!((found - 1.).abs() < 1e-9, "{}", found);
    }

    /// Imputed values lie among those that are left, and these stay.
    #[test]
    fn imputed_values_lie_between((order, image) in numbers(42), count in 1..42usize) {
        let is_removed = |&place: &f64| f64::from(u8::from(place < count as f64));
        let removed: Vec<f64> = order.iter().map(is_removed).collect();
        let (x, map) = (tensor(&image, &[1, 1, 6, 7]), tensor(&removed, &[1, 6, 7]));
        let filled = linear_imputation(&x, &map).unwrap();
        let left = || image.iter().zip(&removed).filter(|(_, r)| **r == 0.).map(|(v, _)| *v);
        let (low, high) = (left().fold(f64::INFINITY, f64::min), left().fold(-1., f64::max));
        for ((filled, image), removed) in values(&filled).iter().zip(&image).zip(&removed) {
            if *removed == 0. {
                prop_assert_eq!(filled, image);
            }
            prop_assert!((low - 1e-12..=high + 1e-12).contains(filled), "{}", filled);
        }
    }

    /// The least relevant pixels of a map are the most relevant ones of its opposite.
    #[test]
    fn a_map_upside_down_turns_road_round((order, image) in numbers(36)) {
        let (x, map) = (tensor(&image, &[1, 1, 6, 6]), tensor(&order, &[1, 6, 6]));
        let target = Target::new(|x: &Tensor| x.sqr()?.flatten_from(1)?.sum_keepdim(1), 0);
        let found = road(&target, &x, &map, &Road::default()).unwrap().remove(0);
        let turned = road(&target, &x, &map.neg().unwrap(), &Road::default()).unwrap().remove(0);
        prop_assert_eq!(&found.most_relevant_first, &turned.least_relevant_first);
        prop_assert_eq!(found.combined(), -turned.combined());
    }

    /// Neither the unit nor the sign nor the order counts for how a map is spread; its ends do.
    #[test]
    fn spread_does_not_depend_on_the_unit((order, map) in numbers(15), unit in 1e-6f64..1e6) {
        let turned: Vec<f64> = order.iter().map(|&o| -unit * map[o as usize]).collect();
        let both = tensor(&[map, turned].concat(), &[2, 15]);
        let (sparse, complex) = (sparseness(&both).unwrap(), complexity(&both).unwrap());
        for (found, greatest) in [(sparse, 1. - 1. / 15.), (complex, 15f64.ln())] {
            let (a, b) = (found[0].unwrap(), found[1].unwrap());
            prop_assert!((a - b).abs() < 1e-12, "{} {}", a, b);
            prop_assert!(a >= 0. && a <= greatest + 1e-12, "{}", a);
        }
    }

    /// Whole numbers are exact in single precision, and so are curves of their sums.
    #[test]
    fn single_precision_will_do((order, _) in numbers(16)) {
        let x = tensor(&order, &[1, 1, 4, 4]);
        let map = tensor(&order, &[1, 4, 4]);
        let segments = grid_segments(4, 4, 2, 2).unwrap();
        let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let of = |x: &Tensor, map: &Tensor| selectivity(&sum(), x, map, &segments, None).unwrap();
        prop_assert_eq!(of(&x, &map), of(&single(&x), &single(&map)));
    }
}
