//! Tests of publishing over HTTP: content types, idempotency keys, refusals, and the form of the page.

use super::support::{Baro, bodies, json, refusal};
use serde_json::json;

#[tokio::test]
async fn a_body_is_what_its_sender_says() {
    let baro = Baro::start().await;
    let form = "application/x-www-form-urlencoded";
    let cases = [
        (form, "a=1&b=%20", json!("a=1&b=%20")),
        (form, "{\"temp\": 24.8}", json!({"temp": 24.8})),
        ("text/plain; charset=utf-8", "42", json!("42")),
        ("application/json", "\"x\"", json!("x")),
        ("image/png", "[1]", json!([1])),
    ];
    for (kind, body, expected) in cases {
        let answer = baro.post("/c/demo", body).header("content-type", kind).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let published = json(answer).await;
        assert_eq!(published["channel"], "demo");
        assert_eq!(published["duplicate"], false);
        let last = baro.json("/c/demo?last=1").await;
        assert_eq!(last["messages"][0]["body"], expected, "{kind} {body}");
        assert_eq!(last["messages"][0]["id"], published["id"]);
        assert_eq!(last["messages"][0]["time"], published["time"]);
    }
    baro.post("/c/demo", vec![0u8, 255]).header("content-type", "application/octet-stream").send().await.unwrap();
    let last = baro.json("/c/demo?last=1").await;
    assert_eq!((&last["messages"][0]["encoding"], &last["messages"][0]["body"]), (&json!("base64"), &json!("AP8=")));
}

#[tokio::test]
async fn a_key_is_never_stored_twice() {
    let baro = Baro::start().await;
    let send = |body: &'static str| baro.post("/c/demo", body).header("idempotency-key", "k-1");
    let first = json(send("x").send().await.unwrap()).await;
    let again = json(send("x").send().await.unwrap()).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!((&first["id"], &first["time"]), (&again["id"], &again["time"]));
    assert_eq!(refusal(send("y")).await, (422, "key-conflict".into()));
    let all = baro.json("/c/demo").await;
    assert_eq!(bodies(&all), ["x"]);
    assert_eq!(all["messages"][0]["key"], "k-1");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_right_status() {
    let baro = Baro::start_with(&["--max-message", "1000"]).await;
    let post = |path: &str, body: Vec<u8>| baro.post(path, body);
    let cases = [
        (post("/c/.env", b"x".to_vec()), 400, "bad-channel"),
        (post("/c/a%20b", b"x".to_vec()), 400, "bad-channel"),
        (post(&format!("/c/{}", "x".repeat(65)), b"x".to_vec()), 400, "bad-channel"),
        (post("/c/a", vec![b'x'; 1001]), 413, "too-large"),
        (post("/c/a", b"{".to_vec()).header("content-type", "application/json"), 400, "bad-body"),
        (post("/c/a", vec![255]).header("content-type", "text/plain"), 400, "bad-body"),
        (post("/c/a", b"x".to_vec()).header("content-type", "text/plain; charset=euc-kr"), 415, "unsupported-charset"),
        (post("/c/a", b"x".to_vec()).header("content-type", "nonsense"), 400, "bad-parameter"),
        (post("/c/a", b"x".to_vec()).header("idempotency-key", ""), 400, "bad-key"),
        (post("/c/a", b"x".to_vec()).header("idempotency-key", "x".repeat(129)), 400, "bad-key"),
        (post("/c/a?from=%00", b"x".to_vec()), 400, "bad-parameter"),
        (post("/nowhere", b"x".to_vec()), 404, "not-found"),
        (baro.client.delete(baro.url("/c/a")), 405, "method-not-allowed"),
    ];
    for (request, status, code) in cases {
        let shown = format!("{request:?}");
        assert_eq!(refusal(request).await, (status, code.into()), "{shown}");
    }
    assert_eq!(bodies(&baro.json("/c/a").await).len(), 0, "nothing refused was stored");
    let exact = baro.post("/c/a", vec![b'x'; 1000]).send().await.unwrap();
    assert_eq!(exact.status(), 201);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_stopped() {
    let baro = Baro::start_with(&["--max-message", "1000"]).await;
    let chunks = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
    let request = baro.post("/c/a", reqwest::Body::wrap_stream(chunks));
    assert_eq!(refusal(request).await, (413, "too-large".into()));
}

#[tokio::test]
async fn the_form_of_the_page_sends_and_comes_back() {
    let baro = Baro::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let say = |body: &'static str| {
        let form = client.post(baro.url("/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99/say")).body(body);
        form.header("content-type", "application/x-www-form-urlencoded")
    };
    for _ in 0..2 {
        let answer = say("body=a%0D%0Ab+c&key=form-1").send().await.unwrap();
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.headers()["location"], "/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99");
    }
    let all = baro.json("/c/온실-3동").await;
    assert_eq!(bodies(&all), ["a\nb c"], "a double click sends once");
    // A refused form also redirects to the page, which shows the typed text again.
    let refused = say("body=keep%20this&key=%07").send().await.unwrap();
    assert_eq!(refused.status(), 303);
    let notice = refused.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = baro.get("/c/온실-3동").header("accept", "text/html");
    let page = page.header("cookie", notice).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("keep this</textarea>") && page.contains("an idempotency key has"), "{page}");
}

/// Whichever method and path: a client that asks for a page can read the error, and a program gets it as JSON.
#[tokio::test]
async fn an_error_has_the_form_that_its_client_can_read() {
    let baro = Baro::start_with(&["--max-message", "10"]).await;
    let requests = || {
        [
            (baro.get("/c/.env"), 400),
            (baro.get("/c/%FF"), 400),
            (baro.get("/nowhere"), 404),
            (baro.get("/live"), 400),
            (baro.get("/open?name=.env"), 400),
            (baro.post("/c/.env", "x"), 400),
            (baro.post("/c/a", "longer than ten bytes"), 413),
            (baro.post("/c/.env/say", "body=x"), 400),
            (baro.post("/live", "x"), 405),
        ]
    };
    for (request, status) in requests() {
        let answer = request.header("accept", "text/html").send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.url());
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{}", answer.url());
    }
    for (request, status) in requests() {
        let (found, code) = refusal(request.header("accept", "*/*")).await;
        assert!(found == status && !code.is_empty(), "{status} {code}");
    }
}
