//! What is behind the face: a gradient and a few blurred or sharp shapes.

use rand::Rng;

use crate::synthetic::appearance::{Appearance, Detail, jitter};
use crate::synthetic::canvas::{Canvas, ellipse, polygon};
use crate::synthetic::{HEIGHT, WIDTH};

pub(crate) fn draw(canvas: &mut Canvas, appearance: &Appearance) {
    let [a, b] = appearance.background;
    canvas.gradient(appearance.background_angle, (a, 1.), (b, 1.));
    let mut rng = appearance.details(Detail::Background);
    for _ in 0..rng.random_range(0..7) {
        let centre = (rng.random_range(0. ..WIDTH as f32), rng.random_range(0. ..HEIGHT as f32));
        let radius = (rng.random_range(8. ..60.), rng.random_range(8. ..60.));
        let colour = a.mix(b, rng.random_range(-0.5..1.5)).lighter(jitter(&mut rng, 0.4));
        let alpha = rng.random_range(0.2..0.9);
        match rng.random_range(0..3) {
            0 => canvas.glow(centre, radius, colour, alpha),
            1 => canvas.fill(ellipse(centre, radius), colour, alpha),
            _ => {
                let (x, y) = centre;
                let w = radius.0;
                let h = radius.1 * 2.;
                canvas.fill(
                    polygon(&[(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]),
                    colour,
                    alpha,
                );
            }
        }
    }
}
