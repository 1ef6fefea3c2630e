//! Tests of WebSockets on `/c/{channel}` and `/live`: publishing, resuming, acknowledgements, errors and the close.

use super::support::{Baro, bodies};
use app::wire::{ErrorCode, Frame};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_bare_socket_watches_and_talks() {
    let baro = Baro::start().await;
    let mut one = baro.websocket("/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99").await;
    let mut two = baro.websocket("/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99?from=esp32").await;
    two.send("안녕").await;
    two.send("{\"temp\": 24.8}").await;
    two.send_binary(&[0, 255]).await;
    for socket in [&mut one, &mut two] {
        let Frame::Message(first) = socket.frame().await else { panic!("a message") };
        assert_eq!((first.from.name.as_str(), first.prev), ("esp32", None));
        assert_eq!(socket.body().await, "{\"temp\":24.8}");
        let Frame::Message(third) = socket.frame().await else { panic!("a message") };
        assert_eq!(third.body.as_bytes(), [0, 255]);
    }
    let all = baro.json("/c/온실-3동").await;
    assert_eq!(bodies(&all), [json!("안녕"), json!({"temp": 24.8}), json!("AP8=")]);
}

#[tokio::test]
async fn it_is_registered_before_it_is_open() {
    let baro = Baro::start().await;
    for n in 0..50 {
        let mut socket = baro.websocket("/c/a").await;
        baro.say("a", &n.to_string()).await;
        assert_eq!(socket.body().await, n.to_string());
    }
}

#[tokio::test]
async fn resuming_continues_exactly_from_memory_and_from_the_store() {
    let baro = Baro::start().await;
    let mut ids = Vec::new();
    for n in 0..600 {
        ids.push(baro.say("a", &n.to_string()).await);
    }
    let baro = baro.restart().await;
    baro.say("a", "600").await;
    let mut socket = baro.websocket(&format!("/c/a?after={}", ids[9])).await;
    for n in 10..=600 {
        assert_eq!(socket.body().await, n.to_string());
    }
    let mut socket = baro.websocket("/c/a?last=2").await;
    assert_eq!((socket.body().await, socket.body().await), ("599".into(), "600".into()));
}

#[tokio::test]
async fn what_is_wrong_comes_as_a_frame_and_the_connection_stays() {
    let baro = Baro::start_with(&["--max-message", "1000"]).await;
    let mut socket = baro.websocket("/c/a").await;
    socket.send(&"x".repeat(1001)).await;
    let Frame::Error { code, .. } = socket.frame().await else { panic!("an error") };
    assert_eq!(code, ErrorCode::TooLarge);
    socket.send("still here").await;
    assert_eq!(socket.body().await, "still here");

    let mut live = baro.websocket("/live?channels=a").await;
    for (text, expected, reference) in [
        ("{", ErrorCode::BadFrame, None),
        (r#"{"type":"dance","ref":1}"#, ErrorCode::BadFrame, Some(json!(1))),
        (r#"{"type":"publish","ref":"r","channel":".a","body":1}"#, ErrorCode::BadChannel, Some(json!("r"))),
        (r#"{"type":"publish","ref":2,"channel":"a","body":1,"key":""}"#, ErrorCode::BadKey, Some(json!(2))),
        (r#"{"type":"subscribe","ref":3,"channels":["a b"]}"#, ErrorCode::BadChannel, Some(json!(3))),
    ] {
        live.send(text).await;
        let Frame::Error { code, reference: told, .. } = live.frame().await else { panic!("an error") };
        assert_eq!((code, told), (expected, reference), "{text}");
    }
    live.send_binary(b"x").await;
    assert!(matches!(live.frame().await, Frame::Error { code: ErrorCode::BadFrame, .. }));
    live.send(r#"{"type":"ping","ref":9}"#).await;
    assert!(matches!(live.frame().await, Frame::Ack(ack) if ack.reference == Some(json!(9))));
}

#[tokio::test]
async fn live_publishes_acknowledges_and_changes_its_channels() {
    let baro = Baro::start().await;
    let mut live = baro.websocket("/live?channels=a").await;
    let opening = live.raw().await.unwrap();
    assert!(matches!(Frame::parse(opening.to_text().unwrap()), Ok(Frame::Cursor { .. })));
    live.send(r#"{"type":"publish","ref":1,"channel":"a","body":{"x": 1},"key":"k"}"#).await;
    let (mut acked, mut seen) = (None, None);
    while acked.is_none() || seen.is_none() {
        match live.frame().await {
            Frame::Ack(ack) => acked = ack.id,
            Frame::Message(message) => {
                assert_eq!(message.key.as_deref(), Some("k"));
                seen = Some(message.id);
            }
            frame => panic!("{frame:?}"),
        }
    }
    assert_eq!(acked, seen);
    live.send(r#"{"type":"subscribe","ref":2,"channels":["b"]}"#).await;
    let Frame::Ack(ack) = live.frame().await else { panic!("an ack") };
    assert!(ack.cursor.is_some());
    baro.say("a", "no longer").await;
    baro.say("b", "new").await;
    assert_eq!(live.body().await, "new");
}

#[tokio::test]
async fn bodies_come_back_as_they_were_sent() {
    let baro = Baro::start().await;
    let mut socket = baro.websocket("/c/a?format=body").await;
    for text in ["", "x", "{ \"a\" : 1 }", "줄\r\n끝"] {
        socket.send(text).await;
        assert_eq!(socket.raw().await, Some(Message::text(text)));
    }
    socket.send_binary(&[1, 2, 3]).await;
    assert_eq!(socket.raw().await, Some(Message::binary(vec![1, 2, 3])));
}

#[tokio::test]
async fn what_was_sent_before_the_close_is_stored() {
    let baro = Baro::start().await;
    let mut socket = baro.websocket("/c/a").await;
    for n in 0..200 {
        socket.send(&format!("n{n}")).await;
    }
    socket.close().await;
    while socket.raw().await.is_some() {}
    assert_eq!(bodies(&baro.json("/c/a?last=1000").await).len(), 200);
}

#[tokio::test]
async fn readers_on_every_transport_see_the_same_bytes_in_the_same_order() {
    let baro = Baro::start().await;
    let mut socket = baro.websocket("/c/a").await;
    let mut events = baro.events("/c/a", None).await;
    events.next().await.unwrap();
    let publishers = (0..4).map(|publisher| {
        let (client, url) = (baro.client.clone(), baro.url("/c/a"));
        tokio::spawn(async move {
            for n in 0..50 {
                client.post(&url).body(format!("{publisher}:{n}")).send().await.unwrap();
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let poll = baro.json("/c/a?limit=200").await;
    for message in poll["messages"].as_array().unwrap() {
        let over_socket = socket.raw().await.unwrap();
        assert_eq!(over_socket.to_text().unwrap(), events.message().await.data);
        assert_eq!(&serde_json::from_str::<serde_json::Value>(over_socket.to_text().unwrap()).unwrap(), message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_of_a_busy_channel_is_pinged_and_stays() {
    // Uses the memory engine: while a store's thread works, the runtime looks idle and the paused clock runs ahead.
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let mut socket = baro.websocket("/c/a").await;
    // Longer than the minute after which a silent connection is closed, on a channel that is never idle.
    for n in 0..90 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        baro.say("a", &format!("n{n}")).await;
        assert_eq!(socket.body().await, format!("n{n}"));
    }
}

#[tokio::test]
async fn a_stop_says_bye_and_when_to_come_back() {
    let baro = Baro::start().await;
    let mut socket = baro.websocket("/live?channels=a").await;
    let stopped = tokio::spawn(baro.restart());
    let Frame::Bye { code, retry_ms, .. } = socket.frame().await else { panic!("a bye") };
    assert_eq!(code, 1001);
    assert!(retry_ms >= 500);
    assert_eq!(socket.raw().await, None);
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_burst_is_stored_in_the_order_it_came() {
    let baro = Baro::start().await;
    let mut socket = baro.websocket("/c/burst").await;
    for number in 0..2000 {
        socket.feed(&number.to_string()).await;
    }
    socket.flush().await;
    for number in 0..2000 {
        assert_eq!(socket.body().await, number.to_string());
    }
}

/// A regression test: bytes that arrived during a read were not read until more bytes arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_that_comes_while_it_is_read_is_read_to_its_end() {
    use tokio::io::AsyncWriteExt;
    let baro = Baro::start().await;
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    for _ in 0..20 {
        let mut watcher = baro.websocket("/c/burst").await;
        let mut stream = baro.deaf("/c/burst").await;
        // The client does not read the answers to its pings. The server must read on nevertheless.
        for size in [1, 7, 100, 1000] {
            stream.write_all(&ping.repeat(size)).await.unwrap();
        }
        let hello = [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat();
        stream.write_all(&hello).await.unwrap();
        assert_eq!(watcher.body().await, "hello");
    }
}
