//! Messages of protocol buffers, as far as ONNX files need them:
//! <https://protobuf.dev/programming-guides/encoding/>.

/// The content of a message: fields, each with its number before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message(Vec<u8>);

/// How a field's content is written.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    /// A message without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A field that is an integer.
    pub fn int(&mut self, field: u64, value: i64) -> &mut Self {
        self.tag(field, VARINT).varint(value as u64)
    }

    /// A field that is a number with a fraction.
    pub fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.tag(field, FIXED32).0.extend(value.to_le_bytes());
        self
    }

    /// A field that is a text.
    pub fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.data(field, text.as_bytes())
    }

    /// A field that is a message.
    pub fn message(&mut self, field: u64, message: &Self) -> &mut Self {
        self.data(field, &message.0)
    }

    /// A field that is bytes.
    pub fn data(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.begin(field, bytes.len()).append(bytes)
    }

    /// The beginning of a field of so many bytes, which follow.
    pub fn begin(&mut self, field: u64, length: usize) -> &mut Self {
        self.tag(field, LENGTH).varint(length as u64)
    }

    /// Bytes that [`begin`](Self::begin) announced.
    pub fn append(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// So many bytes that [`begin`](Self::begin) announced, to be set.
    pub fn zeros(&mut self, count: usize) -> &mut [u8] {
        let start = self.0.len();
        self.0.resize(start + count, 0);
        &mut self.0[start..]
    }

    /// Makes room for so many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve_exact(bytes);
    }

    /// Its bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u64, kind: u64) -> &mut Self {
        self.varint(field << 3 | kind)
    }

    /// Seven bits in a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's documentation.
    #[test]
    fn encoding() {
        let mut inner = Message::new();
        inner.int(1, 150);
        assert_eq!(inner.bytes(), [0x08, 0x96, 0x01]);
        let mut outer = Message::new();
        outer.text(2, "testing").message(3, &inner);
        let text = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(outer.bytes(), [&text[..], &[0x1a, 0x03, 0x08, 0x96, 0x01]].concat());
        // Negative integers take ten bytes.
        let mut negative = Message::new();
        negative.int(1, -2);
        assert_eq!(negative.bytes()[..3], [0x08, 0xfe, 0xff]);
        assert_eq!((negative.bytes().len(), negative.bytes()[10]), (11, 0x01));
        let mut float = Message::new();
        float.float(5, 1.);
        assert_eq!(float.bytes(), [0x2d, 0, 0, 0x80, 0x3f]);
    }
}
