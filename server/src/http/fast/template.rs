//! A head that comes again with something else in one place: most programs send the same request over and over, with
//! another cursor or another length of the body. Comparing it costs less than reading it (bench rows `durable` and
//! `poll-cpu`).

use std::ops::Range;

/// The head of a request, and the one place in which it may differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

/// A head that fits a [`Template`].
#[derive(Debug, PartialEq, Eq)]
pub struct Fit<'a> {
    /// What stands in the place that may differ.
    pub value: &'a str,
    /// Where the head ends.
    pub end: usize,
}

impl Template {
    /// The template of a head that may differ in this place.
    pub fn new(head: &[u8], differs: Range<usize>) -> Self {
        Self { before: head[..differs.start].into(), after: head[differs.end..].into() }
    }

    /// Compares what was received. What stands in the place that may differ is made of letters, digits and dots: enough for
    /// a cursor or a number, and nothing that could change the rest of the head.
    pub fn fit<'a>(&self, received: &'a [u8]) -> Option<Fit<'a>> {
        let rest = received.strip_prefix(&self.before[..])?;
        let length = rest.iter().position(|byte| !may_differ(*byte)).unwrap_or(rest.len());
        let value = std::str::from_utf8(&rest[..length]).ok()?;
        let end = self.before.len() + length + self.after.len();
        rest[length..].starts_with(&self.after).then_some(Fit { value, end })
    }
}

fn may_differ(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.'
}

#[cfg(test)]
mod tests {
    use super::{super::head::Head, *};
    use bytes::Bytes;
    use proptest::prelude::*;

    proptest! {
        /// What is compared is what reading it finds.
        #[test]
        fn a_head_that_fits_is_the_same_head_with_another_value(
            before in "([A-Z][a-z]{1,5}: [ -~]{0,9}\r\n){0,3}", one in 0usize..2000, other in 0usize..2000,
            after in "([A-Z][a-z]{1,5}: [ -~]{0,9}\r\n){0,3}", cut in 0usize..200,
        ) {
            let write = |length: usize| {
                format!("POST /c/a HTTP/1.1\r\nHost: x\r\n{before}Content-Length: {length}\r\n{after}\r\n")
            };
            let read = |text: &str| Head::read(&Bytes::copy_from_slice(text.as_bytes()), 32);
            let Some(head) = read(&write(one)) else { return Ok(()) };
            let (_, place) = head.length.clone().unwrap();
            let template = Template::new(&write(one).as_bytes()[..head.end], place);
            let again = write(other);
            let fit = template.fit(again.as_bytes()).unwrap();
            let reread = read(&again).unwrap();
            prop_assert_eq!((fit.value.parse::<usize>().ok(), fit.end), (Some(other), again.len()));
            prop_assert_eq!((reread.length.map(|(length, _)| length), reread.end), (Some(other), again.len()));
            // Not before it is whole, and not when anything is different.
            if cut < again.len() {
                prop_assert_eq!(template.fit(&again.as_bytes()[..cut]), None);
            }
            for other in [format!("X: y\r\n{again}"), again.replacen("\r\n\r\n", "\r\nX: y\r\n\r\n", 1)] {
                prop_assert_eq!(template.fit(other.as_bytes()), None);
            }
        }
    }
}
