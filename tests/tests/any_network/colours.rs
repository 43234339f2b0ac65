//! Networks of two layers that tell red, green and blue apart, made here with all kinds of ends and
//! inputs; and images of one colour each.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use candle_core::{Device, Tensor};
use foresee_graph::{Binary, Builder, Kind, Op, PoolKind, Unary, ValueId, Window};
use foresee_tests::xtask;

use crate::{AnyResult, text_of, write_png};

pub const COLOURS: [&str; 3] = ["red", "green", "blue"];
/// Images of each colour.
const OF_A_KIND: usize = 4;
/// Their sides.
const SIDE: usize = 8;

/// What a network is like.
#[derive(Default)]
pub struct Network {
    /// The sizes of the input; empty: [B, 3, 8, 8].
    pub input: Vec<Option<usize>>,
    /// Whether the input's channels come last.
    pub channels_last: bool,
    /// Only whether an image is red.
    pub only_red: bool,
    /// Whether the input is integers, 0 to 255, which the network normalises itself.
    pub takes_bytes: bool,
    /// A sigmoid gate on the hidden channels.
    pub gate: bool,
    /// What every logit is multiplied by.
    pub scale: Option<f32>,
    /// What follows the logits.
    pub end: Vec<Op>,
}

impl Network {
    pub fn ends_in(end: &[Op]) -> Self {
        Self { end: end.to_vec(), ..Self::default() }
    }

    /// The ONNX file. The logit of a colour is 1 for images of it and -1 for others, times the
    /// scale, where pixels are normalised to [-1, 1].
    pub fn onnx(&self) -> AnyResult<Vec<u8>> {
        let (side, scale) = (Some(SIDE), self.scale.unwrap_or(1.));
        let sizes = if self.input.is_empty() {
            vec![None, Some(3), side, side]
        } else {
            self.input.clone()
        };
        let channels = if self.channels_last { sizes[3] } else { sizes[1] }.unwrap_or(3);
        let outputs = if self.only_red { 1 } else { channels };
        let mut builder = Builder::new();
        let kind = if self.takes_bytes { Kind::Int } else { Kind::Float };
        let mut x = builder.input_of("image", kind, sizes)?;
        if self.channels_last {
            let order = Some(vec![0, 3, 1, 2]);
            x = builder.node("channels_first", Op::Transpose { order }, &[x])?;
        }
        let (unit, shift) = match self.takes_bytes {
            true => {
                x = builder.node("float", Op::Cast(Kind::Float), &[x])?;
                (1. / 127.5, -1.)
            }
            false => (1., 0.),
        };
        // Each channel twice.
        let hidden =
            |row: usize, column: usize| unit * f32::from(u8::from(row % channels == column));
        let x = conv(&mut builder, "hidden", (2 * channels, channels), (hidden, shift), x)?;
        let mut x = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
        if self.gate {
            let pooled = builder.node("squeeze", Op::GlobalPool(PoolKind::Average), &[x])?;
            let gate = builder.node("gate", Op::Unary(Unary::Sigmoid), &[pooled])?;
            x = builder.node("gated", Op::Binary(Binary::Mul), &[x, gate])?;
        }
        let output =
            |row: usize, column: usize| scale * f32::from(u8::from(column % channels == row));
        let y = conv(&mut builder, "output", (outputs, 2 * channels), (output, -scale), x)?;
        let y = builder.node("pool", Op::GlobalPool(PoolKind::Average), &[y])?;
        let mut y = builder.node("logits", Op::Flatten { axis: 1 }, &[y])?;
        for (place, op) in self.end.iter().enumerate() {
            y = builder.node(&format!("end{place}"), op.clone(), &[y])?;
        }
        Ok(builder.finish(vec![y])?.to_onnx(&[])?)
    }
}

/// A convolution of single pixels.
fn conv(
    builder: &mut Builder,
    name: &str,
    (rows, columns): (usize, usize),
    (weight, bias): (impl Fn(usize, usize) -> f32, f32),
    x: ValueId,
) -> AnyResult<ValueId> {
    let values: Vec<f32> =
        (0..rows * columns).map(|at| weight(at / columns, at % columns)).collect();
    let weight = Tensor::from_vec(values, (rows, columns, 1, 1), &Device::Cpu)?;
    let weight = builder.weight(&format!("{name}.weight"), weight)?;
    let bias = Tensor::full(bias, rows, &Device::Cpu)?;
    let bias = builder.weight(&format!("{name}.bias"), bias)?;
    Ok(builder.node(name, Op::Conv(Window::new(2)), &[x, weight, bias])?)
}

/// Images of one colour each in `images`, and labels of all kinds.
pub struct Colours {
    folder: tempfile::TempDir,
}

impl Colours {
    pub fn new() -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        let [mut classes, mut red, mut columns] =
            ["label", "label", "red,green,blue"].map(|columns| format!("image,{columns}\n"));
        for number in 0..3 * OF_A_KIND {
            let kind = number % 3;
            let name = format!("all/{}/{number:02}.png", COLOURS[kind]);
            let path = made.path("images").join(&name);
            fs::create_dir_all(path.parent().ok_or("a folder")?)?;
            let shade = 255 - 10 * (number / 3) as u8;
            let pixel = [0, 1, 2].map(|channel| if channel == kind { shade } else { 0 });
            write_png(&path, SIDE as u32, &pixel.repeat(SIDE * SIDE))?;
            classes += &format!("{name},{kind}\n");
            red += &format!("{name},{}\n", u8::from(kind == 0));
            let is = [0, 1, 2].map(|k| u8::from(k == kind).to_string());
            columns += &format!("{name},{}\n", is.join(","));
        }
        for (file, text) in [("classes", classes), ("red", red), ("columns", columns)] {
            fs::write(made.path(&format!("{file}.csv")), text)?;
        }
        Ok(made)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with this network.
    pub fn model(&self, name: &str, network: &Network) -> AnyResult<String> {
        fs::write(self.path(name), network.onnx()?)?;
        Ok(text_of(&self.path(name)))
    }

    /// A command with a network, images whose pixels become -1 to 1, and more arguments, of which
    /// files that begin with `@` lie in this folder.
    pub fn run(&self, command: &str, model: &str, more: &[&str]) -> AnyResult<Output> {
        self.run_plain(command, model, &[&["--mean", "0.5", "--std", "0.5"], more].concat())
    }

    /// The same without a word on pixels.
    pub fn run_plain(&self, command: &str, model: &str, more: &[&str]) -> AnyResult<Output> {
        let mut arguments = vec![command, "--model", model];
        // A test gives its own instead.
        if !more.contains(&"--images") {
            arguments.extend(["--images", "@images"]);
        }
        arguments.extend(more);
        let of_folder = |argument: &&str| match argument.strip_prefix('@') {
            Some(name) => text_of(&self.path(name)),
            None => (*argument).to_owned(),
        };
        let arguments: Vec<String> = arguments.iter().map(of_folder).collect();
        xtask(&arguments, &[])
    }
}
