//! Numbers as the bytes that ranks send.

/// Each number's bytes, one behind the other.
pub(crate) fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn singles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// Numbers as bytes, one behind the other, to be sent.
///
/// ```
/// use foresee_ranks::{pack, unpack};
///
/// let numbers = [0.1, f64::NEG_INFINITY];
/// assert_eq!(unpack(&pack(&numbers)), numbers);
/// ```
pub fn pack(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers that [`pack`] made into bytes, with the same bits.
pub fn unpack(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}
