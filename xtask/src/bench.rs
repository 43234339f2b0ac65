//! `bench`: speed and memory on this machine.

mod attribution;
mod cases;
mod resnet;
mod stock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use clap::Args;
use foresee_attribution::Method;
use foresee_kernels::Peaks;
use foresee_model::Precision;
use serde::{Deserialize, Serialize};

use cases::{Case, Form, Measurement, Work};
use foresee::device::{device, measured};
use foresee::error::input;
use foresee::output::{Kind, OutputFile, OverwriteArgs, print};

use crate::shell::chosen;

#[derive(Args)]
pub struct BenchArgs {
    /// Also write the table as an array of objects.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// A Python with PyTorch (Pillow and NumPy for the loader, Captum for attribution,
    /// torchvision and pytorch-grad-cam for ResNets): runs the same case there with as many
    /// threads, in turn with ours. The best of eager, channels-last and compiled counts.
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Only cases whose name contains this; can be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// cpu, cuda or metal. On a GPU there are cases of larger batches, and PyTorch runs there too
    /// (eager, compiled, TF32 in place of f32).
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Measure this one case in this process and print it as JSON; the peak in FLOP/s comes after
    /// it.
    #[arg(long, hide = true, num_args = 2, value_names = ["CASE", "PEAK"])]
    case: Option<Vec<String>>,
}

/// A case's numbers, with the peer's if there is one.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    ours: Measurement,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
    /// How many times as fast as the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

/// What the peer's script prints: its fastest way that computes all rows.
#[derive(Serialize, Deserialize)]
struct Peer {
    way: String,
    median_ms: f64,
    min_ms: f64,
    images_per_s: f64,
    peak_bytes: u64,
    /// With few rows: of its fastest way that computes only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_rows_images_per_s: Option<f64>,
    /// Images a second of every way that worked.
    #[serde(default)]
    ways: BTreeMap<String, f64>,
}

pub fn bench(args: &BenchArgs) -> Result<()> {
    let device = device(&args.device)?;
    if let Some(case) = &args.case {
        return one(&case[0], &case[1], &device);
    }
    let chosen = chosen(cases::all(!device.is_cpu()), &args.only, Case::name, "cases")?;
    let ours = Kind::Text("[\n  {\n    \"case\"");
    let json = OutputFile::again("--json", args.json.as_deref(), ours, args.overwrite)?;
    let threads = rayon::current_num_threads();
    let peaks = Peaks::measure(&device)?;
    let machine = measured::name(&device)
        .unwrap_or_else(|| format!("{:?}", foresee_kernels::instruction_set()));
    print(&format!("{threads} threads, {machine}, {peaks}\n\n{}\n", header()))?;
    let (mut rows, mut failed) = (vec![], vec![]);
    for case in chosen {
        let peak = case.peak(&peaks);
        let mut ours = match in_own_process(&case, threads, peak, &args.device) {
            Ok(ours) => ours,
            Err(e) => {
                tracing::error!("{e:#}");
                failed.push(case.name());
                continue;
            }
        };
        ours.share_of_bandwidth = case
            .traffic()
            .zip(peaks.bandwidth)
            .map(|(bytes, bandwidth)| bytes / (1e-3 * ours.median_ms) / bandwidth);
        // A peer that lacks a package is told, and the other cases are still measured.
        let peer = args.peer.as_ref().and_then(|python| {
            peer(python, &case, threads, &args.device).unwrap_or_else(|e| {
                tracing::warn!("{e:#}");
                None
            })
        });
        let ratio = peer.as_ref().map(|peer| ours.images_per_s / peer.images_per_s);
        let row = Row { ours, peer, ratio };
        print(&line(&row))?;
        rows.push(row);
        if let Some(json) = &json {
            json.write((serde_json::to_string_pretty(&rows)? + "\n").as_bytes())?;
        }
    }
    ensure!(failed.is_empty(), "these cases failed: {}", failed.join(", "));
    Ok(())
}

fn header() -> String {
    let columns = format!(
        "{:<24}{:>11}{:>11}{:>11}{:>10}{:>10}{:>9}{:>8}",
        "case", "median ms", "min ms", "max ms", "img/s", "peak GB", "GFLOP/s", "share"
    );
    format!("{columns}{:>26}{:>10}{:>8}", "peer (its fastest way)", "img/s", "ratio")
}

fn line(row: &Row) -> String {
    let m = &row.ours;
    let memory = m.peak_bytes.map_or("–".into(), |b| format!("{:.2}", b as f64 / 1e9));
    let mut text = format!(
        "{:<24}{:>11.1}{:>11.1}{:>11.1}{:>10.1}{memory:>10}",
        m.case, m.median_ms, m.min_ms, m.max_ms, m.images_per_s
    );
    if m.gflops > 0. {
        text.push_str(&format!("{:>9.0}{:>7.0}%", m.gflops, 100. * m.share_of_peak));
    } else {
        text.push_str(&format!("{:>9}{:>8}", "–", "–"));
    }
    if let (Some(peer), Some(ratio)) = (&row.peer, row.ratio) {
        text.push_str(&format!("{:>26}{:>10.1}{ratio:>7.2}×", peer.way, peer.images_per_s));
        if let Some(bytes) = m.peak_bytes.filter(|_| peer.peak_bytes > 0) {
            text.push_str(&format!(
                "   {:.2} of its memory",
                bytes as f64 / peer.peak_bytes as f64
            ));
        }
    }
    if let Some(kept) = row.peer.as_ref().and_then(|peer| peer.kept_rows_images_per_s) {
        let ratio = m.images_per_s / kept;
        text.push_str(&format!("   {ratio:.2}× its fastest way with kept rows ({kept:.1} img/s)"));
    }
    if let Some(share) = m.share_of_bandwidth {
        text.push_str(&format!("   {:.0}% of the memory's bandwidth", 100. * share));
    }
    if let Some(change) = &m.beside_dense {
        text.push_str(&format!(
            "   beside all rows {} of {} answers flip, logits move by at most {:.0e}",
            change.flipped, change.answers, change.greatest
        ));
    }
    if let Some(steps) = m.sum_of_steps {
        text.push_str(&format!("   computed for {steps} steps from {} measured ones", m.runs));
    }
    if let Some(share) = m.of_full_passes {
        text.push_str(&format!("   {share:.2} of the time of as many full passes of the heads"));
    }
    text + "\n"
}

fn one(name: &str, peak: &str, device: &Device) -> Result<()> {
    let case = cases::all(!device.is_cpu())
        .into_iter()
        .find(|case| case.name() == name)
        .ok_or_else(|| input(format!("there is no case {name}")))?;
    let peak = peak.parse().map_err(|_| input(format!("{peak} is no number")))?;
    print(&(serde_json::to_string(&case.measure(peak, device)?)? + "\n"))
}

fn in_own_process(case: &Case, threads: usize, peak: f64, device: &str) -> Result<Measurement> {
    let mut command = Command::new(std::env::current_exe()?);
    let arguments =
        format!("bench --case {} {peak} --threads {threads} --device {device}", case.name());
    command.args(arguments.split(' '));
    if case.form == Form::Stock {
        // What takes most of its time runs on threads of candle's own.
        command.env("CANDLE_NUM_THREADS", threads.to_string());
    }
    parse(&mut command).with_context(|| format!("case {}", case.name()))
}

/// The same case in PyTorch, if it has one.
fn peer(python: &Path, case: &Case, threads: usize, device: &str) -> Result<Option<Peer>> {
    let what = match case.work {
        Work::Infer => "infer",
        Work::Train => "train",
        Work::TrainRun => "train-run",
        Work::Loader => "loader",
        // Captum's LRP has no rule for a product of mask and feature.
        Work::PruneCurve | Work::Heads | Work::Attribution(Method::Lrp) => return Ok(None),
        Work::Attribution(method) => method.id(),
        Work::ResNet(pass) => pass.name(),
    };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py"));
    let (size, batch, steps) = (case.size, case.batch, case.steps()?);
    let kept_rows = if case.form == Form::Trained { " --kept-rows" } else { "" };
    let arguments = format!(
        "--what {what} --size {size} --batch {batch} --steps {steps} --threads {threads} --device \
         {device}{kept_rows}"
    );
    command.args(arguments.split(' '));
    if case.precision == Precision::Bf16 {
        command.arg("--bf16");
    }
    // Without these, page faults dominate PyTorch's large temporaries; our own side keeps freed
    // memory too.
    command.env(
        "GLIBC_TUNABLES",
        "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592",
    );
    let folder = tempfile::tempdir().context("a folder for drawn faces")?;
    if case.work == Work::Loader {
        let faces = folder.path().join("faces");
        foresee_celeba::synthetic::write(&faces, cases::FACES, 0, |_| ())?;
        command.arg("--faces").arg(faces.join("img_align_celeba"));
    }
    parse(&mut command).map(Some).with_context(|| format!("the peer of case {}", case.name()))
}

/// What a command prints as JSON on its last line.
fn parse<T: serde::de::DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output =
        command.output().map_err(|e| input(format!("{}: {e}", command.get_program().display())))?;
    ensure!(
        output.status.success(),
        "{} failed:\n{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    // A way of the peer's that failed says so there.
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(text.trim().lines().last().unwrap_or_default())?)
}
