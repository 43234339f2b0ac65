//! `growth`: how the cost of training grows with faces, pixels, channels, attributes and ranks.

mod faces;
mod ranks;
mod steps;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use foresee::error::input;
use foresee::output::print;
use foresee_report::{Curve, LineStyle, Panel, Record, Source, Style, curves, frame};
use foresee_stats::{Line, PowerLaw};

use self::faces::Faces;
use self::ranks::Ranks;
use self::steps::{BASE, MICRO_BATCH, Size, Step};

#[derive(Args)]
pub struct GrowthArgs {
    /// A folder for growth.csv, growth_faces.csv, growth_ranks.csv and the figure.
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
    /// The most pixels of a side that a step is timed at.
    #[arg(long, default_value_t = 178, value_parser = clap::value_parser!(u32).range(24..=178))]
    pixels: u32,
    /// The most faces of a data set that is opened and read, drawn ones.
    #[arg(long, default_value_t = 202_599)]
    #[arg(value_parser = clap::value_parser!(u32).range(256..=202_599))]
    data: u32,
}

pub fn growth(args: &GrowthArgs) -> Result<()> {
    if !(args.latency >= 0. && args.bandwidth > 0. && args.batch > 0) {
        return Err(input("--latency is 0 or more, --bandwidth and --batch are above 0"));
    }
    // Before the steps, whose memory would hide theirs.
    let mut faces = faces::measure(args.data as usize)?;
    let (steps, reckoned) = steps::measure(args)?;
    let micro_batch = reckoned(Size { pixels: faces::PIXELS, ..BASE });
    ensure!(micro_batch > 0., "the times of steps are too noisy to be fitted: measure again");
    for row in &mut faces {
        row.reckoned_step_hours = row.faces as f64 * micro_batch / MICRO_BATCH as f64 / 3600.;
    }
    let ranks = ranks::reckon(args, micro_batch)?;
    frame::write_csv(&args.out.join("growth.csv"), &Step::to_frame(&steps)?)?;
    frame::write_csv(&args.out.join("growth_faces.csv"), &Faces::to_frame(&faces)?)?;
    frame::write_csv(&args.out.join("growth_ranks.csv"), &Ranks::to_frame(&ranks)?)?;
    draw(args, &steps, &ranks)?;
    print(&text(&steps, &faces, &ranks)?)
}

/// How a number is read from a step.
type Read = fn(&Step) -> f64;

/// What varies, and how it is read.
const VARIED: [(&str, Read); 3] = [
    ("pixels", |step| step.pixels as f64),
    ("channels", |step| step.channels as f64),
    ("attributes", |step| step.attributes as f64),
];

fn text(steps: &[Step], faces: &[Faces], ranks: &[Ranks]) -> Result<String> {
    let mut lines = vec![];
    for (name, of) in VARIED {
        let steps = steps.iter().filter(|step| step.varied == name);
        let law = PowerLaw::fit(steps.map(|step| (of(step), step.seconds)));
        let PowerLaw { exponent, r_squared } = law;
        lines.push(format!("time grows with {name}^{exponent:.2} (R² {r_squared:.3})"));
    }
    let off = steps.iter().map(|step| (step.reckoned_seconds / step.seconds - 1.).abs());
    lines
        .push(format!("the sum of terms is off by {:.0} % at most", 100. * off.fold(0., f64::max)));
    let opened = PowerLaw::fit(faces.iter().map(|row| (row.faces as f64, row.open_seconds)));
    let opened = opened.exponent;
    let (x, y): (Vec<f64>, Vec<f64>) =
        faces.iter().map(|row| (row.faces as f64, row.memory_bytes as f64)).unzip();
    let memory = Line::fit(&x, &y).slope;
    lines
        .push(format!("a data set opens in faces^{opened:.2}, and takes {memory:.0} bytes a face"));
    lines.push(frame::text(&Faces::to_frame(faces)?)?);
    lines.push(frame::text(&Ranks::to_frame(ranks)?)?);
    lines.push("what is reckoned is so from the time of one face, and of one step".into());
    Ok(lines.join("\n") + "\n")
}

fn draw(args: &GrowthArgs, steps: &[Step], ranks: &[Ranks]) -> Result<()> {
    let panel = |x: &str, y: &str, curves: Vec<Curve>| Panel {
        title: String::new(),
        x: x.into(),
        y: y.into(),
        curves,
        levels: vec![],
    };
    let of_size = |(name, of): (&str, Read)| {
        let of_axis = || steps.iter().filter(|step| step.varied == name);
        let measured = of_axis().map(|step| (of(step), step.seconds)).collect();
        let reckoned = of_axis().map(|step| (of(step), step.reckoned_seconds)).collect();
        let measured = Curve::new("measured", measured, 0, LineStyle::Solid);
        let reckoned = Curve::new("reckoned", reckoned, 1, LineStyle::Dashed);
        panel(name, "s a step of 8 images", vec![measured, reckoned])
    };
    let mut panels: Vec<Panel> = VARIED.into_iter().map(of_size).collect();
    let efficiency = ranks.iter().map(|row| (f64::from(row.ranks as u32).log2(), row.efficiency));
    let efficiency = Curve::new("reckoned", efficiency.collect(), 1, LineStyle::Dashed);
    panels.push(panel("log2 of the ranks", "efficiency", vec![efficiency]));
    let data = format!(
        "steps on noise; {} Gbit/s, {} µs, batches of {}",
        args.bandwidth, args.latency, args.batch
    );
    let source = Source { data, synthetic: false };
    curves("growth", &panels, &source, &Style::default())?.save(&args.out)?;
    Ok(())
}
