//! CelebA's text files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result, at};

/// The rows of `list_attr_celeba.txt`: line 1 the count, line 2 the names, then `000001.jpg -1  1 …`.
pub(crate) fn read_attributes(path: &Path) -> Result<Vec<(String, Labels)>> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    let error = |line: usize, reason: String| Error::Line { path: path.into(), line: line + 1, reason };
    let mut lines = text.lines().enumerate();
    let (_, first) = lines.next().ok_or_else(|| error(0, "the file is empty; its first line is the number of images".into()))?;
    let count: usize =
        first.trim().parse().map_err(|_| error(0, format!("`{}` is not the number of images", first.trim().chars().take(40).collect::<String>())))?;
    let names: Vec<&str> = lines.next().map(|(_, l)| l.split_whitespace().collect()).unwrap_or_default();
    if let Some(at) = (0..names.len().max(ATTRIBUTES.len())).find(|&i| names.get(i) != ATTRIBUTES.get(i)) {
        let shown = |name: Option<&&str>| name.map_or("nothing".into(), |n| format!("`{n}`"));
        return Err(error(1, format!("attribute {} is {}, expected {}", at + 1, shown(names.get(at)), shown(ATTRIBUTES.get(at)))));
    }
    let mut rows = Vec::with_capacity(count.min(1 << 20));
    let mut seen = HashMap::with_capacity(count.min(1 << 20));
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let (name, labels) = parse_row(line).map_err(|reason| error(number, reason))?;
        if let Some(before) = seen.insert(name.to_owned(), number) {
            return Err(error(number, format!("{name} was already given in line {}", before + 1)));
        }
        rows.push((name.to_owned(), labels));
    }
    if rows.len() != count {
        return Err(error(0, format!("the first line says {count} images, but {} rows follow; is the file complete?", rows.len())));
    }
    Ok(rows)
}

fn parse_row(line: &str) -> std::result::Result<(&str, Labels), String> {
    let mut fields = line.split_whitespace();
    let name = checked_name(fields.next().unwrap_or_default())?;
    let values: Vec<&str> = fields.collect();
    if values.len() != ATTRIBUTES.len() {
        return Err(format!("{name} has {} values, expected {}", values.len(), ATTRIBUTES.len()));
    }
    let labels = values.iter().zip(ATTRIBUTES).map(|(&value, attribute)| match value {
        "1" => Ok(true),
        "-1" => Ok(false),
        _ => Err(format!("{name}: `{value}` for {attribute} is neither 1 nor -1")),
    });
    Ok((name, labels.collect::<std::result::Result<_, _>>()?))
}

/// A file name that stays inside the folder.
fn checked_name(name: &str) -> std::result::Result<&str, String> {
    match Path::new(name).components().collect::<Vec<_>>()[..] {
        [std::path::Component::Normal(_)] if !name.contains('\\') => Ok(name),
        _ => Err(format!("`{name}` is not the name of an image file")),
    }
}

/// The rows of `list_eval_partition.txt`: `000001.jpg 0`, without a header.
pub(crate) fn read_partition(path: &Path) -> Result<HashMap<String, u8>> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    let mut parts = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let error = |reason: String| Error::Line { path: PathBuf::from(path), line: number + 1, reason };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let part = match fields[..] {
            [_, "0"] => 0,
            [_, "1"] => 1,
            [_, "2"] => 2,
            _ => {
                return Err(error(format!("`{line}` is not an image name and 0, 1 or 2 (train, val, test)")));
            }
        };
        if parts.insert(fields[0].to_owned(), part).is_some() {
            return Err(error(format!("{} was already given", fields[0])));
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list_attr_celeba.txt");
        std::fs::write(&path, attributes).unwrap();
        read_attributes(&path).unwrap_err().to_string()
    }

    fn file(count: &str, rows: &[(&str, Vec<&str>)]) -> String {
        let rows: String = rows.iter().map(|(name, values)| format!("{name} {}\n", values.join("  "))).collect();
        format!("{count}\n{} \n{rows}", ATTRIBUTES.join(" "))
    }

    #[test]
    fn wrong_files_are_told_by_line() {
        assert!(message("").contains("line 1: the file is empty"));
        assert!(message("x\n").contains("`x` is not the number of images"));
        assert!(message("1\nYoung\n").contains("line 2: attribute 1 is `Young`, expected `5_o_Clock_Shadow`"));
        assert!(message(&file("1", &[("1.jpg", vec!["1"; 39])])).contains("line 3: 1.jpg has 39 values, expected 40"));
        assert!(message(&file("1", &[("1.jpg", vec!["1"; 41])])).contains("has 41 values"));
        assert!(message(&file("1", &[("1.jpg", vec!["0"; 40])])).contains("`0` for 5_o_Clock_Shadow is neither 1 nor -1"));
        assert!(message(&file("2", &[("1.jpg", vec!["1"; 40])])).contains("says 2 images, but 1 rows follow"));
        assert!(message(&file("2", &[("1.jpg", vec!["1"; 40]), ("1.jpg", vec!["1"; 40])])).contains("line 4: 1.jpg was already given in line 3"));
        assert!(message(&file("1", &[("../1.jpg", vec!["1"; 40])])).contains("not the name of an image file"));
    }

    #[test]
    fn right_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list_attr_celeba.txt");
        let mut values = vec!["-1"; 40];
        values[31] = "1";
        std::fs::write(&path, file("1", &[("000001.jpg", values)])).unwrap();
        let rows = read_attributes(&path).unwrap();
        assert_eq!(rows, [("000001.jpg".to_owned(), Labels::default().with(31, true))]);
    }
}
