//! Tables and figures that other programs read, of faces with odd names and of hardly any faces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foresee_celeba::synthetic;
use foresee_tests::{message, text, xtask};

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

/// What images are called by people, programs and nobody.
const NAMES: [&str; 5] =
    ["smith,john_041.jpg", "a\"b\".jpg", "=1+1.jpg", "<b>|&%_#$~^\\textbf.jpg", "Żółć.jpg"];

/// Drawn faces, of which the last have these names, split as `split` says of the number of a face.
fn faces(folder: &Path, names: &[&str], split: impl Fn(usize) -> u8) -> AnyResult<PathBuf> {
    const COUNT: usize = 60;
    let faces = folder.join("faces");
    synthetic::write(&faces, COUNT, 3, |_| ())?;
    let mut attributes = fs::read_to_string(faces.join("list_attr_celeba.txt"))?;
    let mut partition = String::new();
    for face in 0..COUNT {
        let old = format!("{:06}.jpg", face + 1);
        // A backslash cannot be in a name that is listed.
        let new = names.get(COUNT - 1 - face).map_or(old.clone(), |name| name.replace('\\', ""));
        if new != old {
            let images = faces.join("img_align_celeba");
            fs::rename(images.join(&old), images.join(&new))?;
            attributes = attributes.replace(&old, &new);
        }
        partition.push_str(&format!("{new} {}\n", split(face)));
    }
    fs::write(faces.join("list_attr_celeba.txt"), attributes)?;
    fs::write(faces.join("list_eval_partition.txt"), partition)?;
    Ok(faces)
}

fn reproduce(out: &Path, faces: &Path, more: &[&str]) -> AnyResult {
    let arguments =
        ["reproduce", "--profile", "smoke", "--out", text(out)?, "--celeba", text(faces)?];
    let output = xtask(&[&arguments[..], more].concat(), &[])?;
    assert!(output.status.success(), "{}", message(&output));
    Ok(())
}

fn files(folder: &Path, extension: &str) -> AnyResult<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<AnyResult<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    assert!(!paths.is_empty(), "{}: no .{extension}", folder.display());
    paths.sort();
    Ok(paths)
}

/// Every row has as many fields as the header.
fn rows(path: &Path) -> AnyResult<Vec<csv::StringRecord>> {
    let rows: Result<Vec<_>, _> = csv::Reader::from_path(path)?.records().collect();
    Ok(rows.map_err(|e| format!("{}: {e}", path.display()))?)
}

#[test]
fn names_with_separators_and_signs_arrive_as_they_are() -> AnyResult {
    let folder = tempfile::tempdir()?;
    // The odd ones are test faces.
    let faces = faces(folder.path(), &NAMES, |face| (face >= 48) as u8 + (face >= 54) as u8)?;
    let damaged = faces.join("img_align_celeba").join(NAMES[0]);
    let whole = fs::read(&damaged)?;
    fs::write(&damaged, "no image")?;
    let out = folder.path().join("run");
    reproduce(&out, &faces, &["--skip-bad", "5"])?;
    let bad = rows(&out.join("bad_images.csv"))?;
    assert_eq!((bad.len(), &bad[0][0]), (1, NAMES[0]));
    for path in files(&out.join("data"), "csv")?.iter().chain(&files(&out.join("tables"), "csv")?) {
        rows(path)?;
    }
    fs::write(&damaged, whole)?;
    let predictions = folder.path().join("predictions.csv");
    let model = out.join("model.safetensors");
    let evaluated = xtask(
        &[
            "evaluate",
            "--model",
            text(&model)?,
            "--celeba",
            text(&faces)?,
            "--predictions",
            text(&predictions)?,
        ],
        &[],
    )?;
    assert!(evaluated.status.success(), "{}", message(&evaluated));
    let found = rows(&predictions)?;
    assert_eq!(found.len(), 6);
    for name in NAMES.map(|name| name.replace('\\', "")) {
        let row = found.iter().find(|row| row[0] == name).ok_or(name)?;
        assert!(row.len() == 41 && row.iter().skip(1).all(|p| p.parse::<f64>().is_ok()));
    }
    the_tables_are_latex(&out.join("tables"), folder.path())
}

/// ASCII, but for letters with accents; and a real TeX accepts them, where there is one.
fn the_tables_are_latex(tables: &Path, folder: &Path) -> AnyResult {
    let mut document = String::from(
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\
         \\usepackage{booktabs,array,longtable,pdflscape}\n\
         \\begin{document}\n",
    );
    for path in files(tables, "tex")? {
        let table = fs::read_to_string(&path)?;
        let odd = table.chars().find(|c| !c.is_ascii() && !('À'..='ÿ').contains(c));
        assert!(odd.is_none(), "{}: {odd:?}", path.display());
        document.push_str(&format!("{table}\\clearpage\n"));
    }
    document.push_str("\\end{document}\n");
    fs::write(folder.join("tables.tex"), document)?;
    let mut tex = Command::new("pdflatex");
    tex.args(["-interaction=nonstopmode", "-halt-on-error", "tables.tex"]).current_dir(folder);
    match tex.output() {
        Err(e) => eprintln!("pdflatex: {e}: the tables are not compiled"),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && folder.join("tables.pdf").exists(), "{told}");
        }
    }
    Ok(())
}

/// Of one face no spread is known, and of an attribute that no face has no area under a curve.
#[test]
fn one_test_face_leaves_no_number_that_is_none() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let faces = faces(folder.path(), &[], |face| (face >= 56) as u8 + (face >= 59) as u8)?;
    let out = folder.path().join("run");
    reproduce(&out, &faces, &[])?;
    let is_number = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-');
        ["NaN", "nan", "inf", "-inf", "-0.00", "-0.000"].contains(&word)
    };
    for path in files(&out.join("tables"), "md")? {
        let table = fs::read_to_string(&path)?;
        let odd = table.split_whitespace().find(|word| is_number(word));
        assert!(odd.is_none(), "{}: {odd:?}\n{table}", path.display());
    }
    let page = fs::read_to_string(out.join("report.html"))?;
    let shown: String =
        page.split("<svg").map(|part| part.split("</svg>").last().unwrap_or("")).collect();
    let odd =
        shown.split(|c: char| c.is_whitespace() || c == '<' || c == '>').find(|w| is_number(w));
    assert!(odd.is_none(), "{odd:?}");
    for (file, column) in
        [("channel_pruning", "standard_error"), ("mask_transformation", "gain_standard_error")]
    {
        let mut reader = csv::Reader::from_path(out.join(format!("data/{file}.csv")))?;
        let place = reader.headers()?.iter().position(|h| h == column).ok_or(column)?;
        for row in reader.records() {
            let value = row?.get(place).ok_or("short")?.to_owned();
            assert!(value.is_empty() || value == "NaN", "{file}: {value}");
        }
    }
    Ok(())
}
