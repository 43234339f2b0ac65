//! All of a run on one page that opens from disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use foresee_files::write_atomic;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::table::Table;

/// A part of the report, in the order in which it is read.
#[derive(Debug, Clone)]
pub enum Section {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A figure with its caption.
    Figure(Figure),
    /// A table that was saved; long ones are folded.
    Table(Table),
    /// A table that is in the report only; long ones are folded.
    Plain(Table),
}

/// The report of a run.
///
/// ```
/// use foresee_report::{Report, Section, Source, Table, is_report};
///
/// # let folder = tempfile::tempdir()?;
/// let mut table = Table::new("accuracy", "Accuracy on test images.", &["attribute", "accuracy"]);
/// table.rows.push(vec!["Smiling".into(), "90 %".into()]);
/// let report = Report {
///     title: "A first run".into(),
///     source: Source { data: "40 drawn faces".into(), synthetic: true },
///     summary: vec![("accuracy".into(), "90 %".into())],
///     sections: vec![Section::Heading("Results".into()), Section::Plain(table)],
/// };
/// let path = folder.path().join("report.html");
/// report.save(&path)?;
/// assert!(is_report(&path, "A first run"));
/// assert!(std::fs::read_to_string(&path)?.contains("<td>Smiling</td><td>90 %</td>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    /// The page's title.
    pub title: String,
    /// What the run was made from.
    pub source: Source,
    /// The headline numbers: name, value.
    pub summary: Vec<(String, String)>,
    /// The parts.
    pub sections: Vec<Section>,
}

/// Tables of more rows than this are folded.
const FOLD_ABOVE: usize = 14;

const SYNTHETIC: &str = "These results were measured on synthetic (drawn) faces. They show that \
     the program runs from end to end; they say nothing about CelebA.";

const STYLE: &str = "
:root{color-scheme:light;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--accent:#0072b2}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 4rem;\
font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:var(--ink);\
background:#fff}
h1{font-size:1.7rem;line-height:1.25;margin:.2em 0}h2{font-size:1.25rem;margin:2.2em 0 .5em;\
border-bottom:1px solid var(--line);padding-bottom:.25em}
p{max-width:44rem}.soft{color:var(--soft)}
.synthetic{border:2px solid #b00020;color:#b00020;padding:.6em .9em;border-radius:.4em;\
font-weight:600}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem;\
margin:1.2em 0}
dl div{border:1px solid var(--line);border-radius:.4em;padding:.5em .8em}\
dt{font-size:.82rem;color:var(--soft)}dd{margin:0;font-size:1.15rem;font-weight:600}
figure{margin:1.2em 0;overflow-x:auto}figure img{display:block;width:100%;min-width:32rem;\
height:auto;margin:0 auto}
figcaption,caption{font-size:.9rem;color:var(--soft);text-align:left;max-width:46rem;\
margin:.5em auto}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;\
font-variant-numeric:tabular-nums;margin:.4em 0}
th,td{text-align:left;padding:.28em .8em .28em 0;border-bottom:1px solid var(--line);\
vertical-align:top}th{border-bottom:2px solid var(--ink)}
summary{cursor:pointer;color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.2em 1.1em}nav a{color:var(--accent);text-decoration:none}
@media print{figure img{min-width:0}body{max-width:none;padding:0;font-size:10.5pt}\
h2{break-after:avoid}figure,table{break-inside:avoid}nav{display:none}\
details::details-content{content-visibility:visible}}
";

/// How a page of [`Report::save`] says what made it.
const GENERATOR: &str = concat!("foresee-report ", env!("CARGO_PKG_VERSION"));

/// Whether a file is a page with a title that begins so.
pub fn is_report(path: &Path, title: &str) -> bool {
    let mut start = vec![];
    let read = File::open(path).and_then(|file| file.take(1000).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start);
    read.is_ok() && start.contains(&format!("<title>{}", title.replace('&', "&amp;")))
}

impl Report {
    /// Writes the page.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(write_atomic(path, self.page().into_string().as_bytes())?)
    }

    fn page(&self) -> Markup {
        let headings = || {
            self.sections
                .iter()
                .filter_map(|s| if let Section::Heading(h) = s { Some(h) } else { None })
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="generator" content=(GENERATOR);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    p class="soft" { (self.source.data) }
                    @if self.source.synthetic {
                        p class="synthetic" { (SYNTHETIC) }
                    }
                    nav {
                        @for heading in headings() {
                            a href={ "#" (anchor(heading)) } { (heading) }
                        }
                    }
                    dl {
                        @for (name, value) in &self.summary {
                            div { dt { (name) } dd { (value) } }
                        }
                    }
                    @for section in &self.sections { (section.markup()) }
                }
            }
        }
    }
}

impl Section {
    fn markup(&self) -> Markup {
        match self {
            Self::Heading(words) => html! { h2 id=(anchor(words)) { (words) } },
            Self::Text(words) => html! { p { (words) } },
            Self::Figure(figure) => {
                let (width, height) = figure.size();
                let data = base64::engine::general_purpose::STANDARD.encode(figure.svg());
                let caption = figure.short_caption();
                let files: Vec<String> =
                    figure.formats().map(|format| format!(".{}", format.extension())).collect();
                html! {
                    figure {
                        img src={ "data:image/svg+xml;base64," (data) }
                            width=(width) height=(height) alt=(caption);
                        figcaption {
                            (caption) " Files: figures/" (figure.name()) (files.join(", ")) "."
                        }
                    }
                }
            }
            Self::Table(table) => {
                folded(table, &format!(" Files: tables/{}.csv, .md, .tex.", table.name))
            }
            Self::Plain(table) => folded(table, ""),
        }
    }
}

fn folded(table: &Table, files: &str) -> Markup {
    let rows = table.rows.len();
    if rows <= FOLD_ABOVE {
        return table_markup(table, files);
    }
    html! {
        details {
            summary { (table.caption) " (" (rows) " rows)" }
            (table_markup(table, files))
        }
    }
}

fn table_markup(table: &Table, files: &str) -> Markup {
    html! {
        div class="scroll" {
            table {
                caption { (table.caption) (files) }
                thead { tr { @for cell in &table.header { th { (cell) } } } }
                tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
        @for note in &table.notes { p class="soft" { small { (note) } } }
    }
}

fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}
