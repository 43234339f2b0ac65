//! Drawing in a face's own coordinates: the origin between the eyes, x to the right, y down, in
//! pixels before pose.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::{HEIGHT, WIDTH};

/// Red, green and blue, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour(pub f32, pub f32, pub f32);

impl Colour {
    pub const BLACK: Self = Self(12., 10., 10.);
    pub const WHITE: Self = Self(248., 246., 242.);

    pub fn towards(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// Towards white (positive) or black (negative).
    pub fn lighter(self, by: f32) -> Self {
        self.towards(
            if by > 0. { Self(255., 255., 255.) } else { Self(0., 0., 0.) },
            by.abs().min(1.),
        )
    }

    fn opaque(self, alpha: f32) -> Color {
        let unit = |v: f32| (v / 255.).clamp(0., 1.);
        Color::from_rgba(unit(self.0), unit(self.1), unit(self.2), alpha.clamp(0., 1.))
            .unwrap_or(Color::BLACK)
    }
}

pub(crate) struct Canvas {
    pixmap: Pixmap,
    pose: Transform,
}

impl Canvas {
    pub fn new() -> Self {
        Self {
            pixmap: Pixmap::new(WIDTH as u32, HEIGHT as u32).expect("a size above 0"),
            pose: Transform::identity(),
        }
    }

    /// All that is drawn from here on is scaled, turned by `roll` degrees and moved to `centre`.
    pub fn set_pose(&mut self, centre: (f32, f32), scale: f32, roll: f32) {
        self.pose = Transform::from_scale(scale, scale)
            .post_concat(Transform::from_rotate(roll))
            .post_translate(centre.0, centre.1);
    }

    pub fn reset_pose(&mut self) {
        self.pose = Transform::identity();
    }

    pub fn fill(&mut self, path: Option<Path>, colour: Colour, alpha: f32) {
        self.shade(path, Shader::SolidColor(colour.opaque(alpha)));
    }

    pub fn stroke(&mut self, path: Option<Path>, colour: Colour, width: f32, alpha: f32) {
        let Some(path) = path else { return };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixmap.stroke_path(
            &path,
            &paint(Shader::SolidColor(colour.opaque(alpha))),
            &stroke,
            self.pose,
            None,
        );
    }

    /// An ellipse whose colour fades to nothing at its edge.
    pub fn glow(&mut self, (x, y): (f32, f32), (rx, ry): (f32, f32), colour: Colour, alpha: f32) {
        let stops = vec![
            GradientStop::new(0., colour.opaque(alpha)),
            GradientStop::new(1., colour.opaque(0.)),
        ];
        let unit = Transform::from_scale(rx, ry).post_translate(x, y);
        let origin = Point::from_xy(0., 0.);
        if let Some(shader) = RadialGradient::new(origin, origin, 1., stops, SpreadMode::Pad, unit)
        {
            self.shade(ellipse((x, y), (rx, ry)), shader);
        }
    }

    /// A gradient from one colour to another over the whole picture.
    pub fn wash(&mut self, degrees: f32, from: (Colour, f32), to: (Colour, f32)) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (x, y, reach) = (WIDTH as f32 / 2., HEIGHT as f32 / 2., 120.);
        let stops = vec![
            GradientStop::new(0., from.0.opaque(from.1)),
            GradientStop::new(1., to.0.opaque(to.1)),
        ];
        let (start, end) = (
            Point::from_xy(x - cos * reach, y - sin * reach),
            Point::from_xy(x + cos * reach, y + sin * reach),
        );
        let everything =
            Rect::from_xywh(0., 0., WIDTH as f32, HEIGHT as f32).map(PathBuilder::from_rect);
        if let Some(shader) =
            LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity())
        {
            let pose = std::mem::replace(&mut self.pose, Transform::identity());
            self.shade(everything, shader);
            self.pose = pose;
        }
    }

    fn shade(&mut self, path: Option<Path>, shader: Shader<'_>) {
        if let Some(path) = path {
            self.pixmap.fill_path(&path, &paint(shader), FillRule::Winding, self.pose, None);
        }
    }

    /// The picture's RGB bytes.
    pub fn rgb(&self) -> Vec<u8> {
        self.pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
    }
}

fn paint(shader: Shader<'_>) -> Paint<'_> {
    Paint { shader, anti_alias: true, ..Paint::default() }
}

pub(crate) fn ellipse((x, y): (f32, f32), (rx, ry): (f32, f32)) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_xywh(x - rx, y - ry, 2. * rx, 2. * ry)?)
}

pub(crate) fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path.close();
    path.finish()
}

/// A smooth (Catmull-Rom) curve through points.
pub(crate) fn curve(points: &[(f32, f32)]) -> Option<Path> {
    smooth(points, false)
}

/// A smooth closed curve through points.
pub(crate) fn blob(points: &[(f32, f32)]) -> Option<Path> {
    smooth(points, true)
}

fn smooth(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let n = points.len();
    let at = |i: isize| {
        points[if closed { i.rem_euclid(n as isize) } else { i.clamp(0, n as isize - 1) } as usize]
    };
    let mut path = PathBuilder::new();
    path.move_to(points.first()?.0, points[0].1);
    let segments = if closed { n } else { n - 1 };
    for i in 0..segments as isize {
        let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        path.cubic_to(
            b.0 + (c.0 - a.0) / 6.,
            b.1 + (c.1 - a.1) / 6.,
            c.0 - (d.0 - b.0) / 6.,
            c.1 - (d.1 - b.1) / 6.,
            c.0,
            c.1,
        );
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// Points of the right half, from top to bottom, and their mirror images back up.
pub(crate) fn mirrored(right: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let left = right.iter().rev().filter(|p| p.0 != 0.).map(|&(x, y)| (-x, y));
    right.iter().copied().chain(left).collect()
}
