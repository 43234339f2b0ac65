//! Batches, decoded in parallel ahead of their use.

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
use crate::decode::{Crop, Normalisation, Preprocessing, View};
use crate::error::Result;
use crate::random::{Purpose, stream};

/// How faces become batches.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// Which part of an image is seen. Default: the largest centred square.
    pub crop: Crop,
    /// Height and width that it is resized to. Default 64.
    pub image_size: usize,
    /// Images in a batch; the last one can be smaller. Default 32.
    pub batch_size: usize,
    /// Default: pixels to [-1, 1].
    pub normalisation: Normalisation,
    /// Shuffle, and decide the mirror images and random squares, by this seed and epoch; `None`
    /// (default) keeps the given order.
    pub shuffle: Option<(u64, u64)>,
    /// Mirror each image with probability 1/2 (with `shuffle` only). Default false.
    pub flip: bool,
    /// Cut out a random part whose sides are at least this share of what `crop` leaves, inside it
    /// (with `shuffle` only). Default 1: all of it.
    pub smallest_crop: f64,
    /// Leave out a last batch that is not full. Default false.
    pub drop_last: bool,
    /// Batches to leave out from the start: an interrupted epoch goes on here, with the same
    /// batches. Default 0.
    pub skip: usize,
    /// Batches that are ready ahead of use, which bounds the memory. Default 4.
    pub prefetch: usize,
    /// Where resized images are kept between epochs and runs. Default: nowhere.
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

/// Some faces.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised pixels, [B, 3, H, W], f32.
    pub images: Tensor,
    /// 1 where a face has the attribute, else 0; [B, 40], f32.
    pub labels: Tensor,
    /// The faces' indices in their [`CelebA`].
    pub faces: Vec<usize>,
}

/// An iterator over batches, made by a thread of its own that works ahead. Dropping it ends that
/// thread.
pub struct Batches {
    receiver: Receiver<Result<Batch>>,
    remaining: usize,
}

impl Batches {
    pub(crate) fn start(data: &CelebA, faces: &[usize], options: &BatchOptions) -> Self {
        let (data, order) = (data.clone(), order(data, faces, options));
        let (size, skip) = (options.batch_size.max(1), options.skip);
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

/// The faces in the order of the epoch, each as it is seen. All draws are made here, so that a
/// skipped batch changes nothing after it.
fn order(data: &CelebA, faces: &[usize], options: &BatchOptions) -> Vec<(usize, View)> {
    let mut order: Vec<(usize, View)> = faces.iter().map(|&face| (face, View::default())).collect();
    if let Some((seed, epoch)) = options.shuffle {
        let mut rng = stream(seed, Purpose::Order, epoch);
        match data.windows(|groups| groups.shuffle(&mut rng)) {
            None => order.shuffle(&mut rng),
            Some(windows) => order = in_windows(windows, faces, &mut rng),
        }
        if options.flip {
            order.iter_mut().for_each(|(_, view)| view.flip = rng.random());
        }
        if options.smallest_crop < 1. {
            for (_, view) in &mut order {
                view.side = rng.random_range(options.smallest_crop.max(0.01)..1.);
                view.place = rng.random();
            }
        }
    }
    order
}

/// Faces shuffled inside of windows that are in memory together.
fn in_windows(
    windows: Vec<Vec<Range<usize>>>,
    faces: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, View)> {
    let mut times = vec![0usize; faces.iter().max().map_or(0, |last| last + 1)];
    faces.iter().for_each(|&face| times[face] += 1);
    let of = |window: Vec<Range<usize>>| {
        let inside = window.into_iter().flatten().filter(|&face| face < times.len());
        let mut own: Vec<usize> =
            inside.flat_map(|face| std::iter::repeat_n(face, times[face])).collect();
        own.shuffle(rng);
        own
    };
    windows.into_iter().flat_map(of).map(|face| (face, View::default())).collect()
}

/// Reads faces, each as it is seen.
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
            let square = data.square(*face, view, preprocessing, cache)?;
            preprocessing.write(&square, view.flip, out);
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
