//! The feed of a channel, which follows new messages while it is scrolled to its end.

use super::{
    dom,
    glyph::{Icon, IconView},
    live,
    outgoing::OutgoingRows,
    row::RowView,
    surroundings,
};
use crate::{
    feed::{self, Row},
    live::Live,
    page::Channel,
};
use leptos::{ev, html, prelude::*, web_sys};

/// The feed follows new messages while it is scrolled to within this many pixels of its end.
const FOLLOW_PX: i32 = 48;

/// The visitor's scroll position in the feed, and the number of messages below it that the visitor has not seen.
#[derive(Clone, Copy)]
pub struct FeedScroll {
    scroller: NodeRef<html::Div>,
    following: RwSignal<bool>,
    unseen: RwSignal<usize>,
    /// The scroll position after the last scroll to the end.
    pinned: StoredValue<i32>,
}

impl FeedScroll {
    /// Starts at the end of the feed.
    pub fn new() -> Self {
        Self {
            scroller: NodeRef::new(),
            following: RwSignal::new(true),
            unseen: RwSignal::new(0),
            pinned: StoredValue::new(0),
        }
    }

    /// Scrolls to the newest message and follows new ones.
    pub fn to_end(self) {
        self.following.set(true);
        self.unseen.set(0);
        self.pin_soon();
    }

    /// Scrolls to the end after this update has added its rows, and before the browser paints them.
    fn pin_soon(self) {
        queue_microtask(move || self.pin());
    }

    fn pin(self) {
        if let Some(scroller) = self.scroller.try_get_untracked().flatten() {
            scroller.set_scroll_top(scroller.scroll_height());
            self.pinned.try_set_value(scroller.scroll_top());
        }
    }

    /// Whether the visitor scrolled up and the browser has not sent the scroll event yet.
    fn left_the_end(self) -> bool {
        self.scroller.get_untracked().is_some_and(|scroller| {
            scroller.scroll_top() < self.pinned.get_value() - FOLLOW_PX && from_end(&scroller) > FOLLOW_PX
        })
    }

    fn scrolled(self) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        let following = from_end(&scroller) <= FOLLOW_PX;
        if following != self.following.get_untracked() {
            self.following.set(following);
        }
        if following && self.unseen.get_untracked() > 0 && dom::visible() {
            self.unseen.set(0);
        }
    }

    /// Turns the feed into an ordinary scroller, which does not move when rows are added below. Before that, the
    /// style sheet lays the feed out from its end, so that it opens there without script.
    fn take_over(self) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        let from_end = -scroller.scroll_top();
        let _ = scroller.set_attribute("data-flow", "down");
        scroller.set_scroll_top(scroller.scroll_height() - scroller.client_height() - from_end);
        self.following.set(from_end <= FOLLOW_PX);
        self.pinned.set_value(scroller.scroll_top());
    }

    fn arrived(self, messages: usize) {
        if self.following.get_untracked() && self.left_the_end() {
            self.following.set(false);
        }
        let following = self.following.get_untracked();
        if following {
            self.pin_soon();
        }
        if messages > 0 && !(following && dom::visible()) {
            self.unseen.update(|unseen| *unseen += messages);
        }
    }
}

fn from_end(scroller: &web_sys::HtmlDivElement) -> i32 {
    scroller.scroll_height() - scroller.scroll_top() - scroller.client_height()
}

impl Default for FeedScroll {
    fn default() -> Self {
        Self::new()
    }
}

/// The messages of a channel, oldest first.
#[component]
pub fn FeedView<'a>(channel: &'a Channel, scroll: FeedScroll) -> impl IntoView {
    let live = live();
    let place = surroundings();
    let words = place.words;
    let (visitor, zone, path) = (place.visitor.id.clone(), place.zone, place.back.clone());
    let name = channel.name.as_str().to_owned();
    follow(scroll, live, place.visitor.id.clone());
    show_title(scroll);
    let rows = move || live.feed.with(|feed| feed::rows(feed, &visitor, zone.get()));
    let first = Memo::new(move |_| {
        live.older.get().then(|| live.feed.with(|feed| feed::messages(feed).next().map(|message| message.id))).flatten()
    });
    let older = move || {
        first.get().map(|id| {
            view! {
                <a class="button older" href=format!("{path}?at={id}#m-{id}")>
                    {words.older()}
                </a>
            }
        })
    };
    let empty = Memo::new(move |_| live.feed.with(|feed| feed.is_empty()) && live.outgoing.with(Vec::is_empty));
    view! {
        <div class="feed-wrap">
            <div
                class="feed-scroll"
                id="feed"
                node_ref=scroll.scroller
                class:following=move || scroll.following.get()
                on:scroll=move |_| scroll.scrolled()
                tabindex="0"
                role="log"
                aria-live="off"
                aria-label=words.messages()
            >
                <div class="feed-inner">
                    {older} <ol class="feed">
                        <For each=rows key=Row::key children=|row| view! { <RowView row /> } />
                        <OutgoingRows />
                    </ol>
                    {move || empty.get().then(|| empty_channel(&name))}
                    <NowRow />
                </div>
            </div>
            <Jump scroll />
        </div>
    }
    .into_any()
}

fn empty_channel(name: &str) -> impl IntoView + use<> {
    let words = surroundings().words;
    view! {
        <div class="empty">
            <h2>{words.beginning()}</h2>
            <p>{words.empty_channel(name)}</p>
        </div>
    }
}

/// The row at the end of the feed for the present moment. Its dot pulses once when a message arrives.
#[component]
fn NowRow() -> impl IntoView {
    let live = live();
    let words = surroundings().words;
    let beat = Memo::new(move |before: Option<&u8>| {
        live.newest.track();
        match before {
            None => 0,
            Some(1) => 2,
            Some(_) => 1,
        }
    });
    view! {
        <div class="row now-row" aria-hidden="true">
            <span class="time">{words.now()}</span>
            <span class="rail">
                <span class="now-dot" data-beat=move || beat.get().to_string()></span>
            </span>
            <span class="typing" dir="auto">
                {move || {
                    let names: Vec<_> = live.typing.with(|who| who.iter().map(|sender| sender.name.clone()).collect());
                    words.writing(&names)
                }}
            </span>
        </div>
    }
}

#[component]
fn Jump(scroll: FeedScroll) -> impl IntoView {
    let words = surroundings().words;
    let unseen = Memo::new(move |_| if scroll.following.get() { 0 } else { scroll.unseen.get() });
    move || {
        (unseen.get() > 0).then(|| {
            view! {
                <button type="button" class="button jump" on:click=move |_| scroll.to_end()>
                    <IconView icon=Icon::Down />
                    {move || words.new_messages(unseen.get())}
                </button>
            }
        })
    }
}

fn follow(scroll: FeedScroll, live: Live, visitor: String) {
    Effect::new(move || {
        scroll.take_over();
        let resized = window_event_listener(ev::resize, move |_| {
            if scroll.following.get_untracked() {
                scroll.pin();
            }
        });
        let seen = window_event_listener_untyped("visibilitychange", move |_| {
            if dom::visible() && scroll.following.get_untracked() {
                scroll.unseen.set(0);
            }
        });
        on_cleanup(move || {
            resized.remove();
            seen.remove();
        });
    });
    Effect::new(move |last: Option<Option<crate::wire::Id>>| {
        live.feed.with(|feed| {
            if let Some(last) = last {
                let new = feed::since(feed, last);
                scroll.arrived(new.iter().filter(|message| message.from.id != visitor).count());
            }
            feed::newest(feed).or(last.flatten())
        })
    });
    Effect::new(move || {
        live.outgoing.track();
        scroll.arrived(0);
    });
}

/// Shows the number of unseen messages in the document title, as in `(3) deploy – Baro`.
fn show_title(scroll: FeedScroll) {
    let place = surroundings();
    Effect::new(move |before: Option<usize>| {
        let unseen = scroll.unseen.get();
        if before.is_some_and(|before| before != unseen) {
            document().set_title(&place.words.title(place.subject.as_deref(), unseen));
        }
        unseen
    });
}
