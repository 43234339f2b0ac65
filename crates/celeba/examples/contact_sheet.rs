//! Draws every attribute off (left) and on (right) for three faces: `cargo run --release -p
//! foresee-celeba --example contact_sheet -- OUT.jpg [SEED]`. The third picture of a face shows the
//! region of the attribute in white.

use foresee_celeba::ATTRIBUTES;
use foresee_celeba::synthetic::{Generator, HEIGHT, WIDTH};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("name a JPEG file to write")?;
    let seed = arguments.next().map_or(Ok(0), |s| s.parse())?;
    let generator = Generator::new(seed);
    let (columns, faces) = (4, 2);
    let cell = 3 * faces;
    let (width, height) = (columns * cell * WIDTH, ATTRIBUTES.len().div_ceil(columns) * HEIGHT);
    let mut sheet = vec![255u8; width * height * 3];
    for (k, _) in ATTRIBUTES.iter().enumerate() {
        for face in 0..faces {
            let number = (k * faces + face) as u64;
            let labels = generator.labels(number);
            let region = generator
                .region(number, labels, k)
                .into_iter()
                .flat_map(|inside| [if inside { 255 } else { 0 }; 3])
                .collect();
            let pictures = [
                generator.render(number, labels.with(k, false)),
                generator.render(number, labels.with(k, true)),
                region,
            ];
            for (i, picture) in pictures.iter().enumerate() {
                let left = (k % columns * cell + face * 3 + i) * WIDTH;
                for (y, row) in picture.chunks_exact(3 * WIDTH).enumerate() {
                    let at = ((k / columns * HEIGHT + y) * width + left) * 3;
                    sheet[at..at + row.len()].copy_from_slice(row);
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
    println!(
        "{out}: {} rows of {columns} attributes, in the order of ATTRIBUTES",
        ATTRIBUTES.len().div_ceil(columns)
    );
    Ok(())
}
