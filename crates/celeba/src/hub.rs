//! CelebA from the Hugging Face hub.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use hf_hub::repository::RepoTreeEntry;
use hf_hub::{HFClientBuilder, HFError};

use crate::dataset::{CelebA, SplitRule};
use crate::error::{Error, Result};

impl CelebA {
    /// Opens a dataset of the hub, such as `tpremoli/CelebA-attrs` or `flwrlabs/celeba`: its
    /// parquet shards are downloaded to the hub's cache (`HF_HOME`) unless they are there already:
    /// a broken download goes on with the shard at which it stopped. `HF_TOKEN` gives access to
    /// what is not public, and with `HF_HUB_OFFLINE=1` nothing is asked of the network. `progress`
    /// is told bytes done and bytes in all.
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

/// Downloads a dataset's shards; returns their folder in the hub's cache.
///
/// # Errors
/// [`Error::Hub`].
pub fn fetch(name: &str, progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Result<PathBuf> {
    let failed = |reason: String| Error::Hub { name: name.into(), reason };
    let Some((owner, dataset)) = name
        .split_once('/')
        .filter(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'))
    else {
        return Err(failed(
            "is no name of a dataset: expected OWNER/NAME, such as tpremoli/CelebA-attrs".into(),
        ));
    };
    let offline = std::env::var("HF_HUB_OFFLINE")
        .is_ok_and(|v| !["", "0", "false", "no", "off"].contains(&v.to_lowercase().as_str()));
    let told = |e: HFError| failed(advice(&e, offline));
    let client = HFClientBuilder::new().retry_max_attempts(2).build_sync().map_err(told)?;
    let repository = client.dataset(owner, dataset);
    if !offline {
        let mut shards = vec![];
        for entry in repository.list_tree().recursive(true).send().map_err(told)? {
            match entry {
                RepoTreeEntry::File { path, size, .. } if path.ends_with(".parquet") => {
                    shards.push((path, size))
                }
                _ => {}
            }
        }
        let bar = Arc::new(Bar {
            whole: AtomicU64::new(0),
            all: shards.iter().map(|(_, size)| size).sum(),
            progress: Box::new(progress),
        });
        // Shard by shard: what is whole is not fetched again.
        for (path, size) in shards {
            repository.download_file().filename(path).progress(bar.clone()).send().map_err(told)?;
            bar.whole.fetch_add(size, Relaxed);
            bar.tell(0);
        }
    }
    let folder = repository
        .snapshot_download()
        .allow_patterns(vec!["**/*.parquet".into()])
        .local_files_only(true)
        .send()
        .map_err(told)?;
    complete(&folder).map_err(failed)?;
    Ok(folder)
}

/// The hub does not tell a dataset that is not there from one that the asker may not see.
const REFUSED: &str = "is not on the hub, or you may not read it: check the name, and set HF_TOKEN to a token that may (a gated dataset's terms are accepted on its page)";

fn advice(error: &HFError, offline: bool) -> String {
    match error {
        HFError::LocalEntryNotFound { .. } => {
            "is not in the hub's cache, and HF_HUB_OFFLINE forbids to download it; unset it, or set HF_HOME to where it is".into()
        }
        HFError::RepoNotFound { .. } | HFError::AuthRequired { .. } | HFError::Forbidden { .. } => REFUSED.into(),
        HFError::Http { context } if [401, 403, 404].contains(&context.status.as_u16()) => REFUSED.into(),
        _ if offline => format!("{error}"),
        HFError::Request { .. } => {
            "cannot be reached: check the network (and HF_ENDPOINT, if it is set). Without network, download its parquet files elsewhere and give \
            their folder to --celeba, or set HF_HUB_OFFLINE=1 if they are in the cache"
                .into()
        }
        _ => format!(
            "{error}; without network, download its parquet files elsewhere and give their folder to --celeba, or set HF_HUB_OFFLINE=1 if they are in the cache"
        ),
    }
}

/// A broken download leaves some shards of a split.
fn complete(folder: &Path) -> std::result::Result<(), String> {
    let (mut there, mut of): (HashMap<String, usize>, HashMap<String, usize>) =
        (HashMap::new(), HashMap::new());
    let folders = std::iter::once(folder.to_path_buf())
        .chain(std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()));
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        // train-00000-of-00003.parquet
        let Some((head, count)) =
            name.strip_suffix(".parquet").and_then(|stem| stem.split_once("-of-"))
        else {
            continue;
        };
        let (Some((split, _)), Ok(count)) = (head.rsplit_once('-'), count.parse()) else {
            continue;
        };
        *there.entry(split.to_owned()).or_default() += 1;
        of.insert(split.to_owned(), count);
    }
    match of.iter().find(|(split, count)| there[*split] < **count) {
        Some((split, count)) => Err(format!(
            "only {} of {count} shards of {split} are in {}; fetch it again",
            there[split],
            folder.display()
        )),
        None => Ok(()),
    }
}

struct Bar {
    /// Bytes of the shards that are there.
    whole: AtomicU64,
    /// Bytes of all shards.
    all: u64,
    progress: Box<dyn Fn(u64, u64) + Send + Sync>,
}

impl Bar {
    fn tell(&self, of_next: u64) {
        (self.progress)(self.whole.load(Relaxed) + of_next, self.all);
    }
}

impl ProgressHandler for Bar {
    fn on_progress(&self, event: &ProgressEvent) {
        if let ProgressEvent::Download(DownloadEvent::Progress { files }) = event {
            self.tell(files.iter().map(|file| file.bytes_completed).sum());
        }
    }
}
