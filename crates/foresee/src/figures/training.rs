//! The course of the training.

use foresee_report::LineStyle::{Dashed, Dotted, Solid};
use foresee_report::{Curve, Figure, Panel};
use foresee_stats::mean;

use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Row, TrainingStep, Validation};
use crate::error::Result;
use crate::faces::VALIDATION_FACES;

/// Points of a curve, at most; each is the mean of as many steps.
const POINTS: usize = 40;

pub(super) const DRAWING: Drawing = Drawing {
    name: "training",
    caption: "Loss and its two parts, and accuracy, over the training. Points of losses and of \
              training batches are means of several steps, on images as the training changes them \
              (mirrored, cropped, with noise or without some channels, where settings say so). \
              Validation is on unchanged images with all channels, after each epoch.",
    caption_of_chosen: None,
    data: &[<TrainingStep as Row>::PATH, <Validation as Row>::PATH],
    takes: Takes::Panels,
    needs: None,
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let run = request.run;
    let steps: Vec<TrainingStep> = run.read()?;
    let losses = vec![
        Curve::new("L, Eq. 10", smoothed(&steps, |s| s.loss), 6, Dotted),
        Curve::new(
            "classification L_b, Eq. 8",
            smoothed(&steps, |s| s.classification_loss),
            0,
            Solid,
        ),
        Curve::new("sparsity λ‖M‖₁", smoothed(&steps, |s| s.sparsity_loss), 1, Dashed),
    ];
    let batches = smoothed(&steps, |s| s.batch_accuracy);
    let batches = batches.into_iter().map(|(x, y)| (x, 100. * y)).collect();
    let mut accuracy = vec![Curve::new("training batches", batches, 2, Solid)];
    let validation: Vec<Validation> = run.read()?;
    if !validation.is_empty() {
        let per_epoch = steps.len() as f64 / run.manifest.config.train.trainer.epochs as f64;
        let point = |v: &Validation| (v.epochs_done as f64 * per_epoch, 100. * v.accuracy);
        let points = validation.iter().map(point).collect();
        accuracy.push(Curve::new("validation faces", points, 3, Dashed));
    }
    let panels = vec![panel("loss", losses), panel("accuracy [%]", accuracy)];
    let validated = match run.manifest.data.val.min(VALIDATION_FACES) {
        0 => String::new(),
        faces => format!(" and {faces} validation faces"),
    };
    request.curves(name, panels, &request.source(&format!("batches{validated}")))
}

fn smoothed(steps: &[TrainingStep], value: fn(&TrainingStep) -> f64) -> Vec<(f64, f64)> {
    let window = steps.len().div_ceil(POINTS).max(1);
    let point = |(i, chunk): (usize, &[TrainingStep])| {
        let middle = i * window + chunk.len() / 2;
        (middle as f64, mean(&chunk.iter().map(value).collect::<Vec<_>>()))
    };
    steps.chunks(window).enumerate().map(point).collect()
}

fn panel(y: &str, curves: Vec<Curve>) -> Panel {
    Panel { title: String::new(), x: "training step".into(), y: y.into(), curves, levels: vec![] }
}
