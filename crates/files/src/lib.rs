#![doc = include_str!("../README.md")]

use std::io::{Error, Result, Write};
use std::path::Path;

/// How the name of a file that is still being written begins. What a killed process leaves under
/// such a name can be removed.
pub const UNFINISHED: &str = ".tmp";

/// Writes a file beside its final place, syncs it, and renames it: it is there whole or not at all.
/// Makes the folder if needed. The file gets the permissions that the process gives to new files.
///
/// # Errors
/// If the folder or the file cannot be written; the message names the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| at(folder, &e))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut staging = builder.tempfile_in(folder).map_err(|e| at(folder, &e))?;
    staging.write_all(bytes).map_err(|e| at(path, &e))?;
    staging.as_file().sync_all().map_err(|e| at(path, &e))?;
    staging.persist(path).map_err(|e| at(path, &e.error))?;
    // So that a power failure does not take the new name back. Not every file system can.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
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

    #[test]
    fn an_error_names_the_path() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("file");
        write_atomic(&file, b"")?;
        let error = write_atomic(&file.join("below"), b"").expect_err("a file is no folder");
        assert!(error.to_string().contains("file"), "{error}");
        Ok(())
    }
}
