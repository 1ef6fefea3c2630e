//! Message bodies of the form `b NUMBER STAMP xxxx`: they contain the message's number and the time at which it was
//! due.

/// Digits of the number.
const NUMBER: usize = 12;
/// Where the number begins.
const NUMBER_AT: usize = 2;
/// Where the stamp begins.
const STAMP_AT: usize = NUMBER_AT + NUMBER + 1;
/// Digits of the stamp: enough for the nanoseconds of eleven days.
const STAMP: usize = 15;
/// The size of the smallest body with a stamp, in bytes.
const WITH_STAMP: usize = STAMP_AT + STAMP;
/// The size of the smallest body in bytes.
pub(crate) const LEAST: usize = NUMBER_AT + NUMBER;

/// The number and the stamp of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The number of the message.
    pub(crate) number: u32,
    /// When the message was due, in nanoseconds since the start of the load generator. `None` if the body is too small.
    pub(crate) due: Option<u64>,
}

/// A body of this size, in which [`fill`] sets the number and the stamp.
pub(crate) fn blank(size: usize) -> Vec<u8> {
    let mut body = b"b 000000000000".to_vec();
    if size >= WITH_STAMP {
        body.extend_from_slice(b" 000000000000000");
    }
    body.resize(size.max(LEAST), b'x');
    body
}

/// Writes the number and the stamp into a body made by [`blank`].
pub(crate) fn fill(body: &mut [u8], number: u32, due: u64) {
    digits(&mut body[NUMBER_AT..NUMBER_AT + NUMBER], u64::from(number));
    if body.len() >= WITH_STAMP {
        digits(&mut body[STAMP_AT..WITH_STAMP], due);
    }
}

/// Fills `to` with the decimal digits of a number, padded with leading zeros.
pub(crate) fn digits(to: &mut [u8], mut number: u64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Parses the body at the beginning of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Option<Found> {
    let number = number(bytes.strip_prefix(b"b ")?.get(..NUMBER)?)?;
    let due = match bytes.get(STAMP_AT - 1..WITH_STAMP) {
        Some([b' ', stamp @ ..]) => Some(self::number(stamp)?),
        _ => None,
    };
    Some(Found { number: u32::try_from(number).ok()?, due })
}

/// Parses digits, at most 16 of them.
fn number(digits: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    digits.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
}

/// Calls `found` for each body in a frame or response, which may contain other text. Returns whether it has any body.
pub(crate) fn each(payload: &[u8], size: usize, mut found: impl FnMut(Found)) -> bool {
    // The fast path for nearly all messages: a bare body, or a body at the end of a JSON frame.
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
