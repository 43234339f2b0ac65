//! Eyebrows (Arched_Eyebrows, Bushy_Eyebrows).

use super::eyes;
use crate::synthetic::canvas::{Canvas, curve};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

/// Draws the left (-1) or right (1) eyebrow.
pub(crate) fn draw(canvas: &mut Canvas, look: &Look, side: f32) {
    let (x, eye_y) = eyes::centre(look, side);
    let y = eye_y - 12.;
    let bushy = look.has("Bushy_Eyebrows");
    let width = if bushy { 6. } else { 2.3 } + if look.has("Male") { 0.9 } else { 0. };
    let colour = look.hair.mix(Colour(30., 22., 18.), 0.55);
    let line = if look.has("Arched_Eyebrows") {
        [(x - side * 9., y + 2.5), (x + side * 4., y - 7.), (x + side * 12., y + 1.)]
    } else {
        [(x - side * 9., y), (x + side * 1., y - 0.8), (x + side * 11., y + 0.5)]
    };
    canvas.stroke(curve(&line), colour, width, 0.95);
    if bushy {
        for i in 0..9 {
            let t = i as f32 / 8.;
            let root = (x - side * 9. + side * 20. * t, y + 1.);
            let tip = (root.0 + side * 1.5, root.1 - 6.);
            canvas.stroke(curve(&[root, tip]), colour, 1., 0.9);
        }
    }
}
