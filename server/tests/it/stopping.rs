//! Tests of a server stop: clients are told to reconnect at different times, and the stop ends in time.

use super::support::{Baro, json, soon};
use app::wire::Frame;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

#[tokio::test]
async fn every_transport_is_told_when_to_come_back() {
    let baro = Baro::start_with(&["--drain", "3"]).await;
    let cursor = baro.json("/c/a").await["cursor"].as_str().unwrap().to_owned();
    let mut socket = baro.websocket("/live?channels=a").await;
    let mut plain = baro.websocket("/c/a?format=body").await;
    let mut events = baro.events("/c/a", None).await;
    events.next().await.unwrap();
    let poll = tokio::spawn(baro.get(&format!("/c/a?after={cursor}&wait=50&from=poller")).send());
    // The poll waits as soon as its sender is present.
    baro.until_here("a", 2).await;
    let stopped = tokio::spawn(baro.restart());
    let in_time = |millis: u64| assert!((500..=3500).contains(&millis), "{millis}");

    let Frame::Bye { code, retry_ms, .. } = socket.frame().await else { panic!("a bye") };
    assert_eq!(code, 1001);
    in_time(retry_ms);
    let reason = plain.closed().await;
    assert!(reason.contains("come back in"), "{reason}");
    in_time(reason.split_whitespace().find_map(|word| word.parse().ok()).unwrap());
    loop {
        let event = events.next().await.expect("bye comes before the end");
        if event.event.as_deref() == Some("bye") {
            in_time(event.retry.expect("retry, for an EventSource"));
            break;
        }
    }
    let answer = soon(poll).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&after));
    assert_eq!(json(answer).await["cursor"], cursor.as_str(), "the poll keeps its cursor");
    stopped.await.unwrap();
}

#[tokio::test]
async fn returns_are_spread_over_the_drain_time() {
    let baro = Baro::start_with(&["--drain", "20"]).await;
    let mut sockets = Vec::new();
    for _ in 0..40 {
        sockets.push(baro.websocket("/live?channels=a").await);
    }
    let stopped = tokio::spawn(baro.restart());
    let mut seconds = BTreeSet::new();
    for socket in &mut sockets {
        let Frame::Bye { retry_ms, .. } = socket.frame().await else { panic!("a bye") };
        seconds.insert(retry_ms / 1000);
    }
    assert!(seconds.len() > 8, "{seconds:?}");
    drop(sockets);
    stopped.await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_is_finished() {
    let baro = Baro::start().await;
    let mut publisher = baro.websocket("/live?channels=a").await;
    for n in 0..50 {
        publisher.send(&format!(r#"{{"type":"publish","ref":{n},"channel":"a","body":{n}}}"#)).await;
    }
    // Stop after the first acknowledgement, while the other publishes are in progress.
    let mut acknowledged = 0;
    while acknowledged == 0 {
        acknowledged += u64::from(matches!(publisher.frame().await, Frame::Ack(_)));
    }
    let stopped = tokio::spawn(baro.restart());
    while let Some(message) = publisher.raw().await {
        acknowledged += u64::from(matches!(Frame::parse(message.to_text().unwrap()), Ok(Frame::Ack(_))));
    }
    let baro = stopped.await.unwrap();
    let kept = baro.json("/c/a?last=100").await["messages"].as_array().unwrap().len() as u64;
    assert!(kept >= acknowledged, "{acknowledged} were acknowledged, {kept} are kept");
}

#[tokio::test]
async fn a_client_that_does_not_go_cannot_hold_it_up() {
    let baro = Baro::start_with(&["--drain", "1"]).await;
    let _deaf = baro.deaf("/c/a").await;
    baro.say("a", "x").await;
    let begun = Instant::now();
    baro.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
