use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use crate::InjectError;

/// The annotations' names.
pub mod names {
    /// `disabled`: no proxy. As a label of the pod it says the same.
    pub const INJECT: &str = "weft.dev/inject";
    /// `true`: it has a proxy. Written, never read from a user.
    pub const INJECTED: &str = "weft.dev/injected";
    /// Ports of the pod that are not captured: `9090,9100-9110`.
    pub const EXCLUDE_INBOUND_PORTS: &str = "weft.dev/exclude-inbound-ports";
    /// Destination ports that are not captured.
    pub const EXCLUDE_OUTBOUND_PORTS: &str = "weft.dev/exclude-outbound-ports";
    /// Destination ranges that are not captured: `169.254.169.254/32,10.8.0.0/16`.
    pub const EXCLUDE_OUTBOUND_CIDRS: &str = "weft.dev/exclude-outbound-cidrs";
    /// Users whose connections are not captured: `999,1000`.
    pub const EXCLUDE_UIDS: &str = "weft.dev/exclude-uids";
    /// `false`: the probes stay as they are.
    pub const REWRITE_PROBES: &str = "weft.dev/rewrite-probes";
    /// The proxy's CPU request.
    pub const PROXY_CPU: &str = "weft.dev/proxy-cpu";
    /// The proxy's memory request.
    pub const PROXY_MEMORY: &str = "weft.dev/proxy-memory";
    /// The proxy's CPU limit; `0` or absent: none.
    pub const PROXY_CPU_LIMIT: &str = "weft.dev/proxy-cpu-limit";
    /// The proxy's memory limit.
    pub const PROXY_MEMORY_LIMIT: &str = "weft.dev/proxy-memory-limit";
    /// The proxy's worker threads.
    pub const PROXY_WORKERS: &str = "weft.dev/proxy-workers";
    /// The proxy's access log: `stdout` or `off`.
    pub const ACCESS_LOG: &str = "weft.dev/access-log";
}

/// Entries that one annotation may list: each is a rule that every new connection walks.
const MOST_ENTRIES: usize = 64;

/// What a pod asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) exclude_inbound_ports: Vec<String>,
    pub(crate) exclude_outbound_ports: Vec<String>,
    pub(crate) exclude_outbound_cidrs: Vec<String>,
    pub(crate) exclude_uids: Vec<String>,
    pub(crate) rewrite_probes: bool,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) cpu_limit: Option<String>,
    pub(crate) memory_limit: String,
    pub(crate) workers: u16,
    pub(crate) access_log: String,
}

/// A pod's annotations.
pub(crate) struct Annotations<'a>(pub(crate) Option<&'a BTreeMap<String, String>>);

impl<'a> Annotations<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0?.get(name).map(|value| value.trim())
    }

    /// Whether the pod opted out.
    pub(crate) fn opts_out(&self) -> Result<bool, InjectError> {
        self.read(
            names::INJECT,
            "`enabled` or `disabled`",
            "disabled",
            |value| match value {
                "disabled" | "false" => Some(true),
                "enabled" | "true" => Some(false),
                _ => None,
            },
        )
        .map(|out| out.unwrap_or(false))
    }

    /// Everything else that it asks for.
    pub(crate) fn wishes(&self) -> Result<Wishes, InjectError> {
        const PORTS: &str = "a list of ports and ranges";
        const QUANTITY: &str = "a quantity";
        let ports = |name| self.list(name, PORTS, "9090,9100-9110", port_range);
        let quantity = |name, example| {
            self.read(name, QUANTITY, example, |value| {
                is_quantity(value).then(|| value.to_owned())
            })
        };
        Ok(Wishes {
            exclude_inbound_ports: ports(names::EXCLUDE_INBOUND_PORTS)?,
            exclude_outbound_ports: ports(names::EXCLUDE_OUTBOUND_PORTS)?,
            exclude_outbound_cidrs: self.list(
                names::EXCLUDE_OUTBOUND_CIDRS,
                "a list of IPv4 ranges",
                "169.254.169.254/32,10.8.0.0/16",
                |entry| Some(entry.parse::<Ipv4Net>().ok()?.trunc().to_string()),
            )?,
            exclude_uids: self.list(
                names::EXCLUDE_UIDS,
                "a list of user ids",
                "999,1000",
                |entry| Some(entry.parse::<u32>().ok()?.to_string()),
            )?,
            rewrite_probes: self
                .read(
                    names::REWRITE_PROBES,
                    "`true` or `false`",
                    "false",
                    |value| value.parse().ok(),
                )?
                .unwrap_or(true),
            // Enough to start and to idle; what traffic costs is the owner's to say.
            cpu: quantity(names::PROXY_CPU, "10m")?.unwrap_or_else(|| "10m".to_owned()),
            memory: quantity(names::PROXY_MEMORY, "32Mi")?.unwrap_or_else(|| "32Mi".to_owned()),
            // A throttled proxy is a slow application: no limit unless asked for.
            cpu_limit: quantity(names::PROXY_CPU_LIMIT, "1")?.filter(|limit| limit != "0"),
            memory_limit: quantity(names::PROXY_MEMORY_LIMIT, "512Mi")?
                .unwrap_or_else(|| "512Mi".to_owned()),
            // One per core of a large node would be a hundred threads beside each pod.
            workers: self
                .read(
                    names::PROXY_WORKERS,
                    "a number from 1 to 64",
                    "2",
                    |value| {
                        value
                            .parse()
                            .ok()
                            .filter(|workers| (1..=64).contains(workers))
                    },
                )?
                .unwrap_or(2),
            access_log: self
                .read(names::ACCESS_LOG, "`stdout` or `off`", "off", |value| {
                    ["stdout", "off"].contains(&value).then(|| value.to_owned())
                })?
                .unwrap_or_else(|| "stdout".to_owned()),
        })
    }

    fn read<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, InjectError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        parse(value)
            .map(Some)
            .ok_or_else(|| InjectError::Annotation {
                name,
                value: value.chars().take(200).collect(),
                expected,
                example,
            })
    }

    fn list(
        &self,
        name: &'static str,
        expected: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, InjectError> {
        let read = self.read(name, expected, example, |value| {
            let entries: Vec<_> = value
                .split(',')
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
                .map(&parse)
                .collect::<Option<_>>()?;
            (entries.len() <= MOST_ENTRIES).then_some(entries)
        });
        Ok(read?.unwrap_or_default())
    }
}

/// `80` or `9000-9010`, in normal form.
fn port_range(entry: &str) -> Option<String> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match entry.split_once('-') {
        None => Some(port(entry)?.to_string()),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            (first <= last).then(|| format!("{first}-{last}"))
        }
    }
}

/// Near enough to a quantity that the API server's own word on it will be understood.
fn is_quantity(value: &str) -> bool {
    value.len() <= 32
        && value.starts_with(|c: char| c.is_ascii_digit())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-'))
}
