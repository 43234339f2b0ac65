//! CelebA as a folder of Hugging Face's parquet shards: labels are read when it is opened, images a
//! row group at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};
use rayon::prelude::*;

use crate::annotations::checked_name;
use crate::attributes::{ATTRIBUTES, Labels};
use crate::cache::hash;
use crate::error::{Error, Result, at};
use crate::positioned::{read_at, read_exact_at};

/// Unpacked images that are kept between reads. Faces are shuffled inside windows of row groups
/// that fit in here.
const BUDGET: usize = 192 << 20;
/// A row group larger than this is refused: it would not fit in memory.
const LARGEST_GROUP: usize = 1 << 30;
/// What to do with a dataset of other columns or values.
const OTHER: &str = "take a dataset with CelebA's columns, such as tpremoli/CelebA-attrs";
/// Rows of a row group at most.
const MOST_ROWS: i64 = 1 << 20;

/// Open shards.
pub(crate) struct Shards {
    files: Vec<Shard>,
    groups: Vec<Group>,
    /// Row groups in memory or being read, the one that was used last at the end.
    loaded: Mutex<Vec<(usize, Arc<Loading>)>>,
}

type Images = Vec<Option<Vec<u8>>>;
/// Read by the thread that comes first; others wait for it.
type Loading = OnceLock<std::result::Result<Images, String>>;

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shards({} files, {} row groups)", self.files.len(), self.groups.len())
    }
}

struct Shard {
    path: PathBuf,
    file: Arc<SharedFile>,
    metadata: ParquetMetaData,
    /// Leaf column of the images' bytes.
    images: usize,
    mark: u64,
}

/// A row group and the faces in it.
struct Group {
    shard: usize,
    number: usize,
    faces: Range<usize>,
    bytes: usize,
}

/// What the shards say of all faces.
pub(crate) struct Rows {
    pub names: Vec<String>,
    pub labels: Vec<Labels>,
    pub parts: Vec<u8>,
    /// Absent where a shard has no column of identities.
    pub identities: Option<Vec<u32>>,
}

/// A file that threads read at once: the reader of the library shares one position.
struct SharedFile {
    file: File,
    length: u64,
}

struct Cursor {
    file: Arc<SharedFile>,
    position: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file.file, buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// [`ChunkReader`] cannot be implemented for `Arc<SharedFile>` itself.
struct Reader(Arc<SharedFile>);

impl Length for Reader {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Reader {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Cursor { file: self.0.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.length) {
            return Err(ParquetError::EOF("a page lies beyond the end of the file".into()));
        }
        let mut buffer = vec![0; length];
        read_exact_at(&self.0.file, &mut buffer, start)?;
        Ok(buffer.into())
    }
}

/// Damaged pages make the library panic, which becomes an error. (Its message goes to the program's
/// panic hook, as always.)
fn guarded<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "a page is damaged".to_owned())?.map_err(|e| {
        match e {
            ParquetError::General(reason) => reason,
            e => e.to_string(),
        }
    })
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(at(path))?;
        let length = file.metadata().map_err(at(path))?.len();
        let file = Arc::new(SharedFile { file, length });
        let metadata =
            guarded(|| ParquetMetaDataReader::new().parse_and_finish(&Reader(file.clone())))
                .map_err(damaged(path))?;
        let mark = footer(&file.file, length).map_err(at(path))?;
        let shard = Self { path: path.into(), file, metadata, images: 0, mark };
        let images = shard
            .leaf("image.bytes")
            .ok_or_else(|| shard.without("image", "a struct of the images' bytes and path"))?;
        for group in 0..shard.metadata.num_row_groups() {
            let rows = shard.metadata.row_group(group).num_rows();
            if !(0..=MOST_ROWS).contains(&rows)
                || shard.metadata.row_group(group).columns().iter().any(|c| c.num_values() != rows)
            {
                return Err(damaged(path)(format!(
                    "row group {group} tells {rows} rows, which its columns do not have"
                )));
            }
        }
        Ok(Self { images, ..shard })
    }

    fn without(&self, column: &str, what: &str) -> Error {
        let columns: Vec<String> = self
            .metadata
            .file_metadata()
            .schema_descr()
            .columns()
            .iter()
            .map(|c| c.path().string())
            .collect();
        let reason = format!(
            "has no column `{column}` ({what}); its columns are {}; {OTHER}",
            columns.join(", ")
        );
        Error::Inconsistent { path: self.path.clone(), reason }
    }

    /// A leaf column by its path, whatever its capitals.
    fn leaf(&self, path: &str) -> Option<usize> {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        columns.iter().position(|c| c.path().string().replace(' ', "_").eq_ignore_ascii_case(path))
    }

    fn column(&self, group: usize, leaf: usize) -> parquet::errors::Result<ColumnReader> {
        let group = self.metadata.row_group(group);
        let column = group.column(leaf);
        let pages = SerializedPageReader::new(
            Arc::new(Reader(self.file.clone())),
            column,
            usize::try_from(group.num_rows())?,
            None,
        )?;
        Ok(get_column_reader(column.column_descr_ptr(), Box::new(pages)))
    }

    fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or_default()
    }

    /// A column of numbers; none may be missing.
    fn numbers(&self, group: usize, leaf: usize) -> std::result::Result<Vec<i64>, String> {
        let rows = self.rows(group);
        let mut levels = vec![];
        macro_rules! all {
            ($reader:expr, $of:expr) => {{
                let mut values = Vec::new();
                // One more than there should be, so that too many are noticed.
                $reader.read_records(rows + 1, Some(&mut levels), None, &mut values)?;
                values.into_iter().map($of).collect::<Vec<i64>>()
            }};
        }
        let values = guarded(|| {
            Ok(match self.column(group, leaf)? {
                ColumnReader::BoolColumnReader(mut reader) => all!(reader, i64::from),
                ColumnReader::Int32ColumnReader(mut reader) => all!(reader, i64::from),
                ColumnReader::Int64ColumnReader(mut reader) => all!(reader, |v| v),
                _ => {
                    return Err(ParquetError::General(format!(
                        "is of a type that is neither true or false nor a whole number; {OTHER}"
                    )));
                }
            })
        })?;
        match values.len() == rows {
            true => Ok(values),
            false => Err(format!(
                "has {} values in a row group of {rows} rows; download the file again, or fill in what is missing",
                values.len()
            )),
        }
    }

    /// Texts or bytes of a column, `None` where one is missing.
    fn bytes(&self, group: usize, leaf: usize) -> std::result::Result<Images, String> {
        let rows = self.rows(group);
        guarded(|| {
            let ColumnReader::ByteArrayColumnReader(mut reader) = self.column(group, leaf)? else {
                return Err(ParquetError::General("does not hold bytes".into()));
            };
            let highest =
                self.metadata.row_group(group).column(leaf).column_descr().max_def_level();
            let (mut out, mut held): (Images, usize) = (vec![], 0);
            loop {
                // Each value pins its whole page until it is copied.
                let (mut levels, mut values): (Vec<i16>, Vec<ByteArray>) = (vec![], vec![]);
                let (records, _, _) =
                    reader.read_records(64, Some(&mut levels), None, &mut values)?;
                if records == 0 || out.len() > rows {
                    return match out.len() == rows {
                        true => Ok(out),
                        false => Err(ParquetError::General(format!(
                            "has {} values in a row group of {rows} rows",
                            out.len()
                        ))),
                    };
                }
                held += values.iter().map(|v| v.data().len()).sum::<usize>();
                if held > LARGEST_GROUP {
                    return Err(ParquetError::General(format!(
                        "holds more than {LARGEST_GROUP} bytes in a row group of {rows} rows"
                    )));
                }
                let mut values = values.into_iter().map(|v| v.data().to_vec());
                match levels.is_empty() {
                    true => out.extend(values.map(Some)),
                    false => out.extend(
                        levels
                            .into_iter()
                            .map(|level| if level == highest { values.next() } else { None }),
                    ),
                }
            }
        })
    }

    /// train, val or test, as the shard's name or its folder's says.
    fn part(&self) -> Result<u8> {
        let names = [self.path.file_name(), self.path.parent().and_then(Path::file_name)];
        let part = names.into_iter().flatten().find_map(|name| {
            let name = name.to_string_lossy().to_lowercase();
            match name.split(|c: char| !c.is_ascii_alphabetic()).next() {
                Some("train") => Some(0),
                Some("val" | "valid" | "validation") => Some(1),
                Some("test") => Some(2),
                _ => None,
            }
        });
        let reason = "belongs to no split: its name, or its folder's, begins with train, valid, validation or test: rename it";
        part.ok_or_else(|| Error::Inconsistent { path: self.path.clone(), reason: reason.into() })
    }

    /// The labels of a row group, and the place of a 0 and of a -1 among them if there are such.
    fn labels(&self, group: usize) -> Result<(Vec<Labels>, Option<String>, bool)> {
        let mut labels = vec![Labels::default(); self.rows(group)];
        let (mut zero, mut signed) = (None, false);
        for (k, attribute) in ATTRIBUTES.into_iter().enumerate() {
            let leaf = self
                .leaf(attribute)
                .ok_or_else(|| self.without(attribute, "one of the 40 attributes"))?;
            let wrong = |reason: String| Error::Inconsistent {
                path: self.path.clone(),
                reason: format!("column {attribute}: {reason}"),
            };
            for (row, (labels, value)) in
                labels.iter_mut().zip(self.numbers(group, leaf).map_err(wrong)?).enumerate()
            {
                match value {
                    1 => *labels = labels.with(k, true),
                    -1 => signed = true,
                    0 => {
                        zero = zero.or_else(|| {
                            Some(format!(
                                "column {attribute}: row {row} of row group {group} holds 0"
                            ))
                        })
                    }
                    other => {
                        return Err(wrong(format!(
                            "row {row} of row group {group} holds {other}, which is neither 1 nor -1; {OTHER}"
                        )));
                    }
                }
            }
        }
        Ok((labels, zero, signed))
    }
}

/// Hash of a file's last part, which holds the places and sizes of all its pages, and of its
/// length.
fn footer(file: &File, length: u64) -> io::Result<u64> {
    let mut end = vec![0; length.min(1 << 16) as usize];
    let start = length - end.len() as u64;
    read_exact_at(file, &mut end, start)?;
    end.extend(length.to_le_bytes());
    Ok(hash(&end))
}

fn damaged(path: &Path) -> impl Fn(String) -> Error + '_ {
    |reason| Error::Inconsistent {
        path: path.into(),
        reason: format!("is no whole parquet file ({reason}); download it again"),
    }
}

impl Shards {
    /// Opens shards and reads all labels, in the order train, val, test.
    pub fn open(paths: &[PathBuf]) -> Result<(Self, Rows)> {
        let mut files = paths.iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>>>()?;
        let mut order = files
            .iter()
            .map(Shard::part)
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .zip(files.drain(..))
            .collect::<Vec<_>>();
        order.sort_by_key(|(part, _)| *part);
        let (parts_of, files): (Vec<u8>, Vec<Shard>) = order.into_iter().unzip();
        let places: Vec<(usize, usize)> = files
            .iter()
            .enumerate()
            .flat_map(|(shard, of)| {
                (0..of.metadata.num_row_groups()).map(move |group| (shard, group))
            })
            .collect();
        let read = places
            .par_iter()
            .map(|&(shard, group)| files[shard].table(group))
            .collect::<Result<Vec<_>>>()?;
        // Either true and false, or 1 and -1.
        let zero = places
            .iter()
            .zip(&read)
            .find_map(|(&(shard, _), table)| Some((shard, table.zero.clone()?)));
        if let Some((shard, place)) = zero.filter(|_| read.iter().any(|table| table.signed)) {
            return Err(Error::Inconsistent {
                path: files[shard].path.clone(),
                reason: format!("{place}, but elsewhere labels are 1 and -1; {OTHER}"),
            });
        }
        let (mut groups, mut rows) = (
            vec![],
            Rows { names: vec![], labels: vec![], parts: vec![], identities: Some(vec![]) },
        );
        for ((shard, number), table) in places.into_iter().zip(read) {
            let first = rows.labels.len();
            let bytes = usize::try_from(
                files[shard]
                    .metadata
                    .row_group(number)
                    .column(files[shard].images)
                    .uncompressed_size(),
            )
            .unwrap_or(usize::MAX);
            if bytes > LARGEST_GROUP {
                let reason = format!(
                    "row group {number} holds {bytes} bytes of images; write the shards with smaller row groups"
                );
                return Err(Error::Inconsistent { path: files[shard].path.clone(), reason });
            }
            for (row, name) in table.names.into_iter().enumerate() {
                rows.names.push(name.unwrap_or_else(|| format!("{:06}.jpg", first + row + 1)));
            }
            rows.parts.extend(vec![parts_of[shard]; table.labels.len()]);
            rows.labels.extend(table.labels);
            rows.identities = rows.identities.zip(table.identities).map(|(mut all, own)| {
                all.extend(own);
                all
            });
            groups.push(Group { shard, number, faces: first..rows.labels.len(), bytes });
        }
        let mut seen = HashMap::with_capacity(rows.names.len());
        let shards = Self { files, groups, loaded: Mutex::new(vec![]) };
        for (face, name) in rows.names.iter().enumerate() {
            if let Some(before) = seen.insert(name.as_str(), face) {
                let reason = format!(
                    "{name} is also in {}; a folder holds one dataset: move the other away",
                    shards.place(before).display()
                );
                return Err(Error::Inconsistent { path: shards.place(face), reason });
            }
        }
        Ok((shards, rows))
    }

    /// The file and row of a face.
    pub fn place(&self, face: usize) -> PathBuf {
        let group = &self.groups[self.group_of(face)];
        self.files[group.shard].path.join(format!(
            "row group {}, row {}",
            group.number,
            face - group.faces.start
        ))
    }

    fn group_of(&self, face: usize) -> usize {
        self.groups.partition_point(|group| group.faces.end <= face)
    }

    /// The bytes of a face's image; says what is wrong with them.
    pub fn read(&self, face: usize) -> std::result::Result<Vec<u8>, String> {
        let number = self.group_of(face);
        let group = self.groups.get(number).ok_or("is not there")?;
        let shard = &self.files[group.shard];
        let loading = self.loading(number);
        let images = loading
            .get_or_init(|| shard.bytes(group.number, shard.images))
            .as_ref()
            .map_err(Clone::clone)?;
        images
            .get(face - group.faces.start)
            .cloned()
            .flatten()
            .ok_or_else(|| "has no bytes".to_owned())
    }

    /// A row group's place in memory; those that were not used for longest make room.
    fn loading(&self, number: usize) -> Arc<Loading> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match loaded.iter().position(|(group, _)| *group == number) {
            Some(at) => loaded.remove(at).1,
            None => Arc::default(),
        };
        loaded.push((number, found.clone()));
        let mut held: usize = loaded.iter().map(|(group, _)| self.groups[*group].bytes).sum();
        while held > BUDGET && loaded.len() > 1 {
            held -= self.groups[loaded.remove(0).0].bytes;
        }
        found
    }

    /// Tells a shard's contents from another's without reading them: the hash of its index and its
    /// length.
    pub fn mark(&self, face: usize) -> u64 {
        self.files[self.groups[self.group_of(face)].shard].mark
    }

    /// The row groups' faces, in windows that are in memory together.
    pub fn windows(&self, mut order: impl FnMut(&mut [usize])) -> Vec<Vec<Range<usize>>> {
        let mut numbers: Vec<usize> = (0..self.groups.len()).collect();
        order(&mut numbers);
        let (mut windows, mut held): (Vec<Vec<Range<usize>>>, usize) = (vec![], 0);
        for group in numbers.into_iter().map(|number| &self.groups[number]) {
            // Two windows are in memory where one passes into the next.
            match windows.last_mut() {
                Some(window) if held + group.bytes <= BUDGET / 2 => {
                    window.push(group.faces.clone())
                }
                _ => {
                    windows.push(vec![group.faces.clone()]);
                    held = 0;
                }
            }
            held += group.bytes;
        }
        windows
    }
}

/// What a row group says.
struct Table {
    names: Vec<Option<String>>,
    labels: Vec<Labels>,
    /// Where a label is 0, and whether one is -1.
    zero: Option<String>,
    signed: bool,
    identities: Option<Vec<u32>>,
}

impl Shard {
    fn table(&self, group: usize) -> Result<Table> {
        let rows = self.rows(group);
        let wrong = |column: &'static str| {
            move |reason: String| Error::Inconsistent {
                path: self.path.clone(),
                reason: format!("column {column}: {reason}"),
            }
        };
        let names = match self.leaf("image.path") {
            Some(leaf) => self.bytes(group, leaf).map_err(wrong("image.path"))?,
            None => vec![None; rows],
        };
        let name = |bytes: Vec<u8>| -> Option<String> {
            let text = String::from_utf8(bytes).ok()?;
            let own = Path::new(&text).file_name()?.to_str()?;
            checked_name(own).ok().map(str::to_owned)
        };
        let names = names.into_iter().map(|bytes| bytes.and_then(name)).collect();
        let identities = match self.leaf("celeb_id") {
            Some(leaf) => {
                let numbers = self.numbers(group, leaf).map_err(wrong("celeb_id"))?;
                Some(
                    numbers
                        .into_iter()
                        .map(|v| {
                            u32::try_from(v).map_err(|_| {
                                wrong("celeb_id")(format!("{v} is no number of a person"))
                            })
                        })
                        .collect::<Result<_>>()?,
                )
            }
            None => None,
        };
        let (labels, zero, signed) = self.labels(group)?;
        Ok(Table { names, labels, zero, signed, identities })
    }
}
