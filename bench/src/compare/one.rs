//! The command `row`: measures one row of the chosen servers and prints all figures.

use super::{
    Row,
    measure::{Effort, measure},
    rows::number,
};
use crate::peers::{Kind, Setup};
use anyhow::Result;
use clap::Args;

/// Options of `row`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which row.
    #[arg(value_enum)]
    row: Row,
    /// Which servers; several with commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Baro])]
    peer: Vec<Kind>,
    /// Seconds that count.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Other readers than the row has.
    #[arg(long)]
    readers: Option<usize>,
    /// Connections of the rows on which nothing happens.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Bytes of a body.
    #[arg(long, default_value_t = 128)]
    size: usize,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let Options { row, seconds, readers, idle, size, .. } = *options;
    let effort = Effort { seconds, idle, readers, size };
    for _ in 0..options.rounds {
        for &kind in &options.peer {
            match measure(row, kind, setup, effort).await? {
                Err(skipped) => println!("{}  {}: left out: {}", row.name(), kind.name(), skipped.0),
                Ok(measured) => {
                    let marks = measured.marks.join(", ");
                    println!("{}  {}  {} {}  {marks}", row.name(), kind.name(), number(measured.value), row.unit());
                    for (name, value) in &measured.details {
                        println!("    {name:<20} {:>12}", number(*value));
                    }
                }
            }
        }
    }
    Ok(())
}
