//! Assigns one core to the server and another one to the load generator.

use crate::peers::Setup;
use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::path::{Path, PathBuf};

/// The server's core.
const SERVER: usize = 0;
/// The load generator's core.
const GENERATOR: usize = 1;

/// Pins this process to the load generator's core and returns the core for servers. Must run before this process starts
/// threads, because they inherit the affinity. Returns `None` if there is only one core, which all processes share.
pub(crate) fn take_core() -> Result<Option<usize>> {
    let cores = std::thread::available_parallelism().context("the cores cannot be counted")?;
    if cores.get() < 2 {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    set.set(GENERATOR);
    sched_setaffinity(None, &set).context("this process cannot have a core of its own")?;
    Ok(Some(SERVER))
}

/// The settings for starting servers. A missing program is reported only when it is measured.
pub(crate) fn setup(baro: &Path, dir: Option<&Path>, core: Option<usize>) -> Result<Setup> {
    let baro = baro.canonicalize().unwrap_or_else(|_| baro.to_path_buf());
    let dir = dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let dir: PathBuf = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
    Ok(Setup { baro, dir, core })
}
