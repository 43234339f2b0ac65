//! Necklace (Wearing_Necklace).

use super::clothes::neck;
use crate::synthetic::canvas::{Canvas, curve, ellipse};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    if !look.has("Wearing_Necklace") {
        return;
    }
    let a = look.appearance;
    let neck = neck(look);
    let metals = [Colour(224., 184., 72.), Colour(235., 235., 240.), a.accent[3]];
    let metal = metals[(a.style[3] * 2.99) as usize];
    let drop = 84. + 8. * a.style[0];
    let line = [
        (-neck - 4., 68.),
        (-neck * 0.7, drop - 5.),
        (0., drop),
        (neck * 0.7, drop - 5.),
        (neck + 4., 68.),
    ];
    canvas.stroke(curve(&line), metal.lighter(-0.45), 2.6, 1.);
    canvas.stroke(curve(&line), metal, 1.5, 1.);
    for i in 0..=14 {
        let t = i as f32 / 7. - 1.;
        let x = t * (neck + 2.);
        let y = drop - (drop - 68.) * t.abs().powf(2.2);
        canvas.fill(ellipse((x, y), (2.4, 2.4)), metal, 1.);
        canvas.fill(ellipse((x - 0.7, y - 0.7), (0.8, 0.8)), Colour::WHITE, 1.);
    }
    canvas.fill(ellipse((0., drop + 5.), (4., 5.)), metal.mix(a.accent[3], 0.6), 1.);
}
