//! Tests that acknowledged messages survive repeated `kill -9`. `BARO_BIN` sets the binary, `BARO_KILLS` the number of
//! kills.

use super::{restart::Process, support::soon};
use std::{collections::HashMap, fs::File, io::Write, path::Path, sync::Arc};
use tokio::{sync::Semaphore, task::JoinHandle};

/// Publishes with idempotency keys, and syncs each acknowledgement to the disk before the next publish. A publish
/// without an answer is sent again after the restart.
struct Publisher {
    name: usize,
    next: usize,
    journal: File,
    acknowledged: Vec<String>,
}

impl Publisher {
    fn new(folder: &Path, name: usize) -> Self {
        let journal = File::create(folder.join(format!("acknowledged-{name}"))).unwrap();
        Self { name, next: 0, journal, acknowledged: Vec::new() }
    }

    /// Publishes until the server is gone. Each acknowledgement adds a permit to `heard`.
    async fn publish(mut self, url: String, heard: Arc<Semaphore>) -> Self {
        let client = reqwest::Client::new();
        loop {
            let text = format!("{}:{}", self.name, self.next);
            let post = client.post(&url).header("idempotency-key", &text).header("content-type", "text/plain");
            match post.body(text.clone()).send().await {
                Ok(answer) if answer.status() == 201 => {
                    writeln!(self.journal, "{text}").unwrap();
                    self.journal.sync_data().unwrap();
                    self.acknowledged.push(text);
                    self.next += 1;
                    heard.add_permits(1);
                }
                _ => return self,
            }
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let kills: usize = std::env::var("BARO_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut publishers: Vec<Publisher> = (0..4).map(|name| Publisher::new(folder.path(), name)).collect();
    for _ in 0..kills {
        let baro = Process::start(&data).await;
        let heard = Arc::new(Semaphore::new(0));
        let working: Vec<JoinHandle<Publisher>> = publishers
            .drain(..)
            .map(|publisher| tokio::spawn(publisher.publish(format!("{}/c/a", baro.url), Arc::clone(&heard))))
            .collect();
        let enough = 20 + getrandom::u32().unwrap() % 100;
        soon(heard.acquire_many(enough)).await.unwrap().forget();
        baro.kill().await;
        for publisher in working {
            publishers.push(soon(publisher).await.unwrap());
        }
    }
    let baro = Process::start(&data).await;
    let (found, gaps) = everything(&baro).await;
    let acknowledged: Vec<_> = publishers.iter().flat_map(|publisher| &publisher.acknowledged).collect();
    let lost = acknowledged.iter().filter(|text| !found.contains_key(**text)).count();
    let doubled = found.values().filter(|times| **times > 1).count();
    println!(
        "{kills} kills: {} acknowledged, {} found; lost {lost}, doubled {doubled}, unexplained gaps {gaps}",
        acknowledged.len(),
        found.len()
    );
    assert_eq!((lost, doubled, gaps), (0, 0, 0));
    // Each publisher has at most one message that was stored but not acknowledged.
    assert!(found.len() <= acknowledged.len() + publishers.len());
    baro.kill().await;
}

/// Reads the whole channel. Returns how often each body occurs, and the number of messages whose `prev` is not the
/// id of the message before.
async fn everything(baro: &Process) -> (HashMap<String, usize>, usize) {
    let (mut found, mut gaps) = (HashMap::new(), 0);
    let (mut after, mut last) = ("earliest".to_owned(), serde_json::Value::Null);
    loop {
        let answer = baro.json(&format!("/c/a?after={after}&limit=1000")).await;
        for message in answer["messages"].as_array().unwrap() {
            gaps += usize::from(message["prev"] != last);
            last = message["id"].clone();
            *found.entry(message["body"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        after = answer["cursor"].as_str().unwrap().to_owned();
        if answer["more"] == false {
            return (found, gaps);
        }
    }
}
