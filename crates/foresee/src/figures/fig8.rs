//! Figure 8: accuracy under noise for several tone curves.

use foresee_perturb::Curve as ToneCurve;
use foresee_report::{Band, Curve, Figure, Level, LineStyle, Panel};

use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Artifact, TransformationCurves, TransformationPoint};
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::test_faces;

/// Curves of one colour follow each other, each in a line style of its own.
const STYLES: [LineStyle; 3] = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted];

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig8_mask_transformation",
    caption: "Figure 8: accuracy under noise for several n and β.",
    caption_of_chosen: None,
    data: &[TransformationCurves::PATH],
    takes: Takes::Panels,
    needs: None,
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let points: TransformationCurves = request.run.read()?;
    let points: Vec<TransformationPoint> = points.points.into_iter().map(|(p, _)| p).collect();
    let panels = panels(&points, "masks");
    let source = request.source(&test_faces(points.first().map(|point| point.images)));
    request.curves(name, panels, &source)
}

/// Accuracy under noise, and what the curves gain over the untransformed masks, or gates.
pub(crate) fn panels(points: &[TransformationPoint], what: &str) -> Vec<Panel> {
    let accuracy = |p: &TransformationPoint| 100. * p.accuracy;
    let gain = |p: &TransformationPoint| 100. * p.gain;
    let error = |p: &TransformationPoint| {
        let (low, high) = (p.gain - p.gain_standard_error, p.gain + p.gain_standard_error);
        (100. * low, 100. * high)
    };
    let gains = format!("gain over the untransformed {what} (± standard error)");
    // The same for every point.
    let majority = points.first().map(|point| 100. * point.majority_accuracy);
    let baseline = majority.map(|y| Level { name: "majority-class baseline".into(), y });
    let accuracies = panel("accuracy", "accuracy [%]", lines(points, accuracy, None));
    vec![
        Panel { levels: baseline.into_iter().collect(), ..accuracies },
        panel(&gains, "gain [percentage points]", lines(points, gain, Some(error))),
    ]
}

fn panel(title: &str, y: &str, curves: Vec<Curve>) -> Panel {
    Panel {
        title: title.into(),
        x: "σ of the Gaussian noise (pixels in [0, 1])".into(),
        y: y.into(),
        curves,
        levels: vec![],
    }
}

type Value<T> = fn(&TransformationPoint) -> T;

/// A line for each tone curve.
fn lines(
    points: &[TransformationPoint],
    y: Value<f64>,
    spread: Option<Value<(f64, f64)>>,
) -> Vec<Curve> {
    let tones = distinct(points.iter().map(|point| &point.curve));
    let line = |(i, tone): (usize, &&ToneCurve)| {
        let own = || points.iter().filter(|point| point.curve == **tone);
        let values = own().map(|point| (point.sigma, y(point))).collect();
        let style = STYLES[i % STYLES.len()];
        let mut line = Curve::new(tone.title(), values, i / STYLES.len(), style);
        if let Some(spread) = spread {
            line.spread = own().map(spread).collect();
            line.band = Band::Bars;
        }
        line
    };
    tones.iter().enumerate().map(line).collect()
}
