//! What a command works on: a network, its images, and what is on them.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use foresee_celeba::{Crop, Framing};
use foresee_files::place_of;
use foresee_graph::Graph;
use foresee_report::Source;

use super::activation::FinalActivation;
use super::classes::Classes;
use super::folder::Folder;
use super::image_input::Layout;
use super::images::ImageList;
use super::label_files;
use super::labels::Labels;
use super::manifest::NetworkRecord;
use super::network::{Network, NetworkOptions};
use super::notes::Notes;
use super::reader::Reader;
use crate::error::{Result, input};

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
pub(crate) struct TaskOptions {
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
    pub std: Vec<f32>,
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

impl TaskOptions {
    /// All files and folders that are read, as far as they are known before.
    pub fn reads(&self) -> Vec<PathBuf> {
        let labels = match &self.labels {
            Some(LabelSource::File(file)) => Some(file.clone()),
            _ => None,
        };
        let model = Graph::onnx_files(&self.model).unwrap_or_else(|_| vec![self.model.clone()]);
        let others = [Some(self.images.clone()), labels, self.classes.clone()];
        model.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

/// A network, its images, and what is on them.
pub(crate) struct Task {
    pub network: Network,
    pub images: ImageList,
    /// Also those that `names` and `limit` leave out.
    pub all_images: ImageList,
    pub reader: Reader,
    pub classes: Classes,
    pub labels: Option<Labels>,
    /// Whether outputs are a yes or a no each; else the greatest is the answer.
    pub multi_label: bool,
    /// Images at once.
    pub batch: usize,
    pub device: Device,
    /// SHA-256 of the network's files.
    network_sha256: String,
    /// SHA-256 of all images with their names.
    pub images_sha256: String,
}

impl Task {
    /// Opens and checks everything before any work.
    ///
    /// # Errors
    /// If something is missing or does not fit.
    pub fn open(options: &TaskOptions) -> Result<Self> {
        let network = Network::open(&options.model, &options.network, &options.device)?;
        let all = ImageList::open(&options.images)?;
        let images = all.clone().named(&options.names)?.limited_to(options.limit);
        let classes = match &options.classes {
            Some(file) => Classes::read(file, network.outputs)?,
            None => named_by_file(&options.model, network.outputs),
        };
        let (labels, classes) = match &options.labels {
            Some(LabelSource::File(file)) => {
                (Some(label_files::read(file, &images, &classes)?), classes)
            }
            Some(LabelSource::Folders) => {
                let (labels, classes) = label_files::of_folders(&all, &images, classes)?;
                (Some(labels), classes)
            }
            None => (None, classes),
        };
        let multi_label = is_multi_label(options, &network, labels.as_ref())?;
        tell_of_answers(multi_label, options, &network, labels.as_ref());
        let (height, width) = (network.input.height, network.input.width);
        let framing = Framing { crop: options.crop, share: options.crop_share, height, width };
        let reader = Reader::new(framing, &network.input, &options.mean, &options.std)?;
        Ok(Self {
            network_sha256: network.sha256()?,
            images_sha256: images.sha256()?,
            batch: network.input.batch.unwrap_or(options.batch.max(1)),
            device: options.device.clone(),
            network,
            images,
            all_images: all,
            reader,
            classes,
            labels,
            multi_label,
        })
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
        Folder::open(out, NetworkRecord { path, sha256: self.network_sha256.clone() })
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

    /// What is on an image, if it is known: its class, or whether it has what an output stands for.
    pub fn label(&self, image: usize, output: usize) -> Option<&str> {
        Some(match self.labels.as_ref()? {
            Labels::Classes(classes) => self.classes.name(classes[image]),
            Labels::Attributes(rows) => {
                if rows[image][output] {
                    "yes"
                } else {
                    "no"
                }
            }
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

    /// Images as the network takes them.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read(&self, images: &[usize], layout: Layout) -> Result<Tensor> {
        Ok(self.reader.read(&self.images, images, layout)?.to_device(&self.device)?)
    }

    /// What stands on figures and tables of so many of the images.
    pub fn source(&self, observed: usize) -> Source {
        let Framing { height, width, .. } = self.reader.framing;
        let file = self.network.file.file_name().unwrap_or_default().display();
        let images = self.images.source();
        let images = images.file_name().unwrap_or(images.as_os_str()).display();
        let count = match (self.images.len(), observed) {
            (1, _) => "1 image".into(),
            (all, observed) if observed < all => format!("{observed} of {all} images"),
            (all, _) => format!("{all} images"),
        };
        let data = format!("{file}, {count} from {images}, {height}×{width} px");
        Source { data, synthetic: false }
    }

    /// The probability of each output, from logits `[K]`.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        match self.multi_label {
            true => FinalActivation::Sigmoid.probabilities(logits),
            false => FinalActivation::Softmax.probabilities(logits),
        }
    }
}

/// The outputs' names as a file says them that this program wrote, or numbers.
fn named_by_file(model: &Path, outputs: usize) -> Classes {
    let names = Notes::read(model).map(|notes| notes.attributes);
    let names = names.filter(|names| names.len() == outputs);
    match names.and_then(|names| Classes::named(names).ok()) {
        Some(classes) => {
            tracing::info!("outputs have the names that the file says (--classes)");
            classes.of_model()
        }
        None => Classes::numbered(outputs),
    }
}

/// Says how the outputs are read, and why.
fn tell_of_answers(
    multi_label: bool,
    options: &TaskOptions,
    network: &Network,
    labels: Option<&Labels>,
) {
    let reason = match labels {
        Some(Labels::Attributes(_)) => "--labels says 0 or 1",
        Some(Labels::Classes(_)) => "--labels has one class for each image",
        None if options.multi_label => "--multi-label",
        None if network.activation() == Some(FinalActivation::Sigmoid) => "it ends in sigmoids",
        None if network.activation() == Some(FinalActivation::Softmax) => "it ends in a softmax",
        None if network.outputs == 1 => "there is only one output",
        None => "the default; --multi-label, or labels, would change it",
    };
    match multi_label {
        true => tracing::info!("each output is a yes where its logit is above 0 ({reason})"),
        false => tracing::info!("the greatest output is the answer ({reason})"),
    }
    if labels.is_some_and(Labels::are_one_of_many) {
        tracing::warn!(
            "--labels has exactly one 1 for every image. If an image is of one class, give \
             `image,label` instead: with a column for each output, each is judged by itself"
        );
    }
}

/// Whether outputs are a yes or a no each.
fn is_multi_label(
    options: &TaskOptions,
    network: &Network,
    labels: Option<&Labels>,
) -> Result<bool> {
    let activation = network.activation();
    let is_softmax = activation == Some(FinalActivation::Softmax);
    let one_answer = "the network ends in a softmax, so that its greatest output is the answer";
    if options.multi_label && is_softmax {
        return Err(input(format!("--multi-label: {one_answer}; leave the option out")));
    }
    match labels {
        Some(Labels::Attributes(_)) if is_softmax => Err(input(format!(
            "--labels has a column of 0 and 1 for each output, but {one_answer}: give `image,label`"
        ))),
        Some(Labels::Attributes(_)) => Ok(true),
        Some(Labels::Classes(_)) if options.multi_label => Err(input(
            "--multi-label: --labels has one class for each image; give `image` and a column of 0 \
             and 1 for each output, or leave the option out",
        )),
        Some(Labels::Classes(_)) => {
            if activation == Some(FinalActivation::Sigmoid) {
                tracing::info!(
                    "the network ends in sigmoids, but --labels has one class for each image: the \
                     greatest output is taken as the answer"
                );
            }
            Ok(false)
        }
        None => Ok(options.multi_label
            || activation == Some(FinalActivation::Sigmoid)
            || network.outputs == 1),
    }
}
