//! A small network that tells four patterns apart, and images of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresee_tests::{text, xtask, xtask_command};

use crate::{AnyResult, write_png};

/// Images of each of the four patterns.
pub const OF_A_KIND: usize = 6;
const NAMES: [&str; 4] = ["lying", "standing", "disc", "frame"];

pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shapes.onnx")
}

/// Images of the four patterns with their labels, as PNG files.
pub struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> AnyResult<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        fs::create_dir(made.path("images"))?;
        let mut classes = String::from("image,label\n");
        for number in 0..4 * OF_A_KIND {
            let kind = number % 4;
            let name = format!("{number:02}.png");
            write_png(&made.path("images").join(&name), 32, &drawn(kind, number))?;
            classes += &format!("{name},{}\n", NAMES[kind]);
        }
        fs::write(made.path("labels.csv"), classes)?;
        fs::write(made.path("classes.txt"), NAMES.join("\n"))?;
        Ok(made)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with the fixture's model, images, labels and classes.
    pub fn run(&self, command: &str, out: &str, more: &[&str]) -> AnyResult<Output> {
        self.run_with(command, &model(), out, more)
    }

    pub fn run_with(
        &self,
        command: &str,
        model: &Path,
        out: &str,
        more: &[&str],
    ) -> AnyResult<Output> {
        Ok(self.command_with(command, model, out, more)?.output()?)
    }

    /// The same command, to be started.
    pub fn command(&self, command: &str, out: &str, more: &[&str]) -> AnyResult<Command> {
        self.command_with(command, &model(), out, more)
    }

    fn command_with(
        &self,
        command: &str,
        model: &Path,
        out: &str,
        more: &[&str],
    ) -> AnyResult<Command> {
        let paths = [
            model.to_path_buf(),
            self.path("images"),
            self.path("labels.csv"),
            self.path("classes.txt"),
            self.path(out),
        ];
        let options = ["--model", "--images", "--labels", "--classes", "--out"];
        let mut arguments = vec![command];
        for (option, path) in options.iter().zip(&paths) {
            // A test gives its own instead.
            if !more.contains(option) {
                arguments.extend([*option, text(path)?]);
            }
        }
        arguments.extend(more);
        xtask_command(&arguments)
    }
}

impl Fixture {
    /// The command that saves a pruned network, which needs no folder.
    pub fn pruned(&self, more: &[&str]) -> AnyResult<Output> {
        let paths =
            [model(), self.path("images"), self.path("labels.csv"), self.path("classes.txt")];
        let options = ["--model", "--images", "--labels", "--classes"];
        let mut arguments = vec!["prune"];
        for (option, path) in options.iter().zip(&paths) {
            arguments.extend([option, text(path)?]);
        }
        arguments.extend(more);
        xtask(&arguments, &[])
    }
}

/// 32 pixels a side, RGB.
fn drawn(kind: usize, number: usize) -> Vec<u8> {
    let colours = [[200, 40, 60], [30, 160, 220], [240, 220, 60], [40, 60, 50]];
    let (ground, ink) = (colours[number % 4], colours[(number / 4 + number + 1) % 4]);
    let ink = if ink == ground { [255, 255, 255] } else { ink };
    let period = 4 + (number / 4 % 5) as i32;
    let pixel = |at: i32| {
        let (x, y) = (at % 32 - 16, at / 32 - 16);
        let is_on = match kind {
            0 => (y + 32) / period % 2 == 0,
            1 => (x + 32) / period % 2 == 0,
            2 => x * x + y * y < (period + 4) * (period + 4),
            _ => (x.abs().max(y.abs()) - period - 4).abs() < 2,
        };
        if is_on { ink } else { ground }
    };
    (0..32 * 32).flat_map(pixel).collect()
}
