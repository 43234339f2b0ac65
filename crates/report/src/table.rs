//! Tables as CSV, Markdown and LaTeX.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use foresee_files::write_atomic;

use crate::error::Result;
use crate::source::Source;

/// A table of text.
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
        }
    }

    /// Adds what tells on which faces the numbers were measured: a note, and in CSV a column.
    #[must_use]
    pub fn measured_on(mut self, source: &Source) -> Self {
        self.notes.push(source.note());
        self.synthetic = Some(source.synthetic);
        self
    }

    /// Writes `<name>.csv`, `.md` and `.tex` into a folder and returns their paths.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        [("csv", self.csv()), ("md", self.markdown()), ("tex", self.latex())]
            .into_iter()
            .map(|(extension, text)| {
                let path = folder.join(format!("{}.{extension}", self.name));
                write_atomic(&path, text.as_bytes())?;
                Ok(path)
            })
            .collect()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }

    /// Header and rows. Notes are left to the other forms, but a last column says what kind of
    /// faces a table of measurements was measured on.
    pub fn csv(&self) -> String {
        let kind = self.synthetic.map(|synthetic| {
            if synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" }
        });
        let mark = |line: usize| {
            kind.map(|kind| if line == 0 { "faces of this run" } else { kind }.to_owned())
        };
        let line = |(at, row): (usize, &Vec<String>)| {
            row.iter().chain(&mark(at)).map(|text| quoted(text)).collect::<Vec<_>>().join(",")
                + "\n"
        };
        self.lines().enumerate().map(line).collect()
    }

    /// Caption, table, notes.
    pub fn markdown(&self) -> String {
        let plain = |text: &String| text.replace('<', "&lt;");
        let line = |row: &Vec<String>| {
            format!(
                "| {} |\n",
                row.iter()
                    .map(|text| plain(text).replace('|', "\\|"))
                    .collect::<Vec<_>>()
                    .join(" | ")
            )
        };
        let rule = format!("|{}\n", " --- |".repeat(self.header.len()));
        let rows: String = self.rows.iter().map(line).collect();
        let notes: String = self.notes.iter().map(|note| format!("\n{}\n", plain(note))).collect();
        format!("**{}**\n\n{}{rule}{rows}{notes}", plain(&self.caption), line(&self.header))
    }

    /// A `table` environment that needs the package booktabs.
    pub fn latex(&self) -> String {
        let line = |row: &Vec<String>| {
            format!(
                "  {} \\\\\n",
                row.iter().map(|text| escaped(text)).collect::<Vec<_>>().join(" & ")
            )
        };
        let columns = "l".repeat(self.header.len());
        let rows: String = self.rows.iter().map(line).collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("  \\par\\footnotesize {}\n", escaped(note)))
            .collect();
        format!(
            "\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \\label{{tab:{}}}\n  \
             \\begin{{tabular}}{{{columns}}}\n  \\toprule\n{}  \\midrule\n{rows}  \\bottomrule\n  \
             \\end{{tabular}}\n{notes}\\end{{table}}\n",
            escaped(&self.caption),
            self.name.replace('_', "-"),
            line(&self.header)
        )
    }
}

/// A cell's text in quotes if it holds a comma, a quote or the end of a line.
fn quoted(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{c}"),
        '~' => "\\textasciitilde{}".into(),
        '^' => "\\textasciicircum{}".into(),
        '\\' => "\\textbackslash{}".into(),
        'λ' => "$\\lambda$".into(),
        'ρ' => "$\\rho$".into(),
        'σ' => "$\\sigma$".into(),
        'β' => "$\\beta$".into(),
        '×' => "$\\times$".into(),
        '→' => "$\\to$".into(),
        '±' => "$\\pm$".into(),
        '∈' => "$\\in$".into(),
        other => other.to_string(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_escapes_its_own() {
        let mut table = Table::new("t_1", "Shares & such", &["name", "share [%]"]);
        table.rows.push(vec!["a|b, \"c\"".into(), "50 %".into()]);
        table.notes.push("λ_1".into());
        assert_eq!(table.csv(), "name,share [%]\n\"a|b, \"\"c\"\"\",50 %\n");
        let measured = table.clone().measured_on(&Source { data: "faces".into(), synthetic: true });
        assert!(
            measured
                .csv()
                .lines()
                .skip(1)
                .all(|line| line.ends_with("\"synthetic faces, not CelebA\"")),
            "{}",
            measured.csv()
        );
        assert!(table.markdown().contains("| a\\|b, \"c\" | 50 % |"));
        let latex = table.latex();
        assert!(
            latex.contains("Shares \\& such")
                && latex.contains("50 \\% \\\\")
                && latex.contains("$\\lambda$\\_1")
                && latex.contains("{tab:t-1}")
        );
    }
}
