//! Formats numbers and sizes in the same way for both languages.

/// Formats an integer with grouped digits: `1,284`.
pub fn count(number: usize) -> String {
    group(&number.to_string())
}

/// Formats a size in bytes with at most one decimal place, rounded down: `1.8 MB` (1 MB = 1,000,000 B).
pub fn bytes(number: usize) -> String {
    const UNITS: [(usize, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if number >= size {
            let tenths = number / (size / 10);
            return match tenths % 10 {
                0 => format!("{} {unit}", count(tenths / 10)),
                rest => format!("{}.{rest} {unit}", count(tenths / 10)),
            };
        }
    }
    format!("{number} B")
}

/// Formats a measured value with at most `decimals` decimal places, without trailing zeros, with grouped digits.
pub fn value(number: f64, decimals: usize) -> String {
    let size = number.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        return format!("{number:.3e}").replace('-', "−");
    }
    let text = format!("{size:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let rest = rest.trim_end_matches('0');
    let whole = if whole.len() > 3 { group(whole) } else { whole.to_owned() };
    let sign = if number < 0.0 && (whole != "0" || !rest.is_empty()) { "−" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1284), "1,284");
        assert_eq!(count(1_000_000), "1,000,000");
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_048_576), "1 MB");
        assert_eq!(bytes(1_843_000_000), "1.8 GB");
    }

    #[test]
    fn values_are_short() {
        assert_eq!(value(24.8, 3), "24.8");
        assert_eq!(value(-0.39, 3), "−0.39");
        assert_eq!(value(-0.0001, 2), "0");
        assert_eq!(value(71320.0, 3), "71,320");
        assert_eq!(value(1.0 / 3.0, 3), "0.333");
    }
}
