//! `growth`: how the cost of training grows with pixels, channels, attributes and ranks.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use clap::Args;
use foresee::error::input;
use foresee::output::print;
use foresee_model::{Network, NetworkConfig, Precision, SharedBatch, TrainConfig, Trainer};
use foresee_ranks::{Alone, Communicator, on_threads};
use foresee_report::{Curve, LineStyle, Panel, Record, Source, Style, curves, frame, record};
use foresee_stats::{Line, Penalty, fit};
use indicatif::ProgressBar;
use nalgebra::DMatrix;

#[derive(Args)]
pub struct GrowthArgs {
    /// A folder for growth.csv, growth_ranks.csv and the figure.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Time of a message between two machines, in microseconds.
    #[arg(long, default_value_t = 200.)]
    latency: f64,
    /// Bandwidth between two machines, in gigabits a second.
    #[arg(long, default_value_t = 1.)]
    bandwidth: f64,
    /// Training faces of the reckoned epoch.
    #[arg(long, default_value_t = 162_770)]
    faces: usize,
    /// Images of a batch of the reckoned epoch.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Steps that are timed of each network. The fastest counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    steps: u32,
}

/// Images of a micro-batch, which a step is measured on.
const MICRO_BATCH: usize = 8;

/// A network on images of some size.
#[derive(Clone, Copy)]
struct Size {
    pixels: usize,
    channels: usize,
    attributes: usize,
}

const BASE: Size = Size { pixels: 32, channels: 128, attributes: 40 };

impl Size {
    fn trainer(self) -> Result<Trainer> {
        let Self { channels, attributes, .. } = self;
        let precision = Precision::Bf16;
        let config = NetworkConfig { channels, attributes, precision, ..Default::default() };
        let network = Network::new(config, 0, &Device::Cpu)?;
        Ok(Trainer::new(network, TrainConfig::default(), 1_000_000)?)
    }

    /// Images and labels of a micro-batch.
    fn images(self) -> Result<(Tensor, Tensor)> {
        let shape = (MICRO_BATCH, 3, self.pixels, self.pixels);
        let images = Tensor::randn(0f32, 1., shape, &Device::Cpu)?;
        let labels = Tensor::zeros((MICRO_BATCH, self.attributes), DType::F32, &Device::Cpu)?;
        Ok((images, labels))
    }

    /// The fastest of some steps, in seconds.
    fn seconds(self, steps: u32) -> Result<f64> {
        let (mut trainer, (images, labels)) = (self.trainer()?, self.images()?);
        let batch = SharedBatch::new(&Alone, MICRO_BATCH, MICRO_BATCH);
        let mut best = f64::INFINITY;
        for _ in 0..=steps {
            let start = Instant::now();
            trainer.step_of_ranks(&images, &labels, &batch)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    }

    /// What the time of a step is made of: products of the convolutions and of the heads, values
    /// of feature maps and of masks, weights.
    fn terms(self) -> [f64; 5] {
        let Self { pixels, channels, attributes } = self;
        let [images, c, k] =
            [MICRO_BATCH * pixels * pixels, channels, attributes].map(|n| n as f64);
        let convolutions = 9. * (3. * 32. + 32. * 64. + 64. * 64. + 64. * c);
        let weights = k * c * c + convolutions;
        [images * convolutions, images * k * c * c, images * (160. + c), images * k * c, weights]
    }
}

record! {
    /// A measured step on one micro-batch of 8 images.
    struct Step {
        /// What is varied.
        varied: String,
        pixels: usize,
        channels: usize,
        attributes: usize,
        /// Of the fastest step.
        seconds: f64,
        /// What the fitted sum of terms says.
        reckoned_seconds: f64,
        /// Of the weights' gradients.
        gradient_bytes: usize,
        /// Of memory that a step needs, as `reproduce` estimates it.
        memory_bytes: u64,
    }
}

record! {
    /// A step of the paper's network on ranks.
    struct Ranks {
        ranks: usize,
        /// That rank 0 sends in a step, measured for up to 8 ranks.
        sent_bytes: f64,
        /// The same, over the bytes of the gradients.
        of_gradients: f64,
        /// Meetings of all ranks in a step.
        meetings: usize,
        /// Reckoned for the asked-for batch, latency and bandwidth.
        step_seconds: f64,
        epoch_hours: f64,
        /// Of the speed of as many ranks that need not talk.
        efficiency: f64,
    }
}

pub fn growth(args: &GrowthArgs) -> Result<()> {
    if !(args.latency >= 0. && args.bandwidth > 0. && args.batch > 0) {
        return Err(input("--latency is 0 or more, --bandwidth and --batch are above 0"));
    }
    let (steps, reckon) = measure(args)?;
    let ranks = reckon_ranks(args, &reckon)?;
    frame::write_csv(&args.out.join("growth.csv"), &Step::to_frame(&steps)?)?;
    frame::write_csv(&args.out.join("growth_ranks.csv"), &Ranks::to_frame(&ranks)?)?;
    draw(args, &steps, &ranks)?;
    print(&text(&steps, &ranks))
}

/// All sizes that are measured, by what varies.
fn sizes() -> Vec<(&'static str, Size)> {
    let pixels = [16, 24, 32, 48, 64, 96, 128].map(|pixels| ("pixels", Size { pixels, ..BASE }));
    let channels = [32, 64, 128, 256, 512].map(|channels| ("channels", Size { channels, ..BASE }));
    let attributes =
        [1, 4, 10, 40, 100, 400].map(|attributes| ("attributes", Size { attributes, ..BASE }));
    pixels.into_iter().chain(channels).chain(attributes).collect()
}

type Reckon = Box<dyn Fn(Size) -> f64>;

fn measure(args: &GrowthArgs) -> Result<(Vec<Step>, Reckon)> {
    let sizes = sizes();
    let bar = ProgressBar::new(sizes.len() as u64);
    let seconds = sizes.iter().map(|(_, size)| {
        let seconds = size.seconds(args.steps);
        bar.inc(1);
        seconds
    });
    let seconds = seconds.collect::<Result<Vec<f64>>>()?;
    bar.finish_and_clear();
    // Errors count by their share of the time.
    let weights: Vec<f64> = seconds.iter().map(|s| 1. / (s * s)).collect();
    let terms: Vec<[f64; 5]> = sizes.iter().map(|(_, size)| size.terms()).collect();
    let z = DMatrix::from_fn(terms.len(), 5, |i, j| terms[i][j] * 1e-9);
    let fitted = fit(&z, &seconds, &weights, Penalty::Ridge { alpha: 1e-6 })?;
    let reckon = move |size: Size| fitted.predict(&size.terms().map(|term| term * 1e-9));
    let row = |((varied, size), seconds): (&(&str, Size), f64)| -> Result<Step> {
        let network = size.trainer()?;
        let network = network.network();
        Ok(Step {
            varied: (*varied).into(),
            pixels: size.pixels,
            channels: size.channels,
            attributes: size.attributes,
            seconds,
            reckoned_seconds: reckon(*size),
            gradient_bytes: 4 * network.parameters(),
            memory_bytes: network.training_bytes(MICRO_BATCH, size.pixels),
        })
    };
    let rows = sizes.iter().zip(seconds).map(row).collect::<Result<_>>()?;
    Ok((rows, Box::new(reckon)))
}

/// Counts what a rank sends: as many bytes as it has for others, to each of them.
struct Counting<'a> {
    ranks: &'a dyn Communicator,
    sent: Cell<usize>,
    meetings: Cell<usize>,
}

impl Counting<'_> {
    fn count(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes);
        self.meetings.set(self.meetings.get() + 1);
    }
}

impl Communicator for Counting<'_> {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> foresee_ranks::Result<Vec<Vec<u8>>> {
        self.count(sent.len() * (self.size() - 1));
        self.ranks.all_gather(sent, lengths)
    }

    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> foresee_ranks::Result<Vec<Vec<u8>>> {
        let own = to.get(self.rank()).map_or(0, Vec::len);
        self.count(to.iter().map(Vec::len).sum::<usize>() - own);
        self.ranks.exchange(to, lengths)
    }
}

/// Bytes that rank 0 sends in a step of 16 micro-batches of one small image, and the meetings of
/// all ranks. Neither depends on the images.
fn traffic(ranks: usize) -> Result<(usize, usize)> {
    let each = on_threads(ranks, |ranks| -> Result<(usize, usize)> {
        let counting = Counting { ranks, sent: Cell::new(0), meetings: Cell::new(0) };
        let mut trainer = BASE.trainer()?;
        let batch = SharedBatch::new(&counting, 16, 1);
        let own = batch.images().len();
        let images = Tensor::zeros((own, 3, 8, 8), DType::F32, &Device::Cpu)?;
        let labels = Tensor::zeros((own, BASE.attributes), DType::F32, &Device::Cpu)?;
        trainer.step_of_ranks(&images, &labels, &batch)?;
        Ok((counting.sent.get(), counting.meetings.get()))
    });
    each.into_iter().next().unwrap_or_else(|| Ok((0, 0)))
}

fn reckon_ranks(args: &GrowthArgs, reckon: &Reckon) -> Result<Vec<Ranks>> {
    let gradients = (4 * BASE.trainer()?.network().parameters()) as f64;
    let micro_batch = reckon(Size { pixels: 64, ..BASE });
    ensure!(micro_batch > 0., "the times of steps are too noisy to be fitted: measure again");
    let micro_batches = args.batch.div_ceil(MICRO_BATCH);
    let steps = (args.faces / args.batch).max(1) as f64;
    let row = |ranks: usize| -> Result<Ranks> {
        let measured = if ranks <= 8 { traffic(ranks)? } else { traffic(8)? };
        let of_all = |n: usize| (n - 1) as f64 / n as f64;
        let grows = if ranks <= 8 { 1. } else { of_all(ranks) / of_all(8) };
        let sent_bytes = measured.0 as f64 * grows;
        let hops = (ranks as f64).log2().ceil();
        let talk = measured.1 as f64 * hops * args.latency * 1e-6
            + 8. * sent_bytes / (args.bandwidth * 1e9);
        let work = micro_batch * micro_batches.div_ceil(ranks) as f64;
        let step_seconds = work + talk;
        Ok(Ranks {
            ranks,
            sent_bytes,
            of_gradients: sent_bytes / gradients,
            meetings: measured.1,
            step_seconds,
            epoch_hours: steps * step_seconds / 3600.,
            efficiency: micro_batch * micro_batches as f64 / (ranks as f64 * step_seconds),
        })
    };
    [1, 2, 3, 4, 8, 16, 32, 64, 128, 256].into_iter().map(row).collect()
}

/// The exponent of a power law through some steps.
fn exponent(steps: &[&Step], of: Read) -> Line {
    let log = |value: f64| value.ln();
    let x: Vec<f64> = steps.iter().map(|step| log(of(step) as f64)).collect();
    let y: Vec<f64> = steps.iter().map(|step| log(step.seconds)).collect();
    Line::fit(&x, &y)
}

/// How a number is read from a step.
type Read = fn(&Step) -> usize;

/// What varies, and how it is read.
const VARIED: [(&str, Read); 3] = [
    ("pixels", |step| step.pixels),
    ("channels", |step| step.channels),
    ("attributes", |step| step.attributes),
];

fn text(steps: &[Step], ranks: &[Ranks]) -> String {
    let mut lines = vec![];
    for (name, of) in VARIED {
        let steps: Vec<&Step> = steps.iter().filter(|step| step.varied == name).collect();
        let Line { slope, r_squared } = exponent(&steps, of);
        lines.push(format!("time grows with {name}^{slope:.2} (R² {r_squared:.3})"));
    }
    let off = steps.iter().map(|step| (step.reckoned_seconds / step.seconds - 1.).abs());
    lines
        .push(format!("the sum of terms is off by {:.0} % at most", 100. * off.fold(0., f64::max)));
    lines.push("ranks  sent/gradients  step [s]  epoch [h]  efficiency".into());
    for row in ranks {
        let Ranks { ranks, of_gradients, step_seconds, epoch_hours, efficiency, .. } = row;
        lines.push(format!(
            "{ranks:>5}  {of_gradients:>14.2}  {step_seconds:>8.3}  {epoch_hours:>9.2}  \
             {efficiency:>10.2}"
        ));
    }
    lines.join("\n") + "\n"
}

fn draw(args: &GrowthArgs, steps: &[Step], ranks: &[Ranks]) -> Result<()> {
    let panel = |(name, of): (&str, Read)| {
        let of_axis = || steps.iter().filter(|step| step.varied == name);
        let measured = of_axis().map(|step| (of(step) as f64, step.seconds)).collect();
        let reckoned = of_axis().map(|step| (of(step) as f64, step.reckoned_seconds)).collect();
        Panel {
            title: String::new(),
            x: name.into(),
            y: "s a step of 8 images".into(),
            curves: vec![
                Curve::new("measured", measured, 0, LineStyle::Solid),
                Curve::new("reckoned", reckoned, 1, LineStyle::Dashed),
            ],
            levels: vec![],
        }
    };
    let mut panels: Vec<Panel> = VARIED.into_iter().map(panel).collect();
    let efficiency = ranks.iter().map(|row| (f64::from(row.ranks as u32).log2(), row.efficiency));
    panels.push(Panel {
        title: String::new(),
        x: "log2 of the ranks".into(),
        y: "efficiency".into(),
        curves: vec![Curve::new("reckoned", efficiency.collect(), 1, LineStyle::Dashed)],
        levels: vec![],
    });
    let data = format!(
        "steps on noise; {} Gbit/s, {} µs, batches of {}",
        args.bandwidth, args.latency, args.batch
    );
    let source = Source { data, synthetic: false };
    curves("growth", &panels, &source, &Style::default())?.save(&args.out)?;
    Ok(())
}
