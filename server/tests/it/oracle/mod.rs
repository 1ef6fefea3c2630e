//! The oracle: publishers number what they send, every reader keeps a journal, and a proxy in between makes the
//! network as bad as it gets. Nothing may be lost, doubled or out of order, on any transport, nor on the way from
//! one to another. `BARO_ORACLE_SECONDS` says for how long.

mod journal;
mod proxy;
mod readers;

use super::support::Baro;
use journal::{Journal, Verdict};
use proxy::Proxy;
use readers::{Plan, Reader};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, interval, timeout};

const SECONDS: u64 = 8;
const CHANNELS: [&str; 3] = ["a", "b", "온실-3동"];
/// After the last publish every reader must have everything within this time.
const PATIENCE: Duration = Duration::from_secs(60);

fn seconds() -> u64 {
    std::env::var("BARO_ORACLE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_or_doubled_through_a_bad_network() {
    let baro = Baro::start().await;
    let proxy = Proxy::start(baro.address).await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = Plan::all()
        .into_iter()
        .map(|plan| (plan, tokio::spawn(Reader::new(proxy.address, plan).run(Arc::clone(&stop)))))
        .collect();
    let sent = publish(&baro, proxy.address).await;
    stop.store(true, Ordering::SeqCst);
    // The last word of each channel: whoever has it has everything.
    for channel in CHANNELS {
        baro.say(channel, readers::END).await;
    }
    let history = history(&baro).await;
    for key in &sent {
        assert_eq!(history.sent().filter(|found| *found == key).count(), 1, "{key} is stored, once");
    }
    let mut table: BTreeMap<&str, Verdict> = BTreeMap::new();
    for (plan, reader) in readers {
        let done = timeout(PATIENCE, reader).await.unwrap_or_else(|_| panic!("{plan:?} does not get everything"));
        let (journal, cuts) = done.unwrap();
        table.entry(plan.name()).or_default().add(journal.compare(&history, plan.is_live()), cuts);
    }
    println!("{} messages in {} s, {} connections cut by the proxy", sent.len(), seconds(), proxy.cuts());
    println!("{:<22}{}", "transport", Verdict::HEAD);
    for (name, verdict) in &table {
        println!("{name:<22}{verdict}");
    }
    assert!(table.values().all(Verdict::is_clean), "the table says what went wrong: {table:?}");
    assert!(table.values().all(|verdict| verdict.cuts > 0), "each was cut");
}

/// Publishes for the time of the run: some directly, some through the proxy, repeating what was not answered
/// under its key. Returns what was acknowledged.
async fn publish(baro: &Baro, proxy: std::net::SocketAddr) -> Vec<String> {
    let publishers = (0..6).map(|publisher| {
        let address = if publisher < 4 { baro.address } else { proxy };
        tokio::spawn(async move {
            let client = readers::client();
            let mut sent = Vec::new();
            let mut ticks = interval(Duration::from_millis(if publisher < 4 { 12 } else { 40 }));
            let until = Instant::now() + Duration::from_secs(seconds());
            for n in 0.. {
                ticks.tick().await;
                if Instant::now() >= until {
                    break;
                }
                let text = format!("{publisher}:{n}");
                let url = format!("http://{address}/c/{}", readers::encoded(CHANNELS[n % CHANNELS.len()]));
                let post = || client.post(&url).header("idempotency-key", &text).header("content-type", "text/plain");
                while !post().body(text.clone()).send().await.is_ok_and(|answer| answer.status() == 201) {}
                sent.push(text);
            }
            sent
        })
    });
    let mut sent = Vec::new();
    for publisher in publishers.collect::<Vec<_>>() {
        sent.extend(publisher.await.unwrap());
    }
    sent
}

/// Everything, read directly.
async fn history(baro: &Baro) -> Journal {
    let mut journal = Journal::default();
    let mut after = "earliest".to_owned();
    let channels = CHANNELS.map(readers::encoded).join(",");
    loop {
        let answer = baro.json(&format!("/live?channels={channels}&after={after}&limit=1000")).await;
        answer["messages"].as_array().unwrap().iter().for_each(|message| journal.take(message));
        after = answer["cursor"].as_str().unwrap().to_owned();
        if answer["more"] == false {
            return journal;
        }
    }
}
