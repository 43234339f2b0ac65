//! CelebA's annotation files, as distributed (white space between fields) and as Kaggle passes them
//! on (CSV).

use std::collections::HashMap;
use std::path::Path;

use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result, at};

/// Points of a face, in the order of `list_landmarks_align_celeba.txt`.
pub const LANDMARKS: [&str; 10] = [
    "lefteye_x",
    "lefteye_y",
    "righteye_x",
    "righteye_y",
    "nose_x",
    "nose_y",
    "leftmouth_x",
    "leftmouth_y",
    "rightmouth_x",
    "rightmouth_y",
];

/// A face's box in the uncropped image, in the order of `list_bbox_celeba.txt`.
pub const BOX: [&str; 4] = ["x_1", "y_1", "width", "height"];

/// What a file of a kind looks like.
struct Kind<'a> {
    columns: &'a [&'a str],
    /// Its text form begins with the number of rows and the columns' names.
    counted: bool,
    /// What a column is called in a message.
    noun: &'static str,
}

/// The names of images, and for each what `parse` makes of its fields.
fn read<T>(
    path: &Path,
    kind: &Kind,
    parse: impl Fn(&str, &[&str]) -> std::result::Result<T, String>,
) -> Result<Vec<(String, T)>> {
    let bytes = whole(path)?;
    let error =
        |line: usize, reason: String| Error::Line { path: path.into(), line: line + 1, reason };
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        error(line, "is not UTF-8 text".into())
    })?;
    let csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let count = header(&mut lines, kind, csv).map_err(|(line, reason)| error(line, reason))?;
    // What the first line says is not believed: a row takes at least a letter, a space, a digit and
    // the end of the line.
    let most = bytes.len() / (2 + 2 * kind.columns.len());
    let mut rows = Vec::with_capacity(count.unwrap_or_default().min(most));
    let mut seen = HashMap::with_capacity(count.unwrap_or_default().min(most));
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let of_line = fields(line, csv);
        let row = || {
            let name = checked_name(of_line.first().copied().unwrap_or_default())?;
            if of_line.len() - 1 != kind.columns.len() {
                return Err(format!(
                    "{name} has {} values, expected {}",
                    of_line.len() - 1,
                    kind.columns.len()
                ));
            }
            Ok((name, parse(name, &of_line[1..])?))
        };
        let (name, value) = row().map_err(|reason| error(number, reason))?;
        if let Some(before) = seen.insert(name, number) {
            return Err(error(number, format!("{name} was already given in line {}", before + 1)));
        }
        rows.push((name.to_owned(), value));
    }
    match count {
        Some(count) if rows.len() != count => Err(error(
            0,
            format!(
                "the first line says {count} images, but {} rows follow: the file is not complete, or a row is too many",
                rows.len()
            ),
        )),
        _ => Ok(rows),
    }
}

fn fields(line: &str, csv: bool) -> Vec<&str> {
    if csv {
        line.trim_end_matches('\r').split(',').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    }
}

/// An annotation file larger than this is none: CelebA's largest has 27 MB.
const LARGEST: u64 = 1 << 28;

fn whole(path: &Path) -> Result<Vec<u8>> {
    match std::fs::metadata(path).map_err(at(path))?.len() {
        length if length > LARGEST => {
            let reason = format!(
                "is {length} bytes large, which no annotation file is; take the file as it was distributed"
            );
            Err(Error::Inconsistent { path: path.into(), reason })
        }
        _ => std::fs::read(path).map_err(at(path)),
    }
}

/// Takes the lines before the rows; returns the number of rows, if they tell it.
fn header<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    kind: &Kind,
    csv: bool,
) -> std::result::Result<Option<usize>, (usize, String)> {
    let mut count = None;
    if !csv {
        if !kind.counted {
            return Ok(None);
        }
        let (_, first) = lines
            .next()
            .ok_or((0, "the file is empty; its first line is the number of images".into()))?;
        let shown: String = first.trim().chars().take(40).collect();
        count = Some(
            first
                .trim()
                .parse::<usize>()
                .map_err(|_| (0, format!("`{shown}` is not the number of images")))?,
        );
    }
    let line = usize::from(!csv);
    let mut names = lines.next().map(|(_, l)| fields(l, csv)).unwrap_or_default();
    if csv && names.len() != kind.columns.len() + 1 {
        return Err((
            line,
            format!(
                "the header has {} columns, expected image_id and {} more",
                names.len(),
                kind.columns.len()
            ),
        ));
    }
    if names.len() == kind.columns.len() + 1 {
        names.remove(0);
    }
    let shown = |name: Option<&&str>| name.map_or("nothing".into(), |n| format!("`{n}`"));
    match (0..names.len().max(kind.columns.len())).find(|&i| names.get(i) != kind.columns.get(i)) {
        Some(at) => Err((
            line,
            format!(
                "{} {} is {}, expected {}",
                kind.noun,
                at + 1,
                shown(names.get(at)),
                shown(kind.columns.get(at))
            ),
        )),
        None => Ok(count),
    }
}

/// A file name that stays inside the folder.
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

/// The rows of `list_attr_celeba`.
pub(crate) fn read_attributes(path: &Path) -> Result<Vec<(String, Labels)>> {
    read(path, &Kind { columns: &ATTRIBUTES, counted: true, noun: "attribute" }, |name, values| {
        let labels = values.iter().zip(ATTRIBUTES).map(|(&value, attribute)| match value {
            "1" => Ok(true),
            "-1" => Ok(false),
            _ => Err(format!("{name}: `{value}` for {attribute} is neither 1 nor -1")),
        });
        labels.collect()
    })
}

/// The rows of `list_eval_partition`, or of a list of one's own: 0 train, 1 val, 2 test.
pub(crate) fn read_partition(path: &Path) -> Result<Vec<(String, u8)>> {
    // A list of one's own may call its column `split`.
    let own = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"))
        && String::from_utf8_lossy(&whole(path)?)
            .lines()
            .next()
            .is_some_and(|header| fields(header, true).last() == Some(&"split"));
    let columns = if own { ["split"] } else { ["partition"] };
    read(path, &Kind { columns: &columns, counted: false, noun: "column" }, |name, values| {
        match values[0] {
            "0" | "train" => Ok(0),
            "1" | "val" | "valid" | "validation" => Ok(1),
            "2" | "test" => Ok(2),
            other => Err(format!("{name}: `{other}` is not a split: 0, 1 or 2 (train, val, test)")),
        }
    })
}

/// The rows of `identity_CelebA`.
pub(crate) fn read_identities(path: &Path) -> Result<Vec<(String, u32)>> {
    read(path, &Kind { columns: &["identity"], counted: false, noun: "column" }, |name, values| {
        values[0]
            .parse()
            .map_err(|_| format!("{name}: `{}` is not the number of a person", values[0]))
    })
}

/// The rows of `list_landmarks_align_celeba` or `list_bbox_celeba`: N numbers of pixels.
pub(crate) fn read_pixels<const N: usize>(
    path: &Path,
    columns: &[&str; N],
) -> Result<Vec<(String, [i32; N])>> {
    read(path, &Kind { columns, counted: true, noun: "column" }, |name, values| {
        let mut out = [0; N];
        for (out, (value, column)) in out.iter_mut().zip(values.iter().zip(columns)) {
            *out = value
                .parse()
                .map_err(|_| format!("{name}: `{value}` for {column} is not a number of pixels"))?;
        }
        Ok(out)
    })
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
        let rows: String =
            rows.iter().map(|(name, values)| format!("{name} {}\n", values.join("  "))).collect();
        format!("{count}\n{} \n{rows}", ATTRIBUTES.join(" "))
    }

    #[test]
    fn wrong_files_are_told_by_line() {
        assert!(message("").contains("line 1: the file is empty"));
        assert!(message("x\n").contains("`x` is not the number of images"));
        assert!(
            message("1\nYoung\n")
                .contains("line 2: attribute 1 is `Young`, expected `5_o_Clock_Shadow`")
        );
        assert!(
            message(&file("1", &[("1.jpg", vec!["1"; 39])]))
                .contains("line 3: 1.jpg has 39 values, expected 40")
        );
        assert!(message(&file("1", &[("1.jpg", vec!["1"; 41])])).contains("has 41 values"));
        assert!(
            message(&file("1", &[("1.jpg", vec!["0"; 40])]))
                .contains("`0` for 5_o_Clock_Shadow is neither 1 nor -1")
        );
        assert!(
            message(&file("2", &[("1.jpg", vec!["1"; 40])]))
                .contains("says 2 images, but 1 rows follow")
        );
        assert!(
            message(&file("2", &[("1.jpg", vec!["1"; 40]), ("1.jpg", vec!["1"; 40])]))
                .contains("line 4: 1.jpg was already given in line 3")
        );
        assert!(
            message(&file("1", &[("../1.jpg", vec!["1"; 40])]))
                .contains("not the name of an image file")
        );
    }

    #[test]
    fn kaggles_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let row = |name: &str| format!("{name},{}", ["-1"; 39].join(",") + ",1");
        let csv =
            |rows: &[String]| format!("image_id,{}\r\n{}", ATTRIBUTES.join(","), rows.join("\r\n"));
        let rows = read_attributes(&write(
            "list_attr_celeba.csv",
            &csv(&[row("000001.jpg"), row("000002.jpg")]),
        ))
        .unwrap();
        assert_eq!(
            (rows.len(), rows[1].0.as_str(), rows[1].1),
            (2, "000002.jpg", Labels::default().with(39, true))
        );
        let told = |text: &str| {
            read_attributes(&write("list_attr_celeba.csv", text)).unwrap_err().to_string()
        };
        assert!(told("").contains("line 1: the header has 0 columns"));
        assert!(
            told(&csv(&[]).replace("Smiling", "Smyling"))
                .contains("line 1: attribute 32 is `Smyling`, expected `Smiling`")
        );
        assert!(
            told(&csv(&[row("a.jpg").replace(",1", ",0")]))
                .contains("line 2: a.jpg: `0` for Young")
        );

        let parts = read_partition(&write(
            "list_eval_partition.csv",
            "image_id,partition\r\n000001.jpg,0\r\n000002.jpg,2",
        ))
        .unwrap();
        assert_eq!(parts, [("000001.jpg".into(), 0), ("000002.jpg".into(), 2)]);
        let own =
            read_partition(&write("mine.csv", "image,split\na.jpg,test\nb.jpg,valid\n")).unwrap();
        assert_eq!(own, [("a.jpg".into(), 2), ("b.jpg".into(), 1)]);
        let boxes = read_pixels(
            &write(
                "list_bbox_celeba.csv",
                "image_id,x_1,y_1,width,height\n000001.jpg,95,71,226,313\n",
            ),
            &BOX,
        )
        .unwrap();
        assert_eq!(boxes, [("000001.jpg".into(), [95, 71, 226, 313])]);
    }

    #[test]
    fn the_other_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let points = format!(
            "1\n{} \n000001.jpg 69  109  106  113   77  142   73  152  108  154\n",
            LANDMARKS.join(" ")
        );
        let read =
            read_pixels(&write("list_landmarks_align_celeba.txt", points.as_bytes()), &LANDMARKS)
                .unwrap();
        assert_eq!(read, [("000001.jpg".into(), [69, 109, 106, 113, 77, 142, 73, 152, 108, 154])]);
        let boxes = write(
            "list_bbox_celeba.txt",
            b"1\nimage_id x_1 y_1 width height\n000001.jpg    95  71 226 313\n",
        );
        assert_eq!(read_pixels(&boxes, &BOX).unwrap()[0].1, [95, 71, 226, 313]);
        let people = write("identity_CelebA.txt", b"000001.jpg 2880\n000002.jpg 2937\n");
        assert_eq!(read_identities(&people).unwrap()[1], ("000002.jpg".into(), 2937));
        let odd = read_identities(&write("identity_CelebA.txt", b"000001.jpg 2880\n\xFF 3\n"))
            .unwrap_err()
            .to_string();
        assert!(odd.contains("line 2: is not UTF-8 text"), "{odd}");
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
