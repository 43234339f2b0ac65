//! FaceTracer (Kumar, Belhumeur & Nayar, 2008, "FaceTracer: a search engine for large collections
//! of images with faces"; the search of features is that of Kumar, Berg, Belhumeur & Nayar, 2009,
//! "Attribute and simile classifiers for face verification").
//!
//! What the papers did: a face is aligned by its eyes and mouth and cut into ten regions. Values of
//! the pixels (RGB, HSV, intensity, edge magnitude and orientation) are normalised in three ways
//! and aggregated in three. For each attribute a forward selection finds the few features that a
//! support vector machine with an RBF kernel needs.
//!
//! What we do: CelebA's images are aligned already, so the regions are fixed rectangles. All 400
//! features (ten regions, five kinds of values, three normalisations and three aggregations, less
//! those that are constant) are tried for each attribute on a pool of faces. The kernel is
//! exp(-γ·mean of d²/median d²) over the chosen features' distances d, which are computed once for
//! all attributes. A feature is chosen by balanced accuracy, among at most 300 faces with the
//! attribute and 300 without; C and γ by accuracy; the last machine learns from
//! [`FaceTracerConfig::faces`] faces as they come.
//!
//! Where they differ: the papers found the regions by a detector of fiducial points, had a few
//! thousand labelled faces for each attribute, and trained by LIBSVM; ours are trained by a port of
//! it. 2008's boosting over all local machines is not built: the search of 2009 took its place in
//! the authors' own work.

mod feature;
mod file;
mod planes;
mod region;
mod search;

use foresee_model::Crop;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::feature::{Aggregation, Feature, ValueNormalisation};
pub use self::planes::PixelType;
use self::planes::Planes;
pub use self::region::Region;
pub use self::search::Choice;
use self::search::{Distances, Pool, choose};
use crate::aligned;
use crate::error::{Result, check};
use crate::svm::Svm;

/// How a FaceTracer is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceTracerConfig {
    /// Faces among which features are chosen, the first ones; a fifth of them judges. Default 2000.
    pub pool: usize,
    /// Faces that the last machines learn from, the first ones. They take about 20 bytes for each
    /// pair. Default 4000.
    pub faces: usize,
    /// Height and width of the images. Default 64.
    pub image_size: usize,
    /// Which part of CelebA's aligned images they show. Default [`Crop::Square`].
    pub crop: Crop,
}

impl Default for FaceTracerConfig {
    fn default() -> Self {
        Self { pool: 2000, faces: 4000, image_size: 64, crop: Crop::Square }
    }
}

/// C and γ that are tried.
const SETTINGS: [(f64, f32); 6] = [(1., 0.5), (1., 1.), (1., 2.), (4., 0.5), (4., 1.), (4., 2.)];

/// A trained FaceTracer: for each attribute a few features and a support vector machine.
#[derive(Debug)]
pub struct FaceTracer {
    config: FaceTracerConfig,
    machines: Vec<Machine>,
}

/// Of one attribute.
#[derive(Debug)]
struct Machine {
    choice: Choice,
    gamma: f32,
    /// The support vectors' features, scaled so that the kernel is exp(-γ·d²).
    vectors: Vec<Vec<f32>>,
    svm: Svm,
}

impl FaceTracer {
    /// Steps of a training of so many attributes: each feature is tried, and each attribute has a
    /// machine.
    pub fn steps(attributes: usize) -> usize {
        Feature::all().len() + attributes
    }

    /// Trains on images [3, H, W] with values in [0, 1], and of each all labels. `progress` is
    /// told, from any thread, how many more of the [`steps`](Self::steps) are done.
    ///
    /// ```
    /// use foresee_baselines::{FaceTracer, FaceTracerConfig};
    ///
    /// // Bright images and dark ones.
    /// let images: Vec<Vec<f32>> = (0..20).map(|i| vec![0.3 + 0.02 * i as f32; 3 * 256]).collect();
    /// let labels: Vec<Vec<bool>> = (0..20).map(|i| vec![i % 2 == 0]).collect();
    /// let config = FaceTracerConfig { image_size: 16, ..Default::default() };
    /// let trained = FaceTracer::train(&images, &labels, config, &|_| ())?;
    /// assert_eq!(trained.answers(&images[..3])?.len(), 3);
    /// # Ok::<(), foresee_baselines::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are fewer than 10 images, an image is of another size, or an image has no label for
    /// some attribute.
    pub fn train(
        images: &[Vec<f32>],
        labels: &[Vec<bool>],
        config: FaceTracerConfig,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self> {
        let attributes = labels.first().map_or(0, Vec::len);
        check("the number of images", images.len(), images.len() >= 10, "10 or more")?;
        check("the number of labels", labels.len(), labels.len() == images.len(), "one an image")?;
        let is_full = labels.iter().all(|row| row.len() == attributes);
        check("the labels of an image", "another number", is_full, "as many as of the first")?;
        config.check_images(images)?;
        let pool = config.pool.clamp(10, images.len());
        let planes = config.planes(&images[..pool]);
        let pool = Pool {
            planes: &planes,
            labels: &labels[..pool],
            train: pool * 4 / 5,
            rows: config.rows(),
        };
        let choices = choose(&pool, attributes, progress)?;
        drop(planes);
        let count = config.faces.clamp(10, images.len());
        let mut machines = vec![];
        for (number, choice) in choices.into_iter().enumerate() {
            let labels: Vec<bool> = labels[..count].iter().map(|row| row[number]).collect();
            machines.push(Machine::train(&config, &images[..count], &labels, choice)?);
            progress(1);
        }
        Ok(Self { config, machines })
    }

    /// The decisions of all attributes on each image: above 0 for yes.
    ///
    /// # Errors
    /// If an image is of another size than those of the training.
    pub fn answers(&self, images: &[Vec<f32>]) -> Result<Vec<Vec<f64>>> {
        self.config.check_images(images)?;
        if images.is_empty() {
            return Ok(vec![]);
        }
        let mut answers = vec![Vec::with_capacity(self.machines.len()); images.len()];
        for machine in &self.machines {
            let decisions = machine.decide(&self.config, images)?;
            answers.iter_mut().zip(decisions).for_each(|(row, decision)| row.push(decision));
        }
        Ok(answers)
    }

    /// What was chosen for each attribute.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.machines.iter().map(|machine| &machine.choice)
    }

    /// Values of the support vectors of all attributes.
    pub fn parameters(&self) -> usize {
        self.machines.iter().flat_map(|machine| &machine.vectors).map(Vec::len).sum()
    }
}

impl FaceTracerConfig {
    fn check_images(&self, images: &[Vec<f32>]) -> Result<()> {
        let is_possible = (4..=1024).contains(&self.image_size);
        check("image_size", self.image_size, is_possible, "a number from 4 to 1024")?;
        let size = 3 * self.image_size * self.image_size;
        let of_size = images.iter().all(|image| image.len() == size);
        check("the values of an image", "another number", of_size, format!("{size}"))
    }

    /// The rows of CelebA's 218 that the images show.
    fn rows(&self) -> (f32, f32) {
        aligned::rows(self.crop)
    }

    /// The planes of a black image.
    fn blank(&self) -> Result<Planes> {
        self.check_images(&[])?;
        let size = self.image_size;
        Ok(Planes::new(&vec![0.; 3 * size * size], size))
    }

    fn planes(&self, images: &[Vec<f32>]) -> Vec<Planes> {
        images.par_iter().map(|image| Planes::new(image, self.image_size)).collect()
    }

    /// The scaled features of each image side by side.
    fn vectors(&self, choice: &Choice, images: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let vector = |image: &Vec<f32>| {
            let planes = Planes::new(image, self.image_size);
            let mut vector = vec![];
            for (feature, scale) in choice.features.iter().zip(&choice.scales) {
                let weight = 1. / (scale * choice.features.len() as f32).sqrt();
                let values = feature.of(&planes, self.rows());
                vector.extend(values.into_iter().map(|value| value * weight));
            }
            vector
        };
        images.par_iter().map(vector).collect()
    }
}

impl Machine {
    /// C and γ are chosen on the last fifth of the first 1,500 images; then all images are learned
    /// from. Without a feature the answer is that of most images.
    fn train(
        config: &FaceTracerConfig,
        images: &[Vec<f32>],
        labels: &[bool],
        choice: Choice,
    ) -> Result<Self> {
        if choice.features.is_empty() {
            let yes = labels.iter().filter(|label| **label).count();
            let offset = if 2 * yes > labels.len() { 1. } else { -1. };
            let svm = Svm { vectors: vec![], offset };
            return Ok(Self { choice, gamma: 1., vectors: vec![], svm });
        }
        let vectors = config.vectors(&choice, images);
        let (c, gamma) = best_settings(&vectors, labels)?;
        let mut kernel = Distances::between(&vectors, &vectors)?.values;
        kernel.iter_mut().for_each(|d| *d = (-gamma * *d).exp());
        let mut svm = Svm::train(&kernel, labels, c, false)?;
        let kept = svm.vectors.iter().map(|(at, _)| vectors[*at].clone()).collect();
        svm.vectors.iter_mut().enumerate().for_each(|(place, (at, _))| *at = place);
        Ok(Self { choice, gamma, vectors: kept, svm })
    }

    fn decide(&self, config: &FaceTracerConfig, images: &[Vec<f32>]) -> Result<Vec<f64>> {
        if self.vectors.is_empty() {
            return Ok(vec![self.svm.offset; images.len()]);
        }
        let distances = Distances::between(&config.vectors(&self.choice, images), &self.vectors)?;
        let of = |row: usize| {
            let row = distances.row(row);
            self.svm.decide(|at| f64::from((-self.gamma * row[at]).exp()))
        };
        Ok((0..images.len()).map(of).collect())
    }
}

/// Vectors on which C and γ are chosen, at most.
const CHOSEN_ON: usize = 1500;

/// The C and γ of the highest accuracy on the last fifth.
fn best_settings(vectors: &[Vec<f32>], labels: &[bool]) -> Result<(f64, f32)> {
    let all = vectors.len().min(CHOSEN_ON);
    let train = all * 4 / 5;
    let distances = Distances::between(&vectors[..all], &vectors[..train])?;
    let judged = SETTINGS.par_iter().map(|&(c, gamma)| {
        let kernel: Vec<f32> = distances.values.iter().map(|d| (-gamma * d).exp()).collect();
        let (own, others) = kernel.split_at(train * train);
        let svm = Svm::train(own, &labels[..train], c, false)?;
        let is_right =
            |(row, label): &(&[f32], &bool)| (svm.decide(|at| f64::from(row[at])) > 0.) == **label;
        Ok(others.chunks_exact(train).zip(&labels[train..all]).filter(is_right).count())
    });
    let judged = judged.collect::<Result<Vec<usize>>>()?;
    let mut best = 0;
    for (place, right) in judged.iter().enumerate() {
        if *right > judged[best] {
            best = place;
        }
    }
    Ok(SETTINGS[best])
}
