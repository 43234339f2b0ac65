//! Writes faces in every form in which CelebA is found, from a folder as it is distributed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use foresee_celeba::{ATTRIBUTES, CelebA, Split, SplitRule};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Any error.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

const TEXTS: [&str; 2] = ["list_attr_celeba.txt", "list_eval_partition.txt"];

/// The number that CelebA's partition file gives a face: 0 train, 1 val, 2 test, 255 none.
fn part(data: &CelebA, face: usize) -> usize {
    match data.partition(face) {
        Some(Split::Train) => 0,
        Some(Split::Val) => 1,
        Some(Split::Test) => 2,
        _ => 255,
    }
}

fn names(data: &CelebA) -> Vec<&str> {
    (0..data.len()).map(|face| data.name(face)).collect()
}

/// Links images into a new folder.
///
/// # Errors
/// Of the file system.
fn link_images(data: &CelebA, folder: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(folder)?;
    for (face, name) in names(data).into_iter().enumerate() {
        std::fs::hard_link(data.image_path(face), folder.join(name))
            .or_else(|_| std::fs::copy(data.image_path(face), folder.join(name)).map(|_| ()))?;
    }
    Ok(())
}

fn copy_texts(data: &CelebA, folder: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(folder)?;
    for text in TEXTS {
        std::fs::copy(data.root().join(text), folder.join(text))?;
    }
    Ok(())
}

/// torchvision's `root/celeba/…`.
///
/// # Errors
/// Of the file system.
pub fn torchvision(data: &CelebA, root: &Path) -> Result<(), AnyError> {
    copy_texts(data, &root.join("celeba"))?;
    link_images(data, &root.join("celeba/img_align_celeba"))
}

/// The text files beside `img_align_celeba.zip`; half of its images are deflated.
///
/// # Errors
/// Of the file system.
pub fn archive(data: &CelebA, root: &Path) -> Result<(), AnyError> {
    copy_texts(data, root)?;
    let mut zip =
        ZipWriter::new(std::io::BufWriter::new(File::create(root.join("img_align_celeba.zip"))?));
    zip.add_directory("img_align_celeba/", SimpleFileOptions::default())?;
    for (face, name) in names(data).into_iter().enumerate() {
        let method =
            if face % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(
            format!("img_align_celeba/{name}"),
            SimpleFileOptions::default().compression_method(method),
        )?;
        zip.write_all(&data.image_bytes(face)?)?;
    }
    zip.finish()?.flush()?;
    Ok(())
}

/// Kaggle's CSVs (CRLF, no end of the last line) and doubly nested images.
///
/// # Errors
/// Of the file system.
pub fn kaggle(data: &CelebA, root: &Path) -> Result<(), AnyError> {
    link_images(data, &root.join("img_align_celeba/img_align_celeba"))?;
    let row = |face: usize| {
        let values: Vec<&str> =
            data.labels(face).iter().map(|present| if present { "1" } else { "-1" }).collect();
        format!("{},{}", data.name(face), values.join(","))
    };
    let rows: Vec<String> = (0..data.len()).map(row).collect();
    std::fs::write(
        root.join("list_attr_celeba.csv"),
        format!("image_id,{}\r\n{}", ATTRIBUTES.join(","), rows.join("\r\n")),
    )?;
    let parts: Vec<String> =
        (0..data.len()).map(|face| format!("{},{}", data.name(face), part(data, face))).collect();
    std::fs::write(
        root.join("list_eval_partition.csv"),
        format!("image_id,partition\r\n{}", parts.join("\r\n")),
    )?;
    Ok(())
}

/// How shards are written.
#[derive(Debug, Clone, Copy)]
pub struct ShardOptions<'a> {
    /// Rows of a row group.
    pub rows: usize,
    /// Rows of a shard.
    pub shard: usize,
    /// Labels as booleans, with a column of identities; otherwise whole numbers, -1 or 1.
    pub booleans: bool,
    /// What validation shards are called: `valid` or `validation`.
    pub validation: &'a str,
}

/// A folder of parquet shards, as on the Hugging Face hub.
///
/// # Errors
/// Of the file system or of parquet.
pub fn shards(root: &Path, data: &CelebA, options: &ShardOptions) -> Result<(), AnyError> {
    std::fs::create_dir_all(root)?;
    for (number, split) in ["train", options.validation, "test"].into_iter().enumerate() {
        let faces: Vec<usize> =
            (0..data.len()).filter(|&face| part(data, face) == number).collect();
        let files = faces.len().div_ceil(options.shard);
        for (number, faces) in faces.chunks(options.shard).enumerate() {
            shard(
                &root.join(format!("{split}-{number:05}-of-{files:05}.parquet")),
                data,
                faces,
                options,
            )?;
        }
    }
    Ok(())
}

fn shard(
    path: &Path,
    data: &CelebA,
    faces: &[usize],
    options: &ShardOptions,
) -> Result<(), AnyError> {
    let kind = if options.booleans { "boolean" } else { "int64" };
    let mut schema = String::from(
        "message schema { optional group image { optional binary bytes; optional binary path \
         (UTF8); }\n",
    );
    if options.booleans {
        schema.push_str("optional int64 celeb_id;\n");
    }
    ATTRIBUTES.iter().for_each(|name| schema.push_str(&format!("optional {kind} {name};\n")));
    schema.push('}');
    let properties =
        WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(
        File::create(path)?,
        Arc::new(parse_message_type(&schema)?),
        Arc::new(properties),
    )?;
    for faces in faces.chunks(options.rows) {
        let mut group = writer.next_row_group()?;
        let (nested, flat) = (vec![2i16; faces.len()], vec![1i16; faces.len()]);
        let mut leaf = 0;
        while let Some(mut column) = group.next_column()? {
            let identity = usize::from(options.booleans);
            match leaf {
                0 => {
                    let bytes = faces
                        .iter()
                        .map(|&f| Ok(ByteArray::from(data.image_bytes(f)?)))
                        .collect::<Result<Vec<_>, AnyError>>()?;
                    column.typed::<ByteArrayType>().write_batch(&bytes, Some(&nested), None)?;
                }
                1 => {
                    let paths: Vec<ByteArray> =
                        faces.iter().map(|&f| ByteArray::from(data.name(f))).collect();
                    column.typed::<ByteArrayType>().write_batch(&paths, Some(&nested), None)?;
                }
                2 if options.booleans => {
                    let people: Vec<i64> = faces.iter().map(|&f| f as i64 + 1).collect();
                    column.typed::<Int64Type>().write_batch(&people, Some(&flat), None)?;
                }
                _ if options.booleans => {
                    let values: Vec<bool> =
                        faces.iter().map(|&f| data.labels(f).has(leaf - 2 - identity)).collect();
                    column.typed::<BoolType>().write_batch(&values, Some(&flat), None)?;
                }
                _ => {
                    let values: Vec<i64> = faces
                        .iter()
                        .map(|&f| if data.labels(f).has(leaf - 2) { 1 } else { -1 })
                        .collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&flat), None)?;
                }
            }
            column.close()?;
            leaf += 1;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// Faces in all forms below a folder, by the name of the form. `data` must be a folder as it is
/// distributed.
///
/// # Errors
/// Of the file system or of parquet.
pub fn all(
    data: &CelebA,
    root: &Path,
    rows: usize,
    shard: usize,
) -> Result<[(&'static str, CelebA); 5], AnyError> {
    let places =
        ["torchvision", "zip", "kaggle", "flwrlabs", "tpremoli"].map(|name| root.join(name));
    torchvision(data, &places[0])?;
    archive(data, &places[1])?;
    kaggle(data, &places[2])?;
    shards(&places[3], data, &ShardOptions { rows, shard, booleans: true, validation: "valid" })?;
    shards(
        &places[4].join("data"),
        data,
        &ShardOptions { rows, shard, booleans: false, validation: "validation" },
    )?;
    let open = |at: usize| CelebA::open(&places[at], SplitRule::Official);
    Ok([
        ("torchvision", open(0)?),
        ("zip", open(1)?),
        ("kaggle", open(2)?),
        ("parquet, booleans", open(3)?),
        ("parquet, numbers", open(4)?),
    ])
}

/// The number of faces of each split.
pub fn counts(data: &CelebA) -> [usize; 3] {
    [Split::Train, Split::Val, Split::Test]
        .map(|split| data.split(split).map_or(0, |faces| faces.len()))
}
