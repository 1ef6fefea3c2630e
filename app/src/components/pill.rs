//! The pill in the app bar that shows the state of the connection.

use super::{glyph::LinkGlyph, live, surroundings};
use crate::{
    i18n::SLOW_MS,
    live::{Link, Transport, UserAction},
};
use leptos::prelude::*;

/// The state of the connection in the app bar, with the action that it offers.
#[component]
pub fn Pill() -> impl IntoView {
    let live = live();
    let place = surroundings();
    // The countdown and the round trip change often. They must not rebuild the glyph and the button.
    let shape = Memo::new(move |_| Shape::of(live.link.get()));
    let words = StoredValue::new(place);
    let text = move || words.with_value(|place| place.words.link(live.link.get(), place.now, place.zone.get()));
    let short = move || words.with_value(|place| place.words.link_short(live.link.get()));
    view! {
        <div
            class="pill"
            data-link=move || link_name(live.link.get())
            data-transport=move || transport_name(live.link.get())
            data-slow=move || is_slow(live.link.get()).then_some("")
        >
            <span class="pill-state">
                {move || view! { <LinkGlyph link=shape.get().0 /> }}
                <span class="pill-word">{text}</span>
                <span class="pill-short" aria-hidden="true">
                    {short}
                </span>
            </span>
            {move || {
                let link = shape.get().0;
                let (label, back) = words.with_value(|place| (place.words.link_action(link), place.back.to_string()));
                label
                    .map(|label| match link {
                        Link::Snapshot => {
                            view! {
                                <a class="pill-action" href=back>
                                    {label}
                                </a>
                            }
                                .into_any()
                        }
                        _ => {
                            view! {
                                <button
                                    class="pill-action"
                                    type="button"
                                    on:click=move |_| live.act(UserAction::Reconnect)
                                >
                                    {label}
                                </button>
                            }
                                .into_any()
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

/// A link without its changing numbers.
#[derive(Clone, Copy, PartialEq)]
struct Shape(Link);

impl Shape {
    fn of(link: Link) -> Self {
        Self(match link {
            Link::Live { transport, .. } => Link::Live { transport, round_trip_ms: None },
            Link::Reconnecting { .. } => Link::Reconnecting { seconds: 0 },
            other => other,
        })
    }
}

fn is_slow(link: Link) -> bool {
    matches!(link, Link::Live { round_trip_ms: Some(ms), .. } if ms > SLOW_MS)
}

fn link_name(link: Link) -> &'static str {
    match link {
        Link::Snapshot => "snapshot",
        Link::Connecting => "connecting",
        Link::Live { .. } => "live",
        Link::CaughtUp { .. } => "caught-up",
        Link::Reconnecting { .. } => "reconnecting",
        Link::Offline => "offline",
        Link::ServerDown => "server-down",
    }
}

fn transport_name(link: Link) -> Option<&'static str> {
    match link {
        Link::Live { transport, .. } | Link::CaughtUp { transport, .. } => Some(match transport {
            Transport::WebSocket => "websocket",
            Transport::Sse => "sse",
        }),
        Link::Snapshot | Link::Connecting | Link::Reconnecting { .. } | Link::Offline | Link::ServerDown => None,
    }
}
