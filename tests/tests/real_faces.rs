//! What only real faces show. Skipped where there are none: set FORESEE_CELEBA to a folder as
//! CelebA is distributed.

use std::path::PathBuf;

use foresee_celeba::{BatchOptions, CelebA, Split, SplitRule};

fn celeba() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/celeba-8k"));
    let found = std::env::var_os("FORESEE_CELEBA")
        .map(PathBuf::from)
        .or_else(|| beside.exists().then_some(beside));
    if found.is_none() {
        eprintln!("skipped: no real faces here; set FORESEE_CELEBA to a CelebA folder");
    }
    found
}

#[test]
fn real_faces_are_read_batch_by_batch() -> Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = celeba() else { return Ok(()) };
    let data = CelebA::open(&folder, SplitRule::Official)?;
    assert!(!data.is_synthetic());
    let test = data.split(Split::Test)?;
    let frequencies = data.frequencies(&test);
    assert!((0.3..0.6).contains(&frequencies[20]), "about two in five are male");
    let options = BatchOptions { image_size: 32, batch_size: 64, ..Default::default() };
    let mut seen = 0;
    for batch in data.batches(&test[..256.min(test.len())], &options) {
        let batch = batch?;
        seen += batch.faces.len();
        for view in &batch.views {
            // The centred square of 178×218 pixels, or of images at half that size.
            let scale = view.width / 178.;
            assert!(scale == 1. || scale == 0.5, "{view:?}");
            let expected = (0., 20. * scale, 178. * scale);
            assert_eq!((view.left, view.top, view.height), expected);
        }
        let images = batch.images.flatten_all()?.to_vec1::<f32>()?;
        let mean = images.iter().sum::<f32>() / images.len() as f32;
        assert!((-0.5..0.3).contains(&mean), "photographs are neither black nor white: {mean}");
    }
    assert_eq!(seen, 256.min(test.len()));
    Ok(())
}
