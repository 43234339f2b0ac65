//! Draws each attribute for two faces, without it, with it, and its region in white:
//!
//!     cargo run --release -p foresee-celeba --example contact_sheet -- OUT.jpg [SEED]

use foresee_celeba::ATTRIBUTES;
use foresee_celeba::synthetic::{Generator, HEIGHT, WIDTH};

/// Attributes in a row of the sheet.
const COLUMNS: usize = 4;
/// Faces for an attribute.
const FACES: usize = 2;
/// Pictures of a face.
const PICTURES: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("name a JPEG file to write")?;
    let seed = arguments.next().map_or(Ok(0), |seed| seed.parse())?;
    let generator = Generator::new(seed);
    let rows = ATTRIBUTES.len().div_ceil(COLUMNS);
    let width = COLUMNS * FACES * PICTURES * WIDTH;
    let height = rows * HEIGHT;
    let mut sheet = vec![255u8; width * height * 3];
    for k in 0..ATTRIBUTES.len() {
        for face in 0..FACES {
            for (i, picture) in pictures(&generator, k, face).iter().enumerate() {
                let left = ((k % COLUMNS * FACES + face) * PICTURES + i) * WIDTH;
                for (y, row) in picture.chunks_exact(3 * WIDTH).enumerate() {
                    let start = ((k / COLUMNS * HEIGHT + y) * width + left) * 3;
                    sheet[start..start + row.len()].copy_from_slice(row);
                }
            }
        }
    }
    jpeg_encoder::Encoder::new_file(&out, 85)?.encode(
        &sheet,
        width as u16,
        height as u16,
        jpeg_encoder::ColorType::Rgb,
    )?;
    println!("{out}: {rows} rows of {COLUMNS} attributes, in the order of ATTRIBUTES");
    Ok(())
}

/// A face without attribute k, with it, and its region.
fn pictures(generator: &Generator, k: usize, face: usize) -> [Vec<u8>; PICTURES] {
    let number = (k * FACES + face) as u64;
    let labels = generator.labels(number);
    let region = generator.region(number, labels, k);
    [
        generator.render(number, labels.with(k, false)),
        generator.render(number, labels.with(k, true)),
        region.into_iter().flat_map(|inside| [if inside { 255 } else { 0 }; 3]).collect(),
    ]
}
