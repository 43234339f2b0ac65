//! What a camera adds: exposure, grain and blur (Blurry).

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

use crate::resize::resize;
use crate::synthetic::appearance::{Detail, jitter};
use crate::synthetic::canvas::Canvas;
use crate::synthetic::look::Look;
use crate::synthetic::{HEIGHT, WIDTH};

/// A blurred picture has this many times fewer pixels in each direction.
const BLUR: usize = 6;

/// The picture's RGB bytes.
pub(crate) fn expose(canvas: &Canvas, look: &Look) -> Vec<u8> {
    let a = look.appearance;
    let mut rng = a.details(Detail::Grain);
    let mut rgb = canvas.rgb();
    for pixel in rgb.chunks_exact_mut(3) {
        let grain = jitter(&mut rng, a.grain);
        for value in pixel {
            *value = ((f32::from(*value) - 128.) * a.contrast + 128. + a.brightness + grain)
                .clamp(0., 255.) as u8;
        }
    }
    if !look.has("Blurry") {
        return rgb;
    }
    let full = (WIDTH, HEIGHT);
    let small = (WIDTH / BLUR, HEIGHT / BLUR);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    let blurred = resize(&rgb, full, small, &options)
        .and_then(|blurred| resize(&blurred, small, full, &options));
    blurred.expect("three bytes for each pixel")
}
