//! The contract as tests, run on every engine. Names of cases are the clauses of this folder's documentation.

use super::{
    AppendError, Draft, Engine, Offset, Query, Resolved, Stored, Tail,
    embedded::{Embedded, Fsync},
    memory::Memory,
};
use app::wire::{Body, ChannelName, Kind, MissedReason, Sender, Time};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Keeps everything it is handed.
#[derive(Default)]
struct Journal(Mutex<Vec<Arc<Stored>>>);

impl Tail for Journal {
    fn begin(&self, _: Offset, _: Vec<(ChannelName, Time)>) {}
    fn dispatch(&self, batch: &[Arc<Stored>]) {
        self.0.lock().unwrap().extend_from_slice(batch);
    }
}

impl Journal {
    fn offsets(&self) -> Vec<Offset> {
        self.0.lock().unwrap().iter().map(|stored| stored.offset()).collect()
    }
}

/// An engine with what it needs to live.
struct Subject {
    engine: Arc<dyn Engine>,
    journal: Arc<Journal>,
    folder: Option<TempDir>,
}

fn memory() -> Subject {
    let journal = Arc::new(Journal::default());
    Subject { engine: Arc::new(Memory::open(journal.clone())), journal, folder: None }
}

fn embedded_in(folder: TempDir) -> Subject {
    let journal = Arc::new(Journal::default());
    let engine = Embedded::open(folder.path(), Fsync::Never, journal.clone()).unwrap();
    Subject { engine: Arc::new(engine), journal, folder: Some(folder) }
}

fn embedded() -> Subject {
    embedded_in(tempfile::tempdir().unwrap())
}

impl Subject {
    /// Ends this engine and opens its folder again.
    async fn restart(self) -> Self {
        self.engine.close().await;
        let folder = self.folder.expect("only engines with a folder restart");
        drop(self.engine);
        embedded_in(folder)
    }

    async fn say(&self, channel: &str, text: &str) -> Offset {
        self.engine.append(draft(channel, text, None)).await.unwrap().id.offset
    }

    async fn read(&self, channel: &str, after: Offset, limit: usize) -> super::Slice {
        let query = Query { channel: channel.parse().unwrap(), after, up_to: i64::MAX as u64, limit, bytes: 1 << 20 };
        self.engine.read(query).await.unwrap()
    }
}

fn draft(channel: &str, text: &str, key: Option<&str>) -> Draft {
    let from = Sender { id: "p1".into(), name: "test".into(), kind: Kind::Program };
    Draft { channel: channel.parse().unwrap(), from, body: Body::Text(text.into()), key: key.map(str::to_owned) }
}

fn texts(slice: &super::Slice) -> Vec<&str> {
    slice.messages.iter().map(|stored| std::str::from_utf8(stored.message.body.as_bytes()).unwrap()).collect()
}

/// One test per case and engine.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod on_memory { $(#[tokio::test] async fn $case() { super::$case(super::memory()).await; })* }
        mod on_embedded { $(#[tokio::test] async fn $case() { super::$case(super::embedded()).await; })* }
    };
}

conformance!(
    offsets_only_grow_over_all_channels,
    the_tail_gets_everything_once_before_the_answer,
    prev_is_the_channels_message_before,
    same_key_same_body_is_a_duplicate,
    same_key_other_body_is_a_conflict,
    keys_are_per_channel,
    reading_is_complete_and_bounded,
    bytes_bound_a_read_but_one_message_always_comes,
    an_unknown_channel_is_empty,
    newest_offsets,
    channels_come_newest_first,
    trimming_moves_the_floor,
    every_body_comes_back_as_it_was,
    many_publishers_at_once_lose_nothing,
    a_closed_engine_takes_nothing,
    cursors_of_this_life_continue,
);

async fn offsets_only_grow_over_all_channels(on: Subject) {
    let mut last = 0;
    for n in 0..20 {
        let offset = on.say(["a", "b", "온실"][n % 3], "x").await;
        assert!(offset > last);
        last = offset;
    }
}

async fn the_tail_gets_everything_once_before_the_answer(on: Subject) {
    for n in 0..10 {
        let offset = on.say("a", &n.to_string()).await;
        assert_eq!(on.journal.offsets().last(), Some(&offset), "dispatched before it is acknowledged");
    }
    let offsets = on.journal.offsets();
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert_eq!(offsets.len(), 10);
}

async fn prev_is_the_channels_message_before(on: Subject) {
    on.say("a", "1").await;
    on.say("b", "1").await;
    on.say("a", "2").await;
    let slice = on.read("a", 0, 10).await;
    assert_eq!(slice.messages[0].message.prev, None);
    assert_eq!(slice.messages[1].message.prev, Some(slice.messages[0].message.id));
}

async fn same_key_same_body_is_a_duplicate(on: Subject) {
    let first = on.engine.append(draft("a", "x", Some("k"))).await.unwrap();
    let again = on.engine.append(draft("a", "x", Some("k"))).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.id, first.time), (again.id, again.time));
    assert_eq!(on.read("a", 0, 10).await.messages.len(), 1);
    assert_eq!(on.journal.offsets().len(), 1);
}

async fn same_key_other_body_is_a_conflict(on: Subject) {
    on.engine.append(draft("a", "x", Some("k"))).await.unwrap();
    assert_eq!(on.engine.append(draft("a", "y", Some("k"))).await, Err(AppendError::KeyConflict));
    let json = Draft { body: Body::Json("x".into()), ..draft("a", "x", Some("k")) };
    assert_eq!(on.engine.append(json).await, Err(AppendError::KeyConflict), "text and JSON differ");
    assert_eq!(on.read("a", 0, 10).await.messages.len(), 1);
}

async fn keys_are_per_channel(on: Subject) {
    on.engine.append(draft("a", "x", Some("k"))).await.unwrap();
    assert!(!on.engine.append(draft("b", "y", Some("k"))).await.unwrap().duplicate);
}

async fn reading_is_complete_and_bounded(on: Subject) {
    for n in 0..10 {
        on.say("a", &n.to_string()).await;
        on.say("b", "other").await;
    }
    let first = on.read("a", 0, 4).await;
    assert_eq!((texts(&first), first.more), (vec!["0", "1", "2", "3"], true));
    let rest = on.read("a", first.messages[3].offset(), 100).await;
    assert_eq!((texts(&rest), rest.more), (vec!["4", "5", "6", "7", "8", "9"], false));
    assert_eq!(rest.messages[0].message.prev, Some(first.messages[3].message.id));
    let exact = on.read("a", first.messages[3].offset(), 6).await;
    assert_eq!((exact.messages.len(), exact.more), (6, false));
}

async fn bytes_bound_a_read_but_one_message_always_comes(on: Subject) {
    for _ in 0..3 {
        on.say("a", &"x".repeat(1000)).await;
    }
    let query = Query { channel: "a".parse().unwrap(), after: 0, up_to: 100, limit: 10, bytes: 1 };
    let slice = on.engine.read(query).await.unwrap();
    assert_eq!((slice.messages.len(), slice.more), (1, true));
}

async fn an_unknown_channel_is_empty(on: Subject) {
    let slice = on.read("nobody", 0, 10).await;
    assert_eq!((slice.messages.len(), slice.more, slice.floor), (0, false, 0));
}

async fn newest_offsets(on: Subject) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(on.say("a", "x").await);
        on.say("b", "x").await;
    }
    let offsets = |up_to, limit| on.engine.offsets("a".parse().unwrap(), up_to, limit);
    assert_eq!(offsets(u64::MAX, 2).await.unwrap(), all[3..]);
    assert_eq!(offsets(all[2], 2).await.unwrap(), all[1..3]);
    assert_eq!(offsets(all[0] - 1, 2).await.unwrap(), Vec::<Offset>::new());
    assert_eq!(offsets(u64::MAX, 0).await.unwrap(), Vec::<Offset>::new());
}

async fn channels_come_newest_first(on: Subject) {
    on.say("a", "1").await;
    let b = on.say("b", "1").await;
    on.say("a", "2").await;
    let names = |found: Vec<Arc<Stored>>| found.iter().map(|s| s.message.channel.to_string()).collect::<Vec<_>>();
    assert_eq!(names(on.engine.channels(0, 10).await.unwrap()), ["a", "b"]);
    assert_eq!(names(on.engine.channels(b, 10).await.unwrap()), ["a"]);
    assert_eq!(names(on.engine.channels(0, 1).await.unwrap()), ["a"]);
}

async fn trimming_moves_the_floor(on: Subject) {
    for n in 0..700 {
        on.say("a", &n.to_string()).await;
    }
    let before = on.read("a", 0, 1000).await;
    // Everything is older than tomorrow.
    let tomorrow = Time(before.messages[0].message.time.0 + 86_400_000);
    assert_eq!(on.engine.trim("a".parse().unwrap(), tomorrow).await.unwrap(), 700);
    let next = on.say("a", "next").await;
    let after = on.read("a", 0, 10).await;
    assert_eq!(texts(&after), ["next"]);
    assert_eq!(after.floor, before.messages[699].offset());
    assert_eq!(after.messages[0].message.prev, Some(before.messages[699].message.id), "prev outlives trimming");
    assert!(next > after.floor);
    assert_eq!(on.engine.trim("a".parse().unwrap(), Time(0)).await.unwrap(), 0);
}

async fn every_body_comes_back_as_it_was(on: Subject) {
    let bodies = [
        Body::Text("줄\r\n\0끝".into()),
        Body::Json("{ \"a\" : [1.00] }".into()),
        Body::Binary(vec![0, 255]),
        Body::Text(String::new()),
    ];
    for body in &bodies {
        on.engine.append(Draft { body: body.clone(), ..draft("a", "", None) }).await.unwrap();
    }
    let slice = on.read("a", 0, 10).await;
    assert!(slice.messages.iter().map(|stored| &stored.message.body).eq(&bodies));
    let dispatched: Vec<_> = on.journal.0.lock().unwrap().iter().map(|stored| stored.frame.clone()).collect();
    let read: Vec<_> = slice.messages.iter().map(|stored| stored.frame.clone()).collect();
    assert_eq!(dispatched, read, "the same bytes live and from the store");
}

async fn many_publishers_at_once_lose_nothing(on: Subject) {
    let publishers = (0..16).map(|publisher| {
        let engine = Arc::clone(&on.engine);
        tokio::spawn(async move {
            for n in 0..50 {
                engine.append(draft("a", &format!("{publisher}:{n}"), None)).await.unwrap();
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let slice = on.read("a", 0, 1000).await;
    assert_eq!(slice.messages.len(), 800);
    assert_eq!(on.journal.offsets(), slice.messages.iter().map(|stored| stored.offset()).collect::<Vec<_>>());
    for publisher in 0..16 {
        let prefix = format!("{publisher}:");
        let own: Vec<_> = texts(&slice).into_iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
        assert_eq!(own, (0..50).map(|n| n.to_string()).collect::<Vec<_>>(), "each publisher's own order is kept");
    }
}

async fn a_closed_engine_takes_nothing(on: Subject) {
    on.engine.close().await;
    assert_eq!(on.engine.append(draft("a", "x", None)).await, Err(AppendError::Closed));
}

async fn cursors_of_this_life_continue(on: Subject) {
    let id = on.engine.append(draft("a", "x", None)).await.unwrap().id;
    assert_eq!(on.engine.lineage().resolve(id, id.offset), Resolved::At(id.offset));
}

#[tokio::test]
async fn a_restart_keeps_messages_keys_and_cursors() {
    let on = embedded();
    let first = on.engine.append(draft("a", "x", Some("k"))).await.unwrap();
    let on = on.restart().await;
    assert!(on.engine.append(draft("a", "x", Some("k"))).await.unwrap().duplicate, "keys survive");
    let second = on.engine.append(draft("a", "y", None)).await.unwrap();
    assert!(second.id.offset > first.id.offset);
    assert_ne!(second.id.epoch, first.id.epoch);
    let slice = on.read("a", 0, 10).await;
    assert_eq!(slice.messages[0].message.id, first.id, "an id keeps the epoch it was made in");
    assert_eq!(slice.messages[1].message.prev, Some(first.id));
    assert_eq!(on.engine.lineage().resolve(first.id, second.id.offset), Resolved::At(first.id.offset));
}

#[tokio::test]
async fn offsets_are_not_reused_after_trimming_and_restart() {
    let on = embedded();
    let last = on.say("a", "x").await;
    on.engine.trim("a".parse().unwrap(), Time(i64::MAX)).await.unwrap();
    let on = on.restart().await;
    assert!(on.say("a", "y").await > last);
}

#[tokio::test]
async fn a_restored_copy_says_missed_to_readers_of_what_it_lost() {
    let on = embedded();
    on.say("a", "kept").await;
    on.engine.close().await;
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(on.folder.as_ref().unwrap().path().join("baro.db"), copy.path().join("baro.db")).unwrap();
    let on = on.restart().await;
    let lost = on.engine.append(draft("a", "lost", None)).await.unwrap().id;
    let restored = embedded_in(copy);
    restored.say("a", "new").await;
    let resolved = restored.engine.lineage().resolve(lost, 100);
    assert_eq!(resolved, Resolved::Missed { reason: MissedReason::UnknownCursor, resume: 0 });
}

#[tokio::test]
async fn a_folder_is_for_one_process() {
    let on = embedded();
    let again = Embedded::open(on.folder.as_ref().unwrap().path(), Fsync::Never, Arc::new(Journal::default()));
    assert!(matches!(again, Err(super::embedded::OpenError::Locked(_))));
}
