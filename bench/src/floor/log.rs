//! The last messages, for polls.

use std::{collections::VecDeque, io::Write as _};

/// Messages kept.
const KEPT: usize = 65_536;
/// Messages of one answer.
const ANSWER: u64 = 1000;

/// Messages by their place.
#[derive(Default)]
pub(crate) struct Log {
    bodies: VecDeque<Box<[u8]>>,
    /// The place of the next one.
    pub(crate) next: u64,
    /// The answer to who has read up to the first number when the next one was the second: all that wait get the same.
    last: Option<(u64, u64)>,
    answer: Vec<u8>,
    body: Vec<u8>,
}

impl Log {
    /// One more.
    pub(crate) fn push(&mut self, body: &[u8]) {
        if self.bodies.len() == KEPT {
            self.bodies.pop_front();
        }
        self.bodies.push_back(body.into());
        self.next += 1;
    }

    /// The whole answer with what comes after this place.
    pub(crate) fn answer(&mut self, after: u64) -> &[u8] {
        if self.last != Some((after, self.next)) {
            self.last = Some((after, self.next));
            self.compose(after);
        }
        &self.answer
    }

    fn compose(&mut self, after: u64) {
        let first = self.next - self.bodies.len() as u64;
        let from = after.clamp(first, self.next);
        let to = (from + ANSWER).min(self.next);
        self.body.clear();
        for body in self.bodies.range((from - first) as usize..(to - first) as usize) {
            self.body.extend_from_slice(body);
            self.body.push(b'\n');
        }
        self.answer.clear();
        let length = self.body.len();
        write!(self.answer, "HTTP/1.1 200 OK\r\nx-cursor: {to}\r\ncontent-length: {length}\r\n\r\n")
            .expect("a Vec takes everything");
        self.answer.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_on_where_the_cursor_is() {
        let mut log = Log::default();
        log.push(b"one");
        log.push(b"two");
        assert_eq!(log.answer(1), b"HTTP/1.1 200 OK\r\nx-cursor: 2\r\ncontent-length: 4\r\n\r\ntwo\n");
        assert!(log.answer(0).ends_with(b"\r\n\r\none\ntwo\n"));
        assert!(log.answer(2).ends_with(b"content-length: 0\r\n\r\n"));
    }
}
