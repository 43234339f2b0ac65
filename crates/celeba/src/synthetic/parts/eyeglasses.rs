//! Eyeglasses and sunglasses (Eyeglasses).

use super::head::Outline;
use crate::synthetic::canvas::{Canvas, curve, ellipse};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    if !look.has("Eyeglasses") {
        return;
    }
    let a = look.appearance;
    let frame = Colour::BLACK.mix(a.accent[2], 0.3);
    let dark = a.style[1] < 0.3;
    let radii = (13., 9. + 3. * a.style[1]);
    let temple = Outline::of(look).cheek();
    let centres = [-1., 1.].map(|side| look.project((side * (a.eye_distance + 0.5), 1.), 5.));
    for (centre, side) in centres.into_iter().zip([-1., 1.]) {
        draw_lens(canvas, centre, radii, dark);
        canvas.stroke(ellipse(centre, radii), frame, 2.6, 1.);
        let arm = [(centre.0 + side * radii.0, centre.1 - 2.), (side * temple, -2.)];
        canvas.stroke(curve(&arm), frame, 2.2, 1.);
    }
    let rx = radii.0;
    let bridge = [
        (centres[0].0 + rx, 0.),
        (centres[0].0 + rx + (centres[1].0 - centres[0].0) / 2. - rx, -2.),
        (centres[1].0 - rx, 0.),
    ];
    canvas.stroke(curve(&bridge), frame, 2.2, 1.);
}

/// The lens of sunglasses, or a clear one with a reflection.
fn draw_lens(canvas: &mut Canvas, centre: (f32, f32), radii: (f32, f32), dark: bool) {
    if dark {
        canvas.fill(ellipse(centre, radii), Colour(25., 22., 25.), 0.88);
        return;
    }
    canvas.fill(ellipse(centre, radii), Colour(225., 238., 250.), 0.22);
    let (x, y) = centre;
    canvas.stroke(curve(&[(x - 5., y + 2.), (x + 1., y - 5.)]), Colour::WHITE, 1.4, 0.7);
}
