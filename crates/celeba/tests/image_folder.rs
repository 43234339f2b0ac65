//! Images in folders of classes: classes, splits, batches, and what is refused.

use std::path::Path;

use candle_core::DType;
use foresee_celeba::{BatchOptions, Epoch, ImageFolder, Split};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A PNG file of 6×4 pixels of one grey.
fn grey(value: u8) -> AnyResult<Vec<u8>> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, 6, 4);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&[value; 24])?;
    Ok(bytes)
}

/// Writes files below a folder; those that end in `.png` are images of a grey.
fn write(root: &Path, files: &[(&str, u8)]) -> AnyResult {
    for (file, value) in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        std::fs::write(path, if file.ends_with(".png") { grey(*value)? } else { vec![*value] })?;
    }
    Ok(())
}

const SPLIT: [(&str, u8); 9] = [
    ("train/dog/b.png", 11),
    ("train/dog/a.png", 10),
    ("train/cat/deep/er/c.png", 12),
    ("train/cat/notes.txt", 0),
    ("train/.hidden/x.png", 99),
    ("valid/dog/v.png", 20),
    ("test/cat/t.png", 30),
    ("test/cat/.DS_Store", 0),
    ("README.md", 0),
];

#[test]
fn classes_and_splits_are_folders() -> AnyResult {
    let folder = tempfile::tempdir()?;
    write(folder.path(), &SPLIT)?;
    let data = ImageFolder::open(folder.path())?;
    assert_eq!(data.classes(), ["cat", "dog"]);
    let names: Vec<&str> = (0..data.len()).map(|image| data.name(image)).collect();
    assert_eq!(
        names,
        [
            "train/cat/deep/er/c.png",
            "train/dog/a.png",
            "train/dog/b.png",
            "valid/dog/v.png",
            "test/cat/t.png"
        ]
    );
    let labels: Vec<u32> = (0..data.len()).map(|image| data.label(image)).collect();
    assert_eq!(labels, [0, 1, 1, 1, 0]);
    assert_eq!(data.split(Split::Train)?, [0, 1, 2]);
    assert_eq!((data.split(Split::Val)?, data.split(Split::Test)?), (vec![3], vec![4]));
    assert_eq!((data.split(Split::All)?.len(), data.partition(3)), (5, Split::Val));
    assert_eq!(data.counts(&[0, 1, 2]), [1, 2]);
    assert_eq!(data.image_path(1), folder.path().join("train/dog/a.png"));
    Ok(())
}

#[test]
fn batches_have_class_indices_and_the_same_machinery() -> AnyResult {
    let folder = tempfile::tempdir()?;
    write(folder.path(), &SPLIT)?;
    let data = ImageFolder::open(folder.path())?;
    let greys = [12., 10., 11., 20., 30.];
    let options = BatchOptions {
        image_size: 2,
        batch_size: 2,
        epoch: Some(Epoch { flip: true, smallest_crop: 0.5, ..Epoch::new(1, 0) }),
        ..Default::default()
    };
    let read = |options: &BatchOptions| -> AnyResult<Vec<(usize, u32)>> {
        let mut seen = vec![];
        for batch in data.batches(&[0, 1, 2, 3, 4], options) {
            let batch = batch?;
            assert_eq!(batch.labels.dtype(), DType::U32);
            let labels = batch.labels.to_vec1::<u32>()?;
            assert_eq!(batch.images.dims(), [labels.len(), 3, 2, 2]);
            let values = batch.images.flatten_from(1)?.to_vec2::<f32>()?;
            for (i, &image) in batch.faces.iter().enumerate() {
                let grey = greys[image] / 127.5 - 1.;
                assert!(values[i].iter().all(|value| (value - grey).abs() < 1e-5));
                let view = batch.views[i];
                assert!(view.width < 4. && view.width == view.height);
                seen.push((image, labels[i]));
            }
        }
        Ok(seen)
    };
    let seen = read(&options)?;
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [(0, 0), (1, 1), (2, 1), (3, 1), (4, 0)]);
    assert_eq!(read(&BatchOptions { skip: 1, ..options.clone() })?, seen[2..]);
    assert_eq!(read(&BatchOptions { drop_last: true, ..options })?, seen[..4]);
    Ok(())
}

#[test]
fn random_splits_keep_the_shares_of_each_class() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let files: Vec<String> =
        (0..30).map(|i| format!("{}/{i:02}.png", if i < 20 { "many" } else { "few" })).collect();
    write(folder.path(), &files.iter().map(|file| (file.as_str(), 1u8)).collect::<Vec<_>>())?;
    let data = ImageFolder::open(folder.path())?;
    assert_eq!(data.split(Split::Train)?.len(), 30);
    let told = data.split(Split::Test).unwrap_err().to_string();
    assert!(told.contains("no image belongs to the split `test`"), "{told}");
    let drawn = data.clone().with_random_splits(0.2, 0.1, 7)?;
    let counts = |data: &ImageFolder| -> AnyResult<Vec<Vec<usize>>> {
        Split::DISJOINT.iter().map(|&split| Ok(data.counts(&data.split(split)?))).collect()
    };
    // Of few and many.
    assert_eq!(counts(&drawn)?, [[7, 14], [2, 4], [1, 2]]);
    let test = |seed| data.clone().with_random_splits(0.2, 0.1, seed)?.split(Split::Test);
    assert_eq!(test(7)?, drawn.split(Split::Test)?);
    assert!((0..5).any(|seed| test(seed).is_ok_and(|images| test(7).is_ok_and(|t| t != images))));
    for (val, share) in [(0.5, 0.5), (-0.1, 0.1), (f64::NAN, 0.1), (0.9, 0.09)] {
        assert!(data.clone().with_random_splits(val, share, 7).is_err());
    }
    Ok(())
}

#[test]
fn what_is_no_folder_of_classes_is_refused() -> AnyResult {
    for (files, expected) in [
        (&[("a.png", 1)][..], "holds no folder of a class"),
        (&[("cat/a.png", 1), ("dog/notes.txt", 1)][..], "dog: is the folder of a class and has no"),
        (
            &[("train/cat/a.png", 1), ("extra/cat/a.png", 1)][..],
            "holds `train`, which is the name of a split, beside `extra`",
        ),
        (
            &[("train/cat/a.png", 1), ("test/cats/a.png", 1)][..],
            "test/cats/a.png is of the class cats, of which train has no image",
        ),
        (&[("cat/1/2/3/4/5/6/7/8/9/a.png", 1)][..], "lies more than 8 folders below `cat`"),
    ] {
        let folder = tempfile::tempdir()?;
        write(folder.path(), files)?;
        let told = ImageFolder::open(folder.path()).unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let told = ImageFolder::open("/nowhere").unwrap_err().to_string();
    assert!(told.contains("/nowhere: is no folder"), "{told}");
    // Folders of test alone are enough to evaluate.
    let folder = tempfile::tempdir()?;
    write(folder.path(), &[("test/cat/a.png", 1), ("test/dog/a.png", 1)])?;
    assert_eq!(ImageFolder::open(folder.path())?.split(Split::Test)?, [0, 1]);
    // A damaged image is told when it is read.
    std::fs::write(folder.path().join("test/dog/a.png"), b"")?;
    let data = ImageFolder::open(folder.path())?;
    let error = data.batches(&[0, 1], &BatchOptions::default()).find_map(Result::err);
    let told = error.ok_or("it was read")?.to_string();
    assert!(told.contains("a.png: is empty"), "{told}");
    let bad = data.bad_images(&[0, 1], |_| ());
    assert_eq!(bad.iter().map(|(image, _)| *image).collect::<Vec<_>>(), [1]);
    Ok(())
}
