//! The command `slow`: one reader stops reading. Measures the server's memory and the effect on another reader, and
//! checks that the slow reader loses nothing.

use crate::{
    http::publish_all,
    reader::{Bookmark, Reader},
    report::{Table, mib, seconds},
    server::{Fsync, Server, Setup},
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CHANNEL: &str = "slow";
/// Concurrent publishers, each with one request in flight.
const PUBLISHERS: u64 = 64;
/// How often a reader may be disconnected before the run fails.
const CUTS: u32 = 20;

/// Options of `slow`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Messages of 128 bytes that come while one reader stands still.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// The server's --fsync.
    #[arg(long, value_enum, default_value_t = Fsync::Always)]
    fsync: Fsync,
}

/// The result of a reader that received all messages.
struct Followed {
    /// Stays connected, because the server's memory is measured with this connection open.
    _reader: Reader,
    messages: u64,
    cut: u32,
    took: Duration,
}

/// Checks the order of the messages of each publisher. Publishers overtake each other, so there is no order across
/// publishers; [`Reader::next`] checks with `prev` that no message is missing.
struct Order {
    next: Vec<u64>,
    count: u64,
}

impl Order {
    fn new() -> Self {
        Self { next: (0..PUBLISHERS).collect(), count: 0 }
    }

    fn take(&mut self, number: u64) -> Result<()> {
        let next = &mut self.next[(number % PUBLISHERS) as usize];
        ensure!(*next == number, "the message {number} came where {next} should have");
        *next += PUBLISHERS;
        self.count += 1;
        Ok(())
    }
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let server = Server::start(setup, setup.folder()?, options.fsync).await?;
    let address = server.address();
    let columns = ["when", "took s", "RSS MiB", "peak MiB"];
    let mut stages = Table::new(format!("{} messages while one reader stands still", options.messages), columns);
    let mut slow = Reader::open(address, CHANNEL, Bookmark::default()).await?;
    let mut healthy = Reader::open(address, CHANNEL, Bookmark::default()).await?;
    publish_all(address, CHANNEL, 0..1).await?;
    for reader in [&mut slow, &mut healthy] {
        reader.next().await?.context("a reader was cut off before its first message")?;
    }
    server.forget_peak();
    stage(&mut stages, "before", Duration::ZERO, &server)?;

    // From here on nothing reads from the slow reader's socket.
    let start = Instant::now();
    let following = tokio::spawn(follow(address, healthy, options.messages));
    publish(address, options.messages).await?;
    let published = start.elapsed();
    let healthy = following.await??;
    stage(&mut stages, "all published, it still stands still", published, &server)?;

    let stood_still = start.elapsed();
    let slow = follow(address, slow, options.messages).await?;
    stage(&mut stages, "it has caught up", slow.took, &server)?;
    stages.print();

    let mut readers = Table::new("The readers", ["reader", "messages", "cut off", "stood still s", "read for s"]);
    for (name, one, still) in [("healthy", &healthy, Duration::ZERO), ("slow", &slow, stood_still)] {
        let [messages, cut] = [one.messages, u64::from(one.cut)].map(|number| number.to_string());
        readers.row([name.to_owned(), messages, cut, seconds(still), seconds(one.took)]);
    }
    readers.print();
    drop((healthy, slow));
    server.stop().await
}

fn stage(stages: &mut Table, when: &str, took: Duration, server: &Server) -> Result<()> {
    let now = server.memory()?;
    stages.row([when.to_owned(), seconds(took), mib(now.resident), mib(now.peak)]);
    Ok(())
}

/// Publishes all numbers. Each of the 64 publishers takes every 64th number.
async fn publish(address: SocketAddr, messages: u64) -> Result<()> {
    let mut publishers = JoinSet::new();
    for first in 0..PUBLISHERS.min(messages) {
        publishers.spawn(publish_all(address, CHANNEL, (first..messages).step_by(PUBLISHERS as usize)));
    }
    while let Some(done) = publishers.join_next().await {
        done??;
    }
    Ok(())
}

/// Reads until `messages` messages have arrived, and reconnects when the connection ends.
async fn follow(address: SocketAddr, mut reader: Reader, messages: u64) -> Result<Followed> {
    let start = Instant::now();
    let mut order = Order::new();
    let mut cut = 0;
    while order.count < messages {
        match reader.next().await? {
            Some(number) => order.take(number)?,
            None => {
                cut += 1;
                ensure!(cut <= CUTS, "a reader was cut off again and again");
                reader = Reader::open(address, CHANNEL, reader.leave()).await?;
            }
        }
    }
    Ok(Followed { _reader: reader, messages: order.count, cut, took: start.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_within_each_publisher() {
        let mut order = Order::new();
        for number in [1, 0, 65, 129, 64] {
            order.take(number).unwrap();
        }
        assert_eq!(order.count, 5);
        for number in [0, 64, 256, 193 + 64] {
            assert!(order.take(number).is_err(), "{number} is not the next of its publisher");
        }
    }
}
