//! Weights and constants: from ONNX's tensors, in all their forms, to candle's.

use std::collections::HashMap;
use std::mem::take;

use candle_core::{DType, Device, Tensor};

use super::elements::{Data, Element};
use super::external::{External, Place};
use super::protobuf_reader::{Read, fields};
use crate::onnx_error::OnnxError;

/// More dimensions than any tensor of a network has.
const MAX_RANK: usize = 16;
/// More elements than any tensor of a network has.
const MAX_ELEMENTS: u64 = 1 << 40;

/// A tensor of a file, not yet converted.
struct Raw<'a> {
    dims: Vec<i64>,
    data_type: i64,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    ints: Vec<i64>,
    bytes: Option<&'a [u8]>,
    external: Vec<(&'a str, &'a str)>,
    is_external: bool,
    is_segment: bool,
}

/// Converts tensors. Numbers with a fraction become `dtype`, integers i64, truth values u8.
pub(super) struct Tensors {
    dtype: DType,
    device: Device,
    external: External,
    /// What was read, by its message's place in memory: a function's constants are read at each
    /// call.
    cache: HashMap<(usize, usize), Tensor>,
}

impl Tensors {
    pub(super) fn new(dtype: DType, device: Device, external: External) -> Self {
        Self { dtype, device, external, cache: HashMap::new() }
    }

    /// The tensor that a message of the file holds; `name` is for errors.
    pub(super) fn read(&mut self, name: &str, message: &[u8]) -> Read<Tensor> {
        let key = (message.as_ptr().addr(), message.len());
        if let Some(tensor) = self.cache.get(&key) {
            return Ok(tensor.clone());
        }
        let tensor = self.decode(name, message)?;
        self.cache.insert(key, tensor.clone());
        Ok(tensor)
    }

    fn decode(&mut self, name: &str, message: &[u8]) -> Read<Tensor> {
        let fault = |reason: String| OnnxError::Tensor { name: name.into(), reason };
        let mut raw = Raw::new(message)?;
        let element = Element::new(raw.data_type)
            .map_err(|what| fault(format!("it holds {what}, which are not supported")))?;
        let (dims, elements) = raw.size().map_err(fault)?;
        if raw.is_segment {
            return Err(fault("it is one of several segments, which are not supported".into()));
        }
        if !raw.is_external {
            let data = raw.data(element, elements, self.dtype).map_err(fault)?;
            return self.tensor(name, data, dims);
        }
        let length = elements.checked_mul(element.size());
        let length = length.ok_or_else(|| fault("it is too large".into()))?;
        let place = Place::new(name, &raw.external, length)?;
        if let Some(tensor) = self.external.known(&place, element, &dims) {
            return Ok(tensor);
        }
        let bytes = self.external.read(name, &place)?;
        let data = Data::from_bytes(element, &bytes, self.dtype).map_err(fault)?;
        drop(bytes);
        let tensor = self.tensor(name, data, dims.clone())?;
        self.external.keep(place, element, dims, tensor.clone());
        Ok(tensor)
    }

    fn tensor(&self, name: &str, data: Data, dims: Vec<usize>) -> Read<Tensor> {
        if let Some(index) = data.nan() {
            let reason = format!("element {index} is not a number (NaN)");
            return Err(OnnxError::Tensor { name: name.into(), reason });
        }
        Ok(match data {
            Data::F32(data) => Tensor::from_vec(data, dims, &self.device)?,
            Data::F64(data) => Tensor::from_vec(data, dims, &self.device)?,
            Data::Int(data) => Tensor::from_vec(data, dims, &self.device)?,
            Data::Bool(data) => Tensor::from_vec(data, dims, &self.device)?,
        })
    }

    /// Numbers with a fraction.
    pub(super) fn floats(&self, data: &[f64], dims: &[usize]) -> Read<Tensor> {
        Ok(Tensor::from_slice(data, dims, &self.device)?.to_dtype(self.dtype)?)
    }

    /// Integers.
    pub(super) fn ints(&self, data: &[i64], dims: &[usize]) -> Read<Tensor> {
        Ok(Tensor::from_slice(data, dims, &self.device)?)
    }
}

/// The file that holds a tensor's numbers, if it is another one than the network's.
pub(super) fn location(message: &[u8]) -> Read<Option<String>> {
    let raw = Raw::new(message)?;
    let entry = raw.external.iter().find(|(key, _)| raw.is_external && *key == "location");
    Ok(entry.map(|(_, location)| (*location).to_owned()))
}

impl<'a> Raw<'a> {
    fn new(message: &'a [u8]) -> Read<Self> {
        let mut raw = Self {
            dims: vec![],
            data_type: 0,
            floats: vec![],
            doubles: vec![],
            ints: vec![],
            bytes: None,
            external: vec![],
            is_external: false,
            is_segment: false,
        };
        for field in fields("tensor", message) {
            let field = field?;
            match field.number {
                1 => field.ints(&mut raw.dims)?,
                2 => raw.data_type = field.int()?,
                3 => raw.is_segment = true,
                4 => field.floats(&mut raw.floats)?,
                5 | 7 | 11 => field.ints(&mut raw.ints)?,
                9 => raw.bytes = Some(field.bytes()?),
                10 => field.doubles(&mut raw.doubles)?,
                13 => raw.external.push(entry(field.bytes()?)?),
                14 => raw.is_external = field.int()? == 1,
                _ => {}
            }
        }
        Ok(raw)
    }

    /// The sizes and the number of elements, which fit in memory in no case if they are absurd.
    fn size(&self) -> Result<(Vec<usize>, usize), String> {
        let dims = &self.dims;
        let absurd = || format!("a tensor cannot have the shape {:?}", &dims[..dims.len().min(20)]);
        if dims.len() > MAX_RANK || dims.iter().any(|size| *size < 0) {
            return Err(absurd());
        }
        let product = |product: u64, size: &i64| {
            product.checked_mul(*size.max(&1) as u64).filter(|product| *product <= MAX_ELEMENTS)
        };
        let elements = dims.iter().try_fold(1, product).ok_or_else(absurd)?;
        let elements = if dims.contains(&0) { 0 } else { elements };
        let sizes = dims.iter().map(|size| *size as usize).collect();
        Ok((sizes, usize::try_from(elements).map_err(|_| absurd())?))
    }

    fn data(&mut self, element: Element, elements: usize, dtype: DType) -> Result<Data, String> {
        let count = match (self.bytes, element) {
            (Some(bytes), _) if bytes.len() % element.size() != 0 => {
                return Err(format!("its {} bytes end within an element", bytes.len()));
            }
            (Some(bytes), _) => bytes.len() / element.size(),
            (None, Element::Float(DType::F32)) => self.floats.len(),
            (None, Element::Float(DType::F64)) => self.doubles.len(),
            (None, _) => self.ints.len(),
        };
        if count != elements {
            return Err(format!(
                "its shape {:?} needs {elements} elements, not {count}",
                self.dims
            ));
        }
        if let Some(bytes) = self.bytes {
            return Data::from_bytes(element, bytes, dtype);
        }
        match element {
            Element::Float(DType::F32) => Ok(Data::from_f32(take(&mut self.floats), dtype)),
            Element::Float(DType::F64) => Ok(Data::from_f64(take(&mut self.doubles), dtype)),
            // Numbers of 16 bits are held as integers of the same bits.
            Element::Float(_) => {
                let bits = self.ints.iter().flat_map(|bits| (*bits as u16).to_le_bytes());
                Data::from_bytes(element, &bits.collect::<Vec<u8>>(), dtype)
            }
            Element::Int(..) => Ok(Data::Int(take(&mut self.ints))),
            Element::Bool => Ok(Data::Bool(self.ints.iter().map(|i| u8::from(*i != 0)).collect())),
        }
    }
}

fn entry(message: &[u8]) -> Read<(&str, &str)> {
    let mut entry = ("", "");
    for field in fields("entry", message) {
        let field = field?;
        match field.number {
            1 => entry.0 = field.text()?,
            2 => entry.1 = field.text()?,
            _ => {}
        }
    }
    Ok(entry)
}
