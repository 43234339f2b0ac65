//! Tables in LaTeX, as wide and as long as they need.

use crate::latex::escaped;
use crate::table::Table;

/// Letters in a line of a page (345 pt) at the size of the text.
const LINE: usize = 68;
/// Letters in a line at \footnotesize, and on a page that is turned.
const SMALL_LINE: usize = 86;
const TURNED_LINE: usize = 150;
/// Letters that the space between two columns takes.
const BETWEEN: usize = 3;
/// Lines of a table on a page, and on one that is turned.
const LINES: usize = 35;
const TURNED_LINES: usize = 20;
/// Letters up to which a cell is not broken.
const SHORT: usize = 20;

/// Letters of a column.
struct Column {
    /// In its head.
    head: usize,
    /// In its widest cell.
    cell: usize,
    /// In its widest word, the head's among them.
    word: usize,
}

impl Column {
    fn of(table: &Table, at: usize) -> Self {
        let cells = || table.rows.iter().filter_map(|row| row.get(at));
        let letters = |text: &str| text.chars().count();
        let words = cells().chain(table.header.get(at)).flat_map(|cell| cell.split_whitespace());
        Self {
            head: table.header.get(at).map_or(0, |head| letters(head)),
            cell: cells().map(|cell| letters(cell)).max().unwrap_or(0),
            word: words.map(letters).max().unwrap_or(0),
        }
    }

    /// Without a break.
    fn whole(&self) -> usize {
        self.cell.max(self.head)
    }

    /// The least that it is given: short cells are not broken.
    fn least(&self) -> usize {
        self.word.max(if self.cell <= SHORT { self.cell } else { 0 })
    }

    /// What it would take beyond that.
    fn more(&self) -> usize {
        self.cell.saturating_sub(self.least())
    }
}

/// How the columns are set.
struct Layout {
    /// As `tabular` wants it.
    columns: String,
    is_small: bool,
    is_turned: bool,
    /// Whether it takes more than a page.
    is_long: bool,
}

impl Layout {
    fn of(table: &Table) -> Self {
        let columns: Vec<Column> =
            (0..table.header.len()).map(|at| Column::of(table, at)).collect();
        let between = BETWEEN * columns.len();
        let all = between + columns.iter().map(Column::whole).sum::<usize>();
        if all <= SMALL_LINE {
            let (is_small, is_long) = (all > LINE, table.rows.len() > LINES);
            return Self {
                columns: "l".repeat(columns.len()),
                is_small,
                is_turned: false,
                is_long,
            };
        }
        let least = between + columns.iter().map(Column::least).sum::<usize>();
        let cells = between + columns.iter().map(|column| column.cell).sum::<usize>();
        // Cells of many lines are hard to read.
        let is_turned = least > SMALL_LINE || cells > 2 * SMALL_LINE;
        let line = if is_turned { TURNED_LINE } else { SMALL_LINE };
        // Each has its least, and a share of what is left.
        let more: usize = columns.iter().map(Column::more).sum();
        let left = line.saturating_sub(least).min(more) as f64;
        let letters = |column: &Column| {
            column.least() as f64 + left * column.more() as f64 / more.max(1) as f64
        };
        let set = |column: &Column| match letters(column) >= column.whole() as f64 {
            true => "l".to_owned(),
            false => {
                let width = letters(column) / line as f64;
                format!(">{{\\raggedright\\arraybackslash}}p{{{width:.3}\\linewidth}}")
            }
        };
        let lines_of = |row: &Vec<String>| {
            let lines = row.iter().zip(&columns).map(|(cell, column)| {
                (cell.chars().count() as f64 / letters(column).max(1.)).ceil() as usize
            });
            lines.max().unwrap_or(1)
        };
        let lines: usize = table.rows.iter().map(lines_of).sum();
        let is_long = lines > if is_turned { TURNED_LINES } else { LINES };
        Self { columns: columns.iter().map(set).collect(), is_small: true, is_turned, is_long }
    }
}

impl Table {
    /// A `table`, or where it has many rows a `longtable`; on a turned page where it is wide. It
    /// needs the packages booktabs and array, and then longtable and pdflscape. All of it is
    /// ASCII but for letters with accents.
    pub fn latex(&self) -> String {
        latex(self)
    }
}

fn latex(table: &Table) -> String {
    let layout = Layout::of(table);
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(|text| escaped(text)).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let head = format!("  \\toprule\n{}  \\midrule\n", line(&table.header));
    let rows: String = table.rows.iter().map(line).collect();
    let label = format!("\\label{{tab:{}}}", table.name.replace('_', "-"));
    let caption = format!("  \\caption{{{}}}", prose(&table.caption));
    let note = |note: &String| format!("  \\par\\footnotesize {}\n", prose(note));
    let notes: String = table.notes.iter().map(note).collect();
    let size = if layout.is_small { "  \\footnotesize\n" } else { "" };
    let columns = &layout.columns;
    let text = match layout.is_long {
        true => format!(
            "\\begingroup\n{size}  \\setlength\\LTcapwidth{{\\linewidth}}\n  \
             \\begin{{longtable}}{{{columns}}}\n{caption}{label} \\\\\n\
             {head}  \\endfirsthead\n{head}  \\endhead\n{rows}  \\bottomrule\n  \
             \\end{{longtable}}\n{notes}\\endgroup\n"
        ),
        false => format!(
            "\\begin{{table}}\n  \\centering\n{caption}\n  {label}\n{size}  \
             \\begin{{tabular}}{{{columns}}}\n{head}{rows}  \\bottomrule\n  \\end{{tabular}}\n\
             {notes}\\end{{table}}\n"
        ),
    };
    match layout.is_turned {
        true => format!("\\begin{{landscape}}\n{text}\\end{{landscape}}\n"),
        false => text,
    }
}

/// Our own sentences in LaTeX, in which `code` is marked as in Markdown.
fn prose(text: &str) -> String {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => escaped(part),
        _ => format!("\\texttt{{{}}}", escaped(part)),
    };
    text.split('`').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &[&str], rows: usize) -> Table {
        let names: Vec<String> = (0..cells.len()).map(|at| format!("c{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut table = Table::new("t", "A table.", &names);
        table.rows = vec![cells.iter().map(ToString::to_string).collect(); rows];
        table
    }

    #[test]
    fn wide_tables_are_broken_or_turned_and_long_ones_go_on() {
        let small = latex(&table(&["Smiling", "90.5"], 3));
        assert!(small.contains("\\begin{tabular}{ll}") && !small.contains("footnotesize"));
        let sentence = "a sentence of several short words that is as long as two lines or more \\
                        of a page and must be broken";
        let broken = latex(&table(&["Smiling", sentence], 3));
        assert!(broken.contains("{l>{\\raggedright\\arraybackslash}p{0."), "{broken}");
        assert!(broken.contains("\\begin{table}") && !broken.contains("landscape"));
        let wide = latex(&table(&[sentence; 4], 3));
        assert!(wide.starts_with("\\begin{landscape}\n\\begin{table}"), "{wide}");
        let long = latex(&table(&["Smiling", "90.5"], 40));
        assert!(long.contains("\\begin{longtable}{ll}") && long.contains("\\endhead"));
    }

    #[test]
    fn code_in_a_sentence_is_set_as_code() {
        assert_eq!(prose("see `a_b`"), "see \\texttt{a\\_b}");
    }
}
