//! The command `compare`: measures all rows of all servers in several rounds and prints a table.

use super::{
    Row,
    measure::{Effort, measure},
    plot,
    rows::number,
};
use crate::peers::{Kind, Setup};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Options of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these servers; several with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Only these rows; several with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How often each is measured; the table has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that count of each measurement.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Connections of the rows on which nothing happens.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Minutes after which nothing more is begun.
    #[arg(long, default_value_t = 9.5)]
    minutes: f64,
    /// Where `compare.md`, `compare.json` and `compare.svg` go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// The measured values by row and server, one per round. The value is `None` if the server was not measured.
#[derive(Default)]
pub(crate) struct Results {
    values: BTreeMap<(usize, &'static str), Vec<Option<f64>>>,
    /// Warnings about measured values.
    marks: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

impl Results {
    fn of(&self, row: Row, kind: Kind) -> &[Option<f64>] {
        self.values.get(&(row as usize, kind.name())).map_or(&[], Vec::as_slice)
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, row: Row, kind: Kind) -> Option<f64> {
        median(self.of(row, kind).iter().flatten().copied().collect())
    }

    /// The performance of a server relative to another one: the median over the rounds in which both were measured.
    /// Above 1 the server `kind` is better.
    pub(crate) fn share(&self, row: Row, kind: Kind, beside: Kind) -> Option<f64> {
        let both = self.of(row, kind).iter().zip(self.of(row, beside));
        median(both.filter_map(|(one, other)| Some(row.share((*one)?, (*other)?))).collect())
    }
}

/// The median, or `None` without values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let rows: Vec<Row> = Row::value_variants().iter().copied().filter(|row| chosen(&options.rows, row)).collect();
    let results = rounds(setup, options, &rows).await?;
    let table = table(&rows, &results);
    println!("\n{table}");
    fs::create_dir_all(&options.out).with_context(|| format!("{} cannot be made", options.out.display()))?;
    fs::write(options.out.join("compare.md"), &table)?;
    fs::write(options.out.join("compare.json"), serde_json::to_vec_pretty(&values(&rows, &results))?)?;
    fs::write(options.out.join("compare.svg"), plot::bars(&rows, &results)?)?;
    println!("The same, every value and a plot: {}/compare.md, .json, .svg", options.out.display());
    Ok(())
}

fn chosen<T: PartialEq>(wanted: &[T], one: &T) -> bool {
    wanted.is_empty() || wanted.contains(one)
}

/// Measures all rows in rounds. The order of the servers rotates, so that a temporary slowdown of the machine does not
/// always affect the same server.
async fn rounds(setup: &Setup, options: &Options, rows: &[Row]) -> Result<Results> {
    let effort = Effort { seconds: options.seconds, idle: options.idle, readers: None, size: 128 };
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut results = Results::default();
    for round in 0..options.rounds {
        for &row in rows {
            let mut kinds: Vec<Kind> =
                row.servers().iter().copied().filter(|kind| chosen(&options.peers, kind)).collect();
            let turn = round % kinds.len().max(1);
            kinds.rotate_left(turn);
            for kind in kinds {
                let value =
                    if Instant::now() < until { one(setup, row, kind, effort, &mut results).await? } else { None };
                results.values.entry((row as usize, kind.name())).or_default().push(value);
                if let Some(value) = value {
                    let (row, unit) = (row.name(), row.unit());
                    println!("round {}  {row:<13} {:<13} {:>12} {unit}", round + 1, kind.name(), number(value));
                }
            }
        }
    }
    if Instant::now() >= until {
        results.skipped.insert(format!("what did not begin within {} minutes (--minutes)", options.minutes));
    }
    Ok(results)
}

async fn one(setup: &Setup, row: Row, kind: Kind, effort: Effort, results: &mut Results) -> Result<Option<f64>> {
    let measured = match measure(row, kind, setup, effort).await {
        Ok(Ok(measured)) => measured,
        Ok(Err(skipped)) => {
            results.skipped.insert(skipped.0);
            return Ok(None);
        }
        // A failure of another server must not end the comparison; a failure of Baro does.
        Err(error) if kind == Kind::Baro => return Err(error),
        Err(error) => {
            results.marks.insert(format!("{} of {} failed: {error:#}", row.name(), kind.name()));
            return Ok(None);
        }
    };
    if !measured.marks.is_empty() {
        results.marks.insert(format!("{} of {}: {}", row.name(), kind.name(), measured.marks.join(", ")));
    }
    Ok(Some(measured.value))
}

/// The results as a Markdown table.
fn table(rows: &[Row], results: &Results) -> String {
    let others: Vec<Kind> = Kind::value_variants()
        .iter()
        .copied()
        .filter(|kind| !matches!(kind, Kind::Baro | Kind::Floor))
        .filter(|kind| rows.iter().any(|row| results.median(*row, *kind).is_some()))
        .collect();
    let mut out = String::from("| row | unit | limit | baro | of the limit | goal |");
    for kind in &others {
        let _ = write!(out, " {} |", kind.name());
    }
    out.push_str("\n|---|---|--:|--:|--:|---|");
    out.push_str(&"--:|".repeat(others.len()));
    out.push('\n');
    let text = |value: Option<f64>| value.map_or_else(String::new, number);
    for &row in rows {
        let (limit, baro) = (results.median(row, Kind::Floor), results.median(row, Kind::Baro));
        let share = text(results.share(row, Kind::Baro, Kind::Floor));
        let _ = write!(
            out,
            "| `{}` | {} | {} | {} | {share} | {} |",
            row.name(),
            row.unit(),
            text(limit),
            text(baro),
            row.goal()
        );
        for &kind in &others {
            let times = results.share(row, Kind::Baro, kind).map(|times| format!(" (×{})", number(times)));
            let _ = write!(out, " {}{} |", text(results.median(row, kind)), times.unwrap_or_default());
        }
        out.push('\n');
    }
    out.push_str("\n`×`: how many times better Baro is. `of the limit`: 1 is the floor itself, more is better.\n");
    for (title, lines) in [("To be read with it", &results.marks), ("Left out", &results.skipped)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}:\n");
            lines.iter().for_each(|line| {
                let _ = writeln!(out, "- {line}");
            });
        }
    }
    out
}

fn values(rows: &[Row], results: &Results) -> Value {
    let of_row = |row: &Row| {
        let servers: serde_json::Map<String, Value> = Kind::value_variants()
            .iter()
            .filter(|kind| !results.of(*row, **kind).is_empty())
            .map(|kind| (kind.name().to_owned(), json!(results.of(*row, *kind))))
            .collect();
        (row.name(), json!({ "unit": row.unit(), "rounds": servers }))
    };
    json!({
        "rows": rows.iter().map(of_row).collect::<serde_json::Map<_, _>>(),
        "marks": results.marks,
        "left_out": results.skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut results = Results::default();
        let row = Row::Ws16;
        results.values.insert((row as usize, "baro"), vec![Some(10.0), None, Some(100.0)]);
        results.values.insert((row as usize, "floor"), vec![Some(20.0), Some(1.0), Some(50.0)]);
        assert_eq!(results.median(row, Kind::Baro), Some(100.0));
        assert_eq!(results.share(row, Kind::Baro, Kind::Floor), Some(2.0));
        assert_eq!(results.share(row, Kind::Baro, Kind::Ws), None);
        assert!(table(&[row], &results).contains("| `ws-16` | deliveries/s | 20.0 | 100 | 2.00 |"));
    }
}
