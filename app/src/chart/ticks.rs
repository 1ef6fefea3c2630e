//! Chooses round numbers for the value axis of a plot.

/// Three round numbers on the value axis. The lowest and the highest enclose the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticks {
    /// The number at the bottom.
    pub low: f64,
    /// The number in the middle.
    pub middle: f64,
    /// The number at the top.
    pub high: f64,
    /// Number of decimal places that are needed to write the three numbers.
    pub decimals: usize,
}

/// Chooses the ticks for values between `low` and `high`.
pub fn ticks(low: f64, high: f64) -> Ticks {
    let (low, high) = widen(low, high);
    let (mut unit, mut decimals) = power_of_ten((high - low) / 2.0);
    loop {
        for factor in [1.0, 2.0, 2.5, 3.0, 4.0, 5.0] {
            let step = unit * factor;
            let bottom = (low / step).floor() * step;
            let top = bottom + 2.0 * step;
            // The tolerance keeps a rounding error from selecting a larger step.
            if top >= high - step * 1e-9 {
                let decimals = if factor == 2.5 && unit < 10.0 { decimals + 1 } else { decimals };
                return Ticks { low: bottom, middle: bottom + step, high: top, decimals };
            }
        }
        unit *= 10.0;
        decimals = decimals.saturating_sub(1);
    }
}

/// Widens an empty or tiny range, so that a flat line lies in the middle of the plot.
fn widen(low: f64, high: f64) -> (f64, f64) {
    let least = (low.abs().max(high.abs()) * 1e-6).max(1e-9);
    if high - low >= least {
        return (low, high);
    }
    let (unit, _) = power_of_ten((low.abs() / 100.0).max(least));
    (low - unit, low + unit)
}

/// Returns the largest power of ten that is not above `size`, and the number of its decimal places.
fn power_of_ten(size: f64) -> (f64, usize) {
    let (mut unit, mut decimals) = (1.0_f64, 0);
    while unit * 10.0 <= size && unit < 1e300 {
        unit *= 10.0;
    }
    while unit > size && decimals < 12 {
        unit /= 10.0;
        decimals += 1;
    }
    (unit, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn three(low: f64, high: f64) -> (f64, f64, f64) {
        let ticks = ticks(low, high);
        (ticks.low, ticks.middle, ticks.high)
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(three(24.3, 25.4), (24.0, 25.0, 26.0));
        assert_eq!(three(58.9, 62.0), (58.0, 60.0, 62.0));
        assert_eq!(three(566.0, 631.0), (560.0, 600.0, 640.0));
        assert_eq!(three(0.0, 2.0), (0.0, 1.0, 2.0));
        assert_eq!(ticks(24.31, 24.36).decimals, 2);
    }

    #[test]
    fn a_flat_line_is_in_the_middle() {
        let five = ticks(5.0, 5.0);
        assert!(five.low < 5.0 && five.high > 5.0 && (five.middle - 5.0).abs() < 1e-9);
        let flat = ticks(0.0, 0.0);
        assert!(flat.low < 0.0 && flat.high > 0.0);
    }

    proptest! {
        #[test]
        fn ticks_enclose_the_values(a in -1e12f64..1e12, size in 0.0f64..1e9) {
            let ticks = ticks(a, a + size);
            prop_assert!(ticks.low <= a && ticks.high >= a + size - size * 1e-6);
            prop_assert!(ticks.low < ticks.middle && ticks.middle < ticks.high);
        }
    }
}
