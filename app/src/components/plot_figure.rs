use super::{
    live_panel::{Clock, Readings},
    surroundings,
};
use crate::{
    chart::{HEIGHT, Plot, WIDTH, plot},
    i18n::value,
};
use leptos::prelude::*;

/// Digits after the point of a value that has no axis.
const OLDER_DECIMALS: usize = 6;
const CLASSES: [&str; 6] = ["plot s1", "plot s2", "plot s3", "plot s4", "plot s5", "plot s6"];

/// One series over time: a small multiple. The drawing is stretched to the room there is; its labels
/// stand beside it, so that no element needs a position of its own.
#[component]
pub fn PlotFigure(field: String, at: usize, readings: Readings, clock: Clock) -> impl IntoView {
    let place = surroundings();
    let (words, zone) = (place.words, place.zone);
    let label = StoredValue::new(field);
    let drawn = Memo::new(move |_| {
        let window = clock.window();
        label.with_value(|field| readings.store.with(|store| plot(store, field, window)))
    });
    let summary = move || {
        let minutes = clock.window().minutes;
        label.with_value(|field| {
            drawn.with(|drawn| match drawn {
                Some(plot) => {
                    let text = |number| value(number, plot.ticks.decimals + 2);
                    words.plot(field, &text(plot.latest), &text(plot.lowest), &text(plot.highest), minutes)
                }
                None => words.plot_empty(field, minutes),
            })
        })
    };
    let latest = move || {
        if let Some(text) = drawn.with(|drawn| drawn.as_ref().map(|plot| value(plot.latest, plot.ticks.decimals + 2))) {
            return text;
        }
        let older = label.with_value(|field| readings.store.with(|store| store.latest(field)));
        older.map_or_else(|| "–".to_owned(), |number| value(number, OLDER_DECIMALS))
    };
    let tick = move |of: fn(&Plot) -> f64| {
        move || drawn.with(|drawn| drawn.as_ref().map(|plot| value(of(plot), plot.ticks.decimals)))
    };
    // Nothing that stands still ends at now.
    let dot = move || drawn.with(|drawn| drawn.as_ref().filter(|_| !clock.is_paused()).map(end_dot));
    let right = move || {
        if clock.is_paused() { words.clock_seconds(clock.window().end, zone.get()) } else { words.now().to_owned() }
    };
    let axis = move |end: fn(crate::chart::Window) -> crate::wire::Time| {
        move || words.clock_seconds(end(clock.window()), zone.get())
    };
    view! {
        <figure class=CLASSES.get(at).copied().unwrap_or("plot s6")>
            <figcaption class="visually-hidden">{summary}</figcaption>
            <div class="plot-head" aria-hidden="true">
                <svg class="swatch" width="16" height="4" viewBox="0 0 16 4">
                    <path d="M1 2H15" />
                </svg>
                <span class="plot-label">{label.get_value()}</span>
                <span class="plot-value">{latest}</span>
            </div>
            <div class="plot-area" aria-hidden="true">
                <svg class="plot-lines" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" focusable="false">
                    <path class="grid" d="M0 4H1000M0 50H1000M0 96H1000" />
                    <path class="series" d=move || drawn.with(|drawn| drawn.as_ref().map(|plot| plot.path.clone())) />
                    <path class="plot-now" d=dot />
                </svg>
                <div class="plot-ticks">
                    <span>{tick(|plot| plot.ticks.high)}</span>
                    <span>{tick(|plot| plot.ticks.middle)}</span>
                    <span>{tick(|plot| plot.ticks.low)}</span>
                </div>
            </div>
            <div class="plot-axis" aria-hidden="true">
                <span>{axis(|window| window.start())}</span>
                <span>{axis(|window| window.middle())}</span>
                <span>{right}</span>
            </div>
        </figure>
    }
    .into_any()
}

/// A line of no length: its round end is a dot that no stretching bends.
fn end_dot(plot: &Plot) -> String {
    let (x, y) = plot.end;
    format!("M{x:.1} {y:.1}h.01")
}
