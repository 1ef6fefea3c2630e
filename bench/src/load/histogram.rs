//! A histogram of times. Its buckets are at most 1.6 % wide, and recording a time is one addition.

/// The number of buckets per doubling of the time.
const FINE: u32 = 64;
/// The binary logarithm of [`FINE`].
const BITS: u32 = FINE.ilog2();
/// The number of buckets, which is enough for every `u64`.
const BUCKETS: usize = ((64 - BITS + 1) * FINE) as usize;

/// The number of recorded times in each bucket. Times are in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Records a time.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// The number of recorded times.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The time in microseconds that `percent` percent of the times do not exceed, or zero if the histogram is empty.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let wanted = ((self.total as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut sum = 0;
        for (index, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return middle(index) / 1000.0;
            }
        }
        0.0
    }
}

/// The bucket of a time. Each small time has its own bucket; larger times share a bucket by their leading bits.
fn bucket(nanos: u64) -> usize {
    let shift = (63 - (nanos | 1).leading_zeros()).saturating_sub(BITS);
    ((shift * FINE) as u64 + (nanos >> shift)) as usize
}

/// The middle of a bucket.
fn middle(index: usize) -> f64 {
    let (index, fine) = (index as u64, u64::from(FINE));
    if index < 2 * fine {
        return index as f64;
    }
    let shift = index / fine - 1;
    let low = (index - shift * fine) << shift;
    low as f64 + (1_u64 << shift) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow() {
        for nanos in [0, 1, 63, 64, 127, 128, 129, 1000, 123_456, 1_000_000_000, u64::MAX] {
            let middle = middle(bucket(nanos));
            assert!((middle - nanos as f64).abs() <= nanos as f64 * 0.016, "{nanos} is counted as {middle}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles() {
        let mut histogram = Histogram::default();
        (1..=100_u64).for_each(|micros| histogram.record(micros * 1000));
        assert!((histogram.percentile(50.0) - 50.0).abs() < 1.0);
        assert!((histogram.percentile(99.0) - 99.0).abs() < 2.0);
        assert!(Histogram::default().percentile(99.0) < 1.0);
    }
}
