//! Protocol Buffers: the fields of a message, as parts of the bytes that hold it. A part never
//! reaches beyond its message, and a byte of it needs at most eight of memory: an integer takes one
//! or more.

use crate::onnx_error::OnnxError;

pub(super) type Read<T> = std::result::Result<T, OnnxError>;

/// The fields of a message.
pub(super) struct Fields<'a> {
    message: &'static str,
    rest: &'a [u8],
}

/// A field of a message.
pub(super) struct Field<'a> {
    message: &'static str,
    pub(super) number: u64,
    value: Value<'a>,
}

enum Value<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of the message that `bytes` hold; `message` names it in errors.
pub(super) fn fields<'a>(message: &'static str, bytes: &'a [u8]) -> Fields<'a> {
    Fields { message, rest: bytes }
}

pub(super) fn damaged(message: &'static str, reason: impl Into<String>) -> OnnxError {
    OnnxError::Damaged { message, reason: reason.into() }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Read<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Read<Field<'a>> {
        let message = self.message;
        let tag = self.varint()?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Eight(self.array()?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.array()?),
            kind => return Err(damaged(message, format!("field {number} has the type {kind}"))),
        };
        if number == 0 {
            return Err(damaged(message, "it has a field 0"));
        }
        Ok(Field { message, number, value })
    }

    fn take(&mut self, length: u64) -> Read<&'a [u8]> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest.len());
        let length = length.ok_or_else(|| damaged(self.message, "it ends early"))?;
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let message = self.message;
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or_else(|| damaged(message, "it ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Read<u64> {
        let (value, rest) =
            varint(self.rest).ok_or_else(|| damaged(self.message, "a number ends early"))?;
        self.rest = rest;
        Ok(value)
    }
}

/// A number of seven bits a byte, and what is behind it. Bits above the 64th are lost, as in the
/// reference implementation.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

impl<'a> Field<'a> {
    fn wrong(&self) -> OnnxError {
        damaged(self.message, format!("field {} has another type", self.number))
    }

    pub(super) fn int(&self) -> Read<i64> {
        match self.value {
            Value::Varint(value) => Ok(value as i64),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn float(&self) -> Read<f32> {
        match self.value {
            Value::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn bytes(&self) -> Read<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn text(&self) -> Read<&'a str> {
        let utf8 = std::str::from_utf8(self.bytes()?);
        utf8.map_err(|_| damaged(self.message, format!("field {} is no text", self.number)))
    }

    /// Adds the integers of a repeated field, packed or not.
    pub(super) fn ints(&self, to: &mut Vec<i64>) -> Read<()> {
        let Value::Bytes(mut bytes) = self.value else {
            to.push(self.int()?);
            return Ok(());
        };
        while !bytes.is_empty() {
            let (value, rest) =
                varint(bytes).ok_or_else(|| damaged(self.message, "a number ends early"))?;
            to.push(value as i64);
            bytes = rest;
        }
        Ok(())
    }

    /// Adds the numbers of a repeated field, packed or not.
    pub(super) fn floats(&self, to: &mut Vec<f32>) -> Read<()> {
        match self.value {
            Value::Four(bytes) => to.push(f32::from_le_bytes(bytes)),
            Value::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks();
                to.extend(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)));
                self.whole(rest)?;
            }
            _ => return Err(self.wrong()),
        }
        Ok(())
    }

    /// Adds the numbers of a repeated field, packed or not.
    pub(super) fn doubles(&self, to: &mut Vec<f64>) -> Read<()> {
        match self.value {
            Value::Eight(bytes) => to.push(f64::from_le_bytes(bytes)),
            Value::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks();
                to.extend(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)));
                self.whole(rest)?;
            }
            _ => return Err(self.wrong()),
        }
        Ok(())
    }

    fn whole(&self, rest: &[u8]) -> Read<()> {
        if rest.is_empty() {
            return Ok(());
        }
        Err(damaged(self.message, format!("field {} ends within a number", self.number)))
    }
}
