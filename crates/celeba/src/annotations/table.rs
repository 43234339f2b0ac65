//! Tables with one row for each image: text with white space between fields, and CSV.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result, reading};

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
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        (line, "is not UTF-8 text".into())
    })?;
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let count = read_header(&mut lines, schema, csv)?;
    // The count can be wrong. A row takes at least a letter, the line's end, and a space and a
    // digit for each column.
    let possible = bytes.len() / (2 + 2 * schema.columns.len());
    let capacity = count.unwrap_or_default().min(possible);
    let mut rows = Vec::with_capacity(capacity);
    let mut line_of = HashMap::with_capacity(capacity);
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let fields = split_fields(line, csv);
        let (name, value) = read_row(&fields, schema, &parse).map_err(|reason| (number, reason))?;
        if let Some(first) = line_of.insert(name, number) {
            return Err((number, format!("{name} was already given in line {}", first + 1)));
        }
        rows.push((name.to_owned(), value));
    }
    match count {
        Some(count) if rows.len() != count => Err((
            0,
            format!(
                "the first line says {count} images, but {} rows follow: the file is not \
                 complete, or a row is too many",
                rows.len()
            ),
        )),
        _ => Ok(rows),
    }
}

fn read_row<'a, T>(
    fields: &[&'a str],
    schema: &Schema,
    parse: impl Fn(&str, &[&str]) -> std::result::Result<T, String>,
) -> std::result::Result<(&'a str, T), String> {
    let (name, values) = fields.split_first().unwrap_or((&"", &[]));
    let name = checked_name(name)?;
    if values.len() != schema.columns.len() {
        return Err(format!(
            "{name} has {} values, expected {}",
            values.len(),
            schema.columns.len()
        ));
    }
    Ok((name, parse(name, values)?))
}

/// The last column that the header of a CSV names; `None` for text.
pub(super) fn last_csv_column(path: &Path) -> Result<Option<String>> {
    if !is_csv(path) {
        return Ok(None);
    }
    let bytes = read_bounded(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let header = text.lines().next().unwrap_or_default();
    Ok(split_fields(header, true).last().map(|column| (*column).to_owned()))
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"))
}

fn split_fields(line: &str, csv: bool) -> Vec<&str> {
    if csv {
        line.trim_end_matches('\r').split(',').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    }
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

/// Reads the lines before the rows. Returns the number of rows, if the file has it.
fn read_header<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    schema: &Schema,
    csv: bool,
) -> std::result::Result<Option<usize>, LineError> {
    if csv {
        check_columns(lines.next(), schema, csv)?;
        return Ok(None);
    }
    if !schema.has_header {
        return Ok(None);
    }
    let (_, first) = lines
        .next()
        .ok_or((0, "the file is empty; its first line is the number of images".into()))?;
    let excerpt: String = first.trim().chars().take(40).collect();
    let count = first
        .trim()
        .parse::<usize>()
        .map_err(|_| (0, format!("`{excerpt}` is not the number of images")))?;
    check_columns(lines.next(), schema, csv)?;
    Ok(Some(count))
}

/// Makes sure that a line names the schema's columns, in their order.
fn check_columns(
    line: Option<(usize, &str)>,
    schema: &Schema,
    csv: bool,
) -> std::result::Result<(), LineError> {
    let number = usize::from(!csv);
    let expected = schema.columns;
    let mut names = line.map(|(_, text)| split_fields(text, csv)).unwrap_or_default();
    if csv && names.len() != expected.len() + 1 {
        return Err((
            number,
            format!(
                "the header has {} columns, expected image_id and {} more",
                names.len(),
                expected.len()
            ),
        ));
    }
    if names.len() == expected.len() + 1 {
        names.remove(0);
    }
    let quoted = |name: Option<&&str>| name.map_or("nothing".into(), |n| format!("`{n}`"));
    let columns = names.len().max(expected.len());
    match (0..columns).find(|&i| names.get(i) != expected.get(i)) {
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
