//! Nose (Big_Nose, Pointy_Nose).

use crate::synthetic::canvas::{Canvas, closed_curve, curve, ellipse, polygon};
use crate::synthetic::look::Look;

/// How far the nose stands out from the face.
const DEPTH: f32 = 6.;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    let big = look.has("Big_Nose");
    let (width, end) = if big { (13., 26.) } else { (7.5, 22.) };
    if look.has("Pointy_Nose") {
        draw_pointed(canvas, look, width, end);
    } else {
        draw_round(canvas, look, width, end);
    }
    let shadow = look.skin.lighter(-0.32);
    let nostril = if big { (3.4, 2.) } else { (2., 1.3) };
    for side in [-1., 1.] {
        let centre = look.project((side * width * 0.5, end - 0.5), DEPTH);
        canvas.fill(ellipse(centre, nostril), shadow.lighter(-0.5), 0.9);
        if big {
            let wing = [
                (side * width * 0.8, end - 9.),
                (side * (width + 1.), end - 3.),
                (side * width * 0.8, end),
            ]
            .map(|p| look.project(p, DEPTH));
            canvas.stroke(curve(&wing), shadow, 1.8, 0.9);
        }
    }
}

fn draw_pointed(canvas: &mut Canvas, look: &Look, width: f32, end: f32) {
    let project = |p: (f32, f32)| look.project(p, DEPTH);
    let shadow = look.skin.lighter(-0.32);
    let body =
        [(-2., 2.), (2., 2.), (width * 0.7, end - 3.), (0., end + 4.), (-width * 0.7, end - 3.)]
            .map(project);
    canvas.fill(polygon(&body), shadow.mix(look.skin, 0.4), 1.);
    let ridge = [(-1., 0.), (1.5, 0.), (3., end - 2.), (0., end + 2.), (-2., end - 2.)];
    canvas.fill(polygon(&ridge.map(project)), look.skin.lighter(0.28), 0.95);
    let tip = [(-width * 0.7, end - 3.), (0., end + 4.), (width * 0.7, end - 3.)];
    canvas.stroke(curve(&tip.map(project)), shadow.lighter(-0.3), 1.4, 1.);
}

fn draw_round(canvas: &mut Canvas, look: &Look, width: f32, end: f32) {
    let project = |p: (f32, f32)| look.project(p, DEPTH);
    let body = [
        (-2.5, 2.),
        (2.5, 2.),
        (width * 0.6, end - 8.),
        (width, end - 2.),
        (0., end + 1.),
        (-width, end - 2.),
        (-width * 0.6, end - 8.),
    ]
    .map(project);
    canvas.fill(closed_curve(&body), look.skin.lighter(-0.32).mix(look.skin, 0.62), 1.);
    let highlight = project((-1., end - 8.));
    canvas.glow(highlight, (width * 0.5, 11.), look.skin.lighter(0.28), 0.8);
}
