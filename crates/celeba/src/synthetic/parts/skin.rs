//! What shows in the skin: blemishes or glow, cheeks and wrinkles (Attractive, Chubby,
//! High_Cheekbones, Rosy_Cheeks, Young). Its colour, with Pale_Skin, is in `look.rs`.

use rand::Rng;

use crate::synthetic::appearance::{Detail, jitter};
use crate::synthetic::canvas::{Canvas, curve, ellipse};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    // A drawing's stand-in for what raters saw.
    if look.has("Attractive") {
        draw_glow(canvas, look);
    } else {
        draw_blemishes(canvas, look);
    }
    if look.has("Chubby") {
        draw_chubby_cheeks(canvas, look);
    }
    if look.has("High_Cheekbones") {
        draw_cheekbones(canvas, look);
    }
    if look.has("Rosy_Cheeks") {
        let pink = Colour(238., 70., 90.);
        for side in [-1., 1.] {
            canvas.glow(look.project((side * 25., 20.), 2.), (15., 12.), pink, 0.85);
        }
    }
    if !look.has("Young") {
        draw_wrinkles(canvas, look);
    }
}

fn draw_glow(canvas: &mut Canvas, look: &Look) {
    canvas.glow((0., -28.), (26., 14.), look.skin.lighter(0.6), 0.7);
    canvas.glow(look.project((0., 12.), 4.), (9., 20.), look.skin.lighter(0.5), 0.6);
    canvas.glow((0., 48.), (12., 7.), look.skin.lighter(0.5), 0.6);
}

fn draw_blemishes(canvas: &mut Canvas, look: &Look) {
    let mut rng = look.appearance.details(Detail::Blemishes);
    for _ in 0..26 {
        let centre = (jitter(&mut rng, 33.), rng.random_range(-34. ..46.));
        let radius = rng.random_range(0.8..2.2);
        let colour = Colour(130., 55., 40.).mix(look.skin, 0.2);
        canvas.fill(ellipse(centre, (radius, radius)), colour, 0.65);
    }
}

fn draw_chubby_cheeks(canvas: &mut Canvas, look: &Look) {
    for side in [-1., 1.] {
        canvas.glow((side * 28., 26.), (17., 16.), look.skin.lighter(0.35), 0.75);
        let crease = [(side * 22., 38.), (side * 30., 40.), (side * 38., 32.)];
        canvas.stroke(curve(&crease), look.skin.lighter(-0.3), 1.8, 0.7);
    }
}

fn draw_cheekbones(canvas: &mut Canvas, look: &Look) {
    for side in [-1., 1.] {
        canvas.glow((side * 26., 12.), (13., 7.), Colour(255., 250., 240.), 0.75);
        let shadow = [(side * 39., 15.), (side * 30., 21.), (side * 21., 31.)];
        canvas.stroke(curve(&shadow), look.skin.lighter(-0.45), 3.4, 0.6);
    }
}

fn draw_wrinkles(canvas: &mut Canvas, look: &Look) {
    let mut rng = look.appearance.details(Detail::Wrinkles);
    let colour = look.skin.lighter(-0.5);
    for i in 0..3 {
        let y = -33. + 6.5 * i as f32;
        let reach = 22. + jitter(&mut rng, 3.);
        let bend = jitter(&mut rng, 1.);
        let forehead = [
            (-reach, y + 1.5),
            (-reach / 2., y + bend),
            (0., y + 1.),
            (reach / 2., y - bend),
            (reach, y + 1.5),
        ];
        canvas.stroke(curve(&forehead), colour, 1.5, 0.8);
    }
    for side in [-1., 1.] {
        let nose_to_mouth = [(side * 9., 20.), (side * 17., 29.), (side * 20., 40.)];
        canvas.stroke(curve(&nose_to_mouth), colour, 2., 0.8);
        canvas.stroke(curve(&[(side * 17., 44.), (side * 16., 51.)]), colour, 1.5, 0.7);
        for i in 0..3 {
            let y = -3. + 3.5 * i as f32;
            let crows_foot = [(side * 29., y * 0.6), (side * 37., y)];
            canvas.stroke(curve(&crows_foot), colour, 1.1, 0.8);
        }
    }
}
