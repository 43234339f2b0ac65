//! CelebA in each of its forms: the same faces, whatever they lie in; and damaged archives and
//! shards are told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use foresee_celeba::{BatchOptions, CelebA, Crop, Epoch, Labels, Split, SplitRule, synthetic};
use foresee_tests::forms::{self, AnyError};

type AnyResult<T = ()> = Result<T, AnyError>;
/// Name, pixels and labels of a face.
type Face = (String, Vec<f32>, Vec<f32>);

fn faces(folder: &Path, count: usize) -> AnyResult<CelebA> {
    synthetic::write(folder, count, 7, |_| ())?;
    Ok(CelebA::open(folder, SplitRule::Official)?)
}

/// Pixels and labels by name, in the order in which batches bring them.
fn pixels(data: &CelebA, options: &BatchOptions) -> AnyResult<Vec<Face>> {
    let mut all = vec![];
    for batch in data.batches(&data.split(Split::Train)?, options) {
        let batch = batch?;
        let (images, labels) =
            (batch.images.flatten_from(1)?.to_vec2::<f32>()?, batch.labels.to_vec2::<f32>()?);
        all.extend(
            batch
                .faces
                .iter()
                .zip(images)
                .zip(labels)
                .map(|((&face, image), labels)| (data.name(face).to_owned(), image, labels)),
        );
    }
    Ok(all)
}

#[test]
fn every_form_gives_the_same_faces() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let plain = faces(&folder.path().join("plain"), 60)?;
    let options = BatchOptions { image_size: 16, batch_size: 7, ..Default::default() };
    let expected = pixels(&plain, &options)?;
    let epoch = |number| Some(Epoch { flip: true, ..Epoch::new(3, number) });
    let shuffled = BatchOptions { epoch: epoch(1), ..options.clone() };
    for (form, data) in forms::all(&plain, folder.path(), 5, 20)? {
        assert_eq!(forms::counts(&data), [48, 6, 6], "{form}");
        assert!(pixels(&data, &options)? == expected, "{form}: other pixels or labels");
        // Shuffled by the seed: each face once, the same order again, another one in another epoch.
        let first = pixels(&data, &shuffled)?;
        assert!(
            first == pixels(&data, &BatchOptions { prefetch: 1, ..shuffled.clone() })?,
            "{form}"
        );
        let names = |list: &[Face]| list.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
        let other = pixels(&data, &BatchOptions { epoch: epoch(2), ..options.clone() })?;
        assert!(names(&first) != names(&other) && names(&first) != names(&expected), "{form}");
        assert_eq!(
            BTreeMap::from_iter(names(&first).into_iter().map(|n| (n, ()))).len(),
            48,
            "{form}"
        );
        assert!(
            pixels(&data, &BatchOptions { skip: 3, ..shuffled.clone() })? == first[21..],
            "{form}: an interrupted epoch goes on elsewhere"
        );
    }
    let people = CelebA::open(folder.path().join("flwrlabs"), SplitRule::Official)?.identities()?;
    assert_eq!(people[..3], [1, 2, 3]);
    let by_path = CelebA::open(folder.path().join("zip/img_align_celeba.zip"), SplitRule::Paper)?;
    assert_eq!(forms::counts(&by_path), [54, 0, 6]);
    Ok(())
}

#[test]
fn the_authors_own_folders_and_all_annotations_are_read() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let plain = faces(&folder.path().join("plain"), 20)?;
    let root = folder.path().join("authors");
    forms::archive(&plain, &root)?;
    for (part, file) in [
        ("Img", "img_align_celeba.zip"),
        ("Anno", "list_attr_celeba.txt"),
        ("Eval", "list_eval_partition.txt"),
    ] {
        std::fs::create_dir(root.join(part))?;
        std::fs::rename(root.join(file), root.join(part).join(file))?;
    }
    let rows = |values: &str| {
        (1..=20).rev().map(|face| format!("{face:06}.jpg {values}{face}\n")).collect::<String>()
    };
    std::fs::write(root.join("Anno/identity_CelebA.txt"), rows("10"))?;
    std::fs::write(
        root.join("Anno/list_bbox_celeba.txt"),
        format!("20\nimage_id x_1 y_1 width height\n{}", rows("1 2 3 ")),
    )?;
    let header = foresee_celeba::LANDMARKS.join(" ");
    std::fs::write(
        root.join("Anno/list_landmarks_align_celeba.txt"),
        format!("20\n{header} \n{}", rows("1 2 3 4 5 6 7 8 9 ")),
    )?;
    let data = CelebA::open(&root, SplitRule::Official)?;
    assert_eq!(
        (data.identities()?[4], data.boxes()?[4], data.landmarks()?[4]),
        (105, [1, 2, 3, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 5])
    );
    assert!(
        plain.identities().unwrap_err().to_string().contains("identity_CelebA.txt does not exist")
    );

    let list = folder.path().join("mine.csv");
    std::fs::write(&list, "image,split\n000003.jpg,test\n000001.jpg,train\n")?;
    let mine = plain.clone().with_splits(&list)?;
    assert_eq!(
        (mine.split(Split::Train)?, mine.split(Split::Test)?, mine.split(Split::All)?),
        (vec![0], vec![2], vec![0, 2])
    );
    assert_eq!(mine.without(&[2]).split(Split::All)?, [0]);
    std::fs::write(&list, "image,split\n000099.jpg,test\n")?;
    assert!(
        plain.with_splits(&list).unwrap_err().to_string().contains("000099.jpg is no image of")
    );
    Ok(())
}

#[test]
fn images_of_other_kinds_are_converted_and_huge_ones_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = faces(&folder.path().join("plain"), 20)?;
    let options = BatchOptions { image_size: 8, ..Default::default() };
    let read = |data: &CelebA| {
        data.batches(&[1], &options).next().ok_or("no batch")?.map_err(AnyError::from)
    };
    let png = |colour: png::ColorType, size: (u32, u32), pixels: &[u8]| -> AnyResult<Vec<u8>> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
        encoder.set_color(colour);
        encoder.write_header()?.write_image_data(pixels)?;
        Ok(bytes)
    };
    let grey = vec![51; 12 * 10];
    let cases = [
        png(png::ColorType::Rgb, (12, 10), &[grey.clone(), grey.clone(), grey.clone()].concat())?,
        png(png::ColorType::Grayscale, (12, 10), &grey)?,
        png(png::ColorType::Rgba, (12, 10), &vec![51; 12 * 10 * 4])?,
        jpeg(jpeg_encoder::ColorType::Luma, &grey)?,
        // Inverted, as CMYK in JPEG files is: 255 - (204 of cyan, magenta and yellow).
        jpeg(jpeg_encoder::ColorType::Cmyk, &[204, 204, 204, 0].repeat(12 * 10))?,
    ];
    for (at, bytes) in cases.into_iter().enumerate() {
        std::fs::write(data.image_path(1), bytes)?;
        let values = read(&data)?.images.flatten_all()?.to_vec1::<f32>()?;
        assert!(
            values.iter().all(|v| (v - (51. / 127.5 - 1.)).abs() < 0.03),
            "case {at}: {:?}",
            &values[..4]
        );
    }
    // A JPEG file of this length holds no 8000×4000 pixels.
    let mut lies = jpeg(jpeg_encoder::ColorType::Luma, &grey)?;
    let frame = lies.windows(2).position(|w| w == [0xFF, 0xC0]).ok_or("no frame")?;
    lies[frame + 5..frame + 9].copy_from_slice(&[0x0F, 0xA0, 0x1F, 0x40]);
    std::fs::write(data.image_path(1), &lies)?;
    let told = read(&data).err().ok_or("a lie was believed")?.to_string();
    assert!(
        told.contains("000002.jpg: is truncated: it says that it is 8000×4000 pixels large"),
        "{told}"
    );
    lies[frame + 5..frame + 9].fill(0xEA);
    std::fs::write(data.image_path(1), &lies)?;
    let told = read(&data).err().ok_or("a huge image was read")?.to_string();
    assert!(told.contains("000002.jpg: is 60138×60138 pixels large; at most 8192"), "{told}");
    let mut huge = png(png::ColorType::Grayscale, (12, 10), &grey)?;
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&checksum.to_be_bytes());
    std::fs::write(data.image_path(1), huge)?;
    let told = read(&data).err().ok_or("a huge image was read")?.to_string();
    assert!(told.contains("000002.jpg: is 60000×10 pixels large"), "{told}");
    Ok(())
}

fn jpeg(colour: jpeg_encoder::ColorType, pixels: &[u8]) -> AnyResult<Vec<u8>> {
    let mut bytes = vec![];
    jpeg_encoder::Encoder::new(&mut bytes, 95).encode(pixels, 12, 10, colour)?;
    Ok(bytes)
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| bit(crc)))
}

#[test]
fn damaged_archives_are_told() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let plain = faces(&folder.path().join("plain"), 20)?;
    let root = folder.path().join("zip");
    forms::archive(&plain, &root)?;
    let path = root.join("img_align_celeba.zip");
    let whole = std::fs::read(&path)?;
    let open = || CelebA::open(&root, SplitRule::Official);
    let told = |bytes: &[u8]| -> AnyResult<String> {
        std::fs::write(&path, bytes)?;
        Ok(open().err().ok_or("it was opened")?.to_string())
    };
    // The names in the index; the same letters stand before each image.
    let renamed = |to: &[u8]| {
        let mut bytes = whole.clone();
        let name = b"img_align_celeba/000003.jpg";
        let at: Vec<usize> = bytes
            .windows(name.len())
            .enumerate()
            .filter(|(_, w)| w == name)
            .map(|(at, _)| at)
            .collect();
        at.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
        bytes
    };
    let mut encrypted = whole.clone();
    let index: Vec<usize> = whole
        .windows(4)
        .enumerate()
        .filter(|(_, w)| w == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    encrypted[index[4] + 8] |= 1;
    // An image of 60 MB that is packed into a few kB.
    let mut claims = whole.clone();
    claims[index[2] + 24..index[2] + 28].copy_from_slice(&(60u32 << 20).to_le_bytes());
    for (bytes, expected) in [
        (whole[..whole.len() / 2].to_vec(), "img_align_celeba.zip: is not a complete zip archive"),
        (vec![], "is not a complete zip archive"),
        (renamed(b"../align_celeba/"), "lies outside the archive's folder"),
        (renamed(b"/etc/align_celeb/"), "lies outside the archive's folder"),
        (renamed(b"..\\align_celeba\\"), "lies outside the archive's folder"),
        (renamed(b"C:\\_align_celeba\\"), "lies outside the archive's folder"),
        (renamed(b"img_align_celeba/000004.jpg"), "holds a name that is there twice"),
        (
            renamed(b"img_align_celeba/other3.jpg"),
            "000003.jpg: is listed in the annotations but does not exist",
        ),
        (claims, "`img_align_celeba/000002.jpg` has an impossible size"),
        (encrypted, "is encrypted; unpack the archive with its password"),
    ] {
        let message = told(&bytes)?;
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // Damage inside of images is told when they are read.
    let mut damaged = whole.clone();
    let image = whole.windows(4).position(|w| w == b"PK\x03\x04").ok_or("no entry")? + 400;
    damaged[image..image + 40].fill(0);
    std::fs::write(&path, &damaged)?;
    let data = open()?;
    let options = BatchOptions { image_size: 8, ..Default::default() };
    let bad = data
        .batches(&data.split(Split::All)?, &options)
        .find_map(Result::err)
        .ok_or("the damage was not found")?
        .to_string();
    assert!(bad.contains("img_align_celeba.zip/000001.jpg: is damaged in the archive"), "{bad}");
    Ok(())
}

/// Programs for Windows write `\\` between the parts of a name, others begin with `./`, and systems
/// leave files of their own, some of them more than once.
#[test]
fn archives_of_other_systems_are_read() -> AnyResult {
    use std::io::Write;
    let folder = tempfile::tempdir()?;
    let plain = faces(&folder.path().join("plain"), 20)?;
    let options = BatchOptions { image_size: 8, ..Default::default() };
    let expected = pixels(&plain, &options)?;
    for start in ["img_align_celeba\\", "./img_align_celeba/", "", "CelebA\\Img\\"] {
        let root = folder.path().join(format!("zip{}", start.len()));
        forms::archive(&plain, &root)?;
        let file = std::fs::File::create(root.join("img_align_celeba.zip"))?;
        let mut zip = zip::ZipWriter::new(file);
        let stored = zip::write::SimpleFileOptions::default();
        for other in ["a/.DS_Store", "b/.DS_Store", "Thumbs.db", "__MACOSX/._000001.jpg", "~$x"] {
            zip.start_file(other, stored)?;
            zip.write_all(b"not an image")?;
        }
        for face in 0..plain.len() {
            zip.start_file(format!("{start}{}", plain.name(face)), stored)?;
            zip.write_all(&std::fs::read(plain.image_path(face))?)?;
        }
        zip.finish()?;
        let data = CelebA::open(&root, SplitRule::Official)?;
        assert!(pixels(&data, &options)? == expected, "{start:?}");
    }
    Ok(())
}

#[test]
fn damaged_shards_are_told() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let plain = faces(&folder.path().join("plain"), 20)?;
    let root = folder.path().join("shards");
    let options = forms::ShardOptions { rows: 4, shard: 100, booleans: true, validation: "valid" };
    forms::shards(&root, &plain, &options)?;
    let path = root.join("train-00000-of-00001.parquet");
    let whole = std::fs::read(&path)?;
    let open = || CelebA::open(&root, SplitRule::Official);
    let told = |bytes: &[u8]| -> AnyResult<String> {
        std::fs::write(&path, bytes)?;
        Ok(open().err().ok_or("it was opened")?.to_string())
    };
    assert!(
        told(&whole[..whole.len() / 2])?
            .contains("train-00000-of-00001.parquet: is not a complete parquet file")
    );
    assert!(told(b"")?.contains("is not a complete parquet file"));
    let renamed = |from: &[u8], to: &[u8]| {
        let mut bytes = whole.clone();
        let at: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, w)| *w == from)
            .map(|(at, _)| at)
            .collect();
        at.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
        bytes
    };
    assert!(
        told(&renamed(b"Smiling", b"Smyling"))?
            .contains("has no column `Smiling` (one of the 40 attributes); its columns are")
    );
    assert!(told(&renamed(b"bytes", b"bites"))?.contains("has no column `image`"));
    // An image with a hole in it.
    let mut holed = whole.clone();
    holed[3000..3600].fill(0);
    std::fs::write(&path, &holed)?;
    let findings = foresee_celeba::check(&root, true, |_, _| ());
    assert!(
        findings.iter().any(|f| f.item == "image" && f.message.contains("/row group 0, row 0: ")),
        "{findings:?}"
    );
    // A column of texts.
    let schema = "message schema { optional group image { optional binary bytes; optional binary \
                  path (UTF8); } optional int64 celeb_id;";
    let columns: String =
        foresee_celeba::ATTRIBUTES.iter().map(|name| format!("optional binary {name};")).collect();
    let schema = parquet::schema::parser::parse_message_type(&format!("{schema}{columns}}}"))?;
    let mut writer = parquet::file::writer::SerializedFileWriter::new(
        std::fs::File::create(&path)?,
        Arc::new(schema),
        Arc::default(),
    )?;
    let mut group = writer.next_row_group()?;
    while let Some(mut column) = group.next_column()? {
        match column.untyped() {
            parquet::column::writer::ColumnWriter::Int64ColumnWriter(numbers) => {
                numbers.write_batch(&[7], Some(&[1]), None)?
            }
            parquet::column::writer::ColumnWriter::ByteArrayColumnWriter(bytes) => {
                let level = bytes.get_descriptor().max_def_level();
                bytes.write_batch(&["1".into()], Some(&[level]), None)?
            }
            _ => return Err("another column".into()),
        };
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    let typed = open().err().ok_or("it was opened")?.to_string();
    let expected = "column 5_o_Clock_Shadow: is of a type that is neither true or false nor a \
                    whole number; take a dataset";
    assert!(typed.contains(expected), "{typed}");
    // A folder with two datasets in it, and a number that is neither 1 nor -1.
    std::fs::write(&path, &whole)?;
    let second = root.join("second");
    let both = |booleans| -> AnyResult<String> {
        forms::shards(&second, &plain, &forms::ShardOptions { booleans, ..options })?;
        Ok(open().err().ok_or("it was opened")?.to_string())
    };
    let twice = both(true)?;
    assert!(
        twice.contains("is also in") && twice.contains("a folder holds one dataset"),
        "{twice}"
    );
    let mixed = both(false)?;
    assert!(mixed.contains("holds 0, but elsewhere labels are 1 and -1"), "{mixed}");
    std::fs::remove_dir_all(&second)?;
    std::fs::write(&path, &whole)?;
    std::fs::rename(&path, root.join("part-0.parquet"))?;
    assert!(
        open()
            .err()
            .ok_or("it was opened")?
            .to_string()
            .contains("part-0.parquet: belongs to no split")
    );
    Ok(())
}

#[test]
fn the_cache_is_the_decoder_and_is_not_believed_when_it_is_damaged() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = faces(&folder.path().join("plain"), 20)?;
    let plain = BatchOptions {
        image_size: 16,
        batch_size: 4,
        epoch: Some(Epoch { flip: true, ..Epoch::new(1, 0) }),
        ..Default::default()
    };
    let expected = pixels(&data, &plain)?;
    let cache = || data.cache(folder.path().join("cache"), Crop::Square, 16).map(Arc::new);
    // Two of them at once, as two processes have them.
    let (one, two) = (cache()?, cache()?);
    assert_eq!(one.path(), two.path());
    for cache in [&one, &two, &one] {
        assert!(
            pixels(&data, &BatchOptions { cache: Some(cache.clone()), ..plain.clone() })?
                == expected
        );
    }
    // The pixels come from there: without the images it still works.
    let images = folder.path().join("plain/img_align_celeba");
    std::fs::rename(&images, folder.path().join("elsewhere"))?;
    assert!(
        pixels(&data, &BatchOptions { cache: Some(one.clone()), ..plain.clone() })? == expected
    );
    std::fs::rename(folder.path().join("elsewhere"), &images)?;
    let mut bytes = std::fs::read(one.path())?;
    bytes[5000..6000].fill(77);
    std::fs::write(one.path(), bytes)?;
    assert!(
        pixels(&data, &BatchOptions { cache: Some(one.clone()), ..plain.clone() })? == expected,
        "damaged records were believed"
    );
    // Random squares are not kept, and other faces have a file of their own.
    let smaller = plain.epoch.map(|epoch| Epoch { smallest_crop: 0.7, ..epoch });
    let cropped = BatchOptions { epoch: smaller, ..plain.clone() };
    assert!(
        pixels(&data, &cropped)?
            == pixels(&data, &BatchOptions { cache: Some(one.clone()), ..cropped.clone() })?
    );
    let others = faces(&folder.path().join("others"), 21)?;
    assert!(others.cache(folder.path().join("cache"), Crop::Square, 16)?.path() != one.path());
    assert!(data.labels(0) != Labels::default());
    Ok(())
}
