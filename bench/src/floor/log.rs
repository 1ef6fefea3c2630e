//! The last messages, for polls.

use bytes::Bytes;
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
    answer: Answer,
}

/// What comes after a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Where to go on.
    pub(crate) to: u64,
    /// Head and body.
    pub(crate) whole: Bytes,
    /// Bytes of the head.
    head: usize,
}

impl Answer {
    /// Without the head.
    pub(crate) fn body(&self) -> Bytes {
        self.whole.slice(self.head..)
    }
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

    /// The answer with what comes after this place.
    pub(crate) fn answer(&mut self, after: u64) -> &Answer {
        if self.last != Some((after, self.next)) {
            self.last = Some((after, self.next));
            self.answer = self.compose(after);
        }
        &self.answer
    }

    fn compose(&self, after: u64) -> Answer {
        let first = self.next - self.bodies.len() as u64;
        let from = after.clamp(first, self.next);
        let to = (from + ANSWER).min(self.next);
        let bodies = self.bodies.range((from - first) as usize..(to - first) as usize);
        let length: usize = bodies.clone().map(|body| body.len() + 1).sum();
        let mut whole = Vec::with_capacity(length + 100);
        write!(whole, "HTTP/1.1 200 OK\r\nx-cursor: {to}\r\ncontent-length: {length}\r\n\r\n")
            .expect("a Vec takes everything");
        let head = whole.len();
        for body in bodies {
            whole.extend_from_slice(body);
            whole.push(b'\n');
        }
        Answer { to, whole: whole.into(), head }
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
        assert_eq!(&log.answer(1).whole[..], b"HTTP/1.1 200 OK\r\nx-cursor: 2\r\ncontent-length: 4\r\n\r\ntwo\n");
        assert_eq!(&log.answer(0).body()[..], b"one\ntwo\n");
        assert!(log.answer(2).whole.ends_with(b"content-length: 0\r\n\r\n"));
    }
}
