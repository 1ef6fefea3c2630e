//! The period of time that the charts show.

use super::dom;
use crate::{
    chart::{Store, Window},
    wire::Time,
};
use leptos::prelude::*;
use std::time::Duration;

/// The interval at which the charts advance.
const STEP: Duration = Duration::from_secs(1);

/// The period of time that the charts show.
#[derive(Clone, Copy)]
pub struct ChartClock {
    ticking: RwSignal<Time>,
    /// The length of the period.
    pub minutes: RwSignal<i64>,
    /// Where the visitor paused the charts.
    pub paused: RwSignal<Option<Time>>,
    /// The end of the period.
    pub end: Memo<Time>,
}

impl ChartClock {
    /// Starts at the time of rendering, so that server and browser draw the same first picture.
    pub fn new(now: Time, minutes: i64, store: RwSignal<Store>) -> Self {
        let ticking = RwSignal::new(now);
        let paused = RwSignal::new(None::<Time>);
        let end = Memo::new(move |_| {
            paused.get().unwrap_or_else(|| {
                let newest = store.with(Store::newest).unwrap_or(now);
                ticking.get().max(newest)
            })
        });
        Self { ticking, minutes: RwSignal::new(minutes), paused, end }
    }

    /// Whether the visitor paused the charts.
    pub fn is_paused(self) -> bool {
        self.paused.get().is_some()
    }

    /// The period that the charts show at present.
    pub fn window(self) -> Window {
        Window { end: self.end.get(), minutes: self.minutes.get() }
    }

    /// Advances the server's time of rendering by the time that passes in the browser, so that a wrong clock in
    /// the browser does not move the charts.
    pub fn run(self, now: Time) {
        Effect::new(move || {
            let started = dom::now();
            let _ = set_interval(
                move || {
                    if dom::visible() {
                        self.ticking.set(Time(now.0 + (dom::now().0 - started.0).max(0)));
                    }
                },
                STEP,
            );
        });
    }
}
