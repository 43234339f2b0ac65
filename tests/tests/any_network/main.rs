//! ONNX networks on the command line: what each command leaves, that finished work is not done
//! again, how answers and labels are read, and what bad input gets. `fixtures/shapes.py` made the
//! network of shapes.

mod answers;
mod bad_input;
mod colours;
mod commands;
mod shapes;

use std::fs;
use std::path::Path;
use std::process::Output;

use foresee_tests::message;
use serde_json::Value;

type AnyResult<T = ()> = Result<T, foresee_tests::forms::AnyError>;

fn succeeded(output: &Output) -> AnyResult<String> {
    assert!(output.status.success(), "{}", message(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn document(output: &Output) -> AnyResult<Value> {
    Ok(serde_json::from_str(&succeeded(output)?)?)
}

fn refused(output: &Output, reasons: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{reasons:?}: {}", message(output));
    for reason in reasons {
        assert!(message(output).contains(reason), "{reason}: {}", message(output));
    }
}

/// The time that each part of a folder's manifest took: another one if it was done again.
fn seconds(folder: &Path) -> AnyResult<Vec<(String, f64)>> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)?;
    let stages = manifest["stages"].as_object().ok_or("stages")?;
    let seconds =
        |(name, stage): (&String, &Value)| Some((name.clone(), stage["wall_seconds"].as_f64()?));
    Ok(stages.iter().filter_map(seconds).collect())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// An image file of so many pixels a side.
fn write_png(path: &Path, side: u32, rgb: &[u8]) -> AnyResult {
    let mut encoder = png::Encoder::new(fs::File::create(path)?, side, side);
    encoder.set_color(png::ColorType::Rgb);
    Ok(encoder.write_header()?.write_image_data(rgb)?)
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}
