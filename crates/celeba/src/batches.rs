//! Batches, decoded in parallel and ahead of their use.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::landmarks::Landmarks;
use crate::preprocessing::{Augmentation, Crop, Normalisation, Preprocessing};
use crate::random::{Purpose, stream};
use crate::view::View;

/// How images become batches.
///
/// ```
/// use foresee_celeba::{BatchOptions, CelebA, Epoch, Result, SplitRule, synthetic};
///
/// let folder = tempfile::tempdir()?;
/// synthetic::write(folder.path(), 5, 7, |_| ())?;
/// let faces = CelebA::open(folder.path(), SplitRule::Official)?;
/// let order = |number: u64| -> Result<Vec<usize>> {
///     let epoch = Some(Epoch::new(7, number));
///     let options = BatchOptions { image_size: 16, batch_size: 2, epoch, ..Default::default() };
///     let batches = faces.batches(&[0, 1, 2, 3, 4], &options).collect::<Result<Vec<_>>>()?;
///     assert_eq!(batches.len(), 3);
///     Ok(batches.into_iter().flat_map(|batch| batch.faces).collect())
/// };
/// // The seed and the epoch decide the order, in which each face comes once.
/// let mut first = order(0)?;
/// assert_eq!(first, order(0)?);
/// first.sort();
/// assert_eq!(first, [0, 1, 2, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// The part of an image that is used. Default: the largest centred square.
    pub crop: Crop,
    /// Height and width of the images in pixels. Default: 64.
    pub image_size: usize,
    /// Images in a batch; the last batch can be smaller. Default: 32.
    pub batch_size: usize,
    /// How pixels become numbers. Default: [-1, 1].
    pub normalisation: Normalisation,
    /// The epoch of a training, which shuffles and augments the images. Default: `None`, which
    /// keeps the given order and does not augment.
    pub epoch: Option<Epoch>,
    /// Whether to leave out a last batch that is not full. Default: false.
    pub drop_last: bool,
    /// Number of batches to leave out at the start, to resume an interrupted epoch. The batches
    /// that follow are the same as without. Default: 0.
    pub skip: usize,
    /// Of each batch only these images, as far as there are so many: a share of what several
    /// machines read. They are those of the whole batch. Default: `None`, all.
    pub rows: Option<Range<usize>>,
    /// Number of batches that are prepared ahead of use, which bounds the memory. Default: 4.
    pub prefetch: usize,
    /// Where resized images are cached between epochs and runs. Default: nowhere.
    pub cache: Option<Arc<Cache>>,
}

/// An epoch of a training: the order of its images and how they are augmented, which its seed and
/// its number decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// The training's seed.
    pub seed: u64,
    /// Which epoch, from 0.
    pub number: u64,
    /// Whether to mirror each image with probability 1/2.
    pub flip: bool,
    /// Random crops have sides of at least this share of the sides that [`BatchOptions::crop`]
    /// leaves, in (0, 1]; 1: no random crops.
    pub smallest_crop: f64,
}

impl Epoch {
    /// An epoch that shuffles its images and does not augment them.
    pub fn new(seed: u64, number: u64) -> Self {
        Self { seed, number, flip: false, smallest_crop: 1. }
    }
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            crop: Crop::Square,
            image_size: 64,
            batch_size: 32,
            normalisation: Normalisation::default(),
            epoch: None,
            drop_last: false,
            skip: 0,
            rows: None,
            prefetch: 4,
            cache: None,
        }
    }
}

impl BatchOptions {
    /// Images in their order and without augmentation, as for evaluation.
    pub fn in_order(preprocessing: &Preprocessing, batch_size: usize) -> Self {
        let Preprocessing { crop, image_size, normalisation } = *preprocessing;
        Self { crop, image_size, normalisation, batch_size, ..Default::default() }
    }

    /// Whether these images can be read so.
    ///
    /// # Errors
    /// If an option has a value that it cannot have, there is no such image, or the cache holds
    /// others.
    fn check(&self, images: &Images, chosen: &[usize]) -> Result<()> {
        let refuse =
            |option, value: String, expected| Err(Error::Option { option, value, expected });
        if self.image_size == 0 {
            return refuse("image_size", "0".into(), "at least 1");
        }
        if self.batch_size == 0 {
            return refuse("batch_size", "0".into(), "at least 1");
        }
        let smallest = self.epoch.map_or(1., |epoch| epoch.smallest_crop);
        if !(smallest > 0. && smallest <= 1.) {
            return refuse("smallest_crop", smallest.to_string(), "above 0, and at most 1");
        }
        let count = images.names().len();
        if let Some(&image) = chosen.iter().find(|&&image| image >= count) {
            return Err(Error::NoImage { image, images: count });
        }
        let cache = self.cache.as_ref();
        let needed = || images.contents(self.crop, self.image_size);
        cache.map_or(Ok(()), |cache| cache.check(&needed()))
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing {
            crop: self.crop,
            image_size: self.image_size,
            normalisation: self.normalisation,
        }
    }
}

/// Images and labels of B faces, or of B images of classes.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised pixels, [B, 3, H, W], f32.
    pub images: Tensor,
    /// Of [`CelebA`](crate::CelebA): 1 where a face has the attribute, else 0; [B, 40], f32. Of an
    /// [`ImageFolder`](crate::ImageFolder): the index of each image's class; `[B]`, u32.
    pub labels: Tensor,
    /// The images' indices in their data set.
    pub faces: Vec<usize>,
    /// What the network sees of each original image, `[B]`: where it was cropped, how it was
    /// resized, and whether it was mirrored.
    pub views: Vec<View>,
}

impl Batch {
    /// The rows of the batch's images in a table that has one row for each image of the data set,
    /// such as [`CelebA::identities`](crate::CelebA::identities).
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_celeba::Batch;
    ///
    /// // A batch of faces 2 and 0.
    /// let batch = Batch {
    ///     images: Tensor::zeros((2, 3, 8, 8), DType::F32, &Device::Cpu)?,
    ///     labels: Tensor::zeros((2, 40), DType::F32, &Device::Cpu)?,
    ///     faces: vec![2, 0],
    ///     views: vec![],
    /// };
    /// assert_eq!(batch.select(&["first", "second", "third"])?, ["third", "first"]);
    /// assert!(batch.select(&["first", "second"]).is_err());
    /// # Ok::<(), foresee_celeba::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Rows`] if the table has no row for an image.
    pub fn select<T: Clone>(&self, table: &[T]) -> Result<Vec<T>> {
        let row = |&image: &usize| {
            table.get(image).cloned().ok_or(Error::Rows { rows: table.len(), image })
        };
        self.faces.iter().map(row).collect()
    }

    /// Where the landmarks of each face are in the pixels of [`images`](Self::images), from
    /// [`CelebA::landmarks`](crate::CelebA::landmarks). On a mirrored image left and right exchange
    /// their names ([`View::apply_landmarks`]). Those that were cropped away lie outside of the
    /// image.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn landmarks(&self, table: &[[i32; 10]]) -> Result<Vec<Landmarks>> {
        let rows = self.select(table)?;
        let moved = self.views.iter().zip(rows);
        Ok(moved.map(|(view, row)| view.apply_landmarks(&row.into())).collect())
    }

    /// Where the box of each image is in the pixels of [`images`](Self::images), from boxes [x, y,
    /// width, height] in pixels of the images that were read, such as
    /// [`CelebA::aligned_boxes`](crate::CelebA::aligned_boxes). They are not clipped.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn boxes(&self, table: &[Option<[f64; 4]>]) -> Result<Vec<Option<[f64; 4]>>> {
        let rows = self.select(table)?;
        let moved = self.views.iter().zip(rows);
        Ok(moved.map(|(view, row)| row.map(|row| view.apply_box(row))).collect())
    }
}

/// An iterator over batches, which a thread of its own prepares. Dropping the iterator ends that
/// thread.
pub struct Batches {
    receiver: Receiver<Result<Batch>>,
    remaining: usize,
}

impl Batches {
    /// `labels` makes the labels of a batch's images.
    pub(crate) fn start(
        images: &Images,
        chosen: &[usize],
        options: &BatchOptions,
        labels: impl Fn(&[usize]) -> candle_core::Result<Tensor> + Send + 'static,
    ) -> Self {
        let images = images.clone();
        let (order, refused) = match options.check(&images, chosen) {
            Ok(()) => (epoch_order(&images, chosen, options), None),
            Err(error) => (vec![], Some(error)),
        };
        let size = options.batch_size.max(1);
        let skip = options.skip;
        let rows = options.rows.clone().unwrap_or(0..size);
        let batches =
            if options.drop_last { order.len() / size } else { order.len().div_ceil(size) };
        let preprocessing = options.preprocessing();
        let cache = options.cache.clone();
        let (sender, receiver) = sync_channel(options.prefetch);
        let remaining = if refused.is_some() { 1 } else { batches.saturating_sub(skip) };
        std::thread::spawn(move || {
            if let Some(error) = refused {
                let _ = sender.send(Err(error));
            }
            for chunk in order.chunks(size).take(batches).skip(skip) {
                let chunk = &chunk[rows.start.min(chunk.len())..rows.end.min(chunk.len())];
                let batch = read(&images, chunk, &preprocessing, cache.as_deref(), &labels);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        Self { receiver, remaining }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.receiver.recv() {
            Ok(batch) => {
                // After an error there is no further batch.
                self.remaining = if batch.is_ok() { self.remaining - 1 } else { 0 };
                Some(batch)
            }
            Err(_) if self.remaining > 0 => {
                self.remaining = 0;
                Some(Err(candle_core::Error::Msg(
                    "the decoding thread ended before its last batch".into(),
                )
                .into()))
            }
            Err(_) => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.remaining))
    }
}

/// The images in the order of the epoch, each with its augmentation. All random numbers are drawn
/// here, so that skipped batches do not change the others.
fn epoch_order(
    images: &Images,
    chosen: &[usize],
    options: &BatchOptions,
) -> Vec<(usize, Augmentation)> {
    let mut order: Vec<(usize, Augmentation)> =
        chosen.iter().map(|&image| (image, Augmentation::default())).collect();
    if let Some(Epoch { seed, number, flip, smallest_crop }) = options.epoch {
        let mut rng = stream(seed, Purpose::Order, number);
        match images.windows(|groups| groups.shuffle(&mut rng)) {
            None => order.shuffle(&mut rng),
            Some(windows) => order = shuffle_in_windows(windows, chosen, &mut rng),
        }
        if flip {
            order.iter_mut().for_each(|(_, augmentation)| augmentation.flip = rng.random());
        }
        if smallest_crop < 1. {
            for (_, augmentation) in &mut order {
                augmentation.side = rng.random_range(smallest_crop..1.);
                augmentation.position = rng.random();
            }
        }
    }
    order
}

/// Shuffles images inside of windows, each of which fits in memory. An image that `chosen` lists n
/// times comes n times.
fn shuffle_in_windows(
    windows: Vec<Vec<Range<usize>>>,
    chosen: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, Augmentation)> {
    let mut repeats = vec![0usize; chosen.iter().max().map_or(0, |last| last + 1)];
    chosen.iter().for_each(|&image| repeats[image] += 1);
    let mut shuffled = |window: Vec<Range<usize>>| {
        let known = window.into_iter().flatten().filter(|&image| image < repeats.len());
        let mut images: Vec<usize> =
            known.flat_map(|image| std::iter::repeat_n(image, repeats[image])).collect();
        images.shuffle(rng);
        images
    };
    let images = windows.into_iter().flat_map(&mut shuffled);
    images.map(|image| (image, Augmentation::default())).collect()
}

/// Reads a batch.
fn read(
    images: &Images,
    chunk: &[(usize, Augmentation)],
    preprocessing: &Preprocessing,
    cache: Option<&Cache>,
    labels: &impl Fn(&[usize]) -> candle_core::Result<Tensor>,
) -> Result<Batch> {
    let size = preprocessing.image_size;
    let mut pixels = vec![0f32; chunk.len() * 3 * size * size];
    let views = pixels
        .par_chunks_exact_mut(3 * size * size)
        .zip(chunk)
        .map(|(out, (image, augmentation))| {
            let (pixels, view) = images.pixels(*image, augmentation, preprocessing, cache)?;
            preprocessing.normalise(&pixels, view.mirrored, out);
            Ok(view)
        })
        .collect::<Result<Vec<View>>>()?;
    let faces: Vec<usize> = chunk.iter().map(|&(image, _)| image).collect();
    Ok(Batch {
        images: Tensor::from_vec(pixels, (chunk.len(), 3, size, size), &Device::Cpu)?,
        labels: labels(&faces)?,
        faces,
        views,
    })
}
