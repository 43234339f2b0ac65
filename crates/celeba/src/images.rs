//! The images of a data set: what they are called, where they are, and how their pixels are read.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::cache::{Cache, Contents};
use crate::error::{Error, Result};
use crate::formats;
use crate::image_source::ImageSource;
use crate::preprocessing::{Augmentation, Crop, Preprocessing};
use crate::view::View;

/// Named images, counted from 0. A clone shares them.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    source: ImageSource,
    names: Arc<[String]>,
}

impl Images {
    pub fn new(source: ImageSource, names: Vec<String>) -> Self {
        Self { source, names: names.into() }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Where an image is: a file, or a place in an archive or a shard, for messages.
    pub fn path(&self, image: usize) -> PathBuf {
        self.source.path(image, &self.names)
    }

    /// The bytes of an image file.
    pub fn bytes(&self, image: usize) -> Result<Vec<u8>> {
        self.source.read(image, &self.names)
    }

    /// A number that another image most likely does not have, without reading the image.
    pub fn fingerprint(&self, image: usize) -> u64 {
        self.source.fingerprint(image, &self.names)
    }

    /// The images that are missing.
    pub fn missing(&self) -> Result<Vec<usize>> {
        self.source.missing(&self.names)
    }

    /// The sorted names of image files that are no image of this data set.
    pub fn unlisted(&self) -> Result<Vec<String>> {
        self.source.unlisted(&self.names)
    }

    /// Groups of images that are read together, in windows that fit in memory, or `None` where any
    /// order of reading is as fast. `shuffle` decides the order of the groups.
    pub fn windows(&self, shuffle: impl FnMut(&mut [usize])) -> Option<Vec<Vec<Range<usize>>>> {
        self.source.windows(shuffle)
    }

    /// Opens the file in `folder` that caches all images at this crop and size, and makes it if it
    /// does not exist.
    pub fn cache(&self, folder: &Path, crop: Crop, image_size: usize) -> Result<Cache> {
        // The number is the form of a record.
        let mut key = format!("3 {crop:?} {image_size}\n");
        for (image, name) in self.names.iter().enumerate() {
            let fingerprint = self.fingerprint(image);
            let modified = self.source.modified(image, &self.names);
            key.push_str(&format!("{name} {fingerprint} {modified:?}\n"));
        }
        Cache::open(folder, &key, self.contents(crop, image_size))
    }

    /// What a cache of these images holds.
    pub fn contents(&self, crop: Crop, image_size: usize) -> Contents {
        let first = self.names.first().map(|name| {
            // The same folder may be written in several ways.
            let folder = self.path(0).parent().and_then(|folder| folder.canonicalize().ok());
            folder.map_or_else(|| self.path(0), |folder| folder.join(name))
        });
        Contents { names: self.names.clone(), first, crop, image_size }
    }

    /// The pixels of an augmented image, RGB row by row, not mirrored yet, and what is seen of it.
    /// They come from the cache if it holds them.
    pub fn pixels(
        &self,
        image: usize,
        augmentation: &Augmentation,
        preprocessing: &Preprocessing,
        cache: Option<&Cache>,
    ) -> Result<(Vec<u8>, View)> {
        let unmoved = Augmentation { flip: false, ..*augmentation } == Augmentation::default();
        let cache = cache.filter(|_| unmoved);
        if let Some((pixels, size)) = cache.and_then(|cache| cache.get(image)) {
            return Ok((pixels, preprocessing.view(size, augmentation)));
        }
        let bytes = self.bytes(image)?;
        let (pixels, size) = preprocessing
            .pixels(&bytes, augmentation)
            .map_err(|reason| self.error(image, reason))?;
        if let Some(cache) = cache {
            cache.put(image, &pixels, size);
        }
        Ok((pixels, preprocessing.view(size, augmentation)))
    }

    fn error(&self, image: usize, reason: String) -> Error {
        Error::Image { path: self.path(image), reason }
    }

    /// Decodes these images and makes sure that none of their data is missing or damaged. Returns
    /// for each whether it is turned as its EXIF data say, or what is wrong with it. `progress`
    /// receives the number of images that were decoded since it was last called.
    pub fn validated(
        &self,
        images: &[usize],
        progress: impl Fn(usize) + Sync,
    ) -> Vec<(usize, std::result::Result<bool, String>)> {
        let validate = |&image: &usize| {
            let found = self.validate(image).map_err(|e| e.to_string());
            progress(1);
            (image, found)
        };
        // Row groups of shards one after the other, each on all cores.
        let Some(windows) = self.windows(|_| ()) else {
            return images.par_iter().map(validate).collect();
        };
        let wanted: HashSet<usize> = images.iter().copied().collect();
        let mut all = vec![];
        for group in windows.into_iter().flatten() {
            let images: Vec<usize> = group.filter(|image| wanted.contains(image)).collect();
            all.extend(images.par_iter().map(validate).collect::<Vec<_>>());
        }
        all
    }

    /// Those of these images that cannot be decoded or are damaged, with the reason.
    pub fn bad(&self, images: &[usize], progress: impl Fn(usize) + Sync) -> Vec<(usize, String)> {
        let found = self.validated(images, progress);
        found.into_iter().filter_map(|(image, found)| Some((image, found.err()?))).collect()
    }

    fn validate(&self, image: usize) -> Result<bool> {
        formats::validate(&self.bytes(image)?).map_err(|reason| self.error(image, reason))
    }
}
