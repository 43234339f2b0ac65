//! Earrings (Wearing_Earrings): studs, rings or pendants.

use super::head::Outline;
use crate::synthetic::canvas::{Canvas, curve, ellipse, polygon};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    if !look.has("Wearing_Earrings") {
        return;
    }
    let a = look.appearance;
    let metals = [Colour(236., 196., 70.), Colour(232., 234., 240.), a.accent[0]];
    let metal = metals[(a.style[2] * 2.99) as usize];
    let lobe = Outline::of(look).cheek() + 3.;
    for side in [-1., 1.] {
        let x = side * lobe;
        let y = 19.;
        match (a.style[1] * 3.) as usize {
            0 => {
                canvas.fill(ellipse((x, y), (4.2, 4.2)), metal.lighter(-0.4), 1.);
                canvas.fill(ellipse((x, y), (3.4, 3.4)), metal, 1.);
            }
            1 => canvas.stroke(ellipse((x, y + 7.), (6., 8.)), metal, 2.4, 1.),
            _ => {
                canvas.stroke(curve(&[(x, y), (x, y + 10.)]), metal, 1.6, 1.);
                let pendant = [(x, y + 7.), (x + 4.5, y + 15.), (x, y + 20.), (x - 4.5, y + 15.)];
                canvas.fill(polygon(&pendant), metal, 1.);
            }
        }
        canvas.fill(ellipse((x - 1., y - 1.), (1.1, 1.1)), Colour::WHITE, 1.);
    }
}
