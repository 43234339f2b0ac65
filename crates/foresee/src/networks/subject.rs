//! What a command works on: a network, its images, and what is on them.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use foresee_celeba::{Crop, Framing};
use foresee_files::place_of;
use foresee_report::Source;
use serde::Serialize;

use super::classes::Classes;
use super::folder::{Folder, NetworkRecord};
use super::images::ImageList;
use super::labels::Labels;
use super::network::{Ending, Network, NetworkOptions};
use super::reader::{Layout, Reader};
use crate::error::{Result, input};

/// What pixels of colour images are normalised by if nothing else is said: ImageNet's.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// What grey pixels are.
const GREY: (f32, f32) = (0.5, 0.5);

/// Where labels are from.
#[derive(Debug, Clone)]
pub(crate) enum LabelSource {
    /// A CSV file.
    File(PathBuf),
    /// The folders that the images lie in.
    Folders,
}

/// What a command is told of its network and images.
#[derive(Debug, Clone)]
pub(crate) struct SubjectOptions {
    pub model: PathBuf,
    pub images: PathBuf,
    pub labels: Option<LabelSource>,
    pub classes: Option<PathBuf>,
    pub network: NetworkOptions,
    pub crop: Crop,
    /// Of the sides that the crop leaves.
    pub crop_share: f64,
    /// Of each channel, or one for all of them; empty: the usual.
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
    /// Whether outputs are a yes or a no each, if there are no labels that tell it.
    pub multi_label: bool,
    /// Only these images; all if there are none.
    pub names: Vec<String>,
    /// So many of them; 0: all.
    pub limit: usize,
    /// Images at once.
    pub batch: usize,
    pub device: Device,
}

impl SubjectOptions {
    /// All files and folders that are read.
    pub fn reads(&self) -> Vec<&Path> {
        let labels = match &self.labels {
            Some(LabelSource::File(file)) => Some(file.as_path()),
            _ => None,
        };
        let others = labels.into_iter().chain(self.classes.as_deref());
        [self.model.as_path(), self.images.as_path()].into_iter().chain(others).collect()
    }
}

/// A network, its images, and what is on them.
pub(crate) struct Subject {
    pub network: Network,
    pub images: ImageList,
    pub reader: Reader,
    pub classes: Classes,
    pub labels: Option<Labels>,
    /// Whether outputs are a yes or a no each; else the greatest is the answer.
    pub multi_label: bool,
    /// Images at once.
    pub batch: usize,
    pub device: Device,
    /// SHA-256 of the network's file and weights, and of the images.
    hashes: [String; 3],
}

/// All that decides what a network is given, for manifests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Given {
    classes: Vec<String>,
    answer: String,
    layout: Layout,
    height: usize,
    width: usize,
    crop: &'static str,
    crop_share: f64,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    multi_label: bool,
    device: String,
}

impl Subject {
    /// Opens and checks everything before any work.
    ///
    /// # Errors
    /// If something is missing or does not fit.
    pub fn open(options: &SubjectOptions) -> Result<Self> {
        let network = Network::open(&options.model, &options.network, &options.device)?;
        let images = ImageList::open(&options.images)?;
        let images = images.named(&options.names)?.some(options.limit);
        let classes = match &options.classes {
            Some(file) => Classes::read(file, network.outputs)?,
            None => Classes::numbered(network.outputs),
        };
        let labels = match &options.labels {
            Some(LabelSource::File(file)) => Some(Labels::read(file, &images, &classes)?),
            Some(LabelSource::Folders) => Some(Labels::of_folders(&images, &classes)?),
            None => None,
        };
        let multi_label = match &labels {
            Some(labels) => labels.are_attributes(),
            None => options.multi_label || network.ending == Some(Ending::Sigmoid),
        };
        let reader = reader(options, &network)?;
        let [file, weights] = network.sha256()?;
        let hashes = [file, weights, images.sha256()?];
        let batch = network.input.batch.unwrap_or(options.batch.max(1));
        let device = options.device.clone();
        Ok(Self { network, images, reader, classes, labels, multi_label, batch, device, hashes })
    }

    /// The folder for results.
    ///
    /// # Errors
    /// If it lies among the images, or holds something else.
    pub fn folder(&self, out: &Path) -> Result<Folder> {
        let source = self.images.source();
        let is_among = |out: PathBuf| {
            place_of(source).is_ok_and(|source| source.is_dir() && out.starts_with(source))
        };
        if place_of(out).is_ok_and(is_among) {
            return Err(input(format!(
                "--out {}: lies in {}, so that its figures would be among the images; name another \
                 folder",
                out.display(),
                source.display()
            )));
        }
        let path = std::path::absolute(&self.network.file)?;
        let [sha256, weights_sha256, _] = self.hashes.clone();
        Folder::open(out, NetworkRecord { path, sha256, weights_sha256 })
    }

    /// The labels.
    ///
    /// # Errors
    /// If there are none, with what is needed.
    pub fn labels(&self) -> Result<&Labels> {
        self.labels.as_ref().ok_or_else(|| {
            input(
                "accuracy needs labels: --labels names a CSV (`image,label`, or `image` and a \
                 column of 0 and 1 for each output), or `folders`",
            )
        })
    }

    /// The images of each batch by their numbers.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Vec<usize>> + '_ {
        let count = self.images.len();
        (0..count.div_ceil(self.batch)).map(move |i| {
            let first = i * self.batch;
            (first..count.min(first + self.batch)).collect()
        })
    }

    /// Some images as the network takes them.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read(&self, images: &[usize], layout: Layout) -> Result<Tensor> {
        Ok(self.reader.read(&self.images, images, layout)?.to_device(&self.device)?)
    }

    /// SHA-256 of all images with their names.
    pub fn images_sha256(&self) -> &str {
        &self.hashes[2]
    }

    /// What an image goes through, and what is answered: of what results are made from, all but the
    /// images, the labels and a command's own settings.
    pub fn given(&self) -> Given {
        let Framing { crop, share, height, width } = self.reader.framing;
        Given {
            classes: self.classes.names().to_vec(),
            answer: self.network.graph.value(self.network.answer).name.clone(),
            layout: self.network.input.layout,
            height,
            width,
            crop: crop.id(),
            crop_share: share,
            mean: self.reader.mean.clone(),
            deviation: self.reader.deviation.clone(),
            multi_label: self.multi_label,
            device: device_name(&self.device).into(),
        }
    }

    /// What stands on figures and tables.
    pub fn source(&self) -> Source {
        let Framing { height, width, .. } = self.reader.framing;
        let file = self.network.file.file_name().unwrap_or_default().display();
        let images = self.images.source();
        let images = images.file_name().unwrap_or(images.as_os_str()).display();
        let count = self.images.len();
        let data = format!("{file}, {count} images from {images}, {height}×{width} px");
        Source { data, synthetic: false }
    }

    /// The share of each output of answers `[K]`: that of a softmax, or of a sigmoid each.
    pub fn shares(&self, answers: &[f32]) -> Vec<f64> {
        let answers: Vec<f64> = answers.iter().map(|&answer| f64::from(answer)).collect();
        if self.multi_label {
            return answers.iter().map(|answer| 1. / (1. + (-answer).exp())).collect();
        }
        let most = answers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = answers.iter().map(|answer| (answer - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    }
}

fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

fn reader(options: &SubjectOptions, network: &Network) -> Result<Reader> {
    let channels = network.input.channels;
    let usual = match channels {
        1 => (vec![GREY.0], vec![GREY.1]),
        _ => (IMAGENET.0.to_vec(), IMAGENET.1.to_vec()),
    };
    if options.mean.is_empty() || options.deviation.is_empty() {
        let whose = if channels == 1 { "" } else { "ImageNet's " };
        tracing::info!(
            "pixels in [0, 1] are normalised by {whose}mean {:?} and deviation {:?} where --mean \
             and --std say nothing else",
            usual.0,
            usual.1
        );
    }
    let mean = of_channels("--mean", &options.mean, usual.0)?;
    let deviation = of_channels("--std", &options.deviation, usual.1)?;
    if let Some(value) = deviation.iter().find(|value| **value <= 0.) {
        return Err(input(format!("--std {value}: a deviation is above 0")));
    }
    let (height, width) = (network.input.height, network.input.width);
    let framing = Framing { crop: options.crop, share: options.crop_share, height, width };
    Ok(Reader { framing, mean, deviation })
}

/// A number for each channel.
fn of_channels(option: &str, given: &[f32], usual: Vec<f32>) -> Result<Vec<f32>> {
    let channels = usual.len();
    if let Some(value) = given.iter().find(|value| !value.is_finite()) {
        return Err(input(format!("{option} {value}: is no finite number")));
    }
    match given.len() {
        0 => Ok(usual),
        1 => Ok(vec![given[0]; channels]),
        count if count == channels => Ok(given.to_vec()),
        count => Err(input(format!(
            "{option}: {count} numbers are given, but the network's images have {channels} \
             channels"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_for_all_channels() -> Result<()> {
        let of = |given: &[f32]| of_channels("--mean", given, vec![1., 2., 3.]);
        assert_eq!(of(&[])?, [1., 2., 3.]);
        assert_eq!(of(&[0.5])?, [0.5; 3]);
        assert_eq!(of(&[0.1, 0.2, 0.3])?, [0.1, 0.2, 0.3]);
        assert!(of(&[0.1, 0.2]).unwrap_err().to_string().contains("2 numbers are given"));
        assert!(of(&[f32::NAN]).is_err());
        Ok(())
    }
}
