//! Tests of failures that only an engine with a disk has: full disk, failed commits, backup, restore, migration.

use super::{
    CopyError, Embedded, Fsync, OpenError, backup, restore, schema,
    writer::{Fault, Job, Writer},
};
use crate::engine::{
    AppendError, Engine, Options, Query,
    conformance::{Kind, Subject, draft, name, texts},
};
use rusqlite::Connection;
use std::{path::Path, sync::Arc};
use tokio::sync::oneshot;

/// An engine whose writer a test can manipulate.
struct Poked {
    engine: Embedded,
    subject: Subject,
}

impl Poked {
    async fn open() -> Self {
        let subject = Subject::open(Kind::Memory);
        let engine = open(subject.folder.path(), Fsync::Always, &subject);
        Self { engine, subject }
    }

    async fn poke(&self, poke: impl FnOnce(&mut Writer) + Send + 'static) {
        let (done, finished) = oneshot::channel();
        let poke = Box::new(move |writer: &mut Writer| {
            poke(writer);
            let _ = done.send(());
        });
        self.engine.jobs.send(Job::Poke(poke)).await.unwrap();
        finished.await.unwrap();
    }

    async fn say(&self, text: &str) -> Result<u64, AppendError> {
        self.engine.append(draft("a", text, Some(text))).await.map(|appended| appended.id.offset)
    }

    async fn all(&self) -> Vec<String> {
        read(&self.engine).await
    }

    fn dispatched(&self) -> Vec<String> {
        let all = self.subject.journal.all();
        all.iter().map(|stored| String::from_utf8(stored.message.body.as_bytes().to_vec()).unwrap()).collect()
    }
}

fn open(folder: &Path, fsync: Fsync, subject: &Subject) -> Embedded {
    Embedded::open(folder, fsync, Options::default(), subject.journal.clone()).unwrap()
}

async fn read(engine: &Embedded) -> Vec<String> {
    let query = Query { channel: name("a"), after: 0, up_to: i64::MAX as u64, limit: 10_000, bytes: 1 << 24 };
    texts(&engine.read(query).await.unwrap())
}

#[tokio::test]
async fn a_folder_is_for_one_process() {
    let on = Subject::open(Kind::Embedded);
    let again = Embedded::open(on.folder.path(), Fsync::Never, Options::default(), on.journal.clone());
    assert!(matches!(again, Err(OpenError::Locked(_))));
    assert!(matches!(restore(on.folder.path(), Path::new("x")), Err(CopyError::Open(OpenError::Locked(_)))));
}

#[tokio::test]
async fn every_fsync_keeps_what_a_killed_process_acknowledged() {
    for fsync in [Fsync::Always, Fsync::Interval, Fsync::Never] {
        let subject = Subject::open(Kind::Memory);
        let engine = open(subject.folder.path(), fsync, &subject);
        engine.append(draft("a", "x", None)).await.unwrap();
        let copy = tempfile::tempdir().unwrap();
        for file in ["baro.db", "baro.db-wal"] {
            std::fs::copy(subject.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        assert_eq!(read(&open(copy.path(), fsync, &subject)).await, ["x"], "{fsync:?}");
    }
}

/// SQLite reports a full disk when `max_page_count` forbids the file to grow.
#[tokio::test]
async fn a_full_disk_refuses_and_takes_again_when_there_is_room() {
    let on = Poked::open().await;
    on.say("before").await.unwrap();
    on.poke(|writer| writer.connection.pragma_update(None, "max_page_count", 1).unwrap()).await;
    let big = "x".repeat(100_000);
    assert_eq!(on.say(&big).await, Err(AppendError::Full));
    assert_eq!(on.say(&big).await, Err(AppendError::Full));
    assert_eq!(on.all().await, ["before"], "reading still works");
    on.poke(|writer| writer.connection.pragma_update(None, "max_page_count", 1 << 30).unwrap()).await;
    on.say(&big).await.unwrap();
    assert_eq!(on.all().await, ["before", &big]);
    assert_eq!(on.dispatched(), ["before", &big]);
}

#[tokio::test]
async fn a_commit_that_was_stored_after_all_is_found_and_dispatched_in_order() {
    let on = Poked::open().await;
    on.say("first").await.unwrap();
    on.poke(|writer| writer.fault = Some(Fault::Stuck { stored: true })).await;
    assert_eq!(on.say("unknown").await, Err(AppendError::Unknown));
    on.say("next").await.unwrap();
    assert!(on.engine.append(draft("a", "unknown", Some("unknown"))).await.unwrap().duplicate, "the retry finds it");
    assert_eq!(on.all().await, ["first", "unknown", "next"]);
    assert_eq!(on.dispatched(), on.all().await);
}

#[tokio::test]
async fn a_commit_that_was_not_stored_can_be_sent_again() {
    let on = Poked::open().await;
    on.say("first").await.unwrap();
    on.poke(|writer| writer.fault = Some(Fault::Stuck { stored: false })).await;
    assert_eq!(on.say("unknown").await, Err(AppendError::Unknown));
    assert!(!on.engine.append(draft("a", "unknown", Some("unknown"))).await.unwrap().duplicate);
    assert_eq!(on.all().await, ["first", "unknown"]);
    assert_eq!(on.dispatched(), on.all().await);
}

#[tokio::test]
async fn while_the_outcome_cannot_be_looked_up_nothing_is_taken() {
    let on = Poked::open().await;
    on.poke(|writer| writer.fault = Some(Fault::Stuck { stored: true })).await;
    assert_eq!(on.say("unknown").await, Err(AppendError::Unknown));
    on.poke(|writer| writer.fault = Some(Fault::Gone)).await;
    assert!(matches!(on.say("refused").await, Err(AppendError::Unavailable(_))));
    on.say("next").await.unwrap();
    assert_eq!(on.all().await, ["unknown", "next"], "publishing recovers by itself");
    assert_eq!(on.dispatched(), on.all().await);
}

#[tokio::test]
async fn a_commit_the_store_refused_stored_nothing() {
    let on = Poked::open().await;
    on.poke(|writer| writer.connection.pragma_update(None, "query_only", true).unwrap()).await;
    assert!(matches!(on.say("refused").await, Err(AppendError::Store(_))));
    on.poke(|writer| writer.connection.pragma_update(None, "query_only", false).unwrap()).await;
    on.say("next").await.unwrap();
    assert_eq!(on.all().await, ["next"]);
}

#[tokio::test]
async fn a_backup_is_of_one_moment_while_others_write() {
    let on = Subject::open(Kind::Embedded);
    for n in 0..200 {
        on.say("a", &n.to_string()).await;
    }
    let engine = Arc::clone(&on.engine);
    let writer = tokio::spawn(async move {
        for n in 200..600 {
            engine.append(draft("a", &n.to_string(), None)).await.unwrap();
        }
    });
    let (folder, file) = (on.folder.path().to_owned(), on.folder.path().join("copy.db"));
    let copied = file.clone();
    tokio::task::spawn_blocking(move || backup(&folder, &copied, |_, _| {})).await.unwrap().unwrap();
    writer.await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(restore(elsewhere.path(), &file).unwrap(), None);
    let restored = open(elsewhere.path(), Fsync::Never, &on);
    let kept = read(&restored).await;
    assert!(kept.len() >= 200, "the copy has every message stored before it began");
    assert_eq!(kept, (0..kept.len()).map(|n| n.to_string()).collect::<Vec<_>>(), "the copy has no gap");
    assert!(matches!(backup(on.folder.path(), &file, |_, _| {}), Err(CopyError::Exists(_))));
}

#[tokio::test]
async fn a_restore_keeps_what_was_there() {
    let on = Subject::open(Kind::Embedded);
    on.say("a", "backed up").await;
    let file = on.folder.path().join("copy.db");
    backup(on.folder.path(), &file, |_, _| {}).unwrap();
    on.say("a", "later").await;
    let on = on.restart().await;
    on.engine.close().await;
    let folder = on.folder;
    drop(on.engine);
    let before = restore(folder.path(), &file).unwrap().expect("the previous store is kept");
    let count = |path: &Path| -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count(&before), count(&folder.path().join("baro.db"))), (2, 1));
}

#[test]
fn a_restore_refuses_what_is_not_a_whole_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        matches!(restore(&folder.path().join("data"), &file), Err(CopyError::NotAStore { .. }))
    };
    assert!(refused(b""));
    assert!(refused(b"not a database at all, but long enough to be looked at as one"));
    let newer = folder.path().join("newer.db");
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    let answer = restore(&folder.path().join("data"), &newer);
    assert!(matches!(answer, Err(CopyError::Open(OpenError::Newer { .. }))));
    assert!(!folder.path().join("data/baro.db").exists());
}

#[tokio::test]
async fn a_store_of_the_first_version_is_taken_over() {
    let on = Subject::open(Kind::Memory);
    let first = Connection::open(on.folder.path().join("baro.db")).unwrap();
    first.execute_batch(include_str!("version-1.sql")).unwrap();
    drop(first);
    let engine = open(on.folder.path(), Fsync::Never, &on);
    assert_eq!(read(&engine).await, ["one", "two"]);
    assert!(engine.append(draft("a", "two", Some("k"))).await.unwrap().duplicate, "the keys of version 1 still work");
    let connection = Connection::open(on.folder.path().join("baro.db")).unwrap();
    let kept: (i64, i64) =
        connection.query_row("SELECT kept, bytes FROM channels", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(kept.0, 2);
    assert!(kept.1 > 6);
}

#[tokio::test]
async fn a_store_of_a_newer_baro_is_left_alone() {
    let on = Subject::open(Kind::Memory);
    let path = on.folder.path().join("baro.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let opened = Embedded::open(on.folder.path(), Fsync::Never, Options::default(), on.journal.clone());
    assert!(matches!(opened, Err(OpenError::Newer { found: 99 })));
}
