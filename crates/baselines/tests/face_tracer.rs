//! FaceTracer on drawn images whose attributes are where its regions are.

use foresee_baselines::{FaceTracer, FaceTracerConfig, Region};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const SIZE: usize = 32;

/// Grey images with noise. The first attribute is a bright mouth, the second red hair, the third is
/// not in the image.
fn images(count: usize, seed: u64) -> (Vec<Vec<f32>>, Vec<Vec<bool>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut images = vec![];
    let mut labels = vec![];
    for _ in 0..count {
        let label: Vec<bool> = (0..3).map(|_| rng.random()).collect();
        let mut image = vec![0f32; 3 * SIZE * SIZE];
        for (at, value) in image.iter_mut().enumerate() {
            let (plane, row) = (at / (SIZE * SIZE), at % (SIZE * SIZE) / SIZE);
            // Of 178 rows from row 20 on the mouth is about rows 144 to 166, the hair 22 to 72.
            let is_mouth = (23..26).contains(&row);
            let mouth = if label[0] && is_mouth { 0.3 } else { 0. };
            let hair = if label[1] && row < 9 && plane == 0 { 0.3 } else { 0. };
            *value = 0.4 + mouth + hair + rng.random_range(-0.15..0.15);
        }
        images.push(image);
        labels.push(label);
    }
    (images, labels)
}

fn config() -> FaceTracerConfig {
    FaceTracerConfig { pool: 60, faces: 80, image_size: SIZE, ..Default::default() }
}

#[test]
fn features_are_chosen_where_the_attribute_is() -> AnyResult {
    let (train, labels) = images(100, 1);
    let trained = FaceTracer::train(&train, &labels, config(), &|_| ())?;
    let first: Vec<Region> =
        trained.choices().filter_map(|choice| Some(choice.features.first()?.region)).collect();
    assert!([Region::Mouth, Region::UpperLip, Region::Chin, Region::Face].contains(&first[0]));
    assert_eq!(first[1], Region::Hair);
    let (test, expected) = images(60, 2);
    let answers = trained.answers(&test)?;
    let right = |attribute: usize| {
        let pairs = answers.iter().zip(&expected);
        pairs.filter(|(a, e)| (a[attribute] > 0.) == e[attribute]).count()
    };
    assert!(right(0) > 55 && right(1) > 55, "{} and {} of 60", right(0), right(1));
    // Nothing tells the third one.
    assert!((10..50).contains(&right(2)), "{} of 60", right(2));
    Ok(())
}

#[test]
fn a_file_gives_the_same_answers_and_so_do_more_threads() -> AnyResult {
    let (train, labels) = images(60, 3);
    let of = |threads: usize| -> AnyResult<FaceTracer> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(pool.install(|| FaceTracer::train(&train, &labels, config(), &|_| ()))?)
    };
    let one = of(1)?;
    let expected = one.answers(&train[..5])?;
    assert_eq!(of(3)?.answers(&train[..5])?, expected);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("face_tracer.safetensors");
    std::fs::write(&path, one.to_bytes()?)?;
    let read = FaceTracer::load(&path)?;
    assert_eq!(read.answers(&train[..5])?, expected);
    assert_eq!(read.parameters(), one.parameters());
    assert_eq!(read.answers(&[])?, Vec::<Vec<f64>>::new());
    // What cannot be is refused: images of 2 pixels.
    let mut bytes = one.to_bytes()?;
    let size = br#"image_size\":32"#;
    let at = bytes.windows(size.len()).position(|part| part == size).ok_or("the size")?;
    bytes[at..at + size.len()].copy_from_slice(br#"image_size\": 2"#);
    std::fs::write(&path, &bytes)?;
    let refused = FaceTracer::load(&path).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("image_size = 2 is not possible"), "{refused}");
    std::fs::write(&path, b"nothing")?;
    let refused = FaceTracer::load(&path).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("face_tracer.safetensors"), "{refused}");
    Ok(())
}

#[test]
fn steps_are_told_and_what_cannot_be_is_refused() -> AnyResult {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let (train, labels) = images(40, 4);
    let done = AtomicUsize::new(0);
    let add = |n: usize| {
        done.fetch_add(n, Ordering::Relaxed);
    };
    FaceTracer::train(&train, &labels, config(), &add)?;
    assert_eq!(done.into_inner(), FaceTracer::steps(3));
    let short = labels[..39].to_vec();
    let wide = FaceTracerConfig { image_size: 33, ..config() };
    assert!(FaceTracer::train(&train, &short, config(), &|_| ()).is_err());
    assert!(FaceTracer::train(&train, &labels, wide, &|_| ()).is_err());
    assert!(FaceTracer::train(&train[..5], &labels[..5], config(), &|_| ()).is_err());
    Ok(())
}
