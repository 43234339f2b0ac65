//! Hair in the face (5_o_Clock_Shadow, No_Beard, Goatee, Mustache, Sideburns).

use rand::Rng;

use super::head::Outline;
use crate::synthetic::appearance::{Detail, jitter};
use crate::synthetic::canvas::{Canvas, closed_curve, curve, ellipse, mirrored, polygon};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

/// Darker than the hair on the head, and much darker where it would not stand out from the skin.
fn colour(look: &Look) -> Colour {
    let colour = look.hair.lighter(-0.2);
    if colour.distance(look.skin) < 120. { look.hair.lighter(-0.7) } else { colour }
}

/// Draws stubble, full beard and goatee, each if it is there.
pub(crate) fn draw_beard(canvas: &mut Canvas, look: &Look) {
    if look.has("5_o_Clock_Shadow") {
        draw_stubble(canvas, look);
    }
    if !look.has("No_Beard") {
        draw_full_beard(canvas, look);
    }
    if look.has("Goatee") {
        draw_goatee(canvas, look);
    }
}

fn draw_stubble(canvas: &mut Canvas, look: &Look) {
    let mouth = look.appearance.mouth_height;
    let end = Outline::of(look).chin_y();
    canvas.glow((0., mouth + 8.), (40., 26.), Colour(50., 55., 70.), 0.5);
    let mut rng = look.appearance.details(Detail::Stubble);
    for _ in 0..520 {
        let x = jitter(&mut rng, 36.);
        let y = rng.random_range(mouth - 14. ..end + 1.);
        if x.abs() < 36. - (y - mouth).max(0.) * 1.1 {
            canvas.fill(ellipse((x, y), (0.75, 0.75)), Colour(35., 30., 32.), 0.8);
        }
    }
}

fn draw_full_beard(canvas: &mut Canvas, look: &Look) {
    let mouth = look.appearance.mouth_height;
    let outline = Outline::of(look);
    let end = outline.chin_y();
    let mut right: Vec<_> =
        outline.below_eyes().iter().map(|p| (p.0 - 0.5, p.1.max(8.) + 1.)).collect();
    right.extend([(7., end - 9.), (18., mouth + 4.), (26., 28.), (33., 10.)]);
    let left: Vec<_> = right.iter().map(|p| (-p.0, p.1)).collect();
    canvas.fill(polygon(&right), colour(look), 0.88);
    canvas.fill(polygon(&left), colour(look), 0.88);
    let mut rng = look.appearance.details(Detail::Beard);
    for _ in 0..90 {
        let t: f32 = rng.random();
        let side = if rng.random() { 1. } else { -1. };
        let root = (side * (36. - 28. * t * t), 14. + (end - 16.) * t.powf(0.8));
        let tip = (root.0 + jitter(&mut rng, 1.5), root.1 + 4.);
        let tone = look.hair.lighter(jitter(&mut rng, 0.35));
        canvas.stroke(curve(&[root, tip]), tone, 0.8, 0.9);
    }
}

fn draw_goatee(canvas: &mut Canvas, look: &Look) {
    let mouth = look.appearance.mouth_height;
    let end = Outline::of(look).chin_y();
    let shape = mirrored(&[
        (0., mouth + 7.),
        (8., mouth + 8.),
        (12., mouth + 13.),
        (11., end - 2.),
        (0., end + 4.),
    ]);
    canvas.fill(closed_curve(&shape), colour(look), 0.97);
    for i in 0..7 {
        let x = -9. + 3. * i as f32;
        let strand = [(x, mouth + 11.), (x * 0.9, end + 1.)];
        canvas.stroke(curve(&strand), look.hair.lighter(0.25), 0.7, 0.8);
    }
}

pub(crate) fn draw_moustache(canvas: &mut Canvas, look: &Look) {
    if !look.has("Mustache") {
        return;
    }
    let project = |p: (f32, f32)| look.project(p, 4.);
    let y = look.appearance.mouth_height - 6.;
    let right =
        [(0., y - 3.5), (9., y - 4.), (18., y + 2.), (21., y + 7.), (11., y + 3.), (0., y + 2.)];
    let shape: Vec<_> = mirrored(&right).into_iter().map(project).collect();
    canvas.fill(closed_curve(&shape), colour(look), 0.97);
    for i in 0..9 {
        let x = -14. + 3.5 * i as f32;
        let strand = [(x * 0.7, y - 3.), (x, y + 3.)].map(project);
        canvas.stroke(curve(&strand), look.hair.lighter(0.25), 0.7, 0.8);
    }
}

pub(crate) fn draw_sideburns(canvas: &mut Canvas, look: &Look) {
    if !look.has("Sideburns") {
        return;
    }
    let cheek = Outline::of(look).cheek();
    for side in [-1., 1.] {
        let strip = [
            (side * (cheek + 1.), -16.),
            (side * (cheek - 7.), -16.),
            (side * (cheek - 8.), 14.),
            (side * (cheek - 12.), 28.),
            (side * (cheek - 3.), 24.),
        ];
        canvas.fill(closed_curve(&strip), colour(look), 0.95);
    }
}
