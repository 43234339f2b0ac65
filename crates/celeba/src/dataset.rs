//! CelebA in any of its forms.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::alignment::Alignment;
use crate::annotations::{
    BOX, LANDMARKS, in_order_of, read_attributes, read_identities, read_partition, read_pixels,
};
use crate::archive::Archive;
use crate::attributes::{ATTRIBUTES, Labels};
use crate::batches::{BatchOptions, Batches};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::image_source::ImageSource;
use crate::images::Images;
use crate::layout::{self, Files, ImageLocation, Layout};
use crate::official;
use crate::preprocessing::{Crop, Preprocessing};
use crate::shards::Shards;
use crate::split::{Split, SplitRule};
use crate::synthetic::Generator;

/// CelebA's annotations, and where its images are. Images are read when a batch needs them. A clone
/// shares the annotations.
///
/// A face is an index from 0 to `len() - 1`, in the order of `list_attr_celeba`.
#[derive(Debug, Clone)]
pub struct CelebA {
    root: PathBuf,
    layout: Layout,
    images: Images,
    labels: Arc<[Labels]>,
    /// Train, val or test; `None` for faces that the partition does not list.
    partition: Arc<[Option<Split>]>,
    /// The list of the user's own that says so, if there is one.
    list: Option<PathBuf>,
    /// Known without a file in parquet shards only.
    identities: Option<Arc<[u32]>>,
    rule: SplitRule,
}

impl CelebA {
    /// Opens CelebA and recognises its form:
    ///
    /// * the folder as distributed: `img_align_celeba/`, `list_attr_celeba.txt`,
    ///   `list_eval_partition.txt` (also in `Img/`, `Anno/` and `Eval/`);
    /// * the same with `img_align_celeba.zip`, which is not unpacked; or the path of that archive;
    /// * torchvision's root, which holds all that in `celeba/`;
    /// * Kaggle's CSVs with images in `img_align_celeba/img_align_celeba/`;
    /// * a folder of Hugging Face's parquet shards, whose names begin with train, valid or
    ///   validation, and test.
    ///
    /// Images are JPEG or PNG files of any size, and the partition can have any length. Without a
    /// partition file, 202,599 images get CelebA's official splits.
    ///
    /// ```
    /// use foresee_celeba::{CelebA, Split, SplitRule, synthetic};
    ///
    /// // Ten drawn faces, of which eight are for training.
    /// let folder = tempfile::tempdir()?;
    /// synthetic::write(folder.path(), 10, 7, |_| ())?;
    /// let faces = CelebA::open(folder.path(), SplitRule::Official)?;
    /// assert_eq!((faces.len(), faces.name(0)), (10, "000001.jpg"));
    /// assert_eq!(faces.split(Split::Train)?.len(), 8);
    /// assert!(faces.is_synthetic());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a file or a listed image is missing, a line is malformed, or files contradict each other.
    pub fn open(root: impl AsRef<Path>, rule: SplitRule) -> Result<Self> {
        let data = Self::open_with_missing(root, rule)?;
        let missing = data.missing_images()?;
        let Some(&first) = missing.first() else { return Ok(data) };
        if let Some(reason) = data.under_another_name(&missing) {
            return Err(Error::Inconsistent { path: data.image_path(first), reason });
        }
        let others = match missing.len() {
            1 => String::new(),
            n => format!(", as do {} others", n - 1),
        };
        Err(Error::Image {
            path: data.image_path(first),
            reason: format!("is listed in the annotations but does not exist{others}"),
        })
    }

    /// Opens CelebA as [`open`](Self::open) does, except that listed images may be missing. Reading
    /// a missing image is an error.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for missing images.
    pub fn open_with_missing(root: impl AsRef<Path>, rule: SplitRule) -> Result<Self> {
        match layout::find(root.as_ref())? {
            Files::Annotated { layout, root, attributes, images } => {
                let (names, labels): (Vec<_>, Vec<_>) =
                    read_attributes(&attributes)?.into_iter().unzip();
                let source = match images {
                    ImageLocation::Folder(folder) => ImageSource::Folder(folder.into()),
                    ImageLocation::Zip(path) => {
                        let archive = Archive::open(&path, names.iter().map(String::as_str))?;
                        ImageSource::Zip(Arc::new(archive))
                    }
                };
                let partition = partition(&root, &names)?.into();
                Ok(Self {
                    root,
                    layout,
                    images: Images::new(source, names),
                    labels: labels.into(),
                    partition,
                    list: None,
                    identities: None,
                    rule,
                })
            }
            Files::Parquet { root, shards } => {
                let (shards, rows) = Shards::open(&shards)?;
                Ok(Self {
                    root,
                    layout: Layout::Parquet,
                    images: Images::new(ImageSource::Parquet(Arc::new(shards)), rows.names),
                    labels: rows.labels.into(),
                    partition: rows.splits.into_iter().map(Some).collect(),
                    list: None,
                    identities: rows.identities.map(Arc::from),
                    rule,
                })
            }
        }
    }

    /// Replaces the splits by those of a file: a CSV with the header `image,split` and rows such as
    /// `000001.jpg,train` (train, val, test, or 0, 1, 2), or a text file in the form of
    /// `list_eval_partition.txt`. Faces that it does not list belong to no split.
    ///
    /// ```
    /// use foresee_celeba::{CelebA, Split, SplitRule, synthetic};
    ///
    /// let folder = tempfile::tempdir()?;
    /// synthetic::write(folder.path(), 5, 7, |_| ())?;
    /// let list = folder.path().join("splits.csv");
    /// std::fs::write(&list, "image,split\n000002.jpg,train\n000005.jpg,test\n")?;
    /// let faces = CelebA::open(folder.path(), SplitRule::Official)?.with_splits(&list)?;
    /// assert_eq!(faces.split(Split::Train)?, [1]);
    /// assert_eq!(faces.split(Split::Test)?, [4]);
    /// assert_eq!(faces.partition(0), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read, or lists an image that is not there.
    pub fn with_splits(mut self, list: impl AsRef<Path>) -> Result<Self> {
        let path = list.as_ref();
        let face_of: HashMap<&str, usize> = self
            .images
            .names()
            .iter()
            .enumerate()
            .map(|(face, name)| (name.as_str(), face))
            .collect();
        let mut partition = vec![None; self.len()];
        for (name, split) in read_partition(path)? {
            let face = face_of.get(name.as_str()).ok_or_else(|| Error::Inconsistent {
                path: path.into(),
                reason: format!(
                    "{name} is no image of {}; take it out of the list",
                    self.root.display()
                ),
            })?;
            partition[*face] = Some(split);
        }
        self.partition = partition.into();
        self.list = Some(path.into());
        Ok(self)
    }

    /// Takes some faces out of all splits.
    ///
    /// # Panics
    /// If there is no such face.
    #[must_use]
    pub fn without(mut self, faces: &[usize]) -> Self {
        let mut partition = self.partition.to_vec();
        faces.iter().for_each(|&face| partition[face] = None);
        self.partition = partition.into();
        self
    }

    /// The form in which CelebA was found.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether these faces were drawn by [`crate::synthetic`]: results on them say nothing about
    /// people.
    pub fn is_synthetic(&self) -> bool {
        crate::synthetic::is_synthetic(&self.root)
    }

    /// What drew these faces, which knows where each attribute is; `None` for photographs, and
    /// where the folder does not say the seed.
    pub fn generator(&self) -> Option<Generator> {
        crate::synthetic::seed(&self.root).map(Generator::new)
    }

    /// The folder of the annotations or shards.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The number of faces, in all splits and in none.
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether there is no face at all.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// The file name of a face.
    ///
    /// # Panics
    /// If there is no such face.
    pub fn name(&self, face: usize) -> &str {
        &self.names()[face]
    }

    fn names(&self) -> &[String] {
        self.images.names()
    }

    /// The attributes of a face.
    ///
    /// # Panics
    /// If there is no such face.
    pub fn labels(&self, face: usize) -> Labels {
        self.labels[face]
    }

    /// Whether a face is in train, val or test of the partition file, whatever the [`SplitRule`];
    /// `None` if it is in no split.
    pub fn partition(&self, face: usize) -> Option<Split> {
        self.partition[face]
    }

    /// The faces of a split, in the order of the annotations.
    ///
    /// # Errors
    /// [`Error::EmptySplit`] if there are none.
    pub fn split(&self, split: Split) -> Result<Vec<usize>> {
        let faces: Vec<usize> = (0..self.len())
            .filter(|&face| self.rule.contains(split, self.partition[face]))
            .collect();
        if faces.is_empty() {
            let path = self.list.as_ref().unwrap_or(&self.root).clone();
            return Err(Error::EmptySplit { path, split });
        }
        Ok(faces)
    }

    /// The share of these faces that have each attribute, in [0, 1].
    ///
    /// ```
    /// use foresee_celeba::{CelebA, SplitRule, attribute_index, synthetic};
    ///
    /// let folder = tempfile::tempdir()?;
    /// synthetic::write(folder.path(), 5, 7, |_| ())?;
    /// let faces = CelebA::open(folder.path(), SplitRule::Official)?;
    /// let male = attribute_index("Male")?;
    /// let count = (0..5).filter(|&face| faces.labels(face).has(male)).count();
    /// assert_eq!(faces.frequencies(&[0, 1, 2, 3, 4])[male], count as f64 / 5.);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn frequencies(&self, faces: &[usize]) -> [f64; ATTRIBUTES.len()] {
        std::array::from_fn(|k| {
            faces.iter().filter(|&&face| self.labels[face].has(k)).count() as f64
                / faces.len().max(1) as f64
        })
    }

    /// The person in each image, from `identity_CelebA` or the shards' column `celeb_id`, counted
    /// from 1. The complete CelebA shows 10,177 people.
    /// [`Batch::select`](crate::Batch::select) takes those of a batch.
    ///
    /// # Errors
    /// If there is no such file, a line is malformed or a face is not listed.
    pub fn identities(&self) -> Result<Vec<u32>> {
        match &self.identities {
            Some(known) => Ok(known.to_vec()),
            None => self.annotations(layout::IDENTITY_FILE, read_identities),
        }
    }

    /// The ten coordinates [`LANDMARKS`] of each face, in pixels of the aligned image of 178×218,
    /// from `list_landmarks_align_celeba`. [`Landmarks`](crate::Landmarks) gives them names, and
    /// [`Batch::landmarks`](crate::Batch::landmarks) moves them with a batch's images.
    ///
    /// # Errors
    /// As [`identities`](Self::identities).
    pub fn landmarks(&self) -> Result<Vec<[i32; 10]>> {
        self.annotations(layout::LANDMARK_FILE, |path| read_pixels(path, &LANDMARKS))
    }

    /// The bounding box of each face in the uncropped image: x, y, width and height in pixels, from
    /// `list_bbox_celeba`. These are not pixels of the aligned images that are read;
    /// [`aligned_boxes`](Self::aligned_boxes) are.
    ///
    /// # Errors
    /// As [`identities`](Self::identities).
    pub fn boxes(&self) -> Result<Vec<[i32; 4]>> {
        self.annotations(layout::BOX_FILE, |path| read_pixels(path, &BOX))
    }

    /// The bounding box of each face in its aligned image: x, y, width and height in pixels. It is
    /// the smallest upright box around the box of `list_bbox_celeba` after that was turned, scaled
    /// and moved as the uncropped image was. How it was is told by the landmarks before
    /// (`list_landmarks_celeba`) and after (`list_landmarks_align_celeba`), by least squares. A box
    /// may reach beyond its image.
    ///
    /// A face has `None` if its box has no area, or if its two rows of landmarks are more than 3
    /// pixels apart after the alignment.
    ///
    /// # Errors
    /// As [`identities`](Self::identities), for each of the three files.
    pub fn aligned_boxes(&self) -> Result<Vec<Option<[f64; 4]>>> {
        let uncropped = self
            .annotations(layout::UNCROPPED_LANDMARK_FILE, |path| read_pixels(path, &LANDMARKS))?;
        let landmarks = uncropped.into_iter().zip(self.landmarks()?);
        let faces = landmarks.zip(self.boxes()?);
        Ok(faces
            .map(|((from, to), face)| {
                Alignment::fit(&from.into(), &to.into())?.upright_box(face.map(f64::from))
            })
            .collect())
    }

    /// The rows of an annotation file in the order of the faces.
    fn annotations<T: Copy>(
        &self,
        file: &str,
        read: impl Fn(&Path) -> Result<Vec<(String, T)>>,
    ) -> Result<Vec<T>> {
        let path = layout::annotation_file(&self.root, file)
            .ok_or_else(|| Error::Missing(self.root.join(format!("{file}.txt"))))?;
        in_order_of(self.names(), read(&path)?, &path)
    }

    /// Where a face's image is: a file, or a place in an archive or a shard, for messages.
    pub fn image_path(&self, face: usize) -> PathBuf {
        self.images.path(face)
    }

    /// The bytes of a face's image file.
    ///
    /// # Errors
    /// [`Error::Image`] if they are missing or damaged.
    pub fn image_bytes(&self, face: usize) -> Result<Vec<u8>> {
        self.images.bytes(face)
    }

    /// A number that another image most likely does not have, without reading the image: its
    /// length in a folder, its checksum in an archive, its shard's fingerprint in a shard.
    pub fn image_fingerprint(&self, face: usize) -> u64 {
        self.images.fingerprint(face)
    }

    /// A text that identifies the data: one line for each face with its name,
    /// [`image_fingerprint`](Self::image_fingerprint), 40 labels as 0 or 1, and the number of its
    /// split (0 train, 1 val, 2 test, 255 none). Two data sets with the same text are the same, as
    /// far as can be told without reading all images.
    pub fn fingerprint_text(&self) -> String {
        let mut text = String::new();
        for face in 0..self.len() {
            let labels: String =
                self.labels[face].iter().map(|present| if present { '1' } else { '0' }).collect();
            let split = self.partition[face].map_or(u8::MAX, |split| split as u8);
            let image = self.image_fingerprint(face);
            text.push_str(&format!("{} {image} {labels} {split}\n", self.name(face)));
        }
        text
    }

    /// Opens the file in `folder` that caches all faces at this crop and size, and makes it if it
    /// does not exist.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn cache(&self, folder: impl AsRef<Path>, crop: Crop, image_size: usize) -> Result<Cache> {
        self.images.cache(folder.as_ref(), crop, image_size)
    }

    /// Streams these faces in batches, with labels [B, 40].
    pub fn batches(&self, faces: &[usize], options: &BatchOptions) -> Batches {
        let labels = self.labels.clone();
        Batches::start(&self.images, faces, options, move |faces| {
            let present = faces.iter().flat_map(|&face| labels[face].iter());
            let values: Vec<f32> = present.map(|present| f32::from(u8::from(present))).collect();
            Tensor::from_vec(values, (faces.len(), ATTRIBUTES.len()), &Device::Cpu)
        })
    }

    /// Streams these faces in their order and without augmentation, as for evaluation.
    pub fn batches_in_order(
        &self,
        faces: &[usize],
        preprocessing: &Preprocessing,
        batch_size: usize,
    ) -> Batches {
        self.batches(faces, &BatchOptions::in_order(preprocessing, batch_size))
    }

    /// Whether images that are missing are there under another ending, or in other letters that
    /// look alike: `.JPG` or `.png` for `.jpg`, upper for lower case.
    pub(crate) fn under_another_name(&self, missing: &[usize]) -> Option<String> {
        let stem = |name: &str| {
            Path::new(name).file_stem().map(|stem| stem.to_string_lossy().to_lowercase())
        };
        let unlisted = self.images.unlisted().ok()?;
        let present: HashMap<_, &String> =
            unlisted.iter().filter_map(|name| Some((stem(name)?, name))).collect();
        let found: Vec<(&str, &String)> = missing
            .iter()
            .filter_map(|&face| {
                let name = self.name(face);
                Some((name, *present.get(&stem(name)?)?))
            })
            .collect();
        let (listed, there) = found.first()?;
        Some(format!(
            "{} of {} images are missing, of which {} are there under another name ({there} for \
             {listed}): rename them, or write their names into the annotations",
            missing.len(),
            self.len(),
            found.len()
        ))
    }

    /// The faces whose images are missing, which [`open_with_missing`](Self::open_with_missing)
    /// allows.
    ///
    /// # Errors
    /// If the folder of the images cannot be read.
    pub fn missing_images(&self) -> Result<Vec<usize>> {
        self.images.missing()
    }

    /// The images alone.
    pub(crate) fn images(&self) -> &Images {
        &self.images
    }
}

/// The split of each face, from the partition file, or CelebA's own if there is none.
fn partition(root: &Path, names: &[String]) -> Result<Vec<Option<Split>>> {
    match layout::annotation_file(root, layout::PARTITION_FILE) {
        Some(path) => {
            let splits = in_order_of(names, read_partition(&path)?, &path)?;
            Ok(splits.into_iter().map(Some).collect())
        }
        None if names.len() == official::FACES => {
            Ok((1..=names.len()).map(official::split_of).collect())
        }
        None => Err(Error::Missing(root.join(format!("{}.txt", layout::PARTITION_FILE)))),
    }
}
