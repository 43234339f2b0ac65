//! A study of three runs of some seconds, and the program in the folder that it lies in.

use std::path::PathBuf;
use std::process::{Command, Output};

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A variant with sparse masks, one whose plans of pruning lack a takeover, one on drawn faces.
const STUDY: &str = r#"
profile = "smoke"
set = [
  "prune.images=6", "transform.validation=4", "transform.sigmas=[0.0, 0.1]",
  "transform.curves=['identity', 'power n=1 beta=0.05', 'power n=1 beta=0.1']",
  "predict.images=4", "attribute.images=0", "predict.channels=4", "predict.resamples=10",
  MORE
]

[[variant]]
name = "sparse"
set = ["train.lambda=1e-4"]

[[variant]]
name = "dense"
set = ["train.sparsity=mean", "prune.takeover=false"]

[[variant]]
name = "drawn"
synthetic = true
"#;

/// A folder with faces and a study.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With these settings, too.
    pub fn new(settings: &[&str]) -> AnyResult<Self> {
        let place = Self { folder: tempfile::tempdir()? };
        let more: String = settings.iter().map(|setting| format!("{setting:?}, ")).collect();
        std::fs::write(place.path("study.toml"), STUDY.replace("MORE", &more))?;
        let mut drawn = place.foresee(&["data", "synthesize", "--out", "faces", "--faces", "60"]);
        succeeded(&drawn.output()?);
        Ok(place)
    }

    /// A place in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, in this folder.
    pub fn foresee(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("SLURM_ARRAY_TASK_ID").args(["--threads", "1"]);
        command
    }

    /// The study.
    pub fn study(&self, out: &str, more: &[&str]) -> Command {
        let study = ["fidelity", "--celeba", "faces", "--study", "study.toml"];
        self.foresee(&[&study[..], &["--out", out], more].concat())
    }
}

/// What a command wrote to stderr: its log and its error.
pub fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", message(output));
}
