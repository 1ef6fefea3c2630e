//! Tests of slow readers, readers that stop reading, and peers that are gone.

use super::support::{Baro, soon};
use app::wire::Frame;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task,
    time::{self, Instant, sleep, timeout},
};

const MEMORY: &[&str] = &["--engine", "memory"];

/// Sends a request and reads the start of its answer. The test decides what else is read.
async fn raw(baro: &Baro, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    stream.write_all(format!("{request}\r\nHost: {}\r\n\r\n", baro.address).as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    stream
}

async fn stream(baro: &Baro) -> TcpStream {
    raw(baro, "GET /c/a?from=slow HTTP/1.1\r\nAccept: text/event-stream").await
}

async fn socket(baro: &Baro) -> TcpStream {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
    raw(
        baro,
        &format!("GET /live?channels=a&from=slow HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    )
    .await
}

/// Publishes more than the socket buffers of both sides hold.
async fn fill(baro: &Baro) {
    let body = "x".repeat(500_000);
    for _ in 0..40 {
        baro.say("a", &body).await;
    }
}

async fn here(baro: &Baro) -> u64 {
    let list = baro.json("/").await;
    list["channels"][0]["here"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_let_go_after_a_minute_without_a_byte() {
    for over in [false, true] {
        let baro = Baro::start_with(MEMORY).await;
        let mut reader = if over { socket(&baro).await } else { stream(&baro).await };
        // The last byte moves between these two moments: the paused clock runs on while the kernel works.
        let begun = Instant::now();
        fill(&baro).await;
        let filled = Instant::now();
        while here(&baro).await > 0 {
            assert!(filled.elapsed() < Duration::from_secs(75), "{:?}", filled.elapsed());
            sleep(Duration::from_secs(1)).await;
        }
        assert!(begun.elapsed() >= Duration::from_secs(60), "{:?}", begun.elapsed());
        assert!(filled.elapsed() < Duration::from_secs(75), "{:?}", filled.elapsed());
        let mut left = Vec::new();
        let _ = soon(reader.read_to_end(&mut left)).await;
    }
}

fn is_last(got: &[u8]) -> bool {
    got.windows(13).rev().take(1000).any(|text| text == b"the last word")
}

/// Reads two megabytes, or what is left until the last word.
///
/// The clock is paused and the kernel needs real time. A task that yields keeps the paused clock where it is, so a busy
/// machine cannot end the turn before the server has moved a byte. The limit is of real time: it only keeps a server that
/// stalls from hanging the test.
async fn read_a_turn(reader: &mut TcpStream, got: &mut Vec<u8>) {
    let mut chunk = vec![0; 400_000];
    let until = got.len() + 2_000_000;
    let begun = std::time::Instant::now();
    while got.len() < until && !is_last(got) {
        match reader.try_read(&mut chunk) {
            Ok(0) => panic!("the server let the reader go after {} bytes", got.len()),
            Ok(read) => got.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(begun.elapsed() < Duration::from_secs(60), "nothing more after {} bytes", got.len());
                task::yield_now().await;
            }
            Err(error) => panic!("the connection broke after {} bytes: {error}", got.len()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_stays_and_gets_everything() {
    for over in [false, true] {
        let baro = Baro::start_with(MEMORY).await;
        let mut reader = if over { socket(&baro).await } else { stream(&baro).await };
        fill(&baro).await;
        baro.say("a", "the last word").await;
        let mut got = Vec::new();
        let begun = Instant::now();
        // The client reads nothing for fifty seconds at a time, which is less than the minute that is allowed.
        while !is_last(&got) {
            sleep(Duration::from_secs(50)).await;
            read_a_turn(&mut reader, &mut got).await;
        }
        assert!(begun.elapsed() > Duration::from_secs(120));
        assert!(got.len() > 20_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_answers_nothing_is_let_go_after_a_minute() {
    let baro = Baro::start_with(MEMORY).await;
    baro.say("a", "x").await;
    let mut silent = socket(&baro).await;
    assert_eq!(here(&baro).await, 1);
    let begun = Instant::now();
    let mut got = Vec::new();
    silent.read_to_end(&mut got).await.unwrap();
    assert!((Duration::from_secs(60)..Duration::from_secs(62)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    // Close code 4000, in network order.
    assert!(got.windows(2).any(|pair| pair == 4000u16.to_be_bytes()));
}

/// The clock is not paused. A paused clock would skip the minute after which the server closes readers that stopped, so
/// the test would not notice that others waited for them.
#[tokio::test]
async fn others_do_not_wait_for_a_reader_that_stops() {
    let baro = Baro::start_with(MEMORY).await;
    let _stopped = (stream(&baro).await, socket(&baro).await);
    let mut healthy = baro.websocket("/c/a").await;
    soon(fill(&baro)).await;
    for _ in 0..40 {
        assert_eq!(healthy.body().await.len(), 500_000);
    }
}

/// Moves the clock forward by a second without waiting.
async fn skip_a_second() {
    time::pause();
    time::advance(Duration::from_secs(1)).await;
    time::resume();
}

#[tokio::test]
async fn who_is_behind_is_told_how_far_and_when_it_is_not() {
    let baro = Baro::start_with(MEMORY).await;
    let mut reader = baro.websocket("/live?channels=a").await;
    // These fill the buffers of the client and of the server.
    let body = "x".repeat(40_000);
    for _ in 0..1500 {
        baro.say("a", &body).await;
    }
    let (mut behind, mut messages, mut last) = (Vec::new(), 0, Instant::now());
    let reading = async {
        loop {
            match reader.any().await {
                Frame::Message(_) => {
                    messages += 1;
                    last = Instant::now();
                    // The server tells a reader at most once a second how far it is behind.
                    if messages % 100 == 0 && messages <= 1000 {
                        skip_a_second().await;
                    }
                }
                Frame::Behind { behind: far, .. } => behind.push(far),
                Frame::Cursor { .. } if messages == 1500 => break,
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(120), reading).await.expect("the reader catches up");
    // A heartbeat, after fifteen seconds without a message, is a cursor too.
    assert!(last.elapsed() < Duration::from_secs(10), "{:?}", last.elapsed());
    assert!(behind.len() >= 2, "it was told again and again: {behind:?}");
    assert!(behind.is_sorted_by(|a, b| a >= b), "less and less: {behind:?}");
    assert!(behind.iter().all(|far| *far > 0 && *far < 1500));
}
