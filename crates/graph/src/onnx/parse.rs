//! Reads the messages of ONNX.

use super::proto::{Attribute, Function, Graph, Input, InputKind, Model, Node, Setting};
use super::protobuf_reader::{Read, damaged, fields};
use crate::onnx_error::OnnxError;

/// How many nodes, attributes, names and settings a file may have.
const MAX_ITEMS: usize = 1 << 22;

/// Reads messages, and counts what it finds: each costs more memory than its bytes in the file.
#[derive(Default)]
pub(super) struct Parser {
    items: usize,
}

impl Parser {
    fn count(&mut self, items: usize) -> Read<()> {
        self.items = self.items.saturating_add(items);
        if self.items <= MAX_ITEMS {
            return Ok(());
        }
        Err(OnnxError::TooLarge { what: "nodes, names and settings", limit: MAX_ITEMS })
    }

    pub(super) fn model<'a>(&mut self, bytes: &'a [u8]) -> Read<Model<'a>> {
        let (mut graph, mut opsets, mut functions) = (None, vec![], vec![]);
        for field in fields("model", bytes) {
            let field = field?;
            match field.number {
                7 if graph.is_some() => return Err(damaged("model", "it has two graphs")),
                7 => graph = Some(self.graph(field.bytes()?)?),
                8 => opsets.push(self.opset(field.bytes()?)?),
                25 => functions.push(self.function(field.bytes()?)?),
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| damaged("model", "it has no graph"))?;
        Ok(Model { opsets, graph, functions })
    }

    fn opset<'a>(&mut self, bytes: &'a [u8]) -> Read<(&'a str, i64)> {
        self.count(1)?;
        let mut opset = ("", 0);
        for field in fields("opset", bytes) {
            let field = field?;
            match field.number {
                1 => opset.0 = field.text()?,
                2 => opset.1 = field.int()?,
                _ => {}
            }
        }
        Ok(opset)
    }

    fn graph<'a>(&mut self, bytes: &'a [u8]) -> Read<Graph<'a>> {
        let mut graph = Graph::default();
        for field in fields("graph", bytes) {
            let field = field?;
            match field.number {
                1 => graph.nodes.push(self.node(field.bytes()?)?),
                5 => graph.initializers.push(self.initializer(field.bytes()?)?),
                11 => graph.inputs.push(self.input(field.bytes()?)?),
                12 => graph.outputs.push(self.input(field.bytes()?)?.name),
                15 => return Err(sparse(field.bytes()?)),
                _ => {}
            }
        }
        Ok(graph)
    }

    fn initializer<'a>(&mut self, bytes: &'a [u8]) -> Read<(&'a str, &'a [u8])> {
        self.count(1)?;
        let mut name = "";
        for field in fields("tensor", bytes) {
            let field = field?;
            if field.number == 8 {
                name = field.text()?;
            }
        }
        Ok((name, bytes))
    }

    fn node<'a>(&mut self, bytes: &'a [u8]) -> Read<Node<'a>> {
        self.count(1)?;
        let mut node = Node::default();
        for field in fields("node", bytes) {
            let field = field?;
            self.count(1)?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.op_type = field.text()?,
                5 => node.attributes.push(self.attribute(field.bytes()?)?),
                7 => node.domain = field.text()?,
                8 => node.overload = field.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    fn function<'a>(&mut self, bytes: &'a [u8]) -> Read<Function<'a>> {
        self.count(1)?;
        let mut function = Function::default();
        for field in fields("function", bytes) {
            let field = field?;
            self.count(1)?;
            match field.number {
                1 => function.name = field.text()?,
                4 => function.inputs.push(field.text()?),
                5 => function.outputs.push(field.text()?),
                7 => function.nodes.push(self.node(field.bytes()?)?),
                9 => function.opsets.push(self.opset(field.bytes()?)?),
                10 => function.domain = field.text()?,
                11 => function.defaults.push(self.attribute(field.bytes()?)?),
                13 => function.overload = field.text()?,
                _ => {}
            }
        }
        Ok(function)
    }

    fn attribute<'a>(&mut self, bytes: &'a [u8]) -> Read<Attribute<'a>> {
        let mut name = "";
        let mut raw = RawSetting::default();
        for field in fields("attribute", bytes) {
            let field = field?;
            match field.number {
                1 => name = field.text()?,
                2 => raw.float = Some(field.float()?),
                3 => raw.int = Some(field.int()?),
                4 => raw.text = Some(field.bytes()?),
                5 => raw.tensor = Some(field.bytes()?),
                7 => field.floats(&mut raw.floats)?,
                8 => field.ints(&mut raw.ints)?,
                20 => raw.kind = field.int()?,
                21 => raw.reference = field.text()?,
                _ => {}
            }
        }
        self.count(1 + raw.ints.len() + raw.floats.len())?;
        Ok(Attribute { name, value: raw.setting() })
    }

    fn input<'a>(&mut self, bytes: &'a [u8]) -> Read<Input<'a>> {
        self.count(1)?;
        let mut input = Input { name: "", kind: InputKind::Other("no type") };
        for field in fields("input", bytes) {
            let field = field?;
            match field.number {
                1 => input.name = field.text()?,
                2 => input.kind = self.input_kind(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(input)
    }

    fn input_kind(&mut self, bytes: &[u8]) -> Read<InputKind> {
        let mut kind = InputKind::Other("no type");
        for field in fields("type", bytes) {
            let field = field?;
            kind = match field.number {
                1 => self.tensor_kind(field.bytes()?)?,
                4 => InputKind::Other("a sequence"),
                5 => InputKind::Other("a map"),
                8 => InputKind::Other("a sparse tensor"),
                9 => InputKind::Other("an optional value"),
                _ => continue,
            };
        }
        Ok(kind)
    }

    fn tensor_kind(&mut self, bytes: &[u8]) -> Read<InputKind> {
        let (mut element, mut shape) = (0, None);
        for field in fields("tensor type", bytes) {
            let field = field?;
            match field.number {
                1 => element = field.int()?,
                2 => shape = Some(self.sizes(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(InputKind::Tensor(element, shape))
    }

    /// Sizes that have a name, are not given, or are not positive, are not fixed.
    fn sizes(&mut self, bytes: &[u8]) -> Read<Vec<Option<usize>>> {
        let mut sizes = vec![];
        for field in fields("shape", bytes) {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            self.count(1)?;
            let mut size = None;
            for field in fields("dimension", field.bytes()?) {
                let field = field?;
                if field.number == 1 {
                    size = usize::try_from(field.int()?).ok().filter(|size| *size > 0);
                }
            }
            sizes.push(size);
        }
        Ok(sizes)
    }
}

/// A weight that is sparse is refused, by the name that its values have.
fn sparse(bytes: &[u8]) -> OnnxError {
    let values = fields("sparse tensor", bytes).flatten().find(|field| field.number == 1);
    let values = values.and_then(|field| field.bytes().ok()).unwrap_or(&[]);
    let name = fields("tensor", values).flatten().find(|field| field.number == 8);
    OnnxError::Tensor {
        name: name.and_then(|field| field.text().ok()).unwrap_or("").into(),
        reason: "it is sparse; make it dense".into(),
    }
}

/// The fields of an attribute, of which its type tells the one that counts.
#[derive(Default)]
struct RawSetting<'a> {
    kind: i64,
    reference: &'a str,
    int: Option<i64>,
    float: Option<f32>,
    text: Option<&'a [u8]>,
    tensor: Option<&'a [u8]>,
    ints: Vec<i64>,
    floats: Vec<f32>,
}

impl<'a> RawSetting<'a> {
    fn setting(self) -> Setting<'a> {
        if !self.reference.is_empty() {
            return Setting::Reference(self.reference);
        }
        match self.kind {
            // Files of the first version have no types.
            0 => self.guess(),
            1 => Setting::Float(self.float.unwrap_or(0.)),
            2 => Setting::Int(self.int.unwrap_or(0)),
            3 => Setting::Text(self.text.unwrap_or(&[])),
            4 => Setting::Tensor(self.tensor.unwrap_or(&[])),
            5 | 10 => Setting::Other("a graph"),
            6 => Setting::Floats(self.floats),
            7 => Setting::Ints(self.ints),
            8 => Setting::Other("a list of texts"),
            9 => Setting::Other("a list of tensors"),
            _ => Setting::Other("of a rare kind"),
        }
    }

    fn guess(self) -> Setting<'a> {
        match self {
            Self { float: Some(float), .. } => Setting::Float(float),
            Self { int: Some(int), .. } => Setting::Int(int),
            Self { text: Some(text), .. } => Setting::Text(text),
            Self { tensor: Some(tensor), .. } => Setting::Tensor(tensor),
            Self { floats, .. } if !floats.is_empty() => Setting::Floats(floats),
            Self { ints, .. } if !ints.is_empty() => Setting::Ints(ints),
            _ => Setting::Other("empty"),
        }
    }
}
