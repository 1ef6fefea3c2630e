//! Which core is whose.

use crate::peers::Setup;
use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::path::{Path, PathBuf};

/// The server's core.
const SERVER: usize = 0;
/// The generator's.
const GENERATOR: usize = 1;

/// Takes the generator's core for this process, before it has threads; says which core servers get. With a single
/// core all share it.
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

/// How servers are started. A server that is missing is told when it is to be measured.
pub(crate) fn setup(baro: &Path, dir: Option<&Path>, core: Option<usize>) -> Result<Setup> {
    let baro = baro.canonicalize().unwrap_or_else(|_| baro.to_path_buf());
    let dir = dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let dir: PathBuf = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
    Ok(Setup { baro, dir, core })
}
