//! Baro beside others, and all of them beside what the machine can do at most.
//!
//! A server has one core, the generator another: what is measured is the server, not how the kernel shares them.

mod cores;
mod durable;
mod grow;
mod guard;
mod measure;
mod one;
mod plot;
mod rows;
mod table;

pub(crate) use cores::{setup, take_core};
pub(crate) use grow::{Options as GrowOptions, run as grow};
pub(crate) use guard::{Options as GuardOptions, run as guard};
pub(crate) use one::{Options as RowOptions, run as row};
pub(crate) use table::{Options as CompareOptions, run as compare};

use rows::{Measured, Row};
