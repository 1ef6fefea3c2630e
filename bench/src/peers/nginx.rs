//! Starts nginx with the module Nchan: one worker, one channel, and storage in memory only.

use super::{Kind, Peer, Poll, Post, Routes, Setup, Skipped, Started, pinned, process};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{process::Command, time::sleep};

const INSTALL: &str = "install with: apt-get install nginx libnginx-mod-nchan";
/// Where distributions install the module.
const MODULES: [&str; 3] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules"];
const MODULE: &str = "ngx_nchan_module.so";
/// The timeout for the start of the worker, and the interval between two checks for it.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// A shell script that waits until process `$1` has ended and then kills process `$2`.
const FOLLOW: &str = "tail -s 0.2 --pid=\"$1\" -f /dev/null; kill -KILL \"$2\" 2>/dev/null";

/// Starts nginx with a configuration made for this benchmark.
pub(crate) async fn start(setup: &Setup) -> Result<Result<Peer, Skipped>> {
    let Some(nginx) = process::find("nginx", "NGINX") else {
        return Ok(Err(Skipped(format!("there is no nginx; {INSTALL}"))));
    };
    let Some(module) = MODULES.map(|folder| Path::new(folder).join(MODULE)).into_iter().find(|file| file.is_file())
    else {
        return Ok(Err(Skipped(format!("nginx has no Nchan; {INSTALL}"))));
    };
    let folder = process::folder(setup)?;
    let address = process::free_address()?;
    let config = folder.path().join("nginx.conf");
    fs::write(&config, configuration(folder.path(), &module, address)).context("nginx.conf cannot be written")?;
    if let Some(reason) = refuses(&nginx, &config).await? {
        return Ok(Err(Skipped(format!("nginx refuses its configuration: {reason}"))));
    }
    let mut command = pinned(setup, &nginx);
    command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&config).stdout(Stdio::null());
    let mut child = command.spawn().context("nginx cannot be started")?;
    process::listens(&mut child, address).await?;
    let started = Started { child, _output: None };
    let master = started.pid()?;
    let worker = worker(master).await?;
    follow(master, worker)?;
    let name = Kind::Nchan.name();
    let pids = vec![master, worker];
    Ok(Ok(Peer { name, address, pids, routes: routes(), children: vec![started], _folder: Some(folder) }))
}

fn routes() -> Routes {
    Routes {
        websocket: Some("/ws".to_owned()),
        sse: Some("/sse".to_owned()),
        poll: Some(Poll::Nchan("/poll".to_owned())),
        publish: Some(Post::bare("/pub")),
        ..Routes::default()
    }
}

/// The configuration. There is one worker, because every server here has one core. nginx keeps more messages than a
/// reader lags behind.
///
/// Bodies stay in memory, because the worker may run as a user who cannot write into the folder.
fn configuration(folder: &Path, module: &Path, address: SocketAddr) -> String {
    let (folder, module) = (folder.display(), module.display());
    format!(
        r#"daemon off;
worker_processes 1;
error_log stderr crit;
pid "{folder}/nginx.pid";
load_module "{module}";
events {{
  worker_connections 32768;
  multi_accept on;
}}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_in_single_buffer on;
  client_body_buffer_size 1m;
  client_body_temp_path "{folder}/body";
  proxy_temp_path "{folder}/proxy";
  fastcgi_temp_path "{folder}/fastcgi";
  uwsgi_temp_path "{folder}/uwsgi";
  scgi_temp_path "{folder}/scgi";
  nchan_shared_memory_size 256M;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1h;
  server {{
    nchan_subscriber_first_message newest;
    listen {address} backlog=4096;
    location = /pub {{ nchan_publisher; nchan_channel_id bench; }}
    location = /ws {{ nchan_subscriber websocket; nchan_channel_id bench; }}
    location = /sse {{ nchan_subscriber eventsource; nchan_channel_id bench; }}
    location = /poll {{ nchan_subscriber longpoll; nchan_channel_id bench; }}
  }}
}}
"#
    )
}

/// The reason why nginx rejects the configuration, or `None` if nginx accepts it.
async fn refuses(nginx: &Path, config: &Path) -> Result<Option<String>> {
    let output = Command::new(nginx)
        .args(["-t", "-q", "-e", "stderr", "-c"])
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .await
        .context("nginx cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().last().unwrap_or("it gives no reason").to_owned();
    Ok((!output.status.success()).then_some(reason))
}

/// The worker process: the only child of the process that was started.
async fn worker(master: u32) -> Result<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        if let Some(worker) = children.split_whitespace().find_map(|pid| pid.parse().ok()) {
            return Ok(worker);
        }
        if Instant::now() > until {
            bail!("nginx has no worker");
        }
        sleep(LOOK).await;
    }
}

/// Starts a process that kills the worker after its master has ended. The worker survives a killed master, and this
/// program may be killed itself.
fn follow(master: u32, worker: u32) -> Result<()> {
    let (master, worker) = (master.to_string(), worker.to_string());
    Command::new("sh")
        .args(["-c", FOLLOW, "sh", &master, &worker])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map(drop)
        .context("nothing watches nginx")
}
