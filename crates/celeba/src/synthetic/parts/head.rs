//! The head: its outline, ears and chin (Chubby, Oval_Face, Double_Chin).

use crate::synthetic::canvas::{Canvas, closed_curve, curve, ellipse, mirrored};
use crate::synthetic::look::Look;

/// The right half of the head's outline, from the top of the skull to the chin.
pub(crate) struct Outline([(f32, f32); 9]);

impl Outline {
    pub fn of(look: &Look) -> Self {
        let by = |attribute: &str, yes: f32, no: f32| if look.has(attribute) { yes } else { no };
        let wide = look.appearance.face_width
            + by("Chubby", 6., 0.)
            + by("Oval_Face", -4., 1.5)
            + by("Male", 1.5, 0.);
        let jaw = by("Chubby", 7., 0.) + by("Oval_Face", -6., 2.5) + by("Male", 4.5, -2.);
        let chin = by("Male", 15., 9.) + by("Oval_Face", -3., 2.);
        let cheek = 41. + wide;
        let end = 56. + by("Male", 2., 0.) + by("Oval_Face", 3., 0.);
        Self([
            (0., -54.),
            (24., -48.),
            (37., -28.),
            (cheek, 0.),
            (cheek - 2., 18.),
            (33. + wide * 0.6 + jaw, 34.),
            (22. + jaw, 46.),
            (chin, end - 3.),
            (0., end),
        ])
    }

    /// Half of the width at the cheeks.
    pub fn cheek(&self) -> f32 {
        self.0[3].0
    }

    /// The y of the chin's lowest point.
    pub fn chin_y(&self) -> f32 {
        self.0[8].1
    }

    /// From the cheek down to the lowest point of the chin.
    pub fn below_eyes(&self) -> &[(f32, f32)] {
        &self.0[3..]
    }

    /// From the jaw down to the lowest point of the chin.
    fn chin(&self) -> &[(f32, f32)] {
        &self.0[6..]
    }
}

pub(crate) fn draw(canvas: &mut Canvas, look: &Look) {
    let skin = look.skin;
    let outline = Outline::of(look);
    let cheek = outline.cheek();
    for side in [-1., 1.] {
        canvas.fill(ellipse((side * (cheek + 1.), 6.), (6., 11.)), skin.lighter(-0.1), 1.);
        canvas.fill(ellipse((side * (cheek + 2.), 7.), (3., 7.)), skin.lighter(-0.25), 1.);
    }
    if look.has("Double_Chin") {
        draw_second_chin(canvas, look, outline.chin_y() + 12.);
    }
    canvas.fill(closed_curve(&mirrored(&outline.0)), skin, 1.);
    let left = outline.chin().iter().map(|p| (-p.0, p.1));
    let chin: Vec<_> = left.chain(outline.chin().iter().rev().copied()).collect();
    canvas.stroke(curve(&chin), skin.lighter(-0.3), 1.6, 0.7);
}

fn draw_second_chin(canvas: &mut Canvas, look: &Look, end: f32) {
    let shape = mirrored(&[(0., 30.), (34., 34.), (33., end - 10.), (18., end), (0., end + 2.)]);
    canvas.fill(closed_curve(&shape), look.skin.lighter(-0.06), 1.);
    let line = [(-33., end - 10.), (-18., end), (0., end + 2.), (18., end), (33., end - 10.)];
    canvas.stroke(curve(&line), look.skin.lighter(-0.45), 2., 0.9);
}
