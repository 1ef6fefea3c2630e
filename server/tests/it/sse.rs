//! Tests of Server-Sent Events: the first event, resuming, the channel list, and the end of a stream.

use super::support::{Baro, soon};
use app::wire::Frame;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

#[tokio::test]
async fn headers_and_a_first_event_come_at_once() {
    let baro = Baro::start().await;
    let begun = Instant::now();
    let mut events = baro.events("/c/a", None).await;
    let first = events.next().await.unwrap();
    // The first heartbeat, after fifteen seconds, is a cursor too.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(first.event.as_deref(), Some("cursor"));
    let Frame::Cursor { cursor } = Frame::parse(&first.data).unwrap() else { panic!("a cursor") };
    assert_eq!(first.id, Some(cursor.to_string()));
}

#[tokio::test]
async fn a_message_is_a_plain_event_with_its_id() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/온실-3동", None).await;
    let id = baro.say("온실-3동", "안녕\n바로").await;
    let event = events.message().await;
    assert_eq!(event.id, Some(id));
    let stored = baro.json("/c/온실-3동").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&event.data).unwrap(), stored["messages"][0]);
}

#[tokio::test]
async fn last_event_id_continues_exactly() {
    let baro = Baro::start().await;
    let first = baro.say("a", "one").await;
    baro.say("b", "not ours").await;
    baro.say("a", "two").await;
    // `Last-Event-ID` takes precedence over `after`, and `after` over `last`.
    let mut events = baro.events("/c/a?after=earliest&last=10", Some(&first)).await;
    assert!(events.message().await.data.contains("\"body\":\"two\""));
    baro.say("a", "three").await;
    assert!(events.message().await.data.contains("\"body\":\"three\""));
}

#[tokio::test]
async fn bodies_only_for_the_plainest_clients() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/a?format=body", None).await;
    let id = baro.say("a", "{ \"a\":\r\n 1 }").await;
    let event = events.message().await;
    assert_eq!((event.data.as_str(), event.id), ("{ \"a\":\n 1 }", Some(id)));
}

#[tokio::test]
async fn the_list_sends_its_changes() {
    let baro = Baro::start().await;
    baro.say("a", "1").await;
    let mut events = baro.events("/", None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.event.as_deref(), Some("channel"));
    assert!(first.data.contains("\"channel\":\"a\""));
    baro.say("b", "2").await;
    loop {
        let event = events.next().await.unwrap();
        if event.event.as_deref() == Some("channel") {
            assert!(event.data.contains("\"channel\":\"b\""));
            break;
        }
    }
}

#[tokio::test]
async fn a_stop_says_bye() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/a", None).await;
    events.next().await.unwrap();
    let stopped = tokio::spawn(baro.restart());
    loop {
        let event = events.next().await.expect("bye comes before the end");
        if event.event.as_deref() == Some("bye") {
            break;
        }
    }
    assert_eq!(events.next().await, None);
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_stream_asked_for_behind_another_request_begins_after_its_answer() {
    let baro = Baro::start().await;
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    let both = "POST /c/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi\
                GET /c/a?after=earliest HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut got = String::new();
    let mut chunk = [0; 4096];
    while !got.contains("\"body\":\"hi\"") {
        let read = soon(stream.read(&mut chunk)).await.unwrap();
        assert!(read > 0, "{got}");
        got.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
    let (published, stream) = (got.find("HTTP/1.1 201").unwrap(), got.find("HTTP/1.1 200").unwrap());
    assert!(published < stream, "{got}");
}

#[tokio::test]
async fn the_head_of_a_stream_alone_can_be_asked_for() {
    let baro = Baro::start().await;
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    let head = "HEAD /c/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    soon(stream.read_to_string(&mut got)).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.contains("text/event-stream") && got.ends_with("\r\n\r\n"));
}
