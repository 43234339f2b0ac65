//! CelebA in any of its forms.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::annotations::{
    BOX, LANDMARKS, read_attributes, read_identities, read_partition, read_pixels,
};
use crate::archive::Archive;
use crate::attributes::{ATTRIBUTES, Labels};
use crate::batches::{BatchOptions, Batches};
use crate::cache::Cache;
use crate::decode::{Crop, Preprocessing, View};
use crate::error::{Error, Result, at};
use crate::places::{self, ImagesAt, Places};
use crate::shards::{Rows, Shards};

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For fitting the network.
    Train,
    /// For choices made along the way.
    Val,
    /// For the numbers that are reported.
    Test,
    /// Everything.
    All,
}

impl Split {
    /// The split's name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

/// How CelebA's partition is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitRule {
    /// train, val and test as the partition file says (162,770 / 19,867 / 19,962 for the whole of
    /// CelebA).
    #[default]
    Official,
    /// The paper's: train and val together are the training images (182,637), and val is empty.
    Paper,
}

/// CelebA's annotations and where its images are. Images are read when a batch needs them; a clone
/// shares the annotations.
#[derive(Debug, Clone)]
pub struct CelebA {
    root: PathBuf,
    form: &'static str,
    images: Images,
    names: Arc<[String]>,
    labels: Arc<[Labels]>,
    parts: Arc<[u8]>,
    identities: Option<Arc<[u32]>>,
    rule: SplitRule,
}

/// Where image bytes come from.
#[derive(Debug, Clone)]
enum Images {
    Folder(Arc<Path>),
    Zip(Arc<Archive>),
    Parquet(Arc<Shards>),
}

impl CelebA {
    /// Opens CelebA in any of its forms, which is recognised:
    ///
    /// * the folder as distributed: `img_align_celeba/`, `list_attr_celeba.txt`,
    ///   `list_eval_partition.txt` (also in `Img/`, `Anno/` and `Eval/`);
    /// * the same with `img_align_celeba.zip`, which is not unpacked; or the path of that archive;
    /// * torchvision's root, which holds all that in `celeba/`;
    /// * Kaggle's CSVs with images in `img_align_celeba/img_align_celeba/`;
    /// * a folder of Hugging Face's parquet shards, whose names begin with train, valid or
    ///   validation, and test.
    ///
    /// Images can be JPEG or PNG files of any size, and the partition of any length. Without a
    /// partition file, 202,599 images are split by CelebA's official ranges.
    ///
    /// # Errors
    /// If a file is missing, a line is malformed, the files contradict each other or an image that
    /// is listed is not there.
    pub fn open(root: impl AsRef<Path>, rule: SplitRule) -> Result<Self> {
        let data = Self::open_with_missing(root, rule)?;
        match data.missing_images()? {
            missing if missing.is_empty() => Ok(data),
            missing => {
                let more = if missing.len() > 1 {
                    format!(", as do {} others", missing.len() - 1)
                } else {
                    String::new()
                };
                Err(Error::Image {
                    path: data.image_path(missing[0]),
                    reason: format!("is listed in the annotations but does not exist{more}"),
                })
            }
        }
    }

    /// The same, but images that are listed may be missing: they are errors when they are read.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for missing images.
    pub fn open_with_missing(root: impl AsRef<Path>, rule: SplitRule) -> Result<Self> {
        match places::find(root.as_ref())? {
            Places::Files { form, root, attributes, images } => {
                Self::from_files(form, root, &attributes, &images, rule)
            }
            Places::Parquet { root, shards } => {
                let (shards, Rows { names, labels, parts, identities }) = Shards::open(&shards)?;
                let images = Images::Parquet(Arc::new(shards));
                let identities = identities.map(Arc::from);
                Ok(Self {
                    root,
                    form: "parquet shards",
                    images,
                    names: names.into(),
                    labels: labels.into(),
                    parts: parts.into(),
                    identities,
                    rule,
                })
            }
        }
    }

    fn from_files(
        form: &'static str,
        root: PathBuf,
        attributes: &Path,
        images: &ImagesAt,
        rule: SplitRule,
    ) -> Result<Self> {
        let rows = read_attributes(attributes)?;
        let names = || rows.iter().map(|(name, _)| name.as_str());
        let images = match images {
            ImagesAt::Folder(folder) => Images::Folder(folder.as_path().into()),
            ImagesAt::Zip(path) => Images::Zip(Arc::new(Archive::open(path, names())?)),
        };
        let (names, labels): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let parts = parts(&root, &names)?;
        Ok(Self {
            root,
            form,
            images,
            names: names.into(),
            labels: labels.into(),
            parts: parts.into(),
            identities: None,
            rule,
        })
    }

    /// The faces whose images are not where they should be.
    pub(crate) fn missing_images(&self) -> Result<Vec<usize>> {
        let absent: Box<dyn Fn(usize) -> bool> = match &self.images {
            Images::Folder(folder) => {
                let present: HashSet<_> = files_of(folder)?.into_iter().collect();
                Box::new(move |face| !present.contains(std::ffi::OsStr::new(&self.names[face])))
            }
            Images::Zip(archive) => Box::new(|face| !archive.has(face)),
            Images::Parquet(_) => return Ok(vec![]),
        };
        Ok((0..self.len()).filter(|&face| absent(face)).collect())
    }

    /// Images that are there, but that no row of the annotations lists, in order.
    pub(crate) fn unlisted_images(&self) -> Result<Vec<String>> {
        let present: Vec<String> = match &self.images {
            Images::Folder(folder) => files_of(folder)?
                .into_iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
            Images::Zip(archive) => archive.all()?,
            Images::Parquet(_) => return Ok(vec![]),
        };
        let listed: HashSet<&str> = self.names.iter().map(String::as_str).collect();
        let image = |name: &str| {
            Path::new(name).extension().is_some_and(|e| {
                ["jpg", "jpeg", "png"].iter().any(|known| e.eq_ignore_ascii_case(known))
            })
        };
        let mut unlisted: Vec<String> = present
            .into_iter()
            .filter(|name| image(name) && !listed.contains(name.as_str()))
            .collect();
        unlisted.sort();
        Ok(unlisted)
    }

    /// The same faces with the splits of a list of one's own: a CSV with the header `image,split`
    /// and rows such as `000001.jpg,train` (train, val, test, or 0, 1, 2), or a text file in the
    /// form of `list_eval_partition.txt`. Faces that it does not list belong to no split.
    ///
    /// # Errors
    /// If the file cannot be read, or lists an image that is not there.
    pub fn with_splits(mut self, list: impl AsRef<Path>) -> Result<Self> {
        let path = list.as_ref();
        let place: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(face, name)| (name.as_str(), face)).collect();
        let mut parts = vec![NOWHERE; self.names.len()];
        for (name, part) in read_partition(path)? {
            let face = place.get(name.as_str()).ok_or_else(|| Error::Inconsistent {
                path: path.into(),
                reason: format!(
                    "{name} is no image of {}; take it out of the list",
                    self.root.display()
                ),
            })?;
            parts[*face] = part;
        }
        self.parts = parts.into();
        Ok(self)
    }

    /// The same without some faces, which then belong to no split.
    #[must_use]
    pub fn without(mut self, faces: &[usize]) -> Self {
        let mut parts = self.parts.to_vec();
        faces.iter().for_each(|&face| parts[face] = NOWHERE);
        self.parts = parts.into();
        self
    }

    /// In what form it was found, in words.
    pub fn form(&self) -> &'static str {
        self.form
    }

    /// Whether these faces were drawn by [`crate::synthetic`]: results on them say nothing about
    /// people.
    pub fn is_synthetic(&self) -> bool {
        crate::synthetic::drawn(&self.root)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many faces there are in all splits.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no face at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The file name of a face.
    pub fn name(&self, face: usize) -> &str {
        &self.names[face]
    }

    /// Where a face's image is: a file, or a place in an archive or shard, for messages.
    pub fn image_path(&self, face: usize) -> PathBuf {
        match &self.images {
            Images::Folder(folder) => folder.join(&self.names[face]),
            Images::Zip(archive) => archive.path().join(&self.names[face]),
            Images::Parquet(shards) => shards.place(face),
        }
    }

    /// The bytes of a face's JPEG or PNG file.
    ///
    /// # Errors
    /// [`Error::Image`] if they are missing or damaged.
    pub fn image_bytes(&self, face: usize) -> Result<Vec<u8>> {
        let wrong = |reason: String| Error::Image { path: self.image_path(face), reason };
        match &self.images {
            Images::Folder(folder) => crate::decode::read_file(&folder.join(&self.names[face]))
                .map_err(|e| match e {
                    Error::Missing(_) => {
                        wrong("is listed in the annotations but does not exist".into())
                    }
                    e => e,
                }),
            Images::Zip(archive) => archive.read(face).map_err(wrong),
            Images::Parquet(shards) => shards.read(face).map_err(wrong),
        }
    }

    /// A view's pixels, RGB row by row, not mirrored: from the cache, if it is the view that is
    /// kept there.
    pub(crate) fn square(
        &self,
        face: usize,
        view: &View,
        preprocessing: &Preprocessing,
        cache: Option<&Cache>,
    ) -> Result<Vec<u8>> {
        let kept = cache.filter(|_| View { flip: false, ..*view } == View::default());
        if let Some(pixels) = kept.and_then(|cache| cache.get(face)) {
            return Ok(pixels);
        }
        let bytes = self.image_bytes(face)?;
        let square = preprocessing
            .square(&bytes, view)
            .map_err(|reason| Error::Image { path: self.image_path(face), reason })?;
        if let Some(cache) = kept {
            cache.put(face, &square);
        }
        Ok(square)
    }

    /// Decodes a face's image and trusts nothing in it: what a decoder would pass over is an error.
    pub(crate) fn examine(&self, face: usize) -> Result<()> {
        crate::decode::examine(&self.image_bytes(face)?)
            .map_err(|reason| Error::Image { path: self.image_path(face), reason })
    }

    /// A file that keeps what is seen of all faces at this size, in a folder of such files. It is
    /// made if it is not there.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn cache(&self, folder: impl AsRef<Path>, crop: Crop, image_size: usize) -> Result<Cache> {
        let mut key = format!("1 {crop:?} {image_size}\n");
        for face in 0..self.len() {
            let changed = match &self.images {
                Images::Folder(folder) => std::fs::metadata(folder.join(&self.names[face]))
                    .and_then(|m| m.modified())
                    .ok(),
                _ => None,
            };
            key.push_str(&format!("{} {} {changed:?}\n", self.names[face], self.image_mark(face)));
        }
        Cache::open(folder.as_ref(), &key, self.len(), image_size)
    }

    /// What tells an image from another one without reading it: its length in a folder, its
    /// checksum in an archive, its shard's mark in a shard.
    pub fn image_mark(&self, face: usize) -> u64 {
        match &self.images {
            Images::Folder(folder) => {
                std::fs::metadata(folder.join(&self.names[face])).map_or(0, |m| m.len())
            }
            Images::Zip(archive) => archive.checksum(face),
            Images::Parquet(shards) => shards.mark(face),
        }
    }

    /// Runs of faces in the order in which they are best read, shuffled by `order`: windows of row
    /// groups where there are such, and `None` where any order will do.
    pub(crate) fn windows(
        &self,
        order: impl FnMut(&mut [usize]),
    ) -> Option<Vec<Vec<Range<usize>>>> {
        match &self.images {
            Images::Parquet(shards) => Some(shards.windows(order)),
            _ => None,
        }
    }

    /// Who each face shows, from `identity_CelebA` or the shards' column `celeb_id`: 10,177 people
    /// in the whole of CelebA.
    ///
    /// # Errors
    /// If there is no such file, a line is malformed or a face is not listed.
    pub fn identities(&self) -> Result<Vec<u32>> {
        match &self.identities {
            Some(known) => Ok(known.to_vec()),
            None => self.annotations("identity_CelebA", read_identities),
        }
    }

    /// Ten numbers of pixels for each face, in the order of [`LANDMARKS`], in the aligned image of
    /// 178×218, from `list_landmarks_align_celeba`.
    ///
    /// # Errors
    /// As [`identities`](Self::identities).
    pub fn landmarks(&self) -> Result<Vec<[i32; 10]>> {
        self.annotations("list_landmarks_align_celeba", |path| read_pixels(path, &LANDMARKS))
    }

    /// x, y, width and height of each face in the uncropped image, from `list_bbox_celeba`.
    ///
    /// # Errors
    /// As [`identities`](Self::identities).
    pub fn boxes(&self) -> Result<Vec<[i32; 4]>> {
        self.annotations("list_bbox_celeba", |path| read_pixels(path, &BOX))
    }

    /// A file's rows in the order of the faces.
    fn annotations<T: Copy>(
        &self,
        stem: &str,
        read: impl Fn(&Path) -> Result<Vec<(String, T)>>,
    ) -> Result<Vec<T>> {
        let path = places::file(&self.root, stem)
            .ok_or_else(|| Error::Missing(self.root.join(format!("{stem}.txt"))))?;
        in_order(&path, &self.names, read(&path)?)
    }

    /// The attributes of a face.
    pub fn labels(&self, face: usize) -> Labels {
        self.labels[face]
    }

    /// The part of CelebA's partition that a face is in: 0 train, 1 val, 2 test.
    pub fn part(&self, face: usize) -> u8 {
        self.parts[face]
    }

    /// The faces of a split, in the order of the annotations.
    ///
    /// # Errors
    /// [`Error::EmptySplit`] if there are none.
    pub fn split(&self, split: Split) -> Result<Vec<usize>> {
        let of = |part: u8| match (split, self.rule) {
            (Split::All, _) => part != NOWHERE,
            (Split::Test, _) => part == 2,
            (Split::Train, SplitRule::Official) => part == 0,
            (Split::Train, SplitRule::Paper) => part < 2,
            (Split::Val, SplitRule::Official) => part == 1,
            (Split::Val, SplitRule::Paper) => false,
        };
        let faces: Vec<usize> = (0..self.len()).filter(|&face| of(self.parts[face])).collect();
        match faces.is_empty() {
            true => Err(Error::EmptySplit { path: self.root.clone(), split: split.name() }),
            false => Ok(faces),
        }
    }

    /// Streams these faces in batches.
    pub fn batches(&self, faces: &[usize], options: &BatchOptions) -> Batches {
        Batches::start(self, faces, options)
    }

    /// The share of these faces that have each attribute.
    pub fn frequencies(&self, faces: &[usize]) -> [f64; ATTRIBUTES.len()] {
        std::array::from_fn(|k| {
            faces.iter().filter(|&&face| self.labels[face].has(k)).count() as f64
                / faces.len().max(1) as f64
        })
    }
}

/// Of faces that are in no split.
const NOWHERE: u8 = u8::MAX;

/// The part (0 train, 1 val, 2 test) of each face.
fn parts(root: &Path, names: &[String]) -> Result<Vec<u8>> {
    match places::file(root, "list_eval_partition") {
        Some(path) => in_order(&path, names, read_partition(&path)?),
        None if names.len() == 202_599 => {
            Ok((1..=names.len()).map(|i| u8::from(i > 162_770) + u8::from(i > 182_637)).collect())
        }
        None => Err(Error::Missing(root.join("list_eval_partition.txt"))),
    }
}

/// Values of a file's rows in the order of the faces; each must be listed.
fn in_order<T: Copy>(path: &Path, names: &[String], rows: Vec<(String, T)>) -> Result<Vec<T>> {
    if rows.len() == names.len() && rows.iter().zip(names).all(|((listed, _), name)| listed == name)
    {
        return Ok(rows.into_iter().map(|(_, value)| value).collect());
    }
    let counts =
        format!("{} images are listed, but list_attr_celeba has {}", rows.len(), names.len());
    let inconsistent = |what: String| {
        Err(Error::Inconsistent {
            path: path.into(),
            reason: format!(
                "{counts}; {what}: take both files from the same distribution of CelebA"
            ),
        })
    };
    let mut listed: HashMap<String, T> = rows.into_iter().collect();
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        match listed.remove(name) {
            Some(value) => values.push(value),
            None => return inconsistent(format!("{name} is not listed")),
        }
    }
    match listed.into_keys().min() {
        Some(name) => inconsistent(format!("{name} is listed here only")),
        None => Ok(values),
    }
}

/// Names in a folder.
fn files_of(folder: &Path) -> Result<Vec<OsString>> {
    std::fs::read_dir(folder)
        .map_err(at(folder))?
        .map(|entry| entry.map(|e| e.file_name()).map_err(at(folder)))
        .collect()
}
