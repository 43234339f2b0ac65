//! The loader on synthetic faces: splits, order, batches, and errors of damaged folders.

use std::path::Path;
use std::sync::Arc;

use foresee_celeba::synthetic::{self, Generator, HEIGHT, WIDTH};
use foresee_celeba::{
    ATTRIBUTES, Augmentation, BatchOptions, CelebA, Crop, Epoch, Error, Labels, Normalisation,
    Preprocessing, Split, SplitRule, bad_images,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;
/// A batch: faces, pixels, labels.
type Numbers = (Vec<usize>, Vec<f32>, Vec<f32>);

fn faces(count: usize) -> AnyResult<(tempfile::TempDir, CelebA)> {
    let folder = tempfile::tempdir()?;
    synthetic::write(folder.path(), count, 7, |_| ())?;
    let data = CelebA::open(folder.path(), SplitRule::Official)?;
    Ok((folder, data))
}

fn pixels(data: &CelebA, faces: &[usize], options: &BatchOptions) -> AnyResult<Vec<Numbers>> {
    data.batches(faces, options)
        .map(|batch| {
            let batch = batch?;
            Ok((
                batch.faces,
                batch.images.flatten_all()?.to_vec1()?,
                batch.labels.flatten_all()?.to_vec1()?,
            ))
        })
        .collect()
}

#[test]
fn splits_are_the_partitions_and_the_papers() -> AnyResult {
    let (folder, data) = faces(30)?;
    assert!(data.is_synthetic());
    assert_eq!(
        (
            data.split(Split::Train)?.len(),
            data.split(Split::Val)?.len(),
            data.split(Split::Test)?.len()
        ),
        (24, 3, 3)
    );
    let paper = CelebA::open(folder.path(), SplitRule::Paper)?;
    assert_eq!(
        (paper.split(Split::Train)?.len(), paper.split(Split::Test)?),
        (27, data.split(Split::Test)?)
    );
    assert!(matches!(paper.split(Split::Val), Err(Error::EmptySplit { split: Split::Val, .. })));
    assert!(
        synthetic::write(folder.path(), 5, 7, |_| ()).is_err(),
        "a folder that holds faces is not written over"
    );
    Ok(())
}

#[test]
fn batches_are_decided_by_seed_and_epoch_alone() -> AnyResult {
    let (_folder, data) = faces(30)?;
    let all = data.split(Split::Train)?;
    let options = |seed, epoch| BatchOptions {
        image_size: 16,
        batch_size: 7,
        epoch: Some(Epoch { flip: true, ..Epoch::new(seed, epoch) }),
        ..Default::default()
    };
    let first = pixels(&data, &all, &options(1, 0))?;
    assert_eq!(first.iter().map(|b| b.0.len()).collect::<Vec<_>>(), [7, 7, 7, 3]);
    assert!(first == pixels(&data, &all, &BatchOptions { prefetch: 1, ..options(1, 0) })?);
    assert!(first[0].0 != pixels(&data, &all, &options(1, 1))?[0].0);
    assert!(first[0].0 != pixels(&data, &all, &options(2, 0))?[0].0);
    assert!(first[2..] == pixels(&data, &all, &BatchOptions { skip: 2, ..options(1, 0) })?);
    assert_eq!(pixels(&data, &all, &BatchOptions { drop_last: true, ..options(1, 0) })?.len(), 3);
    // A share of each batch is those rows of it, also where a batch has fewer.
    let share = pixels(&data, &all, &BatchOptions { rows: Some(2..5), ..options(1, 0) })?;
    for (share, whole) in share.iter().zip(&first) {
        let rows = 2..whole.0.len().min(5);
        assert_eq!(share.0, whole.0[rows.clone()]);
        assert!(share.1 == whole.1[rows.start * 768..rows.end * 768]);
        assert!(share.2 == whole.2[rows.start * 40..rows.end * 40]);
    }
    assert_eq!(share.len(), first.len());
    let mut seen: Vec<usize> = first.iter().flat_map(|b| b.0.clone()).collect();
    seen.sort_unstable();
    assert_eq!(seen, all);
    for (faces, images, labels) in &first {
        assert!(images.iter().all(|v| (-1. ..=1.).contains(v)));
        for (i, &face) in faces.iter().enumerate() {
            let expected: Vec<f32> =
                data.labels(face).iter().map(|p| f32::from(u8::from(p))).collect();
            assert_eq!(labels[i * 40..(i + 1) * 40], expected);
        }
    }
    Ok(())
}

#[test]
fn an_image_arrives_upright_and_mirrored_ones_are_mirrored() -> AnyResult {
    let (_folder, data) = faces(20)?;
    let size = 24;
    let plain = pixels(&data, &[3], &BatchOptions { image_size: size, ..Default::default() })?;
    let rgb = Generator::new(7).render(3, data.labels(3));
    // The centre square of a 178×218 image begins in row 20.
    let mean = |rows: std::ops::Range<usize>| {
        let values: Vec<f64> = rows
            .flat_map(|y| (0..WIDTH).map(move |x| (y, x)))
            .map(|(y, x)| f64::from(rgb[(y * WIDTH + x) * 3]))
            .collect();
        values.iter().sum::<f64>() / values.len() as f64 / 127.5 - 1.
    };
    let got = |rows: std::ops::Range<usize>| {
        let values: Vec<f64> =
            plain[0].1[rows.start * size..rows.end * size].iter().map(|&v| f64::from(v)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!((mean(20..20 + 89) - got(0..12)).abs() < 0.03);
    assert!((mean(20 + 89..HEIGHT - 20) - got(12..24)).abs() < 0.03);
    let mirrored = (0..40).find_map(|seed| {
        let options = BatchOptions {
            image_size: size,
            epoch: Some(Epoch { flip: true, ..Epoch::new(seed, 0) }),
            ..Default::default()
        };
        let batch = pixels(&data, &[3], &options).ok()?;
        (batch[0].1 != plain[0].1).then(|| batch[0].1.clone())
    });
    let mirrored = mirrored.expect("one of 40 seeds mirrors");
    for (a, b) in plain[0].1.chunks_exact(size).zip(mirrored.chunks_exact(size)) {
        assert!(a.iter().eq(b.iter().rev()));
    }
    Ok(())
}

/// A JPEG that lies on its side and says so is the same image to a reader.
#[test]
fn an_image_is_turned_as_its_exif_data_say() -> AnyResult {
    let (folder, data) = faces(20)?;
    let options = BatchOptions { image_size: 24, ..Default::default() };
    let upright = pixels(&data, &[3], &options)?;
    let rgb = Generator::new(7).render(3, data.labels(3));
    // Orientation 6: the first row of the file is the right-hand side of the image.
    let mut turned = vec![0u8; rgb.len()];
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (row, column) = (WIDTH - 1 - x, y);
            let at = 3 * (row * HEIGHT + column);
            turned[at..at + 3].copy_from_slice(&rgb[3 * (y * WIDTH + x)..][..3]);
        }
    }
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut jpeg = vec![];
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 95);
    encoder.add_exif_metadata(exif)?;
    encoder.encode(&turned, HEIGHT as u16, WIDTH as u16, jpeg_encoder::ColorType::Rgb)?;
    std::fs::write(data.image_path(3), jpeg)?;
    let found = pixels(&data, &[3], &options)?;
    let apart: f32 = upright[0].1.iter().zip(&found[0].1).map(|(a, b)| (a - b).abs()).sum();
    assert!(apart / (upright[0].1.len() as f32) < 0.02, "{apart}");
    let findings = foresee_celeba::check(folder.path(), true, |_, _| ());
    let note = findings.iter().find(|finding| finding.item == "orientation");
    let message = note.map(|note| note.message.as_str()).unwrap_or_default();
    assert!(message.starts_with("1 of 20 do not lie upright") && message.contains("000004.jpg"));
    Ok(())
}

#[test]
fn a_random_square_lies_inside_the_centred_one() -> AnyResult {
    let (_folder, data) = faces(20)?;
    let image = data.image_path(3);
    let preprocessing = Preprocessing {
        crop: Crop::Square,
        image_size: 178,
        normalisation: Normalisation::default(),
    };
    let read = |augmentation: &Augmentation| -> AnyResult<Vec<f32>> {
        Ok(preprocessing.read(&image, augmentation)?.0)
    };
    let complete = read(&Augmentation::default())?;
    // The lower right quarter at twice its size: each of its pixels is where half its place says.
    let quarter = read(&Augmentation { side: 0.5, position: [1., 1.], flip: false })?;
    let error = (0..177)
        .flat_map(|y| (0..177).map(move |x| (y, x)))
        .map(|(y, x)| (quarter[y * 178 + x] - complete[(89 + y / 2) * 178 + 89 + x / 2]).abs());
    assert!(error.sum::<f32>() / (177. * 177.) < 0.05);

    let options = |smallest_crop| BatchOptions {
        image_size: 16,
        batch_size: 4,
        epoch: Some(Epoch { smallest_crop, ..Epoch::new(1, 0) }),
        ..Default::default()
    };
    let plain = pixels(&data, &[3, 4, 5, 6], &options(1.))?;
    let cropped = pixels(&data, &[3, 4, 5, 6], &options(0.8))?;
    assert_eq!((&plain[0].0, &plain[0].2), (&cropped[0].0, &cropped[0].2));
    assert!(plain[0].1 != cropped[0].1 && cropped == pixels(&data, &[3, 4, 5, 6], &options(0.8))?);
    Ok(())
}

#[test]
fn errors_of_damaged_folders_name_the_file() -> AnyResult {
    let (folder, data) = faces(20)?;
    let options = BatchOptions { image_size: 8, ..Default::default() };
    let read = || pixels(&data, &[4], &options).unwrap_err().to_string();
    let image = data.image_path(4);
    let intact = std::fs::read(&image)?;
    for (bytes, expected) in [
        (&intact[..0], "is empty"),
        (&intact[..900], "is truncated"),
        (b"GIF89a....", "is neither a JPEG nor a PNG file"),
        (&b"\xFF\xD8\xFF\xD9"[..], "is truncated: it has no scan"),
        (&b"\xFF\xD8\xFF\xDA\xFF\xD9"[..], "cannot be decoded"),
    ] {
        std::fs::write(&image, bytes)?;
        let message = read();
        assert!(message.contains(expected) && message.contains("000005.jpg"), "{message}");
    }
    std::fs::remove_file(&image)?;
    assert!(read().contains("does not exist"));
    let open = || CelebA::open(folder.path(), SplitRule::Official).unwrap_err().to_string();
    assert!(open().contains("000005.jpg") && open().contains("does not exist"));
    // Half of the data with an end marker, a part cut out, a hole: decoders show these in grey, but
    // a check finds them.
    let found = |bytes: Vec<u8>| -> AnyResult<String> {
        std::fs::write(&image, bytes)?;
        Ok(bad_images(&data, &[4], |_| ()).pop().map(|(_, reason)| reason).unwrap_or_default())
    };
    assert_eq!(found(intact.clone())?, "");
    let half = &intact[..intact.len() / 2];
    let end = &b"\xFF\xD9"[..];
    assert!(
        found([half, end].concat())?
            .contains("000005.jpg: is truncated: its data ends before its last pixel")
    );
    let cuts: Vec<usize> = (900..intact.len() - 600).step_by(97).collect();
    let mut missed = 0;
    for &cut in &cuts {
        assert!(found([&intact[..cut], end].concat())?.contains("is truncated"), "cut at {cut}");
        let hole = [&intact[..cut], &[0; 512][..], &intact[cut + 512..]].concat();
        missed += usize::from(found([&intact[..cut], &intact[cut + 512..]].concat())?.is_empty())
            + usize::from(found(hole)?.is_empty());
    }
    // Huffman codes resynchronise: damage that leaves as many blocks as there were looks like
    // another picture.
    assert!(missed * 50 < 2 * cuts.len(), "{missed} of {} were not found", 2 * cuts.len());
    // Some writers pad the end.
    std::fs::write(&image, [intact.clone(), vec![0; 5000]].concat())?;
    assert!(pixels(&data, &[4], &options).is_ok());
    std::fs::write(&image, intact)?;

    let partition = folder.path().join("list_eval_partition.txt");
    let text = std::fs::read_to_string(&partition)?;
    for (bad, expected) in [
        (text.replacen(" 0\n", " 3\n", 1), "line 1: 000001.jpg: `3` is not a split: 0, 1 or 2"),
        (
            text.replacen("000002.jpg", "000001.jpg", 1),
            "line 2: 000001.jpg was already given in line 1",
        ),
        (
            text.lines().skip(1).map(|l| format!("{l}\n")).collect(),
            "19 images are listed, but list_attr_celeba has 20; 000001.jpg is not listed: take \
             both files",
        ),
        (
            format!("{text}000021.jpg 0\n"),
            "21 images are listed, but list_attr_celeba has 20; 000021.jpg is listed here only",
        ),
        (text.replacen("000002.jpg", "other.jpg", 1), "000002.jpg is not listed"),
    ] {
        std::fs::write(&partition, bad)?;
        assert!(open().contains(expected), "{}", open());
    }
    std::fs::remove_file(&partition)?;
    assert!(open().contains("list_eval_partition.txt does not exist"));
    assert!(matches!(
        CelebA::open(Path::new("/nowhere"), SplitRule::Official),
        Err(Error::Missing(_))
    ));
    Ok(())
}

#[test]
fn every_attribute_is_visible_somewhere_and_not_everywhere() {
    let generator = Generator::new(1);
    // Nothing hides anything on this face: no hat, no hair over the forehead, not blurred.
    let plain = Labels::default().with(24, true).with(39, true);
    for (k, name) in ATTRIBUTES.iter().enumerate() {
        let inside: Vec<usize> = (0..6)
            .map(|face| generator.region(face, plain, k).iter().filter(|&&inside| inside).count())
            .collect();
        assert!(inside.iter().all(|&n| n > 8), "{name} is not visible: {inside:?} pixels");
        assert!(inside.iter().any(|&n| n < WIDTH * HEIGHT * 3 / 4), "{name} is everywhere");
    }
}

#[test]
fn faces_are_decided_by_seed_and_number() {
    let a = Generator::new(1);
    let b = Generator::new(2);
    let labels = a.labels(9);
    assert_eq!(labels, Generator::new(1).labels(9));
    assert!(a.render(9, labels) == Generator::new(1).render(9, labels));
    assert!(a.render(9, labels) != b.render(9, labels));
    assert!(a.render(9, labels) != a.render(10, labels));
}

#[test]
fn a_fingerprint_has_a_line_for_each_face() -> AnyResult {
    let (_folder, data) = faces(20)?;
    let text = data.clone().without(&[1]).fingerprint_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 20);
    let bytes = data.image_bytes(0)?.len();
    let labels: String = data.labels(0).iter().map(|p| char::from(b'0' + u8::from(p))).collect();
    assert_eq!(lines[0], format!("000001.jpg {bytes} {labels} 0"));
    assert!(lines[1].ends_with(" 255") && lines[16].ends_with(" 1") && lines[19].ends_with(" 2"));
    Ok(())
}

#[test]
fn batches_in_order_are_not_augmented() -> AnyResult {
    let (_folder, data) = faces(20)?;
    let preprocessing = Preprocessing {
        crop: Crop::Whole,
        image_size: 16,
        normalisation: Normalisation { mean: [0.; 3], deviation: [1.; 3] },
    };
    let (expected, _) = preprocessing.read(&data.image_path(5), &Augmentation::default())?;
    let batches: Vec<_> =
        data.batches_in_order(&[7, 5, 6], &preprocessing, 2).collect::<Result<_, _>>()?;
    assert_eq!(batches.iter().map(|b| b.faces.clone()).collect::<Vec<_>>(), [vec![7, 5], vec![6]]);
    assert_eq!(batches[0].images.get(1)?.flatten_all()?.to_vec1::<f32>()?, expected);
    Ok(())
}

/// What cannot be read as asked is refused by the first batch, and nothing is written.
#[test]
fn wrong_options_and_foreign_caches_are_refused() -> AnyResult {
    let (folder, data) = faces(3)?;
    let (_other, others) = faces(3)?;
    let cache = |data: &CelebA| -> AnyResult<_> {
        Ok(Some(Arc::new(data.cache(folder.path().join("cache"), Crop::Square, 8)?)))
    };
    let plain = || BatchOptions { image_size: 8, ..Default::default() };
    let refusal = |faces: &[usize], options: &BatchOptions| -> AnyResult<Error> {
        let mut batches = data.batches(faces, options);
        let error = batches.next().ok_or("an item")?.err().ok_or("an error")?;
        assert!(batches.next().is_none());
        Ok(error)
    };
    let own = BatchOptions { cache: cache(&data)?, ..plain() };
    assert_eq!(data.batches(&[0, 1, 2], &own).count(), 1);
    for options in [
        BatchOptions { cache: cache(&others)?, ..plain() },
        BatchOptions { crop: Crop::Whole, ..own.clone() },
        BatchOptions { image_size: 16, ..own.clone() },
    ] {
        assert!(matches!(refusal(&[0], &options)?, Error::OtherCache { .. }));
    }
    assert!(matches!(refusal(&[0, 3], &plain())?, Error::NoImage { image: 3, images: 3 }));
    let crop = |smallest_crop| Some(Epoch { smallest_crop, ..Epoch::new(0, 0) });
    for options in [
        BatchOptions { image_size: 0, ..plain() },
        BatchOptions { batch_size: 0, ..plain() },
        BatchOptions { epoch: crop(0.), ..plain() },
        BatchOptions { epoch: crop(f64::NAN), ..plain() },
    ] {
        assert!(matches!(refusal(&[0], &options)?, Error::Option { .. }));
    }
    Ok(())
}
