//! One case, measured in this process.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use foresee_celeba::{Crop, Normalisation, Preprocessing, View, synthetic};
use foresee_model::{LossConfig, Network, NetworkConfig, Precision, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};

use super::attribution::{Explainer, Explanation};
use super::stock::Stock;
use crate::memory::{peak_memory, reset_peak_memory};

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
    Attribution(Explanation),
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
    /// For a pruning curve: its time over that of as many passes of the whole network's heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_full_passes: Option<f64>,
}

pub fn all() -> Vec<Case> {
    let mut cases = vec![];
    for (size, batch) in [(64, 8), (64, 32), (128, 4)] {
        for precision in [Precision::F32, Precision::Bf16] {
            cases.extend([Work::Infer, Work::Train].map(|work| Case { work, size, batch, precision, stock: false }));
        }
    }
    let other = |work, batch, stock| Case { work, size: 64, batch, precision: Precision::F32, stock };
    cases.extend([true, false].into_iter().flat_map(|stock| [other(Work::Infer, 4, stock), other(Work::Train, 4, stock)]));
    cases.extend([other(Work::Loader, FACES, false), other(Work::PruneCurve, 8, false)]);
    cases.extend(Explanation::ALL.map(|explanation| other(Work::Attribution(explanation), explanation.batch(), false)));
    cases
}

impl Case {
    pub fn name(&self) -> String {
        let work = match self.work {
            Work::Infer => "infer",
            Work::Train => "train",
            Work::Loader => return format!("loader-{}", self.size),
            Work::PruneCurve => return "prune-curve".into(),
            Work::Attribution(explanation) => return format!("attribution-{}", explanation.name()),
        };
        let stock = if self.stock { "-stock" } else { "" };
        format!("{work}-{}-b{}-{}{stock}", self.size, self.batch, if self.precision == Precision::F32 { "f32" } else { "bf16" })
    }

    /// Operations executed for one round, in units of 10⁹.
    fn gflop(&self) -> f64 {
        let pixels = (self.batch * self.size * self.size) as f64;
        let first = 2. * 9. * 3. * 32.;
        let others = 2. * 9. * (32. * 64. + 64. * 64. + 64. * C as f64);
        let heads = 2. * (K * C * C) as f64;
        let each = match (self.work, self.stock) {
            (Work::Infer, _) => first + others + heads,
            // Two gradients a product, but none for the images; the fused heads compute their masks twice.
            (Work::Train, stock) => 2. * first + 3. * others + if stock { 3. } else { 4. } * heads,
            (Work::Loader | Work::Attribution(_), _) => 0.,
            (Work::PruneCurve, _) => (1..=C).map(|c| 2. * (K * c * c) as f64).sum(),
        };
        1e-9 * pixels * each
    }

    /// Measures the case; the peak is that of f32 in FLOP/s.
    pub fn measure(&self, peak: f64) -> Result<Measurement> {
        let times = match (self.work, self.stock) {
            (Work::Loader, _) => self.loader()?,
            (Work::PruneCurve, _) => self.prune_curve()?,
            (Work::Attribution(explanation), _) => {
                let explainer = Explainer::new(self.network()?, self.batch)?;
                let (images, _) = self.images()?;
                repeat(|| explainer.explain(explanation, &images))?
            }
            (_, false) => self.ours()?,
            (_, true) => self.stock()?,
        };
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let gflops = self.gflop() / median;
        let peak_bytes = peak_memory();
        let of_full_passes = (self.work == Work::PruneCurve).then(|| Ok::<_, anyhow::Error>(median / self.full_passes()?)).transpose()?;
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
        })
    }

    fn network(&self) -> Result<Network> {
        let config = NetworkConfig { attributes: K, channels: C, precision: self.precision, ..Default::default() };
        Ok(Network::new(config, 0, &Device::Cpu)?)
    }

    fn images(&self) -> Result<(Tensor, Tensor)> {
        let images = Tensor::randn(0f32, 1., (self.batch, 3, self.size, self.size), &Device::Cpu)?;
        let labels = Tensor::rand(0f32, 1., (self.batch, K), &Device::Cpu)?.gt(0.5)?.to_dtype(DType::F32)?;
        Ok((images, labels))
    }

    fn ours(&self) -> Result<Vec<f64>> {
        let (images, labels) = self.images()?;
        if self.work == Work::Infer {
            let network = self.network()?;
            return repeat(|| Ok(network.forward(&images)?));
        }
        let config = TrainConfig { epochs: 1, loss: LossConfig::default(), ..Default::default() };
        let mut trainer = Trainer::new(self.network()?, config, 1_000_000)?;
        repeat(|| Ok(trainer.step(&images, &labels)?))
    }

    fn stock(&self) -> Result<Vec<f64>> {
        let (images, labels) = self.images()?;
        let mut stock = Stock::new(K, C)?;
        match self.work {
            Work::Infer => repeat(|| stock.infer(&images)),
            _ => repeat(|| stock.train(&images, &labels)),
        }
    }

    /// Decoding, resizing and normalising on one core, from files that the system has in memory.
    fn loader(&self) -> Result<Vec<f64>> {
        let folder = tempfile::tempdir().context("a folder for drawn faces")?;
        let faces = folder.path().join("faces");
        synthetic::write(&faces, FACES, 0, |_| ())?;
        let mut paths: Vec<_> = std::fs::read_dir(faces.join("img_align_celeba"))?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
        paths.sort();
        let preprocessing = Preprocessing { crop: Crop::Square, image_size: self.size, normalisation: Normalisation::default() };
        let mut out = vec![0f32; 3 * self.size * self.size];
        repeat(|| Ok(paths.iter().try_for_each(|path| preprocessing.read(path, &View::default(), &mut out))?))
    }

    /// The heads with 0 to C-1 channels pruned, from features that are computed once.
    fn prune_curve(&self) -> Result<Vec<f64>> {
        let (images, labels) = self.images()?;
        let network = self.network()?;
        let curve = [foresee_perturb::random_order(C, 0).cuts(C, &(0..C).collect::<Vec<_>>())];
        repeat(|| foresee_perturb::prune_curves(&network, &curve, std::iter::once(Ok::<_, anyhow::Error>((images.clone(), labels.clone())))))
    }

    /// Seconds of C passes of the whole heads.
    fn full_passes(&self) -> Result<f64> {
        let network = self.network()?;
        let features = network.extractor().forward(&self.images()?.0)?;
        let mut times = repeat(|| Ok(network.forward_features(&features)?))?;
        times.sort_by(f64::total_cmp);
        Ok(C as f64 * times[times.len() / 2])
    }
}

/// Seconds of each round, after two to warm up: at least five rounds, and more as long as they take less than two seconds together.
fn repeat<T>(mut round: impl FnMut() -> Result<T>) -> Result<Vec<f64>> {
    round()?;
    reset_peak_memory();
    round()?;
    let (start, mut times) = (Instant::now(), vec![]);
    while times.len() < 5 || (start.elapsed() < Duration::from_secs(2) && times.len() < 100) {
        let begin = Instant::now();
        round()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    Ok(times)
}
