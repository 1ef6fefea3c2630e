//! Tests of retention: what is trimmed, what readers are told about it, and publishes with `If-Match`.

use super::support::{Baro, bodies, json, refusal, soon};
use app::wire::{Frame, MissedReason};
use serde_json::json;

/// Publishes `gone + keep` messages to `a` and waits until the first `gone` of them are trimmed. Returns all ids.
async fn trimmed(baro: &Baro, gone: usize, keep: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..gone + keep {
        ids.push(baro.say("a", &format!("n{n}")).await);
    }
    let first = "/c/a?after=earliest&limit=1";
    soon(async {
        while baro.json(first).await["messages"][0]["id"] != ids[gone].as_str() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ids
}

const KEEP_5: &[&str] = &["--keep-messages", "5"];

#[tokio::test]
async fn whoever_comes_from_below_the_floor_is_told_once_on_every_transport() {
    let baro = Baro::start_with(KEEP_5).await;
    let ids = trimmed(&baro, 7, 5).await;
    // Messages in the recent log are not missed. The restart empties it, so that the reads go to the store.
    let baro = baro.restart_with(KEEP_5).await;
    let after = format!("after={}", ids[2]);
    let answer = baro.json(&format!("/c/a?{after}")).await;
    assert_eq!(answer["missed"].as_array().unwrap().len(), 1);
    let missed = &answer["missed"][0];
    assert_eq!((&missed["channel"], &missed["reason"]), (&json!("a"), &json!("trimmed")));
    assert!(missed["to_time"].is_string());
    assert_eq!(bodies(&answer), ["n7", "n8", "n9", "n10", "n11"]);
    let offset = |id: &str| id.split_once('.').unwrap().1.parse::<u64>().unwrap();
    assert_eq!(offset(missed["to"].as_str().unwrap()), offset(&ids[6]));

    for path in ["/live?channels=a&", "/c/a?"] {
        let mut socket = baro.websocket(&format!("{path}{after}")).await;
        let Frame::Missed(missed) = socket.frame().await else { panic!("missed comes first") };
        assert_eq!((missed.reason, missed.to.offset), (MissedReason::Trimmed, offset(&ids[6])));
        assert_eq!(socket.body().await, "n7");
        let mut events = baro.events(&format!("{path}{after}"), None).await;
        let mut kinds = Vec::new();
        loop {
            let event = events.next().await.unwrap();
            if event.event.is_none() {
                assert!(event.data.contains("\"n7\""));
                break;
            }
            kinds.push(event.event.unwrap());
        }
        assert_eq!(kinds.iter().filter(|kind| *kind == "missed").count(), 1, "{kinds:?}");
    }
    let mut bare = baro.websocket(&format!("/c/a?{after}&format=body")).await;
    assert!(bare.raw().await.unwrap().to_text().unwrap().contains("\"missed\""));
    assert_eq!(bare.raw().await.unwrap().to_text().unwrap(), "n7");
    for chosen in ["after=earliest", "last=100"] {
        assert_eq!(
            baro.json(&format!("/c/a?{chosen}")).await["missed"],
            json!([]),
            "a reader that chose where to begin missed nothing"
        );
    }
}

#[tokio::test]
async fn pages_back_end_where_history_does_and_prev_tells() {
    let baro = Baro::start_with(KEEP_5).await;
    let ids = trimmed(&baro, 7, 5).await;
    let page = baro.json(&format!("/c/a?before={}&limit=100", ids[11])).await;
    assert_eq!((bodies(&page).len(), &page["more"]), (4, &json!(false)));
    assert_eq!(page["messages"][0]["prev"], ids[6].as_str(), "`prev` names a message that is trimmed");
}

#[tokio::test]
async fn a_publish_can_expect_the_last_message() {
    let baro = Baro::start().await;
    let text = |path: &str, body: &'static str| baro.post(path, body).header("content-type", "text/plain");
    let post = |last: &str, body: &'static str| text("/c/a", body).header("if-match", last.to_owned());
    assert_eq!(refusal(post("*", "x")).await, (412, "precondition-failed".into()));
    let first = json(text("/c/a", "1").send().await.unwrap()).await["id"].as_str().unwrap().to_owned();
    let second = json(post(&format!("\"{first}\""), "2").send().await.unwrap()).await;
    let second = second["id"].as_str().unwrap();
    let refused = post(&first, "3").send().await.unwrap();
    assert_eq!(refused.status(), 412);
    assert_eq!(json(refused).await["error"]["last"], second);
    let empty = json(baro.post("/c/b", "x").header("if-match", &first).send().await.unwrap()).await;
    assert_eq!(empty["error"]["last"], json!(null));
    assert!(empty["error"].as_object().unwrap().contains_key("last"));
    assert_eq!(refusal(post("nonsense", "3")).await, (400, "bad-cursor".into()));
    // A publish that is retried because its answer was lost is not refused.
    for duplicate in [false, true] {
        let answer = post(second, "3").header("idempotency-key", "k").send().await.unwrap();
        assert_eq!(json(answer).await["duplicate"], duplicate);
    }
    assert_eq!(bodies(&baro.json("/c/a").await), ["1", "2", "3"]);
}

#[tokio::test]
async fn of_many_that_expect_the_same_one_is_stored() {
    let baro = Baro::start().await;
    let first = baro.say("a", "first").await;
    let all = (0..20).map(|n| baro.post("/c/a", n.to_string()).header("if-match", &first).send());
    let answers = futures::future::join_all(all).await;
    let stored = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 201).count();
    assert_eq!((stored, bodies(&baro.json("/c/a").await).len()), (1, 2));
}
