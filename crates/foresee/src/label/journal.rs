//! Answers as they are given, one line of JSON each, never changed: what is written is on the disk
//! before the next face is shown.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, input};

/// What a person says about an attribute of a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The face has it.
    Yes,
    /// The face does not have it.
    No,
    /// It cannot be told.
    Skip,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// An answer.
    Given { image: String, attribute: String, answer: Answer },
    /// The last answer that stands is taken back.
    Undone,
}

/// The file, open to be written on.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or makes the file, and reads its lines. A last line that is not whole was being
    /// written when the program was killed; it is removed.
    pub fn open(path: &Path) -> Result<(Self, Vec<Line>)> {
        let failed = |e: std::io::Error| input(format!("{}: {e}", path.display()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            tracing::warn!("{}: a line that was not whole is removed", path.display());
            file.set_len(whole as u64).map_err(failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut lines = vec![];
        for (number, line) in text[..whole].lines().enumerate() {
            let line = serde_json::from_str(line)
                .map_err(|e| input(format!("{}, line {}: {e}", path.display(), number + 1)))?;
            lines.push(line);
        }
        Ok((Self { file, path: path.into() }, lines))
    }

    /// Writes a line, and waits until it is on the disk.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        let failed = |e: std::io::Error| anyhow::anyhow!("{}: {e}", self.path.display());
        let before = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a line, or one that nobody was told of, must not stay.
            let back = self.file.set_len(before).and_then(|()| self.file.seek(SeekFrom::End(0)));
            back.map_err(failed)?;
        }
        written.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_being_written_is_removed_and_the_rest_stays() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("answers.jsonl");
        let given =
            |answer| Line::Given { image: "a.jpg".into(), attribute: "Bald".into(), answer };
        let (mut journal, lines) = Journal::open(&path)?;
        assert!(lines.is_empty());
        journal.write(&given(Answer::Yes))?;
        journal.write(&Line::Undone)?;
        let whole = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{whole}{{\"given\":{{\"ima"))?;
        let (mut journal, lines) = Journal::open(&path)?;
        assert_eq!(lines, [given(Answer::Yes), Line::Undone]);
        journal.write(&given(Answer::Skip))?;
        assert_eq!(Journal::open(&path)?.1.len(), 3);
        std::fs::write(&path, "nothing\n")?;
        let refused = Journal::open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("answers.jsonl, line 1"), "{refused}");
        Ok(())
    }
}
