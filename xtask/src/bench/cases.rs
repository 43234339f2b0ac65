//! One case, measured in this process.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use foresee_attribution::Method;
use foresee_celeba::{Augmentation, Crop, Normalisation, Preprocessing, synthetic};
use foresee_model::{Network, NetworkConfig, Precision, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};

use super::attribution::{self, Explainer, METHODS};
use super::memory::{peak_memory, reset_peak_memory};
use super::stock::Stock;

/// Attributes and channels of the paper's network.
const K: usize = 40;
const C: usize = 128;
/// Faces that the loader's case decodes.
pub const FACES: usize = 200;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Infer,
    Train,
    Loader,
    PruneCurve,
    Attribution(Method),
    /// The heads alone, forward and backward, from features.
    Heads,
}

#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub work: Work,
    pub size: usize,
    pub batch: usize,
    pub precision: Precision,
    pub stock: bool,
}

/// What was measured. `gflops` counts executed operations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    pub case: String,
    pub median_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    pub runs: usize,
    pub images_per_s: f64,
    pub peak_bytes: Option<u64>,
    pub gflops: f64,
    pub share_of_peak: f64,
    /// For a pruning curve: its time over that of as many passes of the whole heads (C).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_full_passes: Option<f64>,
    /// [`Case::traffic`] over what the device's memory could move in the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_bandwidth: Option<f64>,
}

/// All cases of the CPU, or of a GPU, which takes larger batches too.
pub fn all(gpu: bool) -> Vec<Case> {
    let mut cases = vec![];
    let large = gpu.then_some((64, 256));
    for (size, batch) in [(64, 8), (64, 32), (128, 4)].into_iter().chain(large) {
        for precision in [Precision::F32, Precision::Bf16] {
            cases.extend([Work::Infer, Work::Train].map(|work| Case {
                work,
                size,
                batch,
                precision,
                stock: false,
            }));
        }
    }
    let other =
        |work, batch, stock| Case { work, size: 64, batch, precision: Precision::F32, stock };
    cases.extend(
        [true, false]
            .into_iter()
            .flat_map(|stock| [other(Work::Infer, 4, stock), other(Work::Train, 4, stock)]),
    );
    cases.extend([other(Work::Loader, FACES, false), other(Work::PruneCurve, 8, false)]);
    let heads = [Precision::F32, Precision::Bf16].map(|precision| Case {
        work: Work::Heads,
        size: 64,
        batch: 256,
        precision,
        stock: false,
    });
    cases.extend(heads.into_iter().filter(|_| gpu));
    cases.extend(
        METHODS.map(|method| other(Work::Attribution(method), attribution::batch(method), false)),
    );
    cases
}

impl Case {
    pub fn name(&self) -> String {
        let work = match self.work {
            Work::Infer => "infer",
            Work::Train => "train",
            Work::Heads => "heads",
            Work::Loader => return format!("loader-{}", self.size),
            Work::PruneCurve => return "prune-curve".into(),
            Work::Attribution(method) => return format!("attribution-{}", method.id()),
        };
        let stock = if self.stock { "-stock" } else { "" };
        format!(
            "{work}-{}-b{}-{}{stock}",
            self.size,
            self.batch,
            if self.precision == Precision::F32 { "f32" } else { "bf16" }
        )
    }

    /// Operations executed for one round, in units of 10⁹. A product of `f32` counts as one, also
    /// where TF32's make it. Of a pruning curve the products of the heads count: those of the
    /// unpruned network, and those that all smaller ones share. Its masks do not.
    fn gflop(&self, device: &Device) -> f64 {
        let pixels = (self.batch * self.size * self.size) as f64;
        let first = 2. * 9. * 3. * 32.;
        let others = 2. * 9. * (32. * 64. + 64. * 64. + 64. * C as f64);
        let heads = 2. * (K * C * C) as f64;
        // The masks are computed twice; on CUDA thrice, since each of the two kernels of the
        // backward pass makes its own.
        let trained = heads * if device.is_cuda() { 5. } else { 4. };
        let each = match (self.work, self.stock) {
            (Work::Infer, _) => first + others + heads,
            // Two gradients a product, but none for the images.
            (Work::Train, stock) => {
                2. * first + 3. * others + if stock { 3. * heads } else { trained }
            }
            (Work::Heads, _) => trained,
            (Work::Loader | Work::Attribution(_), _) => 0.,
            (Work::PruneCurve, _) => 2. * heads,
        };
        1e-9 * pixels * each
    }

    /// Bytes of one round, if every kernel reads its feature maps once and writes its results once;
    /// `None` where that is not counted.
    pub fn traffic(&self) -> Option<f64> {
        let layers = [(3, 32), (32, 64), (64, 64), (64, C)];
        let of = |inputs: usize, outputs: usize, first: bool| match self.work {
            // The convolution, and the norm with constants.
            Work::Infer => (inputs + outputs) + 2 * outputs,
            // Forward: convolution, moments, norm. Backward: the norm's sums and its gradient, the
            // gradients of weights and, but for the images, of inputs.
            _ => (if first { 2 } else { 3 }) * (inputs + outputs) + (1 + 2 + 2 + 3) * outputs,
        };
        let extractor: usize = layers
            .iter()
            .enumerate()
            .map(|(i, &(inputs, outputs))| of(inputs, outputs, i == 0))
            .sum();
        // Forward the heads read the features; backward they read them again and write their
        // gradient.
        let values = match self.work {
            Work::Infer => extractor + C,
            Work::Train => extractor + 3 * C,
            Work::Heads => 3 * C,
            _ => return None,
        };
        (!self.stock).then(|| (4 * self.batch * self.size * self.size * values) as f64)
    }

    /// Measures the case; the peak is that of its factors in FLOP/s.
    pub fn measure(&self, peak: f64, device: &Device) -> Result<Measurement> {
        let times = match (self.work, self.stock) {
            (Work::Loader, _) => self.loader(device)?,
            (Work::PruneCurve, _) => self.prune_curve(device)?,
            (Work::Heads, _) => self.heads(device)?,
            (Work::Attribution(method), _) => {
                let explainer = Explainer::new(self.network(device)?, self.batch)?;
                let (images, _) = self.images(device)?;
                repeat(device, || explainer.explain(method, &images))?
            }
            (_, false) => self.ours(device)?,
            (_, true) => self.stock(device)?,
        };
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let gflops = self.gflop(device) / median;
        let peak_bytes = peak_memory(device);
        let of_full_passes = (self.work == Work::PruneCurve)
            .then(|| Ok::<_, anyhow::Error>(median / self.full_passes(device)?))
            .transpose()?;
        Ok(Measurement {
            case: self.name(),
            median_ms: 1e3 * median,
            min_ms: 1e3 * sorted[0],
            max_ms: 1e3 * sorted[sorted.len() - 1],
            runs: sorted.len(),
            images_per_s: self.batch as f64 / median,
            peak_bytes,
            gflops,
            share_of_peak: 1e9 * gflops / peak,
            of_full_passes,
            share_of_bandwidth: None,
        })
    }

    fn network(&self, device: &Device) -> Result<Network> {
        let config = NetworkConfig {
            attributes: K,
            channels: C,
            precision: self.precision,
            ..Default::default()
        };
        Ok(Network::new(config, 0, device)?)
    }

    fn images(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let images = Tensor::randn(0f32, 1., (self.batch, 3, self.size, self.size), device)?;
        let labels =
            Tensor::rand(0f32, 1., (self.batch, K), device)?.gt(0.5)?.to_dtype(DType::F32)?;
        Ok((images, labels))
    }

    fn ours(&self, device: &Device) -> Result<Vec<f64>> {
        let (images, labels) = self.images(device)?;
        if self.work == Work::Infer {
            let network = self.network(device)?;
            return repeat(device, || Ok(network.forward(&images)?));
        }
        let config = TrainConfig { epochs: 1, ..Default::default() };
        let mut trainer = Trainer::new(self.network(device)?, config, 1_000_000)?;
        repeat(device, || Ok(trainer.step(&images, &labels)?))
    }

    fn stock(&self, device: &Device) -> Result<Vec<f64>> {
        let (images, labels) = self.images(device)?;
        let mut stock = Stock::new(K, C, device)?;
        match self.work {
            Work::Infer => repeat(device, || stock.infer(&images)),
            _ => repeat(device, || stock.train(&images, &labels)),
        }
    }

    /// Decoding, resizing and normalising on one core, from files that the system has in memory.
    fn loader(&self, device: &Device) -> Result<Vec<f64>> {
        let folder = tempfile::tempdir().context("a folder for drawn faces")?;
        let faces = folder.path().join("faces");
        synthetic::write(&faces, FACES, 0, |_| ())?;
        let mut paths: Vec<_> = std::fs::read_dir(faces.join("img_align_celeba"))?
            .map(|e| Ok(e?.path()))
            .collect::<std::io::Result<_>>()?;
        paths.sort();
        let preprocessing = Preprocessing {
            crop: Crop::Square,
            image_size: self.size,
            normalisation: Normalisation::default(),
        };
        let plain = Augmentation::default();
        let mut out = vec![0f32; 3 * self.size * self.size];
        repeat(device, || {
            Ok(paths
                .iter()
                .try_for_each(|path| preprocessing.read(path, &plain, &mut out).map(|_| ()))?)
        })
    }

    /// The heads with 0 to C-1 channels pruned, from features that are computed once.
    fn prune_curve(&self, device: &Device) -> Result<Vec<f64>> {
        let (images, labels) = self.images(device)?;
        let network = self.network(device)?;
        let curve =
            [foresee_perturb::PruneOrder::random(C, 0).cuts(C, &(0..C).collect::<Vec<_>>())];
        repeat(device, || {
            foresee_perturb::prune_curves(
                &network,
                &curve,
                std::iter::once(Ok::<_, anyhow::Error>((images.clone(), labels.clone()))),
            )
        })
    }

    /// Forward and backward, with gradients of the features and of the weights.
    fn heads(&self, device: &Device) -> Result<Vec<f64>> {
        let network = self.network(device)?;
        let z = candle_core::Var::from_tensor(&Tensor::randn(
            0f32,
            1.,
            (self.batch, self.size, self.size, C),
            device,
        )?)?;
        repeat(device, || {
            let pooled = network.heads().pool(&z.permute((0, 3, 1, 2))?)?;
            Ok((pooled.features.sum_all()? + pooled.masks.sum_all()?)?.backward()?)
        })
    }

    /// Seconds of C passes of the whole heads.
    fn full_passes(&self, device: &Device) -> Result<f64> {
        let network = self.network(device)?;
        let features = network.extractor().forward(&self.images(device)?.0)?;
        let mut times = repeat(device, || Ok(network.forward_features(&features)?))?;
        times.sort_by(f64::total_cmp);
        Ok(C as f64 * times[times.len() / 2])
    }
}

/// Seconds of each round, after two to warm up: at least five rounds, and more as long as they take
/// less than two seconds together. A round is over when the device has done its work.
fn repeat<T>(device: &Device, mut round: impl FnMut() -> Result<T>) -> Result<Vec<f64>> {
    let mut round = || -> Result<()> {
        round()?;
        Ok(device.synchronize()?)
    };
    round()?;
    reset_peak_memory(device);
    round()?;
    let (start, mut times) = (Instant::now(), vec![]);
    while times.len() < 5 || (start.elapsed() < Duration::from_secs(2) && times.len() < 100) {
        let begin = Instant::now();
        round()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(times)
}
