//! A picture of a face, from back to front.

use super::appearance::Appearance;
use super::canvas::Canvas;
use super::look::Look;
use super::parts::{
    background, camera, clothes, earrings, eyebrows, eyeglasses, eyes, facial_hair, hair, hat,
    head, lighting, mouth, necklace, necktie, nose, skin,
};
use crate::attributes::Labels;

/// Draws a face: RGB, row by row.
pub(crate) fn render(appearance: &Appearance, labels: Labels) -> Vec<u8> {
    let look = Look::new(appearance, labels);
    let mut canvas = Canvas::new();
    background::draw(&mut canvas, appearance);
    canvas.set_pose(appearance.centre, appearance.scale, appearance.roll);
    draw_head(&mut canvas, &look);
    canvas.reset_pose();
    lighting::draw(&mut canvas, appearance);
    camera::expose(&canvas, &look)
}

fn draw_head(canvas: &mut Canvas, look: &Look) {
    hair::draw_behind_head(canvas, look);
    clothes::draw(canvas, look);
    necktie::draw(canvas, look);
    necklace::draw(canvas, look);
    head::draw(canvas, look);
    skin::draw(canvas, look);
    facial_hair::draw_beard(canvas, look);
    nose::draw(canvas, look);
    mouth::draw(canvas, look);
    facial_hair::draw_moustache(canvas, look);
    for side in [-1., 1.] {
        eyes::draw(canvas, look, side);
        eyebrows::draw(canvas, look, side);
    }
    facial_hair::draw_sideburns(canvas, look);
    hair::draw_over_forehead(canvas, look);
    eyeglasses::draw(canvas, look);
    earrings::draw(canvas, look);
    hat::draw(canvas, look);
}
