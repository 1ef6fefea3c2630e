use super::support::Baro;
use app::wire::Frame;

#[tokio::test]
async fn headers_and_a_first_event_come_at_once() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/a", None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.event.as_deref(), Some("cursor"));
    let Frame::Cursor { cursor } = Frame::parse(&first.data).unwrap() else { panic!("a cursor") };
    assert_eq!(first.id, Some(cursor.to_string()));
}

#[tokio::test]
async fn a_message_is_a_plain_event_with_its_id() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/온실-3동", None).await;
    let id = baro.say("온실-3동", "안녕\n바로").await;
    let event = events.message().await;
    assert_eq!(event.id, Some(id));
    let stored = baro.json("/c/온실-3동").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&event.data).unwrap(), stored["messages"][0]);
}

#[tokio::test]
async fn last_event_id_continues_exactly() {
    let baro = Baro::start().await;
    let first = baro.say("a", "one").await;
    baro.say("b", "not ours").await;
    baro.say("a", "two").await;
    // It beats `after`, which beats `last`.
    let mut events = baro.events("/c/a?after=earliest&last=10", Some(&first)).await;
    assert!(events.message().await.data.contains("\"body\":\"two\""));
    baro.say("a", "three").await;
    assert!(events.message().await.data.contains("\"body\":\"three\""));
}

#[tokio::test]
async fn bodies_only_for_the_plainest_clients() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/a?format=body", None).await;
    let id = baro.say("a", "{ \"a\":\r\n 1 }").await;
    let event = events.message().await;
    assert_eq!((event.data.as_str(), event.id), ("{ \"a\":\n 1 }", Some(id)));
}

#[tokio::test]
async fn the_list_sends_its_changes() {
    let baro = Baro::start().await;
    baro.say("a", "1").await;
    let mut events = baro.events("/", None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.event.as_deref(), Some("channel"));
    assert!(first.data.contains("\"channel\":\"a\""));
    baro.say("b", "2").await;
    loop {
        let event = events.next().await.unwrap();
        if event.event.as_deref() == Some("channel") {
            assert!(event.data.contains("\"channel\":\"b\""));
            break;
        }
    }
}

#[tokio::test]
async fn a_stop_says_bye() {
    let baro = Baro::start().await;
    let mut events = baro.events("/c/a", None).await;
    events.next().await.unwrap();
    let stopped = tokio::spawn(baro.restart());
    loop {
        let event = events.next().await.expect("bye comes before the end");
        if event.event.as_deref() == Some("bye") {
            break;
        }
    }
    assert_eq!(events.next().await, None);
    stopped.await.unwrap();
}
