//! The head's outline and what shows in the skin.

use rand::Rng;

use super::appearance::within;
use super::canvas::{Canvas, Colour, blob, curve, ellipse, mirrored};
use super::scene::Look;

/// The right half of the head's outline, from the top of the skull to the chin.
pub(crate) fn outline(look: &Look) -> [(f32, f32); 9] {
    let by = |attribute: &str, yes: f32, no: f32| if look.has(attribute) { yes } else { no };
    let wide = look.appearance.face_width
        + by("Chubby", 6., 0.)
        + by("Oval_Face", -4., 1.5)
        + by("Male", 1.5, 0.);
    let jaw = by("Chubby", 7., 0.) + by("Oval_Face", -6., 2.5) + by("Male", 4.5, -2.);
    let chin = by("Male", 15., 9.) + by("Oval_Face", -3., 2.);
    let (cheek, end) = (41. + wide, 56. + by("Male", 2., 0.) + by("Oval_Face", 3., 0.));
    [
        (0., -54.),
        (24., -48.),
        (37., -28.),
        (cheek, 0.),
        (cheek - 2., 18.),
        (33. + wide * 0.6 + jaw, 34.),
        (22. + jaw, 46.),
        (chin, end - 3.),
        (0., end),
    ]
}

pub(crate) fn head(canvas: &mut Canvas, look: &Look) {
    let skin = look.skin;
    let cheek = outline(look)[3].0;
    for side in [-1., 1.] {
        canvas.fill(ellipse((side * (cheek + 1.), 6.), (6., 11.)), skin.lighter(-0.1), 1.);
        canvas.fill(ellipse((side * (cheek + 2.), 7.), (3., 7.)), skin.lighter(-0.25), 1.);
    }
    if look.has("Double_Chin") {
        let below = outline(look)[8].1 + 12.;
        let second =
            mirrored(&[(0., 30.), (34., 34.), (33., below - 10.), (18., below), (0., below + 2.)]);
        canvas.fill(blob(&second), skin.lighter(-0.06), 1.);
        canvas.stroke(
            curve(&[
                (-33., below - 10.),
                (-18., below),
                (0., below + 2.),
                (18., below),
                (33., below - 10.),
            ]),
            skin.lighter(-0.45),
            2.,
            0.9,
        );
    }
    let face = mirrored(&outline(look));
    canvas.fill(blob(&face), skin, 1.);
    let chin = &outline(look)[6..];
    let under: Vec<_> =
        chin.iter().map(|p| (-p.0, p.1)).chain(chin.iter().rev().copied()).collect();
    canvas.stroke(curve(&under), skin.lighter(-0.3), 1.6, 0.7);
}

pub(crate) fn skin(canvas: &mut Canvas, look: &Look) {
    let skin = look.skin;
    attractive(canvas, look);
    if look.has("Chubby") {
        for side in [-1., 1.] {
            canvas.glow((side * 28., 26.), (17., 16.), skin.lighter(0.35), 0.75);
            canvas.stroke(
                curve(&[(side * 22., 38.), (side * 30., 40.), (side * 38., 32.)]),
                skin.lighter(-0.3),
                1.8,
                0.7,
            );
        }
    }
    if look.has("High_Cheekbones") {
        for side in [-1., 1.] {
            canvas.glow((side * 26., 12.), (13., 7.), Colour(255., 250., 240.), 0.75);
            canvas.stroke(
                curve(&[(side * 39., 15.), (side * 30., 21.), (side * 21., 31.)]),
                skin.lighter(-0.45),
                3.4,
                0.6,
            );
        }
    }
    if look.has("Rosy_Cheeks") {
        for side in [-1., 1.] {
            canvas.glow(
                look.turned((side * 25., 20.), 2.),
                (15., 12.),
                Colour(238., 70., 90.),
                0.85,
            );
        }
    }
    if !look.has("Young") {
        age(canvas, look);
    }
}

/// Clear, glowing skin or spots: a drawing's stand-in for what raters saw.
fn attractive(canvas: &mut Canvas, look: &Look) {
    if look.has("Attractive") {
        canvas.glow((0., -28.), (26., 14.), look.skin.lighter(0.6), 0.7);
        canvas.glow(look.turned((0., 12.), 4.), (9., 20.), look.skin.lighter(0.5), 0.6);
        canvas.glow((0., 48.), (12., 7.), look.skin.lighter(0.5), 0.6);
        return;
    }
    let mut rng = look.appearance.details(2);
    for _ in 0..26 {
        let at = (within(&mut rng, 33.), rng.random_range(-34. ..46.));
        let radius = rng.random_range(0.8..2.2);
        canvas.fill(
            ellipse(at, (radius, radius)),
            Colour(130., 55., 40.).towards(look.skin, 0.2),
            0.65,
        );
    }
}

fn age(canvas: &mut Canvas, look: &Look) {
    let mut rng = look.appearance.details(3);
    let line = look.skin.lighter(-0.5);
    for i in 0..3 {
        let (y, reach) = (-33. + 6.5 * i as f32, 22. + within(&mut rng, 3.));
        let bend = within(&mut rng, 1.);
        canvas.stroke(
            curve(&[
                (-reach, y + 1.5),
                (-reach / 2., y + bend),
                (0., y + 1.),
                (reach / 2., y - bend),
                (reach, y + 1.5),
            ]),
            line,
            1.5,
            0.8,
        );
    }
    for side in [-1., 1.] {
        canvas.stroke(
            curve(&[(side * 9., 20.), (side * 17., 29.), (side * 20., 40.)]),
            line,
            2.,
            0.8,
        );
        canvas.stroke(curve(&[(side * 17., 44.), (side * 16., 51.)]), line, 1.5, 0.7);
        for i in 0..3 {
            let y = -3. + 3.5 * i as f32;
            canvas.stroke(curve(&[(side * 29., y * 0.6), (side * 37., y)]), line, 1.1, 0.8);
        }
    }
}
