//! Starts Centrifugo without a broker.
//!
//! Readers connect to its unidirectional WebSocket endpoint with the channel in the query. The first frame they receive
//! is the reply to this connect request.

use super::{Kind, Peer, Post, Routes, Setup, Skipped, Started, pinned, process};
use anyhow::{Context, Result};
use std::{fs, net::SocketAddr, process::Stdio};

const INSTALL: &str =
    "install with: go install github.com/centrifugal/centrifugo/v6@latest, and name it with CENTRIFUGO";
/// The connect request of a reader, URL-encoded: `{"subs":{"bench":{}}}`.
const CONNECT: &str = "cf_connect=%7B%22subs%22%3A%7B%22bench%22%3A%7B%7D%7D%7D";

/// Starts Centrifugo on loopback without authentication.
pub(crate) async fn start(setup: &Setup) -> Result<Result<Peer, Skipped>> {
    let Some(program) = process::find("centrifugo", "CENTRIFUGO") else {
        return Ok(Err(Skipped(format!("there is no centrifugo; {INSTALL}"))));
    };
    let folder = process::folder(setup)?;
    let address = process::free_address()?;
    let config = folder.path().join("centrifugo.json");
    fs::write(&config, configuration(address)).context("the configuration of Centrifugo cannot be written")?;
    let mut command = pinned(setup, program);
    command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context("centrifugo cannot be started")?;
    process::listens(&mut child, address).await?;
    let started = Started { child, _output: None };
    let pids = vec![started.pid()?];
    let name = Kind::Centrifugo.name();
    Ok(Ok(Peer { name, address, pids, routes: routes(), children: vec![started], _folder: Some(folder) }))
}

/// The paths. Centrifugo does not accept bare bodies, so a publish is a JSON object.
fn routes() -> Routes {
    Routes {
        websocket_json: Some(format!("/connection/uni_websocket?{CONNECT}")),
        publish: Some(Post { path: "/api/publish".to_owned(), around: (r#"{"channel":"bench","data":""#, r#""}"#) }),
        ..Routes::default()
    }
}

/// The configuration. Pings are empty frames that the load generator does not expect, so their interval is longer than
/// any measurement.
fn configuration(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        r#"{{
  "http_server": {{ "address": "{ip}", "port": {port} }},
  "client": {{ "insecure": true, "allowed_origins": ["*"], "ping_interval": "6h", "pong_timeout": "1h" }},
  "http_api": {{ "insecure": true }},
  "uni_websocket": {{ "enabled": true }},
  "usage_stats": {{ "disabled": true }},
  "log": {{ "level": "error" }}
}}
"#
    )
}
