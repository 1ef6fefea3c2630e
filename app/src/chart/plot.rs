//! Draws one series as an SVG path.

use super::{Store, Ticks, ticks};
use crate::wire::Time;
use std::fmt::Write as _;

/// Width of a plot in SVG units. The page stretches the plot to the available width.
pub const WIDTH: f64 = 1000.0;
/// Height of a plot in SVG units.
pub const HEIGHT: f64 = 100.0;
/// Space above and below the line, so that the edge of the plot does not clip the stroke.
const MARGIN: f64 = 4.0;
/// Number of columns in a dense plot. Each column shows only its minimum and maximum.
const COLUMNS: usize = 360;
/// A pause longer than this many usual steps counts as missing data.
const GAP_STEPS: i64 = 4;
/// Number of steps on either side that define the usual step. Distant steps do not count, because a series can change
/// its pace.
const NEIGHBOURS: usize = 5;
/// A pause up to this length, in milliseconds, never counts as missing data, however fast the series is.
const GAP_MS: i64 = 2000;

/// The time range that a plot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The time at the right edge.
    pub end: Time,
    /// The length in minutes.
    pub minutes: i64,
}

impl Window {
    /// Returns the time at the left edge.
    pub fn start(self) -> Time {
        Time(self.end.0 - self.minutes * 60_000)
    }

    /// Returns the time in the middle.
    pub fn middle(self) -> Time {
        Time(self.end.0 - self.minutes * 30_000)
    }

    fn x(self, time: i64) -> f64 {
        let span = (self.minutes * 60_000) as f64;
        (time - self.start().0) as f64 / span * WIDTH
    }
}

/// The drawing of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The SVG path of the line. It is interrupted where data is missing.
    pub path: String,
    /// The point where the line ends.
    pub end: (f64, f64),
    /// The ticks of the value axis.
    pub ticks: Ticks,
    /// The newest value in the window.
    pub latest: f64,
    /// The lowest value in the window.
    pub lowest: f64,
    /// The highest value in the window.
    pub highest: f64,
}

/// Draws a series. Returns `None` if it has no reading in the window.
pub fn plot(store: &Store, field: &str, window: Window) -> Option<Plot> {
    let points = visible(store, field, window);
    let inside = || points.iter().filter(|(time, _)| *time >= window.start().0).map(|(_, value)| *value);
    let latest = inside().next_back()?;
    let lowest = inside().fold(latest, f64::min);
    let highest = inside().fold(latest, f64::max);
    let ticks = ticks(lowest, highest);
    let y = |value: f64| {
        let part = (value - ticks.low) / (ticks.high - ticks.low);
        (HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN)).clamp(-HEIGHT, 2.0 * HEIGHT)
    };
    let end = points.last().map(|(time, value)| (window.x(*time), y(*value)))?;
    let points = thin(points, window);
    Some(Plot { path: path(&points, |time| window.x(time), y), end, ticks, latest, lowest, highest })
}

/// Returns the points in the window and the last point before it, so that the line reaches the left edge.
fn visible(store: &Store, field: &str, window: Window) -> Vec<(i64, f64)> {
    let (start, end) = (window.start().0, window.end.0);
    let mut points: Vec<_> = store.points(field).filter(|(time, _)| *time <= end).collect();
    points.sort_by_key(|(time, _)| *time);
    let first = points.partition_point(|(time, _)| *time < start);
    points.drain(..first.saturating_sub(1));
    points
}

/// Whether data is missing before the point at `at`: the pause is much longer than the steps around it.
fn is_gap(points: &[(i64, f64)], at: usize) -> bool {
    let step = points[at].0 - points[at - 1].0;
    if step <= GAP_MS {
        return false;
    }
    let before = median_step(&points[at.saturating_sub(NEIGHBOURS + 1)..at]);
    let after = median_step(&points[at..(at + NEIGHBOURS + 1).min(points.len())]);
    before.max(after).is_some_and(|usual| step > usual * GAP_STEPS)
}

fn median_step(points: &[(i64, f64)]) -> Option<i64> {
    let mut steps: Vec<_> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied()
}

/// Reduces dense data to the lowest and the highest point of each column.
fn thin(points: Vec<(i64, f64)>, window: Window) -> Vec<(i64, f64)> {
    if points.len() <= COLUMNS * 2 {
        return points;
    }
    let column = |time: i64| (window.x(time) / WIDTH * COLUMNS as f64).floor() as i64;
    points
        .chunk_by(|a, b| column(a.0) == column(b.0))
        .flat_map(|chunk| {
            let least = chunk.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a });
            let most = chunk.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
            let mut pair: Vec<_> = least.into_iter().chain(most).collect();
            pair.sort_by_key(|(time, _)| *time);
            pair.dedup();
            pair
        })
        .collect()
}

fn path(points: &[(i64, f64)], x: impl Fn(i64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut out = String::with_capacity(points.len() * 14);
    for (at, (time, value)) in points.iter().enumerate() {
        // A segment starts with a line of zero length, so that its round cap shows even a single point.
        if at == 0 || is_gap(points, at) {
            let _ = write!(out, "M{:.1} {:.1}", x(*time), y(*value));
        }
        let _ = write!(out, "L{:.1} {:.1}", x(*time), y(*value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Reading;

    const END: i64 = 1_789_344_000_000;
    const WINDOW: Window = Window { end: Time(END), minutes: 5 };

    fn store(readings: impl IntoIterator<Item = (i64, f64)>) -> Store {
        let mut store = Store::default();
        store.extend(
            readings
                .into_iter()
                .map(|(time, value)| Reading { time: Time(time), values: vec![("t".to_owned(), value)] }),
        );
        store
    }

    #[test]
    fn a_series_is_drawn_from_left_to_right() {
        let plot = plot(&store([(END - 10_000, 24.0), (END - 5_000, 25.0), (END, 26.0)]), "t", WINDOW).unwrap();
        assert_eq!((plot.lowest, plot.latest, plot.highest), (24.0, 26.0, 26.0));
        assert_eq!(plot.end, (WIDTH, MARGIN));
        assert_eq!(plot.path, "M966.7 96.0L966.7 96.0L983.3 50.0L1000.0 4.0");
    }

    #[test]
    fn missing_data_breaks_the_line() {
        let times = (0..10).chain(40..50).map(|n| (END - 60_000 + n * 1000, 1.0));
        let plot = plot(&store(times), "t", WINDOW).unwrap();
        assert_eq!(plot.path.matches('M').count(), 2);
    }

    #[test]
    fn a_change_of_pace_is_no_gap() {
        let slow = (0..10).map(|n| END - 200_000 + n * 10_000);
        let fast = (0..100).map(|n| END - 100_000 + n * 250);
        let plot = plot(&store(slow.chain(fast).map(|time| (time, 1.0))), "t", WINDOW).unwrap();
        assert_eq!(plot.path.matches('M').count(), 1);
    }

    #[test]
    fn nothing_in_the_window_is_no_plot() {
        assert_eq!(plot(&store([(END - 400_000, 1.0)]), "t", WINDOW), None);
        assert_eq!(plot(&store([(END, 1.0)]), "other", WINDOW), None);
    }

    #[test]
    fn the_line_reaches_the_left_edge() {
        let plot = plot(&store([(END - 301_000, 1.0), (END - 299_000, 2.0)]), "t", WINDOW).unwrap();
        assert!(plot.path.starts_with("M-3.3"));
        assert_eq!(plot.lowest, 2.0);
    }

    #[test]
    fn dense_data_keeps_its_peaks() {
        let readings = (0..2000).map(|n| (END - 300_000 + n * 150, if n == 999 { 50.0 } else { 1.0 }));
        let plot = plot(&store(readings), "t", WINDOW).unwrap();
        assert_eq!(plot.highest, 50.0);
        assert!(plot.path.matches('L').count() <= COLUMNS * 2 + 4);
        assert!(plot.path.contains("L499.5 4.0L"), "the peak must be drawn at its time, at the top: {}", plot.path);
    }
}
