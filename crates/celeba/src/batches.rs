//! Batches, decoded in parallel and ahead of their use.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::attributes::ATTRIBUTES;
use crate::cache::Cache;
use crate::dataset::CelebA;
use crate::error::Result;
use crate::preprocessing::{Crop, Normalisation, Preprocessing, View};
use crate::random::{Purpose, stream};

/// How faces become batches.
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
    /// The seed and the epoch that decide the order and the augmentation. Default: `None`, which
    /// keeps the given order and does not augment.
    pub shuffle: Option<(u64, u64)>,
    /// Whether to mirror each image with probability 1/2; needs `shuffle`. Default: false.
    pub flip: bool,
    /// Random crops have sides of at least this share of the sides that `crop` leaves, in (0, 1];
    /// needs `shuffle`. Default: 1, no random crops.
    pub smallest_crop: f64,
    /// Whether to leave out a last batch that is not full. Default: false.
    pub drop_last: bool,
    /// Number of batches to leave out at the start, to resume an interrupted epoch. The batches
    /// that follow are the same as without. Default: 0.
    pub skip: usize,
    /// Number of batches that are prepared ahead of use, which bounds the memory. Default: 4.
    pub prefetch: usize,
    /// Where resized images are cached between epochs and runs. Default: nowhere.
    pub cache: Option<Arc<Cache>>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            crop: Crop::Square,
            image_size: 64,
            batch_size: 32,
            normalisation: Normalisation::default(),
            shuffle: None,
            flip: false,
            smallest_crop: 1.,
            drop_last: false,
            skip: 0,
            prefetch: 4,
            cache: None,
        }
    }
}

/// Images and labels of B faces.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised pixels, [B, 3, H, W], f32.
    pub images: Tensor,
    /// 1 where a face has the attribute, else 0; [B, 40], f32.
    pub labels: Tensor,
    /// The faces' indices in their [`CelebA`].
    pub faces: Vec<usize>,
}

impl CelebA {
    /// Streams these faces in batches.
    pub fn batches(&self, faces: &[usize], options: &BatchOptions) -> Batches {
        Batches::start(self, faces, options)
    }

    /// Streams these faces in their order and without augmentation, as for evaluation.
    pub fn batches_in_order(
        &self,
        faces: &[usize],
        preprocessing: &Preprocessing,
        batch_size: usize,
    ) -> Batches {
        let Preprocessing { crop, image_size, normalisation } = *preprocessing;
        self.batches(
            faces,
            &BatchOptions { crop, image_size, normalisation, batch_size, ..Default::default() },
        )
    }
}

/// An iterator over batches, which a thread of its own prepares. Dropping the iterator ends that
/// thread.
pub struct Batches {
    receiver: Receiver<Result<Batch>>,
    remaining: usize,
}

impl Batches {
    fn start(data: &CelebA, faces: &[usize], options: &BatchOptions) -> Self {
        let data = data.clone();
        let order = epoch_order(&data, faces, options);
        let size = options.batch_size.max(1);
        let skip = options.skip;
        let batches =
            if options.drop_last { order.len() / size } else { order.len().div_ceil(size) };
        let preprocessing = Preprocessing {
            crop: options.crop,
            image_size: options.image_size,
            normalisation: options.normalisation,
        };
        let cache = options.cache.clone();
        let (sender, receiver) = sync_channel(options.prefetch);
        let remaining = batches.saturating_sub(skip);
        std::thread::spawn(move || {
            for chunk in order.chunks(size).take(batches).skip(skip) {
                let batch = read(&data, chunk, &preprocessing, cache.as_deref());
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

/// The faces in the order of the epoch, each with its augmentation. All random numbers are drawn
/// here, so that skipped batches do not change the others.
fn epoch_order(data: &CelebA, faces: &[usize], options: &BatchOptions) -> Vec<(usize, View)> {
    let mut order: Vec<(usize, View)> = faces.iter().map(|&face| (face, View::default())).collect();
    if let Some((seed, epoch)) = options.shuffle {
        let mut rng = stream(seed, Purpose::Order, epoch);
        match data.windows(|groups| groups.shuffle(&mut rng)) {
            None => order.shuffle(&mut rng),
            Some(windows) => order = shuffle_in_windows(windows, faces, &mut rng),
        }
        if options.flip {
            order.iter_mut().for_each(|(_, view)| view.flip = rng.random());
        }
        if options.smallest_crop < 1. {
            for (_, view) in &mut order {
                view.side = rng.random_range(options.smallest_crop.max(0.01)..1.);
                view.position = rng.random();
            }
        }
    }
    order
}

/// Shuffles faces inside of windows, each of which fits in memory. A face that `faces` lists n
/// times comes n times.
fn shuffle_in_windows(
    windows: Vec<Vec<Range<usize>>>,
    faces: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, View)> {
    let mut repeats = vec![0usize; faces.iter().max().map_or(0, |last| last + 1)];
    faces.iter().for_each(|&face| repeats[face] += 1);
    let mut shuffled = |window: Vec<Range<usize>>| {
        let known = window.into_iter().flatten().filter(|&face| face < repeats.len());
        let mut faces: Vec<usize> =
            known.flat_map(|face| std::iter::repeat_n(face, repeats[face])).collect();
        faces.shuffle(rng);
        faces
    };
    let faces = windows.into_iter().flat_map(&mut shuffled);
    faces.map(|face| (face, View::default())).collect()
}

/// Reads a batch.
fn read(
    data: &CelebA,
    chunk: &[(usize, View)],
    preprocessing: &Preprocessing,
    cache: Option<&Cache>,
) -> Result<Batch> {
    let size = preprocessing.image_size;
    let mut pixels = vec![0f32; chunk.len() * 3 * size * size];
    pixels.par_chunks_exact_mut(3 * size * size).zip(chunk).try_for_each(
        |(out, (face, view))| -> Result<()> {
            let pixels = data.pixels(*face, view, preprocessing, cache)?;
            preprocessing.normalise(&pixels, view.flip, out);
            Ok(())
        },
    )?;
    let labels: Vec<f32> = chunk
        .iter()
        .flat_map(|&(face, _)| data.labels(face).iter())
        .map(|present| f32::from(u8::from(present)))
        .collect();
    Ok(Batch {
        images: Tensor::from_vec(pixels, (chunk.len(), 3, size, size), &Device::Cpu)?,
        labels: Tensor::from_vec(labels, (chunk.len(), ATTRIBUTES.len()), &Device::Cpu)?,
        faces: chunk.iter().map(|&(face, _)| face).collect(),
    })
}
