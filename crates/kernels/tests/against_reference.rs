//! Every fused operation and its gradients compared with the plain candle composition in f64, for
//! shapes that do not fill whole tiles.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{AnyResult, bits, distance, in_f64, some_rows, values};
use foresee_kernels::{
    AdamWStep, Error, Identity, InstructionSet,
    Precision::{self, Bf16, F32},
    Rows, ToneCurve, adamw_step, attention_heads, attention_heads_of_rows,
    attention_heads_with_curves, attention_masks, channel_moments, channels_last, conv2d,
    moving_average, norm_leaky_relu, reference, scale_shift_leaky_relu, select_channels,
    with_instruction_set,
};
use proptest::prelude::*;

fn weighted(t: &Tensor, seed: u64) -> Tensor {
    let w = values(t.dims(), 1., seed).as_tensor().to_dtype(t.dtype()).unwrap();
    (t * w).unwrap().sum_all().unwrap()
}

/// Compares outputs and gradients. bfloat16 factors have 8 bits: their rounding errors are relative
/// to single terms, of which a sum can be much smaller.
fn check(
    name: &str,
    fused: &[&Var],
    plain: &[&Var],
    outputs: &[(Tensor, Tensor)],
    precision: Precision,
) -> AnyResult {
    let (tolerance, gradient_tolerance) =
        if precision == F32 { (2e-5, 1e-4) } else { (2e-2, 3e-2) };
    let mut losses: Option<(Tensor, Tensor)> = None;
    for (i, (a, b)) in outputs.iter().enumerate() {
        assert!(distance(a, b) < tolerance, "{name}: output {i} is off by {}", distance(a, b));
        let a = weighted(a, i as u64 + 7);
        let b = weighted(b, i as u64 + 7);
        losses = Some(match losses {
            Some((x, y)) => ((x + a)?, (y + b)?),
            None => (a, b),
        });
    }
    let (a, b) = losses.expect("an output");
    let a = a.backward()?;
    let b = b.backward()?;
    for (i, (x, y)) in fused.iter().zip(plain).enumerate() {
        let x = a.get(x.as_tensor()).expect("gradient");
        let y = b.get(y.as_tensor()).expect("gradient");
        assert!(
            distance(x, y) < gradient_tolerance,
            "{name}: gradient {i} is off by {}",
            distance(x, y)
        );
    }
    Ok(())
}

fn heads(
    b: usize,
    k: usize,
    c: usize,
    h: usize,
    w: usize,
    n: usize,
    precision: Precision,
) -> AnyResult {
    let vars =
        [values(&[b, c, h, w], 1.5, 1), values(&[k * c, c, n, n], 0.5, 2), values(&[k * c], 1., 3)];
    let plain = vars.each_ref().map(in_f64);
    let fused = attention_heads(&vars[0], &vars[1], &vars[2], precision)?;
    let reference = attention_heads(&plain[0], &plain[1], &plain[2], F32)?;
    let outputs = [(fused.features, reference.features), (fused.masks, reference.masks)];
    check(
        &format!("heads {b} {k} {c} {h}×{w} n={n}"),
        &vars.each_ref(),
        &plain.each_ref(),
        &outputs,
        precision,
    )
}

fn conv(
    b: usize,
    i: usize,
    o: usize,
    h: usize,
    w: usize,
    dilation: usize,
    precision: Precision,
) -> AnyResult {
    let vars = [values(&[b, i, h, w], 1., 1), values(&[o, i, 3, 3], 0.5, 2), values(&[o], 1., 3)];
    let plain = vars.each_ref().map(in_f64);
    let y = conv2d(&vars[0], &vars[1], &vars[2], dilation, precision)?;
    let reference = conv2d(&plain[0], &plain[1], &plain[2], dilation, F32)?;
    check(
        &format!("conv {b} {i}→{o} {h}×{w} d={dilation}"),
        &vars.each_ref(),
        &plain.each_ref(),
        &[(y, reference)],
        precision,
    )
}

fn norm(b: usize, c: usize, h: usize, w: usize) -> AnyResult {
    let vars = [values(&[b, c, h, w], 2., 1), values(&[c], 1.5, 2), values(&[c], 1., 3)];
    let plain = vars.each_ref().map(in_f64);
    let moments = channel_moments(&vars[0])?;
    let y = norm_leaky_relu(&vars[0], &moments, &vars[1], &vars[2], 1e-5, 0.01)?;
    let reference = reference::norm_leaky_relu(&plain[0], None, &plain[1], &plain[2], 1e-5, 0.01)?;
    if b * h * w > 4 {
        check(
            &format!("norm {b} {c} {h}×{w}"),
            &vars.each_ref(),
            &plain.each_ref(),
            &[(y, reference)],
            F32,
        )?;
    }
    let exact = channel_moments(&plain[0])?;
    assert!(distance(&moments.mean, &exact.mean) < 1e-5);
    assert!(distance(&moments.variance, &exact.variance) < 1e-5);
    let y = scale_shift_leaky_relu(&vars[0], &moments, &vars[1], &vars[2], 1e-5, 0.01)?;
    let reference = scale_shift_leaky_relu(&plain[0], &exact, &plain[1], &plain[2], 1e-5, 0.01)?;
    check("norm, constant moments", &vars.each_ref(), &plain.each_ref(), &[(y, reference)], F32)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn heads_match(
        b in 1usize..4,
        k in 1usize..18,
        c in 1usize..20,
        h in 1usize..24,
        w in 1usize..24,
        wide in prop::bool::ANY,
        half in prop::bool::ANY,
    ) {
        heads(b, k, c, h, w, if wide { 3 } else { 1 }, if half { Bf16 } else { F32 }).unwrap();
    }

    #[test]
    fn convolution_matches(
        b in 1usize..11,
        i in 1usize..9,
        o in 1usize..20,
        h in 1usize..24,
        w in 1usize..24,
        d in 1usize..4,
        half in prop::bool::ANY,
    ) {
        conv(b, i, o, h, w, d, if half { Bf16 } else { F32 }).unwrap();
    }

    #[test]
    fn norm_matches(
        b in 1usize..5,
        c in 1usize..20,
        h in 1usize..24,
        w in 1usize..24,
    ) {
        norm(b, c, h, w).unwrap();
    }
}

#[test]
fn the_papers_shapes_match() -> AnyResult {
    for precision in [F32, Bf16] {
        heads(2, 3, 128, 20, 33, 1, precision)?;
        heads(1, 1, 1, 1, 1, 1, precision)?;
        conv(2, 64, 128, 32, 32, 2, precision)?;
        conv(1, 3, 32, 5, 300, 1, precision)?;
    }
    norm(3, 32, 16, 16)
}

#[test]
fn every_instruction_set_matches() -> AnyResult {
    let mut tested = 0;
    for set in InstructionSet::ALL {
        let all = || -> AnyResult {
            for precision in [F32, Bf16] {
                heads(2, 3, 37, 9, 17, 1, precision)?;
                conv(2, 5, 40, 9, 11, 2, precision)?;
                // Several blocks and a remainder, on an odd width.
                conv(1, 33, 70, 4, 67, 1, precision)?;
            }
            norm(2, 37, 9, 7)
        };
        match with_instruction_set(set, all) {
            Some(result) => result.map_err(|e| format!("{set:?}: {e}"))?,
            None => {
                eprintln!("this machine has no {set:?}: not tested");
                continue;
            }
        }
        tested += 1;
    }
    assert!(tested >= 1, "the portable kernels run everywhere");
    Ok(())
}

/// Pairs of bfloat16 values give the same sums with and without the processor's instruction, except
/// for rounding in f32.
#[test]
fn bf16_is_the_same_in_f32_arithmetic() -> AnyResult {
    let z = values(&[2, 64, 9, 9], 1., 1);
    let w = values(&[3 * 64, 64, 1, 1], 0.3, 2);
    let b = values(&[3 * 64], 1., 3);
    let best = attention_heads(&z, &w, &b, Bf16)?;
    let portable =
        with_instruction_set(InstructionSet::Portable, || attention_heads(&z, &w, &b, Bf16))
            .ok_or("portable")??;
    assert!(distance(&best.features, &portable.features.to_dtype(DType::F64)?) < 1e-5);
    assert!(distance(&best.masks, &portable.masks.to_dtype(DType::F64)?) < 1e-5);
    Ok(())
}

#[test]
fn heads_agree_with_finite_differences() -> AnyResult {
    let vars =
        [values(&[1, 3, 3, 2], 1., 1), values(&[2 * 3, 3, 1, 1], 1., 2), values(&[2 * 3], 1., 3)];
    let loss = |vars: &[Tensor; 3]| -> AnyResult<Tensor> {
        let pooled = attention_heads(&vars[0], &vars[1], &vars[2], F32)?;
        Ok((weighted(&pooled.features, 5) + weighted(&pooled.masks, 6))?)
    };
    let tensors = vars.each_ref().map(|v| v.as_tensor().clone());
    let gradients = loss(&tensors)?.backward()?;
    for (which, var) in vars.iter().enumerate() {
        let gradient =
            gradients.get(var.as_tensor()).expect("gradient").flatten_all()?.to_vec1::<f32>()?;
        for (at, expected) in gradient.into_iter().enumerate() {
            let moved = |by: f32| -> AnyResult<f64> {
                let mut data = var.flatten_all()?.to_vec1::<f32>()?;
                data[at] += by;
                let mut moved = tensors.clone();
                moved[which] = Tensor::from_vec(data, var.shape(), &Device::Cpu)?;
                Ok(f64::from(loss(&moved)?.to_scalar::<f32>()?))
            };
            let slope = (moved(1e-2)? - moved(-1e-2)?) / 2e-2;
            assert!(
                (slope - f64::from(expected)).abs() < 2e-3,
                "input {which}, element {at}: {slope} and {expected}"
            );
        }
    }
    Ok(())
}

/// m ↦ m² + c on attribute 1 and channel c.
struct Square;

impl ToneCurve for Square {
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]) {
        if attribute == 1 {
            mask.iter_mut().for_each(|m| *m = *m * *m + channel as f32);
        }
    }
}

#[test]
fn curves_change_the_masks_and_the_identity_changes_no_bit() -> AnyResult {
    let z = values(&[2, 5, 7, 9], 1., 1);
    let w = values(&[3 * 5, 5, 1, 1], 1., 2);
    let b = values(&[3 * 5], 1., 3);
    let rows = Rows::all(3, 5);
    let plain = attention_heads(&z, &w, &b, F32)?;
    let under = attention_heads_with_curves(&z, &w, &b, &rows, &[&Identity, &Square], F32)?;
    assert_eq!(
        plain.features.flatten_all()?.to_vec1::<f32>()?,
        under[0].features.flatten_all()?.to_vec1::<f32>()?
    );
    assert_eq!(
        plain.masks.flatten_all()?.to_vec1::<f32>()?,
        under[0].masks.flatten_all()?.to_vec1::<f32>()?
    );
    let expected = reference::attention_heads(&z, &w, &b, &rows, &Square)?;
    assert!(distance(&under[1].features, &expected.features.to_dtype(DType::F64)?) < 1e-5);
    assert!(distance(&under[1].masks, &expected.masks.to_dtype(DType::F64)?) < 1e-5);
    let masks = attention_masks(&z, &w, &b, &rows, &[2, 0])?;
    let all = reference::masks(&z, &w, &b, &rows)?;
    assert!(distance(&masks.narrow(1, 0, 1)?, &all.narrow(1, 2, 1)?.to_dtype(DType::F64)?) < 1e-5);
    assert!(matches!(
        attention_masks(&z, &w, &b, &rows, &[3]),
        Err(Error::Attribute { index: 3, attributes: 3, .. })
    ));
    Ok(())
}

#[test]
fn extreme_logits_stay_finite_and_nan_is_not_hidden() -> AnyResult {
    let z = values(&[1, 2, 4, 5], 1e4, 1);
    let w = values(&[2, 2, 1, 1], 1., 2);
    let b = values(&[2], 1., 3);
    let pooled = attention_heads(&z, &w, &b, F32)?;
    let gradients = pooled.features.sum_all()?.backward()?;
    for t in [&pooled.features, &pooled.masks, gradients.get(z.as_tensor()).expect("gradient")] {
        assert!(t.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| v.is_finite()));
    }
    let nan = (z.as_tensor() * f64::NAN)?;
    assert!(
        attention_heads(&nan, &w, &b, F32)?
            .masks
            .flatten_all()?
            .to_vec1::<f32>()?
            .iter()
            .all(|v| v.is_nan())
    );
    Ok(())
}

#[test]
fn non_contiguous_inputs_are_fine() -> AnyResult {
    let z = values(&[7, 5, 4, 2], 1., 1).transpose(0, 3)?;
    let w = values(&[10, 5, 1, 1], 1., 2);
    let b = values(&[10], 1., 3);
    let a = attention_heads(&z, &w, &b, F32)?;
    let c = attention_heads(&z.contiguous()?, &w, &b, F32)?;
    assert_eq!(
        a.features.flatten_all()?.to_vec1::<f32>()?,
        c.features.flatten_all()?.to_vec1::<f32>()?
    );
    let k = values(&[3, 5, 3, 3], 1., 4);
    let y = conv2d(&z, &k, &values(&[3], 1., 5), 1, F32)?;
    let x = conv2d(&z.contiguous()?, &k, &values(&[3], 1., 5), 1, F32)?;
    assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, x.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

#[test]
fn wrong_shapes_and_types_are_errors() {
    let t = |shape: &[usize]| values(shape, 1., 1).as_tensor().clone();
    assert!(attention_heads(&t(&[2, 3, 4]), &t(&[6, 3, 1, 1]), &t(&[6]), F32).is_err());
    assert!(attention_heads(&t(&[2, 3, 4, 4]), &t(&[7, 3, 1, 1]), &t(&[7]), F32).is_err());
    assert!(attention_heads(&t(&[2, 3, 4, 4]), &t(&[6, 3, 2, 2]), &t(&[6]), F32).is_err());
    assert!(attention_heads(&t(&[2, 3, 4, 4]), &t(&[6, 3, 1, 1]), &t(&[5]), F32).is_err());
    assert!(conv2d(&t(&[2, 3, 4, 4]), &t(&[6, 2, 3, 3]), &t(&[6]), 1, F32).is_err());
    assert!(channel_moments(&t(&[2, 3])).is_err());
    let wide = |shape: &[usize]| t(shape).to_dtype(DType::F64).unwrap();
    assert!(attention_heads(&t(&[2, 3, 4, 4]), &wide(&[6, 3, 1, 1]), &t(&[6]), F32).is_err());
    assert!(conv2d(&wide(&[2, 3, 4, 4]), &t(&[6, 3, 3, 3]), &t(&[6]), 1, F32).is_err());
}

#[test]
fn same_bits_for_any_number_of_threads() -> AnyResult {
    let run = |threads: usize, precision: Precision| -> Vec<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let x = values(&[5, 4, 21, 19], 1., 1);
            let k = values(&[16, 4, 3, 3], 0.5, 2);
            let kb = values(&[16], 1., 3);
            let gamma = values(&[16], 1., 4);
            let beta = values(&[16], 1., 5);
            let w = values(&[17 * 16, 16, 1, 1], 0.5, 6);
            let b = values(&[17 * 16], 1., 7);
            let y = conv2d(&x, &k, &kb, 2, precision).unwrap();
            let z = norm_leaky_relu(&y, &channel_moments(&y).unwrap(), &gamma, &beta, 1e-5, 0.01)
                .unwrap();
            let pooled = attention_heads(&z, &w, &b, precision).unwrap();
            let loss = (weighted(&pooled.features, 8) + weighted(&pooled.masks, 9)).unwrap();
            let gradients = loss.backward().unwrap();
            [&x, &k, &kb, &gamma, &beta, &w, &b]
                .map(|v| bits(gradients.get(v.as_tensor()).unwrap()))
                .into_iter()
                .chain([bits(&loss)])
                .collect()
        })
    };
    for precision in [F32, Bf16] {
        let one = run(1, precision);
        assert_eq!(one, run(2, precision));
        assert_eq!(one, run(7, precision));
    }
    Ok(())
}

#[test]
fn adamw_in_place_is_candles_composition() -> AnyResult {
    let value = values(&[3, 7], 1., 1);
    let plain = in_f64(&value);
    let zeros = |of: &Var| of.zeros_like().map(|t| t.detach());
    let mut first = zeros(&value)?;
    let mut second = zeros(&value)?;
    let mut first64 = zeros(&plain)?;
    let mut second64 = zeros(&plain)?;
    for number in 1..=4 {
        let gradient = values(&[3, 7], 1., 10 + number as u64);
        let step = AdamWStep {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.3,
            number,
        };
        adamw_step(&value, &gradient, &mut first, &mut second, &step)?;
        adamw_step(&plain, &in_f64(&gradient), &mut first64, &mut second64, &step)?;
    }
    for (a, b) in [(value.as_tensor(), plain.as_tensor()), (&first, &first64), (&second, &second64)]
    {
        assert!(distance(a, b) < 1e-5);
    }
    Ok(())
}

#[test]
fn no_channels_and_integers_are_errors_and_nan_is_not_swallowed() {
    let zeros = |dims: &[usize], dtype: DType| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let floats = |dims: &[usize]| zeros(dims, DType::F32);
    assert!(
        conv2d(&floats(&[1, 0, 4, 4]), &floats(&[2, 0, 3, 3]), &floats(&[2]), 1, Precision::F32)
            .is_err()
    );
    assert!(
        conv2d(&floats(&[1, 2, 4, 4]), &floats(&[0, 2, 3, 3]), &floats(&[0]), 1, Precision::F32)
            .is_err()
    );
    assert!(channel_moments(&floats(&[2, 0, 3, 3])).is_err());
    assert!(channel_moments(&zeros(&[1, 2, 3, 3], DType::U32)).is_err());
    let x = Tensor::from_vec(vec![f32::NAN, 1., 2., 3.], (1, 2, 1, 2), &Device::Cpu).unwrap();
    let moments = channel_moments(&x).unwrap();
    let mean = moments.mean.to_vec1::<f32>().unwrap();
    let variance = moments.variance.to_vec1::<f32>().unwrap();
    assert!(
        mean[0].is_nan() && variance[0].is_nan() && (mean[1], variance[1]) == (2.5, 0.25),
        "{mean:?} {variance:?}"
    );
}

#[test]
fn channels_are_selected_in_the_order_asked_for() -> AnyResult {
    // More pixels than a thread copies at a time, and both orders in memory.
    let z = values(&[2, 5, 31, 23], 1., 3);
    let channels = [4usize, 0, 3];
    let index = Tensor::new(&[4u32, 0, 3], &Device::Cpu)?;
    let expected = z.index_select(&index, 1)?.flatten_all()?.to_vec1::<f32>()?;
    let in_channels_last = z.permute((0, 2, 3, 1))?.contiguous()?.permute((0, 3, 1, 2))?;
    for z in [z.as_tensor(), &in_channels_last] {
        assert_eq!(select_channels(z, &channels)?.flatten_all()?.to_vec1::<f32>()?, expected);
        let in_f64 = select_channels(&z.to_dtype(DType::F64)?, &channels)?;
        assert_eq!(in_f64.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?, expected);
    }
    assert_eq!(select_channels(&z, &[])?.dims(), [2, 0, 31, 23]);
    assert!(matches!(select_channels(&z, &[5]), Err(Error::Shape { .. })));
    Ok(())
}

#[test]
fn a_moving_average_is_candles_composition() -> AnyResult {
    let average = values(&[3, 50], 1., 1);
    let value = values(&[3, 50], 1., 2);
    let in_f64 = in_f64(&average);
    let expected = ((in_f64.as_tensor() * 0.9)? + (value.to_dtype(DType::F64)? * 0.1)?)?;
    moving_average(&average, &value, 0.9)?;
    moving_average(&in_f64, &value.to_dtype(DType::F64)?, 0.9)?;
    assert!(distance(&average, &expected) < 1e-6 && distance(&in_f64, &expected) < 1e-12);
    assert!(matches!(
        moving_average(&average, &values(&[50, 3], 1., 2), 0.9),
        Err(Error::Shape { .. })
    ));
    Ok(())
}

#[test]
fn channels_last_in_a_chain_gives_the_same_bits() -> AnyResult {
    let x = values(&[3, 4, 11, 7], 1., 1);
    let k = values(&[6, 4, 3, 3], 0.5, 2);
    let kb = values(&[6], 1., 3);
    let gamma = values(&[6], 1., 4);
    let beta = values(&[6], 1., 5);
    let all = [Rows::all(5, 6), some_rows(5, 6, 0.4, 3)];
    let kinds = [(1, F32), (1, Bf16), (3, F32)];
    for (rows, (n, precision)) in all.iter().flat_map(|rows| kinds.map(|kind| (rows, kind))) {
        let w = values(&[5 * 6, 6, n, n], 0.5, 6);
        let b = values(&[5 * 6], 1., 7);
        let y = conv2d(&x, &k, &kb, 2, precision)?;
        let z = norm_leaky_relu(&y, &channel_moments(&y)?, &gamma, &beta, 1e-5, 0.01)?;
        let one = attention_heads_of_rows(&z, &w, &b, rows, precision)?;
        let y = channels_last::conv2d(&x.permute((0, 2, 3, 1))?, &k, &kb, 2, precision)?;
        let moments = channels_last::channel_moments(&y)?;
        let z = channels_last::norm_leaky_relu(&y, &moments, &gamma, &beta, 1e-5, 0.01)?;
        let other = channels_last::attention_heads(&z, &w, &b, rows, precision)?;
        assert_eq!(
            (bits(&one.features), bits(&one.masks)),
            (bits(&other.features), bits(&other.masks))
        );
        let gradients = |pooled: &foresee_kernels::Pooled| {
            (weighted(&pooled.features, 8) + weighted(&pooled.masks, 9)).unwrap().backward()
        };
        let one = gradients(&one)?;
        let other = gradients(&other)?;
        for v in [&x, &k, &kb, &gamma, &beta, &w, &b] {
            let get = |store: &candle_core::backprop::GradStore| store.get(v.as_tensor()).map(bits);
            assert_eq!(get(&one), get(&other));
        }
        let constant =
            channels_last::scale_shift_leaky_relu(&y, &moments, &gamma, &beta, 1e-5, 0.01)?
                .permute((0, 3, 1, 2))?;
        assert_eq!(
            bits(&constant),
            bits(&scale_shift_leaky_relu(
                &y.permute((0, 3, 1, 2))?,
                &moments,
                &gamma,
                &beta,
                1e-5,
                0.01
            )?)
        );
    }
    let doubles = channels_last::conv2d(
        &in_f64(&x).permute((0, 2, 3, 1))?,
        &in_f64(&k),
        &in_f64(&kb),
        2,
        F32,
    )?
    .permute((0, 3, 1, 2))?;
    assert!(distance(&conv2d(&x, &k, &kb, 2, F32)?, &doubles) < 2e-5);
    assert!(matches!(channels_last::conv2d(&x, &k, &kb, 2, F32), Err(Error::Shape { .. })));
    Ok(())
}

/// Detached weights get no gradient, and the images' gradient is the same. A gradient from one
/// attribute of many is that of the plain composition.
#[test]
fn detached_weights_and_unused_attributes_change_no_gradient_of_the_images() -> AnyResult {
    let x = values(&[3, 4, 11, 7], 1., 1);
    let vars = [
        values(&[6, 4, 3, 3], 0.5, 2),
        values(&[6], 1., 3),
        values(&[6], 1., 4),
        values(&[6], 1., 5),
    ];
    let masks = [values(&[5 * 6, 6, 1, 1], 0.5, 6), values(&[5 * 6], 1., 7)];
    let gradients =
        |x: &Var, [k, kb, gamma, beta, w, b]: [&Tensor; 6], precision| -> AnyResult<_> {
            let y = conv2d(x, k, kb, 2, precision)?;
            let moments = channel_moments(&y.detach())?;
            let z = scale_shift_leaky_relu(&y, &moments, gamma, beta, 1e-5, 0.01)?;
            Ok(weighted(&attention_heads(&z, w, b, precision)?.features.narrow(1, 2, 1)?, 8)
                .backward()?)
        };
    let all: Vec<&Var> = vars.iter().chain(&masks).collect();
    let all: [&Var; 6] = all.try_into().expect("six");
    let plain = all.map(in_f64);
    let exact = gradients(&in_f64(&x), plain.each_ref().map(|v| v.as_tensor()), F32)?;
    for precision in [F32, Bf16] {
        let tracked = gradients(&x, all.map(|v| v.as_tensor()), precision)?;
        let constants = all.map(|v| v.as_detached_tensor());
        let constant = gradients(&x, constants.each_ref(), precision)?;
        assert_eq!(tracked.get(x.as_tensor()).map(bits), constant.get(x.as_tensor()).map(bits));
        assert!(constants.iter().all(|t| constant.get(t).is_none()));
        for (own, plain) in all.iter().zip(&plain) {
            let own = tracked.get(own.as_tensor()).expect("gradient");
            let plain = exact.get(plain.as_tensor()).expect("gradient");
            assert!(distance(own, plain) < if precision == F32 { 1e-4 } else { 3e-2 });
        }
    }
    Ok(())
}
