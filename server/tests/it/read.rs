//! Tests of reading over HTTP: pages, cursors, long polls, and the formats of one URL.

use super::support::{Baro, bodies, json, refusal, soon};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn pages_are_complete_both_ways() {
    let baro = Baro::start().await;
    for n in 0..10 {
        baro.say("a", &format!("n{n}")).await;
        baro.say("b", "other").await;
    }
    let first = baro.json("/c/a?after=earliest&limit=4").await;
    assert_eq!(
        (bodies(&first), &first["more"]),
        (vec![json!("n0"), json!("n1"), json!("n2"), json!("n3")], &json!(true))
    );
    let cursor = first["cursor"].as_str().unwrap();
    let rest = baro.json(&format!("/c/a?after={cursor}")).await;
    assert_eq!((bodies(&rest).len(), &rest["more"]), (6, &json!(false)));
    assert_eq!(rest["messages"][0]["prev"], first["messages"][3]["id"]);
    let cursor = rest["cursor"].as_str().unwrap();
    assert_eq!(bodies(&baro.json(&format!("/c/a?after={cursor}")).await).len(), 0);

    let before = rest["messages"][0]["id"].as_str().unwrap();
    let page = baro.json(&format!("/c/a?before={before}&limit=3")).await;
    assert_eq!((bodies(&page), &page["more"]), (vec![json!("n1"), json!("n2"), json!("n3")], &json!(true)));
    let before = page["messages"][0]["id"].as_str().unwrap();
    let page = baro.json(&format!("/c/a?before={before}&limit=3")).await;
    assert_eq!((bodies(&page), &page["more"]), (vec![json!("n0")], &json!(false)));

    assert_eq!(bodies(&baro.json("/c/a?last=2").await), ["n8", "n9"]);
    assert_eq!(bodies(&baro.json("/c/a?limit=2").await), ["n8", "n9"]);
    assert_eq!(bodies(&baro.json("/c/a?last=0").await).len(), 0);
}

#[tokio::test]
async fn a_page_of_large_messages_ends_next_to_where_it_was_asked_for() {
    let baro = Baro::start().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(baro.say("a", &"x".repeat(500_000)).await);
    }
    let mut seen = Vec::new();
    let mut before = ids[39].clone();
    loop {
        let page = baro.json(&format!("/c/a?before={before}&limit=100")).await;
        let messages = page["messages"].as_array().unwrap();
        assert!(messages.len() < 20, "the size of an answer is limited");
        seen.extend(messages.iter().rev().map(|message| message["id"].as_str().unwrap().to_owned()));
        before = seen.last().unwrap().clone();
        if page["more"] == false {
            break;
        }
    }
    seen.reverse();
    assert_eq!(seen, ids[..39]);
}

#[tokio::test]
async fn many_channels_come_in_one_order() {
    let baro = Baro::start().await;
    for n in 0..6 {
        baro.say(["a", "b", "c"][n % 3], &format!("n{n}")).await;
    }
    let both = baro.json("/live?channels=a,c&after=earliest").await;
    assert_eq!(bodies(&both), ["n0", "n2", "n3", "n5"]);
    let two = baro.json("/live?channels=a,c&after=earliest&limit=3").await;
    let cursor = two["cursor"].as_str().unwrap();
    assert_eq!(bodies(&baro.json(&format!("/live?channels=a,c&after={cursor}")).await), ["n5"]);
    assert_eq!(bodies(&baro.json("/live?channels=a,b,c&last=2").await), ["n4", "n5"]);
}

#[tokio::test]
async fn an_empty_channel_is_no_error() {
    let baro = Baro::start().await;
    let empty = baro.json("/c/nobody-yet").await;
    assert_eq!((bodies(&empty).len(), &empty["more"], &empty["missed"]), (0, &json!(false), &json!([])));
    let id = baro.say("nobody-yet", "first").await;
    let cursor = empty["cursor"].as_str().unwrap();
    let next = baro.json(&format!("/c/nobody-yet?after={cursor}")).await;
    assert_eq!(next["messages"][0]["id"], id.as_str());
}

#[tokio::test]
async fn a_foreign_cursor_is_told_and_not_an_error() {
    let baro = Baro::start().await;
    baro.say("a", "kept").await;
    let answer = baro.json("/c/a?after=zzzzzz.99").await;
    assert_eq!(answer["missed"][0]["reason"], "unknown-cursor");
    assert_eq!(bodies(&answer), ["kept"]);
    let cursor = answer["cursor"].as_str().unwrap();
    let (epoch, _) = cursor.split_once('.').unwrap();
    let beyond = baro.json(&format!("/c/a?after={epoch}.99999")).await;
    assert_eq!((&beyond["missed"][0]["reason"], &beyond["missed"][0]["channel"]), (&json!("lost"), &json!("a")));
}

#[tokio::test]
async fn a_long_poll_waits_for_the_next_message() {
    let baro = Baro::start().await;
    let cursor = baro.json("/c/a").await["cursor"].as_str().unwrap().to_owned();
    let poll = tokio::spawn(baro.get(&format!("/c/a?after={cursor}&wait=20&from=poller")).send());
    // The poll waits as soon as its sender is present.
    baro.until_here("a", 1).await;
    baro.say("a", "now").await;
    let answer = soon(poll).await.unwrap().unwrap();
    assert_eq!(bodies(&json(answer).await), ["now"]);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let baro = Baro::start().await;
    for (path, code) in [
        ("/c/a?after=x", "bad-cursor"),
        ("/c/a?limit=0", "bad-parameter"),
        ("/c/a?as=xml", "bad-parameter"),
        ("/c/.a", "bad-channel"),
        ("/live", "bad-parameter"),
        ("/live?channels=a,%20", "bad-channel"),
    ] {
        assert_eq!(refusal(baro.get(path)).await, (400, code.into()), "{path}");
    }
    let many = (0..101).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(refusal(baro.get(&format!("/live?channels={many}"))).await, (400, "too-many-channels".into()));
    assert_eq!(refusal(baro.get("/c/a").header("last-event-id", "?")).await, (400, "bad-cursor".into()));
}

#[tokio::test]
async fn one_url_has_its_four_answers() {
    let baro = Baro::start().await;
    let kind = |accept: &'static str, path: &'static str| {
        let baro = &baro;
        async move {
            let answer = baro.get(path).header("accept", accept).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.headers().get_all("vary").iter().any(|vary| vary.to_str().unwrap().contains("Accept")));
            answer.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned()
        }
    };
    assert_eq!(kind("text/html,*/*", "/c/a").await, "text/html");
    assert_eq!(kind("text/event-stream", "/c/a").await, "text/event-stream");
    assert_eq!(kind("*/*", "/c/a").await, "application/json");
    assert_eq!(kind("text/html", "/c/a?as=json").await, "application/json");
    assert_eq!(kind("*/*", "/c/a?as=sse").await, "text/event-stream");
    assert_eq!(kind("text/html", "/").await, "text/html");
    assert_eq!(kind("*/*", "/").await, "application/json");
    let health = baro.json("/healthz").await;
    assert_eq!(health["status"], "ok");
}

#[tokio::test]
async fn the_list_of_channels_is_newest_first() {
    let baro = Baro::start().await;
    baro.say("a", "one").await;
    baro.say("온실-3동", "two").await;
    let list = baro.json("/").await;
    let names: Vec<_> = list["channels"].as_array().unwrap().iter().map(|entry| entry["channel"].clone()).collect();
    assert_eq!(names, ["온실-3동", "a"]);
    assert_eq!(list["channels"][1]["last"]["body"], "one");
    assert_eq!(list["channels"][0]["pace"].as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn requests_behind_a_long_poll_are_answered_after_it() {
    let baro = Baro::start().await;
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    let poll = "GET /c/a?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /c/a?wait=50&after=earliest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{poll}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n{last}").as_bytes()).await.unwrap();
    // The first poll waits as soon as its sender is present.
    baro.until_here("a", 1).await;
    baro.say("a", "first").await;
    let mut got = String::new();
    soon(stream.read_to_string(&mut got)).await.unwrap();
    let heads: Vec<_> = got.match_indices("HTTP/1.1 200 OK").map(|(at, _)| at).collect();
    assert_eq!(heads.len(), 3, "{got}");
    assert!(got[..heads[1]].contains("\"body\":\"first\""), "{got}");
    assert!(got[heads[1]..heads[2]].contains("\"status\":\"ok\""), "{got}");
    assert!(got[heads[2]..].contains("\"body\":\"first\"") && got[heads[2]..].contains("connection: close"), "{got}");
}

#[tokio::test]
async fn an_answer_larger_than_the_buffers_comes_whole_and_the_connection_goes_on() {
    let baro = Baro::start().await;
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    stream.write_all(b"GET /c/a?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    baro.until_here("a", 1).await;
    // A quote is two bytes in JSON, so the answer is larger than the socket buffers of both sides.
    baro.say("a", &"\"".repeat(1_000_000)).await;
    let mut got = Vec::new();
    let mut chunk = vec![0; 100_000];
    while !got.ends_with(b"\"missed\":[]}") {
        let read = soon(stream.read(&mut chunk)).await.unwrap();
        assert!(read > 0, "it ended after {} bytes", got.len());
        got.extend_from_slice(&chunk[..read]);
    }
    assert!(got.len() > 2_000_000);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    soon(stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("\"status\":\"ok\""), "{rest}");
}
