//! The oracle: publishers number their messages, every reader keeps a journal, and a proxy between them is a bad
//! network. No message may be lost, doubled or out of order, on any transport or between two transports.
//! `BARO_ORACLE_SECONDS` sets how long it runs, `BARO_SEED` repeats the random choices of an earlier run.

mod journal;
mod proxy;
mod readers;

use super::support::Baro;
use futures::future::join_all;
use journal::{Journal, Random, Sent, Verdict};
use proxy::Proxy;
use readers::{Plan, Reached, Reader};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};

const SECONDS: u64 = 12;
const CHANNELS: [&str; 3] = ["a", "b", "온실-3동"];
const DIRECT: u64 = 4;
const THROUGH_THE_PROXY: u64 = 2;
/// Time after the last publish in which all publishers and readers must finish.
const PATIENCE: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_or_doubled_through_a_bad_network() {
    let seed = number("BARO_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    let time = Duration::from_secs(number("BARO_ORACLE_SECONDS").unwrap_or(SECONDS));
    println!("BARO_SEED={seed}");
    let baro = Baro::start().await;
    let proxy = Proxy::start(baro.address, Random::new(seed, 0)).await;
    let (stop, stopped) = watch::channel(false);
    let mut listeners: Vec<_> = Plan::all()
        .into_iter()
        .zip(1..)
        .map(|(plan, stream)| Listener::start(proxy.address, plan, Random::new(seed, stream), &stopped))
        .collect();

    let (sent, retries) = publish(&baro, &proxy, seed, time).await;
    let history = history(&baro).await;
    let late = wait_for_all(&mut listeners, history.last()).await;
    stop.send_replace(true);
    let table = compare(listeners, &history).await;

    println!("{} messages in {time:?}, {retries} publishes sent again; {}", sent.len(), proxy.report());
    println!("{:<22}{}", "transport", Verdict::HEAD);
    for (name, verdict) in &table {
        println!("{name:<22}{verdict}");
    }
    assert!(table.values().all(|verdict| verdict.faults.is_none()), "readers found faults: {table:?}");
    assert!(late.is_empty(), "these readers did not get every message: {late:?}");
    assert!(table.values().all(|verdict| verdict.cuts > 0), "the proxy cut each transport at least once");
    assert!(history.faults().is_none(), "the stored messages have no faults: {:?}", history.faults());
    let counts = history.counts();
    for one in &sent {
        assert_eq!(counts.get(one), Some(&1), "{one:?} was acknowledged, so it is stored once");
    }
    assert_eq!(history.len(), sent.len(), "every publish was acknowledged in the end, so nothing else is stored");
}

/// A reader that runs in its own task.
struct Listener {
    plan: Plan,
    reached: watch::Receiver<Reached>,
    task: JoinHandle<(Journal, usize)>,
}

impl Listener {
    fn start(address: SocketAddr, plan: Plan, random: Random, stop: &watch::Receiver<bool>) -> Self {
        let (progress, reached) = watch::channel(Reached::default());
        let reader = Reader::new(address, plan, random, progress);
        Self { plan, reached, task: tokio::spawn(reader.run(stop.clone())) }
    }
}

/// Waits until every reader has the last message of each of its channels. Returns those that do not get it in time.
async fn wait_for_all(listeners: &mut [Listener], last: Reached) -> Vec<Plan> {
    let deadline = Instant::now() + PATIENCE;
    let mut late = Vec::new();
    for listener in listeners {
        let (plan, channels) = (listener.plan, listener.plan.channels());
        let done =
            listener.reached.wait_for(|reached| channels.iter().all(|channel| reached[*channel] >= last[*channel]));
        if !matches!(timeout_at(deadline, done).await, Ok(Ok(_))) {
            late.push(plan);
        }
    }
    late
}

async fn compare(listeners: Vec<Listener>, history: &Journal) -> BTreeMap<&'static str, Verdict> {
    let mut table: BTreeMap<&'static str, Verdict> = BTreeMap::new();
    for Listener { plan, task, .. } in listeners {
        let (journal, cuts) = task.await.unwrap();
        table.entry(plan.name()).or_default().add(journal.compare(history, &plan.channels(), cuts));
    }
    table
}

/// Publishes for the time of the run: some publishers directly, some through the proxy. The proxy refuses upgrades in
/// the middle third. Returns the acknowledged messages, and how often a publish was repeated.
async fn publish(baro: &Baro, proxy: &Proxy, seed: u64, time: Duration) -> (Vec<Sent>, usize) {
    let until = Instant::now() + time;
    let publishers = (0..DIRECT + THROUGH_THE_PROXY).map(|number| {
        let is_direct = number < DIRECT;
        let address = if is_direct { baro.address } else { proxy.address };
        // Random streams that no reader uses.
        let random = Random::new(seed, 1000 + number);
        tokio::spawn(Publisher { number, is_direct, address, random, client: readers::client() }.run(until))
    });
    let publishers = join_all(publishers.collect::<Vec<_>>());
    let weather = async {
        for refusing in [false, true, false] {
            proxy.refuse_upgrades(refusing);
            sleep(time / 3).await;
        }
    };
    let (done, ()) = tokio::join!(timeout(time + PATIENCE, publishers), weather);
    let mut all = (Vec::new(), 0);
    for publisher in done.expect("every publish is acknowledged in the end") {
        let (sent, retries) = publisher.unwrap();
        all.0.extend(sent);
        all.1 += retries;
    }
    all
}

struct Publisher {
    number: u64,
    is_direct: bool,
    address: SocketAddr,
    random: Random,
    client: reqwest::Client,
}

impl Publisher {
    /// Begins no publish after `until`, and finishes the one that it began.
    async fn run(mut self, until: Instant) -> (Vec<Sent>, usize) {
        let mut ticks = interval(Duration::from_millis(if self.is_direct { 12 } else { 40 }));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = [0; CHANNELS.len()];
        let (mut sent, mut retries) = (Vec::new(), 0);
        while Instant::now() < until {
            ticks.tick().await;
            let channel = self.random.index(CHANNELS.len());
            let this = (channel, self.number, next[channel]);
            while !self.post(this).await {
                assert!(!self.is_direct, "nothing stands between this publisher and the server");
                retries += 1;
                sleep(self.random.millis(1, 20)).await;
            }
            sent.push(this);
            next[channel] += 1;
        }
        (sent, retries)
    }

    /// Publishes a message. Returns whether it was acknowledged: only the status counts, as the body may get lost.
    async fn post(&self, (channel, publisher, n): Sent) -> bool {
        let url = format!("http://{}/c/{}", self.address, readers::encoded(CHANNELS[channel]));
        let body = format!(r#"{{"p":{publisher},"n":{n}}}"#);
        let mut request = self.client.post(url).header("content-type", "application/json").body(body);
        if !self.is_direct {
            // The proxy may lose the answer, so the publish is repeated with the same key.
            let key = format!("{publisher}-{channel}-{n}");
            request = request.header("idempotency-key", key).timeout(Duration::from_millis(2500));
        }
        request.send().await.is_ok_and(|answer| answer.status() == 201)
    }
}

/// Reads all stored messages without the proxy.
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
