#![doc = include_str!("../README.md")]

mod arity;
mod channels;
mod cost;
mod dims;
mod edit;
mod error;
mod fold;
mod forward;
mod gates;
mod graph;
mod interface;
mod kinds;
mod layer_weights;
mod merge_norm;
mod names;
mod numbers;
mod one_output;
mod onnx;
mod onnx_error;
mod op;
mod paper;
mod ranks;
mod reason;
mod run;
mod shapes;
mod taps;
mod training;
mod zeros;

pub use channels::{
    ChannelGroup, Consumer, InWeight, Linear, Place, Producer, Read, Reason, Reconstruction,
    Removal,
};
pub use cost::Cost;
pub use error::{Error, OpError, Result};
pub use foresee_kernels::Moments;
pub use gates::{Gate, GateKind};
pub use graph::{Builder, Graph, Node, NodeId, Origin, Value, ValueId};
pub use onnx::{OnnxError, OnnxOptions, Unsupported};
pub use op::{
    ArgExtreme, Binary, ConvTranspose, Coordinates, Gemm, Kind, Nearest, Op, PadMode, Padding,
    Pool, PoolKind, Reduce, Reduction, Resize, ResizeMode, Scalar, Softmax, Split, Unary, Variadic,
    Window,
};
pub use paper::attention_network;
pub use shapes::Shapes;
pub use training::{Change, TrainingPass};
