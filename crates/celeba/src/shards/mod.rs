//! CelebA as a folder of Hugging Face's parquet shards. Annotations are read when it is opened,
//! images one row group at a time.

mod columns;
mod shard;
mod shared_file;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use crate::attributes::Labels;
use crate::error::{Error, Result};
use crate::split::Split;
use columns::ADVICE;
use shard::{Annotations, Shard};

/// Bytes of decompressed images that stay in memory between reads. Faces are shuffled inside of
/// windows of row groups that fit in half of it.
const MEMORY_BUDGET: usize = 192 << 20;

/// Open shards.
pub(crate) struct Shards {
    files: Vec<Shard>,
    groups: Vec<Group>,
    /// Row groups in memory or being read, by index; the one that was used last is at the end.
    loaded: Mutex<Vec<(usize, Arc<Loading>)>>,
}

/// The images of a row group. The thread that comes first reads them; others wait for it.
type Loading = OnceLock<std::result::Result<Vec<Option<Vec<u8>>>, String>>;

/// A row group, and the faces in it.
struct Group {
    /// The shard, by index.
    shard: usize,
    /// The row group's number in the shard.
    number: usize,
    faces: Range<usize>,
    /// Bytes of its images.
    bytes: usize,
}

/// The annotations of all faces.
pub(crate) struct Rows {
    pub names: Vec<String>,
    pub labels: Vec<Labels>,
    pub splits: Vec<Split>,
    /// `None` if a shard has no column of identities.
    pub identities: Option<Vec<u32>>,
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shards({} files, {} row groups)", self.files.len(), self.groups.len())
    }
}

impl Shards {
    /// Opens shards and reads all annotations, in the order train, val, test.
    pub fn open(paths: &[PathBuf]) -> Result<(Self, Rows)> {
        let files = paths.iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>>>()?;
        let splits = files.iter().map(Shard::split).collect::<Result<Vec<_>>>()?;
        let mut ordered: Vec<(Split, Shard)> = splits.into_iter().zip(files).collect();
        ordered.sort_by_key(|(split, _)| *split as u8);
        let (splits, files): (Vec<Split>, Vec<Shard>) = ordered.into_iter().unzip();
        let annotations = read_annotations(&files)?;
        let mut shards = Self { files, groups: vec![], loaded: Mutex::new(vec![]) };
        let rows = shards.add_groups(&splits, annotations)?;
        shards.check_names(&rows.names)?;
        Ok((shards, rows))
    }

    /// Adds row groups and collects their rows.
    fn add_groups(
        &mut self,
        splits: &[Split],
        annotations: Vec<(usize, usize, Annotations)>,
    ) -> Result<Rows> {
        let mut rows =
            Rows { names: vec![], labels: vec![], splits: vec![], identities: Some(vec![]) };
        for (shard, number, annotations) in annotations {
            let first = rows.labels.len();
            let bytes = self.files[shard].image_bytes(number)?;
            for (row, name) in annotations.names.into_iter().enumerate() {
                rows.names.push(name.unwrap_or_else(|| format!("{:06}.jpg", first + row + 1)));
            }
            rows.splits.extend(vec![splits[shard]; annotations.labels.len()]);
            rows.labels.extend(annotations.labels);
            rows.identities =
                rows.identities.zip(annotations.identities).map(|(mut all, group)| {
                    all.extend(group);
                    all
                });
            self.groups.push(Group { shard, number, faces: first..rows.labels.len(), bytes });
        }
        Ok(rows)
    }

    /// Makes sure that no name comes twice, as when a folder holds two datasets.
    fn check_names(&self, names: &[String]) -> Result<()> {
        let mut face_of = HashMap::with_capacity(names.len());
        for (face, name) in names.iter().enumerate() {
            if let Some(first) = face_of.insert(name.as_str(), face) {
                let reason = format!(
                    "{name} is also in {}; a folder holds one dataset: move the other away",
                    self.path(first).display()
                );
                return Err(Error::Inconsistent { path: self.path(face), reason });
            }
        }
        Ok(())
    }

    /// The shard, row group and row of a face, as a path for messages.
    pub fn path(&self, face: usize) -> PathBuf {
        let group = &self.groups[self.group_of(face)];
        let row = face - group.faces.start;
        let path: &Path = &self.files[group.shard].file.path;
        path.join(format!("row group {}, row {row}", group.number))
    }

    fn group_of(&self, face: usize) -> usize {
        self.groups.partition_point(|group| group.faces.end <= face)
    }

    /// The bytes of a face's image. An error says what is wrong with them.
    pub fn read(&self, face: usize) -> std::result::Result<Vec<u8>, String> {
        let index = self.group_of(face);
        let group = self.groups.get(index).ok_or("is not there")?;
        let loading = self.loading(index);
        let images = loading
            .get_or_init(|| self.files[group.shard].images(group.number))
            .as_ref()
            .map_err(Clone::clone)?;
        let image = images.get(face - group.faces.start).cloned().flatten();
        image.ok_or_else(|| "has no bytes".to_owned())
    }

    /// A row group in memory. The ones that were not used for longest are dropped to make room.
    fn loading(&self, index: usize) -> Arc<Loading> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let group = match loaded.iter().position(|(group, _)| *group == index) {
            Some(position) => loaded.remove(position).1,
            None => Arc::default(),
        };
        loaded.push((index, group.clone()));
        let mut bytes: usize = loaded.iter().map(|(group, _)| self.groups[*group].bytes).sum();
        while bytes > MEMORY_BUDGET && loaded.len() > 1 {
            bytes -= self.groups[loaded.remove(0).0].bytes;
        }
        group
    }

    /// A number that another shard most likely does not have, for the shard of a face.
    pub fn fingerprint(&self, face: usize) -> u64 {
        self.files[self.groups[self.group_of(face)].shard].file.fingerprint
    }

    /// The row groups' faces, in windows that fit in memory. `shuffle` decides the order of the
    /// row groups.
    pub fn windows(&self, mut shuffle: impl FnMut(&mut [usize])) -> Vec<Vec<Range<usize>>> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        shuffle(&mut order);
        let mut windows: Vec<Vec<Range<usize>>> = vec![];
        let mut bytes = 0;
        for group in order.into_iter().map(|index| &self.groups[index]) {
            // Half of the budget, because two windows are in memory where one passes into the next.
            match windows.last_mut() {
                Some(window) if bytes + group.bytes <= MEMORY_BUDGET / 2 => {
                    window.push(group.faces.clone())
                }
                _ => {
                    windows.push(vec![group.faces.clone()]);
                    bytes = 0;
                }
            }
            bytes += group.bytes;
        }
        windows
    }
}

/// The annotations of all row groups, with the index of their shard and their number in it. All
/// labels must be coded in the same way: as 1 and 0, or as 1 and -1.
fn read_annotations(files: &[Shard]) -> Result<Vec<(usize, usize, Annotations)>> {
    let groups: Vec<(usize, usize)> = files
        .iter()
        .enumerate()
        .flat_map(|(shard, file)| (0..file.file.groups()).map(move |group| (shard, group)))
        .collect();
    let annotations = groups
        .into_par_iter()
        .map(|(shard, group)| Ok((shard, group, files[shard].annotations(group)?)))
        .collect::<Result<Vec<_>>>()?;
    if annotations.iter().any(|(_, _, group)| group.has_minus_one)
        && let Some((shard, zero)) =
            annotations.iter().find_map(|(shard, _, group)| Some((shard, group.zero.as_ref()?)))
    {
        let reason = format!("{zero}, but elsewhere labels are 1 and -1; {ADVICE}");
        return Err(files[*shard].file.error(reason));
    }
    Ok(annotations)
}
