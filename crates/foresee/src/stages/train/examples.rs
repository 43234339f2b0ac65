//! The faces that support vector machines learn from.

use foresee_celeba::Batch;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::Result;

/// So many of the faces, which the seed decides.
pub(super) fn some_faces(train: &[usize], most: usize, seed: u64) -> Vec<usize> {
    let mut faces = train.to_vec();
    faces.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    faces.truncate(most);
    faces
}

/// All labels of each image of a batch.
pub(super) fn answers_of(batch: &Batch) -> Result<Vec<Vec<bool>>> {
    let rows = batch.labels.to_vec2::<f32>()?.into_iter();
    Ok(rows.map(|row| row.into_iter().map(|label| label > 0.5).collect()).collect())
}
