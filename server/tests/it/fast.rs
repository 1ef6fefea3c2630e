//! Tests of the fast path, which answers plain publishes and polls without hyper. A client cannot tell the paths apart.

use super::support::{Baro, soon};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

const FLAGS: &[&str] =
    &["--engine", "memory", "--max-message", "1000", "--cookie-secret", "x", "--allow-origin", "https://app.example"];

/// A client with one connection, which it keeps.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    fields: BTreeMap<String, Vec<String>>,
    body: String,
}

impl Client {
    async fn connect(baro: &Baro) -> Self {
        Self { stream: TcpStream::connect(baro.address).await.unwrap(), received: Vec::new() }
    }

    /// Connects, and sends a request that is not for the fast path, so that hyper serves the connection from here on.
    async fn of_hyper(baro: &Baro) -> Self {
        let mut client = Self::connect(baro).await;
        let healthy = client.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(healthy.unwrap().status, 200);
        client
    }

    async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, request: &str) -> Option<Answer> {
        self.send(request).await;
        self.answer().await
    }

    /// Sends a request. Returns the answer, and whether the fast path gave it. Only this client may use the server.
    async fn ask_which(&mut self, baro: &Baro, request: &str) -> (Answer, bool) {
        let before = baro.fast_answers();
        let answer = self.ask(request).await.unwrap();
        (answer, baro.fast_answers() > before)
    }

    /// The cursor from which the polls of a channel begin.
    async fn cursor(&mut self, target: &str) -> String {
        self.ask(&get(target, "")).await.unwrap().json()["cursor"].as_str().unwrap().to_owned()
    }

    /// The next answer. Returns `None` if the server closes the connection.
    async fn answer(&mut self) -> Option<Answer> {
        soon(async {
            let end = loop {
                if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
                if self.stream.read_buf(&mut self.received).await.unwrap_or(0) == 0 {
                    return None;
                }
            };
            let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
            let mut lines = head.trim_end().split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
                fields.entry(name.to_ascii_lowercase()).or_default().push(value.to_owned());
            }
            let length = fields.get("content-length").map_or(0, |length| length[0].parse().unwrap());
            // An answer to HEAD has no body; it is complete because the server closes the connection after it.
            while self.received.len() < length && self.stream.read_buf(&mut self.received).await.unwrap() > 0 {}
            let length = length.min(self.received.len());
            let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
            Some(Answer { status, fields, body })
        })
        .await
    }
}

impl Answer {
    /// Removes what differs between two servers and two moments: the date, the epoch and the times.
    fn comparable(mut self, epoch: &str) -> Self {
        assert!(self.fields.remove("date").is_some_and(|date| date.len() == 1), "an answer has one date");
        self.body = self.body.replace(epoch, "EPOCH");
        // All times have the same length.
        while let Some(at) = self.body.find("\"time\":\"") {
            self.body.replace_range(at..at + r#""time":"2026-11-22T05:06:07.089Z""#.len(), "TIME");
        }
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

fn requests() -> Vec<String> {
    let large = "x".repeat(1001);
    vec![
        post("/c/a", "", "hello"),
        post("/c/a", "Content-Type: text/plain\r\n", "hello"),
        post("/c/a", "Content-Type: text/plain; charset=utf-16\r\n", "hello"),
        post("/c/a", "Content-Type: nonsense\r\n", "hello"),
        post("/c/a", "Content-Type: application/json\r\n", r#"{"a": 1}"#),
        post("/c/a", "Content-Type: application/json\r\n", "{"),
        post("/c/a", "Content-Type: application/json\r\n", &"{".repeat(1001)),
        post("/c/a", "Content-Type: image/png\r\n", "\u{1}\u{2}"),
        post("/c/a?from=esp32", "", "hello"),
        post("/c/a?from=", "From-Name: 윤태호\r\n", "hello"),
        post("/c/a?from=%07", "", "hello"),
        post("/c/a", "From-Name: \r\n", "hello"),
        post("/c/a", "User-Agent: curl/8.5\r\n", "hello"),
        post("/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99", "", "hello"),
        post("/c/%FF", "", "hello"),
        post("/c/.env", "", "hello"),
        post("/c/", "", "hello"),
        post("/c/a/b", "", "hello"),
        post("/c/k", "Idempotency-Key: one\r\n", "hello"),
        post("/c/k", "Idempotency-Key: one\r\n", "hello"),
        post("/c/k", "Idempotency-Key: one\r\n", "other"),
        post("/c/k", "If-Match: *\r\n", "hello"),
        post("/c/k", "If-Match: x.1\r\n", "hello"),
        post("/c/none", "If-Match: *\r\n", "hello"),
        post("/c/k", "If-Match: nonsense\r\n", "hello"),
        post("/c/a", "", ""),
        post("/c/a", "", &large),
        post("/c/a", "Cookie: baro=v1.x.y\r\n", "hello"),
        post("/c/a", "Origin: https://app.example\r\n", "hello"),
        post("/c/a", "Origin: https://evil.example\r\n", "hello"),
        post("/c/a", "Origin: http://localhost\r\n", "hello"),
        post("/c/a", "Connection: keep-alive\r\n", "hello"),
        post("/c/a", "Connection: close\r\n", "hello"),
        post("/c/a", "Content-Length: 5\r\n", "hello"),
        post("/c/a", "Accept: text/html\r\n", ""),
        post("/c/a", &"X-Many: 1\r\n".repeat(40), "hello"),
        post("/c/a", &format!("X-Long: {}\r\n", "x".repeat(9_000)), "hello"),
        "POST /c/a HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "POST /c/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello".into(),
        "POST /c/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into(),
        "POST /c/a HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 5\r\n\r\nhello".into(),
        "POST /c/a HTTP/1.1\r\nHost: localhost\r\nBad Name: 1\r\nContent-Length: 5\r\n\r\nhello".into(),
        "POST /c/a HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello".into(),
        "POST http://localhost/c/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".into(),
        "PUT /c/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".into(),
        "HEAD /c/a?as=json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "\r\nGET /c/a?last=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        get("/c/a?last=2", ""),
        get("/c/a", ""),
        get("/c/a?last=1", "Accept: application/json\r\n"),
        get("/c/a?as=json&last=1", "Accept: text/html\r\n"),
        get("/c/a?last=3&limit=1", ""),
        get("/c/a?after=earliest&limit=2&wait=30", ""),
        get("/c/a?after=x.1", ""),
        get("/c/a?after=nonsense", ""),
        get("/c/a?limit=0", ""),
        get("/c/a?as=xml", ""),
        get("/c/a?l%61st=1&fr%6Fm=esp+32", ""),
        get("/c/a?last=1&last=2&&=&x", ""),
        get("/c/a?last=1", "Last-Event-ID: nonsense\r\n"),
        get("/c/a?last=1", "Origin: https://app.example\r\n"),
        get("/c/a?last=1", "Origin: https://evil.example\r\n"),
        get("/c/none", ""),
        get("/c/none?wait=0", ""),
        format!(
            "GET /c/a?last=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello{}",
            get("/c/a?last=1", "")
        ),
    ]
}

async fn epoch(baro: &Baro) -> String {
    let cursor = baro.json("/c/none").await["cursor"].as_str().unwrap().to_owned();
    cursor.split_once('.').unwrap().0.to_owned()
}

#[tokio::test]
async fn nobody_can_tell_who_answers() {
    let (here, there) = (Baro::start_with(FLAGS).await, Baro::start_with(FLAGS).await);
    let (epoch_here, epoch_there) = (epoch(&here).await, epoch(&there).await);
    for request in requests() {
        let direct = Client::connect(&here).await.ask(&request).await.map(|answer| answer.comparable(&epoch_here));
        let hyper = Client::of_hyper(&there).await.ask(&request).await.map(|answer| answer.comparable(&epoch_there));
        assert_eq!(direct, hyper, "{request}");
    }
}

#[tokio::test]
async fn what_is_plain_is_answered_directly() {
    let baro = Baro::start_with(FLAGS).await;
    let plain = [post("/c/a", "", "hello"), post("/c/a", "", ""), get("/c/a?last=1", ""), get("/c/a?after=x.1", "")];
    for request in plain {
        assert!(Client::connect(&baro).await.ask_which(&baro, &request).await.1, "{request}");
        assert!(!Client::of_hyper(&baro).await.ask_which(&baro, &request).await.1, "{request}");
    }
    for other in [get("/", ""), get("/c/a?last=1&as=json", "Accept: text/html\r\n"), post("/name", "", "name=x")] {
        assert!(!Client::connect(&baro).await.ask_which(&baro, &other).await.1, "{other}");
    }
}

/// Answers are complete even if the kernel does not take them at once.
#[tokio::test]
async fn large_answers_to_a_client_that_reads_late_are_whole() {
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    for number in 0..20 {
        baro.say("a", &format!("{number} {}", "x".repeat(50_000))).await;
    }
    let mut client = Client::connect(&baro).await;
    client.send(&get("/c/a?last=20", "").repeat(20)).await;
    // When another client has its answer, the server has written as much as the kernel takes.
    baro.json("/c/a").await;
    for _ in 0..20 {
        assert_eq!(super::support::bodies(&client.answer().await.unwrap().json()).len(), 20);
    }
}

#[tokio::test]
async fn a_connection_is_passed_on_and_keeps_its_order() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    // Two requests for the fast path, one for hyper, and two more, all in one write.
    let all = [
        post("/c/a", "", "one"),
        get("/c/a?last=9", ""),
        get("/healthz", ""),
        post("/c/a", "", "two"),
        get("/c/a?last=9", ""),
    ];
    client.send(&all.concat()).await;
    let mut answers = Vec::new();
    for _ in &all {
        answers.push(client.answer().await.unwrap());
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 200, 200, 201, 200]);
    let bodies = |answer: &Answer| super::support::bodies(&answer.json());
    assert_eq!((bodies(&answers[1]), bodies(&answers[4])), (vec!["one".into()], vec!["one".into(), "two".into()]));
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let baro = Baro::start_with(FLAGS).await;
    let request = post("/c/a", "", "hello");
    for at in [1, 10, 30, request.len() - 7, request.len() - 1] {
        let mut client = Client::connect(&baro).await;
        client.stream.set_nodelay(true).unwrap();
        client.send(&request[..at]).await;
        // When another client has its answer, the first piece has reached the server.
        baro.json("/c/a").await;
        client.send(&request[at..]).await;
        assert_eq!(client.answer().await.unwrap().status, 201, "{at}");
    }
}

/// The fast path does not read a repeated head again, but it notices every difference.
#[tokio::test]
async fn who_asks_is_who_the_request_says() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    let said = [
        ("/c/a", "", "a", "program"),
        ("/c/a", "", "bb", "program"),
        ("/c/a", "From-Name: kim\r\n", "ccc", "kim"),
        ("/c/a", "From-Name: lee\r\n", "d", "lee"),
        ("/c/a?from=park", "", "ee", "park"),
        ("/c/a", "User-Agent: esp32/1\r\n", "f", "esp32"),
        ("/c/b", "User-Agent: esp32/1\r\n", "g", "esp32"),
        ("/c/a", "", "hhhhhhhhhh", "program"),
    ];
    for (target, fields, body, name) in said {
        let published = client.ask(&post(target, fields, body)).await.unwrap();
        assert_eq!(published.status, 201);
        let channel = target.split('?').next().unwrap();
        let last = client.ask(&get(&format!("{channel}?last=1"), fields)).await.unwrap().json();
        let message = &last["messages"][0];
        assert_eq!((&message["body"], &message["from"]["name"]), (&body.into(), &name.into()));
        assert_eq!(message["channel"], channel.trim_start_matches("/c/"));
    }
    let keyed = |key: &str, body: &str| post("/c/k", &format!("Idempotency-Key: {key}\r\n"), body);
    for (request, status, duplicate) in [
        (keyed("one", "x"), 201, Some(false)),
        (keyed("one", "x"), 201, Some(true)),
        (keyed("two", "x"), 201, Some(false)),
        (keyed("two", "longer than before"), 422, None),
        (post("/c/k", "If-Match: *\r\n", "y"), 201, Some(false)),
        (post("/c/k2", "If-Match: *\r\n", "y"), 412, None),
        (post("/c/k", "", "z"), 201, Some(false)),
    ] {
        let answer = client.ask(&request).await.unwrap();
        assert_eq!((answer.status, answer.json()["duplicate"].as_bool()), (status, duplicate), "{request}");
    }
    let foreign = post("/c/a", "", "x").replace("Host: localhost", "Host: evil.example");
    let mut reused = Client::connect(&baro).await;
    assert_eq!(reused.ask(&post("/c/a", "", "x")).await.unwrap().status, 201);
    assert_eq!(reused.ask(&foreign).await.unwrap().status, 403);
    // A foreign origin is refused although earlier requests on the same connection were allowed.
    let refused = client.ask(&post("/c/a", "Origin: https://evil.example\r\n", "hello")).await.unwrap();
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &"forbidden-origin".into()));
}

/// The fast path does not read a repeated head again, but it reads every body.
#[tokio::test]
async fn a_publish_that_comes_again_says_what_it_says() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    let fields = "Content-Type: application/json\r\n";
    let large = format!("[{}]", "1,".repeat(600));
    let said = [
        ("[1]", 201, ""),
        ("[1]", 201, ""),
        ("{bad", 400, "bad-body"),
        ("{\"a\": 22}", 201, ""),
        ("", 400, "bad-body"),
        (&large, 413, "too-large"),
        ("3", 201, ""),
    ];
    for (body, status, code) in said {
        let (answer, is_fast) = client.ask_which(&baro, &post("/c/a", fields, body)).await;
        assert!(is_fast, "{body}");
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default()),
            (status, code),
            "{body}"
        );
    }
    // Two requests in one write, then one request in two pieces.
    let both = post("/c/a", fields, "4") + &post("/c/a", fields, "5");
    client.send(&both).await;
    assert_eq!(client.answer().await.unwrap().status, 201);
    assert_eq!(client.answer().await.unwrap().status, 201);
    let six = post("/c/a", fields, "[6]");
    client.send(&six[..six.len() - 1]).await;
    client.send(&six[six.len() - 1..]).await;
    assert_eq!(client.answer().await.unwrap().status, 201);
    let all = client.ask(&get("/c/a?last=10", "")).await.unwrap().json();
    let said: Vec<_> = super::support::bodies(&all).iter().map(Value::to_string).collect();
    assert_eq!(said, ["[1]", "[1]", "{\"a\":22}", "3", "4", "5", "[6]"]);
}

#[tokio::test]
async fn polls_wait_and_go_on_over_one_connection() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    let mut cursor = client.cursor("/c/a").await;
    for number in 0..5 {
        client.send(&get(&format!("/c/a?after={cursor}&wait=30"), "")).await;
        baro.say("a", &format!("number {number}")).await;
        let answer = client.answer().await.unwrap().json();
        assert_eq!(super::support::bodies(&answer), [Value::from(format!("number {number}"))]);
        cursor = answer["cursor"].as_str().unwrap().to_owned();
    }
    // When the server stops, a poll that waits is answered and told when to reconnect, and the connection is closed.
    client.send(&get(&format!("/c/b?after={cursor}&wait=30"), "")).await;
    while baro.here("b").await == 0 {
        tokio::task::yield_now().await;
    }
    let (answer, ()) = tokio::join!(client.answer(), baro.stop());
    let answer = answer.unwrap();
    assert!(answer.fields.contains_key("retry-after"), "{answer:?}");
    assert_eq!(client.answer().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_poll_may_wait_longer_than_a_client_may_be_silent() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    assert_eq!(client.ask(&post("/c/a", "", "hello")).await.unwrap().status, 201);
    let begun = Instant::now();
    client.send(&get("/c/b?wait=50", "")).await;
    client.stream.read_buf(&mut client.received).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(50), "{:?}", begun.elapsed());
    assert_eq!(client.answer().await.unwrap().status, 200);
    // From now on the client has fifteen seconds to send its next request.
    let answered = Instant::now();
    assert_eq!(client.stream.read_buf(&mut client.received).await.unwrap(), 0);
    let silent = answered.elapsed();
    assert!((Duration::from_secs(14)..Duration::from_secs(17)).contains(&silent), "{silent:?}");
}

/// The fast path reads only the cursor of a repeated poll, but it notices every other difference.
#[tokio::test]
async fn a_poll_that_comes_again_asks_for_what_it_says() {
    let baro = Baro::start_with(FLAGS).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(baro.say("a", &format!("number {number}")).await);
    }
    baro.say("b", "another").await;
    let fresh = baro.json("/c/a").await["cursor"].as_str().unwrap().to_owned();
    let mut client = Client::connect(&baro).await;
    // This poll waits, because only a poll that waited can be repeated.
    client.send(&get(&format!("/c/a?after={fresh}&wait=30&limit=3"), "")).await;
    ids.push(baro.say("a", "number 5").await);
    assert_eq!(client.answer().await.unwrap().json()["messages"][0]["body"], "number 5");

    let again = |after: &str| get(&format!("/c/a?after={after}&wait=30&limit=3"), "");
    let last_event = |after: &str| again(after).replace("\r\n\r\n", &format!("\r\nLast-Event-ID: {}\r\n\r\n", ids[3]));
    let (first, third, unknown) = (&ids[0], &ids[2], "x.1");
    let asked = [
        // More messages than the limit, different cursors, and the same poll twice.
        (again(first), vec!["number 1", "number 2", "number 3"], true),
        (again(third), vec!["number 3", "number 4", "number 5"], false),
        (again(third), vec!["number 3", "number 4", "number 5"], false),
        (again("earliest"), vec!["number 0", "number 1", "number 2"], true),
        (again(first), vec!["number 1", "number 2", "number 3"], true),
        // The header takes precedence over the parameter, and does not affect the next request.
        (last_event(third), vec!["number 4", "number 5"], false),
        (last_event(first), vec!["number 4", "number 5"], false),
        (again(first), vec!["number 1", "number 2", "number 3"], true),
        // The first of two parameters counts, even if it is percent-encoded.
        (again(&format!("{first}&after={third}")), vec!["number 1", "number 2", "number 3"], true),
        (again(&format!("{third}&after={third}")), vec!["number 3", "number 4", "number 5"], false),
        (again(first).replace("?", &format!("?%61fter={third}&")), vec!["number 3", "number 4", "number 5"], false),
        (again(third).replace("limit=3", "limit=1"), vec!["number 3"], true),
        (again(third).replace("/c/a", "/c/b"), vec!["another"], false),
    ];
    for (request, bodies, more) in asked {
        let (answer, is_fast) = client.ask_which(&baro, &request).await;
        assert!(is_fast, "{request}");
        let answer = answer.json();
        assert_eq!(
            (super::support::bodies(&answer), &answer["more"]),
            (bodies.into_iter().map(Value::from).collect(), &more.into()),
            "{request}"
        );
    }
    assert_eq!(client.ask(&again("nonsense")).await.unwrap().status, 400);
    let missed = client.ask(&again(unknown)).await.unwrap().json();
    assert_eq!(missed["missed"][0]["reason"], "unknown-cursor", "{missed}");
    // Two requests in one write are answered one after the other.
    client.send(&[again(first), again(third)].concat()).await;
    for first in ["number 1", "number 3"] {
        assert_eq!(client.answer().await.unwrap().json()["messages"][0]["body"], first);
    }
}

/// Many clients poll repeatedly while messages are published. Each gets every message once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_come_again_and_again_miss_nothing() {
    const MESSAGES: usize = 300;
    let baro = Baro::start_with(FLAGS).await;
    let cursor = baro.json("/c/a").await["cursor"].as_str().unwrap().to_owned();
    let readers = (0..8).map(|_| async {
        let mut client = Client::connect(&baro).await;
        let (mut cursor, mut got) = (cursor.clone(), Vec::new());
        while got.len() < MESSAGES {
            let answer = client.ask(&get(&format!("/c/a?after={cursor}&wait=30"), "")).await.unwrap().json();
            cursor = answer["cursor"].as_str().unwrap().to_owned();
            got.extend(super::support::bodies(&answer));
        }
        got
    });
    let publisher = async {
        let mut client = Client::connect(&baro).await;
        for number in 0..MESSAGES {
            assert_eq!(client.ask(&post("/c/a", "", &number.to_string())).await.unwrap().status, 201);
        }
    };
    let (all, ()) = tokio::join!(futures::future::join_all(readers), publisher);
    let expected: Vec<_> = (0..MESSAGES).map(Value::from).collect();
    for got in all {
        assert_eq!(got, expected);
    }
}

/// The cursor of a poll that waits moves past messages of other channels, so that the next poll does not search them.
#[tokio::test]
async fn a_poll_without_an_answer_comes_on_all_the_same() {
    let baro = Baro::start_with(FLAGS).await;
    let mut client = Client::connect(&baro).await;
    let mut cursor = client.cursor("/c/quiet").await;
    for _ in 0..3 {
        let id = baro.say("loud", "hello").await;
        client.send(&get(&format!("/c/quiet?after={cursor}&wait=1"), "")).await;
        let answer = client.answer().await.unwrap().json();
        assert_eq!((super::support::bodies(&answer), &answer["cursor"]), (Vec::new(), &id.as_str().into()));
        cursor = id;
    }
}
