//! Tests of the real binary: its command line, a backup of a running server, and its log.

use super::support::{json, soon};
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

/// The binary to test: `BARO_BIN` if it is set (for example the release build), else the binary of this build.
fn binary() -> String {
    std::env::var("BARO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_baro").to_owned())
}

impl Process {
    pub(crate) async fn start(data: &std::path::Path) -> Self {
        Self::start_with(data, &["--log", "off"]).await
    }

    /// Starts it with these options. Its log is piped unless the options turn it off.
    async fn start_with(data: &std::path::Path, options: &[&str]) -> Self {
        let piped = if options.contains(&"off") { Stdio::inherit() } else { Stdio::piped() };
        let mut child = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--no-machine-channel", "--data"])
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(piped)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon(lines.next_line()).await.unwrap().expect("the address is printed");
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }

    /// Kills the process as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        json(reqwest::get(format!("{}{path}", self.url)).await.unwrap()).await
    }
}

#[tokio::test]
async fn the_command_line_publishes_and_tails() {
    let folder = tempfile::tempdir().unwrap();
    let baro = Process::start(folder.path()).await;
    let command = |args: &[&str]| {
        let mut command = Command::new(binary());
        command.args(args).env("BARO_URL", &baro.url).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    };
    let mut tail = command(&["tail", "온실-3동"]).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(soon(command(&["publish", "온실-3동", "한 줄"]).status()).await.unwrap().success());
    assert_eq!(soon(lines.next_line()).await.unwrap().unwrap(), "한 줄");
    let mut publish = command(&["publish", "온실-3동"]).spawn().unwrap();
    let mut input = publish.stdin.take().unwrap();
    input.write_all(b"one\n{\"two\":2}\n").await.unwrap();
    assert_eq!(soon(lines.next_line()).await.unwrap().unwrap(), "one", "while standard input is still open");
    assert_eq!(soon(lines.next_line()).await.unwrap().unwrap(), "{\"two\":2}");
    drop(input);
    assert!(soon(publish.wait()).await.unwrap().success());
    let refused = soon(command(&["publish", ".env", "x"]).stderr(Stdio::piped()).output()).await.unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not start with a dot"));
}

#[tokio::test]
async fn a_copy_is_made_beside_a_running_server_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy.db"));
    let run = async |what: &str| {
        let mut command = Command::new(binary());
        command.arg(what).arg(&copy).arg("--data").arg(&data).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = soon(command.output()).await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(run("backup").await.1.contains("there is no store"));
    let baro = Process::start(&data).await;
    let client = reqwest::Client::new();
    let say = async |baro: &Process, text: &'static str| {
        json(client.post(format!("{}/c/a", baro.url)).body(text).send().await.unwrap()).await["id"].clone()
    };
    let kept = say(&baro, "kept").await;
    assert!(run("backup").await.0);
    let lost = say(&baro, "lost").await;
    let (done, why) = run("restore").await;
    assert!(!done && why.contains("in use by another Baro"), "{why}");
    baro.kill().await;
    assert!(run("restore").await.0);
    let baro = Process::start(&data).await;
    let all = baro.json("/c/a").await;
    assert_eq!((all["messages"].as_array().unwrap().len(), &all["messages"][0]["id"]), (1, &kept));
    // A reader beyond the copy is told that messages are lost; a reader within the copy continues.
    let beyond = baro.json(&format!("/c/a?after={}", lost.as_str().unwrap())).await;
    assert_eq!(beyond["missed"][0]["reason"], "lost");
    let fine = baro.json(&format!("/c/a?after={}", kept.as_str().unwrap())).await;
    assert!(fine["missed"].as_array().unwrap().is_empty());
    baro.kill().await;
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_each_end_of_what_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--log", "json", "--trusted-proxy", "127.0.0.1", "--cookie-secret", "a-secret"];
    let mut baro = Process::start_with(folder.path(), &options).await;
    let mut lines = BufReader::new(baro.child.stderr.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        for hidden in ["whisper", "a-secret", "token", "forged"] {
            assert!(!line.contains(hidden), "{line}");
        }
        serde_json::from_str(&line).unwrap()
    };
    let client = reqwest::Client::new();
    let url = format!("{}/c/demo?token=1", baro.url);
    let forwarded = |request: reqwest::RequestBuilder| request.header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
    let said = forwarded(client.post(&url).body("whisper")).send().await.unwrap().bytes().await.unwrap();
    let line = next().await;
    assert_eq!(
        (&line["event"], &line["method"], &line["path"], &line["status"], &line["client"], &line["bytes"]),
        (&"request".into(), &"POST".into(), &"/c/demo".into(), &201.into(), &"203.0.113.7".into(), &said.len().into())
    );
    assert!(line["ms"].is_number() && line["time"].is_string());

    let events = client.get(&url).header("accept", "text/event-stream").send().await.unwrap();
    let line = next().await;
    assert_eq!((&line["event"], &line["transport"]), (&"open".into(), &"sse".into()));
    drop(events);
    let line = next().await;
    assert_eq!((&line["event"], &line["transport"]), (&"close".into(), &"sse".into()));

    let socket = format!("{}/c/demo", baro.url.replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(socket).await.unwrap();
    let line = next().await;
    assert_eq!(
        (&line["event"], &line["transport"], &line["client"]),
        (&"open".into(), &"websocket".into(), &"127.0.0.1".into())
    );
    let code = tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Library(4001);
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason: "".into() };
    soon(socket.close(Some(frame))).await.unwrap();
    let line = next().await;
    assert_eq!((&line["event"], &line["code"]), (&"close".into(), &4001.into()));
    assert!(line["ms"].is_number());

    let page = client.get(&url).header("accept", "text/html").header("cookie", "baro=v1.forged.forged");
    assert_eq!(page.send().await.unwrap().status(), 200);
    let line = next().await;
    assert!(line["fields"]["message"].as_str().unwrap().contains("not ours"), "{line}");
    assert_eq!(next().await["status"], 200);
    baro.kill().await;
}
