//! CPU time and memory of processes, read from `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// The CPU time so far in nanoseconds, summed over the running threads of these processes.
pub(crate) fn cpu(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))?;
        for thread in threads.flatten() {
            // Skip a thread that ended after the listing.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// The current resident memory (VmRSS) in bytes, summed over these processes.
pub(crate) fn resident(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} has ended"))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok())
            .with_context(|| format!("the kernel tells no memory of process {pid}"))?;
        sum += kib * 1024;
    }
    Ok(sum)
}
