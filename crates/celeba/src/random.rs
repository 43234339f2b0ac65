//! Random number generators that are streams of one seed. A draw depends on its seed, purpose and
//! item, and never on how many other draws came before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. Two purposes never share numbers.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Order = 1,
    /// How a face is drawn.
    Face = 2,
    /// Which attributes a face has.
    Population = 3,
    /// Which images of a class are in which split.
    Split = 10,
}

/// The generator of a seed for one purpose and one item of it (an epoch, a face).
pub(crate) fn stream(seed: u64, purpose: Purpose, item: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose as u64) << 48 | item);
    rng
}
