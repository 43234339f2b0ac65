//! The relatives of Grad-CAM and TCAV: by hand, and against pytorch-grad-cam 1.5.7, Captum 0.9 and
//! scikit-learn 1.9 (`fixtures/cams.py`); `-- --nocapture` prints the agreement.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use foresee_attribution::*;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const TARGET: usize = 1;
/// Behind which layers the fixture's network is cut.
const CUTS: [&str; 2] = ["early", "late"];

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Within a share of the largest value.
fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    let off =
        got.iter().zip(expected).map(|(a, b)| (a - b).abs()).max_by(f64::total_cmp).unwrap_or(0.);
    println!("| {what} | {:.1e} |", off / largest);
    assert!(got.iter().all(|v| v.is_finite()), "{what}: {got:?}");
    assert!(off <= tolerance * largest, "{what} is off by {off:e}: {got:?}, not {expected:?}");
}

fn signed() -> GradCam {
    GradCam { relu: false, ..GradCam::default() }
}

/// What cams.safetensors has.
struct Fixture(HashMap<String, Tensor>);

impl Fixture {
    fn load() -> AnyResult<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cams.safetensors");
        Ok(Self(candle_core::safetensors::load(path, &Device::Cpu)?))
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    /// A batch of two inputs at a time: more than one chunk everywhere.
    fn layers(&self) -> Result<GraphModel> {
        let of = |name: &str| self.get(&format!("weights.{name}"));
        let conv = |layers: Layers, i: usize, stride: usize| {
            let bias = of(&format!("{i}.bias"));
            let options = Conv2d { padding: 1, dilation: 1, stride };
            layers.conv2d(&format!("conv{i}"), of(&format!("{i}.weight")), Some(bias), options)
        };
        let early = conv(Layers::new(), 0, 1)?.relu("early")?;
        let late = conv(early, 2, 2)?.leaky_relu("late", 0.1)?;
        let last = conv(late, 4, 1)?.leaky_relu("last", 0.01)?.flatten("flatten")?;
        Ok(last.linear("linear", of("7.weight"), Some(of("7.bias")))?.model()?.batch(2))
    }
}

/// One method of the family, for an activation of any model.
fn map<A: Activations>(name: &str, at: &A, x: &Tensor, options: &GradCam) -> Result<Tensor> {
    match name {
        "grad_cam" => grad_cam(at, x, TARGET, options),
        "layer_cam" => layer_cam(at, x, TARGET, options),
        "hires_cam" => hires_cam(at, x, TARGET, options),
        "xgrad_cam" => xgrad_cam(at, x, TARGET, options),
        "score_cam" => score_cam(at, x, TARGET, options),
        _ => eigen_cam(at, x, options),
    }
}

/// pytorch-grad-cam computes Score-CAM's weights and Eigen-CAM's map in `f32`.
fn tolerance(name: &str) -> f64 {
    match name {
        "score_cam" | "eigen_cam" => 1e-6,
        _ => 1e-12,
    }
}

const FAMILY: [&str; 6] =
    ["grad_cam", "layer_cam", "hires_cam", "xgrad_cam", "score_cam", "eigen_cam"];

#[test]
fn maps_agree_with_pytorch_grad_cam() -> AnyResult {
    let fixture = Fixture::load()?;
    let (layers, x) = (fixture.layers()?, fixture.get("x"));
    let logits = values(&layers.forward(x)?);
    assert_close("logits", &logits, &values(fixture.get("logits")), 1e-12);
    for cut in CUTS {
        let at = layers.split_at(cut)?;
        // By candle's gradients of two plain functions.
        let split = SplitModel::new(|x: &Tensor| at.features(x), |z: &Tensor| at.outputs(z));
        for name in FAMILY {
            let expected = fixture.get(&format!("{cut}.{name}.raw"));
            let what = format!("{name} {cut}");
            for (found, options) in [
                (map(name, &at, x, &signed())?, signed()),
                (map(name, &split, x, &signed())?, signed()),
                (map(name, &at, x, &GradCam::default())?, GradCam::default()),
                (map(name, &at, x, &GradCam { relu: true, batch: Some(3) })?, GradCam::default()),
            ] {
                assert_eq!(found.dims(), expected.dims(), "{what}");
                let expected = if options.relu { expected.relu()? } else { expected.clone() };
                assert_close(&what, &values(&found), &values(&expected), tolerance(name));
            }
        }
    }
    Ok(())
}

/// `scale_cam_image` for each map of a batch: from 0 to (nearly) 1.
fn scaled(maps: &Tensor) -> AnyResult<Tensor> {
    let pixels = maps.dims()[1] * maps.dims()[2];
    let mut all = values(maps);
    for map in all.chunks_mut(pixels) {
        let low = map.iter().copied().fold(f64::INFINITY, f64::min);
        let high = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        map.iter_mut().for_each(|v| *v = (*v - low) / (1e-7 + high - low));
    }
    Ok(tensor(&all, maps.dims()))
}

/// What pytorch-grad-cam returns is the positive part, from 0 to 1 for each image, enlarged by
/// OpenCV in `f32`, and from 0 to 1 again.
#[test]
fn what_pytorch_grad_cam_returns_is_a_scaled_map() -> AnyResult {
    let fixture = Fixture::load()?;
    let (layers, x) = (fixture.layers()?, fixture.get("x"));
    for cut in CUTS {
        let at = layers.split_at(cut)?;
        for name in FAMILY.iter().filter(|name| **name != "eigen_cam") {
            let positive = map(name, &at, x, &GradCam::default())?;
            let enlarged = resize(&scaled(&positive)?, 9, 7, Interpolation::Bilinear)?;
            let expected = values(fixture.get(&format!("{cut}.{name}.shipped")));
            let what = format!("{name} {cut} as returned");
            assert_close(&what, &values(&scaled(&enlarged)?), &expected, 1e-5);
        }
    }
    Ok(())
}

/// f = Σ q·z over two channels and two pixels: the gradient is q.
fn products_with(q: [f64; 4]) -> impl Activations {
    let q = tensor(&q, &[1, 2, 1, 2]);
    SplitModel::new(
        |x: &Tensor| Ok(x.clone()),
        move |z: &Tensor| z.broadcast_mul(&q)?.flatten_from(1)?.sum_keepdim(1),
    )
}

#[test]
fn weights_of_pixels_by_hand() -> AnyResult {
    let model = products_with([1., -2., 3., 4.]);
    let z = tensor(&[1., 2., 3., 5.], &[1, 2, 1, 2]);
    let both = |map: &dyn Fn(&GradCam) -> Result<Tensor>| -> AnyResult<[Vec<f64>; 2]> {
        Ok([values(&map(&signed())?), values(&map(&GradCam::default())?)])
    };
    // 1·1 + 3·3 and -2·2 + 4·5: they add up to f.
    let hires = both(&|options: &GradCam| hires_cam(&model, &z, 0, options))?;
    assert_eq!(hires, [[10., 16.], [10., 16.]]);
    // Without -2·2.
    let layer = both(&|options: &GradCam| layer_cam(&model, &z, 0, options))?;
    assert_eq!(layer, [[10., 20.], [10., 20.]]);
    // α = (1 - 4)/3 and (9 + 20)/8.
    let xgrad = both(&|options: &GradCam| xgrad_cam(&model, &z, 0, options))?;
    for found in xgrad {
        assert_close("XGrad-CAM", &found, &[9.875, 16.125], 1e-6);
    }
    // A channel of zeros has no weight; what is left is negative, in part or as a whole.
    let z = tensor(&[1., 2., 0., 0.], &[1, 2, 1, 2]);
    let hires = both(&|options: &GradCam| hires_cam(&model, &z, 0, options))?;
    assert_eq!(hires, [[1., -4.], [1., 0.]]);
    let [xgrad, positive] = both(&|options: &GradCam| xgrad_cam(&model, &z, 0, options))?;
    assert_close("XGrad-CAM", &xgrad, &[-1., -2.], 1e-6);
    assert_eq!(positive, [0., 0.]);
    Ok(())
}

/// 1 - 1 is not the sum of a channel, but its rounding.
#[test]
fn channels_that_cancel_have_no_xgrad_weight() -> AnyResult {
    let model = products_with([1., -2., 3., 4.]);
    for lost in [[1., -1.], [1e-7, -2e-7]] {
        let z = tensor(&[lost[0], lost[1], 3., 5.], &[1, 2, 1, 2]);
        let found = values(&xgrad_cam(&model, &z, 0, &signed())?);
        assert_close("XGrad-CAM", &found, &[3. * 3.625, 5. * 3.625], 1e-6);
    }
    Ok(())
}

#[test]
fn score_cam_by_hand() -> AnyResult {
    // z = (x, 6 - x), and f is the first pixel of x times ln(3)/2.
    let slope = tensor(&[3f64.ln() / 2., 0.], &[1, 1, 1, 2]);
    let model = SplitModel::new(
        |x: &Tensor| Tensor::cat(&[x, &(6. - x)?], 1),
        |z: &Tensor| z.narrow(1, 0, 1)?.broadcast_mul(&slope)?.flatten_from(1)?.sum_keepdim(1),
    );
    // Masks (0, 1) and (1, 0) leave f = 0 and ln 3: weights 1/4 and 3/4 of (2, 4) and (4, 2).
    let x = tensor(&[2., 4.], &[1, 1, 1, 2]);
    for batch in [None, Some(1)] {
        let found = score_cam(&model, &x, 0, &GradCam { relu: true, batch })?;
        assert_close("Score-CAM", &values(&found), &[3.5, 2.5], 1e-7);
    }
    let two = Tensor::cat(&[&x, &x], 0)?;
    let found = values(&score_cam(&model, &two, 0, &GradCam::default())?);
    assert_close("Score-CAM", &found, &[3.5, 2.5, 3.5, 2.5], 1e-7);
    let of = |x: &Tensor, target, batch| {
        score_cam(&model, x, target, &GradCam { relu: true, batch }).unwrap_err()
    };
    assert!(matches!(of(&x, 1, None), Error::Target { target: 1, .. }));
    assert!(matches!(of(&x, 0, Some(0)), Error::Parameter { .. }));
    assert!(matches!(of(&tensor(&[2., 4.], &[1, 2]), 0, None), Error::Shape { .. }));
    Ok(())
}

/// The activation itself, for methods that ask for no output.
fn identity() -> impl Activations {
    SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.flatten_from(1))
}

#[test]
fn eigen_cam_by_hand() -> AnyResult {
    // (3, 4) at the last of three pixels, less the mean: v = (3, 4)/5, and X·v is 5·(-1, -1, 2)/3.
    // Two more channels of zeros make X wide; the sign of the activation does not count.
    for (channels, sign) in [(2, 1.), (4, 1.), (2, -1.)] {
        let mut z = vec![0.; 3 * channels];
        (z[2], z[5]) = (3. * sign, 4. * sign);
        let z = tensor(&z, &[1, channels, 1, 3]);
        let found = values(&eigen_cam(&identity(), &z, &signed())?);
        assert_close("Eigen-CAM", &found, &[-5. / 3., -5. / 3., 10. / 3.], 1e-12);
        let positive = values(&eigen_cam(&identity(), &z, &GradCam::default())?);
        assert_close("Eigen-CAM", &positive, &[0., 0., 10. / 3.], 1e-12);
    }
    Ok(())
}

#[test]
fn eigen_cam_refuses_what_would_be_chance() {
    let of = |z: &[f64], shape: &[usize]| {
        let error = eigen_cam(&identity(), &tensor(z, shape), &signed()).unwrap_err();
        error.to_string()
    };
    assert!(of(&[1., 1., 1., 0.1, 0.1, 0.1], &[1, 2, 1, 3]).contains("no channel"));
    assert!(of(&[0.; 6], &[1, 2, 1, 3]).contains("no channel"));
    let alike = [1., -1., 0., 0., 0., 0., 1., -1.];
    assert!(of(&alike, &[1, 2, 2, 2]).contains("alike in two directions"));
    assert!(of(&[1., 2.], &[1, 1, 1, 2]).contains("equal magnitude"));
    assert!(of(&[1., f64::NAN, 2.], &[1, 1, 1, 3]).contains("not finite"));
}

#[test]
fn the_explainer_has_the_family() -> AnyResult {
    // z = 2x, and masks of 1/2: f = 3·mean(z/2), whose gradient in z is 3/8 at each of four pixels.
    let layers = Layers::new()
        .conv2d("extractor.3.conv", &tensor(&[2.], &[1, 1, 1, 1]), None, Conv2d::default())?
        .leaky_relu(FEATURES, 1.)?
        .gate("heads.masks", &tensor(&[0.], &[1, 1, 1, 1]), &tensor(&[0.], &[1]))?
        .global_average_pool("heads.pool")?
        .readout("heads.readout", &tensor(&[3.], &[1, 1]), &tensor(&[0.], &[1]))?
        .model()?;
    let x = tensor(&[1., 2., 3., 6.], &[1, 1, 2, 2]);
    let explainer = Explainer {
        steps: 4,
        grid: 2,
        lime_samples: 50,
        seed: 7,
        region_maps: HashMap::new(),
        references: None,
        cam_node: None,
        attention_node: None,
        composite: None,
    };
    let times_x = |factor: f64| [1., 2., 3., 6.].map(|x| factor * x);
    for (id, expected) in [
        ("layer-cam", times_x(0.75)),
        ("hires-cam", times_x(0.75)),
        ("xgrad-cam", times_x(0.75)),
        // One channel has all of the weight.
        ("score-cam", times_x(2.)),
        // z less its mean of 6.
        ("eigen-cam", [0., 0., 0., 6.]),
    ] {
        let method = Method::from_id(id).ok_or(id)?;
        assert!(Method::available(true, false).contains(&method), "{id}");
        assert!(method.is_local() && method.reading() == Reading::Unsigned, "{id}");
        let found = explainer.maps(method, &layers, &x, &[0], 0)?;
        assert_eq!(found.dims(), [1, 2, 2], "{id}");
        assert_close(id, &values(&found), &expected, 1e-6);
    }
    Ok(())
}

#[test]
fn scores_of_given_vectors_agree_with_captum() -> AnyResult {
    let fixture = Fixture::load()?;
    let layers = fixture.layers()?;
    let scores = tcav_with_vectors(
        &layers.split_at("late")?,
        fixture.get("tcav.x"),
        TARGET,
        fixture.get("tcav.vectors"),
    )?;
    let counts: Vec<f64> = scores.iter().map(|score| score.sign_count).collect();
    assert_close("TCAV, counts", &counts, &values(fixture.get("tcav.sign_count")), 1e-6);
    let magnitudes: Vec<f64> = scores.iter().map(|score| score.magnitude).collect();
    assert_close("TCAV, magnitudes", &magnitudes, &values(fixture.get("tcav.magnitude")), 1e-5);
    Ok(())
}

#[test]
fn the_classifier_agrees_with_scikit_learns_ridge() -> AnyResult {
    let fixture = Fixture::load()?;
    let found = ConceptVector::fit(fixture.get("cav.concept"), fixture.get("cav.random"), 0.01)?;
    assert_eq!(found.vector.dims(), [2, 3]);
    let expected = values(fixture.get("cav.vector"));
    assert_close("CAV", &values(&found.vector), &expected, 1e-10);
    let intercept = values(fixture.get("cav.intercept"));
    assert_close("CAV's intercept", &[found.intercept], &intercept, 1e-10);
    let (on, off) = (fixture.get("cav.test_concept"), fixture.get("cav.test_random"));
    let accuracy = values(fixture.get("cav.test_accuracy"));
    assert_close("CAV's accuracy", &[found.accuracy(on, off)?], &accuracy, 1e-12);
    Ok(())
}

#[test]
fn concept_vectors_by_hand() -> AnyResult {
    // The plane is halfway between the means (2, 0) and (0, 0), whatever the penalty and the unit.
    for (penalty, unit) in [(1e-3, 1.), (1., 1.), (0.01, 1e-6)] {
        let on = tensor(&[2. * unit, unit, 2. * unit, -unit], &[2, 2]);
        let found = ConceptVector::fit(&on, &tensor(&[0., 0.], &[1, 2]), penalty)?;
        assert_close("CAV", &values(&found.vector), &[1., 0.], 1e-12);
        assert_close("CAV's intercept", &[found.intercept], &[-unit], 1e-12);
        // One of two, and two of three: (1/2 + 2/3)/2.
        let on = tensor(&[3. * unit, 0., 0., 0.], &[2, 2]);
        let off = tensor(&[0., 0., -unit, unit, 5. * unit, 0.], &[3, 2]);
        assert_close("accuracy", &[found.accuracy(&on, &off)?], &[7. / 12.], 1e-12);
    }
    Ok(())
}

#[test]
fn vectors_of_nothing_are_refused() {
    let (a, b) = (tensor(&[1., 2., 3., 5.], &[2, 2]), tensor(&[0.1; 4], &[2, 2]));
    let of = |on: &Tensor, off: &Tensor, penalty| ConceptVector::fit(on, off, penalty).unwrap_err();
    assert!(of(&a, &a, 0.01).to_string().contains("the same mean"));
    assert!(of(&b, &b, 0.01).to_string().contains("do not vary"));
    assert!(matches!(of(&a, &b, 0.), Error::Parameter { .. }));
    assert!(matches!(of(&a, &tensor(&[0.; 3], &[1, 3]), 0.01), Error::Shape { .. }));
    assert!(matches!(of(&tensor(&[f64::NAN, 0.], &[1, 2]), &a, 0.01), Error::NotFinite(_)));
}

#[test]
fn scores_by_hand() -> AnyResult {
    // f = z₀²/2 - z₁: the gradient is (z₀, -1).
    let model = SplitModel::new(
        |x: &Tensor| Ok(x.clone()),
        |z: &Tensor| (z.narrow(1, 0, 1)?.sqr()? * 0.5)? - z.narrow(1, 1, 1)?,
    );
    let x = tensor(&[1., 1., -1., 1., 3., 1.], &[3, 2]);
    let vectors = tensor(&[1., 0., 0., 1., 1., 1.], &[3, 2]);
    let scores = tcav_with_vectors(&model, &x, 0, &vectors)?;
    let of = |sign_count, negative, magnitude| TcavScore { sign_count, negative, magnitude };
    // Derivatives (1, -1, 3), (-1, -1, -1) and (0, -2, 2).
    let third = 1. / 3.;
    assert_eq!(scores, [of(2. / 3., third, 1.), of(0., 1., -1.), of(third, third, 0.)]);
    let other = tcav_with_vectors(&model, &x, 0, &tensor(&[1.; 3], &[1, 3]));
    assert!(matches!(other, Err(Error::Shape { .. })));
    Ok(())
}

/// 24 examples of four channels, one of them moved up.
fn examples(frequency: f64, channel: usize, shift: f64) -> Tensor {
    let all: Vec<f64> = (0..96)
        .map(|i| {
            let moved = if i % 4 == channel { shift } else { 0. };
            moved + (frequency * (i * i + 1) as f64).sin()
        })
        .collect();
    tensor(&all, &[24, 4])
}

#[test]
fn a_concept_that_counts_is_told_from_one_that_does_not() -> AnyResult {
    // f = z₀ - z₁/2.
    let weights = tensor(&[1., -0.5, 0., 0.], &[4, 1]);
    let model = SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.matmul(&weights));
    let random = [0.31, 0.57, 0.83, 1.13, 1.37, 1.71, 1.97, 2.21].map(|f| examples(f, 0, 0.));
    let class = examples(2.53, 0, 0.);
    let of = |concept: &Tensor| tcav(&model, &class, 0, concept, &random, &Tcav::default());
    // Along its own channel f grows by 1.
    let counts = of(&examples(0.47, 0, 3.))?;
    assert!(counts.held_out_accuracy > 0.9, "{}", counts.held_out_accuracy);
    assert_eq!(counts.sign_count.mean, 1.);
    assert_eq!(counts.sign_count.deviation, 0.);
    assert!((counts.magnitude.mean - 1.).abs() < 0.15, "{:?}", counts.magnitude);
    assert!(counts.magnitude.p.is_some_and(|p| p < 0.05), "{:?}", counts.magnitude);
    assert_eq!((counts.concept.len(), counts.random.len()), (8, 8));
    assert_eq!(counts.concept[0].held_out, 14);
    // f does not see the last channel, which the vector shows well.
    let other = of(&examples(0.47, 3, 3.))?;
    assert!(other.held_out_accuracy > 0.9, "{}", other.held_out_accuracy);
    assert!(other.magnitude.mean.abs() < 0.4, "{:?}", other.magnitude);
    // No concept: the vector is seen to say nothing.
    let none = of(&examples(0.47, 0, 0.))?;
    assert!(none.held_out_accuracy < 0.7, "{}", none.held_out_accuracy);
    // The same seed gives the same bits.
    let again = of(&examples(0.47, 0, 0.))?;
    assert_eq!(none.magnitude, again.magnitude);
    Ok(())
}

#[test]
fn tcav_refuses_what_cannot_be_tested() {
    let model = SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.sum_keepdim(1));
    let x = examples(2.53, 0, 0.);
    let of = |random: &[Tensor], options: &Tcav| {
        tcav(&model, &x, 0, &examples(0.47, 0, 3.), random, options).unwrap_err()
    };
    let random = [0.31, 0.57, 0.83].map(|f| examples(f, 0, 0.));
    assert!(matches!(of(&random[..2], &Tcav::default()), Error::Parameter { .. }));
    for held_out in [0., 1.] {
        let options = Tcav { held_out, ..Tcav::default() };
        assert!(matches!(of(&random, &options), Error::Parameter { .. }));
    }
    let few = Tcav { held_out: 0.95, ..Tcav::default() };
    assert!(matches!(of(&random, &few), Error::Degenerate(_)));
    let none = Tcav { batch: Some(0), ..Tcav::default() };
    assert!(matches!(of(&random, &none), Error::Parameter { .. }));
}
