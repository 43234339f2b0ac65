//! CelebA from the Hugging Face hub.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use hf_hub::repository::RepoTreeEntry;
use hf_hub::{HFClientBuilder, HFError};

use crate::dataset::CelebA;
use crate::error::{Error, Result};
use crate::split::SplitRule;

impl CelebA {
    /// Opens a dataset of the hub, such as `tpremoli/CelebA-attrs` or `flwrlabs/celeba`. Its
    /// parquet shards are downloaded to the hub's cache (`HF_HOME`) unless they are there already;
    /// an interrupted download resumes with the shard at which it stopped. `HF_TOKEN` gives access
    /// to datasets that are not public, and `HF_HUB_OFFLINE=1` forbids to use the network.
    /// `progress` receives the bytes that are done and the bytes in all.
    ///
    /// # Errors
    /// [`Error::Hub`] if it cannot be downloaded, else as [`open`](Self::open).
    pub fn from_hub(
        name: &str,
        rule: SplitRule,
        progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::open(fetch(name, progress)?, rule)
    }
}

/// Downloads a dataset's shards as [`CelebA::from_hub`] does. Returns their folder in the hub's
/// cache.
///
/// # Errors
/// [`Error::Hub`] if it cannot be downloaded.
pub fn fetch(name: &str, progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Result<PathBuf> {
    let error = |reason: String| Error::Hub { name: name.into(), reason };
    let Some((owner, dataset)) = name
        .split_once('/')
        .filter(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'))
    else {
        return Err(error(
            "is not the name of a dataset: expected OWNER/NAME, such as tpremoli/CelebA-attrs"
                .into(),
        ));
    };
    let offline = is_offline();
    let hub_error = |e: HFError| error(explain(&e, offline));
    let client = HFClientBuilder::new().retry_max_attempts(2).build_sync().map_err(hub_error)?;
    let repository = client.dataset(owner, dataset);
    if !offline {
        let mut shards = vec![];
        for entry in repository.list_tree().recursive(true).send().map_err(hub_error)? {
            match entry {
                RepoTreeEntry::File { path, size, .. } if path.ends_with(".parquet") => {
                    shards.push((path, size))
                }
                _ => {}
            }
        }
        let tracker = Arc::new(ByteTracker {
            done: AtomicU64::new(0),
            total: shards.iter().map(|(_, size)| size).sum(),
            progress: Box::new(progress),
        });
        // Shard by shard, so that complete ones are not downloaded again.
        for (path, size) in shards {
            let download = repository.download_file().filename(path).progress(tracker.clone());
            download.send().map_err(hub_error)?;
            tracker.done.fetch_add(size, Relaxed);
            tracker.report(0);
        }
    }
    let folder = repository
        .snapshot_download()
        .allow_patterns(vec!["**/*.parquet".into()])
        .local_files_only(true)
        .send()
        .map_err(hub_error)?;
    check_complete(&folder).map_err(error)?;
    Ok(folder)
}

/// Whether `HF_HUB_OFFLINE` forbids to use the network.
fn is_offline() -> bool {
    std::env::var("HF_HUB_OFFLINE")
        .is_ok_and(|v| !["", "0", "false", "no", "off"].contains(&v.to_lowercase().as_str()))
}

/// The hub does not tell a dataset that does not exist from one that the user may not read.
const NOT_READABLE: &str = "is not on the hub, or you may not read it: check the name, and set \
    HF_TOKEN to a token that may (a gated dataset's terms are accepted on its page)";

const WITHOUT_NETWORK: &str = "download its parquet files elsewhere and give their folder to \
    --celeba, or set HF_HUB_OFFLINE=1 if they are in the cache";

fn explain(error: &HFError, offline: bool) -> String {
    match error {
        HFError::LocalEntryNotFound { .. } => "is not in the hub's cache, and HF_HUB_OFFLINE \
            forbids to download it; unset it, or set HF_HOME to where it is"
            .into(),
        HFError::RepoNotFound { .. } | HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
            NOT_READABLE.into()
        }
        HFError::Http { context } if [401, 403, 404].contains(&context.status.as_u16()) => {
            NOT_READABLE.into()
        }
        _ if offline => format!("{error}"),
        HFError::Request { .. } => format!(
            "cannot be reached: check the network (and HF_ENDPOINT, if it is set). Without \
             network, {WITHOUT_NETWORK}"
        ),
        _ => format!("{error}; without network, {WITHOUT_NETWORK}"),
    }
}

/// Makes sure that no shard of a split is missing, as after an interrupted download. Shards have
/// names such as `train-00000-of-00003.parquet`.
fn check_complete(folder: &Path) -> std::result::Result<(), String> {
    let mut found: HashMap<String, usize> = HashMap::new();
    let mut expected: HashMap<String, usize> = HashMap::new();
    let folders = std::iter::once(folder.to_path_buf())
        .chain(std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()));
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((head, count)) =
            name.strip_suffix(".parquet").and_then(|stem| stem.split_once("-of-"))
        else {
            continue;
        };
        let (Some((split, _)), Ok(count)) = (head.rsplit_once('-'), count.parse()) else {
            continue;
        };
        *found.entry(split.to_owned()).or_default() += 1;
        expected.insert(split.to_owned(), count);
    }
    match expected.iter().find(|(split, count)| found[*split] < **count) {
        Some((split, count)) => Err(format!(
            "only {} of {count} shards of {split} are in {}; fetch it again",
            found[split],
            folder.display()
        )),
        None => Ok(()),
    }
}

/// Adds up the progress of one shard after the other.
struct ByteTracker {
    /// Bytes of the shards that are complete.
    done: AtomicU64,
    /// Bytes of all shards.
    total: u64,
    progress: Box<dyn Fn(u64, u64) + Send + Sync>,
}

impl ByteTracker {
    /// Reports the complete shards and the bytes of the current one.
    fn report(&self, current: u64) {
        (self.progress)(self.done.load(Relaxed) + current, self.total);
    }
}

impl ProgressHandler for ByteTracker {
    fn on_progress(&self, event: &ProgressEvent) {
        if let ProgressEvent::Download(DownloadEvent::Progress { files }) = event {
            self.report(files.iter().map(|file| file.bytes_completed).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_shard_is_found() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::write(data.join("train-00000-of-00002.parquet"), "")?;
        std::fs::write(data.join("README.md"), "")?;
        let error = check_complete(folder.path()).unwrap_err();
        assert!(error.contains("only 1 of 2 shards of train are in"), "{error}");
        std::fs::write(data.join("train-00001-of-00002.parquet"), "")?;
        assert_eq!(check_complete(folder.path()), Ok(()));
        Ok(())
    }
}
