//! Images of one class each, in a folder for each class.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;

use crate::batches::{BatchOptions, Batches};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::image_files::{ImageFiles, entries};
use crate::image_source::ImageSource;
use crate::images::Images;
use crate::preprocessing::{Crop, Preprocessing};
use crate::random::{Purpose, stream};
use crate::split::Split;

/// Images that belong to one class each, as in torchvision's `ImageFolder`: a folder for each
/// class, or those in folders `train`, `val` (also `valid`, `validation`) and `test`. Images are
/// JPEG or PNG files of any size, and are read when a batch needs them. A clone shares the list.
///
/// Classes are numbered from 0 in the order of their names. An image is an index from 0 to `len() -
/// 1`: train, val and test follow each other, in each the classes, in each the names.
///
/// ```
/// use foresee_celeba::{BatchOptions, ImageFolder, Split};
///
/// // Two classes of drawn faces.
/// let folder = tempfile::tempdir()?;
/// for (seed, class) in ["cats", "dogs"].into_iter().enumerate() {
///     foresee_celeba::synthetic::write(&folder.path().join(class), 10, seed as u64, |_| ())?;
/// }
///
/// let data = ImageFolder::open(folder.path())?.with_random_splits(0.2, 0.1, 7)?;
/// assert_eq!(data.classes(), ["cats", "dogs"]);
/// let options = BatchOptions { image_size: 32, batch_size: 4, ..Default::default() };
/// for batch in data.batches(&data.split(Split::Train)?, &options) {
///     let batch = batch?;
///     let classes: Vec<u32> = batch.labels.to_vec1()?;
///     assert_eq!(batch.images.dims(), [classes.len(), 3, 32, 32]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageFolder {
    root: PathBuf,
    images: Images,
    classes: Arc<[String]>,
    labels: Arc<[u32]>,
    partition: Arc<[Split]>,
}

impl ImageFolder {
    /// Opens a folder of classes, or of `train`, `val` and `test` with classes in each. Without
    /// these, all images are for training until [`with_random_splits`](Self::with_random_splits).
    ///
    /// Images may lie in further folders of their class. Hidden files are left out; a warning tells
    /// how many other files are no images by their names' endings.
    ///
    /// # Errors
    /// If a folder cannot be read, a class has no image, there is no class, `train` lacks a class
    /// of `val` or `test`, or folders of splits stand beside others.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        if !root.is_dir() {
            let reason = "is no folder; give one that holds a folder for each class";
            return Err(Error::Inconsistent { path: root.into(), reason: reason.into() });
        }
        let mut found = Found::default();
        for (split, name) in split_folders(root)? {
            found.add_split(root, split, &name)?;
        }
        if found.others > 0 {
            tracing::warn!(
                "{}: {} files are left out: they are not named like JPEG or PNG files, or are no \
                 files",
                root.display(),
                found.others
            );
        }
        found.check_classes(root)?;
        // Images of a class follow each other in the order of their names.
        found.images.sort();
        let mut classes: Vec<String> =
            found.images.iter().map(|image| image.class.clone()).collect();
        classes.sort();
        classes.dedup();
        let label = |image: &Image| classes.binary_search(&image.class).unwrap_or_default() as u32;
        let labels = found.images.iter().map(label).collect();
        let partition = found.images.iter().map(|image| image.split()).collect();
        let names = found.images.into_iter().map(|image| image.name).collect();
        Ok(Self {
            root: root.into(),
            images: Images::new(ImageSource::Folder(root.into()), names),
            classes: classes.into(),
            labels,
            partition,
        })
    }

    /// Replaces the splits by random ones. Of the n images of each class, round(n·test) are for
    /// test and round(n·val) for val; the others are for training. The seed decides which.
    ///
    /// # Errors
    /// If a share is not in [0, 1), or they leave no image of a class to train on.
    pub fn with_random_splits(mut self, val: f64, test: f64, seed: u64) -> Result<Self> {
        if !(val >= 0. && test >= 0. && val + test < 1.) {
            return Err(self.error(format!(
                "shares of {val} for val and {test} for test are not possible: each is 0 or more, \
                 and together they are less than 1"
            )));
        }
        let mut partition = vec![Split::Train; self.len()];
        for class in 0..self.classes.len() {
            let mut images: Vec<usize> =
                (0..self.len()).filter(|&image| self.labels[image] as usize == class).collect();
            images.shuffle(&mut stream(seed, Purpose::Split, class as u64));
            let count = |share: f64| (images.len() as f64 * share).round() as usize;
            let (tests, vals) = (count(test), count(val));
            if tests + vals >= images.len() {
                return Err(self.error(format!(
                    "the class {} has {} images, of which {vals} for val and {tests} for test \
                     leave none to train on: add some, or take smaller shares",
                    self.classes[class],
                    images.len()
                )));
            }
            images.iter().take(tests).for_each(|&image| partition[image] = Split::Test);
            images.iter().skip(tests).take(vals).for_each(|&image| partition[image] = Split::Val);
        }
        self.partition = partition.into();
        Ok(self)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The number of images in all splits.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image, which [`open`](Self::open) refuses.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The names of the classes, which are those of their folders, in order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class of an image, an index into [`classes`](Self::classes).
    pub fn label(&self, image: usize) -> u32 {
        self.labels[image]
    }

    /// An image's file below the [`root`](Self::root), with `/` between folders.
    pub fn name(&self, image: usize) -> &str {
        &self.images.names()[image]
    }

    /// An image's file.
    pub fn image_path(&self, image: usize) -> PathBuf {
        self.images.path(image)
    }

    /// Whether an image is in train, val or test.
    pub fn partition(&self, image: usize) -> Split {
        self.partition[image]
    }

    /// The images of a split, in order.
    ///
    /// # Errors
    /// If there are none.
    pub fn split(&self, split: Split) -> Result<Vec<usize>> {
        let is_in = |&image: &usize| split == Split::All || self.partition[image] == split;
        let images: Vec<usize> = (0..self.len()).filter(is_in).collect();
        if images.is_empty() {
            return Err(self.error(format!(
                "no image belongs to the split `{}`: put some into a folder of this name, or draw \
                 random splits",
                split.id()
            )));
        }
        Ok(images)
    }

    /// How many of these images are of each class.
    pub fn counts(&self, images: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        images.iter().for_each(|&image| counts[self.labels[image] as usize] += 1);
        counts
    }

    /// Streams these images in batches, with labels `[B]`, u32: the index of each image's class.
    pub fn batches(&self, images: &[usize], options: &BatchOptions) -> Batches {
        let labels = self.labels.clone();
        Batches::start(&self.images, images, options, move |images| {
            let classes: Vec<u32> = images.iter().map(|&image| labels[image]).collect();
            Tensor::from_vec(classes, images.len(), &Device::Cpu)
        })
    }

    /// Streams these images in their order and without augmentation, as for evaluation.
    pub fn batches_in_order(
        &self,
        images: &[usize],
        preprocessing: &Preprocessing,
        batch_size: usize,
    ) -> Batches {
        self.batches(images, &BatchOptions::in_order(preprocessing, batch_size))
    }

    /// Opens the file in `folder` that caches all images at this crop and size, and makes it if it
    /// does not exist.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn cache(&self, folder: impl AsRef<Path>, crop: Crop, image_size: usize) -> Result<Cache> {
        self.images.cache(folder.as_ref(), crop, image_size)
    }

    /// Decodes these images. Returns those that cannot be decoded or are damaged, with the reason.
    /// `progress` receives the number of images that were decoded since it was last called.
    pub fn bad_images(
        &self,
        images: &[usize],
        progress: impl Fn(usize) + Sync,
    ) -> Vec<(usize, String)> {
        self.images.bad(images, progress)
    }

    fn error(&self, reason: String) -> Error {
        Error::Inconsistent { path: self.root.clone(), reason }
    }
}

/// An image in a folder of classes. Images are sorted by these fields in turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Image {
    /// The split's number.
    split: u8,
    class: String,
    /// The file below the root.
    name: String,
}

impl Image {
    fn split(&self) -> Split {
        Split::DISJOINT[usize::from(self.split)]
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    images: Vec<Image>,
    /// Files that are no images.
    others: usize,
}

impl Found {
    /// Adds the classes of a folder, which is the root if its name is "".
    fn add_split(&mut self, root: &Path, split: Split, folder: &str) -> Result<()> {
        for (class, path) in entries(&root.join(folder))? {
            if !path.is_dir() {
                self.others += 1;
                continue;
            }
            let ImageFiles { files, others } = ImageFiles::below(&path)?;
            if files.is_empty() {
                let reason = "is the folder of a class and has no images; add some or remove it";
                return Err(Error::Inconsistent { path, reason: reason.into() });
            }
            self.others += others;
            let below = if folder.is_empty() { class.clone() } else { format!("{folder}/{class}") };
            self.images.extend(files.into_iter().map(|(name, _)| Image {
                split: split as u8,
                class: class.clone(),
                name: format!("{below}/{name}"),
            }));
        }
        Ok(())
    }

    /// Makes sure that there are classes, and that none has images to test and none to train.
    fn check_classes(&self, root: &Path) -> Result<()> {
        let inconsistent = |reason: String| Err(Error::Inconsistent { path: root.into(), reason });
        if self.images.is_empty() {
            let reason = "holds no folder of a class, which holds JPEG or PNG files";
            return inconsistent(reason.into());
        }
        let is_train = |image: &&Image| image.split == Split::Train as u8;
        let train: HashSet<&str> =
            self.images.iter().filter(is_train).map(|image| image.class.as_str()).collect();
        let unknown = self.images.iter().find(|image| !train.contains(image.class.as_str()));
        match unknown {
            Some(image) if !train.is_empty() => inconsistent(format!(
                "{} is of the class {}, of which train has no image: name the folders of a class \
                 alike in all splits",
                image.name, image.class
            )),
            _ => Ok(()),
        }
    }
}

/// The folders of the splits. Without them, the root itself is train, and its name is "".
fn split_folders(root: &Path) -> Result<Vec<(Split, String)>> {
    let names = entries(root)?.into_iter().filter(|(_, path)| path.is_dir());
    let (splits, others): (Vec<_>, Vec<_>) =
        names.map(|(name, _)| (split_of(&name), name)).partition(|(split, _)| split.is_some());
    match (splits.first(), others.first()) {
        (None, _) => Ok(vec![(Split::Train, String::new())]),
        (Some((_, split)), Some((_, other))) => Err(Error::Inconsistent {
            path: root.into(),
            reason: format!(
                "holds `{split}`, which is the name of a split, beside `{other}`: give the folders \
                 of all splits and no others, or only those of classes and rename `{split}`"
            ),
        }),
        _ => Ok(splits.into_iter().filter_map(|(split, name)| Some((split?, name))).collect()),
    }
}

fn split_of(folder: &str) -> Option<Split> {
    match folder {
        "train" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Val),
        "test" => Some(Split::Test),
        _ => None,
    }
}
