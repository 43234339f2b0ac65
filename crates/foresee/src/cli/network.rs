//! Arguments of the commands that work on a network of the user's own.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;
use foresee_celeba::Crop;

use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::networks::image_input::Layout;
use crate::networks::network::NetworkOptions;
use crate::networks::notes::Notes;
use crate::networks::task::{LabelSource, TaskOptions};

/// Larger images than this are no network's.
const MOST_PIXELS: usize = 4096;

/// Under which `--help` has the options of networks of the user's own.
pub(super) const MODEL_HEADING: &str = "Your own network (--model)";

/// The images of a network of the user's own, and how it takes them.
#[derive(Args, Clone)]
// clap asks for no --model where that conflicts with what is given.
#[group(requires = "model", conflicts_with = "run")]
#[command(next_help_heading = MODEL_HEADING)]
pub struct NetworkArgs {
    /// A folder of JPEG or PNG files (and the folders in it, in the order of the names), a CSV with
    /// a column `image` of paths, or one image.
    #[arg(long, value_name = "DIR|CSV")]
    images: Option<PathBuf>,
    /// A CSV `image,label` with classes, all by name or all by number from 0; or `image` and a
    /// column of 0 and 1 for each output, by the names of --classes. `folders`: the folder that an
    /// image lies in is its class.
    #[arg(long, value_name = "CSV|folders")]
    labels: Option<PathBuf>,
    /// Names of the outputs, one a line.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Subtracted from pixels in [0, 1]: one number for each channel, or one for all. Default:
    /// what the file notes, if this program wrote it; else 0.485,0.456,0.406
    /// (ImageNet); of grey images 0.5.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// Then divided by. Default: 0.229,0.224,0.225 (ImageNet); of grey images 0.5.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_negative_numbers = true)]
    std: Vec<f32>,
    /// Height and width of the images, such as 224 or 480x640. Default: those that the network's
    /// input has.
    #[arg(long, value_name = "HxW", value_parser = size)]
    size: Option<(usize, usize)>,
    /// square: the largest centred part with the proportions of the input; whole: the complete
    /// image, whose proportions change. Default: square.
    #[arg(long, value_name = "CROP", value_parser = crop)]
    crop: Option<Crop>,
    /// The sides of the centred part that is used, as a share of what --crop leaves. torchvision's
    /// Resize(256) and CenterCrop(224) are 0.875. Default: 1.
    #[arg(long, value_name = "SHARE", value_parser = crop_share)]
    crop_share: Option<f64>,
    /// nchw ([B, C, H, W], PyTorch) or nhwc ([B, H, W, C], TensorFlow). Default: as the network's
    /// input says.
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    /// The value or node that is the answer, [B, K]; a softmax or sigmoid in which it ends is left
    /// out. Default: the first output.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Without --labels: each output is a yes or a no. Default: the greatest is the answer, unless
    /// the network ends in a sigmoid or has one output.
    #[arg(long)]
    multi_label: bool,
    /// Only so many images, spread over the folder by a hash of their names; 0: all. Default: 8 for
    /// explain; 64 for predict, 256 with --takeover; else all.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Images at once: more need more memory. Default: 8.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
}

impl NetworkArgs {
    /// What the arguments say of a network; `limit` is the number of images if they do not.
    pub(super) fn options(
        &self,
        model: &Path,
        names: &[String],
        limit: usize,
        device: Device,
    ) -> Result<TaskOptions> {
        let Some(images) = self.images.clone() else {
            return Err(input("name the images with --images"));
        };
        let labels = self.labels.clone().map(|labels| match labels == Path::new("folders") {
            true => LabelSource::Folders,
            false => LabelSource::File(labels),
        });
        let notes = Notes::read(model);
        if let Some(Notes { mean, deviation, attributes, .. }) = &notes {
            tracing::info!(
                "as the network's file says, each of its {} outputs is a yes or a no, and pixels \
                 are normalised by mean {mean:?} and standard deviation {deviation:?}; options \
                 can say something else",
                attributes.len()
            );
        }
        let or_noted = |given: &[f32], noted: fn(&Notes) -> &Vec<f32>| match &notes {
            Some(notes) if given.is_empty() => noted(notes).clone(),
            _ => given.to_vec(),
        };
        Ok(TaskOptions {
            model: model.into(),
            images,
            labels,
            classes: self.classes.clone(),
            network: NetworkOptions {
                size: self.size,
                layout: self.layout,
                output: self.output.clone(),
            },
            crop: self.crop.or(notes.as_ref().map(|notes| notes.crop)).unwrap_or_default(),
            crop_share: self.crop_share.unwrap_or(1.),
            mean: or_noted(&self.mean, |notes| &notes.mean),
            std: or_noted(&self.std, |notes| &notes.deviation),
            multi_label: self.multi_label || (notes.is_some() && self.labels.is_none()),
            names: distinct(names.iter().cloned()),
            limit: self.limit.unwrap_or(limit),
            batch: self.batch.map_or(8, usize::from),
            device,
        })
    }
}

/// 224, or 480x640.
pub(super) fn size(text: &str) -> std::result::Result<(usize, usize), String> {
    let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MOST_PIXELS).contains(side));
    side(height).zip(side(width)).ok_or_else(|| {
        format!("a height, or height x width such as 224x320, each from 1 to {MOST_PIXELS}")
    })
}

fn crop(text: &str) -> std::result::Result<Crop, String> {
    Crop::from_id(text).ok_or_else(|| "square or whole".into())
}

fn crop_share(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|share| *share > 0. && *share <= 1.);
    number.ok_or_else(|| "a share above 0, up to 1".into())
}

/// Of channels or operations, of which neither none nor all go.
pub(super) fn share(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|share| *share > 0. && *share < 1.);
    number.ok_or_else(|| "a share above 0 and below 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("224"), Ok((224, 224)));
        assert_eq!((size("480x640"), size("4×5")), (Ok((480, 640)), Ok((4, 5))));
        for wrong in ["", "0", "x", "224x", "1e3", "-4", "99999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(crop_share("0").is_err() && crop_share("1.1").is_err() && share("NaN").is_err());
        assert_eq!((crop_share("1"), crop("whole")), (Ok(1.), Ok(Crop::Whole)));
        assert!(share("1").is_err() && share("0.5") == Ok(0.5));
    }
}
