//! Everything of CelebA that a stranger may hand over, damaged at random: it is read or refused,
//! without a panic and in bounded memory.
//!
//! A million inputs each, with the counts shown (`TMPDIR` on a file system in memory helps):
//!
//!     PROPTEST_CASES=1000000 cargo test --release -p foresee-tests --test hostile_data \
//!         -- --nocapture

use std::path::{Path, PathBuf};

use foresee_celeba::{
    ATTRIBUTES, Augmentation, BOX, CelebA, Crop, LANDMARKS, Normalisation, Preprocessing, Split,
    SplitRule, bad_images, check,
};
use foresee_tests::forms::{self, AnyError};
use foresee_tests::hostile::{Counting, alone, survives};

type AnyResult<T = ()> = Result<T, AnyError>;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FACES: usize = 6;
/// Annotations of a few kB are read in less than this.
const TEXT: usize = 1 << 20;

/// Six small faces as they are distributed, with all annotations.
fn small(root: &Path) -> AnyResult<CelebA> {
    std::fs::create_dir_all(root.join("img_align_celeba"))?;
    let name = |face: usize| format!("{:06}.jpg", face + 1);
    let rows = |values: &dyn Fn(usize) -> String| {
        (0..FACES).map(|face| format!("{} {}\n", name(face), values(face))).collect::<String>()
    };
    for face in 0..FACES {
        std::fs::write(
            root.join("img_align_celeba").join(name(face)),
            jpeg(jpeg_encoder::ColorType::Rgb, 3, false)?,
        )?;
    }
    let labels = |face: usize| {
        (0..40)
            .map(|k| if (face + k).is_multiple_of(3) { " 1" } else { "-1" })
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (file, text) in [
        ("list_attr_celeba.txt", format!("{FACES}\n{} \n{}", ATTRIBUTES.join(" "), rows(&labels))),
        ("list_eval_partition.txt", rows(&|face| (face / 2).to_string())),
        ("identity_CelebA.txt", rows(&|face| (2880 + face).to_string())),
        (
            "list_bbox_celeba.txt",
            format!(
                "{FACES}\nimage_id {}\n{}",
                BOX.join(" "),
                rows(&|face| format!("95  71 226 {face}"))
            ),
        ),
        (
            "list_landmarks_align_celeba.txt",
            format!(
                "{FACES}\n{} \n{}",
                LANDMARKS.join(" "),
                rows(&|_| "69 109  106 113 77 142 73 152 108 154".into())
            ),
        ),
    ] {
        std::fs::write(root.join(file), text)?;
    }
    Ok(CelebA::open(root, SplitRule::Official)?)
}

fn jpeg(colour: jpeg_encoder::ColorType, channels: usize, progressive: bool) -> AnyResult<Vec<u8>> {
    let mut bytes = vec![];
    let pixels: Vec<u8> = (0..20 * 18 * channels).map(|i| (i * 37 % 251) as u8).collect();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 60);
    encoder.set_progressive(progressive);
    if channels == 3 && !progressive {
        encoder.set_restart_interval(2);
    }
    encoder.encode(&pixels, 20, 18, colour)?;
    Ok(bytes)
}

fn png(colour: png::ColorType, depth: png::BitDepth) -> AnyResult<Vec<u8>> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, 16, 10);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.set_palette((0..48).collect::<Vec<u8>>());
    let row = (16 * colour.samples() * depth as usize).div_ceil(8);
    encoder
        .write_header()?
        .write_image_data(&(0..10 * row).map(|i| (i * 7 % 16) as u8).collect::<Vec<u8>>())?;
    Ok(bytes)
}

/// What is told of a file that is refused; that one is missing is no fault of it.
fn told<T>(result: foresee_celeba::Result<T>) -> Option<String> {
    result.err().filter(|e| !matches!(e, foresee_celeba::Error::Missing(_))).map(|e| e.to_string())
}

/// Everything that can be asked of what lies at a path.
fn everything(path: &Path) -> Option<String> {
    let data = match CelebA::open(path, SplitRule::Official) {
        Ok(data) => data,
        Err(e) => return Some(e.to_string()),
    };
    let faces = data.split(Split::All).unwrap_or_default();
    let findings = check(path, true, |_, _| ());
    assert!(findings.len() > 3 && data.len() < 1000);
    assert_eq!(
        bad_images(&data, &faces, |_| ()).is_empty(),
        findings.iter().all(|f| f.item != "image" || faces.is_empty())
    );
    told(data.identities())
        .or_else(|| findings.into_iter().find(|f| f.item == "image").map(|f| f.message))
}

/// Damages one file of a folder over and over.
fn file(
    what: &str,
    folder: &Path,
    place: PathBuf,
    most: usize,
    read: impl Fn() -> Option<String>,
) -> AnyResult {
    let seed = std::fs::read(&place)?;
    assert!(
        !read().is_some_and(|told| told.contains(&*place.to_string_lossy())),
        "{what}: the whole file is refused: {:?}",
        read()
    );
    assert!(place.starts_with(folder));
    survives(what, &[seed], 1000, most, |bytes| {
        std::fs::write(&place, bytes).unwrap();
        read()
    })?;
    Ok(())
}

#[test]
fn attributes() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let data = small(folder.path())?;
    file(
        "list_attr_celeba.txt",
        folder.path(),
        folder.path().join("list_attr_celeba.txt"),
        TEXT,
        || told(CelebA::open(data.root(), SplitRule::Paper)),
    )
}

#[test]
fn kaggles_attributes() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    forms::kaggle(&small(&folder.path().join("plain"))?, &folder.path().join("kaggle"))?;
    let root = folder.path().join("kaggle");
    file("list_attr_celeba.csv", &root, root.join("list_attr_celeba.csv"), TEXT, || {
        told(CelebA::open(&root, SplitRule::Official))
    })
}

#[test]
fn partition() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let data = small(folder.path())?;
    let place = folder.path().join("list_eval_partition.txt");
    file("list_eval_partition.txt", folder.path(), place, TEXT, || {
        told(CelebA::open(data.root(), SplitRule::Official))
    })
}

#[test]
fn splits_of_ones_own() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let data = small(&folder.path().join("plain"))?;
    let list = folder.path().join("mine.csv");
    std::fs::write(&list, "image,split\n000001.jpg,train\n000002.jpg,valid\n000006.jpg,test\n")?;
    file("a CSV of splits", folder.path(), list.clone(), TEXT, || {
        told(data.clone().with_splits(&list))
    })
}

#[test]
fn other_annotations() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let data = small(folder.path())?;
    let place = |name: &str| folder.path().join(name);
    file("identity_CelebA.txt", folder.path(), place("identity_CelebA.txt"), TEXT, || {
        told(data.identities())
    })?;
    file(
        "list_landmarks_align_celeba.txt",
        folder.path(),
        place("list_landmarks_align_celeba.txt"),
        TEXT,
        || told(data.landmarks()),
    )?;
    file("list_bbox_celeba.txt", folder.path(), place("list_bbox_celeba.txt"), TEXT, || {
        told(data.boxes())
    })
}

#[test]
fn archives() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("zip");
    forms::archive(&small(&folder.path().join("plain"))?, &root)?;
    file("img_align_celeba.zip", &root, root.join("img_align_celeba.zip"), 8 << 20, || {
        everything(&root)
    })
}

#[test]
fn shards() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("shards");
    let options = forms::ShardOptions { rows: 2, shard: 100, booleans: true, validation: "valid" };
    forms::shards(&root, &small(&folder.path().join("plain"))?, &options)?;
    file(
        "train-00000-of-00001.parquet",
        &root,
        root.join("train-00000-of-00001.parquet"),
        64 << 20,
        || everything(&root),
    )
}

#[test]
fn images() -> AnyResult {
    use jpeg_encoder::ColorType as Jpeg;
    use png::{BitDepth, ColorType as Png};
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("image");
    let preprocessing = Preprocessing {
        crop: Crop::Square,
        image_size: 8,
        normalisation: Normalisation::default(),
    };
    let jpegs = [
        jpeg(Jpeg::Rgb, 3, false)?,
        jpeg(Jpeg::Rgb, 3, true)?,
        jpeg(Jpeg::Luma, 1, false)?,
        jpeg(Jpeg::Cmyk, 4, false)?,
    ];
    let pngs = [
        png(Png::Rgb, BitDepth::Eight)?,
        png(Png::Rgba, BitDepth::Sixteen)?,
        png(Png::Indexed, BitDepth::Four)?,
        png(Png::Grayscale, BitDepth::One)?,
    ];
    let read = |bytes: &[u8]| {
        std::fs::write(&place, bytes).unwrap();
        let read = preprocessing.read(&place, &Augmentation::default()).map(|(pixels, _)| {
            assert!(pixels.iter().all(|v| (-1. ..=1.).contains(v)));
        });
        told(read)
    };
    for (what, seeds) in [("JPEG", &jpegs), ("PNG", &pngs)] {
        for seed in seeds {
            assert_eq!(read(seed), None);
        }
        survives(what, seeds, 1000, 8 << 20, read)?;
    }
    Ok(())
}
