//! The network as an ONNX model: opset 18, of operators that every runtime has.
//!
//! Numbers of fields and types are those of `onnx.proto`
//! (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).

use super::protobuf::Message;

/// How a file of [`model`] begins: its version of the format, and the name of the program.
pub(crate) const START: &str = "\u{8}\u{8}\u{12}\u{7}foresee";

/// The version of the format that goes with [`OPSET`].
const IR_VERSION: u64 = 8;
const OPSET: u64 = 18;
/// Types of the elements of a tensor.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// What the graph depends on beside the weights.
pub(super) struct Form {
    /// K.
    pub attributes: usize,
    /// C.
    pub channels: usize,
    /// Dilations of the extractor's blocks.
    pub dilations: Vec<usize>,
    /// Size n of the masks' convolution.
    pub mask_kernel: usize,
    /// Whether there are masks.
    pub attention: bool,
    /// Height and width of the images.
    pub image_size: usize,
    /// ε of the batch norms.
    pub epsilon: f32,
    /// Slope of the leaky ReLU.
    pub slope: f32,
}

/// A tensor of weights, by its name in `model.safetensors`.
pub(super) struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The bytes of a ModelProto: images [batch, 3, H, W] to `logits` and `probabilities` [batch, K].
/// `metadata` are names and texts that go with it.
pub(super) fn model(form: &Form, weights: &[Weight], metadata: &[(&str, &str)]) -> Vec<u8> {
    let used = |weight: &&Weight| form.attention || !weight.name.starts_with("heads.mask.");
    let constants = weights.iter().filter(used).map(float_tensor).chain(shapes(form));
    let graph = Message::default()
        .messages(1, nodes(form))
        .bytes(2, "foresee")
        .messages(5, constants)
        .message(11, value("images", &[3, form.image_size, form.image_size]))
        .message(12, value("logits", &[form.attributes]))
        .message(12, value("probabilities", &[form.attributes]));
    let entry = |&(key, text): &(&str, &str)| Message::default().bytes(1, key).bytes(2, text);
    Message::default()
        .integer(1, IR_VERSION)
        .bytes(2, "foresee")
        .message(8, Message::default().bytes(1, "").integer(2, OPSET))
        .message(7, graph)
        .messages(14, metadata.iter().map(entry))
        .finish()
}

fn nodes(form: &Form) -> Vec<Message> {
    let mut nodes = vec![];
    let mut z = "images".to_owned();
    for (i, &dilation) in form.dilations.iter().enumerate() {
        let name = |part: &str| format!("extractor.{i}.{part}");
        let [conv, norm, relu] = ["conv", "bn", "relu"].map(name);
        nodes.push(convolution(&z, &conv, 3, dilation));
        let bn = ["weight", "bias", "running_mean", "running_var"].map(|p| format!("{norm}.{p}"));
        let inputs = [&conv, &bn[0], &bn[1], &bn[2], &bn[3]].map(String::as_str);
        let norm_node = node("BatchNormalization", &inputs, &norm);
        nodes.push(norm_node.message(5, float("epsilon", form.epsilon)));
        nodes.push(node("LeakyRelu", &[&norm], &relu).message(5, float("alpha", form.slope)));
        z = relu;
    }
    nodes.push(node("Reshape", &[&z, "shape.features"], "features"));
    let products = match form.attention {
        false => "features",
        true => {
            nodes.push(convolution(&z, "heads.mask", form.mask_kernel, 1));
            nodes.push(node("Sigmoid", &["heads.mask"], "masks.flat"));
            nodes.push(node("Reshape", &["masks.flat", "shape.masks"], "masks"));
            nodes.push(node("Mul", &["masks", "features"], "products"));
            "products"
        }
    };
    // An AttributeProto of type INT.
    let dropped = || Message::default().bytes(1, "keepdims").integer(3, 0).integer(20, 2);
    nodes.extend([
        node("ReduceMean", &[products, "axis.pixels"], "pooled").message(5, dropped()),
        node("Mul", &["pooled", "heads.readout.weight"], "weighted"),
        node("ReduceSum", &["weighted", "axis.channels"], "sums").message(5, dropped()),
        node("Add", &["sums", "heads.readout.bias"], "logits"),
        node("Sigmoid", &["logits"], "probabilities"),
    ]);
    nodes
}

/// The constants that say how tensors are reshaped and reduced: features become [batch, 1, C, H·W],
/// masks [batch, K, C, H·W]. In a shape, 0 is the length that was there, and -1 what is left.
fn shapes(form: &Form) -> Vec<Message> {
    let (k, c) = (form.attributes as i64, form.channels as i64);
    let mut shapes = vec![
        int_tensor("shape.features", &[0, 1, c, -1]),
        int_tensor("axis.pixels", &[3]),
        int_tensor("axis.channels", &[2]),
    ];
    if form.attention {
        shapes.push(int_tensor("shape.masks", &[0, k, c, -1]));
    }
    shapes
}

/// A NodeProto of one output, which is also its name.
fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    Message::default().texts(1, inputs).bytes(2, output).bytes(3, output).bytes(4, operator)
}

/// A convolution of n×n whose output has the size of its input, with the weights of that name.
fn convolution(input: &str, name: &str, n: usize, dilation: usize) -> Message {
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    node("Conv", &[input, &weight, &bias], name)
        .message(5, integers("kernel_shape", &[n; 2]))
        .message(5, integers("dilations", &[dilation; 2]))
        .message(5, integers("pads", &[dilation * (n / 2); 4]))
}

/// An AttributeProto of type FLOAT.
fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).integer(20, 1)
}

/// An AttributeProto of type INTS.
fn integers(name: &str, values: &[usize]) -> Message {
    let start = Message::default().bytes(1, name);
    values.iter().fold(start, |message, &value| message.integer(8, value as u64)).integer(20, 7)
}

/// A TensorProto.
fn tensor(name: &str, shape: &[usize], element: u64, bytes: &[u8]) -> Message {
    let start = Message::default();
    let dims = shape.iter().fold(start, |message, &length| message.integer(1, length as u64));
    dims.integer(2, element).bytes(8, name).bytes(9, bytes)
}

fn float_tensor(weight: &Weight) -> Message {
    let bytes: Vec<u8> = weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(&weight.name, &weight.shape, FLOAT, &bytes)
}

fn int_tensor(name: &str, values: &[i64]) -> Message {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, &[values.len()], INT64, &bytes)
}

/// A ValueInfoProto: floats of shape [batch, …].
fn value(name: &str, shape: &[usize]) -> Message {
    let batch = Message::default().bytes(2, "batch");
    let lengths = shape.iter().map(|&length| Message::default().integer(1, length as u64));
    let shape = Message::default().messages(1, std::iter::once(batch).chain(lengths));
    let tensor = Message::default().integer(1, FLOAT).message(2, shape);
    Message::default().bytes(1, name).message(2, Message::default().message(1, tensor))
}
