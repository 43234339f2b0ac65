//! A folder as CelebA is distributed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::annotations::{read_attributes, read_partition};
use crate::attributes::{ATTRIBUTES, Labels};
use crate::batches::{BatchOptions, Batches};
use crate::error::{Error, Result, at};

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
    /// train, val and test as the partition file says (162,770 / 19,867 / 19,962 for the whole of CelebA).
    #[default]
    Official,
    /// The paper's: train and val together are the training images (182,637), and val is empty.
    Paper,
}

/// CelebA's annotations and where its images are. Images are read when a batch needs them; a clone shares the annotations.
#[derive(Debug, Clone)]
pub struct CelebA {
    root: PathBuf,
    names: Arc<[String]>,
    labels: Arc<[Labels]>,
    parts: Arc<[u8]>,
    rule: SplitRule,
}

impl CelebA {
    /// Opens a folder that holds `img_align_celeba/`, `list_attr_celeba.txt` and `list_eval_partition.txt`. Images can be of any size, and the partition of
    /// any length. Without a partition file, 202,599 images are split by CelebA's official ranges.
    ///
    /// # Errors
    /// If a file is missing, a line is malformed, the files contradict each other or an image that is listed is not there.
    pub fn open(root: impl AsRef<Path>, rule: SplitRule) -> Result<Self> {
        let root = root.as_ref().to_path_buf();
        if !root.is_dir() {
            return Err(Error::Missing(root));
        }
        let rows = read_attributes(&root.join("list_attr_celeba.txt"))?;
        check_images(&root.join("img_align_celeba"), rows.iter().map(|(name, _)| name.as_str()))?;
        let (names, labels): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let parts = parts(&root.join("list_eval_partition.txt"), &names)?;
        Ok(Self { root, names: names.into(), labels: labels.into(), parts: parts.into(), rule })
    }

    /// Whether these faces were drawn by [`crate::synthetic`]: results on them say nothing about people.
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

    /// The path of a face's image.
    pub fn image_path(&self, face: usize) -> PathBuf {
        self.root.join("img_align_celeba").join(&self.names[face])
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
            (Split::All, _) => true,
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
        std::array::from_fn(|k| faces.iter().filter(|&&face| self.labels[face].has(k)).count() as f64 / faces.len().max(1) as f64)
    }
}

fn check_images<'a>(folder: &Path, mut names: impl Iterator<Item = &'a str>) -> Result<()> {
    let present: HashSet<_> = std::fs::read_dir(folder)
        .map_err(at(folder))?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<std::io::Result<_>>()
        .map_err(at(folder))?;
    match names.find(|name| !present.contains(std::ffi::OsStr::new(name))) {
        Some(name) => Err(Error::Image { path: folder.join(name), reason: "is listed in the annotations but does not exist".into() }),
        None => Ok(()),
    }
}

/// The part (0 train, 1 val, 2 test) of each face.
fn parts(path: &Path, names: &[String]) -> Result<Vec<u8>> {
    if !path.exists() && names.len() == 202_599 {
        return Ok((1..=names.len()).map(|i| u8::from(i > 162_770) + u8::from(i > 182_637)).collect());
    }
    let listed = read_partition(path)?;
    let inconsistent = |reason: String| Error::Inconsistent { path: path.into(), reason };
    if listed.len() != names.len() {
        return Err(inconsistent(format!("{} images are listed, but list_attr_celeba.txt has {}", listed.len(), names.len())));
    }
    names.iter().map(|name| listed.get(name).copied().ok_or_else(|| inconsistent(format!("{name} is not listed")))).collect()
}
