//! The page of a command: its figures and tables, which are also files of their own.

use std::path::Path;

use anyhow::Context;
use foresee_report::{About, Figure, Report, Section, Source};
use serde::Serialize;

use super::folder::{Folder, Part, PartFiles};
use super::task::Task;
use crate::error::Result;
use crate::program::command_line;

/// What a page is, whatever it shows.
pub(super) struct Page<'a> {
    /// Its file.
    pub file: &'static str,
    /// Its version, which grows with every change of what stands on it.
    pub format: u32,
    /// How its title begins.
    pub title: &'static str,
    /// The parts of the folder that it shows.
    pub of: &'a [String],
    /// The images that its results are of.
    pub images: usize,
}

/// What a page shows.
pub(super) struct Content {
    /// The headline numbers: name, value.
    pub summary: Vec<(String, String)>,
    /// The parts.
    pub sections: Vec<Section>,
}

/// What a page is made from: title, source, names of outputs, and for each part its inputs and
/// its files.
#[derive(Serialize)]
struct MadeFrom<'a> {
    title: &'static str,
    source: String,
    classes_sha256: String,
    parts: Vec<(&'a String, &'a str, Vec<&'a String>)>,
}

impl Page<'_> {
    /// Writes the page, its figures (SVG, PNG, PDF) and its tables (CSV, Markdown, LaTeX), unless
    /// they are there. `content` is given the folder, and what stands on figures.
    ///
    /// # Errors
    /// If a part is not done, or a file cannot be written.
    pub fn write(
        &self,
        task: &Task,
        folder: &mut Folder,
        content: impl FnOnce(&Path, &Source) -> Result<Content>,
    ) -> Result<()> {
        let source = task.source(self.images);
        let stages = folder.manifest.stages.clone();
        let part = |name| {
            let record = &stages.get(name).with_context(|| format!("{name} is not done"))?.record;
            Ok((name, record.inputs_sha256.as_str(), record.outputs.values().collect()))
        };
        let made_from = MadeFrom {
            title: self.title,
            source: source.data.clone(),
            classes_sha256: task.classes.sha256(),
            parts: self.of.iter().map(part).collect::<Result<_>>()?,
        };
        let part = Part { name: self.file, format: self.format, made_from };
        folder.part(&part, |files| {
            let content = content(files.folder(), &source)?;
            self.save(source, content, files)
        })?;
        tracing::info!("open {}", folder.path(self.file).display());
        Ok(())
    }

    fn save(&self, source: Source, content: Content, files: &mut PartFiles<'_>) -> Result<()> {
        let Content { summary, mut sections } = content;
        for section in &mut sections {
            match section {
                Section::Figure(figure) => {
                    files.add_written(&figure.save(&files.folder().join("figures"))?);
                }
                Section::Table(table) => {
                    table.notes.push(source.data.clone());
                    files.add_written(&table.save(&files.folder().join("tables"))?);
                }
                Section::Heading(_) | Section::Text(_) | Section::Plain(_) => {}
            }
        }
        let title = format!("{}: {}", self.title, source.data);
        let path = files.folder().join(self.file);
        Report { title, source, summary, sections }.save(&path)?;
        files.add_written(&[path]);
        Ok(())
    }
}

/// A figure with what it shows, the data files that it was drawn from, and the command that was
/// given.
pub(super) fn about(figure: Figure, caption: &str, data: Vec<String>) -> Figure {
    figure.about(About { caption: caption.into(), data, command: command_line() })
}
