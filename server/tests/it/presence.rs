//! Tests of presence and typing: who joins and leaves, the leases of polls, and changed names.

use super::support::{Baro, Events, Socket};
use app::wire::{Frame, PresenceUpdate, Typing, limits::TYPING_SECONDS};
use std::time::Duration;
use tokio::time::Instant;

async fn presence(socket: &mut Socket) -> PresenceUpdate {
    loop {
        let frame = socket.any().await;
        if let Frame::Presence(presence) = frame {
            return presence;
        }
    }
}

async fn typing(socket: &mut Socket) -> Typing {
    loop {
        if let Frame::Typing(typing) = socket.any().await {
            return typing;
        }
    }
}

async fn over_sse(events: &mut Events) -> PresenceUpdate {
    loop {
        let event = events.next().await.expect("the stream stays");
        if event.event.as_deref() == Some("presence") {
            let Ok(Frame::Presence(presence)) = Frame::parse(&event.data) else { panic!("{event:?}") };
            assert_eq!(event.id, None, "presence is not part of the log");
            return presence;
        }
    }
}

fn names(senders: &[app::wire::Sender]) -> Vec<&str> {
    senders.iter().map(|sender| sender.name.as_str()).collect()
}

async fn cookie(baro: &Baro) -> String {
    let page = baro.get("/c/a").header("accept", "text/html").send().await.unwrap();
    page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_watches_hears_who_comes_and_goes() {
    let baro = Baro::start().await;
    let mut one = baro.websocket("/live?channels=a&from=one").await;
    let first = presence(&mut one).await;
    assert!(first.whole);
    assert_eq!((names(&first.joined), first.people, first.programs), (vec!["one"], 0, 1));
    let mut two = baro.events("/c/a?from=two", None).await;
    assert_eq!(names(&presence(&mut one).await.joined), ["two"]);
    let whole = over_sse(&mut two).await;
    assert!(whole.whole);
    assert_eq!((names(&whole.joined).len(), whole.programs), (2, 2));
    drop(two);
    let left = presence(&mut one).await;
    assert_eq!((names(&left.left), left.programs, left.whole), (vec!["two"], 1, false));
}

#[tokio::test]
async fn a_visitor_counts_once_however_many_tabs() {
    let baro = Baro::start().await;
    let pair = cookie(&baro).await;
    let mut tabs = Vec::new();
    for _ in 0..3 {
        tabs.push(baro.websocket_as("/live?channels=a", &pair).await);
    }
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    let whole = presence(&mut watcher).await;
    assert_eq!((whole.people, whole.programs, whole.joined.len()), (1, 1, 2));
    let list = baro.json("/").await;
    assert_eq!(list["channels"].as_array().unwrap().len(), 0, "nobody spoke yet: presence makes no channel");
    baro.say("a", "x").await;
    assert_eq!(baro.json("/").await["channels"][0]["here"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_within_five_seconds_is_no_leave() {
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    let guest = baro.websocket("/live?channels=a&from=guest").await;
    let joined = presence(&mut watcher).await;
    if !names(&joined.joined).contains(&"guest") {
        assert_eq!(names(&presence(&mut watcher).await.joined), ["guest"]);
    }
    drop(guest);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let guest = baro.websocket("/live?channels=a&from=guest").await;
    let third = baro.websocket("/live?channels=a&from=third").await;
    let next = presence(&mut watcher).await;
    assert_eq!((names(&next.joined), names(&next.left)), (vec!["third"], vec![]), "the guest neither left nor joined");
    drop((guest, third));
    let mut left = names(&presence(&mut watcher).await.left).len();
    while left < 2 {
        left += presence(&mut watcher).await.left.len();
    }
}

#[tokio::test(start_paused = true)]
async fn polls_renew_a_lease() {
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let cursor = baro.json("/c/a").await["cursor"].as_str().unwrap().to_owned();
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    presence(&mut watcher).await;
    let poll = format!("/c/a?after={cursor}&from=poller");
    baro.json(&poll).await;
    assert_eq!(names(&presence(&mut watcher).await.joined), ["poller"]);
    let begun = Instant::now();
    let polls = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            baro.json(&poll).await;
        }
    };
    let (left, ()) = tokio::join!(presence(&mut watcher), polls);
    assert_eq!(names(&left.left), ["poller"]);
    assert!(begun.elapsed() >= Duration::from_secs(130), "it is present until its polls stop and the lease ends");
    baro.json("/c/a?from=passer-by").await;
    baro.json(&poll).await;
    assert_eq!(names(&presence(&mut watcher).await.joined), ["poller"], "a read without a cursor makes nobody present");
}

/// The writer types, and the watcher is told.
async fn begin_typing(writer: &mut Socket, watcher: &mut Socket) {
    writer.send(r#"{"type":"typing","ref":1,"channel":"a"}"#).await;
    assert!(matches!(writer.frame().await, Frame::Ack(ack) if ack.reference == Some(1.into())));
    assert_eq!(names(&typing(watcher).await.who), ["writer"]);
}

#[tokio::test(start_paused = true)]
async fn typing_ends_by_itself() {
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    let mut writer = baro.websocket("/live?channels=a&from=writer").await;
    presence(&mut watcher).await;
    let begun = Instant::now();
    begin_typing(&mut writer, &mut watcher).await;
    assert!(typing(&mut watcher).await.who.is_empty());
    assert!(begun.elapsed() >= Duration::from_secs(TYPING_SECONDS), "{:?}", begun.elapsed());
}

/// The clock is not paused: a paused clock could pass the time after which typing ends by itself.
#[tokio::test]
async fn typing_ends_by_word_and_by_a_message() {
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    let mut writer = baro.websocket("/live?channels=a&from=writer").await;
    presence(&mut watcher).await;
    for end in [r#"{"type":"typing","channel":"a","on":false}"#, r#"{"type":"publish","channel":"a","body":"x"}"#] {
        let begun = Instant::now();
        begin_typing(&mut writer, &mut watcher).await;
        writer.send(end).await;
        writer.frame().await;
        assert!(typing(&mut watcher).await.who.is_empty(), "{end}");
        assert!(begun.elapsed() < Duration::from_secs(TYPING_SECONDS), "{end}: {:?}", begun.elapsed());
    }
    writer.send(r#"{"type":"typing","ref":2,"channel":".a"}"#).await;
    loop {
        match writer.frame().await {
            Frame::Error { code, .. } => break assert_eq!(code, app::wire::ErrorCode::BadChannel),
            Frame::Message(_) | Frame::Ack(_) => {}
            frame => panic!("{frame:?}"),
        }
    }
    assert_eq!(baro.json("/c/a").await["messages"].as_array().unwrap().len(), 1, "typing is not stored");
}

#[tokio::test]
async fn another_set_of_channels_is_another_presence() {
    let baro = Baro::start().await;
    let mut one = baro.websocket("/live?channels=a&from=one").await;
    presence(&mut one).await;
    one.send(r#"{"type":"subscribe","ref":1,"channels":["b"]}"#).await;
    assert_eq!(presence(&mut one).await.channel.as_str(), "b");
    let mut two = baro.websocket("/live?channels=b&from=two").await;
    assert_eq!(presence(&mut two).await.programs, 2);
}

#[tokio::test]
async fn a_new_name_is_told_and_nobody_is_counted_twice() {
    let baro = Baro::start().await;
    let before = cookie(&baro).await;
    let mut watcher = baro.websocket("/live?channels=a&from=watcher").await;
    presence(&mut watcher).await;
    let first = baro.websocket_as("/live?channels=a", &before).await;
    let came = presence(&mut watcher).await;
    let id = came.joined[0].id.clone();
    let after = renamed(&baro, &before).await;
    drop(first);
    let _second = baro.websocket_as("/live?channels=a", &after).await;
    let told = presence(&mut watcher).await;
    assert_eq!((names(&told.joined), told.joined[0].id.clone(), told.people), (vec!["Mina"], id, 1));
}

/// Changes the visitor's name to Mina. Returns the new cookie.
async fn renamed(baro: &Baro, cookie: &str) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = client.post(baro.url("/name")).header("cookie", cookie).body("name=Mina&back=/");
    let answer = form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}
