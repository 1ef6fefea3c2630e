//! Publishes this computer's load to the channel `this-machine` every second, so that a new server has live data to
//! show.

use crate::{engine::Draft, hub::Hub};
use app::wire::{Body, ChannelName, Kind, Sender};
use std::time::Duration;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, Networks, RefreshKind, System};
use tokio::time::{MissedTickBehavior, interval};

/// The name of the channel.
pub(crate) const CHANNEL: &str = "this-machine";
/// How long the channel keeps its messages.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);
const EVERY: Duration = Duration::from_secs(1);

/// Publishes the load until the server stops.
pub(crate) async fn publish(hub: Hub) {
    let channel: ChannelName = CHANNEL.parse().expect("the name is one");
    let from = Sender { id: "baro".into(), name: "baro".into(), kind: Kind::Program };
    let mut machine = Machine::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A rate needs two readings. This first tick completes at once, so the first message follows one interval later.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = hub.closed() => return,
        }
        let body = Body::Json(machine.read());
        let draft = Draft { channel: channel.clone(), from: from.clone(), body, key: None, expected: None };
        if let Err(error) = hub.publish(draft).await {
            tracing::warn!(%error, "this machine's load was not published");
        }
    }
}

struct Machine {
    system: System,
    networks: Networks,
}

impl Machine {
    fn new() -> Self {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_cpu_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Self { system: System::new_with_specifics(kinds), networks: Networks::new_with_refreshed_list() }
    }

    /// The load as JSON: CPU and memory in percent, load average of the last minute, and network traffic in kB since
    /// the last reading.
    fn read(&mut self) -> String {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.networks.refresh(true);
        let (received, sent) = self
            .networks
            .values()
            .fold((0, 0), |(received, sent), network| (received + network.received(), sent + network.transmitted()));
        let used = self.system.used_memory() as f64 / self.system.total_memory().max(1) as f64;
        format!(
            "{{\"cpu\":{:.1},\"memory\":{:.1},\"load\":{:.2},\"received\":{:.1},\"sent\":{:.1}}}",
            self.system.global_cpu_usage(),
            used * 100.0,
            System::load_average().one,
            received as f64 / 1000.0,
            sent as f64 / 1000.0,
        )
    }
}
