//! Plain values: ports, durations, address blocks.

use ipnet::IpNet;
use weft_engine::documents::Millis;

use super::Findings;
use crate::duration::Duration;

/// A port number.
pub(super) fn port(value: i32, field: &str, findings: &mut Findings<'_>) -> Option<u16> {
    let port = u16::try_from(value).ok().filter(|port| *port > 0);
    if port.is_none() {
        findings.invalid(
            field,
            format!("{value} is no port number"),
            "use 1 to 65535",
        );
    }
    port
}

/// A number of at least 0.
pub(super) fn count(value: i32, field: &str, findings: &mut Findings<'_>) -> Option<u32> {
    let count = u32::try_from(value).ok();
    if count.is_none() {
        findings.invalid(field, format!("{value} is negative"), "use 0 or more");
    }
    count
}

/// A duration in milliseconds.
pub(super) fn millis(
    value: Option<&Duration>,
    field: &str,
    findings: &mut Findings<'_>,
) -> Option<Millis> {
    let value = value?;
    let millis = value.millis();
    if millis.is_none() {
        findings.invalid(
            field,
            format!("`{value}` is no duration"),
            "write a Gateway API duration such as 250ms, 10s or 1h30m",
        );
    }
    millis
}

/// Address blocks; a plain address is a block of its own.
pub(super) fn blocks(values: &[String], field: &str, findings: &mut Findings<'_>) -> Vec<IpNet> {
    values
        .iter()
        .enumerate()
        .filter_map(|(at, text)| {
            let block = text
                .parse::<IpNet>()
                .or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()))
                .ok();
            if block.is_none() {
                findings.invalid(
                    format!("{field}[{at}]"),
                    format!("`{text}` is no address block"),
                    "write 10.0.0.0/8 or 192.0.2.7",
                );
            }
            block
        })
        .collect()
}
