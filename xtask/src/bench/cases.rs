//! One case, measured in this process.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use foresee::device::measured::{peak_memory, reset_peak_memory};
use foresee::row_counts::{KeptRows, shut_all_but};
use foresee_attribution::Method;
use foresee_celeba::{Augmentation, Crop, Normalisation, Preprocessing, synthetic};
use foresee_kernels::channels_last::keeps_masks;
use foresee_kernels::{Peaks, Rows};
use foresee_model::{
    MeasuredChange, Network, NetworkConfig, Precision, Predictions, TrainConfig, Trainer,
};
use serde::{Deserialize, Serialize};

use super::attribution::{self, Explainer, METHODS};
use super::resnet::{self, Pass, ResNet};
use super::stock::Stock;

/// Attributes and channels of the paper's network.
const K: usize = 40;
const C: usize = 128;
/// Images of a micro-batch, as in all profiles.
const MICRO_BATCH: usize = 8;
/// Faces that the loader's case decodes.
pub const FACES: usize = 200;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Infer,
    Train,
    /// A whole training of `small` as the paper trains, from steps at points of it.
    TrainRun,
    Loader,
    PruneCurve,
    Attribution(Method),
    /// The heads alone, forward and backward, from features.
    Heads,
    /// Another network than ours, as a graph.
    ResNet(Pass),
}

/// Which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Ours, with all rows of the heads.
    Dense,
    /// Ours, with the rows of the heads that a training leaves.
    Trained,
    /// candle's own operations.
    Stock,
}

#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub work: Work,
    pub size: usize,
    pub batch: usize,
    pub precision: Precision,
    pub form: Form,
}

/// What was measured. `gflops` counts executed operations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    pub case: String,
    /// Of a whole training: the sum of means, each of which holds one look at sleeping rows.
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
    /// For few rows: what the same network answers where all of them are computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside_dense: Option<MeasuredChange>,
    /// For a whole training: of how many steps the times are sums, of which `runs` were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_of_steps: Option<usize>,
}

/// All cases of the CPU, or of a GPU, which takes larger batches too.
pub fn all(gpu: bool) -> Vec<Case> {
    let precisions = [Precision::F32, Precision::Bf16];
    let large = gpu.then_some((64, 256));
    let mut cases = vec![];
    for (size, batch) in [(64, 8), (64, 32), (128, 4)].into_iter().chain(large) {
        for precision in precisions {
            cases.extend(
                [Work::Infer, Work::Train].map(|work| Case::new(work, size, batch, precision)),
            );
        }
    }
    let infer = precisions.map(|precision| Case::new(Work::Infer, 64, 8, precision));
    cases.extend(infer.map(|case| Case { form: Form::Trained, ..case }));
    let run = (!gpu).then(|| Case::new(Work::TrainRun, 32, 32, Precision::Bf16));
    cases.extend(run);
    let other = |work, batch| Case::new(work, 64, batch, Precision::F32);
    // candle has no sigmoid on a GPU.
    for form in [Form::Stock, Form::Dense].into_iter().skip(usize::from(gpu)) {
        cases.extend([Work::Infer, Work::Train].map(|work| Case { form, ..other(work, 4) }));
    }
    cases.extend([other(Work::Loader, FACES), other(Work::PruneCurve, 8)]);
    let heads = precisions.map(|precision| Case::new(Work::Heads, 64, 256, precision));
    cases.extend(heads.into_iter().filter(|_| gpu));
    cases
        .extend(Pass::ALL.map(|pass| {
            Case::new(Work::ResNet(pass), resnet::SIZE, resnet::BATCH, Precision::F32)
        }));
    cases
        .extend(METHODS.map(|method| other(Work::Attribution(method), attribution::batch(method))));
    cases
}

impl Case {
    fn new(work: Work, size: usize, batch: usize, precision: Precision) -> Self {
        Self { work, size, batch, precision, form: Form::Dense }
    }

    pub fn name(&self) -> String {
        let work = match self.work {
            Work::Infer => "infer",
            Work::Train => "train",
            Work::Heads => "heads",
            Work::TrainRun => return "train-run-small".into(),
            Work::Loader => return format!("loader-{}", self.size),
            Work::PruneCurve => return "prune-curve".into(),
            Work::Attribution(method) => return format!("attribution-{}", method.id()),
            Work::ResNet(pass) => return pass.name().into(),
        };
        let form = match self.form {
            Form::Dense => "",
            Form::Trained => "-trained",
            Form::Stock => "-stock",
        };
        let precision = if self.precision == Precision::F32 { "f32" } else { "bf16" };
        format!("{work}-{}-b{}-{precision}{form}", self.size, self.batch)
    }

    /// Steps of one round.
    pub fn steps(&self) -> Result<usize> {
        if self.work == Work::TrainRun { Ok(KeptRows::read()?.steps()) } else { Ok(1) }
    }

    /// Operations executed for one step with this many rows of the heads, in units of 10⁹. A
    /// product of `f32` counts as one, also where TF32's make it. Of a pruning curve the products
    /// of the heads count: those of the unpruned network, and those that all smaller ones share.
    fn gflop(&self, rows: usize, device: &Device) -> f64 {
        let pixels = (self.batch * self.size * self.size) as f64;
        let first = 2. * 9. * 3. * 32.;
        let others = 2. * 9. * (32. * 64. + 64. * 64. + 64. * C as f64);
        let heads = 2. * (rows * C) as f64;
        // The masks are computed twice where they do not stay in cache; on CUDA thrice, since each
        // of the two kernels of the backward pass makes its own.
        let trained = match self.form {
            Form::Stock => 3. * heads,
            _ if device.is_cuda() => 5. * heads,
            _ if self.work != Work::Heads && keeps_masks(self.size * self.size) => 3. * heads,
            _ => 4. * heads,
        };
        let each = match self.work {
            Work::Infer => first + others + heads,
            // Two gradients a product, but none for the images.
            Work::Train | Work::TrainRun => 2. * first + 3. * others + trained,
            Work::Heads => trained,
            Work::Loader | Work::Attribution(_) | Work::ResNet(_) => 0.,
            Work::PruneCurve => 2. * heads,
        };
        1e-9 * pixels * each
    }

    /// The peak of the case's factors. The heads alone make each product of `f32` from three of
    /// TF32.
    pub fn peak(&self, peaks: &Peaks) -> f64 {
        match (self.precision, self.work, peaks.tf32) {
            (Precision::F32, Work::Heads, Some(tf32)) => tf32 / 3.,
            (Precision::F32, ..) => peaks.f32,
            (Precision::Bf16, ..) => peaks.bf16,
        }
    }

    /// Bytes of one round, if every kernel reads its feature maps once and writes its results once;
    /// `None` where that is not counted.
    pub fn traffic(&self) -> Option<f64> {
        // Channels that the extractor's layers read and write.
        let (read, written) = (3 + 32 + 64 + 64, 32 + 64 + 64 + C);
        // Forward the heads read the features; backward they read them again and write their
        // gradient.
        let values = match self.work {
            // The convolution, and the norm with constants.
            Work::Infer => (read + written) + 2 * written + C,
            // Forward: convolution, moments, norm. Backward: the norm's sums and its gradient, the
            // gradients of weights and, but for the images, of inputs.
            Work::Train => 3 * (read + written) - (3 + 32) + (1 + 2 + 2 + 3) * written + 3 * C,
            Work::Heads => 3 * C,
            _ => return None,
        };
        let is_ours = self.form != Form::Stock;
        is_ours.then(|| (4 * self.batch * self.size * self.size * values) as f64)
    }

    /// Measures the case; the peak is that of its factors in FLOP/s.
    pub fn measure(&self, peak: f64, device: &Device) -> Result<Measurement> {
        let beside_dense =
            (self.form == Form::Trained).then(|| self.beside_dense(device)).transpose()?;
        let measured = match (self.work, self.form) {
            (Work::Loader, _) => self.loader(device)?,
            (Work::PruneCurve, _) => self.prune_curve(device)?,
            (Work::Heads, _) => self.heads(device)?,
            (Work::TrainRun, _) => self.train_run(device)?,
            (Work::Attribution(method), _) => {
                let explainer = Explainer::new(self.network(device)?, self.batch)?;
                let (images, _) = self.images(device)?;
                repeat(device, || explainer.explain(method, &images))?
            }
            (Work::ResNet(pass), _) => {
                let network = ResNet::new(pass, device)?;
                Measured { gflop: Some(network.gflop()?), ..repeat(device, || network.run())? }
            }
            (_, Form::Stock) => self.stock(device)?,
            _ => self.ours(device)?,
        };
        let Measured { typical, least, most, runs, peak_bytes, .. } = measured;
        let rows: usize = match self.form {
            Form::Trained => KeptRows::read()?.trained.iter().sum(),
            _ => K * C,
        };
        let gflops = measured.gflop.unwrap_or_else(|| self.gflop(rows, device)) / typical;
        let of_full_passes = (self.work == Work::PruneCurve)
            .then(|| Ok::<_, anyhow::Error>(typical / self.full_passes(device)?))
            .transpose()?;
        let steps = self.steps()?;
        Ok(Measurement {
            case: self.name(),
            median_ms: 1e3 * typical,
            min_ms: 1e3 * least,
            max_ms: 1e3 * most,
            runs,
            images_per_s: (self.batch * steps) as f64 / typical,
            peak_bytes,
            gflops,
            share_of_peak: 1e9 * gflops / peak,
            of_full_passes,
            share_of_bandwidth: None,
            beside_dense,
            sum_of_steps: (self.work == Work::TrainRun).then_some(steps),
        })
    }

    fn network(&self, device: &Device) -> Result<Network> {
        let config = NetworkConfig {
            attributes: K,
            channels: C,
            precision: self.precision,
            ..Default::default()
        };
        let network = Network::new(config, 0, device)?;
        if self.form == Form::Trained {
            let rows = KeptRows::read()?;
            return shut_all_but(&network, rows.draw(&rows.trained)?);
        }
        Ok(network)
    }

    fn images(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let images = Tensor::randn(0f32, 1., (self.batch, 3, self.size, self.size), device)?;
        let labels =
            Tensor::rand(0f32, 1., (self.batch, K), device)?.gt(0.5)?.to_dtype(DType::F32)?;
        Ok((images, labels))
    }

    fn ours(&self, device: &Device) -> Result<Measured> {
        let (images, labels) = self.images(device)?;
        if self.work == Work::Infer {
            let network = self.network(device)?;
            return repeat(device, || Ok(network.forward(&images)?));
        }
        let config = TrainConfig { epochs: 1, micro_batch: MICRO_BATCH, ..Default::default() };
        let mut trainer = Trainer::new(self.network(device)?, config, 1_000_000)?;
        repeat(device, || Ok(trainer.step(&images, &labels)?))
    }

    /// The sum over a training, from steps at points of it. At each the trainer itself puts rows to
    /// sleep: in its network all others are shut. Loading and validation are left out.
    fn train_run(&self, device: &Device) -> Result<Measured> {
        let (images, labels) = self.images(device)?;
        let run = KeptRows::read()?;
        let (mut points, steps) = (vec![], TrainConfig::LOOK_EVERY);
        for point in &run.training {
            let rows = run.draw(&point.awake)?;
            let count = rows.count();
            let gflop = Some(self.gflop(count, device));
            let network = shut_all_but(&self.network(device)?, rows)?;
            let network = network.with_rows(Rows::all(K, C))?;
            let (epochs, sleep) = (run.passes(), run.sleep);
            let config =
                TrainConfig { epochs, sleep, micro_batch: MICRO_BATCH, ..Default::default() };
            let mut trainer = Trainer::new(network, config, run.steps_of_a_pass)?;
            // Up to the second look. One image shows which masks are shut.
            let (image, label) = (images.narrow(0, 0, 1)?, labels.narrow(0, 0, 1)?);
            for _ in 0..steps {
                trainer.step(&image, &label)?;
            }
            let awake = trainer.step(&image, &label)?.awake;
            ensure!(awake == Some(count), "{awake:?} rows are awake, not the point's {count}");
            // One of them looks at sleeping rows.
            let measured =
                repeat_between(steps..=steps, device, || Ok(trainer.step(&images, &labels)?))?;
            points.push(Measured { gflop, ..measured });
        }
        let sum =
            |value: fn(&Measured) -> f64| run.sum(&points.iter().map(value).collect::<Vec<_>>());
        Ok(Measured {
            typical: sum(|point| point.mean),
            mean: sum(|point| point.mean),
            least: sum(|point| point.least),
            most: sum(|point| point.most),
            runs: points.iter().map(|point| point.runs).sum(),
            peak_bytes: points.iter().filter_map(|point| point.peak_bytes).max(),
            gflop: Some(sum(|point| point.gflop.unwrap_or_default())),
        })
    }

    /// Refuses other answers.
    fn beside_dense(&self, device: &Device) -> Result<MeasuredChange> {
        let (images, labels) = self.images(device)?;
        let answers = |network: &Network| -> Result<Predictions> {
            let mut answers = Predictions::default();
            answers.add(&network.frozen().forward(&images)?.logits, &labels)?;
            Ok(answers)
        };
        let network = self.network(device)?;
        let dense = network.with_rows(Rows::all(K, C))?;
        let change = answers(&dense)?.change(&answers(&network)?, "drawn")?;
        ensure!(change.flipped == 0, "without the rows that are shut, {}", change.title());
        Ok(change)
    }

    fn stock(&self, device: &Device) -> Result<Measured> {
        let (images, labels) = self.images(device)?;
        let mut stock = Stock::new(K, C, device)?;
        match self.work {
            Work::Infer => repeat(device, || stock.infer(&images)),
            _ => repeat(device, || stock.train(&images, &labels)),
        }
    }

    /// Decoding, resizing and normalising on one core, from files that the system has in memory.
    fn loader(&self, device: &Device) -> Result<Measured> {
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
        repeat(device, || {
            Ok(paths.iter().try_for_each(|path| preprocessing.read(path, &plain).map(drop))?)
        })
    }

    /// The heads with 0 to C-1 channels pruned, from features that are computed once.
    fn prune_curve(&self, device: &Device) -> Result<Measured> {
        let (images, labels) = self.images(device)?;
        let network = self.network(device)?;
        let curve =
            [foresee_perturb::PruneOrder::random(C, 0).cuts(C, &(0..C).collect::<Vec<_>>())];
        let batch = || std::iter::once(anyhow::Ok((images.clone(), labels.clone())));
        repeat(device, || foresee_perturb::prune_curves(&network, &curve, batch()))
    }

    /// Forward and backward, with gradients of the features and of the weights.
    fn heads(&self, device: &Device) -> Result<Measured> {
        let network = self.network(device)?;
        let shape = (self.batch, self.size, self.size, C);
        let z = candle_core::Var::from_tensor(&Tensor::randn(0f32, 1., shape, device)?)?;
        repeat(device, || {
            let pooled = network.heads().pool(&z.permute((0, 3, 1, 2))?)?;
            Ok((pooled.features.sum_all()? + pooled.masks.sum_all()?)?.backward()?)
        })
    }

    /// Seconds of C passes of the whole heads.
    fn full_passes(&self, device: &Device) -> Result<f64> {
        let network = self.network(device)?;
        let features = network.extractor().forward(&self.images(device)?.0)?;
        let pass = repeat(device, || Ok(network.forward_features(&features)?))?;
        Ok(C as f64 * pass.typical)
    }
}

/// Times of rounds in seconds.
struct Measured {
    /// The median.
    typical: f64,
    mean: f64,
    least: f64,
    most: f64,
    runs: usize,
    peak_bytes: Option<u64>,
    /// Operations of a round, where the case alone does not tell them.
    gflop: Option<f64>,
}

/// Five rounds or more.
fn repeat<T>(device: &Device, round: impl FnMut() -> Result<T>) -> Result<Measured> {
    repeat_between(5..=100, device, round)
}

/// Rounds after two to warm up: at least so many, and more as long as they take less than two
/// seconds together. A round is over when the device has done its work.
fn repeat_between<T>(
    rounds: RangeInclusive<usize>,
    device: &Device,
    mut round: impl FnMut() -> Result<T>,
) -> Result<Measured> {
    let mut round = || -> Result<()> {
        round()?;
        Ok(device.synchronize()?)
    };
    round()?;
    reset_peak_memory(device);
    round()?;
    let (start, mut times) = (Instant::now(), vec![]);
    let enough = |done: usize| done >= *rounds.start() && start.elapsed() >= Duration::from_secs(2);
    while times.len() < *rounds.end() && !enough(times.len()) {
        let begin = Instant::now();
        round()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(Measured {
        typical: times[times.len() / 2],
        mean: times.iter().sum::<f64>() / times.len() as f64,
        least: times[0],
        most: times[times.len() - 1],
        runs: times.len(),
        peak_bytes: peak_memory(device),
        gflop: None,
    })
}
