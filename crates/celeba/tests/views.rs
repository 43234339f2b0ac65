//! Views of images: a marked pixel is where its landmark is said to be, whatever is cropped,
//! resized, mirrored, cached or read ahead.

use std::path::Path;
use std::sync::Arc;

use foresee_celeba::{
    Augmentation, BatchOptions, CelebA, Crop, Epoch, Error, LANDMARKS, Landmarks, Normalisation,
    Preprocessing, Split, SplitRule, View, synthetic,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const FACES: usize = 24;
/// Width and height of the images: CelebA's, and others.
const SIZES: [(usize, usize); 3] = [(178, 218), (150, 90), (64, 64)];

/// Where a face is marked: somewhere in its image, here and there at its border.
fn marked(face: usize) -> [usize; 2] {
    let (width, height) = SIZES[face % SIZES.len()];
    [(face * 37) % width, (face * 53 + 7) % height]
}

/// A black image whose marked pixel is white, as a PNG file.
fn image(face: usize) -> AnyResult<Vec<u8>> {
    let (width, height) = SIZES[face % SIZES.len()];
    let mut pixels = vec![0; 3 * width * height];
    let [x, y] = marked(face);
    pixels[3 * (y * width + x)..][..3].fill(255);
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(bytes)
}

/// Rows of an annotation file.
fn rows(values: impl Fn(usize) -> String) -> String {
    (0..FACES).map(|face| format!("{:06}.jpg {}\n", face + 1, values(face))).collect()
}

/// Marked images in CelebA's layout, with identities 11, 12, … The nose is the marked pixel; the
/// eyes and the corners of the mouth are beside it.
fn marked_faces(folder: &Path) -> AnyResult<CelebA> {
    synthetic::write(folder, FACES, 7, |_| ())?;
    for face in 0..FACES {
        std::fs::write(folder.join(format!("img_align_celeba/{:06}.jpg", face + 1)), image(face)?)?;
    }
    let points = |face| {
        let [x, y] = marked(face).map(|place| place as i64);
        let points = [[x - 9, y - 5], [x + 8, y - 5], [x, y], [x - 6, y + 7], [x + 5, y + 7]];
        points.concat().iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
    };
    std::fs::write(
        folder.join("list_landmarks_align_celeba.txt"),
        format!("{FACES}\n{}\n{}", LANDMARKS.join(" "), rows(points)),
    )?;
    std::fs::write(folder.join("identity_CelebA.txt"), rows(|face| (face + 11).to_string()))?;
    Ok(CelebA::open(folder, SplitRule::Official)?)
}

/// The column and row of the largest value of [size, size] values.
fn brightest(values: &[f32], size: usize) -> [f64; 2] {
    let at = (0..size * size).fold(0, |best, i| if values[i] > values[best] { i } else { best });
    [(at % size) as f64, (at / size) as f64]
}

/// Faces and views of all batches.
type Seen = Vec<(usize, View)>;

/// Loads all faces. Wherever the marked pixel is seen, it is within a pixel of where the nose is
/// said to be. Returns the views, and how many marked pixels are seen.
fn check(data: &CelebA, options: &BatchOptions) -> AnyResult<(Seen, usize)> {
    let landmarks = data.landmarks()?;
    let size = options.image_size;
    let mut seen = vec![];
    let mut marks = 0;
    for batch in data.batches(&data.split(Split::All)?, options) {
        let batch = batch?;
        let moved = batch.landmarks(&landmarks)?;
        for (i, (&face, view)) in batch.faces.iter().zip(&batch.views).enumerate() {
            seen.push((face, *view));
            let nose = Landmarks::from(landmarks[face]).nose;
            assert_eq!(nose, marked(face).map(|place| place as f64));
            assert_eq!(moved[i].nose, view.apply(nose));
            assert!(moved[i].left_eye[0] < moved[i].right_eye[0], "left is the viewer's left");
            assert!(moved[i].left_mouth[0] < moved[i].right_mouth[0]);
            if view.contains(nose) {
                let values = batch.images.get(i)?.get(0)?.flatten_all()?.to_vec1::<f32>()?;
                let [x, y] = brightest(&values, size);
                let [u, v] = moved[i].nose;
                assert!((x - u).abs() <= 1. && (y - v).abs() <= 1., "{x} {y} is not {u} {v}");
                marks += 1;
            }
        }
    }
    Ok((seen, marks))
}

#[test]
fn a_marked_pixel_is_where_its_landmark_is() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = marked_faces(folder.path())?;
    for (crop, smallest_crop, flip) in [
        (Crop::Whole, 1., false),
        (Crop::Whole, 0.3, true),
        (Crop::Square, 1., true),
        (Crop::Square, 0.5, true),
    ] {
        let options = BatchOptions {
            crop,
            image_size: 48,
            batch_size: 5,
            epoch: Some(Epoch { seed: 3, number: 1, flip, smallest_crop }),
            ..Default::default()
        };
        let (seen, marks) = check(&data, &options)?;
        assert_eq!(seen.len(), FACES);
        assert_eq!(seen.iter().any(|(_, view)| view.mirrored), flip);
        let whole = (smallest_crop, crop) == (1., Crop::Whole);
        assert!(if whole { marks == FACES } else { (3..FACES).contains(&marks) }, "{marks}");
        for (face, view) in &seen {
            let (width, height) = SIZES[face % SIZES.len()];
            assert!(view.left >= 0. && view.left + view.width <= width as f64 + 1e-9);
            assert!(view.top >= 0. && view.top + view.height <= height as f64 + 1e-9);
        }
        // Reading ahead, and beginning later, change no view.
        for prefetch in [0, 1, 9] {
            assert!(check(&data, &BatchOptions { prefetch, ..options.clone() })?.0 == seen);
        }
        assert!(check(&data, &BatchOptions { skip: 2, ..options.clone() })?.0 == seen[10..]);
    }
    Ok(())
}

#[test]
fn the_cache_knows_the_views() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = marked_faces(&folder.path().join("faces"))?;
    for crop in Crop::ALL {
        let epoch = Some(Epoch { flip: true, ..Epoch::new(5, 0) });
        let plain = BatchOptions { crop, epoch, ..Default::default() };
        let expected = check(&data, &plain)?;
        let cache = Arc::new(data.cache(folder.path().join("cache"), crop, plain.image_size)?);
        // First it is filled, then it is read.
        for _ in 0..2 {
            let cached = BatchOptions { cache: Some(cache.clone()), ..plain.clone() };
            assert!(check(&data, &cached)? == expected);
        }
    }
    Ok(())
}

#[test]
fn what_is_read_tells_its_view() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = marked_faces(folder.path())?;
    let preprocessing = Preprocessing {
        crop: Crop::Square,
        image_size: 89,
        normalisation: Normalisation::default(),
    };
    // An image of 178×218, from row 20, at half its size, mirrored.
    let mirror = Augmentation { flip: true, ..Default::default() };
    let (out, view) = preprocessing.read(&data.image_path(3), &mirror)?;
    let expected =
        View { left: 0., top: 20., width: 178., height: 178., mirrored: true, image_size: 89 };
    assert_eq!(view, expected);
    // Marked is [111, 166]: 88 - (111.5/2 - 0.5) and (166.5 - 20)/2 - 0.5.
    assert_eq!((marked(3), view.apply([111., 166.])), ([111, 166], [32.75, 72.75]));
    assert_eq!(brightest(&out[..89 * 89], 89), [33., 73.]);
    Ok(())
}

#[test]
fn a_batch_takes_its_rows_of_a_table() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = marked_faces(folder.path())?;
    let people = data.identities()?;
    let epoch = Some(Epoch::new(1, 0));
    let options = BatchOptions { image_size: 8, epoch, ..Default::default() };
    let batch = data.batches(&[4, 9, 2], &options).next().ok_or("no batch")??;
    let expected: Vec<u32> = batch.faces.iter().map(|&face| face as u32 + 11).collect();
    assert_eq!(batch.select(&people)?, expected);
    let told = batch.select(&people[..3]).unwrap_err();
    assert!(matches!(told, Error::Rows { rows: 3, image } if image > 2));
    let mut boxes = vec![None; FACES];
    boxes[9] = Some([0., 0., 64., 64.]);
    let moved = batch.boxes(&boxes)?;
    // Face 9 has an image of 178×218, whose rows 20 to 197 become 8.
    for (i, &face) in batch.faces.iter().enumerate() {
        let scale = 8. / 178.;
        let expected = (face == 9).then_some([0., -20. * scale, 64. * scale, 64. * scale]);
        assert_eq!(moved[i].is_some(), expected.is_some());
        for (found, expected) in moved[i].into_iter().flatten().zip(expected.into_iter().flatten())
        {
            assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
        }
    }
    Ok(())
}

/// Boxes are given in uncropped photographs. Here these are twice as large, and (30, 50) is where
/// the aligned image begins.
#[test]
fn a_box_is_aligned_as_its_landmarks_are() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let data = marked_faces(folder.path())?;
    assert!(matches!(data.aligned_boxes(), Err(Error::Missing(_))));
    let landmarks = data.landmarks()?;
    let uncropped = |face: usize| {
        let place = |(i, place): (usize, &i32)| (2 * place + [30, 50][i % 2]).to_string();
        // The last face is another one.
        let row = if face == FACES - 1 { [7; 10] } else { landmarks[face] };
        row.iter().enumerate().map(place).collect::<Vec<_>>().join(" ")
    };
    std::fs::write(
        folder.path().join("list_landmarks_celeba.txt"),
        format!("{FACES}\n{}\n{}", LANDMARKS.join(" "), rows(uncropped)),
    )?;
    std::fs::write(
        folder.path().join("list_bbox_celeba.txt"),
        format!("{FACES}\nimage_id x_1 y_1 width height\n{}", rows(|_| "50 60 80 120".into())),
    )?;
    let boxes = data.aligned_boxes()?;
    assert_eq!((boxes.len(), boxes[FACES - 1]), (FACES, None));
    // Its left edge, 49.5, is at (49.5 - 30)/2 = 9.75, so the box begins at 10.25.
    for (found, expected) in boxes[0].ok_or("no box")?.into_iter().zip([10.25, 5.25, 40., 60.]) {
        assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
    }
    Ok(())
}

#[test]
fn identities_are_checked() -> AnyResult {
    let folder = tempfile::tempdir()?;
    // torchvision's layout has them in its folder too.
    let root = folder.path().join("celeba");
    marked_faces(&root)?;
    let open = || CelebA::open(folder.path(), SplitRule::Official);
    assert_eq!(open()?.identities()?[..3], [11, 12, 13]);
    let file = root.join("identity_CelebA.txt");
    let text = std::fs::read_to_string(&file)?;
    for (damaged, expected) in [
        (text.replacen(" 12\n", " 0\n", 1), "line 2: 000002.jpg: `0` is not the number of a"),
        (text.replacen(" 12\n", "\n", 1), "line 2: 000002.jpg has 0 values, expected 1"),
        (text.replacen("000002", "000001", 1), "line 2: 000001.jpg was already given in line 1"),
        (text.replacen("000002.jpg 12\n", "", 1), "000002.jpg is not listed"),
    ] {
        std::fs::write(&file, damaged)?;
        let told = open()?.identities().unwrap_err().to_string();
        assert!(told.contains("identity_CelebA.txt") && told.contains(expected), "{told}");
    }
    std::fs::remove_file(&file)?;
    let told = open()?.identities().unwrap_err().to_string();
    assert!(told.contains("identity_CelebA.txt does not exist"), "{told}");
    Ok(())
}
