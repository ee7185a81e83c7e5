//! What a server says, as frames of HTTP/2 (RFC 9113, section 4.1).

/// How long the head of a frame is.
const HEAD: usize = 9;
/// The type of a frame that carries a message, or a part of one.
const DATA: u8 = 0;

/// The frames of one direction of a connection, from its beginning on.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What there is of the head of the next one.
    head: Vec<u8>,
    /// How much of the last one is still to come.
    rest: usize,
}

impl Frames {
    /// How many messages begin in these bytes, the next ones of the connection: small ones, which
    /// have a frame each.
    pub(super) fn messages(&mut self, bytes: &[u8]) -> usize {
        let (mut bytes, mut messages) = (bytes, 0);
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [a, b, c, kind, ..] = self.head.as_slice()
                && self.head.len() == HEAD
            {
                self.rest = u32::from_be_bytes([0, *a, *b, *c]).try_into().unwrap_or_default();
                messages += usize::from(*kind == DATA && self.rest > 0);
                self.head.clear();
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let body = usize::from(length);
        [[0, 0, length, kind, 0, 0, 0, 0, 1].as_slice(), &vec![0; body]].concat()
    }

    #[test]
    fn messages_are_counted_however_the_bytes_are_cut() {
        let said = [frame(4, 0), frame(1, 20), frame(0, 30), frame(1, 9), frame(0, 0), frame(0, 1)];
        let said = said.concat();
        for size in 1..=said.len() {
            let mut frames = Frames::default();
            let messages: usize = said.chunks(size).map(|part| frames.messages(part)).sum();
            assert_eq!(messages, 2, "{size} bytes at once");
        }
    }
}
