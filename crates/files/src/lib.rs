#![doc = include_str!("../README.md")]

use std::fs::{Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

/// How the name of a file that is still being written begins. What a killed process leaves under
/// such a name can be removed.
pub const UNFINISHED: &str = ".tmp";

/// Writes a file, wherever the path leads:
///
/// - A plain file is written beside its place, synced, and renamed: it is there whole or not at
///   all. One that is there keeps its permissions, and its owner where the system allows it. The
///   folder is made if needed.
/// - A symbolic link stays; the file that it names is written.
/// - Into a pipe, a device, or an open descriptor (`/dev/stdout`, `/dev/fd/63`) the bytes are
///   written as they come. It is no error if a pipe's reader has gone.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("results/accuracy.csv");
/// foresee_files::write_atomic(&path, b"accuracy\n0.5\n")?;
/// foresee_files::write_atomic(&path, b"accuracy\n0.887\n")?;
/// assert_eq!(std::fs::read(&path)?, b"accuracy\n0.887\n");
/// // Nothing else is left in the folder.
/// assert_eq!(std::fs::read_dir(folder.path().join("results"))?.count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the folder or the file cannot be written, or the path is a folder; the message names the
/// path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let place = place_of(path)?;
    match std::fs::metadata(&place) {
        Ok(found) if found.is_dir() => Err(at(path, &ErrorKind::IsADirectory.into())),
        Ok(found) if is_stream(&place, &found) => stream(&place, bytes).map_err(|e| at(path, &e)),
        Ok(found) => replace(&place, bytes, Some(&found)),
        Err(e) if e.kind() == ErrorKind::NotFound => replace(&place, bytes, None),
        Err(e) => Err(at(path, &e)),
    }
}

/// Where a path leads: without links, but for those of open descriptors (`/dev/stdout`), which lead
/// to no name. What does not exist yet follows the last folder that does.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let place = foresee_files::place_of(&folder.path().join("new/./file"))?;
/// assert_eq!(place, folder.path().canonicalize()?.join("new/file"));
/// assert!(foresee_files::place_of(&folder.path().join("new/../file")).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If links lead in a circle, or the path goes back by `..` from a folder that does not exist: it
/// would lead elsewhere once the folder is made.
pub fn place_of(path: &Path) -> Result<PathBuf> {
    let mut path = std::path::absolute(path).map_err(|e| at(path, &e))?;
    for _ in 0..MOST_LINKS {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return std::fs::canonicalize(&path).map_err(|e| at(&path, &e));
        };
        path = real_folder(folder)?.join(name);
        match std::fs::read_link(&path) {
            Ok(linked) if !is_descriptor(&path) => path = folder_of(&path).join(linked),
            _ => return Ok(path),
        }
    }
    Err(at(&path, &Error::other("its links lead in a circle")))
}

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// A folder without links; what does not exist of it is left as it is.
fn real_folder(folder: &Path) -> Result<PathBuf> {
    match (std::fs::canonicalize(folder), folder.parent(), folder.file_name()) {
        (Ok(real), _, _) => Ok(real),
        (Err(e), Some(above), Some(name)) if e.kind() == ErrorKind::NotFound => {
            Ok(real_folder(above)?.join(name))
        }
        (Err(e), Some(_), None) if e.kind() == ErrorKind::NotFound => Err(at(
            folder,
            &Error::new(
                ErrorKind::InvalidInput,
                "goes back by `..` from a folder that is not there",
            ),
        )),
        (Err(e), ..) => Err(at(folder, &e)),
    }
}

/// Whether a path leads to a pipe, a device, or an open descriptor, which no file can take the
/// place of.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use foresee_files::leads_to_stream;
///
/// assert!(!leads_to_stream(&folder.path().join("new"))?);
/// # #[cfg(unix)]
/// assert!(leads_to_stream("/dev/null".as_ref())?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If it is there and cannot be looked at.
pub fn leads_to_stream(path: &Path) -> Result<bool> {
    let place = place_of(path)?;
    match std::fs::metadata(&place) {
        Ok(found) => Ok(is_stream(&place, &found)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(at(path, &e)),
    }
}

fn is_stream(place: &Path, found: &Metadata) -> bool {
    !found.is_dir() && (!found.is_file() || is_descriptor(place))
}

/// Whether a place stands for a file that a process has open.
fn is_descriptor(place: &Path) -> bool {
    let names = ["/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"];
    names.iter().any(|name| place.starts_with(name))
}

fn stream(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut open = OpenOptions::new().append(true).open(path)?;
    match open.write_all(bytes).and_then(|()| open.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e),
        _ => Ok(()),
    }
}

/// Makes a path's folder and sees whether a file can be made there, before work whose result goes
/// there.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use foresee_files::{check_writable, write_atomic};
///
/// let file = folder.path().join("results/file");
/// check_writable(&file)?;
/// assert!(!file.exists() && folder.path().join("results").is_dir());
/// // A file cannot hold another one.
/// write_atomic(&file, b"")?;
/// assert!(check_writable(&file.join("below")).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If not; the message names the path.
pub fn check_writable(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| at(path, &e))?;
    staging_in(folder, None).map_err(|e| at(path, &reason(&e))).map(drop)
}

/// Writes a folder of files, each with its path in the folder: the folder is there whole or not at
/// all. It is written beside its place, synced, and renamed. What is there already, with all that
/// it holds, is replaced; a symbolic link stays, and what it names is replaced.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use foresee_files::write_folder;
///
/// let path = folder.path().join("model");
/// let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
/// write_folder(&path, &[file("card.md", "first"), file("weights/1", "0")])?;
/// assert_eq!(std::fs::read(path.join("weights/1"))?, b"0");
/// // The whole folder is replaced.
/// write_folder(&path, &[file("card.md", "second")])?;
/// assert_eq!(std::fs::read(path.join("card.md"))?, b"second");
/// assert!(!path.join("weights").exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If a file cannot be written, or the folder cannot take its place; the message names the path.
pub fn write_folder(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let place = place_of(path)?;
    let above = folder_of(&place);
    let failed = |e: Error| at(path, &reason(&e));
    std::fs::create_dir_all(above).map_err(failed)?;
    let staging = staging_folder(above).map_err(failed)?;
    for (name, bytes) in files {
        write_new(&staging.path().join(name), bytes).map_err(failed)?;
    }
    // The old folder, which goes with the one that it is moved into.
    let aside = staging_folder(above).map_err(failed)?;
    let old = aside.path().join("old");
    let replaces = place.exists();
    if replaces {
        std::fs::rename(&place, &old).map_err(failed)?;
    }
    if let Err(e) = std::fs::rename(staging.path(), &place) {
        if replaces {
            std::fs::rename(&old, &place).map_err(failed)?;
        }
        return Err(failed(e));
    }
    // Nothing is left to be removed there.
    let _ = staging.keep();
    sync_folder(above);
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(folder_of(path))?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new folder with the permissions that the process gives to new folders.
fn staging_folder(above: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(above)
}

/// So that a power failure does not take a new name back. Not every file system can.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _ = folder;
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, bytes: &[u8], before: Option<&Metadata>) -> Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| at(folder, &e))?;
    let failed = |e: Error| at(path, &reason(&e));
    let mut staging = staging_in(folder, before).map_err(failed)?;
    staging.as_file_mut().write_all(bytes).map_err(failed)?;
    staging.as_file().sync_all().map_err(failed)?;
    staging.persist(path).map_err(|e| failed(e.error))?;
    sync_folder(folder);
    Ok(())
}

/// A new file with the permissions and owner of the one that it replaces, or else with those that
/// the process gives to new files.
fn staging_in(folder: &Path, before: Option<&Metadata>) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let staging = builder.tempfile_in(folder)?;
    if let Some(before) = before {
        staging.as_file().set_permissions(before.permissions())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            // Only root can give a file away; one's own groups can be kept.
            if fchown(staging.as_file(), Some(before.uid()), Some(before.gid())).is_err() {
                let _ = fchown(staging.as_file(), None, Some(before.gid()));
            }
        }
    }
    Ok(staging)
}

/// The reason alone: tempfile adds the name of the temporary file, which says nothing.
fn reason(e: &Error) -> Error {
    e.raw_os_error().map_or_else(|| e.kind().into(), Error::from_raw_os_error)
}

/// The same error, naming the path.
fn at(path: &Path, e: &Error) -> Error {
    Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_beside_a_written_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("new/file");
        write_atomic(&path, b"first")?;
        write_atomic(&path, b"second")?;
        assert_eq!(std::fs::read(&path)?, b"second");
        assert_eq!(std::fs::read_dir(folder.path().join("new"))?.count(), 1);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_files_keep_their_permissions() -> Result<()> {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir()?;
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        let dangling = folder.path().join("dangling");
        write_atomic(&file, b"first")?;
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
        symlink("file", &link)?;
        symlink("below/new", &dangling)?;
        write_atomic(&link, b"second")?;
        write_atomic(&dangling, b"third")?;
        assert!(link.is_symlink() && dangling.is_symlink());
        assert_eq!(std::fs::read(&file)?, b"second");
        assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(folder.path().join("below/new"))?, b"third");
        symlink("circle", folder.path().join("circle"))?;
        assert!(write_atomic(&folder.path().join("circle"), b"").is_err());
        symlink("/dev/stdout", folder.path().join("out"))?;
        assert!(leads_to_stream(&folder.path().join("out"))?);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_written_into() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        if made.is_ok_and(|status| status.success()) {
            let reader = std::thread::spawn({
                let fifo = fifo.clone();
                move || std::fs::read(fifo)
            });
            write_atomic(&fifo, b"through")?;
            assert_eq!(reader.join().expect("no panic")?, b"through");
            assert!(leads_to_stream(&fifo)?);
        }
        write_atomic(Path::new("/dev/null"), b"nothing")?;
        assert!(leads_to_stream(Path::new("/dev/null"))?);
        assert!(!std::fs::metadata("/dev/null")?.is_file());
        if Path::new("/dev/full").exists() {
            assert!(write_atomic(Path::new("/dev/full"), b"no room").is_err());
        }
        Ok(())
    }

    #[test]
    fn a_folder_takes_the_place_of_another_as_a_whole() -> Result<()> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("above/folder");
        let named = |name: &str, text: &[u8]| (name.to_owned(), text.to_vec());
        write_folder(&path, &[named("a", b"1"), named("b/c", b"2")])?;
        assert_eq!(std::fs::read(path.join("b/c"))?, b"2");
        write_folder(&path, &[named("a", b"3")])?;
        assert_eq!(std::fs::read(path.join("a"))?, b"3");
        assert!(!path.join("b").exists());
        // One that cannot be written leaves the other as it was, and nothing beside it.
        assert!(write_folder(&path, &[named("a", b"4"), named("a", b"5")]).is_err());
        assert_eq!(std::fs::read(path.join("a"))?, b"3");
        assert_eq!(std::fs::read_dir(root.path().join("above"))?.count(), 1);
        Ok(())
    }

    #[test]
    fn an_error_names_the_path() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("file");
        write_atomic(&file, b"")?;
        let error = write_atomic(&file.join("below"), b"").expect_err("a file is no folder");
        assert!(error.to_string().contains("file"), "{error}");
        let error = check_writable(&file.join("below")).expect_err("a file is no folder");
        let message = error.to_string().replace(&folder.path().display().to_string(), "");
        assert!(message.contains("below") && !message.contains(UNFINISHED), "{message}");
        assert!(write_atomic(folder.path(), b"").is_err());
        let back = folder.path().join("none/../file");
        assert!(write_atomic(&back, b"").is_err() && !folder.path().join("none").exists());
        Ok(())
    }
}
