//! The heads with the gradients of a loss, compared with the plain composition in f64, whose loss
//! is the binary cross entropy of a readout plus a multiple of the masks' means.

mod common;

use candle_core::{D, DType, Device, Tensor, Var};
use common::{AnyResult, bits, distance, flat, in_f64, some_rows, values};
use foresee_kernels::channels_last::{
    self, LossOfMeans, PooledWithGradients, attention_heads_with_loss, keeps_masks,
};
use foresee_kernels::{
    Identity, InstructionSet, Pooled,
    Precision::{self, Bf16, F32},
    Rows, reference, with_instruction_set,
};
use proptest::prelude::*;

/// Binary cross entropy of the logits w·p + b for each image and attribute, plus `norm` times every
/// mean of a mask.
struct Loss {
    /// [K, C].
    readout: Tensor,
    /// `[K]`.
    bias: Tensor,
    /// [B, K].
    labels: Tensor,
    norm: f64,
}

impl Loss {
    /// Labels alternate; logits are about as large as `scale`.
    fn new(b: usize, k: usize, c: usize, scale: f32) -> AnyResult<Self> {
        let labels: Vec<f64> = (0..b * k).map(|i| (i % 2) as f64).collect();
        Ok(Self {
            readout: values(&[k, c], scale, 11).to_dtype(DType::F64)?,
            bias: values(&[k], scale, 12).to_dtype(DType::F64)?,
            labels: Tensor::from_vec(labels, (b, k), &Device::Cpu)?,
            norm: 0.01,
        })
    }

    /// As candle computes it, in the type of the means.
    fn of(&self, pooled: &Pooled) -> candle_core::Result<Tensor> {
        let like = |t: &Tensor| t.to_dtype(pooled.features.dtype());
        let products = pooled.features.broadcast_mul(&like(&self.readout)?)?;
        let logits = products.sum(D::Minus1)?.broadcast_add(&like(&self.bias)?)?;
        let linear = (logits.relu()? - (&logits * like(&self.labels)?)?)?;
        let log = (logits.abs()?.neg()?.exp()? + 1.)?.log()?;
        (linear + log)?.sum_all()? + (pooled.masks.sum_all()? * self.norm)?
    }

    /// As the operation asks for it.
    fn terms(&self) -> Terms {
        let k = self.bias.elem_count();
        let [readout, bias, labels] = [&self.readout, &self.bias, &self.labels].map(flat);
        Terms { readout, bias, labels, attributes: k, norm: self.norm }
    }
}

/// The gradient of [`Loss`], worked by hand.
struct Terms {
    readout: Vec<f64>,
    bias: Vec<f64>,
    labels: Vec<f64>,
    attributes: usize,
    norm: f64,
}

impl LossOfMeans for Terms {
    fn gradient(&self, image: usize, k: usize, means: [&[f32]; 2], gradient: [&mut [f32]; 2]) {
        let [features, _] = means;
        let [of_features, of_masks] = gradient;
        let w = &self.readout[k * features.len()..][..features.len()];
        let dot: f64 = w.iter().zip(features).map(|(w, &p)| w * f64::from(p)).sum();
        let probability = 1. / (1. + (-(dot + self.bias[k])).exp());
        let of_logit = probability - self.labels[image * self.attributes + k];
        of_features.iter_mut().zip(w).for_each(|(out, w)| *out = (of_logit * w) as f32);
        of_masks.fill(self.norm as f32);
    }
}

/// Features [B, H, W, C], weights and biases.
fn inputs(b: usize, k: usize, c: usize, size: [usize; 2]) -> [Var; 3] {
    let z = values(&[b, size[0], size[1], c], 1.5, 1);
    [z, values(&[k * c, c, 1, 1], 1.5 / (c as f32).sqrt(), 2), values(&[k * c], 1., 3)]
}

fn fused(
    [z, w, b]: &[Var; 3],
    rows: &Rows,
    precision: Precision,
    loss: &Loss,
) -> AnyResult<PooledWithGradients> {
    let found = attention_heads_with_loss(z, w, b, rows, precision, &loss.terms())?;
    Ok(found.ok_or("not taken")?)
}

/// Means, loss and gradients against the reference.
fn check(inputs: &[Var; 3], rows: &Rows, precision: Precision, loss: &Loss) -> AnyResult {
    let (tolerance, gradients) = if precision == F32 { (2e-5, 1e-4) } else { (2e-2, 4e-2) };
    let [z, w, b] = inputs.each_ref().map(in_f64);
    let exact = reference::attention_heads(&z.permute((0, 3, 1, 2))?, &w, &b, rows, &Identity)?;
    let PooledWithGradients { pooled, gradients: given } = fused(inputs, rows, precision, loss)?;
    for (a, b) in [(&pooled.features, &exact.features), (&pooled.masks, &exact.masks)] {
        assert!(distance(a, b) < tolerance, "{rows:?}: a mean is off by {}", distance(a, b));
    }
    let of_exact = loss.of(&exact)?;
    let total = (loss.of(&pooled)? + given)?;
    assert!(distance(&total, &of_exact) < tolerance);
    let (found, expected) = (total.backward()?, of_exact.backward()?);
    for (a, b) in inputs.iter().zip([&z, &w, &b]) {
        let (a, b) = (found.get(a).ok_or("a gradient")?, expected.get(b).ok_or("a gradient")?);
        assert!(distance(a, b) < gradients, "{rows:?}: a gradient is off by {}", distance(a, b));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn means_and_gradients_match_the_reference(
        b in 1usize..20,
        k in 1usize..9,
        c in 1usize..70,
        size in [1usize..14, 1usize..14],
        share in 0f64..1.,
        half in prop::bool::ANY,
        seed in 0u64..1000,
    ) {
        let rows = some_rows(k, c, share, seed);
        prop_assume!(rows.count() > 0);
        let loss = Loss::new(b, k, c, 1.).unwrap();
        let precision = if half { Bf16 } else { F32 };
        check(&inputs(b, k, c, size), &rows, precision, &loss).unwrap();
    }
}

#[test]
fn every_row_and_one_row_of_large_heads() -> AnyResult {
    for precision in [F32, Bf16] {
        let inputs = inputs(2, 3, 128, [11, 13]);
        let loss = Loss::new(2, 3, 128, 1.)?;
        check(&inputs, &Rows::all(3, 128), precision, &loss)?;
        let one = Rows::new(128, vec![vec![], vec![127], vec![]])?;
        check(&inputs, &one, precision, &loss)?;
    }
    Ok(())
}

/// Logits of some 1e6, with right and with wrong labels.
#[test]
fn large_logits_have_finite_gradients() -> AnyResult {
    let inputs = inputs(3, 5, 7, [6, 5]);
    check(&inputs, &some_rows(5, 7, 0.7, 3), F32, &Loss::new(3, 5, 7, 1e6)?)
}

/// The means have the bits of the operation without a loss, where that adds chunks in the same
/// order: up to 8 chunks of 128 pixels.
#[test]
fn means_have_the_bits_of_the_heads_alone() -> AnyResult {
    for precision in [F32, Bf16] {
        let inputs = inputs(2, 7, 40, [32, 32]);
        let rows = some_rows(7, 40, 0.4, 5);
        let [z, w, b] = &inputs;
        let alone = channels_last::attention_heads(z, w, b, &rows, precision)?;
        let Pooled { features, masks } =
            fused(&inputs, &rows, precision, &Loss::new(2, 7, 40, 1.)?)?.pooled;
        assert_eq!(bits(&features), bits(&alone.features));
        assert_eq!(bits(&masks), bits(&alone.masks));
    }
    Ok(())
}

#[test]
fn the_same_bits_for_any_number_of_threads() -> AnyResult {
    let rows = some_rows(11, 40, 0.7, 3);
    // Fewer images than parts, and more.
    for images in [1, 3, 18] {
        let run = |threads: usize, precision: Precision| -> AnyResult<Vec<Vec<u32>>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            pool.install(|| {
                let inputs = inputs(images, 11, 40, [13, 12]);
                let loss = Loss::new(images, 11, 40, 1.)?;
                let found = fused(&inputs, &rows, precision, &loss)?;
                let gradients = found.gradients.backward()?;
                let each = inputs.iter().map(|v| bits(gradients.get(v).expect("a gradient")));
                Ok(each.chain([bits(&found.pooled.features)]).collect())
            })
        };
        for precision in [F32, Bf16] {
            let one = run(1, precision)?;
            assert!(one == run(2, precision)? && one == run(7, precision)?);
        }
    }
    Ok(())
}

#[test]
fn every_instruction_set_agrees() -> AnyResult {
    let loss = Loss::new(2, 4, 40, 1.)?;
    let mut tested = vec![];
    for set in InstructionSet::ALL {
        let both = || -> AnyResult {
            let (inputs, rows) = (inputs(2, 4, 40, [11, 6]), some_rows(4, 40, 0.4, 9));
            check(&inputs, &rows, F32, &loss)?;
            check(&inputs, &rows, Bf16, &loss)
        };
        if let Some(result) = with_instruction_set(set, both) {
            result?;
            tested.push(set);
        }
    }
    assert!(tested.contains(&InstructionSet::Portable), "{tested:?}");
    Ok(())
}

#[test]
fn nan_is_not_hidden() -> AnyResult {
    let [z, w, b] = inputs(2, 2, 5, [4, 4]);
    let nan = Var::from_tensor(&(z.as_tensor() * f64::NAN)?)?;
    let inputs = [nan, w, b];
    let found = fused(&inputs, &Rows::all(2, 5), F32, &Loss::new(2, 2, 5, 1.)?)?;
    assert!(flat(&found.pooled.features).iter().all(|mean| mean.is_nan()));
    let gradients = found.gradients.backward()?;
    for input in &inputs {
        assert!(flat(gradients.get(input).ok_or("a gradient")?).iter().all(|g| g.is_nan()));
    }
    // Rows that are left out are 0, and so are the gradients of their weights.
    let rows = Rows::new(5, vec![vec![0, 3], vec![1]])?;
    let kept = flat(&rows.to_tensor(&Device::Cpu)?);
    let is_as_its_row = |t: &Tensor, each: usize| {
        let rows = flat(t).into_iter().enumerate();
        let is_kept = |at: usize| kept[at / each % kept.len()] == 1.;
        rows.into_iter().all(|(at, v)| if is_kept(at) { v.is_nan() } else { v == 0. })
    };
    let found = fused(&inputs, &rows, F32, &Loss::new(2, 2, 5, 1.)?)?;
    assert!(is_as_its_row(&found.pooled.features, 1) && is_as_its_row(&found.pooled.masks, 1));
    let gradients = found.gradients.backward()?;
    let [z, w, b] = inputs.each_ref().map(|v| gradients.get(v).expect("a gradient"));
    assert!(flat(z).iter().all(|g| g.is_nan()));
    assert!(is_as_its_row(w, 5) && is_as_its_row(b, 1));
    Ok(())
}

#[test]
fn gradients_are_scaled_and_there_for_one_pass() -> AnyResult {
    let inputs = inputs(2, 2, 5, [4, 4]);
    let (rows, loss) = (Rows::all(2, 5), Loss::new(2, 2, 5, 1.)?);
    let one = fused(&inputs, &rows, F32, &loss)?.gradients;
    let once = one.backward()?;
    let twice = (fused(&inputs, &rows, F32, &loss)?.gradients * 2.)?.backward()?;
    for input in &inputs {
        let (once, twice) = (once.get(input).ok_or("once")?, twice.get(input).ok_or("twice")?);
        assert_eq!(bits(&(once * 2.)?), bits(twice));
    }
    let message = one.backward().map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("for one backward pass"), "{message}");

    // Weights that are constants have no gradient.
    let [z, w, b] = &inputs;
    let constants = [w, b].map(|v| v.as_detached_tensor());
    let found =
        attention_heads_with_loss(z, &constants[0], &constants[1], &rows, F32, &loss.terms());
    let gradients = found?.ok_or("not taken")?.gradients.backward()?;
    assert!(constants.iter().all(|constant| gradients.get(constant).is_none()));
    let expected = once.get(z).ok_or("of the features")?;
    assert_eq!(bits(gradients.get(z).ok_or("of the features")?), bits(expected));
    Ok(())
}

#[test]
fn what_does_not_fit_is_left_to_the_heads_alone() -> AnyResult {
    assert!(keeps_masks(1) && keeps_masks(32 * 32) && !keeps_masks(128 * 128));
    let is_taken = |inputs: &[Var; 3], rows: &Rows| -> AnyResult<bool> {
        let loss = Loss::new(1, rows.attributes(), rows.channels(), 1.)?;
        let [z, w, b] = inputs;
        Ok(attention_heads_with_loss(z, w, b, rows, F32, &loss.terms())?.is_some())
    };
    let small = inputs(1, 2, 3, [4, 4]);
    assert!(is_taken(&small, &Rows::all(2, 3))?);
    // No row, many pixels, many rows of one attribute, another type, larger masks.
    assert!(!is_taken(&small, &Rows::new(3, vec![vec![]; 2])?)?);
    assert!(!is_taken(&inputs(1, 2, 3, [128, 128]), &Rows::all(2, 3))?);
    assert!(!is_taken(&inputs(1, 1, 130, [2, 2]), &Rows::all(1, 130))?);
    assert!(!is_taken(&small.each_ref().map(in_f64), &Rows::all(2, 3))?);
    let [z, _, b] = small;
    let wide = [z, values(&[6, 3, 3, 3], 1., 2), b];
    assert!(!is_taken(&wide, &Rows::all(2, 3))?);
    let [z, w, b] = &inputs(1, 2, 3, [4, 4]);
    let loss = Loss::new(1, 2, 3, 1.)?.terms();
    let others = attention_heads_with_loss(z, w, b, &Rows::all(3, 2), F32, &loss);
    assert!(others.unwrap_err().to_string().contains("3 attributes and 2 channels"));
    Ok(())
}
