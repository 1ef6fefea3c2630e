//! The rows of the comparison: what each row measures, its unit and its goal.

use crate::{load::Figures, peers::Kind};
use clap::ValueEnum;

/// A row of the comparison: one measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// 1,000 WebSockets, 16 publishes under way: deliveries per second.
    #[value(name = "ws-16")]
    Ws16,
    /// The same with 4.
    #[value(name = "ws-4")]
    Ws4,
    /// As `ws-16`, with frames of JSON.
    #[value(name = "ws-json-16")]
    WsJson16,
    /// 1,000 WebSockets, 50 publishes per second: the server's time per delivery.
    WsCpu,
    /// 10,000 WebSockets, 5 publishes per second: how late the last get it.
    #[value(name = "ws-10k")]
    Ws10k,
    /// Memory of a WebSocket on which nothing happens.
    WsIdle,
    /// WebSockets that open and go, per second.
    WsHandshakes,
    /// One WebSocket, 500 publishes per second: how long a message takes.
    WsLatency,
    /// As `ws-cpu`, over Server-Sent Events.
    SseCpu,
    /// As `ws-16`, over Server-Sent Events.
    SseMost,
    /// As `ws-idle`, over Server-Sent Events.
    SseIdle,
    /// As `ws-cpu`, over long polls.
    PollCpu,
    /// As `ws-16`, over long polls.
    PollMost,
    /// 1,024 publishes under way that are on the disk when they are acknowledged, over HTTP.
    Durable,
    /// The same over 16 WebSockets.
    DurableLive,
    /// A channel's page with 50 messages, 8 connections: pages per second.
    Page,
}

/// Whether a larger or a smaller value is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

impl Row {
    /// The name on the command line and in tables.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The unit of the value.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Ws16 | Self::Ws4 | Self::WsJson16 | Self::SseMost | Self::PollMost => "deliveries/s",
            Self::WsCpu | Self::SseCpu | Self::PollCpu => "CPU µs/delivery",
            Self::Ws10k => "p99 ms",
            Self::WsIdle | Self::SseIdle => "bytes/connection",
            Self::WsHandshakes => "handshakes/s",
            Self::WsLatency => "p50 µs",
            Self::Durable | Self::DurableLive => "publishes/s",
            Self::Page => "pages/s",
        }
    }

    /// Whether a larger or a smaller value is better in this row.
    pub(crate) fn better(self) -> Better {
        match self {
            Self::WsCpu
            | Self::SseCpu
            | Self::PollCpu
            | Self::Ws10k
            | Self::WsIdle
            | Self::SseIdle
            | Self::WsLatency => Better::Less,
            _ => Better::More,
        }
    }

    /// The share of the limit that a value reaches. The limit itself is 1, and more is better.
    pub(crate) fn share(self, value: f64, limit: f64) -> f64 {
        match self.better() {
            Better::More => value / limit,
            Better::Less => limit / value,
        }
    }

    /// The goal for Baro in this row.
    pub(crate) fn goal(self) -> &'static str {
        match self {
            Self::Ws16 | Self::Ws4 => "0.90 of the limit",
            Self::WsCpu => "0.89 of the limit",
            Self::Ws10k => "0.91 of the limit",
            Self::WsIdle => "4 kB",
            Self::WsHandshakes => "0.85 of the limit",
            Self::WsLatency => "0.83 of the limit",
            Self::SseCpu => "0.77 of the limit",
            Self::SseMost | Self::PollMost => "the limit",
            Self::SseIdle => "11 kB",
            Self::PollCpu => "0.71 of the limit",
            Self::Durable | Self::DurableLive => "5 × NATS",
            Self::WsJson16 | Self::Page => "",
        }
    }

    /// The servers that support what this row measures.
    pub(crate) fn servers(self) -> &'static [Kind] {
        use Kind::{Axum, Baro, Centrifugo, Floor, FloorSingle, Nats, Nchan, SocketIo, Ws};
        match self {
            Self::Ws16 | Self::Ws4 => &[Baro, Floor, FloorSingle, Axum, Ws, SocketIo, Nchan],
            Self::WsJson16 => &[Baro, Centrifugo],
            Self::WsCpu | Self::Ws10k | Self::WsIdle | Self::WsHandshakes | Self::WsLatency => {
                &[Baro, Floor, Axum, Ws, SocketIo, Nchan]
            }
            Self::SseCpu | Self::SseMost | Self::SseIdle => &[Baro, Floor, Axum, Ws, Nchan],
            Self::PollCpu | Self::PollMost => &[Baro, Floor, Axum, Nchan],
            Self::Durable | Self::DurableLive => &[Baro, Floor, Nats],
            Self::Page => &[Baro],
        }
    }
}

/// The result of one measurement of a row.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The row's value.
    pub(crate) value: f64,
    /// Warnings for the reader of the report, such as lost messages.
    pub(crate) marks: Vec<String>,
    /// Further figures by name.
    pub(crate) details: Vec<(&'static str, f64)>,
}

impl Measured {
    /// A value without warnings or further figures.
    pub(crate) fn new(value: f64) -> Self {
        Self { value, marks: Vec::new(), details: Vec::new() }
    }

    /// The result of a run with readers.
    pub(crate) fn of_readers(row: Row, figures: &Figures) -> Self {
        let latency = |percent| figures.latency.percentile(percent);
        let value = match row {
            Row::WsCpu | Row::SseCpu | Row::PollCpu => figures.cpu_per_delivery(),
            Row::Ws10k => latency(99.0) / 1000.0,
            Row::WsLatency => latency(50.0),
            _ => figures.rate(),
        };
        let mut measured = Self::new(value);
        measured.details = vec![
            ("deliveries_per_s", figures.rate()),
            ("publishes_per_s", figures.publish_rate()),
            ("p50_us", latency(50.0)),
            ("p99_us", latency(99.0)),
            ("ack_p50_us", figures.acks.percentile(50.0)),
            ("ack_p99_us", figures.acks.percentile(99.0)),
            ("cpu_us_per_delivery", figures.cpu_per_delivery()),
            ("server_core", figures.server_cpu as f64 / 1e9 / figures.seconds),
            ("generator_core", figures.own_share()),
            ("lost", figures.faults.lost as f64),
            ("doubled", figures.faults.doubled as f64),
            ("disordered", figures.faults.disordered as f64),
            ("told_missed", figures.told as f64),
            ("closed", figures.closed as f64),
            ("refused", figures.refused as f64),
            ("memory_mib", figures.memory[2] as f64 / 1_048_576.0),
        ];
        if latency(99.0) > 100_000.0 {
            measured.marks.push(format!("p99 {:.0} ms", latency(99.0) / 1000.0));
        }
        for name in ["lost", "doubled", "disordered", "closed", "refused"] {
            if let Some(count) = measured.detail(name).filter(|count| *count > 0.0) {
                measured.marks.push(format!("{name} {count:.0}"));
            }
        }
        measured
    }

    /// The result of a run of requests and responses without readers.
    pub(crate) fn of_answers(figures: &Figures) -> Self {
        let mut measured = Self::new(figures.published as f64 / figures.seconds);
        measured.details = vec![
            ("p50_us", figures.acks.percentile(50.0)),
            ("p99_us", figures.acks.percentile(99.0)),
            ("server_core", figures.server_cpu as f64 / 1e9 / figures.seconds),
            ("generator_core", figures.own_share()),
            ("refused", figures.refused as f64),
        ];
        if figures.refused > 0 {
            measured.marks.push(format!("refused {}", figures.refused));
        }
        measured
    }

    /// The further figure with this name.
    pub(crate) fn detail(&self, name: &str) -> Option<f64> {
        self.details.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Formats a number with about three significant digits and grouped thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && digit.is_ascii_digit() && (whole.len() - index).is_multiple_of(3) && grouped != "-" {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let texts = [0.0, 1.234, 12.34, 999.4, 1234.5, 1_234_567.0].map(number);
        assert_eq!(texts, ["0.00", "1.23", "12.3", "999", "1 234", "1 234 567"]);
    }

    #[test]
    fn a_share_is_one_at_the_limit_and_less_below() {
        assert!((Row::Ws16.share(50.0, 100.0) - 0.5).abs() < 1e-9);
        assert!((Row::WsCpu.share(4.0, 2.0) - 0.5).abs() < 1e-9);
        assert_eq!(Row::Ws10k.name(), "ws-10k");
    }
}
