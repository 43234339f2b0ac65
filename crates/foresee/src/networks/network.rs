//! A network from an ONNX file: what it is given, and which of its values is the answer.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Graph, Node, OnnxOptions, Op, Origin, Unary, ValueId};

use super::reader::Layout;
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

/// A network that is given images and answers with one number for each output.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The ONNX file.
    pub file: PathBuf,
    /// As in the file, but for sizes of the images that it leaves open.
    pub graph: Graph,
    /// What it is given.
    pub input: ImageInput,
    /// What answers are read from, [B, K]: above 0 is a yes, the greatest is the class.
    pub answer: ValueId,
    /// K.
    pub outputs: usize,
    /// What the file puts behind the answers.
    pub ending: Option<Ending>,
}

/// The input for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageInput {
    pub value: ValueId,
    pub layout: Layout,
    /// 1 or 3.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Images at once, if the file allows no other number.
    pub batch: Option<usize>,
}

/// A function that makes shares of answers, which orders them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Softmax,
    Sigmoid,
}

impl Ending {
    fn of(node: &Node) -> Option<Self> {
        match node.op {
            Op::Softmax(_) => Some(Self::Softmax),
            Op::Unary(Unary::Sigmoid) => Some(Self::Sigmoid),
            _ => None,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// The graph in a file.
///
/// # Errors
/// If it is no ONNX file, or something in it is not supported.
pub(crate) fn read_graph(file: &Path, device: &Device) -> Result<Graph> {
    let options = OnnxOptions { device: device.clone(), ..OnnxOptions::default() };
    options.read(file).map_err(|e| input(format!("--model {e}")))
}

impl Network {
    /// Reads a file. The network runs once, on zeros, so that what cannot work is told here.
    ///
    /// # Errors
    /// If it is no ONNX file, does not take images, or has no answer [B, K].
    pub fn open(file: &Path, options: &NetworkOptions, device: &Device) -> Result<Self> {
        let refuse = |reason: String| input(format!("--model {}: {reason}", file.display()));
        let graph = read_graph(file, device)?;
        let input = ImageInput::of(&graph, options).map_err(refuse)?;
        let graph = graph
            .with_input_sizes(input.value, input.sizes())
            .map_err(|e| refuse(e.to_string()))?;
        let (answer, ending) = answer(&graph, options.output.as_deref()).map_err(refuse)?;
        if let Some(ending) = ending {
            tracing::info!(
                "the network ends in a {}: what it is computed from (`{}`) is taken as its answer",
                ending.title(),
                graph.value(answer).name
            );
        }
        let mut network = Self { file: file.into(), graph, input, answer, outputs: 0, ending };
        let shapes = network.graph.shapes(1, &[]).map_err(|e| refuse(e.to_string()))?;
        match shapes.of(answer) {
            &[_, outputs] if outputs > 0 => network.outputs = outputs,
            shape => {
                let name = &network.graph.value(answer).name;
                return Err(refuse(format!(
                    "`{name}` has the shape {shape:?}, but answers are [B, K]: name the value \
                     that is the answer with --output"
                )));
            }
        }
        Ok(network)
    }

    /// The graph with the answer as its one output.
    ///
    /// # Errors
    /// None for a network that was opened.
    pub fn judged(&self) -> Result<Graph> {
        Ok(self.graph.clone().with_outputs(vec![self.answer])?)
    }

    /// The graph that gives the answer to images [B, C, H, W] whatever the file's layout, and the
    /// answer.
    ///
    /// # Errors
    /// None for a network that was opened.
    pub fn channels_first(&self) -> Result<Graph> {
        let graph = self.judged()?;
        Ok(match self.input.layout {
            Layout::Nchw => graph,
            Layout::Nhwc => graph.with_channels_first(self.input.value)?.0,
        })
    }

    /// The answers [B, K] of a graph with this network's input.
    ///
    /// # Errors
    /// If a node fails, or an answer is not finite.
    pub fn answers(&self, graph: &Graph, images: &Tensor) -> Result<Tensor> {
        let answers = match self.input.batch {
            Some(batch) => {
                let each = (0..images.dim(0)?)
                    .step_by(batch)
                    .map(|at| Ok(graph.forward(&[images.narrow(0, at, batch)?])?.swap_remove(0)));
                Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 0)?
            }
            None => graph.forward(std::slice::from_ref(images))?.swap_remove(0),
        };
        let answers = answers.detach();
        let sum = (&answers * 0.)?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?;
        match sum == 0. {
            true => Ok(answers),
            false => Err(input(format!(
                "--model {}: its answers are not finite; do --mean and --std fit it?",
                self.file.display()
            ))),
        }
    }

    /// What the results of a command depend on: SHA-256 of the file, and of all weights, which may
    /// lie in other files.
    ///
    /// # Errors
    /// If the file is gone.
    pub fn sha256(&self) -> Result<[String; 2]> {
        let mut weights = String::new();
        for (id, value) in self.graph.values() {
            let Some(weight) = self.graph.weight(id) else { continue };
            let all = weight.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            let bytes: Vec<u8> = all.into_iter().flat_map(f64::to_le_bytes).collect();
            let (name, shape) = (&value.name, weight.dims());
            weights.push_str(&format!("{name} {shape:?} {}\n", sha256(&bytes)));
        }
        Ok([file_sha256(&self.file)?, sha256(weights.as_bytes())])
    }
}

impl ImageInput {
    pub fn of(graph: &Graph, options: &NetworkOptions) -> std::result::Result<Self, String> {
        let names = || -> Vec<&str> {
            graph.inputs().iter().map(|id| graph.value(*id).name.as_str()).collect()
        };
        let &[value] = graph.inputs() else {
            let (count, names) = (names().len(), names().join(", "));
            return Err(format!(
                "has {count} inputs ({names}); networks with one input, for images"
            ));
        };
        let name = &graph.value(value).name;
        let sizes = match &graph.value(value).origin {
            Origin::Input(sizes) => sizes.as_slice(),
            _ => &[],
        };
        let [batch, second, third, fourth] = sizes[..] else {
            return Err(format!(
                "its input `{name}` has {} dimensions, but images have 4: [B, C, H, W]",
                sizes.len()
            ));
        };
        if batch.is_some_and(|batch| batch != 1) {
            let batch = batch.unwrap_or_default();
            return Err(format!(
                "its input `{name}` takes {batch} images at once and no other number: export it \
                 with a dynamic batch, or a batch of 1"
            ));
        }
        let layout = options.layout.unwrap_or(match (second, fourth) {
            (Some(1 | 3), _) => Layout::Nchw,
            (_, Some(1 | 3)) => Layout::Nhwc,
            _ => Layout::Nchw,
        });
        let (channels, own) = match layout {
            Layout::Nchw => (second, (third, fourth)),
            Layout::Nhwc => (fourth, (second, third)),
        };
        let channels = channels.unwrap_or(3);
        if channels != 1 && channels != 3 {
            return Err(format!(
                "its input `{name}` has {channels} channels, but images have 1 or 3{}",
                if options.layout.is_some() { " (--layout)" } else { "" }
            ));
        }
        let (height, width) = size(name, own, options.size)?;
        Ok(Self { value, layout, channels, height, width, batch })
    }

    /// The sizes of the input, of which the batch's may be open.
    pub fn sizes(&self) -> Vec<Option<usize>> {
        let (channels, height, width) = (Some(self.channels), Some(self.height), Some(self.width));
        match self.layout {
            Layout::Nchw => vec![self.batch, channels, height, width],
            Layout::Nhwc => vec![self.batch, height, width, channels],
        }
    }
}

/// Height and width that are asked for and that the input has.
fn size(
    name: &str,
    own: (Option<usize>, Option<usize>),
    asked: Option<(usize, usize)>,
) -> std::result::Result<(usize, usize), String> {
    match (own, asked) {
        ((Some(height), Some(width)), None) => Ok((height, width)),
        (_, None) => {
            Err(format!("its input `{name}` takes images of any size: give one with --size"))
        }
        ((height, width), Some(asked)) => {
            let fits = height.is_none_or(|h| h == asked.0) && width.is_none_or(|w| w == asked.1);
            let side = |size: Option<usize>| size.map_or("any".into(), |size| size.to_string());
            match fits {
                true => Ok(asked),
                false => Err(format!(
                    "its input `{name}` is {}x{} (height x width), not {}x{} (--size)",
                    side(height),
                    side(width),
                    asked.0,
                    asked.1
                )),
            }
        }
    }
}

/// The value that is the answer, before a softmax or sigmoid that comes last.
fn answer(
    graph: &Graph,
    asked: Option<&str>,
) -> std::result::Result<(ValueId, Option<Ending>), String> {
    if let Some(name) = asked {
        let value = graph.find(name).ok();
        let of_node = || Some(graph.node(graph.find_node(name).ok()?).outputs[0]);
        let found = value.or_else(of_node);
        return found.map(|id| (id, None)).ok_or_else(|| {
            format!("has no value or node `{name}` (--output); `foresee inspect` lists them")
        });
    }
    let output = graph.outputs()[0];
    if graph.outputs().len() > 1 {
        let name = &graph.value(output).name;
        let count = graph.outputs().len();
        tracing::info!("the network has {count} outputs: the first is taken, `{name}` (--output)");
    }
    let ending = graph.producer(output).map(|id| graph.node(id));
    let ending = ending.and_then(|node| Some((node.input(0)?, Some(Ending::of(node)?))));
    Ok(ending.unwrap_or((output, None)))
}

#[cfg(test)]
mod tests {
    use foresee_graph::{Builder, PoolKind, Softmax};

    use super::*;

    type Found<T> = std::result::Result<T, String>;

    fn graph(sizes: [Option<usize>; 4]) -> foresee_graph::Result<Graph> {
        let mut builder = Builder::new();
        let x = builder.input("x", sizes.to_vec())?;
        let mean = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[x])?;
        let flat = builder.node("flat", Op::Flatten { axis: 1 }, &[mean])?;
        let softmax = Softmax { axis: 1, flattens: false, logarithm: false };
        let y = builder.node("softmax", Op::Softmax(softmax), &[flat])?;
        builder.finish(vec![y])
    }

    fn of(sizes: [Option<usize>; 4], options: &NetworkOptions) -> Found<ImageInput> {
        ImageInput::of(&graph(sizes).map_err(|e| e.to_string())?, options)
    }

    #[test]
    fn the_input_says_how_images_lie_or_the_user_does() -> Found<()> {
        let none = NetworkOptions::default();
        let size = NetworkOptions { size: Some((8, 6)), ..NetworkOptions::default() };
        let form = |found: ImageInput| (found.layout, found.channels, found.height, found.width);
        let first = form(of([None, Some(3), Some(4), Some(5)], &none)?);
        assert_eq!(first, (Layout::Nchw, 3, 4, 5));
        let last = form(of([Some(1), Some(4), Some(5), Some(1)], &none)?);
        assert_eq!(last, (Layout::Nhwc, 1, 4, 5));
        assert_eq!(form(of([None; 4], &size)?), (Layout::Nchw, 3, 8, 6));
        let nhwc = NetworkOptions { layout: Some(Layout::Nhwc), ..size.clone() };
        assert_eq!(form(of([None; 4], &nhwc)?), (Layout::Nhwc, 3, 8, 6));

        for (sizes, options, reason) in [
            ([None; 4], &none, "images of any size: give one with --size"),
            ([None, Some(3), Some(4), Some(5)], &size, "is 4x5 (height x width), not 8x6 (--size)"),
            ([None, Some(4), Some(8), Some(6)], &none, "has 4 channels, but images have 1 or 3"),
            ([Some(2), Some(3), Some(8), Some(6)], &none, "takes 2 images at once"),
        ] {
            let error = of(sizes, options).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        Ok(())
    }

    #[test]
    fn the_answer_is_what_a_softmax_is_made_of() -> Found<()> {
        let graph = graph([None, Some(3), Some(4), Some(4)]).map_err(|e| e.to_string())?;
        let name = |asked: Option<&str>| {
            answer(&graph, asked).map(|(id, ending)| (graph.value(id).name.clone(), ending))
        };
        assert_eq!(name(None)?, ("flat".into(), Some(Ending::Softmax)));
        assert_eq!(name(Some("softmax"))?, ("softmax".into(), None));
        assert!(name(Some("logits")).unwrap_err().contains("`logits`"));
        Ok(())
    }
}
