//! Eyes, nose and mouth, and what is worn on them.

use super::canvas::{Canvas, Colour, blob, curve, ellipse, mirrored, polygon};
use super::head::outline;
use super::scene::Look;

pub(crate) fn eyes(canvas: &mut Canvas, look: &Look) {
    for side in [-1., 1.] {
        let centre = look.turned((side * look.appearance.eye_distance, 0.), 4.);
        around_eye(canvas, look, centre, side);
        eye(canvas, look, centre, side);
        brow(canvas, look, centre, side);
    }
}

/// Eye shadow, bags and lashes.
fn around_eye(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), side: f32) {
    let skin = look.skin;
    if look.has("Heavy_Makeup") {
        let shadow = Colour(95., 50., 110.).towards(look.appearance.accent[3], 0.25);
        canvas.fill(ellipse((x, y - 4.), (11.5, 6.5)), shadow, 0.75);
        canvas.glow((side * 31., 20.), (12., 9.), Colour(190., 80., 80.), 0.45);
    }
    if look.has("Bags_Under_Eyes") {
        canvas.fill(
            blob(&[
                (x - 10., y + 5.),
                (x, y + 7.5),
                (x + 10., y + 5.),
                (x + 8., y + 11.),
                (x, y + 13.5),
                (x - 8., y + 11.),
            ]),
            Colour(80., 50., 70.).towards(skin, 0.35),
            0.75,
        );
        canvas.stroke(
            curve(&[(x - 9., y + 10.), (x, y + 13.5), (x + 9., y + 10.)]),
            skin.lighter(-0.55),
            1.4,
            0.85,
        );
    }
}

fn eye(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), side: f32) {
    let (rx, ry) = if look.has("Narrow_Eyes") { (9., 1.9) } else { (8.6, 4.7) };
    let shape = [
        (x - rx, y),
        (x - rx * 0.5, y - ry * 0.9),
        (x + rx * 0.1, y - ry),
        (x + rx * 0.6, y - ry * 0.8),
        (x + rx, y),
        (x + rx * 0.5, y + ry * 0.8),
        (x - rx * 0.5, y + ry * 0.8),
    ];
    canvas.fill(blob(&shape), Colour::WHITE, 1.);
    let iris = 3.9f32;
    let gaze = x + look.appearance.yaw * 1.5;
    canvas.fill(ellipse((gaze, y), (iris, iris.min(ry))), look.appearance.iris, 1.);
    canvas.fill(ellipse((gaze, y), (1.9, 1.9f32.min(ry))), Colour::BLACK, 1.);
    canvas.fill(
        ellipse((gaze - 1.2, y - ry * 0.3), (0.9, 0.9f32.min(ry * 0.5))),
        Colour::WHITE,
        1.,
    );
    let made_up = look.has("Heavy_Makeup");
    let lid = if made_up { Colour::BLACK } else { look.skin.lighter(-0.65) };
    canvas.stroke(
        curve(&[
            (x - rx, y),
            (x - rx * 0.5, y - ry * 0.9),
            (x + rx * 0.1, y - ry),
            (x + rx * 0.6, y - ry * 0.8),
            (x + rx, y),
        ]),
        lid,
        if made_up { 2.4 } else { 1.3 },
        1.,
    );
    if made_up {
        canvas.stroke(
            curve(&[(x + side * rx, y), (x + side * (rx + 5.), y - 4.)]),
            Colour::BLACK,
            1.8,
            1.,
        );
        canvas.stroke(
            curve(&[(x - rx * 0.6, y + ry * 0.8), (x, y + ry), (x + rx * 0.6, y + ry * 0.8)]),
            Colour::BLACK,
            1.2,
            0.9,
        );
    }
    if look.has("Narrow_Eyes") {
        canvas.stroke(
            curve(&[(x - rx, y - 3.), (x, y - 4.6), (x + rx, y - 2.6)]),
            look.skin.lighter(-0.35),
            1.6,
            0.9,
        );
    }
}

fn brow(canvas: &mut Canvas, look: &Look, (x, y): (f32, f32), side: f32) {
    let thick =
        if look.has("Bushy_Eyebrows") { 6. } else { 2.3 } + if look.has("Male") { 0.9 } else { 0. };
    let y = y - 12.;
    let colour = look.hair.towards(Colour(30., 22., 18.), 0.55);
    let line = match look.has("Arched_Eyebrows") {
        true => [(x - side * 9., y + 2.5), (x + side * 4., y - 7.), (x + side * 12., y + 1.)],
        false => [(x - side * 9., y), (x + side * 1., y - 0.8), (x + side * 11., y + 0.5)],
    };
    canvas.stroke(curve(&line), colour, thick, 0.95);
    if look.has("Bushy_Eyebrows") {
        for i in 0..9 {
            let t = i as f32 / 8.;
            let at = (x - side * 9. + side * 20. * t, y + 1.);
            canvas.stroke(curve(&[at, (at.0 + side * 1.5, at.1 - 6.)]), colour, 1., 0.9);
        }
    }
}

pub(crate) fn nose(canvas: &mut Canvas, look: &Look) {
    let (dark, light) = (look.skin.lighter(-0.32), look.skin.lighter(0.28));
    let at = |x: f32, y: f32| look.turned((x, y), 6.);
    let big = look.has("Big_Nose");
    let (width, end) = if big { (13., 26.) } else { (7.5, 22.) };
    if look.has("Pointy_Nose") {
        canvas.fill(
            polygon(&[
                at(-2., 2.),
                at(2., 2.),
                at(width * 0.7, end - 3.),
                at(0., end + 4.),
                at(-width * 0.7, end - 3.),
            ]),
            dark.towards(look.skin, 0.4),
            1.,
        );
        canvas.fill(
            polygon(&[
                at(-1., 0.),
                at(1.5, 0.),
                at(3., end - 2.),
                at(0., end + 2.),
                at(-2., end - 2.),
            ]),
            light,
            0.95,
        );
        canvas.stroke(
            curve(&[at(-width * 0.7, end - 3.), at(0., end + 4.), at(width * 0.7, end - 3.)]),
            dark.lighter(-0.3),
            1.4,
            1.,
        );
    } else {
        canvas.fill(
            blob(&[
                at(-2.5, 2.),
                at(2.5, 2.),
                at(width * 0.6, end - 8.),
                at(width, end - 2.),
                at(0., end + 1.),
                at(-width, end - 2.),
                at(-width * 0.6, end - 8.),
            ]),
            dark.towards(look.skin, 0.62),
            1.,
        );
        canvas.glow(at(-1., end - 8.), (width * 0.5, 11.), light, 0.8);
    }
    let nostril = if big { (3.4, 2.) } else { (2., 1.3) };
    for side in [-1., 1.] {
        canvas.fill(ellipse(at(side * width * 0.5, end - 0.5), nostril), dark.lighter(-0.5), 0.9);
        if big {
            canvas.stroke(
                curve(&[
                    at(side * width * 0.8, end - 9.),
                    at(side * (width + 1.), end - 3.),
                    at(side * width * 0.8, end),
                ]),
                dark,
                1.8,
                0.9,
            );
        }
    }
}

pub(crate) fn mouth(canvas: &mut Canvas, look: &Look) {
    let smiling = look.has("Smiling");
    let (half, corner) = if smiling { (18., -6.) } else { (12.5, 1.) };
    let lip = if look.has("Big_Lips") { 6.4 } else { 2.8 };
    let gap = if look.has("Mouth_Slightly_Open") { 3.8 } else { 0. };
    let colour = match look.has("Wearing_Lipstick") {
        true => Colour(196., 22., 58.).towards(look.appearance.accent[1], 0.12),
        false => look.skin.towards(Colour(170., 95., 90.), 0.42),
    };
    let y = look.appearance.mouth_height + if smiling { 2. } else { 0. };
    let at = |p: (f32, f32)| look.turned(p, 5.);
    let lips: Vec<_> = mirrored(&[
        (0., y - gap - lip * 0.7),
        (4., y - gap - lip),
        (half, y + corner),
        (half * 0.55, y + gap + lip * 0.75),
        (0., y + gap + lip),
    ])
    .into_iter()
    .map(at)
    .collect();
    canvas.fill(blob(&lips), colour, 1.);
    if gap > 0. {
        let inside: Vec<_> = mirrored(&[
            (0., y - gap),
            (half * 0.5, y - gap * 0.8 + corner * 0.3),
            (half * 0.86, y + corner * 0.9),
            (half * 0.5, y + gap * 0.8),
            (0., y + gap),
        ])
        .into_iter()
        .map(at)
        .collect();
        canvas.fill(blob(&inside), Colour(60., 14., 18.), 1.);
        let teeth: Vec<_> = mirrored(&[
            (0., y - gap + 0.3),
            (half * 0.5, y - gap * 0.7 + corner * 0.3),
            (half * 0.72, y + corner * 0.7),
            (half * 0.4, y + 0.6),
            (0., y + 1.),
        ])
        .into_iter()
        .map(at)
        .collect();
        canvas.fill(blob(&teeth), Colour::WHITE, 1.);
    } else {
        let line = [
            (-half, y + corner),
            (-half * 0.5, y + corner * 0.1),
            (0., y + 0.4),
            (half * 0.5, y + corner * 0.1),
            (half, y + corner),
        ]
        .map(at);
        canvas.stroke(curve(&line), colour.lighter(-0.6), 1.5, 1.);
    }
    if smiling {
        for side in [-1., 1.] {
            canvas.stroke(
                curve(&[
                    at((side * (half + 2.), y + corner - 6.)),
                    at((side * (half + 5.), y + corner)),
                    at((side * (half + 2.5), y + corner + 6.)),
                ]),
                look.skin.lighter(-0.42),
                1.7,
                0.9,
            );
        }
    }
    if look.has("Wearing_Lipstick") {
        canvas.glow(at((-3., y + gap + lip * 0.6)), (5., 1.6), Colour::WHITE, 0.7);
    }
}

pub(crate) fn glasses(canvas: &mut Canvas, look: &Look) {
    if !look.has("Eyeglasses") {
        return;
    }
    let a = look.appearance;
    let frame = Colour::BLACK.towards(a.accent[2], 0.3);
    let (rx, ry) = (13., 9. + 3. * a.style[1]);
    let centres = [-1., 1.].map(|side| look.turned((side * (a.eye_distance + 0.5), 1.), 5.));
    for (centre, side) in centres.into_iter().zip([-1., 1.]) {
        if a.style[1] < 0.3 {
            canvas.fill(ellipse(centre, (rx, ry)), Colour(25., 22., 25.), 0.88);
        } else {
            canvas.fill(ellipse(centre, (rx, ry)), Colour(225., 238., 250.), 0.22);
            canvas.stroke(
                curve(&[(centre.0 - 5., centre.1 + 2.), (centre.0 + 1., centre.1 - 5.)]),
                Colour::WHITE,
                1.4,
                0.7,
            );
        }
        canvas.stroke(ellipse(centre, (rx, ry)), frame, 2.6, 1.);
        canvas.stroke(
            curve(&[(centre.0 + side * rx, centre.1 - 2.), (side * outline(look)[3].0, -2.)]),
            frame,
            2.2,
            1.,
        );
    }
    canvas.stroke(
        curve(&[
            (centres[0].0 + rx, 0.),
            (centres[0].0 + rx + (centres[1].0 - centres[0].0) / 2. - rx, -2.),
            (centres[1].0 - rx, 0.),
        ]),
        frame,
        2.2,
        1.,
    );
}

pub(crate) fn earrings(canvas: &mut Canvas, look: &Look) {
    if !look.has("Wearing_Earrings") {
        return;
    }
    let a = look.appearance;
    let metal = [Colour(236., 196., 70.), Colour(232., 234., 240.), a.accent[0]]
        [(a.style[2] * 2.99) as usize];
    let x = outline(look)[3].0 + 3.;
    for side in [-1., 1.] {
        let at = (side * x, 19.);
        match (a.style[1] * 3.) as usize {
            0 => {
                canvas.fill(ellipse(at, (4.2, 4.2)), metal.lighter(-0.4), 1.);
                canvas.fill(ellipse(at, (3.4, 3.4)), metal, 1.);
            }
            1 => canvas.stroke(ellipse((at.0, at.1 + 7.), (6., 8.)), metal, 2.4, 1.),
            _ => {
                canvas.stroke(curve(&[at, (at.0, at.1 + 10.)]), metal, 1.6, 1.);
                canvas.fill(
                    polygon(&[
                        (at.0, at.1 + 7.),
                        (at.0 + 4.5, at.1 + 15.),
                        (at.0, at.1 + 20.),
                        (at.0 - 4.5, at.1 + 15.),
                    ]),
                    metal,
                    1.,
                );
            }
        }
        canvas.fill(ellipse((at.0 - 1., at.1 - 1.), (1.1, 1.1)), Colour::WHITE, 1.);
    }
}
