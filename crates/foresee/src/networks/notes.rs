//! What the file of a network that this program wrote notes of its images and outputs.

use std::path::Path;

use foresee_celeba::{ATTRIBUTES, Crop, Normalisation};
use foresee_graph::Graph;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;

/// The note's name among the metadata of an ONNX file.
pub(crate) const KEY: &str = "preprocessing";

/// What images go through before the network sees them, and what it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// Which part of an image is seen.
    pub crop: Crop,
    /// Subtracted from pixels in [0, 1].
    pub mean: Vec<f32>,
    /// Then divided by.
    pub deviation: Vec<f32>,
    /// What the outputs stand for: a yes or a no each.
    pub attributes: Vec<String>,
}

impl Notes {
    /// Those of a network for CelebA's attributes that is trained by these settings.
    pub fn of_training(config: &Config) -> Self {
        let Normalisation { mean, deviation } = Normalisation::default();
        Self {
            crop: config.data.crop,
            mean: mean.to_vec(),
            deviation: deviation.to_vec(),
            attributes: ATTRIBUTES.map(String::from).to_vec(),
        }
    }

    /// Those of a file, if it has any. (What is wrong with a file is said where it is opened.)
    pub fn read(model: &Path) -> Option<Self> {
        let metadata = Graph::onnx_metadata(model).ok()?;
        let (_, text) = metadata.iter().find(|(key, _)| key == KEY)?;
        serde_json::from_str(text).ok()
    }

    /// As a file has them.
    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use foresee_graph::{Builder, Op, Unary};

    use super::*;

    #[test]
    fn a_file_gives_the_notes_that_it_was_written_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(2)]).expect("an input");
        let y = builder.node("y", Op::Unary(Unary::Relu), &[x]).expect("a node");
        let graph = builder.finish(vec![y]).expect("a graph");
        let config = Config::resolve("quick", None, &[]).expect("a profile");
        let notes = Notes::of_training(&config);
        let (with, without) = (folder.path().join("with.onnx"), folder.path().join("none.onnx"));
        graph.save_onnx(&with, &[(KEY, &notes.text().expect("text"))]).expect("a file");
        graph.save_onnx(&without, &[(KEY, "no notes")]).expect("a file");
        assert_eq!(Notes::read(&with), Some(notes));
        assert_eq!(Notes::read(&without), None);
        assert_eq!(Notes::read(&folder.path().join("nothing.onnx")), None);
    }
}
