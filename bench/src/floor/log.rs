//! The recent messages of the reference servers, for long polls.

use bytes::Bytes;
use std::{collections::VecDeque, io::Write as _};

/// The number of messages kept.
const KEPT: usize = 65_536;
/// The largest number of messages in one answer.
const ANSWER: u64 = 1000;

/// The recent messages, addressed by position.
#[derive(Default)]
pub(crate) struct Log {
    bodies: VecDeque<Box<[u8]>>,
    /// The position of the next message.
    pub(crate) next: u64,
    /// The position and the value of `next` for which `answer` was composed. All readers that wait at this position get
    /// the same answer.
    last: Option<(u64, u64)>,
    answer: Answer,
}

/// A response with the messages after a position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The cursor for the next request.
    pub(crate) to: u64,
    /// The head and the body.
    pub(crate) whole: Bytes,
    /// The length of the head in bytes.
    head: usize,
}

impl Answer {
    /// The body without the head.
    pub(crate) fn body(&self) -> Bytes {
        self.whole.slice(self.head..)
    }
}

impl Log {
    /// Appends a message. Drops the oldest one if the log is full.
    pub(crate) fn push(&mut self, body: &[u8]) {
        if self.bodies.len() == KEPT {
            self.bodies.pop_front();
        }
        self.bodies.push_back(body.into());
        self.next += 1;
    }

    /// The answer with the messages after this position.
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
