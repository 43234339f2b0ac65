//! Eyes and what is around them: eye shadow, bags and lashes (Narrow_Eyes, Bags_Under_Eyes,
//! Heavy_Makeup).

use crate::synthetic::canvas::{Canvas, closed_curve, curve, ellipse};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

/// The centre of the left (-1) or right (1) eye in the picture.
pub(crate) fn centre(look: &Look, side: f32) -> (f32, f32) {
    look.project((side * look.appearance.eye_distance, 0.), 4.)
}

/// Draws the left (-1) or right (1) eye.
pub(crate) fn draw(canvas: &mut Canvas, look: &Look, side: f32) {
    let centre = centre(look, side);
    let made_up = look.has("Heavy_Makeup");
    let radii = if look.has("Narrow_Eyes") { (9., 1.9) } else { (8.6, 4.7) };
    if made_up {
        draw_makeup(canvas, look, centre, side);
    }
    if look.has("Bags_Under_Eyes") {
        draw_bag(canvas, look, centre);
    }
    draw_eyeball(canvas, look, centre, radii);
    draw_upper_lid(canvas, look, centre, radii);
    if made_up {
        draw_eyeliner(canvas, centre, radii, side);
    }
    if look.has("Narrow_Eyes") {
        let (x, y) = centre;
        let fold = [(x - radii.0, y - 3.), (x, y - 4.6), (x + radii.0, y - 2.6)];
        canvas.stroke(curve(&fold), look.skin.lighter(-0.35), 1.6, 0.9);
    }
}

/// Eye shadow, and rouge below.
fn draw_makeup(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), side: f32) {
    let shadow = Colour(95., 50., 110.).mix(look.appearance.accent[3], 0.25);
    canvas.fill(ellipse((x, y - 4.), (11.5, 6.5)), shadow, 0.75);
    canvas.glow((side * 31., 20.), (12., 9.), Colour(190., 80., 80.), 0.45);
}

fn draw_bag(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32)) {
    let shape = [
        (x - 10., y + 5.),
        (x, y + 7.5),
        (x + 10., y + 5.),
        (x + 8., y + 11.),
        (x, y + 13.5),
        (x - 8., y + 11.),
    ];
    canvas.fill(closed_curve(&shape), Colour(80., 50., 70.).mix(look.skin, 0.35), 0.75);
    let line = [(x - 9., y + 10.), (x, y + 13.5), (x + 9., y + 10.)];
    canvas.stroke(curve(&line), look.skin.lighter(-0.55), 1.4, 0.85);
}

fn draw_eyeball(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), (rx, ry): (f32, f32)) {
    let shape = [
        (x - rx, y),
        (x - rx * 0.5, y - ry * 0.9),
        (x + rx * 0.1, y - ry),
        (x + rx * 0.6, y - ry * 0.8),
        (x + rx, y),
        (x + rx * 0.5, y + ry * 0.8),
        (x - rx * 0.5, y + ry * 0.8),
    ];
    canvas.fill(closed_curve(&shape), Colour::WHITE, 1.);
    let gaze = x + look.appearance.yaw * 1.5;
    let iris = 3.9f32;
    let pupil = 1.9f32;
    canvas.fill(ellipse((gaze, y), (iris, iris.min(ry))), look.appearance.iris, 1.);
    canvas.fill(ellipse((gaze, y), (pupil, pupil.min(ry))), Colour::BLACK, 1.);
    let reflection = (0.9, 0.9f32.min(ry * 0.5));
    canvas.fill(ellipse((gaze - 1.2, y - ry * 0.3), reflection), Colour::WHITE, 1.);
}

fn draw_upper_lid(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), (rx, ry): (f32, f32)) {
    let line = [
        (x - rx, y),
        (x - rx * 0.5, y - ry * 0.9),
        (x + rx * 0.1, y - ry),
        (x + rx * 0.6, y - ry * 0.8),
        (x + rx, y),
    ];
    let (colour, width) = if look.has("Heavy_Makeup") {
        (Colour::BLACK, 2.4)
    } else {
        (look.skin.lighter(-0.65), 1.3)
    };
    canvas.stroke(curve(&line), colour, width, 1.);
}

fn draw_eyeliner(canvas: &mut Canvas, (x, y): (f32, f32), (rx, ry): (f32, f32), side: f32) {
    let wing = [(x + side * rx, y), (x + side * (rx + 5.), y - 4.)];
    canvas.stroke(curve(&wing), Colour::BLACK, 1.8, 1.);
    let lower_lid = [(x - rx * 0.6, y + ry * 0.8), (x, y + ry), (x + rx * 0.6, y + ry * 0.8)];
    canvas.stroke(curve(&lower_lid), Colour::BLACK, 1.2, 0.9);
}
