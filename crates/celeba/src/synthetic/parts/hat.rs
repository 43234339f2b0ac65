//! Hats (Wearing_Hat): a cap, a knitted cap or a hat with a brim.

use super::head::Outline;
use crate::synthetic::canvas::{Canvas, closed_curve, curve, ellipse, polygon};
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    if !look.has("Wearing_Hat") {
        return;
    }
    let half = Outline::of(look).cheek() + 5.;
    let dome = [
        (-half, -24.),
        (-half + 2., -46.),
        (-26., -72.),
        (0., -79.),
        (26., -72.),
        (half - 2., -46.),
        (half, -24.),
        (0., -30.),
    ];
    canvas.fill(closed_curve(&dome), look.appearance.accent[0], 1.);
    match (look.appearance.style[0] * 3.) as usize {
        0 => draw_peak(canvas, look),
        1 => draw_ribs(canvas, look, half),
        _ => draw_brim(canvas, look, half),
    }
}

/// The peak of a cap, which turns with the face.
fn draw_peak(canvas: &mut Canvas, look: &Look) {
    let colour = look.appearance.accent[0];
    let x = look.appearance.yaw * 12.;
    let peak =
        [(x - 38., -27.), (x, -36.), (x + 38., -27.), (x + 32., -17.), (x, -20.), (x - 32., -17.)];
    canvas.fill(closed_curve(&peak), colour.lighter(-0.35), 1.);
    let seam = [(0., -78.), (x * 0.5, -50.), (x, -34.)];
    canvas.stroke(curve(&seam), colour.lighter(-0.4), 1.2, 0.8);
}

/// The ribs of a knitted cap.
fn draw_ribs(canvas: &mut Canvas, look: &Look, half: f32) {
    let colour = look.appearance.accent[0];
    let band = [(-half - 1., -38.), (half + 1., -38.), (half + 1., -23.), (-half - 1., -23.)];
    canvas.fill(polygon(&band), colour.lighter(0.25), 1.);
    for i in 0..14 {
        let x = -half + (2. * half) * i as f32 / 13.;
        canvas.stroke(curve(&[(x, -38.), (x, -24.)]), colour.lighter(-0.3), 1., 0.8);
    }
}

/// A brim and a band.
fn draw_brim(canvas: &mut Canvas, look: &Look, half: f32) {
    let [colour, band_colour, ..] = look.appearance.accent;
    canvas.fill(ellipse((0., -27.), (half + 24., 8.)), colour.lighter(-0.2), 1.);
    let band = [(-half + 1., -42.), (half - 1., -42.), (half, -31.), (-half, -31.)];
    canvas.fill(polygon(&band), band_colour, 1.);
}
