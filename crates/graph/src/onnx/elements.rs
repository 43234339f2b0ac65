//! The elements of tensors: in the file, and as we hold them.

use candle_core::{DType, Device, Tensor};

use crate::op::Kind;

/// What a tensor's elements are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Element {
    Float(DType),
    /// Bytes, and whether there are negative ones.
    Int(usize, bool),
    Bool,
}

impl Element {
    /// From ONNX's number of a type; else the type's name.
    pub(super) fn new(data_type: i64) -> Result<Self, String> {
        Ok(match data_type {
            1 => Self::Float(DType::F32),
            2 => Self::Int(1, false),
            3 => Self::Int(1, true),
            4 => Self::Int(2, false),
            5 => Self::Int(2, true),
            6 => Self::Int(4, true),
            7 => Self::Int(8, true),
            9 => Self::Bool,
            10 => Self::Float(DType::F16),
            11 => Self::Float(DType::F64),
            12 => Self::Int(4, false),
            13 => Self::Int(8, false),
            16 => Self::Float(DType::BF16),
            8 => return Err("text".into()),
            14 | 15 => return Err("complex numbers".into()),
            17..=20 | 23 | 24 => return Err("numbers of 8 bits or less with a fraction".into()),
            21 | 22 | 25 | 26 => return Err("integers of 4 bits or less".into()),
            other => return Err(format!("numbers of the unknown type {other}")),
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Float(_) => Kind::Float,
            Self::Int(..) => Kind::Int,
            Self::Bool => Kind::Bool,
        }
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Float(dtype) => dtype.size_in_bytes(),
            Self::Int(bytes, _) => bytes,
            Self::Bool => 1,
        }
    }
}

/// A tensor's elements as we hold them.
pub(super) enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Int(Vec<i64>),
    Bool(Vec<u8>),
}

impl Data {
    /// From little-endian elements.
    pub(super) fn from_bytes(element: Element, bytes: &[u8], dtype: DType) -> Result<Self, String> {
        Ok(match element {
            Element::Float(DType::F32) => {
                let (chunks, _) = bytes.as_chunks();
                Self::from_f32(chunks.iter().map(|b| f32::from_le_bytes(*b)).collect(), dtype)
            }
            Element::Float(DType::F64) => {
                let (chunks, _) = bytes.as_chunks();
                Self::from_f64(chunks.iter().map(|b| f64::from_le_bytes(*b)).collect(), dtype)
            }
            Element::Float(half) => {
                let count = bytes.len() / half.size_in_bytes();
                let tensor = Tensor::from_raw_buffer(bytes, half, &[count], &Device::Cpu)
                    .and_then(|tensor| tensor.to_dtype(DType::F32)?.to_vec1());
                Self::from_f32(tensor.map_err(|error| error.to_string())?, dtype)
            }
            Element::Int(size, signed) => {
                let int = |bytes: &[u8]| {
                    let negative = signed && bytes.last().is_some_and(|last| *last >= 0x80);
                    let mut wide = [if negative { 0xff } else { 0 }; 8];
                    wide[..size].copy_from_slice(bytes);
                    i64::from_le_bytes(wide)
                };
                Self::Int(bytes.chunks_exact(size).map(int).collect())
            }
            Element::Bool => Self::Bool(bytes.iter().map(|byte| u8::from(*byte != 0)).collect()),
        })
    }

    pub(super) fn from_f32(data: Vec<f32>, dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64(data.into_iter().map(f64::from).collect()),
            _ => Self::F32(data),
        }
    }

    pub(super) fn from_f64(data: Vec<f64>, dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64(data),
            _ => Self::F32(data.into_iter().map(|value| value as f32).collect()),
        }
    }

    /// The first element that is no number.
    pub(super) fn nan(&self) -> Option<usize> {
        match self {
            Self::F32(data) => data.iter().position(|value| value.is_nan()),
            Self::F64(data) => data.iter().position(|value| value.is_nan()),
            _ => None,
        }
    }
}
