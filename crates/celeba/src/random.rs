//! Every random draw comes from a stream of one seed, so that no draw depends on how many others
//! were made before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for: two purposes never share numbers.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Order = 1,
    Face = 2,
    Population = 3,
}

/// The generator of a seed for one purpose and one item of it (an epoch, a face).
pub(crate) fn stream(seed: u64, purpose: Purpose, item: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose as u64) << 48 | item);
    rng
}
