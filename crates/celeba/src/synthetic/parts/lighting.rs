//! Light from one side, and a tint over the complete picture.

use crate::synthetic::appearance::Appearance;
use crate::synthetic::canvas::Canvas;
use crate::synthetic::colour::Colour;

pub(crate) fn draw(canvas: &mut Canvas, a: &Appearance) {
    canvas.gradient(a.light_angle, (Colour::WHITE, a.light * 0.5), (Colour::BLACK, a.light));
    canvas.gradient(0., (a.tint, 0.07), (a.tint, 0.07));
}
