//! What a camera adds: exposure, grain and blur (Blurry).

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

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
    resize(&resize(&rgb, full, small), small, full)
}

fn resize(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let source = ImageRef::new(from.0 as u32, from.1 as u32, rgb, PixelType::U8x3)
        .expect("three bytes for each pixel");
    let mut resized = Image::new(to.0 as u32, to.1 as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new()
        .resize(&source, &mut resized, &options)
        .expect("sizes above 0 and one type of pixel");
    resized.into_vec()
}
