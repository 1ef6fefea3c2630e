//! Baro beside others, and all of them beside what the machine can do at most.
//!
//! A server has one core, the generator another: what is measured is the server, not how the kernel shares them.

mod cores;
mod durable;
mod measure;
mod one;
mod rows;

pub(crate) use cores::{setup, take_core};
pub(crate) use one::{Options as RowOptions, run as row};

use rows::{Better, Measured, Row};
