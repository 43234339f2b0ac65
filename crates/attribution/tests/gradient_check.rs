//! The comparison that every gradient method makes before it believes candle: no false alarm on
//! networks whose gradients are right, and no network passes whose gradients are not.

use std::cell::RefCell;

use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{ops, rnn::RNN, rotary_emb};
use foresee_attribution::*;
use foresee_kernels as kernels;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weights by their order, from one random stream.
struct Weights {
    rng: RefCell<ChaCha8Rng>,
    dtype: DType,
}

impl Weights {
    fn new(seed: u64, dtype: DType) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed).into(), dtype }
    }

    /// In [-scale, scale).
    fn uniform(&self, shape: &[usize], scale: f64) -> Tensor {
        let mut rng = self.rng.borrow_mut();
        let values: Vec<f64> =
            (0..shape.iter().product()).map(|_| scale * rng.random_range(-1f64..1.)).collect();
        let t = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        t.to_dtype(self.dtype).unwrap()
    }

    /// Of a layer, so that its outputs have about the size of its inputs.
    fn layer(&self, shape: &[usize]) -> Tensor {
        let fan_in: usize = shape[1..].iter().product();
        self.uniform(shape, (6. / fan_in as f64).sqrt())
    }

    /// From [0.5, 1.5).
    fn scales(&self, n: usize) -> Tensor {
        (self.uniform(&[n], 0.5) + 1.).unwrap()
    }
}

type Model = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    x.broadcast_matmul(&w.t()?)
}

fn ours(y: kernels::Result<Tensor>) -> Result<Tensor> {
    Ok(y?)
}

fn mean_pixels(x: &Tensor) -> Result<Tensor> {
    x.mean((2, 3))
}

/// Images [B, 3, 16, 16] → [B, 4], by `between` of maps [B, 8, 16, 16] → [B, 8, ...].
fn cnn(w: &Weights, between: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Model {
    let (first, second, last) = (w.layer(&[8, 3, 3, 3]), w.layer(&[8, 8, 3, 3]), w.layer(&[4, 8]));
    Box::new(move |x| {
        let z = x.conv2d(&first, 1, 1, 1, 1)?.relu()?;
        let z = between(&z)?.conv2d(&second, 1, 1, 1, 1)?.relu()?;
        linear(&mean_pixels(&z)?, &last)
    })
}

/// Three pools between convolutions.
fn deep_cnn(w: &Weights, pool: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Model {
    let convs: Vec<Tensor> = [3, 8, 8].iter().map(|&inputs| w.layer(&[8, inputs, 3, 3])).collect();
    let last = w.layer(&[4, 32]);
    Box::new(move |x| {
        let z = convs
            .iter()
            .try_fold(x.clone(), |z, conv| pool(&z.conv2d(conv, 1, 1, 1, 1)?.relu()?))?;
        linear(&z.flatten_from(1)?, &last)
    })
}

/// Blocks with a skip path, batch norm in evaluation mode, and steps of two pixels.
fn resnet(w: &Weights) -> Model {
    let stem = w.layer(&[8, 3, 3, 3]);
    let blocks: Vec<_> = (0..4)
        .map(|_| {
            (w.layer(&[8, 8, 3, 3]), w.scales(8), w.uniform(&[8], 0.3), w.layer(&[8, 8, 3, 3]))
        })
        .collect();
    let down = w.layer(&[8, 8, 2, 2]);
    let last = w.layer(&[4, 8]);
    Box::new(move |x| {
        let mut z = x.conv2d(&stem, 1, 1, 1, 1)?;
        for (i, (a, scale, shift, b)) in blocks.iter().enumerate() {
            let y = z.conv2d(a, 1, 1, 1, 1)?;
            let y = y.broadcast_mul(&scale.reshape((1, 8, 1, 1))?)?;
            let y = y.broadcast_add(&shift.reshape((1, 8, 1, 1))?)?.relu()?;
            z = (z + y.conv2d(b, 1, 1, 1, 1)?)?.relu()?;
            if i == 1 {
                z = z.conv2d(&down, 0, 2, 1, 1)?;
            }
        }
        linear(&mean_pixels(&z)?, &last)
    })
}

/// Of tokens, cosines and sines.
type Rope = fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>;

/// How a transformer does what candle may get wrong.
#[derive(Clone, Copy)]
struct Ways {
    norm: fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
    softmax: fn(&Tensor) -> Result<Tensor>,
    rope: Option<Rope>,
}

const RIGHT: Ways = Ways {
    norm: |x, g, b| ours(kernels::layer_norm(x, g, b, 1e-5)),
    softmax: |x| ours(kernels::softmax_last_dim(x)),
    rope: None,
};

/// Tokens [B, 6, 16] → [B, 4], with two blocks before the mean.
fn transformer(w: &Weights, ways: Ways) -> Model {
    let square = || w.layer(&[16, 16]);
    let blocks: Vec<_> = (0..2)
        .map(|_| {
            let norms = [w.scales(16), w.uniform(&[16], 0.3), w.scales(16), w.uniform(&[16], 0.3)];
            (norms, [square(), square(), square()], w.layer(&[32, 16]), w.layer(&[16, 32]))
        })
        .collect();
    let turns = w.uniform(&[6, 8], 3.);
    let last = w.layer(&[4, 16]);
    Box::new(move |x| {
        let mut x = x.clone();
        for ([g, b, g2, b2], qkv, up, down) in &blocks {
            let y = (ways.norm)(&x, g, b)?;
            let of = |i: usize| linear(&y, &qkv[i]);
            let turned = |t: Tensor| match ways.rope {
                None => Ok(t),
                Some(rope) => {
                    let t = t.unsqueeze(1)?.contiguous()?;
                    rope(&t, &turns.cos()?, &turns.sin()?)?.squeeze(1)
                }
            };
            let (q, k, v) = (turned(of(0)?)?, turned(of(1)?)?, of(2)?);
            let attention = (ways.softmax)(&(q.matmul(&k.t()?.contiguous()?)? / 4.)?)?;
            x = (x + attention.matmul(&v)?)?;
            let y = (ways.norm)(&x, g2, b2)?;
            x = (x + linear(&linear(&y, up)?.gelu_erf()?, down)?)?;
        }
        linear(&x.mean(1)?, &last)
    })
}

/// Down, up again, and the first maps beside.
fn u_net(w: &Weights, up: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Model {
    let (first, inner, last) =
        (w.layer(&[6, 3, 3, 3]), w.layer(&[6, 6, 3, 3]), w.layer(&[4, 12, 3, 3]));
    Box::new(move |x| {
        let wide = x.conv2d(&first, 1, 1, 1, 1)?.silu()?;
        let low = ours(kernels::avg_pool2d(&wide, &kernels::Pool2d::new(2)))?;
        // The low maps are used twice: candle's upsampling forgets the other use.
        let inner = (low.conv2d(&inner, 1, 1, 1, 1)?.silu()? + &low)?;
        let back = (up(&inner)? + up(&low)?.sqr()?)?;
        let both = Tensor::cat(&[wide, back], 1)?.conv2d(&last, 1, 1, 1, 1)?;
        (mean_pixels(&both)? + low.mean((1, 2, 3))?.unsqueeze(1)?.broadcast_as((x.dim(0)?, 4))?)
            .and_then(|y| y.contiguous())
    })
}

/// The paper's heads behind one convolution.
fn masks(w: &Weights) -> Model {
    let (conv, zero) = (w.layer(&[8, 3, 3, 3]), w.uniform(&[8], 0.1));
    let (mask, bias) = (w.layer(&[32, 8, 1, 1]), w.uniform(&[32], 1.));
    let readout = w.layer(&[4, 8]);
    Box::new(move |x| {
        let z = kernels::conv2d(x, &conv, &zero, 1, kernels::Precision::F32);
        let z = ours(z)?.contiguous()?.relu()?;
        let rows = kernels::Rows::all(4, 8);
        let pooled =
            kernels::reference::attention_heads(&z, &mask, &bias, &rows, &kernels::Identity);
        pooled?.features.broadcast_mul(&readout)?.sum(D::Minus1)
    })
}

fn lstm(w: &Weights) -> Model {
    let tensors = [("weight_ih_l0", w.layer(&[32, 16])), ("weight_hh_l0", w.layer(&[32, 8]))];
    let tensors = tensors.map(|(name, t)| (name.to_owned(), t)).into_iter().collect();
    let vb = candle_nn::VarBuilder::from_tensors(tensors, w.dtype, &Device::Cpu);
    let config = candle_nn::rnn::LSTMConfig::default_no_bias();
    let lstm = candle_nn::rnn::lstm(16, 8, config, vb).unwrap();
    let last = w.layer(&[4, 8]);
    Box::new(move |x| {
        let states = lstm.seq(x)?;
        linear(states.last().expect("six tokens").h(), &last)
    })
}

fn mlp(w: &Weights, activation: fn(&Tensor) -> Result<Tensor>, hidden: usize) -> Model {
    let first = w.layer(&[64, 96]);
    let rest: Vec<Tensor> = (0..hidden).map(|_| w.layer(&[64, 64])).collect();
    let last = w.layer(&[4, 64]);
    Box::new(move |x| {
        let mut x = activation(&linear(&x.flatten_from(1)?, &first)?)?;
        for w in &rest {
            x = activation(&linear(&x, w)?)?;
        }
        linear(&x, &last)
    })
}

/// Networks whose gradients are right, and the shape of an input.
fn right(w: &Weights) -> Vec<(&'static str, Model, Vec<usize>)> {
    let (image, tokens) = (vec![3, 16, 16], vec![6, 16]);
    let pool = kernels::Pool2d { padding: (1, 1), stride: (2, 2), ..kernels::Pool2d::new(3) };
    let rms = Ways { norm: |x, g, _| ours(kernels::rms_norm(x, g, 1e-5)), ..RIGHT };
    let softmax = mlp(w, Tensor::relu, 1);
    vec![
        ("tanh", mlp(w, Tensor::tanh, 2), tokens.clone()),
        ("eight layers of relu", mlp(w, Tensor::relu, 7), tokens.clone()),
        ("cnn", cnn(w, |z| Ok(z.clone())), image.clone()),
        (
            "cnn of max pools",
            deep_cnn(w, move |z| ours(kernels::max_pool2d(z, &pool))),
            image.clone(),
        ),
        ("resnet", resnet(w), image.clone()),
        ("transformer", transformer(w, RIGHT), tokens.clone()),
        (
            "transformer of rms norm and rope",
            transformer(w, Ways { rope: Some(rotary_emb::rope_slow), ..rms }),
            tokens.clone(),
        ),
        ("u-net", u_net(w, |z| ours(kernels::upsample_nearest2d(z, 16, 16))), image.clone()),
        ("masks", masks(w), image.clone()),
        ("lstm", lstm(w), tokens.clone()),
        (
            "probabilities",
            Box::new(move |x| ours(kernels::softmax_last_dim(&(softmax(x)? * 3.)?))),
            tokens,
        ),
    ]
}

/// An ordinary input, a black image, a grey one, one that is black on one side, and bytes.
fn inputs(w: &Weights, shape: &[usize]) -> Vec<Tensor> {
    let of = |rows: usize| [vec![rows], shape.to_vec()].concat();
    let x = w.uniform(&of(3), 1.7);
    let half = {
        let n = shape[shape.len() - 1] / 2;
        let seen = x.narrow(D::Minus1, 0, n).unwrap();
        seen.pad_with_zeros(D::Minus1, 0, shape[shape.len() - 1] - n).unwrap()
    };
    let black = x.zeros_like().unwrap();
    let grey = (black.narrow(0, 0, 1).unwrap() + 0.5).unwrap();
    let bytes = (w.uniform(&of(1), 127.) + 128.).unwrap();
    vec![x, black, grey, half, bytes]
}

#[test]
fn no_false_alarm() {
    for dtype in [DType::F64, DType::F32] {
        for seed in 0..3 {
            let w = Weights::new(seed, dtype);
            for (name, model, shape) in right(&w) {
                for (i, x) in inputs(&w, &shape).into_iter().enumerate() {
                    for index in [0, 3] {
                        let found = Target::new(&model, index).gradient(&x);
                        assert!(
                            found.is_ok(),
                            "{name} in {dtype:?}, seed {seed}, input {i}, output {index}: {}",
                            found.unwrap_err()
                        );
                    }
                }
            }
        }
    }
}

/// Networks whose gradients candle gets wrong without a word.
fn wrong(w: &Weights) -> Vec<(&'static str, Model, Vec<usize>)> {
    let (image, tokens) = (vec![3, 16, 16], vec![6, 16]);
    let candles_norm: Ways =
        Ways { norm: |x, g, b| ops::layer_norm(&x.contiguous()?, g, b, 1e-5), ..RIGHT };
    let candles_rms: Ways =
        Ways { norm: |x, g, _| ops::rms_norm(&x.contiguous()?, g, 1e-5), ..RIGHT };
    let mut found: Vec<(&'static str, Model, Vec<usize>)> = vec![
        ("one max_pool2d", cnn(w, |z| z.max_pool2d(2)), image.clone()),
        ("three max_pool2d", deep_cnn(w, |z| z.max_pool2d(2)), image.clone()),
        ("max_pool2d beside a path", cnn(w, skip_pool), image.clone()),
        ("avg_pool2d of 5", cnn(w, |z| z.narrow(2, 0, 5)?.avg_pool2d(2)), image.clone()),
        ("upsample_nearest2d", u_net(w, |z| z.upsample_nearest2d(16, 16)), image),
        (
            "softmax_last_dim",
            transformer(w, Ways { softmax: ops::softmax_last_dim, ..RIGHT }),
            tokens.clone(),
        ),
        ("rope", transformer(w, Ways { rope: Some(rotary_emb::rope), ..RIGHT }), tokens.clone()),
        ("conv1d", conv1d(w), tokens.clone()),
    ];
    if w.dtype == DType::F32 {
        // In f64 candle refuses them.
        found.push(("layer norm", transformer(w, candles_norm), tokens.clone()));
        found.push(("rms norm", transformer(w, candles_rms), tokens));
    }
    found
}

fn skip_pool(z: &Tensor) -> Result<Tensor> {
    let mean = ours(kernels::avg_pool2d(z, &kernels::Pool2d::new(2)))?;
    z.max_pool2d(2)? + mean
}

fn conv1d(w: &Weights) -> Model {
    let (conv, last) = (w.layer(&[8, 6, 3]), w.layer(&[4, 8]));
    Box::new(move |x| linear(&x.conv1d(&conv, 0, 1, 1, 1)?.tanh()?.mean(2)?, &last))
}

#[test]
fn each_wrong_gradient_is_refused() {
    for dtype in [DType::F64, DType::F32] {
        for seed in 0..3 {
            let w = Weights::new(seed, dtype);
            for (name, model, shape) in wrong(&w) {
                let x = &inputs(&w, &shape)[0];
                for index in [0, 3] {
                    let target = Target::new(&model, index);
                    let found = target.gradient(x);
                    assert!(
                        matches!(found, Err(Error::GradientOff { .. })),
                        "{name} in {dtype:?}, seed {seed}, output {index}: {found:?}"
                    );
                    assert!(target.unchecked().gradient(x).is_ok(), "{name}");
                }
            }
        }
    }
}

/// Every method that goes through a gradient makes the comparison, and only where it must.
#[test]
fn every_method_of_gradients_compares() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let w = Weights::new(1, DType::F64);
    let model = deep_cnn(&w, |z| z.max_pool2d(2));
    let x = w.uniform(&[2, 3, 16, 16], 1.);
    let target = Target::new(&model, 1);
    let refused = |found: foresee_attribution::Result<Tensor>| {
        matches!(found, Err(Error::GradientOff { .. }))
    };
    assert!(refused(sensitivity(&target, &x)) && refused(input_x_gradient(&target, &x)));
    let whole = integrated_gradients(&target, &x, None, &IntegratedGradients::default());
    assert!(refused(whole.map(|found| found.attribution)));
    let smooth = smooth_grad(|x| target.gradient(x), &x, &SmoothGrad::default());
    assert!(refused(smooth));
    let conv = w.layer(&[8, 3, 3, 3]);
    let last = w.layer(&[4, 8 * 64]);
    let features = move |x: &Tensor| x.conv2d(&conv, 1, 1, 1, 1)?.relu();
    let rest = move |z: &Tensor| linear(&z.max_pool2d(2)?.flatten_from(1)?, &last);
    let split = SplitModel::new(features, rest);
    assert!(refused(grad_cam(&split, &x, 1, &GradCam::default())));
    assert!(refused(grad_cam_plus_plus(&split, &x, 1, &GradCam::default())));
    assert!(grad_cam(&split.unchecked(), &x, 1, &GradCam::default()).is_ok());
    // One row at a time candle's conv1d is right; what is known of that is not known of more.
    let tokens = w.uniform(&[2, 6, 16], 1.);
    let one_by_one = Target::new(conv1d(&w), 0).batch(1);
    assert!(one_by_one.gradient(&tokens).is_ok());
    assert!(refused(one_by_one.batch(32).gradient(&tokens)));
    // What is known of one shape is not known of others.
    let pooled = Target::new(|x: &Tensor| x.avg_pool2d(2)?.sqr()?.flatten_from(1), 0);
    assert!(pooled.gradient(&w.uniform(&[2, 1, 4, 4], 1.)).is_ok());
    assert!(refused(pooled.gradient(&w.uniform(&[2, 1, 5, 5], 1.))));
    Ok(())
}

/// A path that is too coarse for the model is refused, with what it misses.
#[test]
fn integrated_gradients_that_do_not_add_up_are_refused() -> foresee_attribution::Result<()> {
    let steep = Target::new(|x: &Tensor| (x.sum_keepdim(1)? * 40.)?.tanh(), 0);
    let x = Tensor::new(&[[1f64, 2.]], &Device::Cpu)?;
    let coarse = IntegratedGradients { steps: 3, ..IntegratedGradients::default() };
    let error = integrated_gradients(&steep, &x, None, &coarse).unwrap_err();
    assert!(matches!(error, Error::Incomplete { input: 0, steps: 3, .. }), "{error}");
    let allowed = IntegratedGradients { max_gap: f64::INFINITY, ..coarse };
    assert!(integrated_gradients(&steep, &x, None, &allowed)?.gap[0] > 0.1);
    let fine = IntegratedGradients { steps: 400, ..IntegratedGradients::default() };
    assert!(integrated_gradients(&steep, &x, None, &fine)?.gap[0] < 1e-3);
    Ok(())
}

/// A network cut behind its masks has the gradient of its own output, not of another's.
#[test]
fn a_cut_behind_the_masks_keeps_the_output() -> foresee_attribution::Result<()> {
    let w = Weights::new(2, DType::F64);
    let layers = Layers::new()
        .gate("masks", &w.layer(&[6, 3, 1, 1]), &w.uniform(&[6], 1.))?
        .global_average_pool("pool")?
        .readout("readout", &w.layer(&[2, 3]), &w.uniform(&[2], 1.))?
        .model()?;
    let x = w.uniform(&[1, 3, 4, 4], 1.);
    for target in [0, 1] {
        let (_, gradient) = layers.split_at("pool")?.activation_and_gradient(&x, target)?;
        let found: Vec<f64> = gradient.abs()?.sum(2)?.squeeze(0)?.to_vec1()?;
        assert!(found[target] > 0. && found[1 - target] == 0., "{found:?}");
    }
    Ok(())
}

/// What a model may not do with a batch, and what an input may not be.
#[test]
fn batches_and_types_that_do_not_work_are_named() -> foresee_attribution::Result<()> {
    let x = Weights::new(0, DType::F32).uniform(&[3, 4], 1.);
    let mean = Target::new(|x: &Tensor| x.mean_all()?.reshape((1, 1)), 0);
    let error = mean.values(&x).unwrap_err();
    assert!(matches!(error, Error::Rows { inputs: 3, .. }), "{error}");
    let centred = Target::new(|x: &Tensor| x.broadcast_sub(&x.mean_keepdim(0)?)?.sum_keepdim(1), 0);
    assert!(matches!(centred.values(&x).unwrap_err(), Error::RowsDepend { .. }));
    assert!(centred.clone().unchecked().values(&x).is_ok());
    let sum = Target::new(|x: &Tensor| x.to_dtype(DType::F32)?.sum_keepdim(1), 0);
    let bytes = Tensor::new(&[[200u8, 100]], &Device::Cpu)?;
    assert!(matches!(sum.gradient(&bytes).unwrap_err(), Error::Type { got: "u8", .. }));
    assert!(matches!(sum.values(&bytes).unwrap_err(), Error::Type { got: "u8", .. }));
    let row = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
    assert!(matches!(sum.values(&row).unwrap_err(), Error::Shape { what: "the input", .. }));
    Ok(())
}

/// `candle_nn`'s layer norm without a bias is a composition, and right.
#[test]
fn a_composed_norm_passes() -> foresee_attribution::Result<()> {
    let w = Weights::new(3, DType::F32);
    let norm = candle_nn::LayerNorm::new_no_bias(w.scales(16), 1e-5);
    let last = w.layer(&[4, 16]);
    let target = Target::new(move |x: &Tensor| linear(&norm.forward(x)?, &last), 2);
    assert!(target.gradient_error(&w.uniform(&[2, 16], 1.))? < 0.02);
    Ok(())
}
