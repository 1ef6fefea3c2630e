//! Draws the results as SVG plots.

use super::{Row, rows::number, table::Results};
use crate::peers::Kind;
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use plotters::prelude::*;

const BARO: RGBColor = RGBColor(196, 62, 28);
const OTHERS: RGBColor = RGBColor(150, 156, 163);
const LIMIT: RGBColor = RGBColor(40, 44, 52);
/// Height of one bar, in pixels.
const BAR: u32 = 14;
/// The gap between the bars of two rows, in pixels.
const GAP: u32 = 12;
const WIDTH: u32 = 900;
/// The horizontal start of the bars in pixels, and the smallest and largest share on the scale.
const LEFT: u32 = 250;
const FROM: f64 = 0.01;
const TO: f64 = 10.0;

/// Draws a bar for each row and server: its share of the limit.
pub(crate) fn bars(rows: &[Row], results: &Results) -> Result<String> {
    let groups: Vec<(Row, Vec<(Kind, f64)>)> = rows
        .iter()
        .map(|&row| {
            let share = |kind: &Kind| Some((*kind, results.share(row, *kind, Kind::Floor)?));
            (row, Kind::value_variants().iter().filter(|kind| **kind != Kind::Floor).filter_map(share).collect())
        })
        .filter(|(_, bars): &(Row, Vec<_>)| !bars.is_empty())
        .collect();
    let lines: u32 = groups.iter().map(|(_, bars)| bars.len() as u32 * BAR + GAP).sum();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, lines + 70)).into_drawing_area();
        draw(&area, &groups).map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(area: &Area<'_>, groups: &[(Row, Vec<(Kind, f64)>)]) -> Drawn {
    area.fill(&WHITE)?;
    let x = |share: f64| {
        let part = (share.clamp(FROM, TO) / FROM).log10() / (TO / FROM).log10();
        LEFT as i32 + (part * f64::from(WIDTH - LEFT - 60)) as i32
    };
    let small = ("sans-serif", 11).into_font();
    let title = "How near to the limit: 1 is a bare epoll loop, more is better (logarithmic)";
    area.draw(&Text::new(title, (10, 12), ("sans-serif", 14).into_font().color(&LIMIT)))?;
    let bottom = area.dim_in_pixel().1 as i32 - 24;
    for share in [0.01, 0.1, 1.0, 10.0] {
        let style = if share == 1.0 { LIMIT.stroke_width(2) } else { OTHERS.mix(0.5).stroke_width(1) };
        area.draw(&PathElement::new(vec![(x(share), 36), (x(share), bottom)], style))?;
        area.draw(&Text::new(share.to_string(), (x(share) - 6, bottom + 6), small.clone().color(&LIMIT)))?;
    }
    let mut y = 40;
    for (row, bars) in groups {
        area.draw(&Text::new(row.name(), (10, y), ("sans-serif", 13).into_font().color(&LIMIT)))?;
        for &(kind, share) in bars {
            let color = if kind == Kind::Baro { BARO } else { OTHERS };
            area.draw(&Rectangle::new([(x(FROM), y), (x(share), y + BAR as i32 - 3)], color.filled()))?;
            area.draw(&Text::new(kind.name(), (LEFT as i32 - 90, y), small.clone().color(&color)))?;
            area.draw(&Text::new(format!("{share:.2}"), (x(share) + 4, y), small.clone().color(&color)))?;
            y += BAR as i32;
        }
        y += GAP as i32;
    }
    area.present()?;
    Ok(())
}

/// A line plot of one measure against another.
pub(crate) struct Panel {
    /// The title of the plot.
    pub(crate) title: String,
    /// The label of the horizontal axis.
    pub(crate) along: String,
    /// The label of the vertical axis.
    pub(crate) measure: String,
    /// The lines, each with a name and its points.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Draws all panels in two columns. Both axes are logarithmic.
pub(crate) fn panels(panels: &[Panel]) -> Result<String> {
    let mut svg = String::new();
    {
        let rows = panels.len().div_ceil(2);
        let area = SVGBackend::with_string(&mut svg, (1000, 340 * rows as u32)).into_drawing_area();
        let drawn = || -> Drawn {
            area.fill(&WHITE)?;
            for (part, panel) in area.split_evenly((rows, 2)).iter().zip(panels) {
                lines(part, panel)?;
            }
            area.present()?;
            Ok(())
        };
        drawn().map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
    }
    Ok(svg)
}

fn lines(area: &Area<'_>, panel: &Panel) -> Drawn {
    let all = || panel.lines.iter().flat_map(|(_, points)| points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let values = || all().map(of);
        (values().fold(f64::MAX, f64::min) * 0.7, values().fold(f64::MIN_POSITIVE, f64::max) * 1.3)
    };
    let (left, right) = ends(|point| point.0);
    // Extend the axis to whole decades, so that it always has labels and the legend has room.
    let (low, high) = ends(|point| point.1);
    let (low, high) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()));
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(70)
        .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(&panel.along)
        .y_desc(&panel.measure)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .light_line_style(OTHERS.mix(0.15))
        .draw()?;
    for ((name, points), color) in panel.lines.iter().zip([BARO, LIMIT, OTHERS, RGBColor(38, 110, 180)]) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .border_style(OTHERS)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

/// Formats a number on an axis.
fn tick(value: &f64) -> String {
    if *value >= 100.0 { number(*value) } else { value.to_string() }
}
