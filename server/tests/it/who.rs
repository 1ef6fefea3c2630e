//! Tests of access and identity: allowed origins and hosts, cookies, names, and requests that arrive only in part.

use super::support::{Baro, refusal, soon};
use std::{os::unix::fs::PermissionsExt, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

#[tokio::test]
async fn foreign_pages_are_kept_out() {
    let baro = Baro::start_with(&["--allow-origin", "https://app.example"]).await;
    let own = format!("http://{}", baro.address);
    let forbidden = (403, "forbidden-origin".to_owned());
    for origin in ["http://evil.example", "null", "https://app.example.evil.example"] {
        assert_eq!(refusal(baro.post("/c/a", "x").header("origin", origin)).await, forbidden);
        assert_eq!(refusal(baro.post("/c/a/say", "body=x").header("origin", origin)).await, forbidden);
        let stream = baro.get("/c/a").header("accept", "text/event-stream");
        assert_eq!(refusal(stream.header("origin", origin)).await, forbidden);
        let upgrade = baro.get("/c/a").header("connection", "upgrade").header("upgrade", "websocket");
        assert_eq!(refusal(upgrade.header("origin", origin)).await, forbidden);
    }
    for origin in [own.as_str(), "https://app.example"] {
        let answer = baro.post("/c/a", "x").header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let allowed = answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(allowed, (origin != own).then_some(origin));
    }
}

#[tokio::test]
async fn a_loopback_server_answers_to_local_names_only() {
    let baro = Baro::start().await;
    assert_eq!(refusal(baro.get("/").header("host", "evil.example")).await, (403, "forbidden-host".into()));
    assert_eq!(baro.get("/").header("host", "localhost").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_visitor_is_a_person_and_everybody_else_a_program() {
    let baro = Baro::start().await;
    let page = baro.get("/c/a").header("accept", "text/html").send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().to_owned();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap().to_owned();
    let csp = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let nonce = csp.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(nonce.len() >= 16 && page.text().await.unwrap().contains(nonce), "scripts carry the nonce");

    let from = |request: reqwest::RequestBuilder| {
        let baro = &baro;
        async move {
            assert_eq!(request.send().await.unwrap().status(), 201);
            baro.json("/c/a?last=1").await["messages"][0]["from"].clone()
        }
    };
    let person = from(baro.post("/c/a", "x").header("cookie", &pair)).await;
    assert_eq!(person["kind"], "person");
    let again = from(baro.post("/c/a", "y").header("cookie", &pair)).await;
    assert_eq!(person["id"], again["id"]);
    let named = from(baro.post("/c/a?from=esp32", "x").header("cookie", &pair)).await;
    assert_eq!((&named["kind"], &named["name"]), (&"program".into(), &"esp32".into()));
    let header = from(baro.post("/c/a", "x").header("from-name", "센서")).await;
    assert_eq!(header["name"], "센서");
    let forged = from(baro.post("/c/a", "x").header("cookie", pair.replace("baro=v", "baro=w"))).await;
    assert_eq!(forged["kind"], "program");
    let curl = from(baro.post("/c/a", "x").header("user-agent", "curl/8.1")).await;
    assert_eq!(curl["name"], "curl");
}

#[tokio::test]
async fn the_secret_is_made_once_and_for_its_owner_only() {
    let baro = Baro::start().await;
    let page = baro.get("/").header("accept", "text/html").send().await.unwrap();
    let pair = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let mode = std::fs::metadata(baro.folder.path().join("cookie-secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let baro = baro.restart().await;
    let page = baro.get("/").header("accept", "text/html").header("cookie", pair).send().await.unwrap();
    assert!(page.headers().get("set-cookie").is_none(), "known after a restart");
}

#[tokio::test]
async fn a_name_is_kept_in_the_cookie() {
    let baro = Baro::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer =
        client.post(baro.url("/name")).body("name=%EC%9C%A4%ED%83%9C%ED%98%B8&back=/c/a").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/c/a".parse().unwrap()));
    let pair = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    baro.post("/c/a", "x").header("cookie", pair).send().await.unwrap();
    assert_eq!(baro.json("/c/a").await["messages"][0]["from"]["name"], "윤태호");
    let away = client.post(baro.url("/lang")).body("lang=ko&back=//evil.example").send().await.unwrap();
    assert_eq!(away.headers()["location"], "/");
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_request_is_not_waited_for_for_ever() {
    // Uses the memory engine: while a store's thread works, the runtime looks idle and the paused clock runs ahead.
    let baro = Baro::start_with(&["--engine", "memory"]).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    stream.write_all(b"POST /c/a HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The clock is paused: it moves to the server's timeout as soon as nothing else can happen.
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    // The head has fifteen seconds to arrive. The clock may move before the server reads the first part.
    let waited = begun.elapsed();
    assert!((Duration::from_secs(15)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
    assert_eq!(String::from_utf8_lossy(&answer), "", "half a request has no answer");
}

#[tokio::test]
async fn cookies_are_secure_behind_tls_and_survive_a_new_secret() {
    let baro = Baro::start_with(&["--trusted-proxy", "127.0.0.1", "--cookie-secret", "first"]).await;
    let page = || baro.get("/c/a").header("accept", "text/html");
    let plain = set_cookies(page()).await;
    assert!(plain.iter().all(|cookie| !cookie.contains("Secure")), "{plain:?}");
    let behind = set_cookies(page().header("x-forwarded-proto", "https")).await;
    assert!(behind.iter().all(|cookie| cookie.ends_with("; Secure")), "{behind:?}");
    let pair = behind[0].split(';').next().unwrap().to_owned();

    // Without a trusted proxy `x-forwarded-proto` is ignored. A cookie of the old secret is valid and is signed again.
    let baro = baro.restart_with(&["--cookie-secret", "second", "--old-cookie-secret", "first"]).await;
    let page = || baro.get("/c/a").header("accept", "text/html");
    let renewed = set_cookies(page().header("cookie", &pair).header("x-forwarded-proto", "https")).await;
    let (id, renewed) = (pair.split('.').next().unwrap(), renewed[0].clone());
    assert!(renewed.starts_with(id) && !renewed.starts_with(&pair) && !renewed.contains("Secure"), "{renewed}");
    let renewed = renewed.split(';').next().unwrap().to_owned();
    assert_eq!(set_cookies(page().header("cookie", &renewed)).await, Vec::<String>::new());

    // A forged cookie, or one of another server, counts as a first visit, and its publishes as a program's.
    let forged = renewed.replace("baro=v", "baro=w");
    let fresh = set_cookies(page().header("cookie", &forged)).await;
    assert!(fresh[0].starts_with("baro=v") && !fresh[0].starts_with(id), "{fresh:?}");
    assert_eq!(baro.post("/c/a", "x").header("cookie", &forged).send().await.unwrap().status(), 201);
    assert_eq!(baro.json("/c/a").await["messages"][0]["from"]["kind"], "program");
}

#[tokio::test]
async fn a_notice_is_shown_once() {
    let baro = Baro::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = |path: &str, body: &'static str| {
        client.post(baro.url(path)).header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let page = |cookies: &str| baro.get("/c/a").header("accept", "text/html").header("cookie", cookies);
    for (path, body, said) in [
        ("/name", "name=Mina&back=/c/a", "Saved: you are Mina now."),
        ("/name", "name=%07&back=/c/a", "Your name stays as it was"),
        ("/c/a/say", "body=%20", "the message is empty"),
    ] {
        let answer = form(path, body).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/c/a"));
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        let shown = page(&cookies.join("; ")).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        let forgets =
            shown.headers().get_all("set-cookie").iter().any(|c| c.to_str().unwrap().starts_with("notice=; "));
        assert!(forgets, "{body}: the browser is told to forget it");
        assert!(shown.text().await.unwrap().contains(said), "{body}");
        let forged = cookies.iter().map(|cookie| cookie.replace("notice=", "notice=x")).collect::<Vec<_>>().join("; ");
        assert!(
            !page(&forged).send().await.unwrap().text().await.unwrap().contains(said),
            "{body}: a forged notice is not shown"
        );
    }
    // The answer to a text that is too long for a cookie is the page with that text, so that it is not lost.
    let long = format!("body={}", "x".repeat(1_100_000));
    let answer = client.post(baro.url("/c/a/say")).body(long).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    assert!(answer.text().await.unwrap().contains(&"x".repeat(1_100_000)));
}

async fn set_cookies(request: reqwest::RequestBuilder) -> Vec<String> {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
}
