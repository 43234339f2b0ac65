//! What bad input gets: messages that name the place, and no folder.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_graph::{Builder, Graph, Op, PoolKind, Window};
use foresee_tests::{text, xtask};

use crate::shapes::{Fixture, OF_A_KIND, model};
use crate::{AnyResult, refused, succeeded, text_of};

#[test]
fn bad_input_is_told_with_its_place() -> AnyResult {
    let made = Fixture::new()?;
    let write = |name: &str, text: &str| -> AnyResult<String> {
        fs::write(made.path(name), text)?;
        Ok(text_of(&made.path(name)))
    };
    let few = write("few.csv", "image,label\n00.png,0\n")?;
    let wrong = write("wrong.csv", &format!("image,label\n{}", rows("spiral")))?;
    let columns = write("columns.csv", &format!("image,a,b\n{}", rows("0,1")))?;
    let three = write("three.txt", "a\nb\nc\n")?;
    let empty = made.path("empty");
    fs::create_dir(&empty)?;
    let none = text_of(&made.path("none"));
    let inside = text_of(&made.path("images/out"));
    let explain = |more: &[&str], reasons: &[&str]| -> AnyResult {
        refused(&made.run("explain", "out", more)?, reasons);
        assert!(!made.path("out").exists(), "{reasons:?} left a folder");
        Ok(())
    };
    explain(&["--images", &none], &["--images", "none", "does not exist"])?;
    explain(&["--images", text(&empty)?], &["holds no JPEG or PNG"])?;
    explain(&["--labels", &few], &["few.csv", "no row for the image"])?;
    explain(&["--labels", &wrong], &["wrong.csv", "row 1: there is no output `spiral`"])?;
    explain(&["--labels", &columns], &["columns.csv", "each of the network's 4 outputs"])?;
    explain(&["--classes", &three], &["three.txt", "has 3 lines", "4 outputs"])?;
    explain(&["--mean", "0.5,0.5"], &["--mean: 2 numbers", "3 channels"])?;
    explain(&["--std", "0"], &["--std 0"])?;
    explain(&["--size", "64"], &["shapes.onnx", "is 32x32", "not 64x64"])?;
    explain(&["--layout", "nhwc"], &["shapes.onnx", "channels"])?;
    explain(&["--output", "nothing"], &["no value or node `nothing`"])?;
    explain(&["--output", "relu"], &["answers are [B, K]", "--output"])?;
    explain(&["--class", "spiral"], &["--class", "no output `spiral`"])?;
    explain(&["--image", "99.png"], &["--image 99.png"])?;
    refused(&made.run("explain", "out", &["--out", &inside])?, &["among the images"]);
    fs::write(made.path("images/00.png"), "no image")?;
    refused(
        &made.run("explain", "out", &["--image", "00.png"])?,
        &["00.png", "neither a JPEG nor"],
    );
    Ok(())
}

/// A row for each image.
fn rows(cells: &str) -> String {
    (0..4 * OF_A_KIND).map(|number| format!("{number:02}.png,{cells}\n")).collect()
}

#[test]
fn models_that_cannot_be_used_are_told_with_their_place() -> AnyResult {
    let made = Fixture::new()?;
    let bytes = fs::read(model())?;
    let explain = |name: &str, bytes: Option<Vec<u8>>, reasons: &[&str]| -> AnyResult {
        let file = made.path(name);
        if let Some(bytes) = bytes {
            fs::write(&file, bytes)?;
        }
        refused(&made.run_with("explain", &file, "out", &[])?, &[&[name][..], reasons].concat());
        assert!(!made.path("out").exists(), "{name} left a folder");
        Ok(())
    };
    explain("none.onnx", None, &["cannot be read"])?;
    explain("cut.onnx", Some(bytes[..bytes.len() / 2].to_vec()), &["damaged"])?;
    explain("text.onnx", Some(b"I am no network".to_vec()), &["damaged"])?;
    let unknown = replaced(&bytes, b"Sigmoid", b"Sygmoid");
    explain("unknown.onnx", Some(unknown), &["node_sigmoid", "Sygmoid", "not supported"])?;
    explain("nan.onnx", Some(with_nan(&model())?), &["NaN", "fc.weight"])?;
    explain("four.onnx", Some(four_channels()?), &["has 4 channels, but images have 1 or 3"])?;
    Ok(())
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// The network with a weight that is no number.
fn with_nan(file: &Path) -> AnyResult<Vec<u8>> {
    let graph = Graph::from_onnx(file)?;
    let id = graph.find("fc.weight")?;
    let weight = graph.weight(id).ok_or("a weight")?;
    let broken = (weight * f64::NAN)?;
    Ok(graph.with_weight(id, broken)?.to_onnx(&[])?)
}

/// A network for images of four channels.
fn four_channels() -> AnyResult<Vec<u8>> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4), Some(32), Some(32)])?;
    let weight = Tensor::ones((4, 4, 1, 1), candle_core::DType::F32, &Device::Cpu)?;
    let weight = builder.weight("conv.weight", weight)?;
    let y = builder.node("conv", Op::Conv(Window::new(2)), &[x, weight])?;
    let y = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[y])?;
    let y = builder.node("flat", Op::Flatten { axis: 1 }, &[y])?;
    Ok(builder.finish(vec![y])?.to_onnx(&[])?)
}

#[test]
fn a_folder_belongs_to_one_network() -> AnyResult {
    let made = Fixture::new()?;
    let few = ["--limit", "1", "--method", "grad-cam"];
    succeeded(&made.run("explain", "out", &few)?)?;
    let graph = Graph::from_onnx(&model())?;
    let id = graph.find("fc.bias")?;
    let bias = graph.weight(id).ok_or("a weight")?;
    let other = made.path("other.onnx");
    let shifted = (bias + 1.)?;
    fs::write(&other, graph.with_weight(id, shifted)?.to_onnx(&[])?)?;
    let refusal = made.run_with("explain", &other, "out", &few)?;
    refused(&refusal, &["results of another network", "shapes.onnx"]);
    let run = xtask(&["prune", "--run", text(&made.path("out"))?], &[])?;
    refused(&run, &["ONNX network", "no run"]);
    Ok(())
}
