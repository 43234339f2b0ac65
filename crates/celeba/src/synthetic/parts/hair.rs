//! Hair on the head (Bald, Bangs, Receding_Hairline, Straight_Hair, Wavy_Hair). Its colour is in
//! `look.rs`.

use super::head::Outline;
use crate::synthetic::appearance::{Detail, jitter};
use crate::synthetic::canvas::{Canvas, closed_curve, curve, mirrored, polygon};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

fn is_long(look: &Look) -> bool {
    !look.has("Male") || look.appearance.style[0] > 0.93
}

/// Draws the hair behind the head: if it is long, the sides that fall to the shoulders.
pub(crate) fn draw_behind_head(canvas: &mut Canvas, look: &Look) {
    if look.has("Bald") {
        return;
    }
    let wavy = look.has("Wavy_Hair");
    let cheek = Outline::of(look).cheek();
    let length = if is_long(look) { look.appearance.hair_length } else { 8. };
    let (width, end) = if wavy { (cheek + 13., length + 4.) } else { (cheek + 7., length) };
    let steps = 8;
    let mut right = vec![(0., -64.), (26., -60.), (width - 4., -38.)];
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        let wave = if wavy { 5. * (i as f32 * 2.6).sin() } else { 0. };
        right.push((width + wave, -20. + (end + 20.) * t));
    }
    right.extend([(width - 12., end + 3.), (0., end.min(40.))]);
    canvas.fill(closed_curve(&mirrored(&right)), look.hair.lighter(-0.12), 1.);
    if is_long(look) {
        for side in [-1., 1.] {
            for i in 0..5 {
                let x = side * (cheek - 4. + 3.4 * i as f32);
                draw_strand(canvas, look, (x, -20.), (x, end - 2.), i);
            }
        }
    }
}

/// Draws strand i of several: a wave, a straight line, or nothing where the hair is neither wavy
/// nor straight.
fn draw_strand(canvas: &mut Canvas, look: &Look, from: (f32, f32), to: (f32, f32), i: usize) {
    let tone = if i.is_multiple_of(2) { look.hair.lighter(0.3) } else { look.hair.lighter(-0.45) };
    if look.has("Wavy_Hair") {
        let points: Vec<_> = (0..=10)
            .map(|j| {
                let t = j as f32 / 10.;
                (
                    from.0 + (to.0 - from.0) * t + 3.2 * (j as f32 * 1.7 + i as f32).sin(),
                    from.1 + (to.1 - from.1) * t,
                )
            })
            .collect();
        canvas.stroke(curve(&points), tone, 1.7, 0.9);
    } else if look.has("Straight_Hair") {
        canvas.stroke(curve(&[from, to]), tone, 1.3, 0.9);
    }
}

/// Draws the hair over the forehead, or the shine of a bald head.
pub(crate) fn draw_over_forehead(canvas: &mut Canvas, look: &Look) {
    if look.has("Bald") {
        canvas.glow((look.appearance.parting, -42.), (18., 9.), Colour::WHITE, 0.75);
        return;
    }
    let receding = look.has("Receding_Hairline");
    let (middle, temple) = if receding { (-44., -53.) } else { (-33., -31.) };
    draw_crown(canvas, look, middle, (if receding { 21. } else { 27. }, temple));
    let part = look.appearance.parting;
    for i in 0..9 {
        let x = -32. + 8. * i as f32;
        let root = (part * 0.5 + x * 0.35, -61.);
        draw_strand(canvas, look, root, (x, middle - 2. - (10. - x.abs() * 0.1)), i);
    }
    if look.has("Bangs") {
        draw_bangs(canvas, look);
    }
}

/// The crown, down to the hairline at `middle` and at the right temple.
fn draw_crown(canvas: &mut Canvas, look: &Look, middle: f32, temple: (f32, f32)) {
    let side = Outline::of(look).cheek();
    let end = if is_long(look) { 14. } else { -4. };
    let crown = [
        (-side - 3., end),
        (-side - 4., -22.),
        (-30., -55.),
        (0., -65.),
        (30., -55.),
        (side + 4., -22.),
        (side + 3., end),
        (side - 4., -12.),
        (temple.0 + 6., temple.1 + 9.),
        temple,
        (look.appearance.parting, middle - 3.),
        (-temple.0, temple.1),
        (-temple.0 - 6., temple.1 + 9.),
        (-side + 4., -12.),
    ];
    canvas.fill(closed_curve(&crown), look.hair, 1.);
}

fn draw_bangs(canvas: &mut Canvas, look: &Look) {
    let mut rng = look.appearance.details(Detail::Bangs);
    let mut points = vec![(-35., -30.), (-28., -52.), (0., -58.), (28., -52.), (35., -30.)];
    for i in 0..=10 {
        let tip = -17. + jitter(&mut rng, 2.5) + if i % 2 == 0 { 4. } else { -2. };
        points.push((35. - 7. * i as f32, tip));
    }
    canvas.fill(polygon(&points), look.hair.lighter(0.04), 1.);
    for i in 0..9 {
        let x = -28. + 7. * i as f32;
        let tone = look.hair.lighter(if i % 2 == 0 { 0.25 } else { -0.35 });
        canvas.stroke(curve(&[(x * 0.7, -52.), (x, -20.)]), tone, 1.2, 0.8);
    }
}
