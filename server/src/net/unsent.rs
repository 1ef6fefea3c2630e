//! The bytes of one connection that the kernel did not take yet.

use bytes::{Buf, Bytes};
use rustix::{
    io::Errno,
    net::{SendFlags, send},
};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};
use tokio::net::TcpStream;

/// Slices that one write hands to the kernel.
const SLICES: usize = 16;

/// The peer is gone: nothing more can be read from it or written to it.
#[derive(Debug)]
pub struct Disconnected;

/// What waits to be written, in order. Bounded by its users: a reader with unsent bytes leaves its lane, so it holds one
/// chunk at most; hyper writes only when nothing waits.
#[derive(Default)]
pub(super) struct Unsent {
    queue: VecDeque<Bytes>,
    /// Bytes that the kernel took so far.
    pub(super) written: u64,
    /// A write failed.
    broken: bool,
}

impl Unsent {
    /// Writes what the kernel takes now and keeps the rest. Returns whether nothing is left.
    ///
    /// The kernel is asked without a look at the readiness tokio knows of: it nearly always takes a message, and that
    /// knowledge is memory that would have to be fetched for each reader. When the kernel takes less, [`Self::flush`]
    /// tells tokio.
    pub(super) fn write(&mut self, stream: &TcpStream, bytes: &Bytes) -> bool {
        let mut written = 0;
        if self.queue.is_empty() && !self.broken {
            match send(stream, bytes, SendFlags::NOSIGNAL) {
                Ok(taken) => written = taken,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.broken = true,
            }
            self.written += written as u64;
            if written == bytes.len() {
                return true;
            }
        }
        if !self.broken {
            self.queue.push_back(bytes.slice(written..));
        }
        false
    }

    /// Writes what was kept. Returns whether nothing is left.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> Result<bool, Disconnected> {
        while !self.queue.is_empty() && !self.broken {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.queue.iter().zip(&mut slices).map(|(bytes, slice)| *slice = IoSlice::new(bytes)).count();
            match stream.try_write_vectored(&slices[..filled]) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => self.broken = true,
            }
        }
        // A connection that keeps up holds no buffer.
        if self.broken || self.queue.capacity() > 0 {
            self.queue = VecDeque::new();
        }
        if self.broken { Err(Disconnected) } else { Ok(true) }
    }

    fn advance(&mut self, mut written: usize) {
        self.written += written as u64;
        while let Some(first) = self.queue.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}
