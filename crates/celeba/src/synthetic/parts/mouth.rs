//! Mouth: lips, teeth and the lines of a smile (Smiling, Big_Lips, Mouth_Slightly_Open,
//! Wearing_Lipstick).

use crate::synthetic::canvas::{Canvas, closed_curve, curve, mirrored};
use crate::synthetic::colour::Colour;
use crate::synthetic::look::Look;

/// How far the mouth stands out from the face.
const DEPTH: f32 = 5.;

/// The shape of a mouth.
struct Mouth {
    y: f32,
    /// Half of the width.
    half: f32,
    /// The corners' y, relative to the middle.
    corner: f32,
    /// Half of the opening.
    gap: f32,
    /// Thickness of a lip.
    lip: f32,
    colour: Colour,
}

impl Mouth {
    fn of(look: &Look) -> Self {
        let smiling = look.has("Smiling");
        let (half, corner) = if smiling { (18., -6.) } else { (12.5, 1.) };
        Self {
            y: look.appearance.mouth_height + if smiling { 2. } else { 0. },
            half,
            corner,
            gap: if look.has("Mouth_Slightly_Open") { 3.8 } else { 0. },
            lip: if look.has("Big_Lips") { 6.4 } else { 2.8 },
            colour: if look.has("Wearing_Lipstick") {
                Colour(196., 22., 58.).mix(look.appearance.accent[1], 0.12)
            } else {
                look.skin.mix(Colour(170., 95., 90.), 0.42)
            },
        }
    }
}

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    let mouth = Mouth::of(look);
    draw_lips(canvas, look, &mouth);
    if mouth.gap > 0. {
        draw_opening(canvas, look, &mouth);
    } else {
        draw_closed_line(canvas, look, &mouth);
    }
    if look.has("Smiling") {
        draw_smile_lines(canvas, look, &mouth);
    }
    if look.has("Wearing_Lipstick") {
        let highlight = look.project((-3., mouth.y + mouth.gap + mouth.lip * 0.6), DEPTH);
        canvas.glow(highlight, (5., 1.6), Colour::WHITE, 0.7);
    }
}

/// The outline of a shape of which the right half is given.
fn outline(look: &Look, right: &[(f32, f32)]) -> Vec<(f32, f32)> {
    mirrored(right).into_iter().map(|p| look.project(p, DEPTH)).collect()
}

fn draw_lips(canvas: &mut Canvas, look: &Look, mouth: &Mouth) {
    let &Mouth { y, half, corner, gap, lip, colour } = mouth;
    let lips = outline(
        look,
        &[
            (0., y - gap - lip * 0.7),
            (4., y - gap - lip),
            (half, y + corner),
            (half * 0.55, y + gap + lip * 0.75),
            (0., y + gap + lip),
        ],
    );
    canvas.fill(closed_curve(&lips), colour, 1.);
}

/// The inside of an open mouth, with the upper teeth.
fn draw_opening(canvas: &mut Canvas, look: &Look, mouth: &Mouth) {
    let &Mouth { y, half, corner, gap, .. } = mouth;
    let inside = outline(
        look,
        &[
            (0., y - gap),
            (half * 0.5, y - gap * 0.8 + corner * 0.3),
            (half * 0.86, y + corner * 0.9),
            (half * 0.5, y + gap * 0.8),
            (0., y + gap),
        ],
    );
    canvas.fill(closed_curve(&inside), Colour(60., 14., 18.), 1.);
    let teeth = outline(
        look,
        &[
            (0., y - gap + 0.3),
            (half * 0.5, y - gap * 0.7 + corner * 0.3),
            (half * 0.72, y + corner * 0.7),
            (half * 0.4, y + 0.6),
            (0., y + 1.),
        ],
    );
    canvas.fill(closed_curve(&teeth), Colour::WHITE, 1.);
}

fn draw_closed_line(canvas: &mut Canvas, look: &Look, mouth: &Mouth) {
    let &Mouth { y, half, corner, colour, .. } = mouth;
    let line = [
        (-half, y + corner),
        (-half * 0.5, y + corner * 0.1),
        (0., y + 0.4),
        (half * 0.5, y + corner * 0.1),
        (half, y + corner),
    ]
    .map(|p| look.project(p, DEPTH));
    canvas.stroke(curve(&line), colour.lighter(-0.6), 1.5, 1.);
}

fn draw_smile_lines(canvas: &mut Canvas, look: &Look, mouth: &Mouth) {
    let &Mouth { y, half, corner, .. } = mouth;
    for side in [-1., 1.] {
        let line = [
            (side * (half + 2.), y + corner - 6.),
            (side * (half + 5.), y + corner),
            (side * (half + 2.5), y + corner + 6.),
        ]
        .map(|p| look.project(p, DEPTH));
        canvas.stroke(curve(&line), look.skin.lighter(-0.42), 1.7, 0.9);
    }
}
