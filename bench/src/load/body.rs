//! What is published: `b NUMBER STAMP xxxx`, so that each message tells which it is and when it was due.

/// Digits of the number.
const NUMBER: usize = 12;
/// Where the number begins.
const NUMBER_AT: usize = 2;
/// Where the stamp begins.
const STAMP_AT: usize = NUMBER_AT + NUMBER + 1;
/// Digits of the stamp: nanoseconds for eleven days.
const STAMP: usize = 15;
/// The smallest body that has a stamp.
const WITH_STAMP: usize = STAMP_AT + STAMP;
/// The smallest body.
pub(crate) const LEAST: usize = NUMBER_AT + NUMBER;

/// A message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which.
    pub(crate) number: u32,
    /// When it was due, in nanoseconds since the generator's start; small bodies have no room for it.
    pub(crate) due: Option<u64>,
}

/// A body of this size, to be filled in.
pub(crate) fn blank(size: usize) -> Vec<u8> {
    let mut body = b"b 000000000000".to_vec();
    if size >= WITH_STAMP {
        body.extend_from_slice(b" 000000000000000");
    }
    body.resize(size.max(LEAST), b'x');
    body
}

/// Writes number and stamp into a blank.
pub(crate) fn fill(body: &mut [u8], number: u32, due: u64) {
    digits(&mut body[NUMBER_AT..NUMBER_AT + NUMBER], u64::from(number));
    if body.len() >= WITH_STAMP {
        digits(&mut body[STAMP_AT..WITH_STAMP], due);
    }
}

/// Writes a number over the whole of `to`, with zeros in front.
pub(crate) fn digits(to: &mut [u8], mut number: u64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The body that begins here.
pub(crate) fn parse(bytes: &[u8]) -> Option<Found> {
    let number = number(bytes.strip_prefix(b"b ")?.get(..NUMBER)?)?;
    let due = match bytes.get(STAMP_AT - 1..WITH_STAMP) {
        Some([b' ', stamp @ ..]) => Some(self::number(stamp)?),
        _ => None,
    };
    Some(Found { number: u32::try_from(number).ok()?, due })
}

/// Eight digits at once from the end, and what is left in front of them.
fn number(digits: &[u8]) -> Option<u64> {
    let (front, last) = digits.split_last_chunk::<8>()?;
    let mut first = [b'0'; 8];
    first.get_mut(8_usize.checked_sub(front.len())?..)?.copy_from_slice(front);
    Some(eight(first)? * 100_000_000 + eight(*last)?)
}

/// A number of eight digits, without a loop.
fn eight(digits: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(digits);
    let value = word.wrapping_sub(0x3030_3030_3030_3030);
    let carry = value.wrapping_add(0x7676_7676_7676_7676);
    if (value | carry) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = value.wrapping_mul(10).wrapping_add(value >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(low.wrapping_add(high) >> 32)
}

/// Each body in a frame or answer that may have more around it.
pub(crate) fn each(payload: &[u8], size: usize, mut found: impl FnMut(Found)) -> bool {
    // A bare body, or one that stands last in JSON: where nearly all are.
    for around in [0, 2] {
        if let Some(start) = payload.len().checked_sub(size + around)
            && (around == 0) == (start == 0)
            && payload.len() < 2 * size + 512
            && let Some(one) = parse(&payload[start..])
            && memchr::memmem::find(&payload[..start], b"b 0").is_none()
        {
            found(one);
            return true;
        }
    }
    let mut any = false;
    let mut rest = payload;
    while let Some(at) = memchr::memmem::find(rest, b"b 0") {
        let step = match parse(&rest[at..]) {
            Some(one) => {
                found(one);
                any = true;
                size.min(rest.len() - at)
            }
            None => 1,
        };
        rest = &rest[at + step..];
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(number: u32, due: u64, size: usize) -> Vec<u8> {
        let mut body = blank(size);
        fill(&mut body, number, due);
        body
    }

    fn all(payload: &[u8], size: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        each(payload, size, |found| numbers.push(found.number));
        numbers
    }

    #[test]
    fn what_is_filled_in_is_read_back() {
        for (number, due) in [(0, 0), (12_345, 123_456_789), (u32::MAX, 999_999_999_999_999)] {
            let found = parse(&body(number, due, 128)).unwrap();
            assert_eq!(found, Found { number, due: Some(due) });
            assert_eq!(parse(&body(number, due, 16)).unwrap(), Found { number, due: None });
        }
        assert_eq!(body(7, 9, 128).len(), 128);
        assert_eq!(parse(b"b 00000000000a 000000000000000"), None);
        assert_eq!(parse(b"b 0000"), None);
    }

    #[test]
    fn bodies_are_found_wherever_they_stand() {
        let one = String::from_utf8(body(7, 1, 128)).unwrap();
        let two = String::from_utf8(body(8, 1, 128)).unwrap();
        assert_eq!(all(one.as_bytes(), 128), [7]);
        assert_eq!(all(format!(r#"42["message","{one}"]"#).as_bytes(), 128), [7]);
        assert_eq!(all(format!(r#"{{"id":"b 0","body":"{one}"}}"#).as_bytes(), 128), [7]);
        assert_eq!(all(format!(r#"{{"body":"{one}"}},{{"body":"{two}","x":1}}"#).as_bytes(), 128), [7, 8]);
        assert_eq!(all(format!("{one}\n{two}").as_bytes(), 128), [7, 8]);
        assert_eq!(all(br#"{"type":"cursor","cursor":"k.1"}"#, 128), [0; 0]);
    }
}
