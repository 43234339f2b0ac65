//! Results: text for the standard output, and files whose place is checked before the work.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use foresee_files::{check_writable, leads_to_stream, write_atomic};
use foresee_model::ModelCard;

use crate::error::{Result, input};
use crate::run::{self, REPORT};

/// Writes text. It is no error if the reader has gone (`| head`).
///
/// # Errors
/// If the text cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// Prints a line to the standard error, if that can be written.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Whether files of another kind may be replaced.
#[derive(Args, Clone, Copy, Default)]
pub struct OverwriteArgs {
    /// Replace what is there, even if this command did not write it. Files that the command reads,
    /// and those of a run, are never replaced.
    #[arg(long)]
    pub overwrite: bool,
}

/// What a command writes into a file, and may replace there.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A model file.
    Model,
    /// Text that begins so.
    Text(&'static str),
}

impl Kind {
    fn is_in(self, path: &Path) -> bool {
        match self {
            Self::Model => ModelCard::read(path).is_ok(),
            Self::Text(start) => {
                let mut bytes = vec![];
                let read = std::fs::File::open(path)
                    .and_then(|file| file.take(start.len() as u64).read_to_end(&mut bytes));
                read.is_ok() && bytes == start.as_bytes()
            }
        }
    }
}

/// Where one result goes: a file, a pipe or device, or `-`, the standard output.
pub struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    /// Looks at the place before the work. `option` is what the user calls it; `reads` are the
    /// files and folders that the command reads.
    ///
    /// # Errors
    /// If it is a folder or cannot be written; if it is a file that the command reads, one that
    /// belongs to a run, or, unless it may be overwritten, one of another kind.
    pub fn new(
        option: &str,
        path: &Path,
        kind: Kind,
        reads: &[&Path],
        args: OverwriteArgs,
    ) -> Result<Self> {
        let output = Self { path: path.into() };
        let refuse = |reason: String| input(format!("{option} {}: {reason}", path.display()));
        if path.is_dir() {
            return Err(refuse("is a folder; name a file".into()));
        }
        if output.is_standard() || leads_to_stream(path).map_err(|e| refuse(e.to_string()))? {
            return Ok(output);
        }
        let place = resolved(path);
        if let Some(read) = reads.iter().find(|read| is_read(&place, read)) {
            return Err(refuse(format!(
                "this command reads it ({}); name another",
                read.display()
            )));
        }
        if let Some(folder) = run::owner(&place) {
            return Err(refuse(format!(
                "it belongs to the run in {}, which would no longer be what its manifest says; \
                 name another",
                folder.display()
            )));
        }
        if let Ok(found) = std::fs::metadata(&place) {
            if found.permissions().readonly() {
                return Err(refuse("is read-only".into()));
            }
            if !args.overwrite && found.len() > 0 && !kind.is_in(&place) {
                return Err(refuse(
                    "is there, and this command did not write it; name another, or give \
                     --overwrite"
                        .into(),
                ));
            }
        }
        check_writable(&place).map_err(|e| refuse(e.to_string()))?;
        Ok(output)
    }

    /// The same for a result that is written again and again, if it is asked for.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and if it is no file.
    pub fn again(
        option: &str,
        path: Option<&Path>,
        kind: Kind,
        args: OverwriteArgs,
    ) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let output = Self::new(option, path, kind, &[], args)?;
        match output.is_standard() || leads_to_stream(path)? {
            true => Err(input(format!(
                "{option} {}: is written again and again; name a file",
                path.display()
            ))),
            false => Ok(Some(output)),
        }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bytes go where [`print`] does.
    pub fn is_standard(&self) -> bool {
        ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
            .iter()
            .any(|name| self.path == Path::new(name))
    }

    /// Writes the result.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        match self.is_standard() {
            true => print_bytes(bytes),
            false => Ok(write_atomic(&self.path, bytes)?),
        }
    }

    /// Prints text beside the result: to the standard error if the result has the standard output.
    ///
    /// # Errors
    /// As for [`print`].
    pub fn print_beside(&self, text: &str) -> Result<()> {
        match self.is_standard() {
            true => {
                say(text.trim_end());
                Ok(())
            }
            false => print(text),
        }
    }
}

/// Makes sure that a command may write `data/`, `tables/`, `figures/` and its page into a folder.
///
/// # Errors
/// If a run is in it, or, unless they may be overwritten, files that no such command wrote.
pub fn check_folder(option: &str, folder: &Path, args: OverwriteArgs) -> Result<()> {
    let refuse = |reason: &str| input(format!("{option} {}: {reason}", folder.display()));
    if folder.exists() && !folder.is_dir() {
        return Err(refuse("is a file; name a folder"));
    }
    let place = resolved(folder);
    if let Some(run) = run::holder(&place) {
        return Err(input(format!(
            "{option} {}: the run in {} is there; name another folder",
            folder.display(),
            run.display()
        )));
    }
    let is_there = |name: &&str| folder.join(name).exists();
    let found = [REPORT, "data", "tables", "figures"].iter().find(|name| is_there(name));
    match found {
        Some(name) if !args.overwrite && !foresee_report::is_report(&folder.join(REPORT)) => {
            Err(refuse(&format!(
                "its {name} is not of this program; name another folder, or give --overwrite"
            )))
        }
        _ => check_writable(&folder.join(REPORT)).map_err(|e| refuse(&e.to_string())),
    }
}

/// The path without links, of the last folder that exists.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    let linked = std::fs::read_link(path).ok();
    let (Some(name), folder) = (path.file_name(), path.parent()) else { return path.into() };
    let folder = folder.filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match linked {
        Some(linked) => resolved(&folder.join(linked)),
        None => resolved(folder).join(name),
    }
}

/// Whether a place is a file that is read, under any name, or one in a folder that is read.
fn is_read(place: &Path, read: &Path) -> bool {
    if !place.exists() {
        return false;
    }
    let read = resolved(read);
    same_file::is_same_file(place, &read).unwrap_or(false)
        || (read.is_dir() && place.starts_with(read))
}
