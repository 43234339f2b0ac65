//! Tables with one row for each image: text with white space between fields, and CSV.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result, reading};
use crate::formats::is_image_name;

/// An annotation file larger than this is refused. CelebA's largest has 27 MB.
const MAX_BYTES: u64 = 1 << 28;

/// A line of a file, counted from 0, and what is wrong with it.
type LineError = (usize, String);

/// The form of an annotation file.
pub(super) struct Schema<'a> {
    /// The columns after the image's name.
    pub columns: &'a [&'a str],
    /// Whether the text form begins with two lines: the number of rows, and the columns' names.
    pub has_header: bool,
    /// What messages call a column.
    pub noun: &'static str,
}

/// The rows of a file: the name of each image, and what `parse` makes of the other fields.
pub(super) fn read<T>(
    path: &Path,
    schema: &Schema,
    parse: impl Fn(&str, &[&str]) -> std::result::Result<T, String>,
) -> Result<Vec<(String, T)>> {
    let bytes = read_bounded(path)?;
    read_rows(&bytes, is_csv(path), schema, parse).map_err(|(line, reason)| Error::Line {
        path: path.into(),
        line: line + 1,
        reason,
    })
}

fn read_rows<T>(
    bytes: &[u8],
    csv: bool,
    schema: &Schema,
    parse: impl Fn(&str, &[&str]) -> std::result::Result<T, String>,
) -> std::result::Result<Vec<(String, T)>, LineError> {
    let text = decoded(bytes)?;
    // The count can be wrong. A row takes at least a letter, the line's end, and a space and a
    // digit for each column.
    let possible = bytes.len() / (2 + 2 * schema.columns.len());
    let mut rows =
        Rows { schema, parse, capacity: possible, rows: vec![], line_of: HashMap::new() };
    if csv {
        rows.read_csv(text)?;
    } else {
        rows.read_text(text)?;
    }
    Ok(rows.rows)
}

fn decoded(bytes: &[u8]) -> std::result::Result<&str, LineError> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err((0, "is UTF-16 text: save the file as UTF-8".into()));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        (line, "is not UTF-8 text: save the file as UTF-8".into())
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// The rows read so far, and the line of each name.
struct Rows<'s, T, P> {
    schema: &'s Schema<'s>,
    parse: P,
    capacity: usize,
    rows: Vec<(String, T)>,
    line_of: HashMap<String, usize>,
}

impl<T, P: Fn(&str, &[&str]) -> std::result::Result<T, String>> Rows<'_, T, P> {
    fn add(
        &mut self,
        number: usize,
        name: &str,
        values: &[&str],
    ) -> std::result::Result<(), LineError> {
        let here = |reason: String| (number, reason);
        let name = checked_name(name).map_err(here)?;
        let expected = self.schema.columns.len();
        if values.len() != expected {
            return Err(here(format!("{name} has {} values, expected {expected}", values.len())));
        }
        let value = (self.parse)(name, values).map_err(here)?;
        if let Some(first) = self.line_of.insert(name.to_owned(), number) {
            return Err(here(format!("{name} was already given in line {}", first + 1)));
        }
        self.rows.push((name.to_owned(), value));
        Ok(())
    }

    fn reserve(&mut self, count: usize) {
        self.rows.reserve(count.min(self.capacity));
        self.line_of.reserve(count.min(self.capacity));
    }

    /// As Kaggle, pandas, R and spreadsheets write it: separated by commas, semicolons or tabs,
    /// with or without quotes, a first column of row numbers, and empty cells at the end.
    fn read_csv(&mut self, text: &str) -> std::result::Result<(), LineError> {
        let rows = without_hint(text);
        let hints = usize::from(rows.len() < text.len());
        let text = rows;
        let mut reader = csv_reader(text);
        let mut record = csv::StringRecord::new();
        let expected = self.schema.columns.len() + 1;
        let mut is_numbered = None;
        let mut lines = Lines { text, byte: 0, number: hints };
        while reader.read_record(&mut record).map_err(|e| (0, e.to_string()))? {
            let number = lines.number_at(record.position().map_or(0, |at| at.byte() as usize));
            let mut fields: Vec<&str> = record.iter().collect();
            if fields.iter().all(|field| field.is_empty()) {
                continue;
            }
            let Some(numbered) = is_numbered else {
                is_numbered = Some(self.check_csv_header(number, fields)?);
                continue;
            };
            if numbered {
                fields.remove(0);
            }
            while fields.len() > expected && fields.last().is_some_and(|field| field.is_empty()) {
                fields.pop();
            }
            let (name, values) = fields.split_first().unwrap_or((&"", &[]));
            self.add(number, name, values)?;
        }
        match is_numbered {
            Some(_) => Ok(()),
            None => Err((0, "the file is empty: its header names the columns".into())),
        }
    }

    /// Whether the first column numbers the rows.
    fn check_csv_header(
        &self,
        number: usize,
        mut names: Vec<&str>,
    ) -> std::result::Result<bool, LineError> {
        let expected = self.schema.columns.len() + 1;
        let numbered = names.len() > expected && ["", "Unnamed: 0"].contains(&names[0]);
        if numbered {
            names.remove(0);
        }
        while names.len() > expected && names.last().is_some_and(|name| name.is_empty()) {
            names.pop();
        }
        if names.len() != expected {
            return Err((
                number,
                format!(
                    "the header has {} columns, expected image_id and {} more",
                    names.len(),
                    expected - 1
                ),
            ));
        }
        check_columns(number, names, self.schema)?;
        Ok(numbered)
    }

    fn read_text(&mut self, text: &str) -> std::result::Result<(), LineError> {
        let mut lines = text.lines().enumerate();
        let count = match self.schema.has_header {
            true => read_header(&mut lines, self.schema)?,
            false => None,
        };
        self.reserve(count.unwrap_or_default());
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (name, values) = split_name(line, &fields, self.schema.columns.len());
            self.add(number, name, values)?;
        }
        match count {
            Some(count) if self.rows.len() != count => Err((
                0,
                format!(
                    "the first line says {count} images, but {} rows follow: the file is not \
                     complete, or a row is too many",
                    self.rows.len()
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Counts lines up to a place in a text. The reader's own count is one behind after `\r\n`.
struct Lines<'t> {
    text: &'t str,
    byte: usize,
    number: usize,
}

impl Lines<'_> {
    /// The line, counted from 0, of the record that begins at a byte or behind line ends there.
    fn number_at(&mut self, byte: usize) -> usize {
        let bytes = self.text.as_bytes();
        let is_end = |b: &&u8| matches!(b, b'\r' | b'\n');
        let start = byte + bytes[byte.min(bytes.len())..].iter().take_while(is_end).count();
        self.number += bytes[self.byte..start].iter().filter(|&&b| b == b'\n').count();
        self.byte = start;
        self.number
    }
}

/// The name and the values of a line of text. A name of an image may have spaces in it.
fn split_name<'t, 'f>(
    line: &'t str,
    fields: &'f [&'t str],
    columns: usize,
) -> (&'t str, &'f [&'t str]) {
    let first = fields.len().saturating_sub(columns).max(1);
    let behind = fields.get(first).map_or(line.len(), |field| {
        // Fields are parts of the line.
        field.as_ptr() as usize - line.as_ptr() as usize
    });
    let name = line[..behind].trim();
    if first > 1 && is_image_name(name) {
        (name, &fields[first..])
    } else {
        (fields[0], &fields[1..])
    }
}

/// The text without a first line by which Excel is told the separator.
fn without_hint(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("sep=") => rest,
        _ => text,
    }
}

/// A reader of CSV text by the separator that its header has most.
fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    let header = text.lines().next().unwrap_or_default();
    let count = |separator: &u8| header.bytes().filter(|b| b == separator).count();
    let separator = b";\t,".iter().copied().max_by_key(count).unwrap_or(b',');
    csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
}

/// The last column that the header of a CSV names; `None` for text.
pub(super) fn last_csv_column(path: &Path) -> Result<Option<String>> {
    if !is_csv(path) {
        return Ok(None);
    }
    let bytes = read_bounded(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut header = csv::StringRecord::new();
    // What cannot be read is told when the rows are.
    let text = without_hint(text.trim_start_matches('\u{feff}'));
    let _ = csv_reader(text).read_record(&mut header);
    Ok(header.iter().rfind(|column| !column.is_empty()).map(str::to_owned))
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(reading(path))?.len();
    if length > MAX_BYTES {
        let reason = format!(
            "is {length} bytes large, which no annotation file is; take the file as it was \
             distributed"
        );
        return Err(Error::Inconsistent { path: path.into(), reason });
    }
    std::fs::read(path).map_err(reading(path))
}

/// Reads the lines of a text before its rows. Returns the number of rows, if the file has it.
fn read_header<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    schema: &Schema,
) -> std::result::Result<Option<usize>, LineError> {
    let (number, first) = lines
        .next()
        .ok_or((0, "the file is empty; its first line is the number of images".into()))?;
    let names = |line: &'t str| -> Vec<&'t str> { line.split_whitespace().collect() };
    let Ok(count) = first.trim().parse::<usize>() else {
        // Without the number, the columns' names may come first.
        check_columns(number, names(first), schema).map_err(|_| {
            let excerpt: String = first.trim().chars().take(40).collect();
            (number, format!("`{excerpt}` is not the number of images"))
        })?;
        return Ok(None);
    };
    let (number, second) = lines.next().unwrap_or((1, ""));
    check_columns(number, names(second), schema)?;
    Ok(Some(count))
}

/// Makes sure that these are the schema's columns, in their order. R puts an X before names that
/// begin with a digit.
fn check_columns(
    number: usize,
    mut names: Vec<&str>,
    schema: &Schema,
) -> std::result::Result<(), LineError> {
    let expected = schema.columns;
    if names.len() == expected.len() + 1 {
        names.remove(0);
    }
    let is = |name: &&str, expected: &&str| {
        let begins_with_digit = expected.starts_with(|c: char| c.is_ascii_digit());
        name.eq_ignore_ascii_case(expected)
            || (begins_with_digit && name.strip_prefix('X') == Some(*expected))
    };
    let quoted = |name: Option<&&str>| name.map_or("nothing".into(), |n| format!("`{n}`"));
    let columns = names.len().max(expected.len());
    let differs = |&i: &usize| match (names.get(i), expected.get(i)) {
        (Some(name), Some(expected)) => !is(name, expected),
        _ => true,
    };
    match (0..columns).find(differs) {
        Some(i) => Err((
            number,
            format!(
                "{} {} is {}, expected {}",
                schema.noun,
                i + 1,
                quoted(names.get(i)),
                quoted(expected.get(i))
            ),
        )),
        None => Ok(()),
    }
}

/// A file name that stays inside of its folder.
pub(crate) fn checked_name(name: &str) -> std::result::Result<&str, String> {
    match Path::new(name).components().collect::<Vec<_>>()[..] {
        [std::path::Component::Normal(_)]
            if name.len() <= 255 && !name.contains(|c: char| c == '\\' || c.is_control()) =>
        {
            Ok(name)
        }
        _ => Err(format!("`{name}` is not the name of an image file")),
    }
}
