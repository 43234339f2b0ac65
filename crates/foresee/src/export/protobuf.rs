//! The wire format of protocol buffers, as far as it takes to write one message
//! (<https://protobuf.dev/programming-guides/encoding/>).

/// A message under construction: its fields in the order in which they were added.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds an integer that is not negative.
    pub fn integer(mut self, field: u32, value: u64) -> Self {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    /// Adds a number of type `float`.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds bytes, or a text in UTF-8.
    pub fn bytes(mut self, field: u32, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Adds a message.
    pub fn message(self, field: u32, value: Self) -> Self {
        self.bytes(field, value.0)
    }

    /// Adds each of some messages under the same field.
    pub fn messages(self, field: u32, values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(self, |message, value| message.message(field, value))
    }

    /// Adds each of some texts under the same field.
    pub fn texts(self, field: u32, values: &[&str]) -> Self {
        values.iter().fold(self, |message, value| message.bytes(field, value))
    }

    /// The bytes of the message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the page that the module names.
    #[test]
    fn fields_are_encoded_as_the_specification_does() {
        assert_eq!(Message::default().integer(1, 150).finish(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing").finish();
        assert_eq!(text, [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        let inner = Message::default().integer(1, 150);
        assert_eq!(Message::default().message(3, inner).finish(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().float(1, 1.).finish(), [0x0d, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().integer(20, 7).finish(), [0xa0, 0x01, 0x07]);
    }
}
