use super::support::{Baro, refusal};
use std::os::unix::fs::PermissionsExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
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
    let baro = Baro::start().await;
    let mut stream = TcpStream::connect(baro.address).await.unwrap();
    stream.write_all(b"POST /c/a HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Time is paused: it runs ahead to the server's timeout as soon as nothing else can happen.
    stream.read_to_end(&mut answer).await.unwrap();
}
