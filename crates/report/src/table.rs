//! Tables as CSV, Markdown and LaTeX.

use std::path::{Path, PathBuf};

use foresee_files::write_atomic;

use crate::error::{Error, Result};
use crate::frame::{DataFrame, column, csv_text};
use crate::source::Source;

/// A table of text.
///
/// ```
/// use foresee_report::Table;
///
/// let mut table = Table::new("accuracy", "Accuracy.", &["attribute", "accuracy [%]"]);
/// table.rows.push(vec!["Smiling".into(), "90.5".into()]);
/// assert_eq!(table.csv()?, "attribute,accuracy [%]\nSmiling,90.5\n");
/// assert!(table.markdown().contains("| Smiling | 90.5 |"));
/// assert!(table.latex().contains("Smiling & 90.5 \\\\"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    /// File name without extension.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// Column names.
    pub header: Vec<String>,
    /// Rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
    /// What a reader must know: sources, caveats.
    pub notes: Vec<String>,
    /// Whether what was measured here was measured on drawn faces; `None` for a table without
    /// measurements.
    pub synthetic: Option<bool>,
    /// Rows that were not measured here, but are cited.
    pub cited: Vec<usize>,
}

impl Table {
    /// A table without rows.
    pub fn new(name: &str, caption: &str, header: &[&str]) -> Self {
        Self {
            name: name.into(),
            caption: caption.into(),
            header: header.iter().map(ToString::to_string).collect(),
            rows: vec![],
            notes: vec![],
            synthetic: None,
            cited: vec![],
        }
    }

    /// Adds what tells on which faces the numbers were measured: a note, and in CSV a column.
    ///
    /// ```
    /// use foresee_report::{Source, Table};
    ///
    /// let source = Source { data: "40 drawn faces".into(), synthetic: true };
    /// let mut table = Table::new("accuracy", "Accuracy.", &["attribute", "accuracy [%]"]);
    /// table.rows.push(vec!["Smiling".into(), "90.5".into()]);
    /// let table = table.measured_on(&source);
    /// assert_eq!(table.notes, ["SYNTHETIC FACES, not CelebA: 40 drawn faces"]);
    /// assert!(table.csv()?.contains("synthetic faces, not CelebA"));
    /// # Ok::<(), foresee_report::Error>(())
    /// ```
    #[must_use]
    pub fn measured_on(mut self, source: &Source) -> Self {
        self.notes.push(source.note());
        self.synthetic = Some(source.synthetic);
        self
    }

    /// Writes `<name>.csv`, `.md` and `.tex` into a folder and returns their paths.
    ///
    /// # Errors
    /// As [`csv`](Self::csv), or if a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        [("csv", self.csv()?), ("md", self.markdown()), ("tex", self.latex())]
            .into_iter()
            .map(|(extension, text)| {
                let path = folder.join(format!("{}.{extension}", self.name));
                write_atomic(&path, text.as_bytes())?;
                Ok(path)
            })
            .collect()
    }

    /// Header and rows. Notes are left to the other forms, but a last column says what kind of
    /// faces a table of measurements was measured on, but for cited rows.
    ///
    /// # Errors
    /// If two columns have the same name, or a row has not a cell for each column.
    pub fn csv(&self) -> Result<String> {
        self.check()?;
        let cells = |at: usize| -> Vec<&str> { self.rows.iter().map(|row| &*row[at]).collect() };
        let columns = self.header.iter().enumerate().map(|(at, name)| column(name, cells(at)));
        let mark = self.synthetic.map(|synthetic| {
            let kind = if synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" };
            let of_row = |row: usize| if self.cited.contains(&row) { "" } else { kind };
            column("faces of this run", (0..self.rows.len()).map(of_row).collect::<Vec<_>>())
        });
        csv_text(&DataFrame::new_infer_height(columns.chain(mark).collect())?)
    }

    /// Caption, table, notes.
    pub fn markdown(&self) -> String {
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(|text| markdown_cell(text)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|{}\n", " --- |".repeat(self.header.len()));
        let rows: String = self.rows.iter().map(line).collect();
        let notes: String = self.notes.iter().map(|note| format!("\n{}\n", plain(note))).collect();
        format!("**{}**\n\n{}{rule}{rows}{notes}", plain(&self.caption), line(&self.header))
    }

    /// # Errors
    /// If a row has not a cell for each column.
    fn check(&self) -> Result<()> {
        let columns = self.header.len();
        match self.rows.iter().position(|row| row.len() != columns) {
            None => Ok(()),
            Some(row) => Err(Error::Shape(format!(
                "table {}: row {} has {} cells, but there are {columns} columns",
                self.name,
                row + 1,
                self.rows[row].len()
            ))),
        }
    }
}

/// Our own sentences in Markdown: they have no HTML.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;")
}

/// A cell's text in Markdown, of which nothing is markup.
fn markdown_cell(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| letters.get(at)).is_some_and(|letter| letter.is_alphanumeric())
    };
    let one = |(at, &letter): (usize, &char)| match letter {
        '<' => "&lt;".into(),
        '&' => "&amp;".into(),
        '\n' | '\r' => " ".into(),
        // Within a word it is no markup.
        '_' if is_word(at.checked_sub(1)) && is_word(Some(at + 1)) => "_".into(),
        '|' | '\\' | '`' | '*' | '_' | '[' | '~' => format!("\\{letter}"),
        other => other.to_string(),
    };
    letters.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_escapes_its_own() -> Result<()> {
        let mut table = Table::new("t_1", "Shares & such", &["name", "share [%]"]);
        table.rows.push(vec!["a|b, \"c\"".into(), "50 %".into()]);
        table.notes.push("λ_1".into());
        assert_eq!(table.csv()?, "name,share [%]\n\"a|b, \"\"c\"\"\",50 %\n");
        let measured = table.clone().measured_on(&Source { data: "faces".into(), synthetic: true });
        assert!(
            measured
                .csv()?
                .lines()
                .skip(1)
                .all(|line| line.ends_with("\"synthetic faces, not CelebA\"")),
            "{}",
            measured.csv()?
        );
        assert!(table.markdown().contains("| a\\|b, \"c\" | 50 % |"));
        let latex = table.latex();
        assert!(
            latex.contains("Shares \\& such")
                && latex.contains("a\\textbar{}b, ''c'' & 50 \\% \\\\")
                && latex.contains("$\\lambda$\\_1")
                && latex.contains("{tab:t-1}")
        );
        let twice = Table::new("t", "", &["a", "a"]);
        assert!(twice.csv().is_err());
        let mut short = Table::new("t", "", &["a", "b"]);
        short.rows.push(vec!["1".into()]);
        assert!(matches!(short.csv(), Err(Error::Shape(_))));
        Ok(())
    }

    #[test]
    fn no_sign_of_a_cell_is_markdown() {
        assert_eq!(markdown_cell("5_o_Clock_Shadow"), "5_o_Clock_Shadow");
        assert_eq!(markdown_cell("_a_ *b* `c` [d]\ne"), "\\_a\\_ \\*b\\* \\`c\\` \\[d] e");
        assert_eq!(markdown_cell("a&lt;<b|"), "a&amp;lt;&lt;b\\|");
    }
}
