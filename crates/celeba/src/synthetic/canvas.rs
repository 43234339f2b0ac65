//! Drawing in a face's own coordinates: the origin is between the eyes, x points right, y points
//! down, and the unit is a pixel before the pose scales it.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::colour::Colour;
use super::{HEIGHT, WIDTH};

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

    /// Scales what is drawn from now on, turns it by `roll` degrees and moves it to `centre`.
    pub fn set_pose(&mut self, centre: (f32, f32), scale: f32, roll: f32) {
        self.pose = Transform::from_scale(scale, scale)
            .post_concat(Transform::from_rotate(roll))
            .post_translate(centre.0, centre.1);
    }

    pub fn reset_pose(&mut self) {
        self.pose = Transform::identity();
    }

    pub fn fill(&mut self, path: Option<Path>, colour: Colour, alpha: f32) {
        self.fill_with(path, Shader::SolidColor(with_alpha(colour, alpha)));
    }

    pub fn stroke(&mut self, path: Option<Path>, colour: Colour, width: f32, alpha: f32) {
        let Some(path) = path else { return };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        let paint = paint(Shader::SolidColor(with_alpha(colour, alpha)));
        self.pixmap.stroke_path(&path, &paint, &stroke, self.pose, None);
    }

    /// An ellipse whose colour fades to nothing at its edge.
    pub fn glow(&mut self, (x, y): (f32, f32), (rx, ry): (f32, f32), colour: Colour, alpha: f32) {
        let stops = vec![
            GradientStop::new(0., with_alpha(colour, alpha)),
            GradientStop::new(1., with_alpha(colour, 0.)),
        ];
        let unit_circle = Transform::from_scale(rx, ry).post_translate(x, y);
        let origin = Point::from_xy(0., 0.);
        if let Some(shader) =
            RadialGradient::new(origin, origin, 1., stops, SpreadMode::Pad, unit_circle)
        {
            self.fill_with(ellipse((x, y), (rx, ry)), shader);
        }
    }

    /// A gradient over the complete picture, from one colour and alpha to another, in a direction
    /// that `degrees` gives.
    pub fn gradient(&mut self, degrees: f32, from: (Colour, f32), to: (Colour, f32)) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let x = WIDTH as f32 / 2.;
        let y = HEIGHT as f32 / 2.;
        let reach = 120.;
        let stops = vec![
            GradientStop::new(0., with_alpha(from.0, from.1)),
            GradientStop::new(1., with_alpha(to.0, to.1)),
        ];
        let start = Point::from_xy(x - cos * reach, y - sin * reach);
        let end = Point::from_xy(x + cos * reach, y + sin * reach);
        let picture =
            Rect::from_xywh(0., 0., WIDTH as f32, HEIGHT as f32).map(PathBuilder::from_rect);
        if let Some(shader) =
            LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity())
        {
            let pose = std::mem::replace(&mut self.pose, Transform::identity());
            self.fill_with(picture, shader);
            self.pose = pose;
        }
    }

    fn fill_with(&mut self, path: Option<Path>, shader: Shader<'_>) {
        if let Some(path) = path {
            self.pixmap.fill_path(&path, &paint(shader), FillRule::Winding, self.pose, None);
        }
    }

    /// The picture's RGB bytes, row by row.
    pub fn rgb(&self) -> Vec<u8> {
        self.pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
    }
}

fn paint(shader: Shader<'_>) -> Paint<'_> {
    Paint { shader, anti_alias: true, ..Paint::default() }
}

fn with_alpha(colour: Colour, alpha: f32) -> Color {
    let unit = |v: f32| (v / 255.).clamp(0., 1.);
    Color::from_rgba(unit(colour.0), unit(colour.1), unit(colour.2), alpha.clamp(0., 1.))
        .unwrap_or(Color::BLACK)
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

/// A smooth open curve through points.
pub(crate) fn curve(points: &[(f32, f32)]) -> Option<Path> {
    catmull_rom(points, false)
}

/// A smooth closed curve through points.
pub(crate) fn closed_curve(points: &[(f32, f32)]) -> Option<Path> {
    catmull_rom(points, true)
}

/// A Catmull-Rom spline, as cubic Bézier curves.
fn catmull_rom(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let n = points.len();
    let point = |i: isize| {
        points[if closed { i.rem_euclid(n as isize) } else { i.clamp(0, n as isize - 1) } as usize]
    };
    let mut path = PathBuilder::new();
    path.move_to(points.first()?.0, points[0].1);
    let segments = if closed { n } else { n - 1 };
    for i in 0..segments as isize {
        let [a, b, c, d] = [i - 1, i, i + 1, i + 2].map(point);
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

/// The outline of a shape that is symmetric to the y axis: points of its right half, from top to
/// bottom, and their mirror images back up.
pub(crate) fn mirrored(right: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let left = right.iter().rev().filter(|p| p.0 != 0.).map(|&(x, y)| (-x, y));
    right.iter().copied().chain(left).collect()
}
