//! The folder for PyTorch: weights, a module, the preprocessing, and a test.

use std::path::Path;

use foresee_model::Precision;
use serde_json::Value;

use super::{Examples, Source, preprocessing, steps};
use crate::error::Result;
use crate::session::MODEL;

const NETWORK: &str = include_str!("templates/foresee_network.py");
const TEST: &str = include_str!("templates/test_export.py");
const README: &str = include_str!("templates/README.md");

/// Names of the files, beside the drawn faces.
const FILES: [&str; 6] = [
    MODEL,
    "foresee_network.py",
    "preprocessing.json",
    "expected.json",
    "test_export.py",
    "README.md",
];
/// The folder of the drawn faces, and what Python leaves beside a module that it ran.
const FOLDERS: [&str; 3] = ["faces", "__pycache__", ".pytest_cache"];

/// The files of the exported folder, by their paths in it.
pub(crate) fn files(source: &Source, examples: &Examples) -> Result<Vec<(String, Vec<u8>)>> {
    let json = |value: Value| -> Result<Vec<u8>> {
        Ok((serde_json::to_string_pretty(&value)? + "\n").into_bytes())
    };
    let contents = [
        source.bytes.clone(),
        NETWORK.into(),
        json(preprocessing(&source.card))?,
        json(examples.expected(&source.card.attributes))?,
        TEST.into(),
        readme(source).into_bytes(),
    ];
    let named = FILES.into_iter().map(String::from).zip(contents);
    Ok(named.chain(examples.drawn.iter().cloned()).collect())
}

/// Whether a folder holds an export and nothing else, so that another may replace it.
pub(crate) fn is_export(folder: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(folder) else { return false };
    let known = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            FILES.iter().chain(&FOLDERS).any(|own| name == *own)
        })
    };
    let is_face = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            entry.file_type().is_ok_and(|kind| kind.is_file()) && is_drawn_face(&name)
        })
    };
    let holds_faces =
        std::fs::read_dir(folder.join("faces")).is_ok_and(|mut entries| entries.all(is_face));
    folder.join(FILES[1]).is_file()
        && folder.join(FILES[3]).is_file()
        && entries.all(known)
        && holds_faces
}

/// Whether a name is one that a drawn face has: two digits.
fn is_drawn_face(name: &str) -> bool {
    name.strip_suffix(".png")
        .is_some_and(|stem| stem.len() == 2 && stem.bytes().all(|b| b.is_ascii_digit()))
}

fn readme(source: &Source) -> String {
    let card = &source.card;
    let steps: Vec<String> =
        steps(card).iter().enumerate().map(|(i, step)| format!("{}. {step}", i + 1)).collect();
    let names: Vec<String> = card.attributes.iter().map(|name| format!("`{name}`")).collect();
    // A model file can say anything.
    let trained_on = card.trained_on.replace(char::is_control, "\u{FFFD}");
    let precision = match card.network.precision {
        Precision::F32 => "",
        Precision::Bf16 => {
            " The\n  network was trained with bfloat16 products, and Foresee evaluates it with \
             them: there\n  probabilities differ by some thousandths."
        }
    };
    let compacted = card.compaction().map_or_else(String::new, |text| {
        format!(
            "\n\nThe network was {text}.\nMasks that were left out are plain weights here: their \
             filters are 0 and their biases -100, so\nthat they are 0. Their mean contributions \
             are in the biases of the readout. Where they\nwould have opened, as they may under \
             noise, the network before it was compacted answers\ndifferently."
        )
    });
    README
        .replace("{{trained_on}}", &trained_on)
        .replace("{{compacted}}", &compacted)
        .replace("{{threshold}}", &card.conventions.threshold.to_string())
        .replace("{{steps}}", &steps.join("\n"))
        .replace("{{precision}}", precision)
        .replace("{{attributes}}", &card.attributes.len().to_string())
        .replace("{{names}}", &names.join(", "))
}
