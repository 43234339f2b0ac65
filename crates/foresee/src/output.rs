//! Results: text for the standard output, and files whose place is checked before the work.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use foresee_celeba::ATTRIBUTES;
use foresee_files::{check_writable, leads_to_stream, place_of, write_atomic};
use foresee_graph::Graph;
use foresee_model::ModelCard;
use foresee_report::{Format, frame, is_figure, is_report};

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
    /// A pruned model.
    PrunedModel,
    /// A compacted model, whose card says what that changed.
    CompactedModel,
    /// Probabilities of the 40 attributes of images.
    Predictions,
    /// A figure.
    Figure,
    /// An ONNX network that we wrote.
    Onnx,
    /// Text that begins so.
    Text(&'static str),
}

impl Kind {
    fn is_in(self, path: &Path) -> bool {
        match self {
            Self::PrunedModel => ModelCard::read(path)
                .is_ok_and(|card| card.kept_channels.is_some() && !is_measured(&card)),
            Self::CompactedModel => ModelCard::read(path).is_ok_and(|card| is_measured(&card)),
            Self::Predictions => are_predictions(path),
            Self::Figure => is_figure(path),
            Self::Onnx => Graph::is_own_onnx(path),
            Self::Text(start) => {
                let mut bytes = vec![];
                let read = std::fs::File::open(path)
                    .and_then(|file| file.take(start.len() as u64).read_to_end(&mut bytes));
                read.is_ok() && bytes == start.as_bytes()
            }
        }
    }
}

/// Whether a model is as `compact` writes it: pruning it later takes the measurement away.
fn is_measured(card: &ModelCard) -> bool {
    card.left_out.as_ref().is_some_and(|left_out| left_out.measured.is_some())
}

/// Whether a file has such a header, and numbers with six digits behind the point below it: labels
/// may have the same header.
fn are_predictions(path: &Path) -> bool {
    let rows = frame::read_csv(path);
    let header = ["image"].into_iter().chain(ATTRIBUTES);
    rows.is_ok_and(|rows| {
        let first = |name: &str| frame::values::<String>(&rows, name).ok()?.into_iter().next();
        let is_share = |text: String| text.split_once('.').is_some_and(|(_, d)| d.len() == 6);
        frame::column_names(&rows).into_iter().eq(header)
            && (rows.height() == 0 || first(ATTRIBUTES[0]).is_some_and(is_share))
    })
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
        let refuse = |reason: String| input(format!("{option} {}: {reason}", path.display()));
        if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(refuse("is a folder; name a file".into()));
        }
        let output = Self { path: path.into() };
        if output.is_standard() {
            return Ok(output);
        }
        let place = place_of(path).map_err(|e| refuse(e.to_string()))?;
        if leads_to_stream(path).map_err(|e| refuse(e.to_string()))? {
            return match is_open_for_reading_only(&place) {
                true => Err(refuse("is open for reading only".into())),
                false => Ok(output),
            };
        }
        if let Some(read) = reads.iter().find(|read| is_read(&place, read)) {
            return Err(refuse(format!(
                "this command reads it ({}); name another",
                read.display()
            )));
        }
        if let Some(folder) = run::owner(&place) {
            return Err(refuse(format!(
                "it belongs to {}, which would no longer be what the manifest says; name another",
                run::described(folder)
            )));
        }
        if let Ok(found) = std::fs::metadata(&place) {
            if found.permissions().readonly() {
                return Err(refuse("is read-only".into()));
            }
            if !args.overwrite && found.len() > 0 && !kind.is_in(&place) {
                return Err(refuse(
                    "exists and was not written by this command; name another, or give \
                     --overwrite"
                        .into(),
                ));
            }
        }
        check_writable(&place).map_err(|e| refuse(e.to_string()))?;
        Ok(output)
    }

    /// The same for a result that is written repeatedly, if it is asked for.
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
                "{option} {}: is written repeatedly; name a file",
                path.display()
            ))),
            false => Ok(Some(output)),
        }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bytes go where [`print()`] does.
    pub fn is_standard(&self) -> bool {
        let own = PathBuf::from(format!("/proc/{}/fd/1", std::process::id()));
        let is_own = |place: PathBuf| place == Path::new("/dev/stdout") || place == own;
        self.path == Path::new("-") || place_of(&self.path).is_ok_and(is_own)
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
    /// As for [`print()`].
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

/// Makes sure that a command may write `data/`, `tables/`, `figures/` and its page, whose title
/// begins so, into a folder.
///
/// # Errors
/// If a run is in it, or, unless it may be overwritten, a page that no such command wrote, or
/// results without a page where the command has not `begun`.
pub fn check_folder(
    option: &str,
    folder: &Path,
    title: &str,
    begun: bool,
    args: OverwriteArgs,
) -> Result<()> {
    let refuse = |reason: &str| input(format!("{option} {}: {reason}", folder.display()));
    if folder == Path::new("-") {
        return Err(refuse("several files are written; name a folder"));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(refuse("is a file; name a folder"));
    }
    let place = place_of(folder).map_err(|e| refuse(&e.to_string()))?;
    if let Some(run) = run::holder(&place) {
        return Err(input(format!(
            "{option} {}: {} is there; name another folder",
            folder.display(),
            run::described(run)
        )));
    }
    let page = folder.join(REPORT);
    let others = ["data", "tables", "figures"].into_iter().find(|name| folder.join(name).exists());
    if let Some(name) = others.filter(|_| !page.exists() && !begun && !args.overwrite) {
        return Err(refuse(&format!(
            "its {name} exists, and nothing says that this command wrote it; name another folder, \
             or give --overwrite"
        )));
    }
    match page.exists() && !args.overwrite && !is_report(&page, title) {
        true => Err(refuse(&format!(
            "its {REPORT} is not of this command; name another folder, or give --overwrite"
        ))),
        false => check_writable(&page).map_err(|e| refuse(&e.to_string())),
    }
}

/// Makes sure that a command may write figures of these names, in any format, into a folder of the
/// user's own.
///
/// # Errors
/// If it belongs to a run or cannot be written, or, unless it may be overwritten, if a file of such
/// a name is there that is no figure of ours.
pub fn check_figures(
    option: &str,
    folder: &Path,
    names: &[&str],
    args: OverwriteArgs,
) -> Result<()> {
    let refuse = |reason: &str| input(format!("{option} {}: {reason}", folder.display()));
    if folder == Path::new("-") || (folder.exists() && !folder.is_dir()) {
        return Err(refuse("several files are written; name a folder"));
    }
    let place = place_of(folder).map_err(|e| refuse(&e.to_string()))?;
    if let Some(run) = run::holder(&place) {
        return Err(refuse(&format!("it belongs to {}", run::described(run))));
    }
    for name in names {
        let path = |extension: &str| folder.join(format!("{name}.{extension}"));
        let (own, others): (Vec<PathBuf>, Vec<PathBuf>) = Format::ALL
            .map(|format| path(format.extension()))
            .into_iter()
            .filter(|path| path.exists())
            .partition(|path| is_figure(path));
        // A caption is text without a mark: it is ours if a figure of ours is beside it.
        let caption = Some(path("txt")).filter(|path| path.exists() && own.is_empty());
        if let Some(other) = others.into_iter().chain(caption).next().filter(|_| !args.overwrite) {
            return Err(refuse(&format!(
                "{} exists and was not written by this command; name another folder, or give \
                 --overwrite",
                other.display()
            )));
        }
    }
    check_writable(&folder.join("figure.txt")).map_err(|e| refuse(&e.to_string()))
}

/// Makes sure that a command may write a new folder, or replace one that only holds what it wrote
/// before.
///
/// # Errors
/// If the place is not free, and is not to be overwritten or `is_own` denies that the command wrote
/// it; if it is inside of, or around, what the command reads; if it belongs to a run; or if it
/// cannot be written.
pub fn check_new_folder(
    option: &str,
    folder: &Path,
    is_own: fn(&Path) -> bool,
    reads: &[&Path],
    args: OverwriteArgs,
) -> Result<()> {
    let refuse = |reason: &str| input(format!("{option} {}: {reason}", folder.display()));
    if folder == Path::new("-") || leads_to_stream(folder).map_err(|e| refuse(&e.to_string()))? {
        return Err(refuse("several files are written; name a folder"));
    }
    let place = place_of(folder).map_err(|e| refuse(&e.to_string()))?;
    if let Some(run) = run::holder(&place) {
        return Err(refuse(&format!("it belongs to {}; name another folder", run::described(run))));
    }
    let is_near = |read: &Path| {
        place_of(read).is_ok_and(|read| {
            read.starts_with(&place) || (read.is_dir() && place.starts_with(&read))
        })
    };
    if let Some(read) = reads.iter().find(|read| is_near(read)) {
        return Err(refuse(&format!(
            "this command reads {}; name a folder apart from it",
            read.display()
        )));
    }
    if place.exists() && !place.is_dir() {
        return Err(refuse("is a file; name a new folder"));
    }
    let is_empty = || std::fs::read_dir(&place).is_ok_and(|mut entries| entries.next().is_none());
    let is_free = !place.exists() || is_empty();
    match (is_free, is_own(&place), args.overwrite) {
        (true, ..) | (_, true, true) => check_writable(&place).map_err(|e| refuse(&e.to_string())),
        (_, true, false) => Err(refuse("is there; name a new folder, or give --overwrite")),
        (_, false, _) => {
            Err(refuse("holds files that this command did not write; name a new folder"))
        }
    }
}

/// Whether a place is a descriptor that another program has opened for reading only, where the
/// system tells it (Linux).
fn is_open_for_reading_only(place: &Path) -> bool {
    let own = PathBuf::from(format!("/proc/{}/fd", std::process::id()));
    let folders = [own.as_path(), Path::new("/dev/fd"), Path::new("/dev")];
    if !place.parent().is_some_and(|folder| folders.contains(&folder)) {
        return false;
    }
    let number = match place.file_name().and_then(|name| name.to_str()) {
        Some("stdin") => "0",
        Some("stderr") => "2",
        Some(name) => name,
        None => return false,
    };
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    // In octal; the last two bits are 0 for reading, 1 for writing, 2 for both.
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 == 0)
}

/// Whether a place is a file that is read, under any name, or would change what is read.
fn is_read(place: &Path, read: &Path) -> bool {
    let Ok(read) = place_of(read) else { return false };
    let is_same = |path: &Path| same_file::is_same_file(place, path).unwrap_or(false);
    if is_same(&read) {
        return true;
    }
    if !read.is_dir() {
        let is_archive = read.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"));
        return is_archive && is_beside_archive(place, &read);
    }
    let is_new = !place.exists();
    let makes_folder = is_new && place.parent().is_some_and(|folder| !folder.exists());
    (place.starts_with(&read) && (!is_new || makes_folder))
        || links_in(&read, 2).any(|link| is_same(&link))
}

/// Annotations are looked for beside an archive, and in folders beside its folder.
fn is_beside_archive(place: &Path, archive: &Path) -> bool {
    let near = archive.ancestors().skip(1).take(2).any(|folder| place.starts_with(folder));
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let is_annotation = name.starts_with("list_") || name.starts_with("identity_");
    near && is_annotation && place.exists()
}

/// The links in a folder and in the folders in it.
fn links_in(folder: &Path, depth: usize) -> Box<dyn Iterator<Item = PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    Box::new(entries.flat_map(move |entry| -> Box<dyn Iterator<Item = PathBuf>> {
        match entry.file_type() {
            Ok(kind) if kind.is_symlink() => Box::new(std::iter::once(entry.path())),
            Ok(kind) if kind.is_dir() && depth > 1 => links_in(&entry.path(), depth - 1),
            _ => Box::new(std::iter::empty()),
        }
    }))
}
