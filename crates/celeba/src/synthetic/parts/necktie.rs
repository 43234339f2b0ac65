//! Necktie, with the shirt and the jacket that go with it (Wearing_Necktie).

use crate::synthetic::canvas::{Canvas, curve, polygon};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    if look.has("Wearing_Necktie") {
        draw_shirt_and_jacket(canvas, look);
        draw_tie(canvas, look);
    }
}

fn draw_shirt_and_jacket(canvas: &mut Canvas, look: &Look) {
    let a = look.appearance;
    let shirt = [(-24., 70.), (0., 80.), (24., 70.), (30., 150.), (-30., 150.)];
    canvas.fill(polygon(&shirt), Colour::WHITE.mix(a.clothes_detail, 0.15), 1.);
    for side in [-1., 1.] {
        let collar = [(side * 27., 64.), (side * 3., 76.), (side * 16., 92.)];
        canvas.fill(polygon(&collar), Colour::WHITE, 1.);
        canvas.stroke(curve(&collar), Colour(150., 150., 155.), 0.8, 1.);
        let lapel = [
            (side * 30., 68.),
            (side * 17., 90.),
            (side * 22., 150.),
            (side * 95., 150.),
            (side * 80., 88.),
        ];
        canvas.fill(polygon(&lapel), a.clothes.lighter(-0.5), 1.);
    }
}

fn draw_tie(canvas: &mut Canvas, look: &Look) {
    let a = look.appearance;
    let colour = a.accent[2];
    let knot = [(-6., 75.), (6., 75.), (4., 85.), (-4., 85.)];
    canvas.fill(polygon(&knot), colour.lighter(-0.25), 1.);
    canvas.fill(polygon(&[(-4., 85.), (4., 85.), (10., 150.), (-10., 150.)]), colour, 1.);
    for stripe in 0..4 {
        let y = 90. + 12. * stripe as f32;
        let width = 1.6 * a.style[2] + 0.4;
        canvas.stroke(curve(&[(-6., y), (6., y + 6.)]), colour.lighter(0.5), width, 0.8);
    }
}
