//! What processes use, as the kernel counts it.

use anyhow::{Context, Result};
use std::fs;

/// Time on a core so far, in nanoseconds, over all threads that run.
pub(crate) fn cpu(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))?;
        for thread in threads.flatten() {
            // One that has ended since it was listed is left out.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Memory now (VmRSS), in bytes.
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
