//! Tests the dispatcher, the recent log and subscriptions over an engine that misbehaves, on paused time. One seed
//! gives the same history each time. `BARO_SIM_SECONDS` says how long to search for a seed that fails, `BARO_SEED` runs
//! a single seed.

mod dice;
mod faulty;
mod inbox;
mod reader;

use super::{Hub, recent::Bounds};
use crate::{
    clock::Clock,
    engine::{AppendError, Draft, Engine, Options, Retention, memory::Memory},
};
use app::wire::{Body, ChannelName, Kind, Sender, Time};
use dice::Dice;
use faulty::Faulty;
use reader::Reader;
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Seconds to search without `BARO_SIM_SECONDS`: long enough to see that the simulation works.
const SECONDS: u64 = 3;

#[test]
fn nothing_is_lost_doubled_or_disordered_whatever_goes_wrong() {
    if let Some(seed) = number("BARO_SEED") {
        println!("seed {seed}: {:?}", run(seed));
        return;
    }
    let until = std::time::Instant::now() + Duration::from_secs(number("BARO_SIM_SECONDS").unwrap_or(SECONDS));
    let first = getrandom::u64().unwrap() >> 16;
    let (mut seeds, mut all) = (0, Tally::default());
    while std::time::Instant::now() < until {
        let seed = first + seeds;
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(tally) => all.add(&tally),
            Err(panic) => {
                eprintln!("seed {seed} failed; run it alone with BARO_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
        seeds += 1;
    }
    println!("{seeds} seeds simulated, from {first}: {all:?}");
    assert!(
        seeds > 0 && all.handed_out > 0 && all.pushed > 0 && all.missed > 0 && all.behind > 0 && all.unknown > 0,
        "each kind of event must happen: {all:?}"
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Counts the events of a history, to show that the test exercises all of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    published: u64,
    handed_out: u64,
    pushed: u64,
    missed: u64,
    behind: u64,
    unknown: u64,
    reconnects: u64,
    given_up: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.handed_out += other.handed_out;
        self.pushed += other.pushed;
        self.missed += other.missed;
        self.behind += other.behind;
        self.unknown += other.unknown;
        self.reconnects += other.reconnects;
        self.given_up += other.given_up;
    }
}

fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Only something that waits forever takes an hour of paused time.
    let history = async move { timeout(Duration::from_secs(3600), history(seed)).await.expect("it ends") };
    runtime.block_on(history)
}

fn channels() -> Vec<ChannelName> {
    ["a", "b", "온실"].iter().map(|name| name.parse().unwrap()).collect()
}

fn sender(name: &str) -> Sender {
    Sender { id: name.into(), name: name.into(), kind: Kind::Program }
}

async fn history(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let retention = Retention {
        messages: if dice.one_in(2) { 5 + dice.up_to(20) } else { 1_000_000 },
        total_bytes: if dice.one_in(3) { 3000 + dice.up_to(5000) } else { 1 << 40 },
        ..Retention::default()
    };
    let start = tokio::time::Instant::now();
    let clock = Clock::of(|| Time(0), move || start.elapsed());
    let some = |dice: &mut Dice, bound| 1 + usize::try_from(dice.up_to(bound)).unwrap();
    let bounds = Bounds { messages: some(&mut dice, 30), bytes: 1 << 20, batch: some(&mut dice, 8) };
    let faults = dice.fork();
    let hub = Hub::open_with(bounds, |dispatcher| {
        let inner = Memory::open(Options { retention, clock }, dispatcher);
        Ok::<_, Infallible>(Arc::new(Faulty::new(inner, faults)) as Arc<dyn Engine>)
    });
    let hub = hub.unwrap_or_else(|never| match never {});
    let keeping = tokio::spawn(hub.clone().keep());
    let begun = Arc::new(Semaphore::new(0));
    let readers: Vec<_> = (0..2 + dice.up_to(4))
        .map(|n| Reader::new(hub.clone(), dice.fork(), sender(&format!("r{n}")), Arc::clone(&begun)))
        .map(|reader| tokio::spawn(reader.run()))
        .collect();
    let publishers: Vec<_> = (0..1 + dice.up_to(3))
        .map(|n| tokio::spawn(publish(hub.clone(), dice.fork(), format!("p{n}"), 5 + dice.up_to(40))))
        .collect();
    let mut tally = Tally::default();
    for publisher in publishers {
        tally.add(&publisher.await.unwrap());
    }
    // The last message of each channel: a reader that has it has everything before it, or was told what is gone. A
    // reader that began after it would wait forever, so all readers must have begun.
    let _all = begun.acquire_many(u32::try_from(readers.len()).unwrap()).await.unwrap();
    for channel in channels() {
        tally.add(&say(&hub, &mut dice, channel, "last", "end").await);
    }
    for reader in readers {
        tally.add(&reader.await.unwrap());
    }
    keeping.abort();
    tally
}

async fn publish(hub: Hub, mut dice: Dice, name: String, count: u64) -> Tally {
    let mut tally = Tally::default();
    for n in 0..count {
        let channel = dice.pick(&channels()).clone();
        tally.add(&say(&hub, &mut dice, channel, &name, &format!("{name}:{n}")).await);
        if dice.one_in(3) {
            sleep(Duration::from_millis(dice.up_to(300))).await;
        }
    }
    tally
}

/// Publishes under one key until it is acknowledged, as a client does.
async fn say(hub: &Hub, dice: &mut Dice, channel: ChannelName, name: &str, text: &str) -> Tally {
    let mut tally = Tally { published: 1, ..Tally::default() };
    let key = Some(format!("{name} {text}"));
    loop {
        let body = Body::Text(text.into());
        let draft = Draft { channel: channel.clone(), from: sender(name), body, key: key.clone(), expected: None };
        // Half of the messages bypass what the hub does after an append. Then a fan-out worker writes to the readers,
        // not the publisher.
        let stored =
            if dice.one_in(2) { hub.log().engine.append(draft.into()).await } else { hub.publish(draft).await };
        match stored {
            Ok(_) => return tally,
            Err(AppendError::Unknown) => tally.unknown += 1,
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(dice.up_to(50))).await;
    }
}
