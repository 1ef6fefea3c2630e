//! Collects updates and applies them to the page once per frame.

use super::{now, pace::Pace, set_timeout};
use crate::machine::Millis;
use app::live::{Entry, FEED_ROWS, Live, Update};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};
use wasm_bindgen::{JsCast, prelude::Closure};

/// Browsers run no animation frames in a hidden tab: there, updates are applied after this time.
const HIDDEN_FRAME: Millis = 250;
/// Maximum changes of the list of channels that wait for a frame. The page shows the same number of channels.
const CHANNELS: usize = 100;

/// Updates that wait for a frame. Bounded, because the page keeps no more than this.
#[derive(Default)]
struct Waiting {
    feed: VecDeque<Entry>,
    channels: VecDeque<Update>,
    link: Option<Update>,
    outgoing: Option<Update>,
    here: Option<Update>,
    typing: Option<Update>,
}

impl Waiting {
    fn push(&mut self, update: Update) {
        match update {
            Update::Feed(entries) => {
                self.feed.extend(entries);
                // Keep one entry more than the page does, so that the page detects that entries were dropped.
                let excess = self.feed.len().saturating_sub(FEED_ROWS + 1);
                self.feed.drain(..excess);
            }
            Update::Channel(_) => {
                self.channels.push_back(update);
                let excess = self.channels.len().saturating_sub(CHANNELS);
                self.channels.drain(..excess);
            }
            Update::Link(_) => self.link = Some(update),
            Update::Outgoing(_) => self.outgoing = Some(update),
            Update::Here(_) => self.here = Some(update),
            Update::Typing(_) => self.typing = Some(update),
        }
    }

    /// Takes all updates, so that a pending line and the message that replaces it change in the same frame.
    fn take(&mut self) -> Vec<Update> {
        let feed = std::mem::take(&mut self.feed);
        let feed = (!feed.is_empty()).then(|| Update::Feed(feed.into()));
        let channels = std::mem::take(&mut self.channels);
        let last = [self.outgoing.take(), self.here.take(), self.typing.take(), self.link.take()];
        channels.into_iter().chain(feed).chain(last.into_iter().flatten()).collect()
    }
}

/// Applies the waiting updates together, at most once per frame.
pub(super) struct Screen {
    window: web_sys::Window,
    live: Live,
    waiting: RefCell<Waiting>,
    pace: RefCell<Pace>,
    frame: Cell<Option<i32>>,
    /// The timer of a later commit, and the time at which it fires.
    timer: Cell<Option<(i32, Millis)>>,
    commit: RefCell<Option<Closure<dyn FnMut()>>>,
}

impl Screen {
    pub(super) fn new(window: web_sys::Window, live: Live) -> Rc<Self> {
        let screen = Rc::new(Self {
            window,
            live,
            waiting: RefCell::default(),
            pace: RefCell::default(),
            frame: Cell::new(None),
            timer: Cell::new(None),
            commit: RefCell::default(),
        });
        let again = Rc::clone(&screen);
        *screen.commit.borrow_mut() = Some(Closure::new(move || again.apply()));
        screen
    }

    pub(super) fn show(&self, update: Update) {
        let wait = match update {
            Update::Feed(_) => self.pace.borrow_mut().arrived(now(&self.window)),
            Update::Link(_) | Update::Outgoing(_) | Update::Channel(_) | Update::Here(_) | Update::Typing(_) => 0,
        };
        self.waiting.borrow_mut().push(update);
        self.schedule(wait);
    }

    fn schedule(&self, wait: Millis) {
        let commit = self.commit.borrow();
        let Some(commit) = commit.as_ref().filter(|_| self.frame.get().is_none()) else { return };
        let wait = if wait == 0 {
            self.frame.set(self.window.request_animation_frame(commit.as_ref().unchecked_ref()).ok());
            HIDDEN_FRAME
        } else {
            wait
        };
        let at = now(&self.window) + wait;
        match self.timer.get() {
            Some((_, planned)) if planned <= at => return,
            Some((timer, _)) => self.window.clear_timeout_with_handle(timer),
            None => {}
        }
        self.timer.set(set_timeout(&self.window, commit, wait).map(|timer| (timer, at)));
    }

    fn apply(&self) {
        if let Some(frame) = self.frame.take() {
            let _ = self.window.cancel_animation_frame(frame);
        }
        if let Some((timer, _)) = self.timer.take() {
            self.window.clear_timeout_with_handle(timer);
        }
        let updates = self.waiting.borrow_mut().take();
        if updates.iter().any(|update| matches!(update, Update::Feed(_))) {
            self.pace.borrow_mut().committed(now(&self.window));
        }
        if !updates.is_empty() {
            self.live.apply(updates);
        }
    }
}
