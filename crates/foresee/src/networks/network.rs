//! A network from an ONNX file: what it is given, and which of its values are the logits.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Graph, Kind, OnnxOptions, Origin, ValueId};

use super::activation::FinalActivation;
use super::image_input::{ImageInput, Layout};
use crate::error::{Result, input};
use crate::hash::{file_sha256, sha256};

/// What is said about a network that its file does not tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkOptions {
    /// Height and width of the images.
    pub size: Option<(usize, usize)>,
    /// Where the channels are.
    pub layout: Option<Layout>,
    /// The value that is the answer, instead of the first output.
    pub output: Option<String>,
}

/// A network that is given images and has one logit for each of its K outputs.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The ONNX file.
    pub file: PathBuf,
    /// As in the file, but for sizes of the images that it leaves open. It takes numbers with a
    /// fraction also where the file takes bytes.
    pub graph: Graph,
    /// What it is given.
    pub input: ImageInput,
    /// The sizes of its input in the file.
    file_sizes: Vec<Option<usize>>,
    /// The value that is the answer, [B, K].
    pub output: ValueId,
    /// K.
    pub outputs: usize,
    /// What the file makes the answer of logits with, and the nodes that do.
    activation: Option<(Vec<String>, FinalActivation)>,
    /// How many answers were seen, as long as all of them lie in [0, 1].
    like_probabilities: Arc<AtomicUsize>,
}

/// So many answers that all lie in [0, 1] are hardly logits.
const MANY_ANSWERS: usize = 32;

/// Some answer lies elsewhere, or it was said that none does.
const DECIDED: usize = usize::MAX;

/// The graph in a file.
///
/// # Errors
/// If it is no ONNX file, or something in it is not supported.
pub(crate) fn read_graph(file: &Path, device: &Device) -> Result<Graph> {
    let options = OnnxOptions { device: device.clone(), ..OnnxOptions::default() };
    let graph = options.read(file).and_then(|graph| graph.fold_constants());
    graph.map_err(|e| input(format!("--model {e}")))
}

/// Why a network's file cannot be used as it was asked for.
pub(crate) fn refused(file: &Path, reason: impl Display) -> anyhow::Error {
    input(format!("--model {}: {reason}", file.display()))
}

impl Network {
    /// Reads a file. The shapes of all values are computed, so that what cannot work is told here.
    ///
    /// # Errors
    /// If it is no ONNX file, does not take images, or has no answer [B, K].
    pub fn open(file: &Path, options: &NetworkOptions, device: &Device) -> Result<Self> {
        let refuse = |reason: String| refused(file, reason);
        let graph = read_graph(file, device)?;
        let input = ImageInput::of(&graph, options.layout, options.size).map_err(refuse)?;
        let file_sizes = match &graph.value(input.value).origin {
            Origin::Input { sizes, .. } => sizes.clone(),
            _ => vec![],
        };
        let graph = graph
            .with_input_sizes(input.value, input.sizes())
            .and_then(|graph| graph.with_input_kind(input.value, Kind::Float))
            .map_err(|e| refuse(e.to_string()))?;
        let output = answer(&graph, options.output.as_deref()).map_err(refuse)?;
        let shapes = graph.shapes(1, &[]).map_err(|e| refuse(e.to_string()))?;
        let name = &graph.value(output).name;
        if graph.kind(output) != Kind::Float {
            return Err(refuse(format!(
                "`{name}` is of whole numbers, such as the class that is chosen: name the value \
                 that is the logits with --output"
            )));
        }
        let outputs = match shapes.of(output) {
            &[_, outputs] if outputs > 0 => outputs,
            shape => {
                return Err(refuse(format!(
                    "`{name}` has the shape {shape:?}, but answers are [B, K]: name the value that \
                     is the answer with --output"
                )));
            }
        };
        let activation = FinalActivation::find(&graph, &shapes, output).map(|(nodes, found)| {
            let name = |node| graph.node(node).name.clone();
            (nodes.into_iter().map(name).collect::<Vec<String>>(), found)
        });
        if let Some((nodes, activation)) = &activation {
            tracing::info!(
                "`{name}` ends in a {} ({}), which is left out: the answer is the logits",
                activation.title(),
                match &nodes[..] {
                    [node] => format!("node `{node}`"),
                    [node, ..] => format!("{} nodes, `{node}` is the first", nodes.len()),
                    [] => String::new(),
                }
            );
            if *activation == FinalActivation::Softmax && outputs == 1 {
                return Err(refuse(format!(
                    "`{name}` is a softmax over one value, which is always 1; name another value \
                     with --output"
                )));
            }
        }
        let (file, like_probabilities) = (file.into(), Arc::default());
        Ok(Self { file, graph, input, file_sizes, output, outputs, activation, like_probabilities })
    }

    /// What the file makes the answer of logits with.
    pub fn activation(&self) -> Option<FinalActivation> {
        self.activation.as_ref().map(|(_, activation)| *activation)
    }

    /// The graph with the logits as its one output. Values and nodes keep their ids.
    ///
    /// # Errors
    /// None for a network that was opened.
    pub fn with_logits_output(&self) -> Result<Graph> {
        self.with_logits_output_of(&self.graph)
    }

    /// The same of a graph that was made of this network's, such as a pruned one.
    ///
    /// # Errors
    /// If it lacks the node that makes the answer.
    pub fn with_logits_output_of(&self, graph: &Graph) -> Result<Graph> {
        let graph = graph.clone().with_outputs(vec![self.output])?;
        let nodes = self.activation.iter().flat_map(|(nodes, _)| nodes);
        nodes.into_iter().try_fold(graph, |graph, node| {
            let node = graph.find_node(node)?;
            Ok(graph.with_identity(node))
        })
    }

    /// The graph that gives the logits of images [B, C, H, W] whatever the file's layout.
    ///
    /// # Errors
    /// None for a network that was opened.
    pub fn channels_first(&self) -> Result<Graph> {
        let graph = self.with_logits_output()?;
        Ok(match self.input.layout {
            Layout::Nchw => graph,
            Layout::Nhwc => graph.with_channels_first(self.input.value)?.0,
        })
    }

    /// The graph with those sizes of its input open that are open in the file, and with integers if
    /// the file takes these.
    ///
    /// # Errors
    /// If it is not made of this network's graph.
    pub fn with_input_of_file(&self, graph: Graph) -> Result<Graph> {
        let kind = if self.input.takes_bytes { Kind::Int } else { Kind::Float };
        let graph = graph.with_open_input_sizes(self.input.value, self.file_sizes.clone())?;
        Ok(graph.with_input_kind(self.input.value, kind)?)
    }

    /// The logits [B, K] that a graph with this network's input gives.
    ///
    /// # Errors
    /// If a node fails, or a logit is not finite.
    pub fn logits(&self, graph: &Graph, images: &Tensor) -> Result<Tensor> {
        let logits = match self.input.batch {
            Some(batch) => {
                let each = (0..images.dim(0)?)
                    .step_by(batch)
                    .map(|at| Ok(graph.forward(&[images.narrow(0, at, batch)?])?.swap_remove(0)));
                Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 0)?
            }
            None => graph.forward(std::slice::from_ref(images))?.swap_remove(0),
        };
        let logits = logits.detach();
        let sum = (&logits * 0.)?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?;
        if sum != 0. {
            return Err(self.refused("its answers are not finite; check --mean and --std"));
        }
        self.tell_of_probabilities(&logits)?;
        Ok(logits)
    }

    /// Warns once if many answers that were taken for logits all lie in [0, 1].
    fn tell_of_probabilities(&self, logits: &Tensor) -> Result<()> {
        let seen = self.like_probabilities.load(Relaxed);
        if self.activation.is_some() || seen == DECIDED {
            return Ok(());
        }
        let all = logits.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let seen = match all.iter().all(|v| (0. ..=1.).contains(v)) {
            true => seen + all.len(),
            false => DECIDED,
        };
        if (MANY_ANSWERS..DECIDED).contains(&seen) {
            tracing::warn!(
                "all answers of these images lie in [0, 1], as probabilities do, but they are \
                 taken for logits: the network does not end in a softmax or sigmoid that is known. \
                 If they are probabilities, name the value of the logits with --output, or export \
                 the network without what makes them"
            );
        }
        let is_decided = seen >= MANY_ANSWERS;
        self.like_probabilities.store(if is_decided { DECIDED } else { seen }, Relaxed);
        Ok(())
    }

    /// Why the network cannot be used as it was asked for.
    pub fn refused(&self, reason: impl Display) -> anyhow::Error {
        refused(&self.file, reason)
    }

    /// What the results of a command depend on: SHA-256 of the file; if other files beside it hold
    /// weights, of the hashes of all.
    ///
    /// # Errors
    /// If a file is gone.
    pub fn sha256(&self) -> Result<String> {
        let files = Graph::onnx_files(&self.file).map_err(|e| input(format!("--model {e}")))?;
        let mut hashes: Vec<String> =
            files.iter().map(|file| file_sha256(file)).collect::<Result<_>>()?;
        Ok(match hashes.len() {
            1 => hashes.swap_remove(0),
            _ => sha256(hashes.concat().as_bytes()),
        })
    }
}

/// The value that is the answer.
fn answer(graph: &Graph, asked: Option<&str>) -> std::result::Result<ValueId, String> {
    if let Some(name) = asked {
        let value = graph.find(name).ok();
        let of_node = || Some(graph.node(graph.find_node(name).ok()?).outputs[0]);
        return value.or_else(of_node).ok_or_else(|| {
            format!("has no value or node `{name}` (--output); `foresee inspect` lists them")
        });
    }
    let output = graph.outputs()[0];
    if graph.outputs().len() > 1 {
        let name = &graph.value(output).name;
        let count = graph.outputs().len();
        tracing::info!("the network has {count} outputs: the first is taken, `{name}` (--output)");
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use foresee_graph::{Builder, Op, PoolKind, Softmax, Unary};

    use super::*;

    fn opened(activation: Op, output: Option<&str>) -> Result<(Network, tempfile::TempDir)> {
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(3), None, None])?;
        let mean = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[x])?;
        let logits = builder.node("logits", Op::Flatten { axis: 1 }, &[mean])?;
        let y = builder.node("activation", activation, &[logits])?;
        let y = builder.node("probabilities", Op::Identity, &[y])?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("network.onnx");
        builder.finish(vec![y])?.save_onnx(&file, &[])?;
        let output = output.map(ToOwned::to_owned);
        let options = NetworkOptions { size: Some((2, 2)), output, ..NetworkOptions::default() };
        Ok((Network::open(&file, &options, &Device::Cpu)?, folder))
    }

    #[test]
    fn the_answer_is_the_logits_whatever_the_file_makes_of_them() -> Result<()> {
        let x = Tensor::new(&[-2f32, 0., 3.], &Device::Cpu)?.reshape((1, 3, 1, 1))?;
        let x = x.broadcast_as((1, 3, 2, 2))?.contiguous()?;
        let softmax = Op::Softmax(Softmax { axis: 1, flattens: false, logarithm: false });
        let sigmoid = Op::Unary(Unary::Sigmoid);
        for (op, kind) in [(softmax, FinalActivation::Softmax), (sigmoid, FinalActivation::Sigmoid)]
        {
            for output in [None, Some("activation"), Some("probabilities")] {
                let (network, _folder) = opened(op.clone(), output)?;
                assert_eq!(network.activation(), Some(kind), "{output:?}");
                let logits = network.logits(&network.with_logits_output()?, &x)?;
                assert_eq!(logits.to_vec2::<f32>()?, [[-2., 0., 3.]], "{output:?}");
            }
            let (network, _folder) = opened(op, Some("logits"))?;
            assert_eq!(network.activation(), None);
        }
        let refusal = opened(Op::Identity, Some("nothing")).map(|_| ()).unwrap_err().to_string();
        assert!(refusal.contains("`nothing`"), "{refusal}");
        let refusal = opened(Op::Cast(Kind::Int), None).map(|_| ()).unwrap_err().to_string();
        assert!(refusal.contains("`probabilities` is of whole numbers"), "{refusal}");
        Ok(())
    }

    #[test]
    fn sizes_that_the_file_leaves_open_are_opened_again() -> Result<()> {
        let (network, _folder) = opened(Op::Identity, None)?;
        let sizes = |graph: &Graph| match &graph.value(network.input.value).origin {
            Origin::Input { sizes, .. } => sizes.clone(),
            _ => vec![],
        };
        assert_eq!(sizes(&network.graph), [None, Some(3), Some(2), Some(2)]);
        let opened = network.with_input_of_file(network.graph.clone())?;
        assert_eq!(sizes(&opened), [None, Some(3), None, None]);
        Ok(())
    }
}
