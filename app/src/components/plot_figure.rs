//! The chart of one numeric field of a channel.

use super::{chart_clock::ChartClock, readings::Readings, surroundings};
use crate::{
    chart::{HEIGHT, Plot, WIDTH, Window, plot},
    i18n::{Words, value},
    wire::Time,
};
use leptos::prelude::*;

/// Decimals of a value outside the window, where no axis gives its precision.
const OLDER_DECIMALS: usize = 6;
const CLASSES: [&str; 6] = ["plot s1", "plot s2", "plot s3", "plot s4", "plot s5", "plot s6"];

/// One series of the channel, with its drawing for the window that the charts show.
#[derive(Clone, Copy)]
struct Series {
    field: StoredValue<String>,
    readings: Readings,
    clock: ChartClock,
    /// `None` if the window contains no reading.
    drawn: Memo<Option<Plot>>,
    words: Words,
    zone: RwSignal<i16>,
}

impl Series {
    fn new(field: String, readings: Readings, clock: ChartClock) -> Self {
        let place = surroundings();
        let field = StoredValue::new(field);
        let drawn = Memo::new(move |_| {
            let window = clock.window();
            field.with_value(|field| readings.store.with(|store| plot(store, field, window)))
        });
        Self { field, readings, clock, drawn, words: place.words, zone: place.zone }
    }

    /// The chart as a sentence, for screen readers.
    fn summary(self) -> String {
        let minutes = self.clock.window().minutes;
        self.field.with_value(|field| {
            self.drawn.with(|drawn| match drawn {
                Some(plot) => {
                    let text = |number| value(number, plot.ticks.decimals + 2);
                    let values = [plot.latest, plot.lowest, plot.highest].map(text);
                    self.words.plot(field, [&values[0], &values[1], &values[2]], minutes)
                }
                None => self.words.plot_empty(field, minutes),
            })
        })
    }

    /// The newest value in the window, or the newest known value if the window contains none.
    fn latest(self) -> String {
        let drawn = self.drawn.with(|drawn| drawn.as_ref().map(|plot| value(plot.latest, plot.ticks.decimals + 2)));
        if let Some(text) = drawn {
            return text;
        }
        let older = self.field.with_value(|field| self.readings.store.with(|store| store.latest(field)));
        older.map_or_else(|| "–".to_owned(), |number| value(number, OLDER_DECIMALS))
    }

    fn path(self) -> Option<String> {
        self.drawn.with(|drawn| drawn.as_ref().map(|plot| plot.path.clone()))
    }

    /// The dot at the end of the line. Paused charts have none, because their line does not end at the present.
    fn now_dot(self) -> Option<String> {
        self.drawn.with(|drawn| drawn.as_ref().filter(|_| !self.clock.is_paused()).map(end_dot))
    }

    /// The label of a tick on the value axis.
    fn tick(self, read: fn(&Plot) -> f64) -> Option<String> {
        self.drawn.with(|drawn| drawn.as_ref().map(|plot| value(read(plot), plot.ticks.decimals)))
    }

    /// The label of a moment on the time axis.
    fn moment(self, read: fn(Window) -> Time) -> String {
        self.words.clock_seconds(read(self.clock.window()), self.zone.get())
    }

    /// The label at the right end of the time axis.
    fn end(self) -> String {
        if self.clock.is_paused() { self.moment(|window| window.end) } else { self.words.now().to_owned() }
    }
}

/// The chart of one series over time. The drawing is stretched to the available width; the labels are HTML
/// elements outside the drawing, so that they keep their shape and need no computed position.
#[component]
pub fn PlotFigure(field: String, at: usize, readings: Readings, clock: ChartClock) -> impl IntoView {
    let series = Series::new(field, readings, clock);
    view! {
        <figure class=CLASSES.get(at).copied().unwrap_or("plot s6")>
            <figcaption class="visually-hidden">{move || series.summary()}</figcaption>
            <div class="plot-head" aria-hidden="true">
                <svg class="swatch" width="16" height="4" viewBox="0 0 16 4">
                    <path d="M1 2H15" />
                </svg>
                <span class="plot-label">{series.field.get_value()}</span>
                <span class="plot-value">{move || series.latest()}</span>
            </div>
            <div class="plot-area" aria-hidden="true">
                <svg class="plot-lines" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" focusable="false">
                    <path class="grid" d="M0 4H1000M0 50H1000M0 96H1000" />
                    <path class="series" d=move || series.path() />
                    <path class="plot-now" d=move || series.now_dot() />
                </svg>
                <div class="plot-ticks">
                    <span>{move || series.tick(|plot| plot.ticks.high)}</span>
                    <span>{move || series.tick(|plot| plot.ticks.middle)}</span>
                    <span>{move || series.tick(|plot| plot.ticks.low)}</span>
                </div>
            </div>
            <div class="plot-axis" aria-hidden="true">
                <span>{move || series.moment(Window::start)}</span>
                <span>{move || series.moment(Window::middle)}</span>
                <span>{move || series.end()}</span>
            </div>
        </figure>
    }
    .into_any()
}

/// Path data of a line with almost no length. Its round cap is a dot that stays round when the drawing is stretched.
fn end_dot(plot: &Plot) -> String {
    let (x, y) = plot.end;
    format!("M{x:.1} {y:.1}h.01")
}
