//! The real binary, killed.

use super::support::soon;
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

struct Process {
    child: Child,
    url: String,
}

/// The binary of this build, or another one, such as the release.
fn binary() -> String {
    std::env::var("BARO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_baro").to_owned())
}

impl Process {
    async fn start(data: &std::path::Path) -> Self {
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
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<String> = Vec::new();
    let kills: usize = std::env::var("BARO_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    for round in 0..kills {
        let mut baro = Process::start(folder.path()).await;
        let publishers: Vec<_> = (0..4)
            .map(|publisher| {
                let url = format!("{}/c/a", baro.url);
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    let mut own = Vec::new();
                    for n in 0.. {
                        let text = format!("{round}:{publisher}:{n}");
                        let Ok(answer) = client.post(&url).body(text.clone()).send().await else { return own };
                        let created = answer.status() == 201;
                        if !created || answer.bytes().await.is_err() {
                            return own;
                        }
                        own.push(text);
                    }
                    own
                })
            })
            .collect();
        // Kill it in the middle of its work: once some messages are in.
        let client = reqwest::Client::new();
        let url = format!("{}/c/a?after=earliest&limit=1000&wait=5", baro.url);
        let mut cursor = None::<String>;
        let mut seen = 0;
        while seen < acknowledged.len() + 40 {
            let url = cursor.as_ref().map_or(url.clone(), |cursor| url.replace("earliest", cursor));
            let answer: Value = client.get(url).send().await.unwrap().json().await.unwrap();
            seen += answer["messages"].as_array().unwrap().len();
            cursor = Some(answer["cursor"].as_str().unwrap().to_owned());
        }
        baro.child.start_kill().unwrap();
        baro.child.wait().await.unwrap();
        for publisher in publishers {
            acknowledged.extend(soon(publisher).await.unwrap());
        }
    }
    let baro = Process::start(folder.path()).await;
    let mut kept = Vec::new();
    let mut after = "earliest".to_owned();
    let mut prev = Value::Null;
    loop {
        let url = format!("{}/c/a?after={after}&limit=1000", baro.url);
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        for message in answer["messages"].as_array().unwrap() {
            assert_eq!(message["prev"], prev, "the chain has no hole");
            prev = message["id"].clone();
            kept.push(message["body"].as_str().unwrap().to_owned());
        }
        after = answer["cursor"].as_str().unwrap().to_owned();
        if answer["more"] == false {
            break;
        }
    }
    println!("{kills} kills: {} acknowledged, {} found in the store", acknowledged.len(), kept.len());
    for text in &acknowledged {
        assert_eq!(kept.iter().filter(|kept| *kept == text).count(), 1, "{text} is there, once");
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
