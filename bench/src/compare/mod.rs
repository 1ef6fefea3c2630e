//! Compares Baro with other servers, and all of them with the most that the machine can do.
//!
//! The server and the load generator run on separate cores, so that the result does not depend on the kernel's
//! scheduler.

mod beside;
mod cores;
mod durable;
mod grow;
mod guard;
mod measure;
mod one;
mod plot;
mod rows;
mod table;

pub(crate) use beside::{Options as BesideOptions, run as beside};
pub(crate) use cores::{setup, take_core};
pub(crate) use grow::{Options as GrowOptions, run as grow};
pub(crate) use guard::{Options as GuardOptions, run as guard};
pub(crate) use one::{Options as RowOptions, run as row};
pub(crate) use table::{Options as CompareOptions, run as compare};

use rows::{Measured, Row};
