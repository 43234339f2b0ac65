//! The attributes of a node. Each must be understood: one that nobody asks for is refused.

use std::cell::Cell;

use super::proto::Setting;
use crate::onnx_error::OnnxError;

/// Why a node cannot be converted.
pub(super) enum Fault {
    /// It is right, but not supported; what is not, or nothing if the operation is not at all.
    Unsupported(String),
    /// It is against ONNX's rules.
    Invalid(String),
    /// Something of it cannot be read.
    Onnx(OnnxError),
}

impl From<OnnxError> for Fault {
    fn from(error: OnnxError) -> Self {
        Self::Onnx(error)
    }
}

pub(super) type Convert<T> = std::result::Result<T, Fault>;

pub(super) fn unsupported<T>(reason: impl Into<String>) -> Convert<T> {
    Err(Fault::Unsupported(reason.into()))
}

pub(super) fn invalid<T>(reason: impl Into<String>) -> Convert<T> {
    Err(Fault::Invalid(reason.into()))
}

/// Why a norm or a dropout is refused that is not for tests.
pub(super) const TRAINING: &str = "in training mode; export the network after model.eval()";

/// Sizes, strides and the like are not larger.
const MAX_SIZE: i64 = 1 << 24;

pub(super) struct Attributes<'a> {
    list: Vec<(&'a str, &'a Setting<'a>, Cell<bool>)>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(list: &[(&'a str, &'a Setting<'a>)]) -> Self {
        let unread = |(name, value): &(&'a str, &'a Setting<'a>)| (*name, *value, Cell::new(false));
        Self { list: list.iter().map(unread).collect() }
    }

    fn get(&self, name: &str) -> Option<&'a Setting<'a>> {
        let (_, value, read) = self.list.iter().find(|(own, ..)| *own == name)?;
        read.set(true);
        Some(value)
    }

    fn wrong<T>(name: &str, value: &Setting, expected: &str) -> Convert<T> {
        let kind = match value {
            Setting::Int(_) => "an integer",
            Setting::Float(_) => "a number",
            Setting::Text(_) => "a text",
            Setting::Tensor(_) => "a tensor",
            Setting::Ints(_) => "a list of integers",
            Setting::Floats(_) => "a list of numbers",
            Setting::Reference(_) => "a reference, outside of a function",
            Setting::Other(kind) => kind,
        };
        invalid(format!("the attribute `{name}` is {kind}, not {expected}"))
    }

    pub(super) fn int(&self, name: &str) -> Convert<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Setting::Int(value)) => Ok(Some(*value)),
            Some(other) => Self::wrong(name, other, "an integer"),
        }
    }

    /// A dimension, from the back if negative.
    pub(super) fn axis(&self, name: &str) -> Convert<Option<isize>> {
        self.int(name)?.map(|axis| dimension(name, axis)).transpose()
    }

    /// A number from 1 on.
    pub(super) fn size(&self, name: &str) -> Convert<Option<usize>> {
        self.int(name)?.map(|value| size(name, value, 1)).transpose()
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Convert<bool> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => invalid(format!("{name} = {other} is neither 0 nor 1")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Convert<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Setting::Float(value)) if value.is_nan() => {
                invalid(format!("the attribute `{name}` is not a number (NaN)"))
            }
            Some(Setting::Float(value)) => Ok(Some(f64::from(*value))),
            Some(other) => Self::wrong(name, other, "a number"),
        }
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Convert<f64> {
        Ok(self.number(name)?.unwrap_or(f64::from(default)))
    }

    pub(super) fn text(&self, name: &str, default: &'a str) -> Convert<&'a str> {
        match self.get(name) {
            None => Ok(default),
            Some(Setting::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text),
                Err(_) => invalid(format!("the attribute `{name}` is no text")),
            },
            Some(other) => Self::wrong(name, other, "a text"),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Convert<Option<&'a [u8]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Setting::Tensor(message)) => Ok(Some(message)),
            Some(other) => Self::wrong(name, other, "a tensor"),
        }
    }

    pub(super) fn ints(&self, name: &str) -> Convert<Option<&'a [i64]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Setting::Ints(values)) => Ok(Some(values)),
            Some(other) => Self::wrong(name, other, "a list of integers"),
        }
    }

    pub(super) fn floats(&self, name: &str) -> Convert<Option<&'a [f32]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Setting::Floats(values)) => Ok(Some(values)),
            Some(other) => Self::wrong(name, other, "a list of numbers"),
        }
    }

    /// Numbers of which each is at least `least`.
    pub(super) fn sizes(&self, name: &str, least: i64) -> Convert<Option<Vec<usize>>> {
        let Some(values) = self.ints(name)? else { return Ok(None) };
        values.iter().map(|value| size(name, *value, least)).collect::<Convert<_>>().map(Some)
    }

    /// Dimensions, from the back if negative.
    pub(super) fn axes(&self, name: &str) -> Convert<Option<Vec<isize>>> {
        let Some(values) = self.ints(name)? else { return Ok(None) };
        values.iter().map(|axis| dimension(name, *axis)).collect::<Convert<_>>().map(Some)
    }

    /// Attributes that do not change what is computed.
    pub(super) fn skip(&self, names: &[&str]) {
        names.iter().for_each(|name| {
            self.get(name);
        });
    }

    /// All attributes must have been asked for, once each.
    pub(super) fn finish(&self) -> Convert<()> {
        let unread = self.list.iter().filter(|(.., read)| !read.get());
        let names: Vec<String> = unread.map(|(name, ..)| format!("`{name}`")).collect();
        if names.is_empty() {
            return Ok(());
        }
        let what = if names.len() == 1 { "the attribute" } else { "the attributes" };
        unsupported(format!("{what} {}", names.join(", ")))
    }
}

fn size(name: &str, value: i64, least: i64) -> Convert<usize> {
    if (least..=MAX_SIZE).contains(&value) {
        return Ok(value as usize);
    }
    invalid(format!("{name} = {value} is not from {least} to {MAX_SIZE}"))
}

fn dimension(name: &str, axis: i64) -> Convert<isize> {
    if axis.unsigned_abs() <= 64 {
        return Ok(axis as isize);
    }
    invalid(format!("{name} = {axis} is no dimension"))
}
