//! Images that the person gave. They stay in memory, the last few of them, and are never written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, input};
use crate::hash::sha256;

/// Images that are kept.
const KEPT: usize = 16;
/// Bytes of all of them.
const KEPT_BYTES: usize = 64 << 20;

/// The files of images, the latest last.
#[derive(Default)]
pub(super) struct Uploads(Mutex<VecDeque<(String, Arc<[u8]>)>>);

impl Uploads {
    /// Keeps an image; its name.
    pub fn keep(&self, bytes: &[u8]) -> String {
        let hash = sha256(bytes);
        let id = format!("u{}", &hash[..16]);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, _)| *other != id);
        all.push_back((id.clone(), bytes.into()));
        let size = |all: &VecDeque<(String, Arc<[u8]>)>| {
            all.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
        };
        while all.len() > 1 && (all.len() > KEPT || size(&all) > KEPT_BYTES) {
            all.pop_front();
        }
        id
    }

    /// The file of an image.
    pub fn get(&self, id: &str) -> Result<Arc<[u8]>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|(other, _)| other == id);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| {
            input(format!("the image {id} is not kept any more; choose its file again"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_images_are_kept() -> Result<()> {
        let uploads = Uploads::default();
        let ids: Vec<String> = (0..20u8).map(|i| uploads.keep(&[i])).collect();
        assert!(uploads.get(&ids[3]).is_err());
        assert_eq!(uploads.get(&ids[4])?.as_ref(), [4]);
        assert_eq!(uploads.keep(&[4]), ids[4]);
        Ok(())
    }
}
