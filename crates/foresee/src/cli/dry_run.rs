//! `--dry-run`: what a run would do and take.

use serde::Serialize;

use super::json::{Faces, path_text};
use super::time::duration;
use crate::run::{PlannedStage, Stage, StageState};
use crate::stages::plan::{Cost, Plan};

/// What `--dry-run --json` prints.
#[derive(Serialize)]
pub(super) struct PlanDocument<'a> {
    folder: String,
    seed: u64,
    device: &'a str,
    faces: Faces,
    /// Whether the faces are drawn first.
    draws_faces: bool,
    stages: Vec<StageDocument>,
    /// Times are in seconds, memory and disk in bytes; all are estimates.
    estimate: &'a Cost,
}

#[derive(Serialize)]
struct StageDocument {
    stage: Stage,
    runs: bool,
    state: StageState,
    reason: String,
}

impl<'a> PlanDocument<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let manifest = &plan.run.manifest;
        let stage = |planned: &PlannedStage| StageDocument {
            stage: planned.stage,
            runs: planned.state.runs(),
            state: planned.state,
            reason: planned.state.to_string(),
        };
        Self {
            folder: path_text(plan.run.folder()),
            seed: manifest.seed,
            device: &manifest.device,
            faces: (&manifest.data).into(),
            draws_faces: plan.draws,
            stages: plan.run.planned().iter().map(stage).collect(),
            estimate: &plan.cost,
        }
    }
}

/// The plan in words.
pub(super) fn text(plan: &Plan) -> String {
    let data = &plan.run.manifest.data;
    let mut text = format!("{}\n{}", plan.run.folder().display(), data.description());
    text.push_str(if plan.draws { ", to be drawn\n\n" } else { "\n\n" });
    text.push_str(&stages(plan));
    text.push_str(&training(&plan.cost));
    text.push_str(&resources(&plan.cost));
    text + "Nothing was written.\n"
}

fn stages(plan: &Plan) -> String {
    let mut text = String::new();
    for stage in Stage::ALL {
        let planned = plan.run.planned().iter().find(|planned| planned.stage == stage);
        let state = planned.map_or("left out by the settings".into(), |p| p.state.to_string());
        let time = plan.cost.stages.iter().find(|time| time.stage == stage);
        let time = time.map_or(String::new(), |time| {
            format!(", about {}, {}", duration(time.seconds), time.basis.title())
        });
        text.push_str(&format!("{:<10} {state}{time}\n", stage.id()));
    }
    text
}

fn training(cost: &Cost) -> String {
    let training = &cost.training;
    if !training.runs {
        return "\n".into();
    }
    let mut text = format!(
        "\ntraining   {} parameters, {} epochs, {} steps of {} images, {} images in all\n",
        training.parameters, training.epochs, training.steps, training.batch, training.images
    );
    if training.checkpoint {
        text.push_str("           from the checkpoint that is there, so less than this\n");
    }
    if let Some(measured) = cost.measured_batch.filter(|measured| *measured < training.batch) {
        text.push_str(&format!(
            "           measured with {measured} images a step, since memory is short\n"
        ));
    }
    text
}

fn resources(cost: &Cost) -> String {
    let gigabytes = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
    let mut text = match cost.stages.is_empty() {
        true => "time       nothing is to be done\n".to_owned(),
        false => format!(
            "time       about {} at this machine's present load; it may be off by a factor of two, \
             of attribute by three\n",
            duration(cost.seconds)
        ),
    };
    let available = cost.memory.available.map(|bytes| format!(", {} available", gigabytes(bytes)));
    text.push_str(&format!(
        "memory     about {}{}\n",
        gigabytes(cost.memory.needed),
        available.unwrap_or_default()
    ));
    let disk = &cost.disk;
    text.push_str(&format!("disk       up to {}", gigabytes(disk.needed)));
    text.push_str(&format!(", while it trains {} more", gigabytes(disk.checkpoints)));
    if disk.cache > 0 {
        text.push_str(&format!(", in the cache {}", gigabytes(disk.cache)));
    }
    if let Some(free) = disk.free {
        text.push_str(&format!(", {} free", gigabytes(free)));
    }
    text + "\n"
}
