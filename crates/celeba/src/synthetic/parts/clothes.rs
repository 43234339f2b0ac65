//! Neck, shoulders and the clothes on them.

use crate::synthetic::canvas::{Canvas, closed_curve, curve, polygon};
use crate::synthetic::look::Look;

/// Half of the neck's width.
pub(crate) fn neck(look: &Look) -> f32 {
    if look.has("Male") { 25. } else { 18. }
}

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    let a = look.appearance;
    let neck = neck(look);
    let shoulder = if look.has("Male") { 80. } else { 68. };
    let body = [
        (-neck - 4., 70.),
        (neck + 4., 70.),
        (shoulder, 86.),
        (shoulder + 14., 150.),
        (-shoulder - 14., 150.),
        (-shoulder, 86.),
    ];
    canvas.fill(closed_curve(&body), a.clothes, 1.);
    let throat = [
        (-neck, 30.),
        (neck, 30.),
        (neck + 2., 66.),
        (neck + 14., 84.),
        (0., 100.),
        (-neck - 14., 84.),
        (-neck - 2., 66.),
    ];
    canvas.fill(polygon(&throat), look.skin.lighter(-0.14), 1.);
    let depth = 80. + 12. * a.neckline;
    let neckline = [
        (-neck - 14., 78.),
        (-neck * 0.6, depth - 4.),
        (0., depth),
        (neck * 0.6, depth - 4.),
        (neck + 14., 78.),
    ];
    let mut front = neckline.to_vec();
    front.extend([
        (shoulder + 14., 100.),
        (shoulder + 14., 150.),
        (-shoulder - 14., 150.),
        (-shoulder - 14., 100.),
    ]);
    canvas.fill(polygon(&front), a.clothes, 1.);
    canvas.stroke(curve(&neckline), a.clothes_detail, 2.5, 0.9);
}
