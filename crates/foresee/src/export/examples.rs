//! Images with this program's probabilities, for another program to be compared with.

use candle_core::{Device, Tensor};
use foresee_celeba::{CelebA, Split, synthetic};
use foresee_stats::sigmoid;
use serde_json::{Value, json};

use super::Source;
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::session::preprocessing;

/// Images of each kind.
const COUNT: usize = 10;
/// Of the drawn faces, which are the same in every export.
const SEED: u64 = 0;

/// Images with the probabilities of all attributes.
pub(crate) struct Examples {
    /// Drawn faces: name in the exported folder, and the bytes of a PNG file, which all decoders
    /// read alike.
    pub drawn: Vec<(String, Vec<u8>)>,
    /// Their probabilities.
    drawn_probabilities: Vec<Value>,
    /// Probabilities of images that are not exported.
    faces: Vec<Value>,
}

impl Examples {
    /// Drawn faces and, where `data` is given, its first test faces (others if it has too few).
    pub fn new(source: &Source, data: Option<&CelebA>) -> Result<Self> {
        let drawn = (0..COUNT as u64).map(draw).collect::<Result<Vec<_>>>()?;
        let drawn_probabilities =
            drawn.iter().map(|(name, png)| example(source, name, png)).collect::<Result<_>>()?;
        let faces = data.map_or(Ok(vec![]), |data| of_data(source, data))?;
        Ok(Self { drawn, drawn_probabilities, faces })
    }

    /// What the exported test reads.
    pub fn expected(&self, attributes: &[String]) -> Value {
        json!({
            "attributes": attributes,
            "drawn": self.drawn_probabilities,
            "faces": self.faces,
        })
    }
}

fn of_data(source: &Source, data: &CelebA) -> Result<Vec<Value>> {
    let splits = [Split::Test, Split::Val, Split::Train];
    let all = splits.into_iter().flat_map(|split| data.split(split).unwrap_or_default());
    all.take(COUNT).map(|face| example(source, data.name(face), &data.image_bytes(face)?)).collect()
}

/// A drawn face as the bytes of a PNG file, and its name.
fn draw(face: u64) -> Result<(String, Vec<u8>)> {
    let generator = synthetic::Generator::new(SEED);
    let rgb = generator.render(face, generator.labels(face));
    let mut bytes = vec![];
    let (width, height) = (synthetic::WIDTH as u32, synthetic::HEIGHT as u32);
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok((format!("faces/{:02}.png", face + 1), bytes))
}

/// An image file, by name and hash, with its probabilities.
fn example(source: &Source, name: &str, bytes: &[u8]) -> Result<Value> {
    let size = source.card.image_size;
    let pixels = preprocessing(&source.card)
        .read_bytes(bytes)
        .map_err(|reason| input(format!("image {name}: {reason}")))?;
    let image = Tensor::from_vec(pixels, (1, 3, size, size), &Device::Cpu)?;
    let logits = source.network.forward(&image)?.logits.flatten_all()?.to_vec1::<f32>()?;
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err(input(format!(
            "the network's answers to {name} are not finite: its weights, or the mean and \
             deviation of its card, overflow"
        )));
    }
    let probabilities: Vec<f64> = logits.iter().map(|&logit| sigmoid(f64::from(logit))).collect();
    Ok(json!({ "image": name, "sha256": sha256(bytes), "probabilities": probabilities }))
}
