//! How a face is named.

use std::fmt;
use std::str::FromStr;

/// A face: one of the run's test split, or one that the person gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum FaceId {
    /// Its number among the run's faces.
    Test(usize),
    /// `u` and the beginning of its hash.
    Upload(String),
}

impl fmt::Display for FaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(number) => write!(f, "{number}"),
            Self::Upload(id) => f.write_str(id),
        }
    }
}

impl FromStr for FaceId {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let is_hash = |rest: &str| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit());
        match text.strip_prefix('u') {
            Some(rest) if is_hash(rest) => Ok(Self::Upload(text.into())),
            Some(_) => Err(()),
            None => text.parse().map(Self::Test).map_err(|_| ()),
        }
    }
}
