//! A picture from back to front.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rand::Rng;

use super::appearance::{Appearance, within};
use super::canvas::{Canvas, Colour, blob, curve, ellipse, polygon};
use super::{HEIGHT, WIDTH, features, hair, head};
use crate::attributes::{Labels, attribute_index};

/// What the parts of a drawing need to know.
pub(crate) struct Look<'a> {
    pub labels: Labels,
    pub appearance: &'a Appearance,
    pub skin: Colour,
    pub hair: Colour,
}

impl<'a> Look<'a> {
    fn new(appearance: &'a Appearance, labels: Labels) -> Self {
        let mut look =
            Self { labels, appearance, skin: appearance.skin, hair: appearance.other_hair };
        if look.has("Pale_Skin") {
            look.skin = appearance.skin.towards(Colour(250., 236., 230.), 0.8);
        }
        let named = [
            ("Gray_Hair", Colour(172., 172., 174.)),
            ("Black_Hair", Colour(22., 20., 22.)),
            ("Blond_Hair", Colour(222., 188., 112.)),
            ("Brown_Hair", Colour(88., 56., 34.)),
        ];
        if let Some((_, colour)) = named.into_iter().find(|(name, _)| look.has(name)) {
            look.hair = colour;
        }
        look.hair = look.hair.lighter(appearance.hair_tone * 0.06);
        look
    }

    pub fn has(&self, attribute: &str) -> bool {
        self.labels.has(attribute_index(attribute).expect("one of the 40 attributes"))
    }

    /// A place inside the face as it appears when the head is turned; `depth` is how far it stands
    /// out.
    pub fn turned(&self, (x, y): (f32, f32), depth: f32) -> (f32, f32) {
        let yaw = self.appearance.yaw;
        (x * (1. - 0.1 * yaw * x.signum()) + yaw * depth, y)
    }
}

pub(crate) fn render(appearance: &Appearance, labels: Labels) -> Vec<u8> {
    let look = Look::new(appearance, labels);
    let mut canvas = Canvas::new();
    background(&mut canvas, appearance);
    canvas.set_pose(appearance.centre, appearance.scale, appearance.roll);
    hair::behind(&mut canvas, &look);
    clothes(&mut canvas, &look);
    head::head(&mut canvas, &look);
    head::skin(&mut canvas, &look);
    hair::beard(&mut canvas, &look);
    features::nose(&mut canvas, &look);
    features::mouth(&mut canvas, &look);
    hair::moustache(&mut canvas, &look);
    features::eyes(&mut canvas, &look);
    hair::front(&mut canvas, &look);
    features::glasses(&mut canvas, &look);
    features::earrings(&mut canvas, &look);
    hair::hat(&mut canvas, &look);
    canvas.reset_pose();
    light(&mut canvas, appearance);
    finish(&canvas, &look)
}

fn background(canvas: &mut Canvas, appearance: &Appearance) {
    let [a, b] = appearance.background;
    canvas.wash(appearance.background_angle, (a, 1.), (b, 1.));
    let mut rng = appearance.details(0);
    for _ in 0..rng.random_range(0..7) {
        let centre = (rng.random_range(0. ..WIDTH as f32), rng.random_range(0. ..HEIGHT as f32));
        let radius = (rng.random_range(8. ..60.), rng.random_range(8. ..60.));
        let colour = a.towards(b, rng.random_range(-0.5..1.5)).lighter(within(&mut rng, 0.4));
        let alpha = rng.random_range(0.2..0.9);
        match rng.random_range(0..3) {
            0 => canvas.glow(centre, radius, colour, alpha),
            1 => canvas.fill(ellipse(centre, radius), colour, alpha),
            _ => {
                let (x, y, w, h) = (centre.0, centre.1, radius.0, radius.1 * 2.);
                canvas.fill(
                    polygon(&[(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]),
                    colour,
                    alpha,
                );
            }
        }
    }
}

fn clothes(canvas: &mut Canvas, look: &Look) {
    let a = look.appearance;
    let male = look.has("Male");
    let (neck, shoulder) = if male { (25., 80.) } else { (18., 68.) };
    let throat = [
        (-neck, 30.),
        (neck, 30.),
        (neck + 2., 66.),
        (neck + 14., 84.),
        (0., 100.),
        (-neck - 14., 84.),
        (-neck - 2., 66.),
    ];
    let body = [
        (-neck - 4., 70.),
        (neck + 4., 70.),
        (shoulder, 86.),
        (shoulder + 14., 150.),
        (-shoulder - 14., 150.),
        (-shoulder, 86.),
    ];
    canvas.fill(blob(&body), a.clothes, 1.);
    canvas.fill(polygon(&throat), look.skin.lighter(-0.14), 1.);
    let depth = 80. + 12. * a.neckline;
    let edge = [
        (-neck - 14., 78.),
        (-neck * 0.6, depth - 4.),
        (0., depth),
        (neck * 0.6, depth - 4.),
        (neck + 14., 78.),
    ];
    let mut front = edge.to_vec();
    front.extend([
        (shoulder + 14., 100.),
        (shoulder + 14., 150.),
        (-shoulder - 14., 150.),
        (-shoulder - 14., 100.),
    ]);
    canvas.fill(polygon(&front), a.clothes, 1.);
    canvas.stroke(curve(&edge), a.clothes_detail, 2.5, 0.9);
    if look.has("Wearing_Necktie") {
        necktie(canvas, a);
    }
    if look.has("Wearing_Necklace") {
        necklace(canvas, a, neck);
    }
}

fn necktie(canvas: &mut Canvas, a: &Appearance) {
    let shirt = Colour::WHITE.towards(a.clothes_detail, 0.15);
    canvas.fill(
        polygon(&[(-24., 70.), (0., 80.), (24., 70.), (30., 150.), (-30., 150.)]),
        shirt,
        1.,
    );
    for side in [-1., 1.] {
        canvas.fill(
            polygon(&[(side * 27., 64.), (side * 3., 76.), (side * 16., 92.)]),
            Colour::WHITE,
            1.,
        );
        canvas.stroke(
            curve(&[(side * 27., 64.), (side * 3., 76.), (side * 16., 92.)]),
            Colour(150., 150., 155.),
            0.8,
            1.,
        );
        canvas.fill(
            polygon(&[
                (side * 30., 68.),
                (side * 17., 90.),
                (side * 22., 150.),
                (side * 95., 150.),
                (side * 80., 88.),
            ]),
            a.clothes.lighter(-0.5),
            1.,
        );
    }
    let colour = a.accent[2];
    canvas.fill(
        polygon(&[(-6., 75.), (6., 75.), (4., 85.), (-4., 85.)]),
        colour.lighter(-0.25),
        1.,
    );
    canvas.fill(polygon(&[(-4., 85.), (4., 85.), (10., 150.), (-10., 150.)]), colour, 1.);
    for stripe in 0..4 {
        let y = 90. + 12. * stripe as f32;
        canvas.stroke(
            curve(&[(-6., y), (6., y + 6.)]),
            colour.lighter(0.5),
            1.6 * a.style[2] + 0.4,
            0.8,
        );
    }
}

fn necklace(canvas: &mut Canvas, a: &Appearance, neck: f32) {
    let gold = [Colour(224., 184., 72.), Colour(235., 235., 240.), a.accent[3]]
        [(a.style[3] * 2.99) as usize];
    let drop = 84. + 8. * a.style[0];
    let line = [
        (-neck - 4., 68.),
        (-neck * 0.7, drop - 5.),
        (0., drop),
        (neck * 0.7, drop - 5.),
        (neck + 4., 68.),
    ];
    canvas.stroke(curve(&line), gold.lighter(-0.45), 2.6, 1.);
    canvas.stroke(curve(&line), gold, 1.5, 1.);
    for i in 0..=14 {
        let t = i as f32 / 7. - 1.;
        let at = (t * (neck + 2.), drop - (drop - 68.) * t.abs().powf(2.2));
        canvas.fill(ellipse(at, (2.4, 2.4)), gold, 1.);
        canvas.fill(ellipse((at.0 - 0.7, at.1 - 0.7), (0.8, 0.8)), Colour::WHITE, 1.);
    }
    canvas.fill(ellipse((0., drop + 5.), (4., 5.)), gold.towards(a.accent[3], 0.6), 1.);
}

fn light(canvas: &mut Canvas, a: &Appearance) {
    canvas.wash(a.light_angle, (Colour::WHITE, a.light * 0.5), (Colour::BLACK, a.light));
    canvas.wash(0., (a.tint, 0.07), (a.tint, 0.07));
}

/// Exposure, grain and, last, blur.
fn finish(canvas: &Canvas, look: &Look) -> Vec<u8> {
    let a = look.appearance;
    let mut rng = a.details(1);
    let mut rgb = canvas.rgb();
    for pixel in rgb.chunks_exact_mut(3) {
        let grain = within(&mut rng, a.grain);
        for value in pixel {
            *value = ((f32::from(*value) - 128.) * a.contrast + 128. + a.brightness + grain)
                .clamp(0., 255.) as u8;
        }
    }
    match look.has("Blurry") {
        true => scaled(
            &scaled(&rgb, (WIDTH, HEIGHT), (WIDTH / 6, HEIGHT / 6)),
            (WIDTH / 6, HEIGHT / 6),
            (WIDTH, HEIGHT),
        ),
        false => rgb,
    }
}

fn scaled(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let source =
        ImageRef::new(from.0 as u32, from.1 as u32, rgb, PixelType::U8x3).expect("a whole image");
    let mut target = Image::new(to.0 as u32, to.1 as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut target, &options).expect("sizes above 0");
    target.into_vec()
}
