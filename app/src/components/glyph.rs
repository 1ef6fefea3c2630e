//! The SVG drawings: the logo, the states of the connection and the button icons.

use crate::live::{Link, Transport};
use leptos::prelude::*;

/// The logo: a line that ends at the present moment.
#[component]
pub fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" width="28" height="12" viewBox="0 0 28 12" aria-hidden="true" focusable="false">
            <path class="mark-line" d="M1.5 6H20" />
            <circle class="mark-now" cx="22" cy="6" r="5" />
        </svg>
    }
}

/// The drawing of a connection's state. Screen readers skip it, so it must stand next to a word.
#[component]
pub fn LinkGlyph(link: Link) -> impl IntoView {
    let d = match link {
        Link::Snapshot | Link::Connecting => "M1 6h3m3 0h3m3 0h3M18.5 6a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
        Link::Live { transport, .. } => transport_path(transport),
        Link::CaughtUp { partly: true, .. } => "M1 6h.1M5 6h.1M9 6h.1M13 6h.1M18.5 6a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
        Link::CaughtUp { .. } => "M1 6h11l4 4 8-8",
        Link::Reconnecting { .. } => "M1 6h3m3 0h3m3 0h3m3 0h3m-3-3.5 3.5 3.5-3.5 3.5",
        Link::Offline | Link::ServerDown => "M1 6h8m8 0h8M10.5 3.5l5 5m0-5-5 5",
    };
    view! {
        <svg class="glyph" width="26" height="12" viewBox="0 0 26 12" aria-hidden="true" focusable="false">
            <path d=d />
        </svg>
    }
}

fn transport_path(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "M2 6h22M6 2 2 6l4 4M20 2l4 4-4 4",
        Transport::Sse => "M2 6h22M20 2l4 4-4 4",
    }
}

/// The icons on buttons, 16 px wide and high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Send.
    Up,
    /// Go to the newest message.
    Down,
    /// Go back.
    Left,
    /// Open another channel.
    Plus,
    /// Copy.
    Copy,
    /// Pause the charts.
    Pause,
    /// Resume the charts.
    Play,
    /// Try again.
    Again,
}

/// An icon on a button.
#[component]
pub fn IconView(icon: Icon) -> impl IntoView {
    let d = match icon {
        Icon::Up => "M8 13V3M4 7l4-4 4 4",
        Icon::Down => "M8 3v10M4 9l4 4 4-4",
        Icon::Left => "M10 3 5 8l5 5",
        Icon::Plus => "M8 3v10M3 8h10",
        Icon::Copy => "M6 6h7v7H6zM10 6V3H3v7h3",
        Icon::Pause => "M6 3.5v9M10 3.5v9",
        Icon::Play => "M5 3.5v9l7-4.5z",
        Icon::Again => "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5",
    };
    view! {
        <svg class="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
            <path d=d />
        </svg>
    }
}
