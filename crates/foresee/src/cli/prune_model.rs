//! `prune --model`: curves of every layer of a network of the user's own, or a pruned network.

use std::path::{Path, PathBuf};

use foresee_perturb::{GroupRule, Takeover};
use foresee_report::Record;
use serde::Serialize;

use super::json::{ModelDocument, path_text, print_json};
use super::prune_arguments::{PruneArgs, PruneModelArgs};
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::networks::prune::{
    self, Amount, Compare, CostPoint, OutputAccuracy, PAGE, PruneOptions, PrunePoint, Pruned,
    Pruning, SaveOptions, prune_network,
};
use crate::networks::task::{Task, TaskOptions};
use crate::output::{Kind, OutputFile, print};
use crate::provenance::percent;

/// What is pruned of a layer, unless other shares are asked for.
const SHARES: [f64; 4] = [0.1, 0.25, 0.5, 0.75];

/// A pruned network as `--json` prints it.
#[derive(Serialize)]
struct Document {
    model: String,
    file: String,
    #[serde(flatten)]
    pruned: Pruned,
}

pub(super) fn prune(args: &PruneArgs, model: &Path) -> Result<()> {
    match (&args.save, &args.of_model.out) {
        (Some(file), _) => save(args, model, file),
        (None, Some(_)) if args.overwrite.overwrite => {
            Err(input("--overwrite is for the file that --save writes; with --out leave it out"))
        }
        (None, Some(out)) => curves(args, model, out),
        (None, None) => Err(input(
            "name a folder for the curves with --out, or a file for a pruned network with --save",
        )),
    }
}

fn task_options(args: &PruneArgs, model: &Path) -> Result<TaskOptions> {
    args.network.options(model, &[], 0, args.run.model_device()?)
}

fn curves(args: &PruneArgs, model: &Path, out: &Path) -> Result<()> {
    let PruneModelArgs { layer, shares, compare, calibration, seed, .. } = &args.of_model;
    let options = PruneOptions {
        layers: distinct(layer.iter().cloned()),
        shares: if shares.is_empty() { SHARES.to_vec() } else { shares.clone() },
        compare: compare.unwrap_or(Compare::Few),
        calibration: calibration.unwrap_or(0),
        seed: seed.unwrap_or(0),
    };
    let task = Task::open(&task_options(args, model)?)?;
    let Pruning { points, costs, by_output } = prune::prune(&task, out, &options)?;
    match args.json.is_asked() {
        true => print_json(&ModelDocument::new(
            (model, out, PAGE),
            [
                ("pruning", PrunePoint::to_frame(&points)?),
                ("pruning_cost", CostPoint::to_frame(&costs)?),
                ("accuracy_by_output", OutputAccuracy::to_frame(&by_output)?),
            ],
        )),
        false => print(&prune::table(&points).markdown()),
    }
}

fn save(args: &PruneArgs, model: &Path, path: &Path) -> Result<()> {
    let PruneModelArgs { layer, budget, order, calibration, seed, .. } = &args.of_model;
    let amount = match (args.count, budget) {
        (_, Some(share)) => Amount::Budget(*share),
        (Some(count), None) => Amount::Count(count),
        (None, None) => return Err(input("--save needs --count or --budget")),
    };
    let asked = task_options(args, model)?;
    let reads = asked.reads();
    let reads: Vec<&Path> = reads.iter().map(PathBuf::as_path).collect();
    let file = OutputFile::new("--save", path, Kind::Onnx, &reads, args.overwrite)?;
    args.json.check("--save", Some(&file))?;
    let task = Task::open(&asked)?;
    let pruned = prune_network(
        &task,
        &SaveOptions {
            layers: distinct(layer.iter().cloned()),
            amount,
            rule: order.unwrap_or(GroupRule::Of(args.rule.rule())),
            takeover: args.takeover,
            calibration: calibration.unwrap_or(0),
            seed: seed.unwrap_or(0),
        },
    )?;
    file.write(&pruned.bytes)?;
    match args.json.is_asked() {
        true => {
            print_json(&Document { model: path_text(model), file: path_text(file.path()), pruned })
        }
        false => file.print_beside(&summary(file.path(), &pruned)),
    }
}

fn summary(file: &Path, pruned: &Pruned) -> String {
    let Pruned { layers, before, after, images, .. } = pruned;
    let mut text = format!("{}\n", file.display());
    for layer in layers {
        text += &format!(
            "{}: {} of {} channels went\n",
            layer.layer,
            layer.pruned.len(),
            layer.channels
        );
    }
    let share = |after: f64, before: f64| percent(after / before);
    text += &format!(
        "operations {} MACs, {} % of before\nparameters {}, {} % of before\ntime {:.2} ms an \
         image, {} % of before\naccuracy on {images} images: {} % before, {} % after\n",
        after.macs,
        share(after.macs as f64, before.macs as f64),
        after.parameters,
        share(after.parameters as f64, before.parameters as f64),
        after.milliseconds,
        share(after.milliseconds, before.milliseconds),
        percent(before.accuracy),
        percent(after.accuracy),
    );
    text += "Weights are written as f32.\n";
    if pruned.takeover == Takeover::Nothing.id() {
        text += "Nothing takes over what the pruned channels did; try --takeover least_squares.\n";
    }
    text
}
