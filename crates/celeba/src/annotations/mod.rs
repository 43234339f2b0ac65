//! CelebA's annotation files: text as distributed, with white space between fields, and CSV as on
//! Kaggle.

mod table;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use crate::attributes::{ATTRIBUTES, Labels};
use crate::error::{Error, Result};
use crate::split::Split;
use table::Schema;

pub(crate) use table::checked_name;

/// The x and y of five points of a face, in the order of `list_landmarks_align_celeba.txt`.
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

/// A face's bounding box in the uncropped image, in the order of `list_bbox_celeba.txt`.
pub const BOX: [&str; 4] = ["x_1", "y_1", "width", "height"];

/// The rows of `list_attr_celeba`.
pub(crate) fn read_attributes(path: &Path) -> Result<Vec<(String, Labels)>> {
    let schema = Schema { columns: &ATTRIBUTES, has_header: true, noun: "attribute" };
    // Files that were saved anew may have 0 or False in place of -1: all through, or it is wrong.
    let absent = Cell::new(None);
    table::read(path, &schema, |name, values| {
        let labels = values.iter().zip(ATTRIBUTES).map(|(&value, attribute)| {
            let wrong = |why: &str| Err(format!("{name}: `{value}` for {attribute} {why}"));
            let kind = match value {
                "1" | "1.0" | "True" | "TRUE" | "true" => return Ok(true),
                "-1" | "-1.0" => "-1",
                "0" | "0.0" | "False" | "FALSE" | "false" => "0",
                _ => return wrong("is neither 1 nor -1"),
            };
            match absent.replace(Some(kind)) {
                Some(before) if before != kind => wrong(&format!(
                    "stands beside {before}: one of them must mean absent throughout"
                )),
                _ => Ok(false),
            }
        });
        labels.collect()
    })
}

/// The rows of `list_eval_partition`, or of a list of the user's own, whose column may be called
/// `split`: 0 or train, 1 or val, 2 or test.
pub(crate) fn read_partition(path: &Path) -> Result<Vec<(String, Split)>> {
    let last = table::last_csv_column(path)?;
    let named_split = last.is_some_and(|column| column.eq_ignore_ascii_case("split"));
    let columns = if named_split { ["split"] } else { ["partition"] };
    let schema = Schema { columns: &columns, has_header: false, noun: "column" };
    table::read(path, &schema, |name, values| match values[0] {
        "0" | "train" => Ok(Split::Train),
        "1" | "val" | "valid" | "validation" => Ok(Split::Val),
        "2" | "test" => Ok(Split::Test),
        other => Err(format!("{name}: `{other}` is not a split: 0, 1 or 2 (train, val, test)")),
    })
}

/// The rows of `identity_CelebA`: the number of the person in each image, counted from 1.
pub(crate) fn read_identities(path: &Path) -> Result<Vec<(String, u32)>> {
    let schema = Schema { columns: &["identity"], has_header: false, noun: "column" };
    table::read(path, &schema, |name, values| {
        values[0].parse::<u32>().ok().filter(|&person| person > 0).ok_or_else(|| {
            format!("{name}: `{}` is not the number of a person, counted from 1", values[0])
        })
    })
}

/// The rows of `list_landmarks_align_celeba`, `list_landmarks_celeba` or `list_bbox_celeba`: N
/// coordinates in pixels.
pub(crate) fn read_pixels<const N: usize>(
    path: &Path,
    columns: &[&str; N],
) -> Result<Vec<(String, [i32; N])>> {
    let schema = Schema { columns, has_header: true, noun: "column" };
    table::read(path, &schema, |name, values| {
        let mut pixels = [0; N];
        for ((pixel, value), column) in pixels.iter_mut().zip(values).zip(columns) {
            *pixel = value
                .parse()
                .map_err(|_| format!("{name}: `{value}` for {column} is not a number of pixels"))?;
        }
        Ok(pixels)
    })
}

/// The values of a file's rows in the order of `names`. Each name must have exactly one row.
pub(crate) fn in_order_of<T: Copy>(
    names: &[String],
    rows: Vec<(String, T)>,
    path: &Path,
) -> Result<Vec<T>> {
    if rows.len() == names.len() && rows.iter().zip(names).all(|((listed, _), name)| listed == name)
    {
        return Ok(rows.into_iter().map(|(_, value)| value).collect());
    }
    let counts =
        format!("{} images are listed, but list_attr_celeba has {}", rows.len(), names.len());
    let inconsistent = |difference: String| {
        Err(Error::Inconsistent {
            path: path.into(),
            reason: format!(
                "{counts}; {difference}: take both files from the same distribution of CelebA"
            ),
        })
    };
    let mut listed: HashMap<String, T> = rows.into_iter().collect();
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        match listed.remove(name) {
            Some(value) => values.push(value),
            None => return inconsistent(format!("{name} is not listed")),
        }
    }
    match listed.into_keys().min() {
        Some(name) => inconsistent(format!("{name} is listed here only")),
        None => Ok(values),
    }
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
    fn errors_name_the_line() {
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
            message(&file("1", &[("1.jpg", vec!["2"; 40])]))
                .contains("`2` for 5_o_Clock_Shadow is neither 1 nor -1")
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
    fn csv_files_are_read() {
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
        let error = |text: &str| {
            read_attributes(&write("list_attr_celeba.csv", text)).unwrap_err().to_string()
        };
        assert!(error("").contains("line 1: the file is empty"));
        assert!(
            error(&csv(&[]).replace("Smiling", "Smyling"))
                .contains("line 1: attribute 32 is `Smyling`, expected `Smiling`")
        );
        let mixed = error(&csv(&[row("a.jpg").replace(",1", ",0")]));
        assert!(mixed.contains("line 2: a.jpg: `0` for Young stands beside -1"), "{mixed}");

        let parts = read_partition(&write(
            "list_eval_partition.csv",
            "image_id,partition\r\n000001.jpg,0\r\n000002.jpg,2",
        ))
        .unwrap();
        assert_eq!(
            parts,
            [("000001.jpg".into(), Split::Train), ("000002.jpg".into(), Split::Test)]
        );
        let own =
            read_partition(&write("mine.csv", "image,split\na.jpg,test\nb.jpg,valid\n")).unwrap();
        assert_eq!(own, [("a.jpg".into(), Split::Test), ("b.jpg".into(), Split::Val)]);
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

    /// What Excel, R, pandas and editors make of the same rows.
    #[test]
    fn files_that_were_saved_anew_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let values = |absent: &str, present: &str, by: &str| {
            [vec![absent; 39], vec![present]].concat().join(by)
        };
        let header = |by: &str| ATTRIBUTES.join(by);
        let quoted: Vec<String> = ATTRIBUTES.iter().map(|a| format!("\"{a}\"")).collect();
        let r_names = header(",").replace("5_o_Clock", "X5_o_Clock");
        let (commas, semicolons) = (values("-1", "1", ","), values("-1", "1", ";"));
        let spaces = values("-1", "1", "  ");
        let files = [
            ("csv", format!("\u{feff}image_id;{}\r\na.jpg;{semicolons}\r\n\r\n", header(";"))),
            ("csv", format!("sep=;\r\nimage_id;{}\r\na.jpg;{semicolons}\r\n", header(";"))),
            ("csv", format!("\"\",\"image_id\",{}\n\"1\",\"a.jpg\",{commas}\n", quoted.join(","))),
            ("csv", format!("Unnamed: 0,image_id,{}\n0,a.jpg,{commas}\n", header(","))),
            ("csv", format!("image_id,{r_names}\na.jpg,{}\n", values("-1.0", "1.0", ","))),
            ("csv", format!("image_id,{}\na.jpg,{}\n", header(","), values("0", "1", ","))),
            ("csv", format!("Image_ID,{}\na.jpg,{}\n", header(","), values("FALSE", "TRUE", ","))),
            ("csv", format!("image_id,{},,\na.jpg,{commas},,\n,,,\n", header(","))),
            ("txt", format!("1\r\n{}\r\na.jpg {spaces}\r\n\r\n", header(" "))),
            ("txt", format!("{}\na.jpg\t{}\n", header("\t"), values("-1", "1", "\t"))),
        ];
        for (number, (extension, text)) in files.iter().enumerate() {
            let path = folder.path().join(format!("{number}.{extension}"));
            std::fs::write(&path, text).unwrap();
            let rows = read_attributes(&path).unwrap_or_else(|e| panic!("{number}: {e}"));
            assert_eq!(rows, [("a.jpg".into(), Labels::default().with(39, true))], "{number}");
        }
        // Names with a comma, a quote or a space.
        let path = folder.path().join("names.csv");
        let names = ["smith,john_041.jpg", "a\"b\".jpg", "=1+1.jpg"];
        let rows: String = names
            .iter()
            .map(|name| format!("\"{}\",{commas}\n", name.replace('"', "\"\"")))
            .collect();
        std::fs::write(&path, format!("image_id,{}\n{rows}", header(","))).unwrap();
        let found = read_attributes(&path).unwrap();
        assert!(found.iter().map(|(name, _)| name).eq(names));
        let path = folder.path().join("names.txt");
        std::fs::write(&path, format!("1\n{}\nmy photo.jpg {spaces}\n", header(" "))).unwrap();
        assert_eq!(read_attributes(&path).unwrap()[0].0, "my photo.jpg");
        let path = folder.path().join("utf16.csv");
        std::fs::write(&path, b"\xFF\xFEi\0m\0").unwrap();
        assert!(read_attributes(&path).unwrap_err().to_string().contains("save the file as UTF-8"));
        let path = folder.path().join("mine.csv");
        std::fs::write(&path, "\"image\";\"Split\"\n\"a.jpg\";\"test\"\n").unwrap();
        assert_eq!(read_partition(&path).unwrap(), [("a.jpg".into(), Split::Test)]);
    }

    #[test]
    fn landmarks_boxes_and_identities_are_read() {
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
        for person in ["0", "-3", "x", "4294967296"] {
            let rows = format!("000001.jpg 2880\n000002.jpg {person}\n");
            let told = read_identities(&write("identity_CelebA.txt", rows.as_bytes()))
                .unwrap_err()
                .to_string();
            let reason = format!("line 2: 000002.jpg: `{person}` is not the number of a person");
            assert!(told.contains("identity_CelebA.txt") && told.contains(&reason), "{told}");
        }
    }

    #[test]
    fn text_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list_attr_celeba.txt");
        let mut values = vec!["-1"; 40];
        values[31] = "1";
        std::fs::write(&path, file("1", &[("000001.jpg", values)])).unwrap();
        let rows = read_attributes(&path).unwrap();
        assert_eq!(rows, [("000001.jpg".to_owned(), Labels::default().with(31, true))]);
    }
}
