//! Hair on the head and in the face, and the hat that covers it.

use rand::Rng;

use super::appearance::within;
use super::canvas::{Canvas, Colour, blob, curve, ellipse, mirrored, polygon};
use super::head::outline;
use super::scene::Look;

fn is_long(look: &Look) -> bool {
    !look.has("Male") || look.appearance.style[0] > 0.93
}

/// Hair behind the head: for long hair, the sides that fall to the shoulders.
pub(crate) fn behind(canvas: &mut Canvas, look: &Look) {
    if look.has("Bald") {
        return;
    }
    let cheek = outline(look)[3].0;
    let end = if is_long(look) { look.appearance.hair_length } else { 8. };
    let (width, end) =
        if look.has("Wavy_Hair") { (cheek + 13., end + 4.) } else { (cheek + 7., end) };
    let steps = 8;
    let mut right = vec![(0., -64.), (26., -60.), (width - 4., -38.)];
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        let wave = if look.has("Wavy_Hair") { 5. * (i as f32 * 2.6).sin() } else { 0. };
        right.push((width + wave, -20. + (end + 20.) * t));
    }
    right.extend([(width - 12., end + 3.), (0., end.min(40.))]);
    canvas.fill(blob(&mirrored(&right)), look.hair.lighter(-0.12), 1.);
    if is_long(look) {
        for side in [-1., 1.] {
            for i in 0..5 {
                let x = side * (cheek - 4. + 3.4 * i as f32);
                strand(canvas, look, (x, -20.), (x, end - 2.), i);
            }
        }
    }
}

/// One visible strand: a wave, a straight line, or nothing much.
fn strand(canvas: &mut Canvas, look: &Look, from: (f32, f32), to: (f32, f32), i: usize) {
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

/// The hair over the forehead, with its line; bangs.
pub(crate) fn front(canvas: &mut Canvas, look: &Look) {
    let sides = outline(look)[3].0;
    if look.has("Sideburns") {
        let hair = facial(look);
        for side in [-1., 1.] {
            let strip = [
                (side * (sides + 1.), -16.),
                (side * (sides - 7.), -16.),
                (side * (sides - 8.), 14.),
                (side * (sides - 12.), 28.),
                (side * (sides - 3.), 24.),
            ];
            canvas.fill(blob(&strip), hair, 0.95);
        }
    }
    if look.has("Bald") {
        canvas.glow((look.appearance.parting, -42.), (18., 9.), Colour::WHITE, 0.75);
        return;
    }
    let receding = look.has("Receding_Hairline");
    let (middle, temple) = if receding { (-44., -53.) } else { (-33., -31.) };
    let temple_x = if receding { 21. } else { 27. };
    let part = look.appearance.parting;
    let cap = [
        (-sides - 3., if is_long(look) { 14. } else { -4. }),
        (-sides - 4., -22.),
        (-30., -55.),
        (0., -65.),
        (30., -55.),
        (sides + 4., -22.),
        (sides + 3., if is_long(look) { 14. } else { -4. }),
        (sides - 4., -12.),
        (temple_x + 6., temple + 9.),
        (temple_x, temple),
        (part, middle - 3.),
        (-temple_x, temple),
        (-temple_x - 6., temple + 9.),
        (-sides + 4., -12.),
    ];
    canvas.fill(blob(&cap), look.hair, 1.);
    for i in 0..9 {
        let x = -32. + 8. * i as f32;
        strand(
            canvas,
            look,
            (part * 0.5 + x * 0.35, -61.),
            (x, middle - 2. - (10. - x.abs() * 0.1)),
            i,
        );
    }
    if look.has("Bangs") {
        bangs(canvas, look);
    }
}

fn bangs(canvas: &mut Canvas, look: &Look) {
    let mut rng = look.appearance.details(4);
    let mut points = vec![(-35., -30.), (-28., -52.), (0., -58.), (28., -52.), (35., -30.)];
    for i in 0..=10 {
        let tip = -17. + within(&mut rng, 2.5) + if i % 2 == 0 { 4. } else { -2. };
        points.push((35. - 7. * i as f32, tip));
    }
    canvas.fill(polygon(&points), look.hair.lighter(0.04), 1.);
    for i in 0..9 {
        let x = -28. + 7. * i as f32;
        canvas.stroke(
            curve(&[(x * 0.7, -52.), (x, -20.)]),
            look.hair.lighter(if i % 2 == 0 { 0.25 } else { -0.35 }),
            1.2,
            0.8,
        );
    }
}

/// Hair in the face is darker than on the head, and much darker where it would be lost against the
/// skin.
fn facial(look: &Look) -> Colour {
    let colour = look.hair.lighter(-0.2);
    let apart = (colour.0 - look.skin.0).abs()
        + (colour.1 - look.skin.1).abs()
        + (colour.2 - look.skin.2).abs();
    if apart < 120. { look.hair.lighter(-0.7) } else { colour }
}

/// Full beard, goatee and stubble, each by itself.
pub(crate) fn beard(canvas: &mut Canvas, look: &Look) {
    let (outline, mouth) = (outline(look), look.appearance.mouth_height);
    let end = outline[8].1;
    if look.has("5_o_Clock_Shadow") {
        canvas.glow((0., mouth + 8.), (40., 26.), Colour(50., 55., 70.), 0.5);
        let mut rng = look.appearance.details(5);
        for _ in 0..520 {
            let at = (within(&mut rng, 36.), rng.random_range(mouth - 14. ..end + 1.));
            if at.0.abs() < 36. - (at.1 - mouth).max(0.) * 1.1 {
                canvas.fill(ellipse(at, (0.75, 0.75)), Colour(35., 30., 32.), 0.8);
            }
        }
    }
    if !look.has("No_Beard") {
        let mut points: Vec<_> =
            outline[3..].iter().map(|p| (p.0 - 0.5, p.1.max(8.) + 1.)).collect();
        points.extend([(7., end - 9.), (18., mouth + 4.), (26., 28.), (33., 10.)]);
        let right = points.clone();
        points = right.iter().map(|p| (-p.0, p.1)).collect();
        canvas.fill(polygon(&right), facial(look), 0.88);
        canvas.fill(polygon(&points), facial(look), 0.88);
        let mut rng = look.appearance.details(6);
        for _ in 0..90 {
            let t: f32 = rng.random();
            let side = if rng.random() { 1. } else { -1. };
            let at = (side * (36. - 28. * t * t), 14. + (end - 16.) * t.powf(0.8));
            canvas.stroke(
                curve(&[at, (at.0 + within(&mut rng, 1.5), at.1 + 4.)]),
                look.hair.lighter(within(&mut rng, 0.35)),
                0.8,
                0.9,
            );
        }
    }
    if look.has("Goatee") {
        let patch = mirrored(&[
            (0., mouth + 7.),
            (8., mouth + 8.),
            (12., mouth + 13.),
            (11., end - 2.),
            (0., end + 4.),
        ]);
        canvas.fill(blob(&patch), facial(look), 0.97);
        for i in 0..7 {
            let x = -9. + 3. * i as f32;
            canvas.stroke(
                curve(&[(x, mouth + 11.), (x * 0.9, end + 1.)]),
                look.hair.lighter(0.25),
                0.7,
                0.8,
            );
        }
    }
}

pub(crate) fn moustache(canvas: &mut Canvas, look: &Look) {
    if !look.has("Mustache") {
        return;
    }
    let y = look.appearance.mouth_height - 6.;
    let right =
        [(0., y - 3.5), (9., y - 4.), (18., y + 2.), (21., y + 7.), (11., y + 3.), (0., y + 2.)];
    let points: Vec<_> = mirrored(&right).into_iter().map(|p| look.turned(p, 4.)).collect();
    canvas.fill(blob(&points), facial(look), 0.97);
    for i in 0..9 {
        let x = -14. + 3.5 * i as f32;
        canvas.stroke(
            curve(&[look.turned((x * 0.7, y - 3.), 4.), look.turned((x, y + 3.), 4.)]),
            look.hair.lighter(0.25),
            0.7,
            0.8,
        );
    }
}

pub(crate) fn hat(canvas: &mut Canvas, look: &Look) {
    if !look.has("Wearing_Hat") {
        return;
    }
    let (colour, a) = (look.appearance.accent[0], look.appearance);
    let w = outline(look)[3].0 + 5.;
    let dome = [
        (-w, -24.),
        (-w + 2., -46.),
        (-26., -72.),
        (0., -79.),
        (26., -72.),
        (w - 2., -46.),
        (w, -24.),
        (0., -30.),
    ];
    canvas.fill(blob(&dome), colour, 1.);
    match (a.style[0] * 3.) as usize {
        0 => {
            // A cap, its peak turned with the face.
            let x = a.yaw * 12.;
            canvas.fill(
                blob(&[
                    (x - 38., -27.),
                    (x, -36.),
                    (x + 38., -27.),
                    (x + 32., -17.),
                    (x, -20.),
                    (x - 32., -17.),
                ]),
                colour.lighter(-0.35),
                1.,
            );
            canvas.stroke(
                curve(&[(0., -78.), (x * 0.5, -50.), (x, -34.)]),
                colour.lighter(-0.4),
                1.2,
                0.8,
            );
        }
        1 => {
            // A knitted cap.
            canvas.fill(
                polygon(&[(-w - 1., -38.), (w + 1., -38.), (w + 1., -23.), (-w - 1., -23.)]),
                colour.lighter(0.25),
                1.,
            );
            for i in 0..14 {
                let x = -w + (2. * w) * i as f32 / 13.;
                canvas.stroke(curve(&[(x, -38.), (x, -24.)]), colour.lighter(-0.3), 1., 0.8);
            }
        }
        _ => {
            // A hat with a brim.
            canvas.fill(ellipse((0., -27.), (w + 24., 8.)), colour.lighter(-0.2), 1.);
            canvas.fill(
                polygon(&[(-w + 1., -42.), (w - 1., -42.), (w, -31.), (-w, -31.)]),
                a.accent[1],
                1.,
            );
        }
    }
}
