//! Times as text (RFC 3339, UTC, to the microsecond). What does not change within a second is
//! formatted once in a second.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::json::write_digits;

thread_local! {
    /// A second since 1970, and it as text up to its fraction.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Writes when something began that took `duration` and ended now.
pub(super) fn write_began(out: &mut Vec<u8>, duration: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    write(out, now.unwrap_or_default().saturating_sub(duration));
}

/// Writes a time since 1970.
pub(super) fn write(out: &mut Vec<u8>, since: Duration) {
    let second = since.as_secs();
    SECOND.with_borrow_mut(|(of, text)| {
        if *of != second {
            *of = second;
            *text = to_the_second(second);
        }
        out.extend_from_slice(text.as_bytes());
    });
    out.push(b'.');
    write_digits(out, u64::from(since.subsec_micros()), 6);
    out.push(b'Z');
}

/// Empty for a time that no calendar has.
fn to_the_second(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(second).ok();
    let mut text = time
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default();
    text.truncate(text.len().saturating_sub(1));
    text
}
