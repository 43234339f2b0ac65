//! Graphs as ONNX files.

mod attributes;
mod nodes;

use std::collections::HashSet;
use std::path::Path;

use candle_core::{DType, Tensor, WithDType};

use self::nodes::Nodes;
use super::files::PRODUCER;
use super::protobuf_writer::Message;
use crate::error::{Error, Result};
use crate::graph::{Graph, Origin, ValueId};
use crate::op::{Kind, Op};

/// The version of the operations: the first whose group norm has a weight for each channel.
const OPSET: i64 = 21;

/// The version of the file's form that came with it.
const IR_VERSION: i64 = 10;

/// Which input of a resizing the scales are.
const SCALES: usize = 2;

/// The largest message that readers of protocol buffers take.
const LIMIT: usize = (2 << 30) - 1;

impl Graph {
    /// The graph as an ONNX file (opset 21), with notes for its metadata: keys and values.
    ///
    /// Weights keep their names and types, and so do nodes, inputs and outputs; weights of 16
    /// bits are written with 32. What ONNX has no
    /// operation for is written as several: SiLU, softmax over several dimensions, the remainder of
    /// numbers with a fraction, and the paper's masks and readout. ONNX keeps settings such as ε in
    /// 32 bits.
    ///
    /// Where only the batch is open, the graph runs on zeros twice, to tell the sizes of outputs.
    ///
    /// # Errors
    /// If the file would be larger than 2 GiB, which no reader takes.
    pub fn to_onnx(&self, metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
        let kinds = self.kinds();
        let mut nodes = Nodes::new(self, &kinds);
        self.nodes.iter().try_for_each(|node| nodes.push(node))?;
        let outputs = self.output_names(&mut nodes)?;
        let mut weights = nodes.weights();
        for (id, value) in self.values() {
            let Some(tensor) = self.weight(id) else { continue };
            let tensor = match self.is_scales(id) {
                true => tensor.detach().to_dtype(DType::F32)?,
                false => written(tensor)?,
            };
            weights.push((value.name.clone(), tensor));
        }

        let mut graph = nodes.into_message();
        graph.text(2, "foresee");
        for &id in &self.inputs {
            graph.message(11, &self.input(id, kinds[id.0]));
        }
        for (name, (&id, sizes)) in outputs.iter().zip(self.outputs.iter().zip(self.sizes())) {
            graph.message(12, &self.info(name, kinds[id.0], sizes));
        }
        model(&graph, &weights, metadata)
    }

    /// Writes [`to_onnx`](Self::to_onnx)'s file: whole, or not at all.
    ///
    /// # Errors
    /// As for [`to_onnx`](Self::to_onnx), or if the file cannot be written.
    pub fn save_onnx(&self, path: impl AsRef<Path>, metadata: &[(&str, &str)]) -> Result<()> {
        Ok(foresee_files::write_atomic(path.as_ref(), &self.to_onnx(metadata)?)?)
    }

    /// Whether a weight is read as scales of images alone. ONNX has these in 32 bits only.
    fn is_scales(&self, id: ValueId) -> bool {
        let is = |(node, place)| place == SCALES && matches!(self.node(node).op, Op::Resize(_));
        let mut readers = self.readers(id).peekable();
        self.weight(id).is_some()
            && readers.peek().is_some()
            && readers.all(is)
            && !self.is_output(id)
    }

    /// The outputs' names. ONNX gives each once: a value that is given again is copied.
    fn output_names(&self, nodes: &mut Nodes) -> Result<Vec<String>> {
        let mut given = HashSet::new();
        let mut name = |id: &ValueId| {
            let name = self.value(*id).name.clone();
            if given.insert(*id) { Ok(name) } else { nodes.copy(&name) }
        };
        self.outputs.iter().map(&mut name).collect()
    }

    /// The sizes of the outputs, as far as they are known: where only the batch is open, those that
    /// two batches have in common.
    fn sizes(&self) -> Vec<Option<Vec<Message>>> {
        let (one, two) = (self.shapes(1, &[]).ok(), self.shapes(2, &[]).ok());
        let ranks = self.ranks();
        let of = |id: &ValueId| {
            let (Some(one), Some(two)) = (&one, &two) else {
                return ranks[id.0].map(|rank| vec![Message::new(); rank]);
            };
            let size = |(one, two): (&usize, &usize)| {
                let mut dimension = Message::new();
                match (*one, *two) {
                    (one, two) if one == two => dimension.int(1, one as i64),
                    (1, 2) => dimension.text(2, "batch"),
                    _ => &mut dimension,
                };
                dimension
            };
            Some(one.of(*id).iter().zip(two.of(*id)).map(size).collect())
        };
        self.outputs.iter().map(of).collect()
    }

    /// An input: its name, type, and sizes. Those that are not fixed have a name.
    fn input(&self, id: ValueId, kind: Kind) -> Message {
        let value = self.value(id);
        let sizes = match &value.origin {
            Origin::Input { sizes, .. } => sizes.as_slice(),
            _ => &[],
        };
        let name = |place: usize| match place {
            0 => "batch".into(),
            _ => format!("{}_{place}", value.name),
        };
        let size = |(place, size): (usize, &Option<usize>)| {
            let mut dimension = Message::new();
            match size {
                Some(size) => dimension.int(1, *size as i64),
                None => dimension.text(2, &name(place)),
            };
            dimension
        };
        self.info(&value.name, kind, Some(sizes.iter().enumerate().map(size).collect()))
    }

    /// A value's name, type, and, where they are known, dimensions.
    fn info(&self, name: &str, kind: Kind, sizes: Option<Vec<Message>>) -> Message {
        let mut tensor = Message::new();
        tensor.int(1, self.onnx_kind(kind));
        if let Some(sizes) = sizes {
            let mut shape = Message::new();
            sizes.iter().for_each(|size| {
                shape.message(1, size);
            });
            tensor.message(2, &shape);
        }
        let (mut of, mut info) = (Message::new(), Message::new());
        of.message(1, &tensor);
        info.text(1, name).message(2, &of);
        info
    }

    /// ONNX's number of the type that numbers of a kind have in this graph.
    fn onnx_kind(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Float => data_type(self.float_type().0),
            Kind::Int => data_type(DType::I64),
            Kind::Bool => data_type(DType::U8),
        }
    }
}

/// ONNX's number of the type in which numbers of a type are written. Bytes are 0 or 1 in a graph.
fn data_type(dtype: DType) -> i64 {
    match dtype {
        DType::F64 => 11,
        DType::U8 => 9,
        dtype if dtype.is_float() => 1,
        _ => 7,
    }
}

/// The tensor in the type in which it is written.
fn written(tensor: &Tensor) -> Result<Tensor> {
    let dtype = match tensor.dtype() {
        DType::F64 | DType::U8 => tensor.dtype(),
        dtype if dtype.is_float() => DType::F32,
        _ => DType::I64,
    };
    Ok(tensor.detach().to_dtype(dtype)?)
}

/// The file. Weights are written one after the other, so that they are in memory twice at most.
fn model(nodes: &Message, weights: &[(String, Tensor)], notes: &[(&str, &str)]) -> Result<Vec<u8>> {
    let field = |(name, tensor): &(String, Tensor)| {
        let (head, mut field) = (tensor_head(name, tensor), Message::new());
        field.begin(5, head.bytes().len() + size(tensor)).append(head.bytes());
        field
    };
    let fields: Vec<Message> = weights.iter().map(field).collect();
    let sizes = fields.iter().zip(weights).map(|(of, (_, tensor))| of.bytes().len() + size(tensor));
    let graph = nodes.bytes().len() + sizes.sum::<usize>();
    let mut file = file_head(notes);
    file.begin(7, graph);
    let bytes = file.bytes().len() + graph;
    if bytes > LIMIT {
        return Err(Error::OnnxTooLarge { bytes });
    }
    file.reserve(graph);
    file.append(nodes.bytes());
    for (field, (_, tensor)) in fields.iter().zip(weights) {
        file.append(field.bytes());
        push_numbers(&mut file, tensor)?;
    }
    Ok(file.into_bytes())
}

/// What a file says of itself: versions, who wrote it, notes.
fn file_head(notes: &[(&str, &str)]) -> Message {
    let (mut file, mut opset) = (Message::new(), Message::new());
    file.int(1, IR_VERSION).text(2, PRODUCER).text(3, env!("CARGO_PKG_VERSION"));
    opset.text(1, "").int(2, OPSET);
    file.message(8, &opset);
    for (key, value) in notes {
        let mut note = Message::new();
        note.text(1, key).text(2, value);
        file.message(14, &note);
    }
    file
}

/// A tensor's message but for its numbers, which follow.
fn tensor_head(name: &str, tensor: &Tensor) -> Message {
    let mut head = Message::new();
    for &size in tensor.dims() {
        head.int(1, size as i64);
    }
    head.int(2, data_type(tensor.dtype())).text(8, name).begin(9, size(tensor));
    head
}

/// A tensor with its numbers.
fn tensor_message(tensor: &Tensor) -> Result<Message> {
    let mut message = tensor_head("", tensor);
    push_numbers(&mut message, tensor)?;
    Ok(message)
}

/// The bytes of a tensor's numbers.
fn size(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// A tensor's numbers, in order.
fn push_numbers(to: &mut Message, tensor: &Tensor) -> Result<()> {
    match tensor.dtype() {
        DType::F32 => push_each(to, tensor, f32::to_le_bytes),
        DType::F64 => push_each(to, tensor, f64::to_le_bytes),
        DType::I64 => push_each(to, tensor, i64::to_le_bytes),
        _ => push_each(to, tensor, u8::to_le_bytes),
    }
}

fn push_each<T: WithDType, const N: usize>(
    to: &mut Message,
    tensor: &Tensor,
    bytes: impl Fn(T) -> [u8; N],
) -> Result<()> {
    let numbers = tensor.flatten_all()?.to_vec1::<T>()?;
    let places = to.zeros(numbers.len() * N).chunks_exact_mut(N);
    places.zip(numbers).for_each(|(place, number)| place.copy_from_slice(&bytes(number)));
    Ok(())
}
