//! The real binary, and its command line.

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

/// The binary of this build, or another one, such as the release.
fn binary() -> String {
    std::env::var("BARO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_baro").to_owned())
}

impl Process {
    pub(crate) async fn start(data: &std::path::Path) -> Self {
        let mut child = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--no-machine-channel", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon(lines.next_line()).await.unwrap().expect("the address is printed");
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }

    /// `kill -9`
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
    // A reader that had more than the copy is told; one that had not continues.
    let beyond = baro.json(&format!("/c/a?after={}", lost.as_str().unwrap())).await;
    assert_eq!(beyond["missed"][0]["reason"], "lost");
    let fine = baro.json(&format!("/c/a?after={}", kept.as_str().unwrap())).await;
    assert!(fine["missed"].as_array().unwrap().is_empty());
    baro.kill().await;
}
