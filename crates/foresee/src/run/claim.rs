//! A claim: a file in a folder that says which process works there. It holds on file systems of
//! several hosts whose locks do not, because they have none or keep them on one host.
//!
//! A claim is made by a hard link, which fails if its name is there; where there are no hard links,
//! by the creation of a file. A thread touches it as long as its process lives. On one host the
//! process itself is asked for; on another, a claim that nobody touches is given up after a while.
//!
//! Two processes that take over at once must not remove each other's claims. So each links its own
//! *behind* the claim that was given up, under a name that contains that claim's token: one of
//! them succeeds. The last of the claims that follow each other counts.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, SystemTime};

use foresee_files::UNFINISHED;
use tempfile::NamedTempFile;

use super::holder::Holder;
use crate::error::{Busy, Result, input};
use crate::exit_status;
use crate::hash::sha256;

/// The first claim; the name of one behind another goes on with `-` and a token.
pub(super) const FILE: &str = ".claim";

/// When a process of another host counts as gone.
#[derive(Clone, Copy)]
struct Terms {
    /// How often a process touches its claim.
    beat: Duration,
    /// How old an untouched claim is when it is looked at more closely.
    old: Duration,
    /// How long it is then watched. A file server that was away makes all claims old at once, and
    /// those that live are touched soon after it is back.
    watched: Duration,
    /// What is done if another process has taken over, since this one was stopped for too long.
    lost: fn(&Path),
}

const TERMS: Terms = Terms {
    beat: Duration::from_secs(5),
    old: Duration::from_secs(60),
    watched: Duration::from_secs(15),
    lost: end_process,
};

/// Ends this process: two must not write in a folder.
fn end_process(folder: &Path) {
    tracing::error!(
        "another process has taken over {}, since this one was stopped for too long: it ends",
        folder.display()
    );
    std::process::exit(exit_status::BUSY.into());
}

/// The right to work in a folder, as long as it is kept.
pub(super) struct Claim {
    path: PathBuf,
    token: String,
    // The thread ends when this is dropped.
    beats: Option<(Sender<()>, JoinHandle<()>)>,
}

/// A claim that was read.
struct Found {
    path: PathBuf,
    /// A hash of its content, which has a random part.
    token: String,
    /// None if its file is damaged, or was not written to its end.
    holder: Option<Holder>,
    touched: SystemTime,
}

impl Claim {
    /// Claims a folder that is there.
    pub fn take(folder: &Path) -> Result<Self> {
        Self::take_as(folder, &Holder::this_process(), TERMS)
    }

    fn take_as(folder: &Path, holder: &Holder, terms: Terms) -> Result<Self> {
        let failed = |e: std::io::Error| {
            input(format!("{}: {e}; the folder must be writable", folder.display()))
        };
        let content = holder.to_text();
        let token = token(content.as_bytes());
        loop {
            let draft = draft(folder, &content).map_err(failed)?;
            let last = last(folder).map_err(failed)?;
            if let Some(found) = &last
                && !found.is_given_up(holder, draft.written, terms).map_err(failed)?
            {
                return Err(found.busy(folder));
            }
            let path = next(folder, last.as_ref());
            if !draft.link(&path, &content).map_err(failed)? {
                sleep(Duration::from_millis(20));
                continue;
            }
            // The claims before may have been cleared away since they were read.
            if self::last(folder).map_err(failed)?.is_some_and(|found| found.token == token) {
                draft.settle(folder, &path, &token).map_err(failed)?;
                return Self::keep(folder, token, terms).map_err(failed);
            }
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Keeps a claim that was made alive.
    fn keep(folder: &Path, token: String, terms: Terms) -> std::io::Result<Self> {
        let (sender, ended) = channel::<()>();
        let (own, touched) = (folder.to_owned(), token.clone());
        let beats = std::thread::Builder::new().name("claim".into()).spawn(move || {
            while ended.recv_timeout(terms.beat) == Err(RecvTimeoutError::Timeout) {
                if !touch(&own, &touched) {
                    return (terms.lost)(&own);
                }
            }
        })?;
        Ok(Self { path: folder.join(FILE), token, beats: Some((sender, beats)) })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((sender, beats)) = self.beats.take() {
            drop(sender);
            let _ = beats.join();
        }
        if matches!(Found::read(&self.path), Ok(Some(found)) if found.token == self.token) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Who works in a folder, in words, as far as claims say.
pub(crate) fn working_process(folder: &Path) -> Option<String> {
    let found = last(folder).ok().flatten()?;
    let now = SystemTime::now();
    let lives = found.lives(&Holder::this_process()).unwrap_or(found.age(now) < TERMS.old);
    lives.then(|| found.title())
}

impl Found {
    /// Reads a claim, if it is there. It is opened anew each time, so that a network file system
    /// asks its server.
    fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut content = vec![];
        file.read_to_end(&mut content)?;
        Ok(Some(Self {
            path: path.into(),
            token: token(&content),
            holder: Holder::from_text(&content),
            touched: file.metadata()?.modified()?,
        }))
    }

    fn title(&self) -> String {
        self.holder.as_ref().map_or("another process".into(), Holder::title)
    }

    fn busy(&self, folder: &Path) -> anyhow::Error {
        Busy { holder: self.title(), folder: folder.into() }.into()
    }

    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.touched).unwrap_or_default()
    }

    /// Whether its process lives, if this host can tell.
    fn lives(&self, own: &Holder) -> Option<bool> {
        self.holder.as_ref()?.lives(own)
    }

    /// Whether nobody holds it any more. `now` is by the clock of the file server.
    fn is_given_up(&self, own: &Holder, now: SystemTime, terms: Terms) -> std::io::Result<bool> {
        if let Some(lives) = self.lives(own) {
            return Ok(!lives);
        }
        let age = self.age(now);
        if age < terms.old {
            return Ok(false);
        }
        tracing::info!(
            "{} has given no sign of life for {} s: waiting {} s for one",
            self.title(),
            age.as_secs(),
            terms.watched.as_secs()
        );
        sleep(terms.watched);
        let again = Self::read(&self.path)?;
        Ok(again.is_none_or(|found| found.token == self.token && found.touched == self.touched))
    }
}

/// The last of a folder's claims.
fn last(folder: &Path) -> std::io::Result<Option<Found>> {
    let mut last = None;
    while let Some(found) = Found::read(&next(folder, last.as_ref()))? {
        last = Some(found);
    }
    Ok(last)
}

/// The place behind a claim, or the first.
fn next(folder: &Path, last: Option<&Found>) -> PathBuf {
    match last {
        None => folder.join(FILE),
        Some(found) => behind(folder, &found.token),
    }
}

fn behind(folder: &Path, token: &str) -> PathBuf {
    folder.join(format!("{FILE}-{token}"))
}

fn token(content: &[u8]) -> String {
    sha256(content)[..16].into()
}

/// Touches one's own claim. Says no if it is one's own no more.
fn touch(folder: &Path, token: &str) -> bool {
    let path = folder.join(FILE);
    match Found::read(&path) {
        Ok(Some(found)) if found.token == token && !behind(folder, token).exists() => {
            if let Err(e) = set_touched(&path) {
                tracing::debug!("{}: {e}", path.display());
            }
            true
        }
        Ok(None) => !folder.exists(),
        Ok(Some(_)) => false,
        // The file server is away.
        Err(_) => true,
    }
}

/// Sets a file's time to now, by the clock of its file server.
#[cfg(unix)]
fn set_touched(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
    let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: at(UTIME_OMIT), last_modification: at(UTIME_NOW) };
    Ok(futimens(File::open(path)?, &times)?)
}

#[cfg(not(unix))]
fn set_touched(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_modified(SystemTime::now())
}

/// A claim that is not made yet. Its file goes when it is dropped.
struct Draft {
    file: NamedTempFile,
    written: SystemTime,
}

fn draft(folder: &Path, content: &str) -> std::io::Result<Draft> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Other users of a shared folder read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content.as_bytes())?;
    // Other hosts see what has come to the server.
    file.as_file().sync_all()?;
    let written = file.as_file().metadata()?.modified()?;
    Ok(Draft { file, written })
}

impl Draft {
    /// Makes the claim, unless another one is there.
    fn link(&self, path: &Path, content: &str) -> std::io::Result<bool> {
        match std::fs::hard_link(self.file.path(), path) {
            Ok(()) => Ok(true),
            // The server's answer may have been lost, and the question repeated.
            Err(_) if self.is_linked() => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Whoever has just taken the folder has removed what is unfinished.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(_) => create(path, content),
        }
    }

    #[cfg(unix)]
    fn is_linked(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.file.as_file().metadata().is_ok_and(|file| file.nlink() == 2)
    }

    #[cfg(not(unix))]
    fn is_linked(&self) -> bool {
        false
    }

    /// Puts one's claim in the first place, and clears the others away.
    fn settle(self, folder: &Path, path: &Path, token: &str) -> std::io::Result<()> {
        let first = folder.join(FILE);
        if path != first {
            self.file.persist(&first)?;
        }
        let behind = format!("{FILE}-");
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // What is behind one's own is of a process that has taken over from this one.
            if name.strip_prefix(&behind).is_some_and(|of| of != token) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Makes a claim where there are no hard links.
fn create(path: &Path, content: &str) -> std::io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
        file => file?,
    };
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Terms that take no minutes.
    const SHORT: Terms = Terms {
        beat: Duration::from_millis(50),
        old: Duration::from_secs(1),
        watched: Duration::from_millis(400),
        lost: |_| {},
    };

    fn elsewhere(random: u64) -> Holder {
        Holder::of_test("elsewhere", 7, random)
    }

    /// Leaves the claim of a process of another host, which was touched some seconds ago.
    fn leave(folder: &Path, seconds: u64) -> std::io::Result<PathBuf> {
        let path = folder.join(FILE);
        std::fs::write(&path, elsewhere(1).to_text())?;
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(&path)?.set_modified(then)?;
        Ok(path)
    }

    fn refusal(taken: Result<Claim>) -> String {
        taken.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_folder_is_claimed_once_and_nothing_stays() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let claim = Claim::take(folder.path())?;
        let own = format!("process {}", std::process::id());
        assert!(refusal(Claim::take(folder.path())).starts_with(&own));
        assert!(working_process(folder.path()).is_some_and(|title| title.starts_with(&own)));
        drop(claim);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        drop(Claim::take(folder.path())?);
        assert_eq!(working_process(folder.path()), None);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn other_users_may_read_a_claim_as_any_file() -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let _claim = Claim::take(folder.path())?;
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "")?;
        let [claim, plain] = [folder.path().join(FILE), plain].map(std::fs::metadata);
        assert_eq!(claim?.permissions().mode(), plain?.permissions().mode());
        Ok(())
    }

    #[test]
    fn a_process_of_this_host_that_is_gone_holds_nothing() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new("true").spawn()?;
        let gone = Holder::this_process().with_process(child.id());
        // It has ended, and waits to be waited for.
        sleep(200 * MILLISECOND);
        std::fs::write(folder.path().join(FILE), gone.to_text())?;
        drop(Claim::take(folder.path())?);
        child.wait()?;
        std::fs::write(folder.path().join(FILE), gone.to_text())?;
        drop(Claim::take(folder.path())?);
        // A later process has its number.
        let later = gone.with_process(std::process::id()).started_before();
        std::fs::write(folder.path().join(FILE), later.to_text())?;
        let claim = Claim::take(folder.path())?;
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1, "others are cleared away");
        drop(claim);
        Ok(())
    }

    #[test]
    fn a_process_of_another_host_is_given_up_when_it_gives_no_sign() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let take = || Claim::take_as(folder.path(), &Holder::this_process(), SHORT);
        leave(folder.path(), 0)?;
        assert!(refusal(take()).starts_with("process 7 on elsewhere is working in"));
        // A file server that was away made it old; it lives, and touches it.
        let path = leave(folder.path(), 100)?;
        let alive = std::thread::spawn(move || {
            sleep(100 * MILLISECOND);
            set_touched(&path)
        });
        assert!(refusal(take()).starts_with("process 7 on elsewhere"));
        alive.join().expect("no panic")?;
        leave(folder.path(), 100)?;
        let claim = take()?;
        assert_eq!(claim.token, last(folder.path())?.map(|found| found.token).unwrap_or_default());
        // One that was written by half is given up likewise.
        std::fs::write(folder.path().join(FILE), "{")?;
        assert!(refusal(take()).starts_with("another process is working in"));
        Ok(())
    }

    #[test]
    fn who_was_stopped_for_too_long_learns_that_it_has_lost() -> Result<()> {
        static HAS_LOST: AtomicBool = AtomicBool::new(false);
        let folder = tempfile::tempdir()?;
        let terms = Terms { lost: |_| HAS_LOST.store(true, Ordering::Relaxed), ..SHORT };
        let first = Claim::take_as(folder.path(), &elsewhere(2), terms)?;
        sleep(4 * SHORT.beat);
        assert!(!HAS_LOST.load(Ordering::Relaxed));
        let other = Found::read(&leave(folder.path(), 0)?)?.map(|found| found.token);
        sleep(4 * SHORT.beat);
        assert!(HAS_LOST.load(Ordering::Relaxed));
        drop(first);
        let left = last(folder.path())?.map(|found| found.token);
        assert_eq!(left, other, "the claim of the other stays");
        Ok(())
    }

    /// Where `worker` is to work; it is no test of its own.
    const FOLDER: &str = "FORESEE_TEST_OF_CLAIMS";

    /// Works in a folder again and again, in which nobody else may be, and dies there in the end.
    #[test]
    fn worker() -> Result<()> {
        let Some(folder) = std::env::var_os(FOLDER) else { return Ok(()) };
        let (folder, own) = (PathBuf::from(folder), std::process::id().to_string());
        let mut rounds = 0;
        while rounds < 25 {
            let claim = match Claim::take(&folder) {
                Err(e) if e.is::<Busy>() => {
                    sleep(MILLISECOND);
                    continue;
                }
                claim => claim?,
            };
            std::fs::write(folder.join("inside"), &own)?;
            sleep(2 * MILLISECOND);
            let found = std::fs::read_to_string(folder.join("inside"))?;
            assert_eq!(found, own, "two are inside");
            rounds += 1;
            if rounds == 25 {
                std::process::exit(0);
            }
            drop(claim);
        }
        Ok(())
    }

    /// Starts a worker, which sees the folder through a mount of its own.
    fn start_worker(folder: &Path, mount: &Path) -> std::io::Result<Child> {
        std::fs::create_dir_all(mount)?;
        let script = "mount --bind \"$1\" \"$2\" && exec \"$3\" --exact run::claim::tests::worker";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(folder).arg(mount);
        command.arg(std::env::current_exe()?).env(FOLDER, mount);
        command.stdout(Stdio::null()).spawn()
    }

    #[test]
    fn of_many_processes_on_several_mounts_one_at_a_time_works() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let probe = "mount --bind \"$1\" \"$1\"";
        let mut can_mount = Command::new("unshare");
        can_mount.args(["-m", "sh", "-c", probe, "sh"]).arg(folder.path());
        if !can_mount.status().is_ok_and(|status| status.success()) {
            println!("skipped: this process may not mount");
            return Ok(());
        }
        let run = folder.path().join("run");
        std::fs::create_dir(&run)?;
        // Each dies while it works, and leaves a claim that several want to take over at once.
        let mount = |i: usize| folder.path().join(format!("mount{i}"));
        let workers: Vec<Child> =
            (0..8).map(|i| start_worker(&run, &mount(i))).collect::<std::io::Result<_>>()?;
        for mut worker in workers {
            assert!(worker.wait()?.success());
        }
        drop(Claim::take(&run)?);
        assert_eq!(std::fs::read_dir(&run)?.count(), 1, "nothing but what they wrote is left");
        Ok(())
    }
}
